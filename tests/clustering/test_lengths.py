"""The lengths of rows: their variation, dealing them out anew, and scores across spaces."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score, silhouette_score

from helpers.clustering.lengths import (
    cross_scores,
    length_auc,
    length_pairs,
    length_variation,
    lengths_sentence,
    row_lengths,
    shuffle_lengths,
    with_variation,
)
from helpers.clustering.reduction import normalize_features
from helpers.clustering.sweep import sweep_kmeans

RNG = np.random.default_rng(0)
X = RNG.normal(size=(80, 5)) * RNG.lognormal(0, 0.4, (80, 1)) + [3, 0, 0, 0, 0]


def directions(rows):
    """Scale rows to unit length."""
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def test_lengths_and_their_variation():
    np.testing.assert_allclose(row_lengths(X), np.sqrt((X**2).sum(axis=1)))
    assert length_variation(X) == pytest.approx(row_lengths(X).std() / row_lengths(X).mean())
    assert length_variation(normalize_features(X, "unit")) == pytest.approx(0, abs=1e-6)
    assert length_variation(np.zeros((3, 2))) == 0


def test_pairs_are_of_long_and_of_short_rows_at_the_usual_angle():
    pairs = length_pairs(X)
    lengths = np.sort(row_lengths(X))
    assert pairs.loc["long", ["first", "second"]].min() >= lengths[-8]
    assert pairs.loc["short", ["first", "second"]].max() <= lengths[7]
    sides, angle = pairs[["first", "second"]], pairs["angle"]
    law_of_cosines = np.sqrt((sides**2).sum(axis=1) - 2 * sides.prod(axis=1) * np.cos(angle))
    np.testing.assert_allclose(pairs["distance"], law_of_cosines)
    np.testing.assert_allclose(pairs["unit_distance"], 2 * np.sin(angle / 2))
    assert abs(angle["long"] - angle["short"]) < 0.2


def test_pairs_of_very_few_rows_and_of_rows_of_zeros():
    pairs = length_pairs(np.array([[0.0, 0.0], [0.0, 0.0], [1.0, 0.0]]))
    assert pairs.loc["short", "distance"] == 0 and pairs.loc["long", "distance"] == 1
    assert list(length_pairs(X[:2])["distance"]) == [pytest.approx(np.linalg.norm(X[0] - X[1]))] * 2


@pytest.mark.parametrize("variation", [0, 0.1, 0.3])
def test_rows_with_another_variation_keep_directions_and_mean_length(variation):
    changed = with_variation(X, variation)
    assert changed.dtype == np.float32 and length_variation(changed) == pytest.approx(variation, abs=1e-6)
    assert row_lengths(changed).mean() == pytest.approx(row_lengths(X).mean(), rel=1e-6)
    np.testing.assert_allclose(directions(changed), directions(X), atol=1e-6)


@pytest.mark.parametrize(
    ("rows", "variation", "words"),
    [(X, 9, "shorter than nothing"), (X, -0.1, "vary by"), (np.eye(3), 0.2, "the lengths of X vary by 0")],
)
def test_an_impossible_variation_is_refused(rows, variation, words):
    with pytest.raises(ValueError, match=words):
        with_variation(rows, variation)


def test_dealing_out_keeps_the_directions_and_the_lengths_but_not_their_tie():
    dealt = shuffle_lengths(X, 1)
    np.testing.assert_allclose(directions(dealt), directions(X), atol=1e-6)
    np.testing.assert_allclose(np.sort(row_lengths(dealt)), np.sort(row_lengths(X)), rtol=1e-6)
    assert not np.allclose(row_lengths(dealt), row_lengths(X))
    np.testing.assert_array_equal(dealt, shuffle_lengths(X, 1))
    assert (dealt != shuffle_lengths(X, 2)).any()


def test_a_row_of_zeros_has_no_direction_and_stays():
    dealt = shuffle_lengths(np.vstack([X, np.zeros(5)]), 3)
    assert np.isfinite(dealt).all() and (dealt[-1] == 0).all()


def test_the_area_does_not_depend_on_the_names_of_the_clusters():
    labels = (row_lengths(X) + RNG.normal(size=80) > 3).astype(int)
    area = pytest.approx(roc_auc_score(labels, row_lengths(X)))
    assert length_auc(X, labels) == area and length_auc(X, 1 - labels) == area
    assert 0.5 < length_auc(X, labels) < 1


def test_an_area_of_three_clusters_is_refused():
    with pytest.raises(ValueError, match="labels of 3 clusters"):
        length_auc(X, np.arange(80) % 3)


def test_each_clustering_is_scored_in_each_space():
    spaces = {"raw": X, "unit": normalize_features(X, "unit")}
    labels = {name: sweep_kmeans(rows, [2, 4], n_init=1).labels for name, rows in spaces.items()}
    scores = cross_scores(spaces, labels)
    assert list(scores.columns) == [2, 4] and scores.index.names == ["found in", "scored in"]
    for found, scored in scores.index:
        expected = [silhouette_score(spaces[scored], row) for row in labels[found]]
        np.testing.assert_allclose(scores.loc[(found, scored)], expected, atol=1e-6)


def test_lengths_alone_divide_rows_without_clusters():
    """Rows of one cloud whose lengths vary: the two clusters are the long and the short ones, dealt out anew or not."""
    rows = RNG.normal(size=(300, 50)) + 2
    rows = directions(rows) * RNG.lognormal(0, 0.4, (300, 1))
    for varied in (rows, shuffle_lengths(rows)):
        assert length_auc(varied, sweep_kmeans(varied, [2]).labels[0]) > 0.95
    assert length_auc(rows, sweep_kmeans(directions(rows), [2]).labels[0]) < 0.65


@pytest.mark.parametrize(
    ("area", "at_unit", "words"),
    [(0.94, -0.005, "is the length"), (0.94, 0.02, "is more than"), (0.7, -0.005, "is more than")],
)
def test_a_score_is_the_length_of_rows_only_if_lengths_tell_and_nothing_is_left_without_them(area, at_unit, words):
    said = lengths_sentence(0.05, area, at_unit, 0.009)
    assert (
        f"0.050 for two clusters, {words}" in said
        and f"probability {area:.2f}" in said
        and "have 0.009." in said
        and "-" not in said
    )
