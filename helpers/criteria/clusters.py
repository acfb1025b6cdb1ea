"""The clusters of one clustering, described for a reader: names, typical members, and numbers beside each other."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
from scipy.optimize import linear_sum_assignment
from sklearn.metrics import pairwise_distances_argmin
from sklearn.metrics.cluster import contingency_matrix

from ..clustering.sweep import count_distinct, sweep_kmeans
from ..core.conventions import with_minus
from .curves import extreme_k
from .halves import Halves

_MOST_NAMED = 2  # labels that are named of each cluster


def best_middle_worst(silhouette: np.ndarray, labels: np.ndarray, cluster: int, n_each: int = 2) -> np.ndarray:
    """Choose members of a cluster to look at: of the highest silhouettes, from the middle, and of the lowest.

    Parameters
    ----------
    silhouette : ndarray, shape (n,)
    labels : ndarray, shape (n,)
    cluster : int
    n_each : int

    Returns
    -------
    ndarray of int, shape (3 n_each,) or shorter in a small cluster
        Indices into `silhouette`, from the highest to the lowest.

    Examples
    --------
    >>> silhouette = np.array([0.1, 0.9, 0.5, 0.3, 0.7, -0.2])
    >>> best_middle_worst(silhouette, np.array([0, 0, 0, 0, 0, 1]), 0, n_each=1).tolist()
    [1, 2, 0]
    """
    members = np.flatnonzero(labels == cluster)
    ordered = members[np.argsort(-silhouette[members], kind="stable")]
    if len(ordered) <= 3 * n_each:
        return ordered
    middle = (len(ordered) - n_each) // 2
    return np.concatenate([ordered[:n_each], ordered[middle : middle + n_each], ordered[-n_each:]])


def cluster_names(labels: np.ndarray, truth: np.ndarray | None) -> pd.Series:
    """Name each cluster by the most frequent label of its images; by its number alone where labels are not known.

    The labels are looked at after the clustering: they name its clusters and change nothing about them.

    Parameters
    ----------
    labels : ndarray of int, shape (n,)
    truth : ndarray of str, shape (n,), or None

    Returns
    -------
    Series of str
        Indexed by ``cluster``.

    Examples
    --------
    >>> cluster_names(np.array([0, 0, 0, 0, 1, 1]), np.array(["a", "a", "a", "b", "a", "b"])).tolist()
    ['cluster 0: a, 75%', 'cluster 1: a and b alike']
    """
    clusters = pd.Index(np.unique(labels), name="cluster")
    words = [f"cluster {cluster}" for cluster in clusters]
    if truth is not None:
        words = [f"{name}: {_shared(truth[labels == cluster])}" for name, cluster in zip(words, clusters)]
    return pd.Series(words, index=clusters, name="name")


def _shared(of_cluster: np.ndarray) -> str:
    """Say which label the images of a cluster share, and how many of them."""
    names, counts = np.unique(of_cluster, return_counts=True)
    most = names[counts == counts.max()]
    if len(most) == 1:
        return f"{most[0]}, {counts.max() / len(of_cluster):.0%}"
    return f"{most[0]} and {most[1]} alike" if len(most) == 2 else "no label prevails"


def cluster_facts(
    clusters: pd.DataFrame, labels: np.ndarray, truth: np.ndarray | None, details: Mapping[str, np.ndarray]
) -> pd.DataFrame:
    """Add to the clusters of one clustering what is known of their images.

    Parameters
    ----------
    clusters : DataFrame
        From `helpers.clustering.silhouette.cluster_table`.
    labels : ndarray of int, shape (n,)
    truth : ndarray of str, shape (n,), or None
    details : dict of str to ndarray of shape (n,)
        What else is known of each image; the means of numbers are told.

    Returns
    -------
    DataFrame
        `clusters`, with the most frequent ``labels`` and their shares where labels are known, and the mean of each
        detail that is a number, by its name.
    """
    known = {} if truth is None else {"labels": pd.Series(truth).groupby(labels).agg(_frequent)}
    numbers = {name: values for name, values in details.items() if np.issubdtype(values.dtype, np.number)}
    means = {name: pd.Series(values).groupby(labels).mean() for name, values in numbers.items()}
    return clusters.assign(**known, **means)


def _frequent(truth: pd.Series) -> str:
    """List the most frequent labels with their shares."""
    shares = truth.value_counts(normalize=True)
    told = [f"{name}: {share:.0%}" for name, share in shares.head(_MOST_NAMED).items()]
    more = len(shares) - _MOST_NAMED
    return f"{', '.join(told)}{f', {more} more' if more > 0 else ''}"


def weakest_words(clusters: pd.DataFrame, names: pd.Series) -> str:
    """Say which cluster has the smallest mean silhouette, and whether it is no more than a single image.

    Parameters
    ----------
    clusters : DataFrame
        From `helpers.clustering.silhouette.cluster_table`: ``size`` and ``mean`` of each cluster.
    names : Series of str
        The name of each cluster, as `cluster_names` gives it.

    Examples
    --------
    >>> clusters = pd.DataFrame({"size": [9, 1], "mean": [0.25, 0.0]})
    >>> weakest_words(clusters, pd.Series(["cluster 0", "cluster 1"]))
    'The weakest is cluster 1: a single image, whose silhouette is 0 by definition'
    """
    weak = extreme_k(clusters["mean"], smallest=True)
    mean = with_minus(f"{clusters.loc[weak[0], 'mean']:z.3f}")
    single = (clusters.loc[weak, "size"] == 1).all()
    if len(weak) == 1:
        told = "a single image, whose silhouette is 0 by definition" if single else f"its mean silhouette is {mean}"
        return f"The weakest is {names[weak[0]]}: {told}"
    if single:
        return (
            f"The weakest are {len(weak)} of the {len(clusters)} clusters, each of a single image, whose silhouette is "
            "0 by definition"
        )
    return f"The weakest are {len(weak)} of the {len(clusters)} clusters, each with the mean silhouette {mean}"


def drawn_by_halves(points: np.ndarray, halves: Halves, k: int) -> tuple[np.ndarray, np.ndarray] | None:
    """Let the centres of each half of the first halving divide all points, and number equal clusters alike.

    It is None where a half is too small for k.

    Parameters
    ----------
    points : ndarray, shape (n, p)
        What k-means sees.
    halves : Halves
        From `cluster_halves` with the same points.
    k : int
        One of its k_values.

    Returns
    -------
    tuple of ndarray of int, shape (n,)
        By the centres of one half and by those of the other, whose clusters have the numbers of those of the one with
        which they share most points.

    Examples
    --------
    >>> from helpers.criteria.halves import cluster_halves
    >>> X = np.random.default_rng(0).normal(size=(60, 2)) + np.repeat([[0, 0], [9, 0], [0, 9]], 20, axis=0)
    >>> first, second = drawn_by_halves(X, cluster_halves(X, [3]), 3)
    >>> bool((first == second).all())
    True
    """
    column = halves.k_values.tolist().index(k)
    centers = [halves.centers_for(half)[column] for half in (0, 1)]
    if any(np.isnan(of_half).any() for of_half in centers):
        return None
    first, second = (pairwise_distances_argmin(points, of_half) for of_half in centers)
    together = np.zeros((k, k))
    found = contingency_matrix(first, second)
    together[np.ix_(np.unique(first), np.unique(second))] = found
    row, of_second = linear_sum_assignment(together, maximize=True)
    return first, row[np.argsort(of_second)][second]


def nesting(fine: np.ndarray, coarse: np.ndarray) -> float:
    """Calculate the share of points that are, with most of their fine cluster, in the same coarse one.

    1 where each fine cluster lies within a coarse one.

    Examples
    --------
    >>> nesting(np.array([0, 0, 1, 1]), np.array([0, 0, 0, 1]))
    0.75
    """
    return float(contingency_matrix(fine, coarse).max(axis=1).sum() / len(fine))


def representatives(
    points: np.ndarray,
    centers: np.ndarray,
    labels: np.ndarray,
    silhouette: np.ndarray,
    *,
    n_images: int = 24,
    n_each: int = 3,
    random_state: int = 0,
) -> pd.DataFrame:
    """Choose images of each cluster to label by hand.

    Those that cover the clusters best are found by k-means within each cluster, which has its share of them: of each
    part, the image nearest to its centre stands for all of the part. Beside them are some from the middle of the
    cluster and some from its border.

    Parameters
    ----------
    points : ndarray, shape (n, p)
        What k-means sees.
    centers : ndarray, shape (k, p)
    labels : ndarray of int, shape (n,)
        From 0 to k - 1.
    silhouette : ndarray, shape (n,)
    n_images : int
        Number of images that cover the clusters, about: each cluster has at least one.
    n_each : int
        Number of images from the middle of a cluster, the nearest to its centre, and of those from its border, whose
        silhouettes are the lowest.
    random_state : int

    Returns
    -------
    DataFrame
        ``cluster``; ``chosen``, one of ``covers``, ``middle`` and ``border``; ``row``, the index of the image; and
        ``stands_for``, the number of images of which it is the representative, 0 where it only shows a middle or a
        border.

    Examples
    --------
    >>> points = np.array([[0.0], [1.0], [2.0], [9.0], [10.0], [30.0], [31.0]])
    >>> labels, silhouette = np.array([0, 0, 0, 0, 0, 1, 1]), np.array([0.8, 0.8, 0.8, 0.7, 0.6, 0.9, 0.9])
    >>> chosen = representatives(points, np.array([[4.4], [30.5]]), labels, silhouette, n_images=3, n_each=1)
    >>> chosen[chosen["chosen"] == "covers"].to_numpy().tolist()
    [[0, 'covers', 1, 3], [0, 'covers', 3, 2], [1, 'covers', 5, 2]]
    """
    distances, parts = center_distances(points, centers, labels), []
    for cluster in range(len(centers)):
        members = np.flatnonzero(labels == cluster)
        n_covering = max(1, round(n_images * len(members) / len(labels)))
        covering, stand_for = _covering(points[members], n_covering, random_state)
        middle = np.argsort(distances[members], kind="stable")[:n_each]
        border = np.argsort(silhouette[members], kind="stable")[:n_each]
        for chosen, rows in (("covers", covering), ("middle", middle), ("border", border)):
            counts = stand_for if chosen == "covers" else 0
            part = {"cluster": cluster, "chosen": chosen, "row": members[rows], "stands_for": counts}
            parts.append(pd.DataFrame(part))
    return pd.concat(parts, ignore_index=True)


def _covering(points: np.ndarray, n_parts: int, random_state: int) -> tuple[np.ndarray, np.ndarray]:
    """Divide points by k-means, and choose of each part, the largest first, the point that is nearest to its centre."""
    n_parts = min(n_parts, count_distinct(points, n_parts))
    sweep = sweep_kmeans(points, [n_parts], n_init=3, random_state=random_state, n_jobs=1)
    (labels,), (centers,) = sweep.labels, sweep.centers
    by_distance = np.argsort(center_distances(points, centers, labels), kind="stable")
    nearest = by_distance[np.unique(labels[by_distance], return_index=True)[1]]
    return nearest, np.bincount(labels)


def center_distances(points: np.ndarray, centers: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Calculate the distance of each point to the centre of its cluster, one cluster at a time.

    Parameters
    ----------
    points : ndarray, shape (n, p)
    centers : ndarray, shape (k, p)
    labels : ndarray of int, shape (n,)
        From 0 to k - 1.

    Returns
    -------
    ndarray of float64, shape (n,)
    """
    distances = np.empty(len(points))
    for cluster, center in enumerate(centers):
        members = labels == cluster
        distances[members] = np.linalg.norm(points[members].astype(np.float64) - center, axis=1)
    return distances
