"""The k-means sweep: one clustering for each number of clusters, from common starts.

A restart is one draw of k-means++ (Arthur & Vassilvitskii 2007, k-means++: the advantages of careful seeding) with the
centres of the largest k: since they are drawn one after the other, the first k of them are a draw for k. Each k is also
tried from the best clustering of the k before it with centres added, as by Likas et al. (2003, The global k-means
clustering algorithm, Pattern Recognition 36, 451-461), so that inertia never rises with k.

Restarts only have to be compared, so scikit-learn's Lloyd runs them in float32 on the leading principal components.
The best of them is then finished on all features in float64, until no point changes its cluster.

Points that do not fit into memory are read from their file in random batches, by scikit-learn's MiniBatchKMeans
(Sculley 2010, Web-scale k-means clustering), each k by itself; see `sweep_kmeans`.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from numbers import Integral

import numpy as np
from scipy.sparse import csr_array
from sklearn import config_context
from sklearn.cluster import KMeans, MiniBatchKMeans, kmeans_plusplus
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics.pairwise import euclidean_distances
from sklearn.utils import gen_batches
from sklearn.utils.extmath import randomized_svd
from tqdm import tqdm

from ..core.scheduling import one_thread, run_tasks
from .centring import check_points, check_squares, mean_and_scale

_N_COMPONENTS = 64  # on which restarts are compared
_MAX_ITER = 300  # as in scikit-learn; on all but contrived data k-means stops earlier
_N_CANDIDATES = 8  # points from which a further centre is chosen
_N_ROUNDS = 2  # in which each k is tried from the k before it and the k after it
_BATCH = 2048  # rows whose distances to all centres are held at once
_VALUES = 2**22  # of the rows that are added up at once
_N_PASSES = 3  # over points that are read in batches; seven more were seen to lower inertia by about 1 %

_Start = tuple[np.ndarray, float]  # labels and their inertia on the leading components
_Fit = tuple[np.ndarray, float, np.ndarray]  # labels, inertia and centres on all features


@dataclass(frozen=True)
class KMeansSweep:
    """K-means clusterings of the same n points for m numbers of clusters.

    Attributes
    ----------
    k_values : ndarray of int64, shape (m,)
        The numbers of clusters.
    labels : ndarray of int32, shape (m, n)
        The cluster of each point, a row for each k; cluster 0 is the largest, and none is empty.
    inertia : ndarray of float64, shape (m,)
        Sum of the squared distances of the points to their centres; with ``lloyd`` it never rises with k.
    centers : list of ndarray of float64, shape (k, p)
        The means of the clusters, for each k.
    algorithm : {'lloyd', 'minibatch'}
        The algorithm that found them.
    """

    k_values: np.ndarray
    labels: np.ndarray
    inertia: np.ndarray
    centers: list[np.ndarray]
    algorithm: str


def sweep_kmeans(
    X: np.ndarray,
    k_values: Sequence[int],
    *,
    n_init: int = 10,
    random_state: int = 0,
    n_jobs: int | None = None,
    algorithm: str = "lloyd",
) -> KMeansSweep:
    """Fit k-means once for each k, so that inertia and silhouettes describe the same clusterings.

    Parameters
    ----------
    X : array-like, shape (n, p)
        Points, float32 or float64; for ``minibatch`` an array that is mapped from a file need not fit into memory.
    k_values : sequence of int
        Numbers of clusters, in any order, each at least 1 and at most the number of distinct points.
        The clustering for one k depends on the other ks, which have their starts in common with it.
    n_init : int
        Number of draws of centres, each tried for every k.
    random_state : int
        Seed; the result depends on neither `n_jobs` nor the number of threads.
    n_jobs : int, optional
        Number of fits at once, as in joblib.
    algorithm : {'lloyd', 'minibatch'}
        ``minibatch`` holds a batch of points at a time, fits each k by itself, and ends near a local optimum where
        ``lloyd`` ends in one.

    Returns
    -------
    KMeansSweep

    Raises
    ------
    ValueError
        If there is no such algorithm, X is not a finite matrix, its squares leave the range of numbers, or a k is not
        possible for it.

    Examples
    --------
    >>> import numpy as np
    >>> sweep = sweep_kmeans(np.array([[0.0], [1.0], [9.0], [10.0], [11.0]]), [1, 2])
    >>> sweep.labels.tolist()
    [[0, 0, 0, 0, 0], [1, 1, 0, 0, 0]]
    >>> sweep.inertia.round(3).tolist(), sweep.centers[1].round(3).tolist()
    ([110.8, 2.5], [[10.0], [0.5]])
    """
    X = check_points(X, dtype=[np.float64, np.float32], order="C")
    ks = _check_k_values(k_values, X)
    if n_init < 1:
        raise ValueError(f"n_init = {n_init} is not possible: at least one draw of centres is needed.")
    if algorithm not in ("lloyd", "minibatch"):
        raise ValueError(f"algorithm = {algorithm!r} is not allowed; allowed are 'lloyd' and 'minibatch'.")
    points = _standardize(X)
    # One thread for each fit: the order in which threads add up would show in the last digits, and then in labels.
    # Warnings are silenced here and not in the fits, since threads have one list of filters in common.
    with one_thread(__name__), warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # of equal centres, which `_finish` tells apart
        find = _sweep if algorithm == "lloyd" else _by_batches
        fits = find(points, sorted(set(ks)), n_init, random_state, n_jobs)
    labels, inertia, centers = zip(*(fits[k] for k in ks))
    return KMeansSweep(
        np.array(ks),
        np.stack(labels),
        np.array(inertia) * points.scale**2,
        [part * points.scale + points.mean for part in centers],
        algorithm,
    )


def _check_k_values(k_values: Sequence[int], X: np.ndarray) -> list[int]:
    ks = list(k_values)
    if not ks:
        raise ValueError("k_values is empty; name at least one number of clusters.")
    if not all(isinstance(k, Integral) and not isinstance(k, bool) for k in ks):
        raise ValueError(f"k_values = {ks} must be whole numbers.")
    distinct = count_distinct(X, max(ks))
    for k in ks:
        if not 1 <= k <= distinct:
            raise ValueError(f"k = {k} is not possible: k must lie between 1 and the {distinct} distinct points of X.")
    return [int(k) for k in ks]


def count_distinct(X: np.ndarray, enough: int, tolerance: float = 0.0) -> int:
    """Count the distinct rows of a matrix until there are enough, so a larger number may stand for more.

    Parameters
    ----------
    X : ndarray, shape (n, d)
    enough : int
    tolerance : float
        Rows no farther apart than this are one.

    Examples
    --------
    >>> import numpy as np
    >>> X = np.array([[0.0, 1.0], [-0.0, 1.0], [2.0, 1.0], [2.1, 1.0]])
    >>> count_distinct(X, 4), count_distinct(X, 4, tolerance=0.5)
    (3, 2)
    """
    widest = np.ptp(X[:_BATCH], axis=0).argmax()
    distinct = _count_apart(X[:, widest], tolerance)  # a lower bound, which takes less time than comparing whole rows
    if distinct >= enough:
        return distinct
    found: list[np.ndarray] = []
    for rows in gen_batches(len(X), _BATCH):
        left = X[rows].astype(np.float64)
        for one in found:
            left = _farther(left, one, tolerance)
        while len(left) and len(found) < enough:
            found.append(left[0])
            left = _farther(left, left[0], tolerance)
        if len(found) >= enough:
            break
    return len(found)


def _farther(rows: np.ndarray, one: np.ndarray, tolerance: float) -> np.ndarray:
    """Select the rows farther from one than a tolerance; squares of tiny differences would be 0, and are not taken."""
    return rows[np.hypot.reduce(rows - one, axis=1) > tolerance]


def _count_apart(values: np.ndarray, tolerance: float) -> int:
    """Count the runs of sorted values that a gap wider than a tolerance divides."""
    return 1 + int((np.diff(np.sort(values)) > tolerance).sum())


@dataclass(frozen=True)
class _Points:
    """Points centred and scaled to lie within 1 of their mean, so that an offset or a scale costs no digits."""

    X: np.ndarray
    mean: np.ndarray
    scale: float
    dtype = np.dtype(np.float64)

    def __len__(self) -> int:
        return len(self.X)

    def __getitem__(self, rows: slice | np.ndarray) -> np.ndarray:
        """Centre and scale some of them in float64."""
        points = np.subtract(self.X[rows], self.mean, dtype=np.float64)
        points /= self.scale
        return points


def _standardize(X: np.ndarray) -> _Points:
    mean, scale = mean_and_scale(X)
    check_squares(scale, X.size)
    return _Points(X, mean, scale)


def _sweep(rows: _Points, ks: list[int], n_init: int, random_state: int, n_jobs: int | None) -> dict[int, _Fit]:
    """Fit each k, in ascending order."""
    points = rows[:]
    rng = np.random.RandomState(random_state)
    view = _leading_components(points, rng)
    draws = [kmeans_plusplus(view, ks[-1], random_state=rng)[0] for _ in range(n_init)]
    # The largest k first, since it takes longest.
    tasks = [(centers[:k],) for k in reversed(ks) for centers in draws]
    runs = run_tasks(_lloyd, tasks, shared=(view,), n_jobs=n_jobs, desc="k-means", unit="fit")
    best: dict[int, _Start] = {}
    for start, (centers,) in zip(runs, tasks):
        best[len(centers)] = _better(best.get(len(centers)), start)
    starts = {k: best[k] for k in ks}
    _learn_from_neighbors(view, starts, rng)
    fits: dict[int, _Fit] = {}
    for k in tqdm(ks, desc="k-means, finish", delay=2, unit="k"):
        fits[k] = _fit(points, starts[k][0], k, fits[max(fits)] if fits else None, rng)
    return fits


def _leading_components(points: np.ndarray, rng: np.random.RandomState) -> np.ndarray:
    """Turn points to float32, and project those with many features on their leading principal axes."""
    view = points.astype(np.float32)
    if view.shape[1] <= _N_COMPONENTS:
        return view
    _, _, axes = randomized_svd(view, min(_N_COMPONENTS, len(view)), n_iter=2, random_state=rng)
    return view @ axes.T


def _lloyd(view: np.ndarray, centers: np.ndarray) -> _Start:
    """Run Lloyd's algorithm from some centres (a task)."""
    # The points were checked by `sweep_kmeans`.
    with config_context(assume_finite=True, skip_parameter_validation=True):
        kmeans = KMeans(len(centers), init=centers, n_init=1).fit(view)
    return kmeans.labels_, float(kmeans.inertia_)


def _better(first: _Start | None, second: _Start) -> _Start:
    return second if first is None or second[1] < first[1] else first


def _learn_from_neighbors(view: np.ndarray, starts: dict[int, _Start], rng: np.random.RandomState) -> None:
    """Try each k from the k before it with centres added, and from the k after it with centres removed."""
    steps = list(pairwise(starts))
    for _ in tqdm(range(_N_ROUNDS), desc="k-means, neighbours", delay=2, unit="round"):
        for smaller, k in steps:
            labels = _grow(view, starts[smaller][0], smaller, k, rng)
            starts[k] = _better(starts[k], _lloyd(view, _means(view, labels, k)))
        for k, larger in reversed(steps):
            centers = _means(view, starts[larger][0], larger)
            starts[k] = _better(starts[k], _lloyd(view, _shrink(view, centers, k)))


def _grow(points: np.ndarray, labels: np.ndarray, smaller: int, k: int, rng: np.random.RandomState) -> np.ndarray:
    """Add clusters up to k, each made of the points that are nearer to one point than to their centre.

    That point is drawn as in k-means++, as the best of some candidates. Inertia becomes less.
    """
    labels = labels.copy()
    squares = _squares(points, _means(points, labels, smaller), labels)
    for cluster in range(smaller, k):
        drawn = np.searchsorted(np.cumsum(squares), rng.random_sample(_N_CANDIDATES) * squares.sum())
        drawn = drawn.clip(max=len(points) - 1)
        drawn = np.where(squares[drawn] > 0, drawn, squares.argmax())
        distances = euclidean_distances(points[drawn], points, squared=True)
        best = drawn[np.minimum(distances, squares).sum(axis=1).argmin()]
        distances = _squares(points, points[[best]])
        labels[distances < squares] = cluster
        squares = np.minimum(distances, squares)
    return labels


def _shrink(points: np.ndarray, centers: np.ndarray, k: int) -> np.ndarray:
    """Remove centres down to k, each time the one whose points lose least by moving to their second nearest."""
    distances = euclidean_distances(points, centers, squared=True)
    while len(centers) > k:
        nearest = distances.argmin(axis=1)
        first, second = np.partition(distances, 1, axis=1)[:, :2].T
        losses = np.bincount(nearest, weights=second - first, minlength=len(centers))
        removed = losses.argmin()
        centers, distances = np.delete(centers, removed, axis=0), np.delete(distances, removed, axis=1)
    return centers


def _fit(points: np.ndarray, start: np.ndarray, k: int, before: _Fit | None, rng: np.random.RandomState) -> _Fit:
    """Finish the start on all features, or the clustering before with centres added where that one is better."""
    fit = _finish(points, start, k)
    if before is None or fit[1] <= before[1]:
        return fit
    fit = _finish(points, _grow(points, before[0], len(before[2]), k, rng), k)
    return fit[0], min(fit[1], before[1]), fit[2]  # it cannot exceed the one before, except in the last digit


def _finish(points: np.ndarray | _Points, labels: np.ndarray, k: int, max_iter: int = _MAX_ITER) -> _Fit:
    """Iterate Lloyd's algorithm on all features until no point changes its cluster, and order clusters by size."""
    for _ in range(max_iter):
        labels = _fill_empty(points, labels, k)
        centers = _means(points, labels, k)
        nearest = _nearest(points, centers)
        if np.array_equal(nearest, labels):
            break
        labels = nearest
    else:
        labels = _fill_empty(points, labels, k)
        centers = _means(points, labels, k)
    order = np.argsort(-np.bincount(labels), kind="stable")
    rank = np.empty(k, dtype=np.int32)
    rank[order] = np.arange(k)
    return rank[labels], float(_squares(points, centers, labels).sum()), centers[order]


def _fill_empty(points: np.ndarray | _Points, labels: np.ndarray, k: int) -> np.ndarray:
    """Give each empty cluster the point that is farthest from its centre, as scikit-learn does."""
    sizes = np.bincount(labels, minlength=k)
    if sizes.all():
        return labels
    labels = labels.copy()
    squares = _squares(points, _means(points, labels, k), labels)
    for cluster in np.flatnonzero(sizes == 0):
        farthest = np.where(sizes[labels] > 1, squares, -1).argmax()
        sizes[labels[farthest]] -= 1
        labels[farthest], sizes[cluster] = cluster, 1
        squares = np.minimum(squares, _squares(points, points[[farthest]]))  # so that no duplicate of it is chosen
    return labels


def _means(points: np.ndarray | _Points, labels: np.ndarray, k: int) -> np.ndarray:
    """Calculate the mean of each cluster; 0 for an empty one."""
    sizes = np.bincount(labels, minlength=k)
    batches = gen_batches(len(points), max(_BATCH, _VALUES // points[:1].shape[1]))
    total = sum(_sums(points[rows], labels[rows], k) for rows in batches)
    return total / sizes.clip(1).astype(total.dtype)[:, np.newaxis]


def _sums(points: np.ndarray, labels: np.ndarray, k: int) -> np.ndarray:
    n = len(points)
    return csr_array((np.ones(n, dtype=points.dtype), (labels, np.arange(n))), shape=(k, n)) @ points


def _nearest(points: np.ndarray | _Points, centers: np.ndarray) -> np.ndarray:
    """Find the nearest centre of each point, from |c|^2 / 2 - xc, which is least for the same c as |x - c|^2."""
    half_squares = (centers**2).sum(axis=1) / 2
    labels = np.empty(len(points), dtype=np.int32)
    for rows in gen_batches(len(points), _BATCH):
        labels[rows] = (half_squares - points[rows] @ centers.T).argmin(axis=1)
    return labels


def _squares(points: np.ndarray | _Points, centers: np.ndarray, labels: np.ndarray | None = None) -> np.ndarray:
    """Calculate the squared distance of each point to the centre that its label names, or to the only centre."""
    squares = np.empty(len(points), dtype=points.dtype)
    for rows in gen_batches(len(points), _BATCH):
        difference = points[rows] - (centers if labels is None else centers[labels[rows]])
        squares[rows] = np.einsum("ij,ij->i", difference, difference)
    return squares


# --- points that do not fit into memory -------------------------------------------------------------------------------


def _by_batches(points: _Points, ks: list[int], n_init: int, random_state: int, n_jobs: int | None) -> dict[int, _Fit]:
    """Fit each k from batches of points."""
    seeds = np.random.RandomState(random_state).randint(2**31, size=n_init)
    tasks = [(k, int(seed)) for k in reversed(ks) for seed in seeds]
    runs = run_tasks(_mini_batch, tasks, shared=(points,), n_jobs=n_jobs, desc="k-means, batches", unit="fit")
    best: dict[int, _Start] = {}
    for start, (k, _) in zip(runs, tasks):
        best[k] = _better(best.get(k), start)
    return {k: _finish(points, best[k][0], k, max_iter=1) for k in tqdm(ks, desc="k-means, finish", delay=2, unit="k")}


def _mini_batch(points: _Points, k: int, seed: int) -> _Start:
    """Pass over the points in random batches, then label them (a task)."""
    rng = np.random.RandomState(seed)
    size = max(_BATCH, 3 * k)  # the first centres are chosen from the first batch
    kmeans = MiniBatchKMeans(k, n_init=1, random_state=rng, compute_labels=False)
    with config_context(assume_finite=True):
        for _ in range(_N_PASSES):
            order = rng.permutation(len(points))
            for rows in gen_batches(len(points), size, min_batch_size=min(k, len(points))):
                kmeans.partial_fit(points[np.sort(order[rows])])
        labels = _nearest(points, kmeans.cluster_centers_)
    return labels, float(_squares(points, kmeans.cluster_centers_, labels).sum())
