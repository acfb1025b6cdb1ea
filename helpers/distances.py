"""Sums of distances to clusters, for many clusterings at once.

A silhouette needs, for each sample, the sum of its distances to the samples of each cluster. The distances do not
depend on the clustering. So each tile of the distance matrix is computed once and multiplied by the indicators of the
clusters of all labelings side by side; the matrix is symmetric, so each pair of tiles is computed once and used twice.

Exactness. The fast formula ``|x - y|^2 = |x|^2 + |y|^2 - 2 x.y`` loses digits where two samples are much nearer to each
other than to the origin. The samples are centred first. Then a tile is computed in float32, and the pairs that are
nearer than float32 can tell (``_NEAR``) are computed again, in float64 by the same formula if they are many and from
their difference if they are few. So the relative error of every distance is below about 1e-6, and averages below it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.sparse
from scipy.spatial.distance import cdist
from sklearn.metrics import pairwise_distances_chunked
from sklearn.preprocessing import normalize

TILE = 768
# A squared distance below this share of |x|^2 + |y|^2 has lost too many digits: the unit roundoff over this share is
# about 1e-6 in float32, and 1e-8 in float64.
_NEAR = {np.float32: 0.1, np.float64: 1e-8}
# Near pairs of a tile are computed one by one up to this share; beyond it the tile is.
_FEW = 0.002
_ROOT = np.sqrt(2.0)


@dataclass(frozen=True)
class Clustering:
    """A labeling, encoded: `clusters` (k,) the labels in order, `codes` (n,) their positions, `sizes` (k,)."""

    clusters: np.ndarray
    codes: np.ndarray
    sizes: np.ndarray


def encode(labels: np.ndarray) -> Clustering:
    """Number the labels of one labeling."""
    clusters, codes, sizes = np.unique(labels, return_inverse=True, return_counts=True)
    return Clustering(clusters, codes, sizes)


def cluster_distance_sums(
    X: np.ndarray, clusterings: list[Clustering], metric: str, rows: np.ndarray | None = None
) -> np.ndarray:
    """Sum the distances of samples to the samples of each cluster of each clustering.

    Parameters
    ----------
    X : ndarray or sparse matrix, shape (n, d), or (n, n) for ``precomputed``
    clusterings : list of Clustering
        m clusterings of the n samples, with K clusters in all.
    metric : str
        ``euclidean``, ``sqeuclidean``, ``cosine``, ``precomputed`` or another metric of scikit-learn.
    rows : ndarray of int, shape (r,), optional
        The samples whose sums are wanted; all of them without it.

    Returns
    -------
    ndarray of float64, shape (n, K) or (r, K)
        The clusterings side by side. The distance of a sample to itself counts as 0.
    """
    if scipy.sparse.issparse(X) or metric not in ("euclidean", "sqeuclidean", "cosine"):
        return _chunked_sums(X, clusterings, metric, rows)
    if metric == "euclidean":
        return _euclidean_sums(X, clusterings, rows)
    closed_form = _squared_sums if metric == "sqeuclidean" else _cosine_sums
    wanted = slice(None) if rows is None else rows
    return np.hstack([closed_form(X, clustering, wanted) for clustering in clusterings])


def indicators(clusterings: list[Clustering], dtype: np.typing.DTypeLike, part: slice = slice(None)) -> np.ndarray:
    """One column a cluster, side by side: 1 where a sample is in it. Shape (n, K), or of the samples in `part`."""
    return np.hstack([np.eye(len(c.clusters), dtype=dtype)[c.codes[part]] for c in clusterings])


# --- Euclidean, in tiles ----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Points:
    """Samples centred and scaled, with their squared norms, and how to get some in float64.

    `fast` holds them times the square root of 2, in float32, so that a product is 2 x.y at once.
    """

    X: np.ndarray
    mean: np.ndarray
    scale: float
    fast: np.ndarray
    squares: np.ndarray

    def double(self, part: slice | np.ndarray) -> np.ndarray:
        """Some of the samples, centred and scaled, in float64."""
        return (self.X[part] - self.mean) / self.scale


def _tiles(n: int) -> list[slice]:
    return [slice(start, min(start + TILE, n)) for start in range(0, n, TILE)]


def _indices(part: slice | np.ndarray) -> np.ndarray:
    return np.arange(part.start, part.stop) if isinstance(part, slice) else part


def _centre(X: np.ndarray) -> _Points:
    mean = X.mean(axis=0, dtype=np.float64)
    # So that no square is beyond the range of float32, whatever the unit of the features.
    scale = float(np.maximum(X.max(axis=0) - mean, mean - X.min(axis=0)).max()) or 1.0
    # Where one tile holds all, float64 costs nothing that one would notice.
    dtype = np.float32 if len(X) > TILE else np.float64
    points = _Points(X, mean, scale, np.empty(X.shape, dtype=dtype), np.empty(len(X)))
    for part in _tiles(len(X)):
        centred = points.double(part)
        points.fast[part] = _ROOT * centred
        points.squares[part] = np.einsum("ij,ij->i", centred, centred)
    return points


def _euclidean_sums(X: np.ndarray, clusterings: list[Clustering], rows: np.ndarray | None) -> np.ndarray:
    points = _centre(X)
    if rows is not None:
        return points.scale * _row_sums(points, clusterings, rows)
    members = indicators(clusterings, points.fast.dtype)
    sums = np.zeros((len(X), members.shape[1]))
    tiles = _tiles(len(X))
    for position, first in enumerate(tiles):
        for second in tiles[position:]:
            distances = _distances(points, first, second)
            if first is not second:
                sums[second] += distances.T @ members[first]
            sums[first] += distances @ members[second]
    sums *= points.scale
    return sums


def _row_sums(points: _Points, clusterings: list[Clustering], rows: np.ndarray) -> np.ndarray:
    sums = np.zeros((len(rows), sum(len(clustering.sizes) for clustering in clusterings)))
    for part in _tiles(len(points.X)):
        members = indicators(clusterings, points.fast.dtype, part)
        for some in _tiles(len(rows)):
            distances = _distances(points, rows[some], part)
            own = np.flatnonzero((rows[some] >= part.start) & (rows[some] < part.stop))
            distances[own, rows[some][own] - part.start] = 0
            sums[some] += distances @ members
    return sums


def _distances(points: _Points, first: slice | np.ndarray, second: slice) -> np.ndarray:
    """Distances between two parts of the samples, each of them exact to about 1e-6."""
    squares = points.squares[first, np.newaxis], points.squares[second]
    dtype = points.fast.dtype
    squared, near = _squared(points.fast[first], points.fast[second], *squares)
    if near.sum() > _FEW * near.size and dtype == np.float32:
        squared, near = _squared(_ROOT * points.double(first), _ROOT * points.double(second), *squares)
    if near.sum() > _FEW * near.size:
        return cdist(points.double(first), points.double(second)).astype(dtype, copy=False)
    if first is second:
        np.fill_diagonal(squared, 0)
        np.fill_diagonal(near, False)
    if near.any():
        i, j = np.nonzero(near)
        difference = points.double(_indices(first)[i]) - points.double(_indices(second)[j])
        squared[i, j] = np.einsum("ij,ij->i", difference, difference)
    return np.sqrt(squared, out=squared).astype(dtype, copy=False)


def _squared(
    ours: np.ndarray, theirs: np.ndarray, our_squares: np.ndarray, their_squares: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Squared distances by the fast formula from points times root 2, and where they have lost too many digits."""
    squared = ours @ theirs.T
    np.subtract(our_squares.astype(ours.dtype), squared, out=squared)
    squared += their_squares.astype(ours.dtype)
    share = _NEAR[squared.dtype.type]
    # Most tiles have no such pair, and a look at their smallest distance shows it.
    if squared.min() > share * (our_squares.max() + their_squares.max()):
        return squared, np.zeros((1, 1), dtype=bool)
    return squared, squared <= (share * our_squares + share * their_squares).astype(ours.dtype)


# --- closed forms, linear in n ----------------------------------------------------------------------------------------


def _squared_sums(X: np.ndarray, clustering: Clustering, wanted: slice | np.ndarray) -> np.ndarray:
    """Sum of |x - y|^2 over a cluster = its size x |x - centre|^2 + the scatter about its centre (Huygens).

    Each term is a sum of squares of differences, so nothing is lost, whatever the offset of the samples.
    """
    centres = _cluster_sums(X, clustering) / clustering.sizes[:, np.newaxis]
    scatter = np.zeros(len(clustering.sizes))
    for part in _tiles(len(X)):
        difference = X[part] - centres[clustering.codes[part]]
        squares = np.einsum("ij,ij->i", difference, difference)
        scatter += np.bincount(clustering.codes[part], squares, minlength=len(scatter))
    return cdist(X[wanted], centres, "sqeuclidean") * clustering.sizes + scatter


def _cosine_sums(X: np.ndarray, clustering: Clustering, wanted: slice | np.ndarray) -> np.ndarray:
    """Sum of 1 - cos(x, y) over a cluster: for rows of length 1 that is |x - y|^2 / 2, which loses no digits.

    A row of zeros has no direction, and is at distance 1 from everything but itself.
    """
    unit = normalize(X.astype(np.float64, copy=False))
    sums = _squared_sums(unit, clustering, wanted) / 2
    # A mean distance below the rounding of the rows is none.
    sums[sums < np.finfo(np.float64).eps * clustering.sizes] = 0
    zero = ~unit.any(axis=1)
    if zero.any():
        zeros = np.bincount(clustering.codes[zero], minlength=len(clustering.sizes))
        sums[~zero[wanted]] += zeros / 2
        sums[zero[wanted]] += zeros + (clustering.sizes - zeros) / 2
        own = np.flatnonzero(zero[wanted])
        sums[own, clustering.codes[wanted][own]] -= 1
    return sums


def _cluster_sums(X: np.ndarray, clustering: Clustering) -> np.ndarray:
    """The sum of the rows of each cluster, shape (k, d)."""
    n = len(clustering.codes)
    members = scipy.sparse.csr_array((np.ones(n), clustering.codes, np.arange(n + 1)), (n, len(clustering.sizes)))
    return members.T @ X


# --- any other metric -------------------------------------------------------------------------------------------------


def _chunked_sums(X, clusterings: list[Clustering], metric: str, rows: np.ndarray | None) -> np.ndarray:
    """All distances in chunks of rows that fit scikit-learn's working memory, each summed for all clusterings."""
    X, members = X.astype(np.float64, copy=False), indicators(clusterings, np.float64)
    wanted = np.arange(X.shape[0]) if rows is None else rows
    if metric == "precomputed":
        return X[wanted] @ members

    def reduce(distances: np.ndarray, start: int) -> np.ndarray:
        own = np.arange(len(distances))
        distances[own, wanted[start + own]] = 0
        return distances @ members

    return np.vstack(list(pairwise_distances_chunked(X[wanted], X, metric=metric, reduce_func=reduce)))
