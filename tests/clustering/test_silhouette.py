"""Silhouettes: scikit-learn's values, Rousseeuw's published ones, and small cases worked out by hand."""

from __future__ import annotations

import joblib
import numpy as np
import pytest
import scipy.sparse
import sklearn
from hypothesis import assume, example, given, settings, strategies
from sklearn.cluster import KMeans
from sklearn.datasets import make_blobs
from sklearn.metrics import pairwise_distances, silhouette_score
from sklearn.metrics import silhouette_samples as sklearn_silhouettes

from benchmarks.coverage import designs, estimate_coverage, table_honesty
from benchmarks.exactness import exact, nasty_cases
from helpers.clustering.distances import _SMALL, TILE, _cells, encode
from helpers.clustering.silhouette import (
    centroid_silhouette_samples,
    cluster_table,
    silhouette_details,
    silhouette_estimate,
    silhouette_samples,
    silhouette_table,
    typical_and_worst,
)
from helpers.core import scheduling

RNG = np.random.default_rng(0)
X = RNG.normal(size=(120, 6))
LABELINGS = np.stack([RNG.integers(0, k, 120) for k in range(2, 8)])


@pytest.mark.parametrize("metric", ["euclidean", "cosine", "sqeuclidean", "manhattan"])
@pytest.mark.parametrize("labels", LABELINGS, ids=lambda labels: f"k={labels.max() + 1}")
def test_equals_scikit_learn(metric, labels):
    np.testing.assert_allclose(
        silhouette_samples(X, labels, metric=metric), sklearn_silhouettes(X, labels, metric=metric), atol=1e-6
    )


def test_many_labelings_equal_one_at_a_time():
    together = silhouette_samples(X, LABELINGS)
    assert together.shape == LABELINGS.shape
    for samples, labels in zip(together, LABELINGS):
        np.testing.assert_allclose(samples, silhouette_samples(X, labels), atol=1e-6)


def test_worked_out_by_hand():
    """Points 0, 1 | 4, 6 on a line: a = 1 for the first, b = (4 + 6) / 2 = 5, so s = 4 / 5; and so on."""
    details = silhouette_details([[0.0], [1.0], [4.0], [6.0]], np.array([0, 0, 1, 1]))
    np.testing.assert_allclose(details.own, [1, 1, 2, 2])
    np.testing.assert_allclose(details.rival_distance, [5, 4, 3.5, 5.5])
    np.testing.assert_allclose(details.silhouette, [4 / 5, 3 / 4, 1.5 / 3.5, 3.5 / 5.5])
    np.testing.assert_array_equal(details.rival, [1, 1, 0, 0])


def test_rival_is_the_nearest_other_cluster():
    points = [[0.0], [0.1], [1.0], [1.1], [5.0], [5.1]]
    details = silhouette_details(points, np.array(["a", "a", "b", "b", "c", "c"]))
    assert details.rival.tolist() == ["b", "b", "a", "a", "b", "b"]


def test_cluster_of_one_scores_zero():
    samples = silhouette_samples([[0.0], [1.0], [9.0]], [0, 0, 1])
    assert samples[2] == 0 and (samples[:2] > 0).all()


def test_duplicates_in_two_clusters_score_zero():
    """Neither cluster is nearer when all distances are 0; scikit-learn says the same."""
    np.testing.assert_array_equal(silhouette_samples(np.ones((4, 3)), [0, 0, 1, 1]), np.zeros(4))


def test_constant_features_change_nothing():
    with_constant = np.hstack([X, np.full((len(X), 2), 3.0)])
    np.testing.assert_allclose(
        silhouette_samples(with_constant, LABELINGS[2]), silhouette_samples(X, LABELINGS[2]), atol=1e-6
    )


@pytest.mark.parametrize(
    "labels",
    [
        list("aabb"),
        [-1, -1, 7, 7],
        np.array([0.5, 0.5, 1.5, 1.5]),
        [True, True, False, False],
        np.array([2, 2, 300, 300], dtype=">i4"),
    ],
)
def test_any_kind_of_label(labels):
    expected = silhouette_samples([[0.0], [1.0], [4.0], [6.0]], [0, 0, 1, 1])
    np.testing.assert_array_equal(silhouette_samples([[0.0], [1.0], [4.0], [6.0]], labels), expected)


def test_input_is_left_alone():
    distances = np.abs(X[:, :1] - X[:, :1].T)
    for array, metric in ((X, "euclidean"), (X, "cosine"), (distances, "precomputed")):
        before = array.copy()
        silhouette_samples(array, LABELINGS, metric=metric)
        np.testing.assert_array_equal(array, before)


@pytest.mark.parametrize(
    ("points", "labels", "message"),
    [
        (X[:4], [0, 0, 0, 0], "Number of labels is 1. Valid values are 2 to n_samples - 1"),
        (X[:4], [0, 1, 2, 3], "Number of labels is 4"),
        (X[:4], [0, 1], "labels have the length 2, and X has 4 rows"),
        ([[0.0], [np.nan], [1.0]], [0, 0, 1], "contains NaN"),
        ([[0.0], [np.inf], [1.0]], [0, 0, 1], "contains infinity"),
        (np.empty((0, 2)), [], "minimum of 1 is required"),
        ([0.0, 1.0, 2.0], [0, 0, 1], "Expected 2D array"),
    ],
)
def test_impossible_input_is_refused(points, labels, message):
    with pytest.raises(ValueError, match=message):
        silhouette_samples(points, labels)


@pytest.mark.parametrize(
    ("distances", "message"),
    [
        (np.ones((3, 2)), r"must be square, and its shape is \(3, 2\)"),
        (np.ones((3, 3)), "non-zero elements on the diag"),
    ],
)
def test_impossible_distances_are_refused(distances, message):
    with pytest.raises(ValueError, match=message):
        silhouette_samples(distances, [0, 0, 1], metric="precomputed")


# --- exact where the fast formula is not ------------------------------------------------------------------------------


NASTY = {name: (points, labels) for name, points, labels in nasty_cases()}


@pytest.mark.parametrize(("points", "labels"), NASTY.values(), ids=NASTY)
def test_exact_on_nasty_data(points, labels):
    np.testing.assert_allclose(silhouette_samples(points, labels), exact(points, labels), atol=1e-6)


@pytest.mark.parametrize("name", NASTY)
def test_closed_form_of_squared_distances(name):
    points, labels = NASTY[name]
    ours = silhouette_samples(points, labels, metric="sqeuclidean")
    np.testing.assert_allclose(ours, exact(points, labels, "sqeuclidean"), atol=1e-6)


def test_cosine_of_rows_without_direction():
    points = np.vstack([X[:20], np.zeros((3, 6))])
    labels = np.arange(23) % 3
    lengths = np.maximum(np.linalg.norm(points, axis=1), 1e-100)
    distances = 1 - points @ points.T / np.outer(lengths, lengths)
    np.fill_diagonal(distances, 0)
    with np.errstate(invalid="ignore"):
        expected = sklearn_silhouettes(distances, labels, metric="precomputed")
    np.testing.assert_allclose(silhouette_samples(points, labels, metric="cosine"), expected, atol=1e-9)


@settings(max_examples=60, deadline=None)
@given(
    n=strategies.integers(3, 60),
    d=strategies.integers(1, 12),
    k=strategies.integers(2, 8),
    scale=strategies.sampled_from([1e-20, 1.0, 1e12]),
    offset=strategies.sampled_from([0.0, 1.0, 1e3]),
    levels=strategies.sampled_from([1, 2, 1000]),
    seed=strategies.integers(0, 10_000),
)
def test_exact_on_random_shapes_labels_and_duplicates(n, d, k, scale, offset, levels, seed):
    """Few levels of value make many duplicates; few samples in many clusters make singletons."""
    rng = np.random.default_rng(seed)
    points = (rng.integers(0, levels, size=(n, d)) + offset) * scale
    labels = rng.integers(0, k, n)
    labels[:2] = [0, 1]
    assume(len(set(labels.tolist())) < n)
    np.testing.assert_allclose(silhouette_samples(points, labels), exact(points, labels), atol=1e-6)


@pytest.mark.parametrize("metric", ["euclidean", "cosine", "manhattan"])
def test_sparse_input(metric):
    points = np.where(X > 0.5, X, 0)
    sparse = scipy.sparse.csr_array(points)
    if metric == "manhattan":
        sparse = scipy.sparse.csr_matrix(points)
    np.testing.assert_allclose(
        silhouette_samples(sparse, LABELINGS, metric=metric),
        silhouette_samples(points, LABELINGS, metric=metric),
        atol=1e-6,
    )


def test_more_samples_than_a_tile():
    points, labels = np.random.default_rng(1).normal(size=(2100, 5)), np.arange(2100) % 4
    np.testing.assert_allclose(silhouette_samples(points, labels), sklearn_silhouettes(points, labels), atol=1e-6)


# --- estimates --------------------------------------------------------------------------------------------------------


def blobs_of_unequal_size():
    """2,000 points in clusters of 1,500, 490 and 10."""
    return make_blobs(n_samples=[1500, 490, 10], n_features=5, cluster_std=3.0, random_state=0)


def test_estimate_from_all_rows_is_exact():
    points, labels = blobs_of_unequal_size()
    (estimate,) = silhouette_estimate(points, labels, n_rows=10**6)
    samples = silhouette_samples(points, labels)
    assert estimate.mean == pytest.approx(samples.mean(), abs=1e-6) and estimate.standard_error == 0
    np.testing.assert_allclose(estimate.cluster_means, [samples[labels == c].mean() for c in range(3)], atol=1e-6)


def test_estimate_misses_no_cluster():
    points, labels = blobs_of_unequal_size()
    (estimate,) = silhouette_estimate(points, labels, n_rows=10)
    assert np.bincount(labels[estimate.rows]).min() == 2 and np.isfinite(estimate.cluster_means).all()


def test_estimate_is_unbiased_and_its_errors_cover():
    """Over 200 seeds: the mean within three of its own standard errors; 1.96 errors cover in 90 to 99 of 100."""
    points, labels = blobs_of_unequal_size()
    truth = silhouette_samples(points, labels).mean()
    estimates = [silhouette_estimate(points, labels, n_rows=100, random_state=seed)[0] for seed in range(200)]
    means = np.array([estimate.mean for estimate in estimates])
    assert abs(means.mean() - truth) < 3 * means.std(ddof=1) / np.sqrt(len(means))
    covered = [abs(estimate.mean - truth) < 1.96 * estimate.standard_error for estimate in estimates]
    assert 0.90 <= np.mean(covered) <= 0.99


def test_estimated_share_of_positive_silhouettes_is_unbiased():
    """Small clusters have more rows than their share, so that their samples would count too much without weights."""
    points, labels = blobs_of_unequal_size()
    labels[np.flatnonzero(labels == 0)[:60]] = 2  # which belong elsewhere
    positive = silhouette_samples(points, labels) > 0
    estimates = [silhouette_estimate(points, labels, n_rows=100, random_state=seed)[0] for seed in range(200)]
    shares = np.array([estimate.positive for estimate in estimates])
    unweighted = np.array([positive[estimate.rows].mean() for estimate in estimates])
    error = shares.std(ddof=1) / np.sqrt(len(shares))
    assert abs(shares.mean() - positive.mean()) < 3 * error < abs(unweighted.mean() - positive.mean())


def test_estimate_of_many_labelings_and_its_errors():
    assert len(silhouette_estimate(X, LABELINGS, n_rows=20)) == len(LABELINGS)
    with pytest.raises(ValueError, match="n_rows = 1 is not possible"):
        silhouette_estimate(X, LABELINGS, n_rows=1)


# --- centroids --------------------------------------------------------------------------------------------------------


def test_centroid_silhouette_by_hand():
    """Centres 0.5 and 5: the first point has a = 0.5, b = 5."""
    expected = [4.5 / 5, 3.5 / 4, 2.5 / 3.5, 4.5 / 5.5]
    np.testing.assert_allclose(centroid_silhouette_samples([[0.0], [1.0], [4.0], [6.0]], [0, 0, 1, 1]), expected)


def test_after_k_means_no_centroid_silhouette_is_negative():
    labels = KMeans(6, n_init=2, random_state=0).fit_predict(X)
    assert centroid_silhouette_samples(X, labels).min() >= 0
    assert silhouette_samples(X, labels).min() < 0


# --- tables -----------------------------------------------------------------------------------------------------------


def test_table_of_a_small_labeling():
    samples = np.array([[0.5, 0.3, 0.0, -0.2]])
    table = silhouette_table(samples, np.array([[0, 0, 0, 1]]))
    row = table.loc[2]
    assert row["score"] == pytest.approx(0.15)
    assert row["macro"] == pytest.approx((0.8 / 3 - 0.2) / 2)
    assert row["median"] == pytest.approx(0.15)
    assert (row["positive"], row["zero"], row["negative"]) == (0.5, 0.25, 0.25)
    assert (row["mean_positive"], row["mean_negative"]) == pytest.approx((0.4, -0.2))
    assert (row["worst_cluster"], row["worst_mean"]) == pytest.approx((1, -0.2))


def test_a_cluster_of_one_does_not_look_certain():
    few = silhouette_table(np.array([[0.5, 0.3, 0.1, 0.9]]), np.array([[0, 0, 0, 1]]))
    assert few["macro_error"].item() > np.std([0.5, 0.3, 0.1], ddof=1) / np.sqrt(3) / 2


def test_table_without_negative_samples():
    row = silhouette_table(np.array([0.5, 0.5, 0.5]), np.array([0, 0, 1])).loc[2]
    assert row["negative"] == 0 and row["mean_negative"] == 0


def test_cluster_table():
    points, labels = np.array([[0.0], [0.2], [3.0], [3.4], [9.0]]), np.array([0, 0, 1, 1, 2])
    table = cluster_table(silhouette_details(points, labels), labels)
    assert table["size"].tolist() == [2, 2, 1]
    assert table["rival"].tolist() == [1, 0, 1]
    assert table.loc[2, "mean"] == 0 and table["negative"].tolist() == [0, 0, 0]


def test_typical_and_worst():
    silhouette, labels = np.array([0.1, 0.9, -0.3, 0.5, 0.7]), np.array([0, 0, 0, 1, 0])
    assert typical_and_worst(silhouette, labels, 0, n_worst=2).tolist() == [1, 2, 0]
    assert typical_and_worst(silhouette, labels, 1, n_worst=5).tolist() == [3]


def test_standard_errors_by_hand():
    """Variances 0.02 and 0.08 in two clusters of two: macro_error = sqrt(0.02 / 2 + 0.08 / 2) / 2."""
    samples, labels = np.array([0.5, 0.3, 0.0, -0.4]), np.array([0, 0, 1, 1])
    row = silhouette_table(samples, labels).loc[2]
    assert row["macro_error"] == pytest.approx(np.sqrt(0.05) / 2)
    assert row["standard_error"] == pytest.approx(np.std(samples, ddof=1) / 2)


def test_cluster_of_one_is_given_the_spread_of_the_others():
    """Squares 0.08 in the cluster of three, over n - k = 2: 0.04 for the one, and 0.04 in the three themselves."""
    row = silhouette_table(np.array([0.5, 0.3, 0.1, 0.9]), np.array([0, 0, 0, 1])).loc[2]
    assert row["macro_error"] == pytest.approx(np.sqrt(0.04 / 3 + 0.04) / 2)


def test_table_has_a_row_for_each_labeling_in_order():
    samples = silhouette_samples(X, LABELINGS)
    table = silhouette_table(samples, LABELINGS)
    assert table.index.tolist() == [2, 3, 4, 5, 6, 7]
    np.testing.assert_allclose(table["score"].astype(float), [silhouette_score(X, labels) for labels in LABELINGS])
    assert (table[["positive", "zero", "negative"]].sum(axis=1) - 1).abs().max() < 1e-12
    with pytest.raises(ValueError):
        silhouette_table(samples[:2], LABELINGS)


def test_cluster_table_counts_the_negative():
    """On a line 0, 1, 9 | 8, 10: the 9 is nearer to the others, the rest to their own."""
    points, labels = np.array([[0.0], [1.0], [9.0], [8.0], [10.0]]), np.array([0, 0, 0, 1, 1])
    table = cluster_table(silhouette_details(points, labels), labels)
    assert table["negative"].tolist() == pytest.approx([1 / 3, 0])


def test_typical_and_worst_of_a_cluster_that_is_not_there():
    assert typical_and_worst(np.array([0.1, 0.2]), np.array([0, 1]), 5, n_worst=3).tolist() == []
    assert typical_and_worst(np.array([0.1, 0.2]), np.array([0, 0]), 0, n_worst=0).tolist() == [1]


# --- more ways to ask -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("metric", ["euclidean", "cosine", "manhattan"])
def test_distances_computed_before_give_the_same(metric):
    distances = pairwise_distances(X, metric=metric)
    given = silhouette_samples(distances, LABELINGS, metric="precomputed")
    np.testing.assert_allclose(given, silhouette_samples(X, LABELINGS, metric=metric), atol=1e-12)
    for samples, labels in zip(given, LABELINGS):
        np.testing.assert_allclose(samples, sklearn_silhouettes(distances, labels, metric="precomputed"), atol=1e-12)


def test_chunks_of_rows_do_not_show():
    """A kilobyte of working memory takes the 120 rows of distances one at a time."""
    expected = silhouette_samples(X, LABELINGS)
    with sklearn.config_context(working_memory=0.001):
        chunked = silhouette_samples(X, LABELINGS)
    np.testing.assert_allclose(chunked, expected, atol=1e-12)


def test_labels_of_texts_for_many_labelings():
    named = np.array([[f"cluster {label}" for label in labels] for labels in LABELINGS])
    np.testing.assert_array_equal(silhouette_samples(X, named), silhouette_samples(X, LABELINGS))


def test_one_impossible_labeling_among_many_is_refused():
    with pytest.raises(ValueError, match="Number of labels is 1"):
        silhouette_samples(X, np.vstack([LABELINGS, np.zeros((1, 120), dtype=int)]))


def test_details_of_many_labelings_are_those_of_each():
    together = silhouette_details(X, LABELINGS)
    assert together.rival.shape == together.silhouette.shape == LABELINGS.shape
    for row, labels in enumerate(LABELINGS):
        alone = silhouette_details(X, labels)
        np.testing.assert_array_equal(together.rival[row], alone.rival)
        np.testing.assert_allclose(together.silhouette[row], alone.silhouette, atol=1e-12)


def test_duplicates_within_clusters_score_one():
    points = np.repeat(RNG.normal(size=(2, 50)), 4, axis=0)
    # 1e-6: the fast formula of distances leaves sqrt(1e-16) of rounding between equal points.
    np.testing.assert_allclose(silhouette_samples(points, np.repeat([0, 1], 4)), 1, atol=1e-6)


def test_duplicates_of_many_features_in_two_clusters_score_zero():
    """As above for ones, with features that are no round numbers: rounding must not be taken for distance."""
    for n_features in (50, 300, 1251, 1280):
        points = np.repeat(np.random.default_rng(n_features).normal(size=(1, n_features)), 26, axis=0)
        np.testing.assert_allclose(silhouette_samples(points, np.arange(26) % 2), 0, atol=1e-6)


@pytest.mark.parametrize("power", [1, 3])
def test_arguments_of_a_metric(power):
    ours = silhouette_samples(X, LABELINGS[1], metric="minkowski", p=power)
    np.testing.assert_allclose(ours, sklearn_silhouettes(X, LABELINGS[1], metric="minkowski", p=power), atol=1e-12)


@pytest.mark.parametrize("metric", ["seuclidean", "chebyshev", "l2", lambda x, y: np.abs(x - y).max()])
def test_other_metrics_of_scikit_learn(metric):
    """seuclidean measures the samples themselves; a function is asked for each pair."""
    ours = silhouette_samples(X, LABELINGS[1], metric=metric)
    np.testing.assert_allclose(ours, sklearn_silhouettes(X, LABELINGS[1], metric=metric), atol=1e-12)


@pytest.mark.filterwarnings("error")
def test_metric_of_yes_and_no():
    flags = X > 0
    ours = silhouette_samples(flags, LABELINGS[1], metric="jaccard")
    np.testing.assert_allclose(ours, sklearn_silhouettes(flags, LABELINGS[1], metric="jaccard"), atol=1e-12)


def test_unknown_metric_is_refused():
    with pytest.raises(ValueError, match="euclidian"):
        silhouette_samples(X, LABELINGS[0], metric="euclidian")


@pytest.mark.parametrize("form", [np.float32, np.int64, scipy.sparse.csr_array, scipy.sparse.coo_matrix])
def test_given_distances_in_any_form(form):
    whole = np.rint(10 * pairwise_distances(X))
    given = whole.astype(form) if form in (np.float32, np.int64) else form(whole)
    expected = silhouette_samples(whole, LABELINGS, metric="precomputed")
    np.testing.assert_allclose(silhouette_samples(given, LABELINGS, metric="precomputed"), expected, atol=1e-12)


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ([0.0, 1.0, np.nan, 1.0], "labels contain NaN"),
        (np.array([0, None, 1, 1], dtype=object), "labels contain NaN"),
        (np.zeros((0, 4)), r"not \(0, 4\)"),
        (np.zeros((1, 2, 4)), r"not \(1, 2, 4\)"),
    ],
)
def test_impossible_labels_are_refused(labels, message):
    with pytest.raises(ValueError, match=message):
        silhouette_samples(X[:4], labels)


@pytest.mark.parametrize("n", [_SMALL, _SMALL + 1, 3 * TILE, 3 * TILE + 1, 10 * TILE - 1])
def test_sizes_around_the_edges_of_tiles(n):
    points, labels = np.random.default_rng(n).normal(size=(n, 3)), np.arange(n) % 7
    np.testing.assert_allclose(silhouette_samples(points, labels), sklearn_silhouettes(points, labels), atol=1e-6)


@pytest.mark.parametrize("metric", ["euclidean", "sqeuclidean", "cosine"])
def test_the_number_of_threads_does_not_show(metric, monkeypatch):
    """Whoever counts the cores, each sum has the same terms in the same order."""
    points = np.random.default_rng(0).normal(size=(5000, 4)).astype(np.float32)
    labels = np.arange(5000) % 9
    expected = silhouette_samples(points, labels, metric=metric)
    monkeypatch.setattr(scheduling, "Parallel", lambda n_jobs, **kwds: joblib.Parallel(n_jobs=1, **kwds))
    np.testing.assert_array_equal(silhouette_samples(points, labels, metric=metric), expected)


@settings(max_examples=15, deadline=None)
@given(
    n=strategies.integers(_SMALL + 1, 1600),
    d=strategies.integers(1, 40),
    k=strategies.sampled_from([2, 9, 300, 900]),
    spread=strategies.sampled_from([0.0, 1e-6, 0.3, 0.6, 10.0]),
    offset=strategies.sampled_from([0.0, 1e6]),
    copies=strategies.sampled_from([1, 2, 50]),
    single=strategies.booleans(),
    seed=strategies.integers(0, 10_000),
)
# Few distinct points whose errors do not average out, found by a search: off by 1.1e-6.
@example(n=1025, d=1, k=2, spread=0.3, offset=0.0, copies=50, single=False, seed=0)
def test_exact_where_float32_is_used(n, d, k, spread, offset, copies, single, seed):
    """Groups more or less tight, duplicates, singletons and pairs; in either precision of the input.

    With distances exact to 1e-6, a silhouette, a difference of their means over the larger mean, is exact to 2e-6.
    """
    rng = np.random.default_rng(seed)
    groups = rng.integers(0, 6, n)
    points = (rng.normal(size=(6, d))[groups] + spread * rng.normal(size=(n, d)) + offset)[np.arange(n) // copies]
    points = points.astype(np.float32) if single else points
    labels = rng.integers(0, k, n)
    np.testing.assert_allclose(silhouette_samples(points, labels), exact(points, labels), rtol=0, atol=2e-6)


# --- honest errors ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "points", "labels"), list(designs()), ids=[name for name, _, _ in designs()])
def test_errors_of_estimates_cover(name, points, labels):
    """Of 100 seeds at least 86 hold the score: 95 are due, and fewer than 86 have a chance of 1 in 5,000."""
    found = estimate_coverage(points, labels, n_rows=200, repeats=100)
    assert found["coverage"] >= 0.86 and abs(found["bias / error"]) < 0.4
    assert found["clusters' coverage"] >= 0.85


def test_errors_of_the_table_are_no_more_than_twice_too_small():
    """Over new samples the score varies more than its error says, since silhouettes share distances."""
    ratios = [table_honesty(3, 300, d, width, repeats=60) for d, width in ((2, 0.3), (20, 1.0))]
    assert all(0.6 < ratio["score"] < 2.2 for ratio in ratios)


@pytest.mark.parametrize("counts", [[3], [2, 3], [2, 3, 4], [40, 2, 700, 3], [700, 701]])
def test_sums_over_cells_are_sums_over_clusters(counts):
    """Whatever is paired: also one labeling, and labelings that meet in more cells than are worth it."""
    rng = np.random.default_rng(0)
    labels = [rng.permutation(np.arange(1500) % k) for k in counts]
    values = rng.integers(0, 100, size=(1500, 4)).astype(np.float64)
    cells = _cells([encode(row) for row in labels], np.float64)
    expected = [values[row == cluster].sum(axis=0) for row in labels for cluster in np.unique(row)]
    np.testing.assert_array_equal(cells.sums(cells.members(slice(0, 1500)), values), expected)
    n_pairs = len(counts) - cells.columns.shape[1]
    assert n_pairs == {(2, 3): 1, (2, 3, 4): 1, (40, 2, 700, 3): 1}.get(tuple(counts), 0)
