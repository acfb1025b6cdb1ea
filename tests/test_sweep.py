"""The k-means sweep: scikit-learn's solutions, in one order, whatever the number of jobs or threads."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from sklearn.cluster import KMeans
from sklearn.datasets import load_iris, make_blobs
from threadpoolctl import threadpool_limits

from helpers.sweep import sweep_kmeans

BLOBS, TRUTH = make_blobs(300, n_features=5, centers=3, cluster_std=0.5, random_state=0)


def test_shapes_and_types():
    sweep = sweep_kmeans(BLOBS, range(1, 5), n_init=2)
    assert sweep.labels.shape == (4, 300) and sweep.labels.dtype == np.int32
    assert sweep.k_values.tolist() == [1, 2, 3, 4]
    assert sweep.inertia.dtype == np.float64
    assert [centers.shape for centers in sweep.centers] == [(k, 5) for k in range(1, 5)]


def test_finds_separated_blobs():
    labels = sweep_kmeans(BLOBS, [3]).labels[0]
    assert len(set(zip(labels.tolist(), TRUTH.tolist()))) == 3  # one to one


@pytest.mark.parametrize(
    "X", [load_iris().data, np.random.default_rng(0).normal(size=(400, 10))], ids=["iris", "noise"]
)
def test_inertia_is_no_worse_than_scikit_learns(X):
    """Within half a percent: both are local searches from random starts, and X is taken as float32 here."""
    sweep = sweep_kmeans(X, range(2, 8), n_init=10)
    for k, inertia in zip(sweep.k_values, sweep.inertia):
        best = min(KMeans(k, n_init=10, random_state=seed).fit(X).inertia_ for seed in range(3))
        assert inertia <= best * 1.005


def test_inertia_centers_and_labels_belong_together():
    sweep = sweep_kmeans(BLOBS, [2, 4], n_init=3)
    for labels, inertia, centers in zip(sweep.labels, sweep.inertia, sweep.centers):
        squares = ((BLOBS[:, np.newaxis] - centers) ** 2).sum(axis=2)
        np.testing.assert_array_equal(squares.argmin(axis=1), labels)
        np.testing.assert_allclose(squares.min(axis=1).sum(), inertia, rtol=1e-5)  # float32


def test_clusters_are_ordered_by_size():
    for labels in sweep_kmeans(BLOBS[:250], range(2, 9), n_init=2).labels:
        sizes = np.bincount(labels)
        assert (np.diff(sizes) <= 0).all()


def test_equal_with_any_number_of_jobs_and_threads():
    X = np.random.default_rng(1).normal(size=(500, 20))
    expected = sweep_kmeans(X, range(2, 8), n_init=3, random_state=7)
    with threadpool_limits(limits=2):
        for n_jobs in (None, 1, 2):
            sweep = sweep_kmeans(X, range(2, 8), n_init=3, random_state=7, n_jobs=n_jobs)
            np.testing.assert_array_equal(sweep.labels, expected.labels)
            np.testing.assert_array_equal(sweep.inertia, expected.inertia)


def test_another_seed_gives_another_start():
    X = np.random.default_rng(1).normal(size=(500, 20))
    first, second = (sweep_kmeans(X, [8], n_init=1, random_state=seed) for seed in (0, 1))
    assert not np.array_equal(first.labels, second.labels)


def test_a_cluster_for_each_point():
    sweep = sweep_kmeans([[0.0], [1.0], [5.0]], [3])
    assert sorted(sweep.labels[0].tolist()) == [0, 1, 2] and sweep.inertia[0] == 0


def test_input_is_left_alone():
    X = BLOBS.astype(np.float32)
    X.setflags(write=False)
    before = X.copy()
    sweep_kmeans(X, [2, 3], n_init=1)
    np.testing.assert_array_equal(X, before)


@pytest.mark.parametrize(
    ("X", "k_values", "message"),
    [
        ([[0.0], [np.nan]], [2], "contains NaN"),
        ([[0.0], [np.inf]], [2], "contains infinity"),
        ([0.0, 1.0], [2], "Expected 2D array"),
        (np.empty((0, 3)), [2], "minimum of 1 is required"),
        ([[0.0], [1.0]], [], "k_values is empty"),
        ([[0.0], [1.0]], [1.5], "must be whole numbers"),
        ([[0.0], [1.0]], [0], "k = 0 is not possible: k must lie between 1 and the 2 distinct points"),
        ([[0.0], [1.0]], [3], "k = 3 is not possible"),
        ([[0.0], [0.0], [1.0], [1.0]], [3], "between 1 and the 2 distinct points"),
    ],
)
def test_impossible_input_is_refused(X, k_values, message):
    with pytest.raises(ValueError, match=message):
        sweep_kmeans(X, k_values)


@pytest.mark.parametrize(("X", "k_values"), [([[0.0], [1.0]], []), ([[0.0], [1.0]], [0]), ([[0.0], [0.0]], [2])])
def test_refusal_is_one_sentence(X, k_values):
    with pytest.raises(ValueError) as error:
        sweep_kmeans(X, k_values)
    text = str(error.value)
    assert text.endswith(".") and "\n" not in text and ". " not in text


def test_one_cluster_is_the_mean_of_all():
    sweep = sweep_kmeans(BLOBS, [1])
    assert set(sweep.labels[0]) == {0}
    np.testing.assert_allclose(sweep.centers[0], [BLOBS.mean(axis=0)], rtol=1e-4)  # float32
    np.testing.assert_allclose(sweep.inertia, [((BLOBS - BLOBS.mean(axis=0)) ** 2).sum()], rtol=1e-5)


def test_equal_points_make_one_cluster():
    assert sweep_kmeans(np.ones((5, 2)), [1]).inertia == [0]


@pytest.mark.parametrize("n_threads", [1, 2])
def test_limit_on_threads_is_left_as_it_was(n_threads):
    """The sweep sets the limit to one for itself alone; OpenMP's is the one that k-means runs on."""
    from threadpoolctl import threadpool_info

    def openmp():
        return [pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "openmp"]

    with threadpool_limits(limits=n_threads):
        before = openmp()
        sweep_kmeans(BLOBS, [2, 3], n_init=1)
        assert openmp() == before


def test_sweep_of_two_jobs_leaves_the_warnings_as_they_were():
    """`warnings.catch_warnings` is not safe in threads: ten sweeps, since one may be lucky in its order."""
    with warnings.catch_warnings():
        before = list(warnings.filters)
        for _ in range(10):
            sweep_kmeans(BLOBS, range(2, 6), n_init=1, n_jobs=2)
        assert list(warnings.filters) == before
