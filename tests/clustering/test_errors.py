"""Errors where samples belong together: by hand, by resampling groups, and as before where none do."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.datasets import make_blobs

from helpers.clustering.errors import errors_sentence, standard_error
from helpers.clustering.silhouette import silhouette_samples, silhouette_table
from helpers.clustering.sweep import sweep_kmeans
from helpers.core.conventions import ParameterError
from helpers.criteria.table import paired_errors

RNG = np.random.default_rng
COLUMNS = ["standard_error", "macro_error"]


def in_bursts(n_groups=80):
    """Silhouettes of three clusterings of bursts of 1 to 9 samples that lie close together, and the bursts."""
    rng = RNG(0)
    centers = make_blobs(n_groups, centers=3, cluster_std=3, random_state=1)[0]
    groups = np.repeat(np.arange(n_groups), rng.integers(1, 10, n_groups))
    order = rng.permutation(len(groups))
    X = (centers[groups] + 0.5 * rng.standard_normal((len(groups), 2)))[order]
    labels = sweep_kmeans(X, [2, 3, 5]).labels
    return silhouette_samples(X, labels), labels, groups[order]


def test_error_of_a_mean_by_hand():
    """Sums by group of the deviations from the mean 4: -5, 1, 1 and 3; over n = 6, with G = 4."""
    values, groups = np.array([1.0, 2, 5, 7, 4, 5]), np.array([0, 0, 1, 2, 2, 3])
    parts = (values - 4) / 6
    sums = np.array([-5, 1, 3, 1]) / 6
    assert standard_error(parts, groups) == pytest.approx(np.sqrt((sums**2).sum() * 4 / 3))
    np.testing.assert_allclose(
        standard_error(np.stack([parts, 2 * parts]), groups)[1], 2 * standard_error(parts, groups)
    )


def test_error_of_a_macro_mean_by_hand():
    """Two clusters; group 1 has samples of both, and what it adds to the one it may take from the other."""
    samples, labels = np.array([0.1, 0.5, 0.3, 0.7, 0.2, 0.6, 0.4]), np.array([0, 0, 0, 1, 1, 1, 1])
    groups = np.array([0, 0, 1, 1, 2, 3, 3])
    # Deviations from the means 0.3 and 0.475, summed by group: 0 and 0 in the first cluster, and in the second
    second = np.array([0.225, -0.275, 0.125 - 0.075]) * np.sqrt(3 / 2) / 4
    assert silhouette_table(samples, labels, groups).loc[2, "macro_error"] == pytest.approx(
        np.sqrt((second**2).sum()) / 2
    )


def test_group_in_two_clusters_counts_once():
    """A group that is high in one cluster and low in the other adds nothing to the error of their mean."""
    samples, labels = np.array([0.9, 0.1, 0.1, 0.9, 0.5, 0.5, 0.5, 0.5]), np.array([0, 1, 0, 1, 0, 1, 0, 1])
    together = silhouette_table(samples, labels, np.arange(8) // 2).loc[2]
    assert together["macro_error"] == pytest.approx(0, abs=1e-12)
    assert together["standard_error"] == pytest.approx(0, abs=1e-12)
    assert silhouette_table(samples, labels).loc[2, "macro_error"] > 0.1


def test_without_groups_or_with_groups_of_one_nothing_changes():
    samples, labels, _ = in_bursts()
    n, alone = samples.shape[1], silhouette_table(samples, labels)
    np.testing.assert_allclose(alone["standard_error"], samples.std(axis=1, ddof=1) / np.sqrt(n), rtol=1e-12)
    for row, s, clusters in zip(alone.itertuples(), samples, labels):
        variances = [s[clusters == c].var(ddof=1) / (clusters == c).sum() for c in np.unique(clusters)]
        assert row.macro_error == pytest.approx(np.sqrt(sum(variances)) / len(variances), rel=1e-12)
    for groups in (np.arange(n), RNG(0).permutation(n), [f"image {i}" for i in range(n)]):
        assert silhouette_table(samples, labels, groups).equals(alone)
        assert paired_errors(samples, labels, groups).equals(paired_errors(samples, labels))


def test_only_errors_depend_on_groups():
    samples, labels, groups = in_bursts()
    alone, together = silhouette_table(samples, labels), silhouette_table(samples, labels, groups)
    assert alone.drop(columns=COLUMNS).equals(together.drop(columns=COLUMNS))
    assert (together[COLUMNS] > 1.3 * alone[COLUMNS]).to_numpy().all()


def test_copies_of_the_samples_say_nothing_new():
    """Each sample three times, as a group of three: the error is that of the samples, to the last digits."""
    samples, labels, _ = in_bursts()
    samples, labels = samples[:, ::7], labels[:, ::7]
    groups = np.repeat(np.arange(samples.shape[1]), 3)
    copies = silhouette_table(np.repeat(samples, 3, axis=1), np.repeat(labels, 3, axis=1), groups)
    np.testing.assert_allclose(copies[COLUMNS], silhouette_table(samples, labels)[COLUMNS], rtol=1e-9)
    paired = paired_errors(np.repeat(samples, 3, axis=1), np.repeat(labels, 3, axis=1), groups)
    np.testing.assert_allclose(paired, paired_errors(samples, labels), rtol=1e-9, atol=1e-15)


def test_errors_are_the_spread_over_drawn_groups():
    """Bootstrap of whole groups (Efron 1979): score, macro, and the differences of both from the best k."""
    samples, labels, groups = in_bursts()
    table, paired = silhouette_table(samples, labels, groups), paired_errors(samples, labels, groups)
    members, rng = [np.flatnonzero(groups == group) for group in range(80)], RNG(0)
    drawn = []
    for _ in range(800):
        rows = np.concatenate([members[group] for group in rng.integers(80, size=80)])
        drawn.append(silhouette_table(samples[:, rows], labels[:, rows])[["score", "macro"]].to_numpy())
    drawn = np.array(drawn)
    np.testing.assert_allclose(table[COLUMNS], drawn.std(axis=0), rtol=0.12)
    for column, (value, error) in enumerate((("score", "paired_error"), ("macro", "paired_macro_error"))):
        behind = drawn[:, :, column] - drawn[:, [table[value].argmax()], column]
        np.testing.assert_allclose(paired[error], behind.std(axis=0), rtol=0.15, atol=1e-12)


def test_cluster_of_one_group_does_not_look_certain():
    """It is given the pooled spread of group means, here that of the other cluster: squares 0.08 over 3 - 1."""
    samples, labels = np.array([0.5, 0.3, 0.1, 0.8, 1.0]), np.array([0, 0, 0, 1, 1])
    row = silhouette_table(samples, labels, [0, 1, 2, 3, 3]).loc[2]
    assert row["macro_error"] == pytest.approx(np.sqrt(0.04 / 3 + 0.04) / 2)
    every = silhouette_table(np.array([0.5, 0.3, 0.1, 0.8, 1.0]), np.array([0, 1, 2, 3, 3]), [0, 1, 2, 3, 3]).loc[4]
    assert np.isnan(every["macro_error"]) and every["standard_error"] > 0


@pytest.mark.parametrize("function", [silhouette_table, paired_errors])
def test_few_groups_or_groups_of_other_length_are_refused(function):
    samples, labels, groups = in_bursts()
    with pytest.raises(ParameterError, match="makes 3 groups of"):
        function(samples, labels, groups % 3)
    with pytest.raises(ParameterError, match="must have one entry for each"):
        function(samples, labels, groups[1:])


def test_a_sentence_says_what_errors_take_to_be_independent():
    assert errors_sentence(None).startswith("These errors hold if your images were taken independently")
    groups = np.repeat(np.arange(1200), 2)
    assert "one folder together, in 1,200 groups of 2 images, and" in errors_sentence(groups, "folder")
    assert "one group together, in 1,200 groups of 1 to 2 images, and" in errors_sentence(groups[1:])
    assert all(errors_sentence(each).endswith(".") for each in (None, groups))
