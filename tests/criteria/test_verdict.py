"""The verdict with all that it may be given, on points whose clusters are known, or known not to be there."""

from __future__ import annotations

import re

import numpy as np
import pandas as pd
import pytest
from sklearn.datasets import load_digits, load_iris, make_blobs

from helpers.clustering.reduction import fit_pca, normalize_features
from helpers.clustering.silhouette import silhouette_samples, silhouette_table
from helpers.clustering.sweep import sweep_kmeans
from helpers.criteria.references import gap_statistic, null_silhouettes, silhouette_ceiling, stability
from helpers.criteria.rule import SHARE, STABLE, mean_ranks, structure_table
from helpers.criteria.table import compare_criteria, label_agreement, paired_errors, validity_indices
from helpers.criteria.verdict import verdict

RNG = np.random.default_rng


def study(X, k_values=range(2, 8), n_components=None):
    """All criteria of some points."""
    X = np.asarray(X)
    points = X if n_components is None else fit_pca(X, n_components).points
    labels = (sweep := sweep_kmeans(points, k_values, n_init=3)).labels
    samples = silhouette_samples(X, labels)
    return compare_criteria(
        sweep,
        silhouette_table(samples, labels),
        samples=samples,
        nulls=null_silhouettes(X, k_values, n_components=n_components, n_references=5, n_init=1),
        ceiling=silhouette_ceiling(X, labels),
        stable=stability(points, labels, n_subsamples=6),
        gap=gap_statistic(points, range(1, max(k_values) + 1), n_references=5, n_init=1),
        indices=validity_indices(X, labels),
    )


def varying_norms(n=400, d=512):
    return RNG(0).standard_normal((n, d)) * np.exp(0.5 * RNG(1).standard_normal((n, 1)))


def unit_length(X):
    return X / np.linalg.norm(X, axis=1, keepdims=True)


def heavy_tails(d):
    """Student's t with 3 degrees of freedom: a cloud and far outliers."""
    return RNG(0).standard_normal((400, d)) * np.sqrt(3 / RNG(1).chisquare(3, (400, 1)))


def on_a_grid(rows, columns, step):
    centers = [(step * i, step * j) for i in range(rows) for j in range(columns)]
    return make_blobs(40 * len(centers), centers=centers, random_state=0)[0]


def in_many_dimensions(distance):
    """Five clusters in 200 dimensions, whose centres are `distance` apart."""
    centers = RNG(1).standard_normal((5, 200)) * distance / np.sqrt(2 * 200)
    return np.repeat(centers, 100, axis=0) + RNG(2).standard_normal((500, 200))


UNEQUAL = np.vstack([RNG(0).standard_normal((570, 2)), RNG(1).standard_normal((30, 2)) + [10, 0]])
STRUCTURELESS = {
    "Gaussian, 2 dimensions": lambda: study(RNG(0).standard_normal((400, 2))),
    "uniform, 2 dimensions": lambda: study(RNG(0).uniform(size=(400, 2))),
    "long": lambda: study(RNG(0).standard_normal((400, 2)) * [5, 1]),
    "Gaussian, 512 dimensions": lambda: study(RNG(0).standard_normal((400, 512)), n_components=50),
    "uniform, 512 dimensions": lambda: study(RNG(0).uniform(size=(400, 512)), n_components=50),
    "varying norms": lambda: study(varying_norms(), n_components=50),
    "varying norms, 50 components alone": lambda: study(fit_pca(varying_norms(), 50).points),
    "varying norms brought to 1": lambda: study(unit_length(varying_norms()), n_components=50),
    "heavy tails, 2 dimensions": lambda: study(heavy_tails(2)),
    "heavy tails, 10 dimensions": lambda: study(heavy_tails(10)),
    "skewed, 2 dimensions": lambda: study(RNG(0).exponential(size=(400, 2))),
    "skewed, 10 dimensions": lambda: study(RNG(0).exponential(size=(400, 10))),
}
CLUSTERED = {
    "three blobs": (3, lambda: study(make_blobs(300, centers=[[0, 0], [10, 0], [0, 10]], random_state=0)[0])),
    "570 and 30": (2, lambda: study(UNEQUAL)),
    "twelve": (12, lambda: study(on_a_grid(4, 3, 9), range(2, 15))),
    "two that touch": (2, lambda: study(make_blobs(400, centers=[[0, 0], [4.5, 0]], random_state=1)[0])),
    "three that overlap": (3, lambda: study(make_blobs(400, centers=[[0, 0], [3, 0], [1.5, 2.6]], random_state=1)[0])),
    "five at a score of 0.04": (5, lambda: study(in_many_dimensions(7), n_components=50)),
    "iris": (2, lambda: study(load_iris().data)),
}


@pytest.mark.parametrize("table", STRUCTURELESS.values(), ids=STRUCTURELESS)
def test_no_k_where_there_is_nothing(table):
    decision = verdict(table())
    assert decision.n_clusters is None and decision.shortlist == []
    assert decision.sentences["conclusion"].startswith("No clear k: ")
    assert decision.preferred["gap_pca"] == 1


@pytest.mark.parametrize(("k", "table"), CLUSTERED.values(), ids=CLUSTERED)
def test_the_k_that_is_there(k, table):
    decision = verdict(table())
    assert decision.n_clusters == k and decision.shortlist == [k]
    assert f"k = {k}:" in decision.sentences["conclusion"]


def test_a_low_score_in_many_dimensions_is_no_veto():
    """Kaufman and Rousseeuw's band would say that there is nothing; the nulls and the ceiling say what 0.04 is."""
    table = study(in_many_dimensions(7), n_components=50)
    assert 0.02 < table["score"].max() < 0.06 and table.loc[5, "null_score_high"] < table.loc[5, "score"]
    strength = verdict(table).sentences["strength"]
    assert "no substantial structure" in strength and f"{table.loc[5, 'null_score']:.3f} there on average" in strength
    alone = table.drop(columns=[name for name in table if name.startswith("null_")])
    assert verdict(alone).n_clusters is None


def test_iris_says_why_three_is_not_on_the_shortlist():
    table = CLUSTERED["iris"][1]()
    sentence = verdict(table).sentences["shortlist"]
    assert re.search(r"structured and not on the shortlist (is|are) k = 3", sentence)
    assert f"{table['score'][2] - table['score'][3]:.3f}" in sentence


def test_equally_good_k_are_a_shortlist():
    """Two pairs of clusters, so far apart as to be two, and each pair far enough to be four."""
    centers = [[0, 0], [5.2, 0], [0, 8], [5.2, 8]]
    decision = verdict(study(make_blobs(160, centers=centers, random_state=3)[0]))
    assert 4 in decision.shortlist
    made = table_with([0.60, 0.61, 0.5], [0.6, 0.61, 0.5])
    assert verdict(made).shortlist == [2, 3] and verdict(made).n_clusters == 3
    assert "k = 2 is as good" in verdict(made).sentences["conclusion"]


def test_digits_in_honest_words():
    """Ten digits do not make ten k-means clusters; there is structure, weak by its share of the way to the ceiling."""
    X = normalize_features(load_digits().data[:900], "none")
    table = study(X, range(2, 13))
    decision, found = verdict(table), structure_table(table)
    assert found["above"].all() and found["share"].max() < 0.5
    assert not decision.sentences["conclusion"].startswith("The answer")
    assert set(decision.shortlist) <= set(range(7, 13))


# --- each part of the rule, on a made-up table ------------------------------------------------------------------------


def table_with(score, macro, **columns):
    """Three k with nulls at 0.3 and a ceiling at 0.9, of which single columns may be replaced."""
    table = {"inertia": [9.0, 5, 4], "score": score, "macro": macro, "positive": 0.9, "negative": 0.1}
    table |= {"standard_error": 0.01, "macro_error": 0.01, "mean_positive": 0.5, "mean_negative": -0.1}
    table |= {"null_score": 0.3, "null_score_high": 0.32, "null_macro": 0.3, "null_macro_high": 0.32, "ceiling": 0.9}
    table |= {"stability": 0.95, "spread": 0.05} | columns
    return pd.DataFrame(table, index=pd.Index([2, 3, 4], name="n_clusters"))


HIGH = [0.4, 0.8, 0.5]


@pytest.mark.parametrize(
    ("score", "macro", "columns", "n_clusters", "says"),
    [
        (HIGH, HIGH, {}, 3, "The answer is k = 3"),
        ([0.35, 0.5, 0.35], [0.35, 0.5, 0.35], {}, 3, "The best candidate is k = 3"),
        ([0.31] * 3, HIGH, {}, None, "at no k are the score and the mean over clusters both above"),
        (HIGH, [0.31] * 3, {}, None, "at no k are the score and the mean over clusters both above"),
        ([0.33, 0.36, 0.33], HIGH, {}, None, "too little to be read as clusters, at the most 10% of the way"),
        (
            HIGH,
            HIGH,
            {"stability": [0.5, 0.7, 0.3]},
            None,
            "k = 3, agrees with theirs by an adjusted Rand index of 0.70",
        ),
        (HIGH, HIGH, {"spread": 0.4}, None, "is found again in subsamples"),
        (
            [0.4, 0.8, 0.5],
            [0.4, 0.5, 0.8],
            {},
            3,
            "of the k with structure the best by the score is k = 3, and by the mean over clusters k = 4",
        ),
        (HIGH, HIGH, {"worst_mean": 0.0}, None, "some cluster has no silhouette of its own"),
        (
            [0.4, 0.8, 0.79],
            [0.4, 0.5, 0.8],
            {},
            3,
            "of the k with structure the best by the score is k = 3, and by the mean over clusters k = 4",
        ),
        (HIGH, HIGH, {"stability": [0.95, 0.2, 0.95]}, 4, "The best candidate is k = 4"),
    ],
)
def test_every_part_of_the_rule(score, macro, columns, n_clusters, says):
    decision = verdict(table_with(score, macro, **columns))
    assert decision.n_clusters == n_clusters
    assert says in decision.sentences["conclusion"]


@pytest.mark.parametrize(
    ("columns", "why"),
    [
        ({"null_score_high": [0.32, 0.82, 0.32]}, "no more than those data have"),
        ({"null_macro_high": [0.32, 0.82, 0.32]}, "no more than those data have"),
        ({"null_macro": [0.3, 0.79, 0.3]}, "only 9% of the way"),
        ({"stability": [0.95, 0.2, 0.95]}, "not found again"),
        ({"worst_mean": [0.3, 0.0, 0.3]}, "be it of one, has no positive mean"),
    ],
)
def test_a_best_score_that_does_not_count_is_told(columns, why):
    strength = verdict(table_with(HIGH, HIGH, **columns)).sentences["strength"]
    assert "there is structure at k = 2 and 4, but not at k = 3" in strength or "structure at k = 4, but" in strength
    assert why in strength


def test_share_and_stability_at_their_bounds():
    share = 0.3 + 0.6 * SHARE
    just = table_with([share + 1e-9, share - 1e-9, 0.9], [0.9, 0.9, 0.9], spread=[0.0, 0.0, 0.95 - STABLE + 1e-9])
    assert structure_table(just)["structured"].tolist() == [True, False, False]


def test_the_named_k_has_the_least_mean_rank():
    """By the score beyond its null, Davies-Bouldin and the worse stability; of equals the smallest."""
    scores = [0.60, 0.62, 0.61], [0.60, 0.62, 0.61]
    assert verdict(table_with(*scores)).n_clusters == 3
    two_against_one = {"davies_bouldin": [0.5, 0.6, 0.4], "stability": [0.8, 0.9, 0.95]}
    assert verdict(table_with(*scores, **two_against_one)).n_clusters == 4
    assert verdict(table_with(*scores, null_score=[0.3, 0.35, 0.33])).n_clusters == 2
    assert verdict(table_with([0.6, 0.6, 0.5], [0.6, 0.6, 0.5])).n_clusters == 2
    ranks = mean_ranks(table_with(*scores, **two_against_one))
    assert ranks.tolist() == [(3 + 2 + 3) / 3, (1 + 3 + 2) / 3, (2 + 1 + 1) / 3]


def test_a_candidate_even_where_nothing_is_clear():
    nothing = verdict(table_with([0.31, 0.32, 0.31], [0.31] * 3))
    assert nothing.n_clusters is None and nothing.candidate == 3 and nothing.shortlist == []
    found = verdict(table_with(HIGH, HIGH))
    assert found.candidate == found.n_clusters == 3


def test_paired_errors_decide_when_they_are_given():
    scores = [0.60, 0.63, 0.5], [0.60, 0.63, 0.5]
    assert verdict(table_with(*scores)).shortlist == [3]
    paired = {"paired_error": [0.02, 0, 0.02], "paired_macro_error": [0.02, 0, 0.02]}
    assert verdict(table_with(*scores, **paired)).shortlist == [2, 3]


def test_a_difference_that_matters_to_nobody_is_none():
    """With errors of nothing, a k that has 97% of what the best has beyond its null is as good as the best."""
    errors = {"standard_error": 0.0, "macro_error": 0.0}
    scores = 0.3 + 0.3 * np.array([0.97, 1, 0.9])
    assert verdict(table_with(scores, scores, **errors)).shortlist == [2, 3]


def test_the_row_for_one_cluster_is_for_the_gap_alone():
    table = study(make_blobs(90, centers=[[0, 0], [9, 0], [0, 9]], random_state=0)[0], range(2, 5))
    assert table.index.tolist() == [1, 2, 3, 4] and table.loc[1, ["score", "inertia", "stability"]].isna().all()
    decision = verdict(table)
    assert decision.sentences["gap"] == "The gap statistic says k = 3."
    without = table.drop(index=1).drop(columns=["gap", "s"])
    assert verdict(without).n_clusters == decision.n_clusters == 3
    assert "gap" not in verdict(without).preferred
    one = pd.concat([table.assign(gap=[0.5, 0.1, 0.1, 0.1], s=0.01)])
    assert (
        verdict(one).preferred["gap_pca"] == 1 and "need not be more than one cluster" in verdict(one).sentences["gap"]
    )
    none = table.assign(gap=[0.1, 0.2, 0.3, 0.4], s=0.01)
    assert verdict(none).preferred["gap_pca"] is None and "none up to 4" in verdict(none).sentences["gap"]


def test_every_topic_is_a_sentence():
    table = study(make_blobs(90, centers=[[0, 0], [9, 0]], random_state=0)[0], range(2, 5))
    sentences = verdict(table).sentences
    assert set(sentences) == {
        "conclusion", "strength", "preferences", "elbow", "shortlist", "disagreement", "gap", "stability", "indices",
    }  # fmt: skip
    assert all(sentence.endswith(".") and "nan" not in sentence for sentence in sentences.values())
    assert sentences["indices"].endswith(f"Davies-Bouldin k = {table['davies_bouldin'].idxmin()}.")


# --- what the table is made of ----------------------------------------------------------------------------------------


def test_paired_errors_by_definition():
    samples, labels = RNG(0).uniform(-1, 1, (3, 60)), np.stack([np.arange(60) % k for k in (2, 3, 4)])
    errors = paired_errors(samples, labels)
    best = samples.mean(axis=1).argmax()
    expected = (samples - samples[best]).std(axis=1, ddof=1) / np.sqrt(60)
    np.testing.assert_allclose(errors["paired_error"], expected)
    assert (errors["paired_macro_error"] == 0).sum() == 1


def test_paired_errors_by_bootstrap():
    """The spread of both differences over resampled samples, score and macro."""
    X = make_blobs(400, centers=3, cluster_std=3, random_state=1)[0]
    labels = sweep_kmeans(X, [2, 3, 5]).labels
    samples = silhouette_samples(X, labels)
    errors, rng = paired_errors(samples, labels), RNG(0)
    tables = []
    for _ in range(600):
        rows = rng.integers(400, size=400)
        tables.append(silhouette_table(samples[:, rows], labels[:, rows]))
    for value, error in (("score", "paired_error"), ("macro", "paired_macro_error")):
        best = silhouette_table(samples, labels)[value].idxmax()
        behind = np.stack([table[value] - table.loc[best, value] for table in tables])
        np.testing.assert_allclose(errors[error], behind.std(axis=0), rtol=0.12, atol=1e-12)


def test_nulls_of_the_table_are_the_strictest():
    X = make_blobs(120, centers=3, random_state=1)[0]
    sweep = sweep_kmeans(X, [2, 3], n_init=2)
    nulls = null_silhouettes(X, [2, 3], n_references=4)
    table = compare_criteria(sweep, silhouette_table(silhouette_samples(X, sweep.labels), sweep.labels), nulls=nulls)
    assert table.loc[3, "null_score"] == pytest.approx(nulls.score[:, :, 1].mean(axis=1).max())
    assert table.loc[2, "null_macro_high"] == pytest.approx(np.quantile(nulls.macro[:, :, 0], 0.95, axis=1).max())


def test_indices_of_wine_as_published():
    """The package composite-silhouette gives 70.94 and 1.3892 for wine, standardised, k = 3."""
    from sklearn.datasets import load_wine

    X = normalize_features(load_wine().data, "standard")
    row = validity_indices(X, sweep_kmeans(X, [3]).labels).loc[3]
    assert row["calinski_harabasz"] == pytest.approx(70.94, abs=0.005)
    assert row["davies_bouldin"] == pytest.approx(1.3892, abs=5e-5)


def test_label_agreement():
    truth = np.array(["a", "a", "b", "b", "c", "c"])
    table = label_agreement(np.array([[0, 0, 1, 1, 1, 1], [2, 2, 0, 0, 1, 1]]), truth)
    assert table.index.tolist() == [2, 3]
    assert table.loc[3].tolist() == pytest.approx([1, 1, 1, 1])
    # Two classes in one cluster: complete, and not homogeneous.
    assert table.loc[2, "completeness"] == pytest.approx(1) and table.loc[2, "homogeneity"] < 0.7
    assert table.loc[2, "adjusted_rand"] == pytest.approx(4 / 9)
