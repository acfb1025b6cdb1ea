"""Silhouettes of many clusterings in one pass over the distances.

Rousseeuw, P. J. (1987), Silhouettes: a graphical aid to the interpretation and validation of cluster analysis,
Journal of Computational and Applied Mathematics 20, 53-65: for sample i in cluster A, a(i) is the mean distance to the
other samples of A, b(i) the smallest mean distance to the samples of another cluster, and s = (b - a) / max(a, b).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields

import numpy as np
import pandas as pd
import scipy.sparse
from scipy.spatial.distance import cdist
from sklearn.utils import gen_batches

from ..core.groups import encode_groups
from .centring import check_points, in_units
from .distances import TILE, Clustering, cluster_distance_sums, encode
from .errors import standard_error


@dataclass(frozen=True)
class SilhouetteDetails:
    """Silhouettes and the distances that they compare, each of shape (n,), or (m, n) for m labelings.

    Attributes
    ----------
    silhouette : ndarray of float64
    own : ndarray of float64
        a(i), the mean distance to the other samples of the own cluster.
    rival_distance : ndarray of float64
        b(i), the mean distance to the nearest other cluster.
    rival : ndarray
        The label of that cluster, Rousseeuw's neighbour.
    """

    silhouette: np.ndarray
    own: np.ndarray
    rival_distance: np.ndarray
    rival: np.ndarray


@dataclass(frozen=True)
class SilhouetteEstimate:
    """The silhouettes of one labeling with k clusters, estimated from a sample of rows.

    Attributes
    ----------
    mean : float
        The silhouette score.
    standard_error : float
        Of `mean`, from sampling rows.
    cluster_means : ndarray of float64, shape (k,)
        The mean of each cluster, in the order of the sorted labels.
    cluster_errors : ndarray of float64, shape (k,)
        Their standard errors.
    positive : float
        The share of samples with a positive silhouette.
    rows : ndarray of int
        The rows that were drawn.
    """

    mean: float
    standard_error: float
    cluster_means: np.ndarray
    cluster_errors: np.ndarray
    positive: float
    rows: np.ndarray


def silhouette_samples(
    X: np.ndarray, labels: np.ndarray, *, metric: str | Callable = "euclidean", **kwds
) -> np.ndarray:
    """Calculate the silhouette of every sample, for one labeling or for many.

    The distances do not depend on the labels, so each is computed once and summed by cluster for all labelings. For one
    labeling, arguments and result are those of scikit-learn's function of this name.

    Parameters
    ----------
    X : array-like or sparse matrix, shape (n, d), or (n, n) for ``precomputed``
    labels : array-like, shape (n,) or (m, n)
        One labeling, or m of them.
    metric : str or callable
        ``euclidean``, ``sqeuclidean`` and ``cosine`` (the last two in time linear in n), ``precomputed``, or another
        metric of scikit-learn.
    **kwds
        Passed to scikit-learn's pairwise distances, such as ``p=3`` for ``minkowski``.

    Returns
    -------
    ndarray of float64, shape (n,) or (m, n)
        Between -1 and 1; 0 in a cluster of one.

    Raises
    ------
    ValueError
        If X is not finite or has masked values, a sparse matrix of distances lacks some, the squares of
        ``sqeuclidean`` leave the range of numbers, the shapes disagree, a label is missing, or a labeling has fewer
        than 2 or more than n - 1 clusters.

    Examples
    --------
    >>> import numpy as np
    >>> X = np.array([[0.0], [1.0], [9.0], [10.0]])
    >>> silhouette_samples(X, [0, 0, 1, 1]).round(3).tolist()
    [0.895, 0.882, 0.882, 0.895]
    >>> silhouette_samples(X, [[0, 0, 1, 1], [0, 0, 0, 1]]).mean(axis=1).round(3).tolist()
    [0.889, 0.029]
    """
    samples = [details.silhouette for details in _details(X, labels, metric, kwds)]
    return samples[0] if np.ndim(labels) == 1 else np.stack(samples)


def silhouette_details(
    X: np.ndarray, labels: np.ndarray, *, metric: str | Callable = "euclidean", **kwds
) -> SilhouetteDetails:
    """Calculate silhouettes with the distances that they compare and the rival cluster.

    Parameters, errors and formula are those of `silhouette_samples`; the arrays have the shape of the labels.

    Examples
    --------
    >>> import numpy as np
    >>> details = silhouette_details(np.array([[0.0], [1.0], [5.0], [9.0]]), ["a", "a", "b", "c"])
    >>> details.own.tolist(), details.rival_distance.tolist(), details.rival.tolist()
    ([1.0, 1.0, 0.0, 0.0], [5.0, 4.0, 4.0, 4.0], ['b', 'b', 'c', 'b'])
    """
    parts = list(_details(X, labels, metric, kwds))
    if np.ndim(labels) == 1:
        return parts[0]
    return SilhouetteDetails(*(np.stack([getattr(part, field.name) for part in parts]) for field in fields(parts[0])))


def silhouette_estimate(
    X: np.ndarray,
    labels: np.ndarray,
    *,
    n_rows: int = 1000,
    metric: str | Callable = "euclidean",
    random_state: int = 0,
    **kwds,
) -> list[SilhouetteEstimate]:
    """Estimate silhouettes from a sample of rows against all points.

    The silhouette of a sampled row is exact, since it is compared with all points; only the mean over rows is
    estimated. Rows are drawn within each cluster: three quarters of them in proportion to the sizes of the clusters, a
    quarter in equal numbers, so that small clusters have errors too, and at least two, so that no cluster is missed.
    The estimates are those of stratified sampling (Cochran 1977, Sampling Techniques, sections 5.3 to 5.6): unbiased,
    with standard errors that shrink to 0 as the sample grows to the whole cluster. The variance of a cluster counts
    the pooled variance of all clusters as one further row, since a few rows can be similar by chance.

    Parameters
    ----------
    X : array-like, shape (n, d)
    labels : array-like, shape (n,) or (m, n)
        One labeling, or m of them.
    n_rows : int
        Approximate number of rows drawn for each labeling: fewer if a cluster is smaller than its share, more if
        two of each cluster are.
    metric : str or callable
        As for `silhouette_samples`.
    random_state : int
    **kwds
        As for `silhouette_samples`.

    Returns
    -------
    list of SilhouetteEstimate, length m

    Raises
    ------
    ValueError
        As `silhouette_samples`, or if n_rows is less than 2.

    Examples
    --------
    >>> import numpy as np
    >>> X = np.arange(3000.0)[:, np.newaxis] + np.repeat([0, 9000], 1500)[:, np.newaxis]
    >>> labels = np.repeat([0, 1], 1500)
    >>> (estimate,) = silhouette_estimate(X, labels, n_rows=100)
    >>> error = abs(estimate.mean - silhouette_samples(X, labels).mean())
    >>> len(estimate.rows), bool(error < 3 * estimate.standard_error)
    (100, True)
    """
    if n_rows < 2:
        raise ValueError(f"n_rows = {n_rows} is not possible: at least 2 rows are needed for an error.")
    X = _check_points(X, metric, kwds)
    clusterings = _check_labels(labels, X.shape[0])
    order = np.random.default_rng(random_state).permutation(X.shape[0])
    drawn = [_stratified_rows(clustering, n_rows, order) for clustering in clusterings]
    rows = np.unique(np.concatenate(drawn))
    sums = cluster_distance_sums(X, clusterings, metric, rows, **kwds)
    stops = np.cumsum([len(clustering.sizes) for clustering in clusterings])
    estimates = []
    for clustering, chosen, part in zip(clusterings, drawn, np.split(sums, stops[:-1], axis=1)):
        silhouette = _reduce(part[np.searchsorted(rows, chosen)], clustering, clustering.codes[chosen]).silhouette
        estimates.append(_stratified_estimate(silhouette, clustering, chosen))
    return estimates


def _stratified_rows(clustering: Clustering, n_rows: int, order: np.ndarray) -> np.ndarray:
    """Take the first members of each cluster in a random order, in number its share of the rows.

    With one order for all labelings, these have most of their rows in common: fewer distances are computed, and their
    errors are correlated, so that two labelings are compared on nearly the same rows.
    """
    shares = 0.75 * clustering.sizes / clustering.sizes.sum() + 0.25 / len(clustering.sizes)
    counts = np.minimum(np.maximum(np.rint(n_rows * shares).astype(int), 2), clustering.sizes)
    by_cluster = order[np.argsort(clustering.codes[order], kind="stable")]
    members = np.split(by_cluster, np.cumsum(clustering.sizes)[:-1])
    return np.concatenate([group[:count] for group, count in zip(members, counts)])


def _stratified_estimate(silhouette: np.ndarray, clustering: Clustering, rows: np.ndarray) -> SilhouetteEstimate:
    codes, sizes = clustering.codes[rows], clustering.sizes
    drawn = np.bincount(codes)
    means = np.bincount(codes, silhouette) / drawn
    squares = np.bincount(codes, (silhouette - means[codes]) ** 2)
    pooled = squares.sum() / max(len(rows) - len(sizes), 1)
    variances = (squares + pooled) / drawn
    errors = np.sqrt((1 - drawn / sizes) * variances / drawn)
    shares = sizes / sizes.sum()
    return SilhouetteEstimate(
        mean=float(shares @ means),
        standard_error=float(np.sqrt(((shares * errors) ** 2).sum())),
        cluster_means=means,
        cluster_errors=errors,
        positive=float(shares @ (np.bincount(codes, silhouette > 0) / drawn)),
        rows=rows,
    )


def centroid_silhouette_samples(X: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Calculate the simplified silhouette, from distances to the centres of clusters and not to their samples.

    Hruschka, Campello and de Castro (2006), Information Sciences 176, 1898-1927. After k-means every sample is nearest
    to the centre of its own cluster, so this silhouette is never negative there. Rousseeuw's can be, since the mean
    distance to the samples of a cluster also depends on their scatter.

    Parameters
    ----------
    X : array-like, shape (n, d)
    labels : array-like, shape (n,)

    Returns
    -------
    ndarray of float64, shape (n,)
        0 in a cluster of one, as for `silhouette_samples`.
    """
    X, _, _ = in_units(check_points(X, dtype=np.float64))  # silhouettes have no unit
    (clustering,) = _check_labels(np.reshape(labels, (1, -1)), len(X))
    centers = np.stack([X[clustering.codes == cluster].mean(axis=0) for cluster in range(len(clustering.sizes))])
    distances = cdist(X, centers)
    own = distances[np.arange(len(X)), clustering.codes]
    return _compare(own, distances, clustering, clustering.codes).silhouette


def silhouette_table(samples: np.ndarray, labels: np.ndarray, groups: np.ndarray | None = None) -> pd.DataFrame:
    """Summarise silhouettes in a table with a row for each labeling.

    Parameters
    ----------
    samples : ndarray, shape (m, n)
        Silhouettes, as from `silhouette_samples`.
    labels : ndarray, shape (m, n)
        The labelings that they belong to.
    groups : array-like, shape (n,), optional
        Samples that belong together, such as pictures of one object, and are not independent.

    Returns
    -------
    DataFrame
        Indexed by ``n_clusters``. ``score`` is the mean over samples (micro), ``macro`` the mean over clusters of
        their means; ``median``; ``standard_error`` and ``macro_error``, the standard errors of score and macro if the
        silhouettes of different samples, or groups of samples, were independent (they share distances, and the true
        error can be nearly twice as large), see `helpers.clustering.errors.standard_error`; the shares ``positive``,
        ``zero`` and ``negative``; ``mean_positive`` and ``mean_negative`` (0 where there is none); ``worst_cluster``
        and its mean, ``worst_mean``. ``macro_error`` is missing where each cluster has samples of one group only.

    Raises
    ------
    ValueError
        If the shapes disagree, or groups are refused by `helpers.core.groups.encode_groups`.

    Examples
    --------
    >>> import numpy as np
    >>> X, labels = np.array([[0.0], [1.0], [9.0], [10.0]]), np.array([[0, 0, 1, 1], [0, 0, 1, 2]])
    >>> silhouette_table(silhouette_samples(X, labels), labels)[["score", "macro", "positive"]].round(3).T
    n_clusters      2      3
    score       0.889  0.441
    macro       0.889  0.294
    positive    1.000  0.500
    """
    samples = np.atleast_2d(samples)
    groups = encode_groups(groups, samples.shape[1])
    rows = [_summary(*row, groups) for row in zip(samples, np.atleast_2d(labels), strict=True)]
    return pd.DataFrame(rows).set_index("n_clusters")


def cluster_table(details: SilhouetteDetails, labels: np.ndarray) -> pd.DataFrame:
    """Summarise the silhouettes of one labeling in a table with a row for each cluster.

    Parameters
    ----------
    details : SilhouetteDetails
    labels : ndarray, shape (n,)
        The labels that `details` was computed for.

    Returns
    -------
    DataFrame
        Indexed by ``cluster``: ``size``, ``mean``, the share ``negative``, and ``rival``, the other cluster that is
        most often the nearest to its samples.
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
    """Choose members of a cluster to look at: the one with the highest silhouette, then the lowest, lowest first.

    Parameters
    ----------
    silhouette : ndarray, shape (n,)
    labels : ndarray, shape (n,)
    cluster : int
        The label of the cluster.
    n_worst : int
        Number of samples with the lowest silhouettes.

    Returns
    -------
    ndarray of int, shape (1 + n_worst,) or shorter in a small cluster
        Indices into `silhouette`.
    """
    members = np.flatnonzero(labels == cluster)
    ordered = members[np.argsort(silhouette[members], kind="stable")]
    return np.concatenate([ordered[-1:], ordered[:-1][:n_worst]])


def _summary(samples: np.ndarray, labels: np.ndarray, groups: np.ndarray | None) -> dict[str, float]:
    clustering = encode(labels)
    means = np.bincount(clustering.codes, samples) / clustering.sizes
    positive, negative = samples > 0, samples < 0
    return {
        "n_clusters": len(means),
        "score": samples.mean(),
        "macro": means.mean(),
        "median": np.median(samples),
        "standard_error": standard_error((samples - samples.mean()) / len(samples), groups),
        "macro_error": _macro_error(samples - means[clustering.codes], clustering, groups),
        "positive": positive.mean(),
        "zero": (samples == 0).mean(),
        "negative": negative.mean(),
        "mean_positive": samples[positive].mean() if positive.any() else 0.0,
        "mean_negative": samples[negative].mean() if negative.any() else 0.0,
        "worst_cluster": clustering.clusters[means.argmin()],
        "worst_mean": means.min(),
    }


def _macro_error(deviations: np.ndarray, clustering: Clustering, groups: np.ndarray | None) -> float:
    """Calculate the error of the mean over clusters of their means, from deviations from the means of the clusters.

    As in `standard_error`, but with the factor G / (G - 1) of each cluster, for the G groups that have samples in it.
    """
    n, k = len(deviations), len(clustering.sizes)
    groups = np.arange(n) if groups is None else groups
    # A cell is what a group has in a cluster.
    cells, cell_of = np.unique(groups * k + clustering.codes, return_inverse=True)
    group, cluster = np.divmod(cells, k)
    sums, n_groups = np.bincount(cell_of, deviations), np.bincount(cluster)
    factors = np.sqrt(n_groups / np.maximum(n_groups - 1, 1)) / clustering.sizes
    variance = (np.bincount(group, sums * factors[cluster]) ** 2).sum()
    if (n_groups == 1).any():
        # A cluster of one group has no spread of its own; it is given the pooled one of all clusters, if there is one.
        squares = (sums / np.bincount(cell_of)) ** 2
        variance += (n_groups == 1).sum() * (squares.sum() / (len(cells) - k) if len(cells) > k else np.nan)
    return float(np.sqrt(variance) / k)


def _details(X: np.ndarray, labels: np.ndarray, metric: str | Callable, kwds: dict) -> Iterator[SilhouetteDetails]:
    X = _check_points(X, metric, kwds)
    clusterings = _check_labels(labels, X.shape[0])
    sums = cluster_distance_sums(X, clusterings, metric, **kwds)
    stops = np.cumsum([len(clustering.sizes) for clustering in clusterings])
    for clustering, part in zip(clusterings, np.split(sums, stops[:-1], axis=1)):
        yield _reduce(part, clustering, clustering.codes)


def _check_points(X: np.ndarray, metric: str | Callable, kwds: dict) -> np.ndarray:
    # Metrics that scikit-learn computes are computed in float64, or in what they need, such as booleans for jaccard.
    own = metric == "precomputed" or (metric in ("euclidean", "sqeuclidean", "cosine") and not kwds)
    X = check_points(X, accept_sparse="csr", dtype=[np.float64, np.float32] if own else "numeric")
    if metric != "precomputed":
        return X.astype(np.float64) if X.dtype == np.float32 and (not own or scipy.sparse.issparse(X)) else X
    if X.shape[0] != X.shape[1]:
        raise ValueError(f"The precomputed distance matrix must be square, and its shape is {X.shape}.")
    # The message and the tolerance of scikit-learn, which allows for rounding.
    if (abs(X.diagonal()) > 100 * np.finfo(X.dtype).eps).any():
        raise ValueError(
            "The precomputed distance matrix contains non-zero elements on the diagonal. Use np.fill_diagonal(X, 0)."
        )
    if scipy.sparse.issparse(X):
        _check_holes(X)
    return X


def _check_holes(distances: scipy.sparse.csr_array) -> None:
    """Refuse a sparse matrix of distances some of which are not there, such as a graph of neighbours.

    Where nothing is stored the distance is 0. So it is between duplicates; and since duplicates have the same distances
    to all others, they have the same holes.
    """
    stored = distances.copy()
    stored.data = np.ones_like(stored.data)
    first = np.empty(stored.shape[0], dtype=np.int64)
    for check in (False, True):  # first find the first duplicate of each sample, which stands for all of them
        for rows in gen_batches(stored.shape[0], TILE):
            holes = stored[rows].toarray() == 0
            holes[np.arange(len(holes)), np.arange(rows.start, rows.stop)] = True
            if not check:
                first[rows] = holes.argmax(axis=1)
            elif (holes != (first[rows, np.newaxis] == first)).any():
                raise ValueError(
                    "The precomputed distance matrix is sparse and leaves distances between different samples out, "
                    "which would count as 0: all of them are needed."
                )


def _check_labels(labels: np.ndarray, n_samples: int) -> list[Clustering]:
    """Check and encode one labeling or several."""
    if np.ma.is_masked(labels):
        raise ValueError("labels have masked values; each sample must have a label.")
    labels = np.asarray(labels)
    if labels.ndim not in (1, 2) or len(labels) == 0:
        raise ValueError(f"labels must be of shape (n,), or (m, n) for m labelings, not {labels.shape}.")
    labelings = np.atleast_2d(labels)
    if labelings.shape[1] != n_samples:
        raise ValueError(f"labels have the length {labelings.shape[1]}, and X has {n_samples} rows; they must agree.")
    if pd.isna(labelings).any():
        raise ValueError("labels contain NaN; each sample must have a label.")
    clusterings = [encode(labeling) for labeling in labelings]
    for n_clusters in (len(clustering.sizes) for clustering in clusterings):
        if not 2 <= n_clusters <= n_samples - 1:
            # The message of scikit-learn, which callers may match.
            raise ValueError(
                f"Number of labels is {n_clusters}. Valid values are 2 to n_samples - 1 (inclusive), and there are "
                f"{n_samples} samples."
            )
    return clusterings


def _reduce(sums: np.ndarray, clustering: Clustering, codes: np.ndarray) -> SilhouetteDetails:
    """Calculate silhouettes of samples in the clusters `codes` from the sums of their distances to all clusters."""
    sizes = clustering.sizes[codes]
    own = sums[np.arange(len(codes)), codes] / np.maximum(sizes - 1, 1)
    return _compare(own, sums / clustering.sizes, clustering, codes)


def _compare(own: np.ndarray, means: np.ndarray, clustering: Clustering, codes: np.ndarray) -> SilhouetteDetails:
    """Compare the distance `own` to the own cluster with the smallest of the distances `means` (n, k) to the others."""
    rows = np.arange(len(codes))
    means[rows, codes] = np.inf
    rival = means.argmin(axis=1)
    rival_distance = means[rows, rival]
    larger = np.maximum(own, rival_distance)
    # Duplicates of each other in two clusters have a = b = 0: neither is nearer, so 0, as for a cluster of one.
    silhouette = np.divide(
        rival_distance - own, larger, out=np.zeros(len(codes)), where=(larger > 0) & (clustering.sizes[codes] > 1)
    )
    return SilhouetteDetails(silhouette, own, rival_distance, clustering.clusters[rival])
