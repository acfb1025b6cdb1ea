"""Silhouettes of many clusterings in one pass over the distances.

Rousseeuw, P. J. (1987), Silhouettes: a graphical aid to the interpretation and validation of cluster analysis,
Journal of Computational and Applied Mathematics 20, 53-65: for sample i in cluster A, a(i) is the mean distance to the
other samples of A, b(i) the smallest mean distance to the samples of another cluster, and s = (b - a) / max(a, b).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd
from sklearn.metrics import pairwise_distances_chunked
from sklearn.utils import check_array


@dataclass(frozen=True)
class SilhouetteDetails:
    """What the silhouettes of one labeling are made of, each of shape (n,).

    Attributes
    ----------
    silhouette : ndarray of float64
    own : ndarray of float64
        a(i), the mean distance to the others of the own cluster.
    rival_distance : ndarray of float64
        b(i), the mean distance to the nearest other cluster.
    rival : ndarray
        The label of that cluster, Rousseeuw's neighbour.
    """

    silhouette: np.ndarray
    own: np.ndarray
    rival_distance: np.ndarray
    rival: np.ndarray


def silhouette_samples(X: np.ndarray, labels: np.ndarray, *, metric: str = "euclidean") -> np.ndarray:
    """The silhouette of every sample, for one labeling or for many.

    The distances do not depend on the labels, so each is computed once and summed by cluster for all labelings.

    Parameters
    ----------
    X : array-like, shape (n, d), or (n, n) for ``precomputed``
    labels : array-like, shape (n,) or (m, n)
        One labeling, or m of them.
    metric : str
        A metric of scikit-learn, or ``precomputed``.

    Returns
    -------
    ndarray of float64, shape (n,) or (m, n)
        Between -1 and 1; 0 in a cluster of one.

    Raises
    ------
    ValueError
        If X is not finite, the shapes disagree, or a labeling has fewer than 2 or more than n - 1 clusters.
    """
    labels = np.asarray(labels)
    details = [part.silhouette for part in _details(X, np.atleast_2d(labels), metric)]
    return details[0] if labels.ndim == 1 else np.stack(details)


def silhouette_details(X: np.ndarray, labels: np.ndarray, *, metric: str = "euclidean") -> SilhouetteDetails:
    """The silhouettes of one labeling with the distances they compare and the rival cluster.

    Parameters, errors and formula are those of `silhouette_samples`, for labels of shape (n,).
    """
    labels = np.asarray(labels)
    if labels.ndim != 1:
        raise ValueError(f"labels must be of shape (n,) here, not {labels.shape}.")
    return next(_details(X, labels[np.newaxis], metric))


def silhouette_table(samples: np.ndarray, labels: np.ndarray) -> pd.DataFrame:
    """Summarise silhouettes, a row for each labeling.

    Parameters
    ----------
    samples : ndarray, shape (m, n)
        Silhouettes, as from `silhouette_samples`.
    labels : ndarray, shape (m, n)
        The labelings that they belong to.

    Returns
    -------
    DataFrame
        Indexed by ``n_clusters``. ``score`` is the mean over samples (micro), ``macro`` the mean over clusters of
        their means; ``median``; ``standard_error`` and ``macro_error``, the standard errors of score and macro with
        the silhouettes taken as independent, which they are not quite: they share distances, and the true error can
        be nearly twice as large; shares ``positive``, ``zero`` and ``negative``;
        ``mean_positive`` and ``mean_negative`` (0 where there is none); ``worst_cluster`` and its mean,
        ``worst_mean``.
    """
    rows = [_summary(*row) for row in zip(np.atleast_2d(samples), np.atleast_2d(labels), strict=True)]
    return pd.DataFrame(rows).set_index("n_clusters")


def cluster_table(details: SilhouetteDetails, labels: np.ndarray) -> pd.DataFrame:
    """Summarise the silhouettes of one labeling, a row for each cluster.

    Parameters
    ----------
    details : SilhouetteDetails
    labels : ndarray, shape (n,)
        The labels that `details` was computed for.

    Returns
    -------
    DataFrame
        Indexed by ``cluster``: ``size``, ``mean``, share ``negative`` and ``rival``, the other cluster that is
        nearest to most of its samples.
    """
    frame = pd.DataFrame({"cluster": labels, "silhouette": details.silhouette, "rival": details.rival})
    groups = frame.groupby("cluster")
    return pd.DataFrame(
        {
            "size": groups.size(),
            "mean": groups["silhouette"].mean(),
            "negative": groups["silhouette"].apply(lambda s: float((s < 0).mean())),
            "rival": groups["rival"].agg(lambda rival: rival.mode()[0]),
        }
    )


def typical_and_worst(silhouette: np.ndarray, labels: np.ndarray, cluster: int, *, n_worst: int) -> np.ndarray:
    """The members of a cluster worth a look: the one with the highest silhouette, then the lowest, lowest first.

    Parameters
    ----------
    silhouette : ndarray, shape (n,)
    labels : ndarray, shape (n,)
    cluster : int
        The label of the cluster.
    n_worst : int
        How many of the lowest.

    Returns
    -------
    ndarray of int, shape (1 + n_worst,) or shorter in a small cluster
        Indices into `silhouette`.
    """
    members = np.flatnonzero(labels == cluster)
    ordered = members[np.argsort(silhouette[members], kind="stable")]
    return np.concatenate([ordered[-1:], ordered[:-1][:n_worst]])


def _summary(samples: np.ndarray, labels: np.ndarray) -> dict[str, float]:
    clusters, codes, sizes = np.unique(labels, return_inverse=True, return_counts=True)
    means = np.bincount(codes, samples) / sizes
    squares = np.bincount(codes, (samples - means[codes]) ** 2)
    # A cluster of one shows no spread; it is given that of the others, and not none.
    pooled = squares.sum() / max(len(samples) - len(clusters), 1)
    variances = np.where(sizes > 1, squares / np.maximum(sizes - 1, 1), pooled)
    positive, negative = samples > 0, samples < 0
    return {
        "n_clusters": len(clusters),
        "score": samples.mean(),
        "macro": means.mean(),
        "median": np.median(samples),
        "standard_error": samples.std(ddof=1) / np.sqrt(len(samples)),
        "macro_error": np.sqrt((variances / sizes).sum()) / len(clusters),
        "positive": positive.mean(),
        "zero": (samples == 0).mean(),
        "negative": negative.mean(),
        "mean_positive": samples[positive].mean() if positive.any() else 0.0,
        "mean_negative": samples[negative].mean() if negative.any() else 0.0,
        "worst_cluster": clusters[means.argmin()],
        "worst_mean": means.min(),
    }


def _details(X: np.ndarray, labelings: np.ndarray, metric: str) -> Iterator[SilhouetteDetails]:
    X = check_array(X, dtype=np.float64, input_name="X")
    if metric == "precomputed" and (X.shape[0] != X.shape[1] or np.diagonal(X).any()):
        raise ValueError("Precomputed distances must be a square matrix with a zero diagonal.")
    encoded = [_encode(labels, len(X)) for labels in labelings]
    offsets = np.cumsum([0] + [len(clusters) for clusters, _ in encoded])
    sums = _cluster_distance_sums(X, encoded, metric)
    for (clusters, codes), start, stop in zip(encoded, offsets, offsets[1:]):
        yield _reduce(sums[:, start:stop], clusters, codes)


def _encode(labels: np.ndarray, n_samples: int) -> tuple[np.ndarray, np.ndarray]:
    if len(labels) != n_samples:
        raise ValueError(f"labels have the length {len(labels)}, and X has {n_samples} rows; they must agree.")
    clusters, codes = np.unique(labels, return_inverse=True)
    if not 2 <= len(clusters) <= n_samples - 1:
        raise ValueError(
            f"A silhouette needs from 2 to n - 1 = {n_samples - 1} clusters, and the labels name {len(clusters)}."
        )
    return clusters, codes


def _cluster_distance_sums(X: np.ndarray, encoded: list[tuple[np.ndarray, np.ndarray]], metric: str) -> np.ndarray:
    """Sums of each sample's distances to each cluster of each labeling, side by side: one product a chunk of rows."""
    indicators = np.hstack([np.eye(len(clusters))[codes] for clusters, codes in encoded])

    def reduce(distances: np.ndarray, start: int) -> np.ndarray:
        if metric != "precomputed":
            # The distance of a sample to itself is 0; the fast formula leaves some rounding there.
            distances[np.arange(len(distances)), start + np.arange(len(distances))] = 0
        return distances @ indicators

    return np.vstack(list(pairwise_distances_chunked(X, metric=metric, reduce_func=reduce)))


def _reduce(sums: np.ndarray, clusters: np.ndarray, codes: np.ndarray) -> SilhouetteDetails:
    sizes = np.bincount(codes)
    rows = np.arange(len(codes))
    alone = sizes[codes] == 1
    own = sums[rows, codes] / np.maximum(sizes[codes] - 1, 1)
    means = sums / sizes
    means[rows, codes] = np.inf
    rival = means.argmin(axis=1)
    rival_distance = means[rows, rival]
    larger = np.maximum(own, rival_distance)
    # Duplicates of each other in two clusters have a = b = 0: neither is nearer, so 0, as for a cluster of one.
    silhouette = np.divide(rival_distance - own, larger, out=np.zeros(len(codes)), where=(larger > 0) & ~alone)
    return SilhouetteDetails(silhouette, own, rival_distance, clusters[rival])
