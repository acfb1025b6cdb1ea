"""The k-means sweep: solutions as good as scikit-learn's, in one order, whatever the number of jobs or threads."""

from __future__ import annotations

import os
import subprocess
import sys
import tracemalloc
import warnings
from pathlib import Path

import numpy as np
import pytest
from joblib import parallel_config
from sklearn.cluster import KMeans
from sklearn.datasets import load_digits, load_iris, make_blobs
from threadpoolctl import threadpool_limits

from helpers.clustering.sweep import _farther, _fill_empty, count_distinct, sweep_kmeans

ROOT = Path(__file__).parents[2]
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


SETS = {
    "iris": load_iris().data,
    "digits": load_digits().data[::3],
    "noise": np.random.default_rng(0).normal(size=(400, 10)),
    "twenty blobs": make_blobs(600, n_features=8, centers=20, cluster_std=1.5, random_state=1)[0],
    "features": np.maximum(
        np.random.default_rng(2).normal(size=(300, 12)) @ np.random.default_rng(3).normal(size=(12, 400)), 0
    ),
}


def check_coherence(X, sweep, rtol=1e-9):
    """Centres are means, inertia is theirs, each point has its nearest centre, no cluster is empty, inertia falls."""
    X = np.asarray(X, dtype=np.float64)
    X = X - X.mean(axis=0)
    for k, labels, inertia, centers in zip(sweep.k_values, sweep.labels, sweep.inertia, sweep.centers):
        assert set(labels) == set(range(k))
        means = np.stack([X[labels == cluster].mean(axis=0) for cluster in range(k)])
        squares = ((X[:, np.newaxis] - means) ** 2).sum(axis=2)
        own = squares[np.arange(len(X)), labels]
        np.testing.assert_allclose(inertia, own.sum(), rtol=rtol, atol=1e-25 * (X**2).sum())
        assert (own - squares.min(axis=1)).max() <= 1e-12 * (X**2).sum(axis=1).max()
        assert len(centers) == k
    order = np.argsort(sweep.k_values, kind="stable")
    assert (np.diff(sweep.inertia[order]) <= 0).all()


@pytest.mark.parametrize("name", SETS)
def test_inertia_is_no_worse_than_scikit_learns(name):
    """At each k within 1% of the best of ten restarts and better on the whole: all are local searches."""
    X = SETS[name]
    sweep = sweep_kmeans(X, range(2, 11))
    best = [KMeans(k, n_init=10, random_state=0).fit(X).inertia_ for k in sweep.k_values]
    ratios = sweep.inertia / best
    assert ratios.max() <= 1.01
    assert ratios.mean() <= 1.001


@pytest.mark.parametrize("name", SETS)
def test_scikit_learn_finds_nothing_to_improve(name):
    """Lloyd's iterations, started at our centres, end where they start."""
    X = SETS[name]
    sweep = sweep_kmeans(X, [2, 5, 9], n_init=2)
    check_coherence(X, sweep)
    for k, inertia, centers in zip(sweep.k_values, sweep.inertia, sweep.centers):
        further = KMeans(k, init=centers, n_init=1, tol=0).fit(X)
        assert further.inertia_ >= inertia * (1 - 1e-9)


def test_inertia_centers_and_labels_belong_together():
    sweep = sweep_kmeans(BLOBS, [2, 4], n_init=3)
    for labels, inertia, centers in zip(sweep.labels, sweep.inertia, sweep.centers):
        squares = ((BLOBS[:, np.newaxis] - centers) ** 2).sum(axis=2)
        np.testing.assert_array_equal(squares.argmin(axis=1), labels)
        np.testing.assert_allclose(squares.min(axis=1).sum(), inertia, rtol=1e-12)
        np.testing.assert_allclose(centers, [BLOBS[labels == cluster].mean(axis=0) for cluster in range(len(centers))])


@pytest.mark.parametrize("k_values", [range(1, 25), [24, 2, 9], [40, 1], [5, 3, 5, 4]], ids=str)
@pytest.mark.parametrize("seed", range(3))
def test_inertia_never_rises_with_k(k_values, seed):
    """With one poor restart only, also over gaps, out of order and with repeats."""
    X = np.random.default_rng(seed).normal(size=(60, 70))  # more features than the restarts see
    sweep = sweep_kmeans(X, k_values, n_init=1, random_state=seed)
    assert sweep.k_values.tolist() == list(k_values)
    check_coherence(X, sweep)


def test_inertia_never_rises_where_the_leading_components_mislead(monkeypatch):
    """On one component of five equal ones, the restart for a larger k may be worse on all features."""
    monkeypatch.setattr("helpers.clustering.sweep._N_COMPONENTS", 1)
    for seed in range(5):
        X = np.random.default_rng(seed).normal(size=(50, 5))
        check_coherence(X, sweep_kmeans(X, range(1, 30), n_init=1))


def test_repeats_are_equal_and_order_does_not_matter():
    mixed, sorted_ = sweep_kmeans(BLOBS, [5, 3, 5], n_init=2), sweep_kmeans(BLOBS, [3, 5], n_init=2)
    np.testing.assert_array_equal(mixed.labels, sorted_.labels[[1, 0, 1]])
    np.testing.assert_array_equal(mixed.inertia, sorted_.inertia[[1, 0, 1]])


@pytest.mark.parametrize("seed", range(5))
def test_no_cluster_is_empty_with_duplicates(seed):
    """Every k up to the number of distinct points, most of which are equal to many others."""
    rng = np.random.default_rng(seed)
    distinct = np.unique(rng.integers(0, 4, size=(12, 2)).astype(float), axis=0)
    X = distinct[
        np.concatenate(
            [np.arange(len(distinct)), rng.choice(len(distinct), 200, p=rng.dirichlet(np.full(len(distinct), 0.2)))]
        )
    ]
    sweep = sweep_kmeans(X, range(1, len(distinct) + 1), n_init=1, random_state=seed)
    check_coherence(X, sweep)
    assert sweep.inertia[-1] == pytest.approx(0, abs=1e-20)


def test_no_cluster_is_empty_where_the_leading_components_are_equal():
    """Points that differ only in what the restarts do not see."""
    X = np.zeros((400, 100))
    X[:, :64] = np.random.default_rng(0).normal(size=(4, 64))[np.arange(400) % 4] * 1000
    X[np.arange(36), 64 + np.arange(36)] = 1e-6
    sweep = sweep_kmeans(X, [4, 20, 40], n_init=1)
    check_coherence(X, sweep)


def test_empty_clusters_are_not_given_the_same_point_twice():
    """The farthest point has an equal: the second empty cluster gets the next farthest, and not that equal."""
    points = np.array([[0.0], [0.0], [0.0], [3.0], [10.0], [10.0]])  # their mean is 3.8
    assert _fill_empty(points, np.zeros(6, dtype=np.int32), 3).tolist() == [2, 0, 0, 0, 1, 0]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(("offset", "scale"), [(1e6, 1), (0, 1e6), (0, 1e-9), (0, 1e100)])
def test_offset_and_scale_cost_no_digits(dtype, offset, scale):
    if dtype == np.float32 and scale == 1e100:
        pytest.skip("beyond float32")
    X = (BLOBS * scale + offset).astype(dtype)
    sweep = sweep_kmeans(X, [2, 3, 6], n_init=2)
    check_coherence(X, sweep)
    np.testing.assert_array_equal(sweep.labels[1], sweep_kmeans(BLOBS, [2, 3, 6], n_init=2).labels[1])


def test_one_feature_of_huge_scale():
    X = BLOBS * [1, 1, 1e8, 1, 1]
    check_coherence(X, sweep_kmeans(X, range(1, 8), n_init=2))


def test_tight_clusters_far_apart():
    """Four clusters in two pairs, each pair a ten-thousandth wide."""
    corners = np.array([[0, 0], [0, 1e-4], [1, 0], [1, 1e-4]])
    truth = np.arange(200) % 4
    X = corners[truth] + np.random.default_rng(0).normal(size=(200, 2)) * 1e-6
    labels = sweep_kmeans(X, range(2, 5)).labels[-1]
    assert len(set(zip(labels.tolist(), truth.tolist()))) == 4


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


PROGRAM = """
import hashlib, numpy as np
from helpers.clustering.sweep import sweep_kmeans
X = np.random.default_rng(1).normal(size=(500, 90)).astype("float32")
for n_jobs in (1, 2):
    sweep = sweep_kmeans(X, [2, 3, 4, 9, 16], n_init=3, n_jobs=n_jobs)
    print(hashlib.sha256(sweep.labels.tobytes() + sweep.inertia.tobytes() + sweep.centers[-1].tobytes()).hexdigest())
"""


def test_equal_in_processes_with_one_and_two_threads():
    said = set()
    for n_threads in "12":
        environment = os.environ | {"OMP_NUM_THREADS": n_threads, "OPENBLAS_NUM_THREADS": n_threads}
        run = subprocess.run(
            [sys.executable, "-c", PROGRAM], env=environment, cwd=ROOT, capture_output=True, text=True, check=True
        )
        said.update(run.stdout.split())
    assert len(said) == 1


def test_equal_with_processes_as_workers():
    X = np.random.default_rng(1).normal(size=(200, 5))
    expected = sweep_kmeans(X, [2, 3, 5], n_init=2)
    with parallel_config(backend="loky", n_jobs=2):
        np.testing.assert_array_equal(sweep_kmeans(X, [2, 3, 5], n_init=2).labels, expected.labels)


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
        ([[0.0], [1.0]], [2.0], "must be whole numbers"),
        ([[0.0], [1.0]], ["2"], "must be whole numbers"),
        ([[0.0], [1.0]], [True], "must be whole numbers"),
        ([[0.0], [1.0]], [np.True_], "must be whole numbers"),
        ([[0.0], [1.0]], [-1], "k = -1 is not possible"),
        ([[-1e200], [1e200]], [2], "the squares of that leave the range of numbers: rescale it"),
        ([[0.0], [1.0]], [0], "k = 0 is not possible: k must lie between 1 and the 2 distinct points"),
        ([[0.0], [1.0]], [3], "k = 3 is not possible"),
        ([[0.0], [0.0], [1.0], [1.0]], [3], "between 1 and the 2 distinct points"),
    ],
)
def test_impossible_input_is_refused(X, k_values, message):
    with pytest.raises(ValueError, match=message):
        sweep_kmeans(X, k_values)


@pytest.mark.parametrize(
    ("X", "k_values"), [([[0.0], [1.0]], []), ([[0.0], [1.0]], [0]), ([[0.0], [0.0]], [2]), ([[0.0], [1e200]], [2])]
)
def test_refusal_is_one_sentence(X, k_values):
    with pytest.raises(ValueError) as error:
        sweep_kmeans(X, k_values)
    text = str(error.value)
    assert text.endswith(".") and "\n" not in text and ". " not in text


def test_no_draw_is_refused():
    with pytest.raises(ValueError, match="n_init = 0 is not possible"):
        sweep_kmeans(BLOBS, [2], n_init=0)


def test_one_cluster_is_the_mean_of_all():
    sweep = sweep_kmeans(BLOBS, [1])
    assert set(sweep.labels[0]) == {0}
    np.testing.assert_allclose(sweep.centers[0], [BLOBS.mean(axis=0)])
    np.testing.assert_allclose(sweep.inertia, [((BLOBS - BLOBS.mean(axis=0)) ** 2).sum()])


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


# --- in batches -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["iris", "digits", "twenty blobs", "features"])
def test_minibatch_is_near_to_lloyd(name):
    X, k_values = SETS[name], [2, 5, 9]
    sweep, best = sweep_kmeans(X, k_values, algorithm="minibatch"), sweep_kmeans(X, k_values)
    assert (sweep.algorithm, best.algorithm) == ("minibatch", "lloyd")
    assert (sweep.inertia / best.inertia).max() < 1.05
    for k, labels, inertia, centers in zip(k_values, sweep.labels, sweep.inertia, sweep.centers):
        sizes = np.bincount(labels, minlength=k)
        assert (sizes > 0).all() and (np.diff(sizes) <= 0).all()
        means = np.stack([X[labels == cluster].mean(axis=0) for cluster in range(k)])
        np.testing.assert_allclose(centers, means, rtol=1e-9, atol=1e-9)
        np.testing.assert_allclose(inertia, ((X - means[labels]) ** 2).sum(), rtol=1e-9)


def test_minibatch_of_many_batches_is_the_same_from_a_file_and_with_any_number_of_jobs(tmp_path, monkeypatch):
    monkeypatch.setattr("helpers.clustering.sweep._BATCH", 64)
    monkeypatch.setattr("helpers.clustering.sweep._VALUES", 1)
    X = SETS["twenty blobs"].astype(np.float32)
    np.save(tmp_path / "X.npy", X)
    options = {"n_init": 3, "algorithm": "minibatch"}
    first = sweep_kmeans(X, [3, 8], **options)
    assert (first.inertia / sweep_kmeans(X, [3, 8]).inertia).max() < 1.05
    for again in (
        sweep_kmeans(np.load(tmp_path / "X.npy", mmap_mode="r"), [3, 8], **options),
        sweep_kmeans(X, [8, 3, 5], n_jobs=2, **options),
    ):
        of = {k: (labels, inertia) for k, labels, inertia in zip(again.k_values, again.labels, again.inertia)}
        for k, labels, inertia in zip(first.k_values, first.labels, first.inertia):
            np.testing.assert_array_equal(of[k][0], labels)
            assert of[k][1] == inertia


def test_minibatch_never_holds_all_points(tmp_path, monkeypatch):
    """The most that is allocated, beyond what a file maps, is less than the points take."""
    monkeypatch.setattr("helpers.clustering.sweep._VALUES", 1)
    X = np.lib.format.open_memmap(tmp_path / "X.npy", mode="w+", dtype=np.float32, shape=(40_000, 64))
    X[:] = np.random.default_rng(0).normal(size=(1000, 64)).repeat(40, axis=0)
    tracemalloc.start()
    try:
        sweep_kmeans(X, [2, 3], n_init=1, algorithm="minibatch", n_jobs=1)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < X.nbytes / 2


@pytest.mark.parametrize("X", [np.repeat(np.arange(4.0), 30)[:, np.newaxis], np.arange(12.0).reshape(6, 2)], ids=str)
def test_minibatch_leaves_no_cluster_empty(X):
    k = len(np.unique(X, axis=0))
    sweep = sweep_kmeans(X, [k], algorithm="minibatch")
    assert set(sweep.labels[0]) == set(range(k)) and sweep.inertia[0] == pytest.approx(0, abs=1e-12)


def test_distinct_points_are_counted_in_batches(monkeypatch):
    monkeypatch.setattr("helpers.clustering.sweep._BATCH", 3)
    X = np.array([[0.0, 1], [-0.0, 1], [0, 2], [0, 1], [0, 3], [0, 2]])
    assert len(sweep_kmeans(X, [3]).centers[0]) == 3
    with pytest.raises(ValueError, match="k must lie between 1 and the 3 distinct points"):
        sweep_kmeans(X, [4])


def test_distinct_points_may_be_very_near_and_are_counted_until_there_are_enough(monkeypatch):
    monkeypatch.setattr("helpers.clustering.sweep._BATCH", 4)
    X = np.array([[0.0, 0], [1, 0], [0, 1], [1, 1]] * 3) * 1e-200
    asked = []
    monkeypatch.setattr("helpers.clustering.sweep._farther", lambda *given: asked.append(1) or _farther(*given))
    assert count_distinct(X, 5) == 4 and len(asked) == 4 + 4 + 4
    assert count_distinct(X, 3) == 3 and len(asked) == 12 + 3


def test_an_unknown_algorithm_is_refused():
    with pytest.raises(ValueError, match="algorithm = 'elkan' is not allowed; allowed are 'lloyd' and 'minibatch'"):
        sweep_kmeans(BLOBS, [2], algorithm="elkan")
