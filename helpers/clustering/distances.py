"""Sums of distances to clusters, for many clusterings at once.

A silhouette needs, for each sample, the sum of its distances to the samples of each cluster. The distances do not
depend on the clustering. So each tile of the distance matrix is computed once and summed by the clusters of all
labelings; the matrix is symmetric, so each pair of tiles is computed once and used twice. With few features, summing is
half of the work, so two labelings are summed at once, by the cells which are the intersections of their clusters.

Exactness. The fast formula ``|x - y|^2 = |x|^2 + |y|^2 - 2 x.y`` loses digits where two samples are much nearer to each
other than to the origin. So the samples are centred first. Then a tile is computed in float32, and the pairs that are
too near for float32 (``_NEAR``) are computed again: in float64 by the same formula if they are many, and from their
difference if they are few. The relative error of every distance is below about 1e-6, and that of averages is smaller.

Tasks. All work is cut into tasks that do not depend on the number of cores: each takes two blocks of the samples and
returns partial sums, which are added in the order of the tasks. A task runs on one BLAS thread and holds a few tiles,
its sums, and its blocks of the samples, so its memory does not depend on n.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from itertools import combinations_with_replacement

import numpy as np
import pandas as pd
import scipy.sparse
from scipy.spatial.distance import cdist
from sklearn.metrics import pairwise_distances_chunked

from ..core.scheduling import run_tasks
from .centring import check_squares, mean_and_scale, unit_of, unit_rows

# Side of a tile, in samples. Rows of a power-of-two tile would map to the same cache sets of the processor.
TILE = 500
# Small blocks keep many processors busy, and large ones pass on fewer sums.
_N_BLOCKS = 16  # aimed at
_BLOCK_TILES = 64  # largest number of tiles in a block
_BLOCK_BYTES = 2**26  # largest size of the sums that a task returns
# Up to this number of samples, float64 is used throughout: it takes no noticeable time.
_SMALL = 1024
# A squared distance below this share of |x|^2 + |y|^2 has lost too many digits. At the share of float32, pairs of 1,500
# features were seen to be off by 6e-7; float64 could resolve far nearer pairs than its share asks of it.
_NEAR = {np.float32: 0.25, np.float64: 1e-8}
# Near pairs are computed one by one up to this share of a tile; above it, all rows and columns that contain one are.
_ONE_BY_ONE = 0.005
# Where most squares are smaller, since few points lie far away, distances might be too small for float32.
_SMALLEST_SQUARE = 1e-60
_ROOT = np.sqrt(2.0)
_BAR = "distances"  # label of the progress bar


@dataclass(frozen=True)
class Clustering:
    """An encoded labeling: the sorted labels `clusters` (k,), their positions `codes` (n,), and the `sizes` (k,)."""

    clusters: np.ndarray
    codes: np.ndarray
    sizes: np.ndarray


def encode(labels: np.ndarray) -> Clustering:
    """Number the labels of one labeling in sorted order.

    Examples
    --------
    >>> import numpy as np
    >>> encoded = encode(np.array([7, 3, 7]))
    >>> encoded.clusters.tolist(), encoded.codes.tolist(), encoded.sizes.tolist()
    ([3, 7], [1, 0, 1], [1, 2])
    """
    # By hashing, which takes a tenth of the time of sorting, and needs the byte order of the machine.
    codes, clusters = pd.factorize(labels.astype(labels.dtype.newbyteorder("="), copy=False), sort=True)
    return Clustering(clusters, codes, np.bincount(codes))


def cluster_distance_sums(
    X: np.ndarray, clusterings: list[Clustering], metric: str | Callable, rows: np.ndarray | None = None, **kwds
) -> np.ndarray:
    """Sum the distances of samples to the samples of each cluster of each clustering.

    Parameters
    ----------
    X : ndarray or sparse matrix, shape (n, d), or (n, n) for ``precomputed``
    clusterings : list of Clustering
        m clusterings of the n samples, with K clusters in all.
    metric : str or callable
        ``euclidean``, ``sqeuclidean``, ``cosine``, ``precomputed`` or another metric of scikit-learn.
    rows : ndarray of int, shape (r,), optional
        The samples whose sums are calculated, without repetitions; all of them by default.
    **kwds
        Passed to the metric.

    Returns
    -------
    ndarray of float64, shape (n, K) or (r, K)
        Sums of distances, the clusters of all clusterings side by side. A sample's distance to itself counts as 0.
    """
    formula = not (scipy.sparse.issparse(X) or kwds) and metric in ("euclidean", "sqeuclidean", "cosine")
    if formula and metric == "euclidean":
        return _euclidean_sums(X, clusterings, rows)
    columns = _columns(clusterings)
    sizes = np.concatenate([clustering.sizes for clustering in clusterings])
    if metric == "precomputed":
        return _given_sums(X, columns, len(sizes), rows)
    if not formula:
        return _chunked_sums(X, columns, len(sizes), rows, metric=metric, **kwds)
    closed_form = _squared_sums if metric == "sqeuclidean" else _cosine_sums
    return closed_form(X, columns, sizes, rows)


def _columns(clusterings: list[Clustering]) -> np.ndarray:
    """Number the cluster of each sample in each clustering (n, m); the numbers run through all clusterings."""
    numbers = zip(clusterings, _numbers(clusterings))
    return np.stack([ours[clustering.codes] for clustering, ours in numbers], axis=1).astype(np.int32)


def _numbers(clusterings: list[Clustering]) -> list[np.ndarray]:
    """Number the clusters of each clustering, running through all clusterings."""
    stops = np.cumsum([len(clustering.sizes) for clustering in clusterings])
    return [np.arange(stop - len(clustering.sizes), stop) for clustering, stop in zip(clusterings, stops)]


def _members(columns: np.ndarray, n_clusters: int, dtype: np.typing.DTypeLike = np.float64) -> scipy.sparse.csc_array:
    """Mark the samples of each cluster by ones in a sparse matrix (K, n), whose product with rows adds by cluster."""
    n, m = columns.shape
    return scipy.sparse.csc_array((np.ones(n * m, dtype), columns.ravel(), np.arange(0, n * m + 1, m)), (n_clusters, n))


def _parts(n: int, size: int) -> list[slice]:
    """Divide the numbers below n into the fewest parts of at most `size`, all of nearly the same size."""
    stops = np.linspace(0, n, -(-n // size) + 1).astype(int)
    return [slice(start, stop) for start, stop in zip(stops, stops[1:])]


def _indices(part: slice | np.ndarray) -> np.ndarray:
    return np.arange(part.start, part.stop) if isinstance(part, slice) else part


# --- Euclidean, in tiles ----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Points:
    """Samples with their mean and scale, and the `squares` of their norms once centred and scaled.

    `fast` holds them, centred, scaled and times the square root of 2, in float32 if they are many, so that a product
    is 2 x.y at once.
    """

    X: np.ndarray
    mean: np.ndarray
    scale: float
    fast: np.ndarray
    squares: np.ndarray

    def double(self, part: slice | np.ndarray) -> np.ndarray:
        """Centre and scale some of the samples in float64."""
        centred = self.X[part] - self.mean
        centred /= self.scale
        return centred


def _centre(X: np.ndarray) -> _Points:
    # Scaled, so that no square leaves the range of float32, in any unit of the features.
    mean, scale = mean_and_scale(X)
    dtype = np.float32 if len(X) > _SMALL else np.float64
    points = _Points(X, mean, scale, np.empty(X.shape, dtype=dtype), np.empty(len(X)))
    for part in _parts(len(X), TILE):
        centred = points.double(part)
        points.squares[part] = np.einsum("ij,ij->i", centred, centred)
        np.multiply(centred, _ROOT, out=points.fast[part])
    if dtype == np.float32 and np.median(points.squares) < _SMALLEST_SQUARE:
        return replace(points, fast=np.concatenate([points.double(part) * _ROOT for part in _parts(len(X), TILE)]))
    return points


@dataclass(frozen=True)
class _Cells:
    """Pairs of clusterings with cells, the intersections of their clusters: a sample is added to one cell of a pair.

    `columns` (n, g) has the number of each sample's cell in each pair, `fold` (K, C) a one for each cell of a cluster.
    """

    columns: np.ndarray
    fold: scipy.sparse.csr_array

    def members(self, part: slice) -> scipy.sparse.csc_array:
        """Mark which of some samples each cell contains, as ones (C, part)."""
        return _members(self.columns[part], self.fold.shape[1], self.fold.dtype)

    def sums(self, members: scipy.sparse.csc_array, distances: np.ndarray) -> np.ndarray:
        """Add distances to some samples by cluster."""
        return self.fold @ (members @ distances)


def _cells(clusterings: list[Clustering], dtype: np.dtype) -> _Cells:
    """Pair clusterings with few clusters and those with many, where that makes no more than half a tile of cells."""
    numbers = _numbers(clusterings)
    waiting = sorted(range(len(clusterings)), key=lambda i: len(clusterings[i].sizes))
    pairs, clusters = [], []  # clusterings into cells, and for each the clusters that its cells are part of
    while waiting:
        largest = waiting.pop()
        if waiting:
            smallest, k = waiting[0], len(clusterings[largest].sizes)
            both = encode(clusterings[smallest].codes * k + clusterings[largest].codes)
            if len(both.sizes) <= TILE // 2:
                waiting.remove(smallest)
                pairs.append(both)
                clusters.append([numbers[smallest][both.clusters // k], numbers[largest][both.clusters % k]])
                continue
        pairs.append(clusterings[largest])
        clusters.append([numbers[largest]])
    cells = np.concatenate([ours for ours, parts in zip(_numbers(pairs), clusters) for _ in parts])
    rows = np.concatenate([part for parts in clusters for part in parts])
    fold = scipy.sparse.csr_array((np.ones(len(rows), dtype), (rows, cells)))
    return _Cells(_columns(pairs), fold)


def _euclidean_sums(X: np.ndarray, clusterings: list[Clustering], rows: np.ndarray | None) -> np.ndarray:
    points = _centre(X)
    cells = _cells(clusterings, points.fast.dtype)
    n_clusters = cells.fold.shape[0]
    blocks = _blocks(len(X), n_clusters)
    sums = np.zeros((n_clusters, len(X) if rows is None else len(rows)))
    if rows is None:
        pairs = list(combinations_with_replacement(blocks, 2))
        runs = run_tasks(_pair_sums, pairs, shared=(points, cells), desc=_BAR)
        for sums_of_blocks, pair in zip(runs, pairs):
            for block, block_sums in zip(pair, sums_of_blocks):
                sums[:, block[0].start : block[-1].stop] += block_sums
    else:
        parts = [(part, block) for part in _parts(len(rows), TILE) for block in blocks]
        tasks = [(rows[part], block) for part, block in parts]
        runs = run_tasks(_target_sums, tasks, shared=(points, cells), desc=_BAR)
        for part_sums, (part, _) in zip(runs, parts):
            sums[:, part] += part_sums
    sums *= points.scale
    return sums.T


def _blocks(n: int, n_clusters: int) -> list[list[slice]]:
    """Divide the numbers below n into tiles, and the tiles into blocks."""
    tiles = _parts(n, TILE)
    affordable = _BLOCK_BYTES // (2 * n_clusters * TILE * np.dtype(np.float64).itemsize)
    size = max(1, min(affordable, _BLOCK_TILES, -(-len(tiles) // _N_BLOCKS)))
    return [tiles[at : at + size] for at in range(0, len(tiles), size)]


def _pair_sums(points: _Points, cells: _Cells, ours: list[slice], theirs: list[slice]) -> list[np.ndarray]:
    """Sum the distances between two blocks for each of them, (K, block), or once if they are the same (a task)."""
    n_clusters = cells.fold.shape[0]
    their_members = [cells.members(tile) for tile in theirs]
    our_sums = [np.zeros((n_clusters, tile.stop - tile.start)) for tile in ours]
    their_sums = our_sums if ours == theirs else [np.zeros((n_clusters, tile.stop - tile.start)) for tile in theirs]
    # Allocated once: allocating memory takes longer than computing a tile of few features.
    buffer, transposed_buffer = np.empty((2, TILE * TILE), points.fast.dtype)
    for i, target in enumerate(ours):
        target_members = cells.members(target)
        for j in range(i if ours == theirs else 0, len(theirs)):
            distances = _distances(points, theirs[j], target, buffer)
            our_sums[i] += cells.sums(their_members[j], distances)
            if theirs[j] != target:
                transposed = transposed_buffer[: distances.size].reshape(distances.shape[::-1])
                np.copyto(transposed, distances.T)
                their_sums[j] += cells.sums(target_members, transposed)
    different = (our_sums,) if ours == theirs else (our_sums, their_sums)
    return [np.concatenate(sums, axis=1) for sums in different]


def _target_sums(points: _Points, cells: _Cells, target: np.ndarray, tiles: list[slice]) -> np.ndarray:
    """Sum the distances of some samples to a block, (K, target) (a task)."""
    buffer = np.empty(TILE * TILE, points.fast.dtype)
    return sum(cells.sums(cells.members(tile), _distances(points, tile, target, buffer)) for tile in tiles)


def _distances(points: _Points, tile: slice, target: slice | np.ndarray, buffer: np.ndarray) -> np.ndarray:
    """Compute distances between two parts of the samples, each exact to about 1e-6, in the memory of `buffer`."""
    tile_samples, target_samples = _indices(tile), _indices(target)
    squared = buffer[: len(tile_samples) * len(target_samples)].reshape(len(tile_samples), len(target_samples))
    i, j = _fast_squares(points.fast[tile], points.fast[target], points.squares[tile], points.squares[target], squared)
    if not len(i):
        return np.sqrt(squared, out=squared)
    # Distances from here on, since the squares of near pairs may be too small for float32.
    distances = np.sqrt(np.maximum(squared, 0, out=squared), out=squared)
    n_one_by_one = _ONE_BY_ONE * squared.size
    if len(i) <= n_one_by_one:
        # Most of them are a sample and itself.
        itself = tile_samples[i] == target_samples[j]
        distances[i[itself], j[itself]] = 0
        i, j = i[~itself], j[~itself]
    if len(i) > n_one_by_one and distances.dtype == np.float32:
        i, j = np.unique(i), np.unique(j)
        rows, columns = tile_samples[i], target_samples[j]
        block = np.empty((len(i), len(j)))
        near = _fast_squares(
            _ROOT * points.double(rows),
            _ROOT * points.double(columns),
            points.squares[rows],
            points.squares[columns],
            block,
        )
        distances[np.ix_(i, j)] = np.sqrt(np.maximum(block, 0, out=block), out=block)
        i, j = i[near[0]], j[near[1]]
    if len(i) > n_one_by_one:
        i, j = np.unique(i), np.unique(j)
        distances[np.ix_(i, j)] = cdist(points.double(tile_samples[i]), points.double(target_samples[j]))
    elif len(i):
        difference = points.double(tile_samples[i]) - points.double(target_samples[j])
        distances[i, j] = np.sqrt(np.einsum("ij,ij->i", difference, difference))
    return distances


def _fast_squares(
    ours: np.ndarray, theirs: np.ndarray, our_squares: np.ndarray, their_squares: np.ndarray, out: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Compute squared distances by the fast formula from points times root 2; return the pairs that lost digits."""
    dtype = out.dtype.type
    our_squares, their_squares = our_squares.astype(dtype)[:, np.newaxis], their_squares.astype(dtype)
    np.matmul(ours, theirs.T, out=out)
    np.subtract(our_squares, out, out=out)
    out += their_squares
    # Below `least` a square itself has lost digits, or is 0 though the difference is not.
    share, least = dtype(_NEAR[dtype]), dtype(1e7) * np.finfo(dtype).tiny
    # Most rows have no such pair, as their smallest distance shows.
    suspects = np.flatnonzero(out.min(axis=1) <= share * (our_squares[:, 0] + their_squares.max()) + least)
    i, j = np.nonzero(out[suspects] <= share * our_squares[suspects] + (share * their_squares + least))
    return suspects[i], j


# --- closed forms, linear in n ----------------------------------------------------------------------------------------

_ROWS = 4096


def _squared_sums(
    X: np.ndarray, columns: np.ndarray, sizes: np.ndarray, rows: np.ndarray | None, points: Callable | None = None
) -> np.ndarray:
    """Sum |x - y|^2 over a cluster: its size x |x - centre|^2 + the scatter about its centre (Huygens).

    Each term is a sum of squares of differences, so no offset of the samples costs digits. `points` returns some of
    the samples in the form in which they are compared; centred ones by default.
    """
    unit = 1.0
    if points is None:
        mean, scale = mean_and_scale(X)
        check_squares(scale, X.size)
        unit = unit_of(scale)
        points = partial(_centred, X, mean, unit)
    parts = [(part,) for part in _parts(len(X), _ROWS)]
    centers = sum(run_tasks(_center_sums, parts, shared=(points, columns, len(sizes)), desc=_BAR))
    centers /= sizes[:, np.newaxis]
    sums = np.empty((len(X) if rows is None else len(rows), len(sizes)))
    scatter = np.zeros(len(sizes))
    runs = run_tasks(_center_distances, parts, shared=(points, columns, centers), desc=_BAR)
    for (squared, own), (part,) in zip(runs, parts):
        scatter += own
        if rows is None:
            sums[part] = squared
    if rows is not None:
        sums[:] = cdist(points(rows), centers, "sqeuclidean")
    sums *= sizes
    sums += scatter
    sums *= unit**2
    return sums


def _centred(X: np.ndarray, mean: np.ndarray, unit: float, part: slice | np.ndarray) -> np.ndarray:
    return (X[part] - mean) / unit


def _unit(X: np.ndarray, part: slice | np.ndarray) -> np.ndarray:
    return unit_rows(X[part].astype(np.float64, copy=False))


def _center_sums(points: Callable, columns: np.ndarray, n_clusters: int, part: slice) -> np.ndarray:
    """Sum some of the samples by cluster, (K, d) (a task)."""
    return _members(columns[part], n_clusters) @ points(part)


def _center_distances(
    points: Callable, columns: np.ndarray, centers: np.ndarray, part: slice
) -> tuple[np.ndarray, np.ndarray]:
    """Compute squared distances of some samples to all centres, and their share of the clusters' scatter (a task)."""
    squared = cdist(points(part), centers, "sqeuclidean")
    own = np.take_along_axis(squared, columns[part], axis=1)
    return squared, np.bincount(columns[part].ravel(), own.ravel(), minlength=len(centers))


def _cosine_sums(X: np.ndarray, columns: np.ndarray, sizes: np.ndarray, rows: np.ndarray | None) -> np.ndarray:
    """Sum 1 - cos(x, y) over a cluster: for rows of length 1 that is |x - y|^2 / 2, which loses no digits.

    A row of zeros has no direction, and is at distance 1 from everything but itself.
    """
    sums = _squared_sums(X, columns, sizes, rows, partial(_unit, X))
    sums /= 2
    # A mean distance below the rounding of the rows is 0.
    sums[sums < np.finfo(np.float64).eps * sizes] = 0
    zero = ~X.any(axis=1)
    if zero.any():
        zeros = np.bincount(columns[zero].ravel(), minlength=len(sizes))
        is_zero, own_columns = (zero, columns) if rows is None else (zero[rows], columns[rows])
        sums[~is_zero] += zeros / 2
        sums[is_zero] += zeros + (sizes - zeros) / 2
        sums[np.flatnonzero(is_zero)[:, np.newaxis], own_columns[is_zero]] -= 1
    return sums


# --- any other metric -------------------------------------------------------------------------------------------------


def _given_sums(distances, columns: np.ndarray, n_clusters: int, rows: np.ndarray | None) -> np.ndarray:
    """Sum precomputed distances, a few rows at a time, so that no second matrix is held in memory."""
    members = _members(columns, n_clusters).T.tocsr()
    rows = np.arange(distances.shape[0]) if rows is None else rows
    parts = [(rows[part],) for part in _parts(len(rows), TILE)]
    return np.vstack(list(run_tasks(_row_sums, parts, shared=(distances, members), desc=_BAR)))


def _row_sums(distances, members: scipy.sparse.csr_array, rows: np.ndarray) -> np.ndarray:
    """Sum some rows of precomputed distances (a task)."""
    sums = distances[rows] @ members
    return sums.toarray() if scipy.sparse.issparse(sums) else sums


def _chunked_sums(X, columns: np.ndarray, n_clusters: int, rows: np.ndarray | None, **kwds) -> np.ndarray:
    """Compute distances in chunks of rows that fit scikit-learn's working memory, and sum each for all clusterings."""
    members = _members(columns, n_clusters).toarray().T
    samples = np.arange(X.shape[0]) if rows is None else rows

    def reduce(distances: np.ndarray, start: int) -> np.ndarray:
        own = np.arange(len(distances))
        distances[own, samples[start + own]] = 0
        return distances @ members

    pair = (X,) if rows is None else (X[rows], X)
    return np.vstack(list(pairwise_distances_chunked(*pair, reduce_func=reduce, **kwds)))
