"""The image of its rival cluster that is nearest to an image: the picture to hold beside its own."""

from __future__ import annotations

from functools import partial

import numpy as np
from sklearn.metrics import pairwise_distances_chunked

from .centring import check_points, in_units


def nearest_rivals(X: np.ndarray, labels: np.ndarray, rivals: np.ndarray, *, metric: str = "euclidean") -> np.ndarray:
    """Find for each sample the nearest sample of its rival cluster, for each of m labelings.

    Parameters
    ----------
    X : array-like, shape (n, d)
        The space in which silhouettes are measured.
    labels : ndarray, shape (m, n)
    rivals : ndarray, shape (m, n)
        The label of the rival cluster of each sample, as in `helpers.clustering.silhouette.SilhouetteDetails`.
    metric : str
        ``euclidean`` or another metric of scikit-learn.

    Returns
    -------
    ndarray of int64, shape (m, n)
        Rows of X, of equals the first; -1 where no sample has the label of the rival.

    Examples
    --------
    >>> import numpy as np
    >>> X = np.array([[0.0], [1.0], [5.0], [9.0]])
    >>> nearest_rivals(X, np.array([[0, 0, 1, 1]]), np.array([[1, 1, 0, 0]])).tolist()
    [[2, 2, 1, 1]]
    """
    points = check_points(X, dtype=[np.float64])
    if metric == "euclidean":
        points = in_units(points)[0]
    found = partial(_nearest, labels=np.asarray(labels), rivals=np.asarray(rivals))
    return np.concatenate(list(pairwise_distances_chunked(points, reduce_func=found, metric=metric))).T


def _nearest(distances: np.ndarray, start: int, labels: np.ndarray, rivals: np.ndarray) -> np.ndarray:
    """Find the nearest samples for the rows of a chunk of distances, whose first row is `start`."""
    nearest = np.full((len(distances), len(labels)), -1)
    for m, (label, rival) in enumerate(zip(labels, rivals[:, start : start + len(distances)])):
        for cluster in np.unique(rival):
            members, rows = np.flatnonzero(label == cluster), np.flatnonzero(rival == cluster)
            if len(members):
                nearest[rows, m] = members[distances[np.ix_(rows, members)].argmin(axis=1)]
    return nearest
