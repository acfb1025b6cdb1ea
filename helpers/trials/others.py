"""Rules of others that name a number of clusters, to be compared with the verdict.

All see the points that k-means sees. None answers more than the largest k that is asked for; an answer of 1 says that
there are no clusters, None that the rule names no number. `ask_others` asks all of `OTHERS`.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from scipy.spatial.distance import cdist
from scipy.stats import norm
from sklearn.cluster import HDBSCAN, KMeans
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import pairwise_distances_argmin, rand_score
from sklearn.mixture import GaussianMixture

from ..clustering.sweep import sweep_kmeans
from ..core.scheduling import one_thread
from ..criteria.halves import Halves, cluster_halves

# Full covariances need too many parameters, p (p + 1) / 2 for each cluster: 1,275 for 50 features, where a cluster has
# often fewer than 100 points.
COVARIANCES = ("spherical", "diag", "tied")
# Added to the variances of a mixture, as a share of the mean variance of the features, so that no unit matters.
REGULARISATION = 1e-3
# Of the Anderson-Darling statistic of a normal distribution with unknown mean and variance, at a level of 0.0001.
CRITICAL = 1.8692
# A consensus between these is ambiguous.
AMBIGUOUS = (0.1, 0.9)
# The level of the dip test of a viewer. In the paper it is 0, and p-values are shares of 1,000 uniform samples: none of
# them has a larger dip. Those of the package diptest come from a table, where less than 1 / 1,000 says the same.
DIP_LEVEL = 1e-3
# Share of viewers that must see more than one mode, and attempts at dividing the cluster, from the paper. Its authors'
# program leaves clusters of 6 points and fewer alone.
VIEWERS, N_TRIALS, INDIVISIBLE = 0.01, 10, 6
# A variance about two means needs as many points.
FEWEST_POINTS = 3


# --- from clusterings for each k --------------------------------------------------------------------------------------


def fang_wang(points: np.ndarray, k_values: Sequence[int], *, n_pairs: int = 5, random_state: int = 0) -> int:
    """Name the k whose clusterings of two bootstrap samples disagree least.

    Fang and Wang (2012), Selection of the number of clusters via the bootstrap method, Computational Statistics and
    Data Analysis 56, 468-477. Both clusterings are extended to all points by the nearest centre. They disagree about a
    pair of points that only one of them puts into one cluster; the share of such pairs is 1 - Rand index. Of equals
    the largest k is named, about which the paper says nothing. It cannot answer 1, with which nothing disagrees.

    Parameters
    ----------
    points : ndarray, shape (n, p)
    k_values : sequence of int, length m
        From 2 on.
    n_pairs : int
        Pairs of bootstrap samples; the package fpc of R draws 50.
    random_state : int

    Examples
    --------
    >>> X = np.random.default_rng(0).normal(size=(150, 2)) + np.repeat([[0, 0], [20, 0], [0, 20]], 50, axis=0)
    >>> fang_wang(X, [2, 3, 4], n_pairs=3)
    3
    """
    rng = np.random.default_rng(random_state)
    pairs = [[_bootstrap_labels(points, k_values, rng) for _ in range(2)] for _ in range(n_pairs)]
    disagreement = [[1 - rand_score(*labels) for labels in zip(*pair)] for pair in pairs]
    return _least(k_values, np.mean(disagreement, axis=0))


def _bootstrap_labels(points: np.ndarray, k_values: Sequence[int], rng: np.random.Generator) -> list[np.ndarray]:
    """Cluster a bootstrap sample for each k, and label all points by the nearest centre, m arrays (n,)."""
    drawn = points[rng.integers(len(points), size=len(points))]
    sweep = sweep_kmeans(drawn, k_values, n_init=1, random_state=int(rng.integers(2**31)))
    return [pairwise_distances_argmin(points, centers) for centers in sweep.centers]


def _least(k_values: Sequence[int], values: np.ndarray) -> int:
    """Name the k whose value is least, of equals the largest."""
    return int(np.max(np.asarray(k_values)[values == np.nanmin(values)]))


def consensus_pac(points: np.ndarray, halves: Halves) -> int:
    """Name the k about whose consensus the fewest pairs of points are ambiguous.

    Monti, Tamayo, Mesirov and Golub (2003), Consensus clustering, Machine Learning 52, 91-118, with the proportion of
    ambiguous clustering, PAC, of Senbabaoglu, Michailidis and Li (2014), Critical limitations of consensus clustering
    in class discovery, Scientific Reports 4, 6207: the share of pairs whose consensus lies between 0.1 and 0.9. They
    cluster 80% of the points many times; here the halves are taken as the subsamples, since they are clustered
    already. A pair is in about half as many of them as there are halvings, so that one dissent makes it ambiguous. Of
    equals the largest k is named, about which the papers say nothing. It cannot answer 1.

    Parameters
    ----------
    points : ndarray, shape (n, p)
    halves : Halves
        From `cluster_halves` with the same points. It holds matrices of n x n in memory.

    Examples
    --------
    >>> from helpers.criteria.halves import cluster_halves
    >>> X = np.random.default_rng(0).normal(size=(150, 2)) + np.repeat([[0, 0], [20, 0], [0, 20]], 50, axis=0)
    >>> consensus_pac(X, cluster_halves(X, [2, 3, 4], n_halvings=4))
    3
    """
    labels = np.full((len(halves.k_values), len(halves.rows), len(points)), -1)
    for half, rows in enumerate(halves.rows):
        for by_k, centers in zip(labels, halves.centers_for(half)):
            if not np.isnan(centers).any():
                by_k[half, rows] = pairwise_distances_argmin(points[rows], centers)
    return _least(halves.k_values, np.array([ambiguous_share(consensus_matrix(by_k)) for by_k in labels]))


def consensus_matrix(labels: np.ndarray) -> np.ndarray:
    """Calculate the share of the clusterings of two points that put them into one cluster.

    Parameters
    ----------
    labels : ndarray of int, shape (r, n)
        Clusterings of subsamples; -1 for a point that is not in one.

    Returns
    -------
    ndarray of float32, shape (n, n)
        Not a number for two points that are never in one subsample.

    Examples
    --------
    >>> consensus_matrix(np.array([[0, 0, 1], [1, 0, -1]])).tolist()
    [[1.0, 0.5, 0.0], [0.5, 1.0, 0.0], [0.0, 0.0, 1.0]]
    """
    drawn = (labels >= 0).astype(np.float32)
    # Ones for the members of each cluster of each clustering, (clusters, n); their products count in whole numbers.
    clusters = range(max(labels.max(), 0) + 1)
    members = np.vstack([labels == cluster for cluster in clusters]).astype(np.float32)
    both = drawn.T @ drawn
    return np.divide(members.T @ members, both, out=np.full_like(both, np.nan), where=both > 0)


def ambiguous_share(consensus: np.ndarray) -> float:
    """Calculate the share of pairs of different points whose consensus (n, n) is ambiguous, of those that have one."""
    pairs = consensus[np.triu_indices(len(consensus), 1)]
    pairs = pairs[~np.isnan(pairs)]
    return float(np.mean((pairs > AMBIGUOUS[0]) & (pairs < AMBIGUOUS[1]))) if len(pairs) else np.nan


# --- mixtures and density ---------------------------------------------------------------------------------------------


def gaussian_mixture_bic(points: np.ndarray, k_max: int, *, n_init: int = 2, random_state: int = 0) -> int:
    """Name the number of components, from 1 on, of the Gaussian mixture of least BIC.

    Fraley and Raftery (1998), How many clusters? Which clustering method?, The Computer Journal 41, 578-588, with
    scikit-learn's mixtures of spherical, diagonal and tied covariances. Each is fitted once, from the k-means
    clustering with its clusters taken as equal spheres, which takes a fraction of the time of several starts.

    Parameters
    ----------
    points : ndarray, shape (n, p)
    k_max : int
    n_init : int
        Restarts of k-means.
    random_state : int

    Examples
    --------
    >>> X = np.random.default_rng(0).normal(size=(150, 2)) + np.repeat([[0, 0], [20, 0], [0, 20]], 50, axis=0)
    >>> gaussian_mixture_bic(X, 6)
    3
    """
    sweep = sweep_kmeans(points, range(1, k_max + 1), n_init=n_init, random_state=random_state)
    variances = sweep.inertia / points.size
    starts = list(zip(sweep.centers, map(np.bincount, sweep.labels), variances))
    floor = REGULARISATION * variances[0]
    bic = [min(_mixture(points, *start, floor, kind).bic(points) for kind in COVARIANCES) for start in starts]
    return int(np.argmin(bic)) + 1


def _mixture(
    points: np.ndarray, centers: np.ndarray, sizes: np.ndarray, variance: float, floor: float, kind: str
) -> GaussianMixture:
    """Fit a mixture, from the centres (k, p) and sizes (k,) of clusters of one variance."""
    k, p = centers.shape
    shapes = {"spherical": np.ones(k), "diag": np.ones((k, p)), "tied": np.eye(p)}
    start = {"means_init": centers, "weights_init": sizes / sizes.sum()}
    start["precisions_init"] = shapes[kind] / (variance + floor)
    return GaussianMixture(k, covariance_type=kind, reg_covar=floor, **start).fit(points)


def hdbscan(points: np.ndarray, k_max: int) -> int | None:
    """Name the number of clusters of HDBSCAN with scikit-learn's parameters, None if all points are noise.

    Campello, Moulavi and Sander (2013), Density-based clustering based on hierarchical density estimates, PAKDD,
    160-172. It cannot answer 1.

    Parameters
    ----------
    points : ndarray, shape (n, p)
    k_max : int

    Examples
    --------
    >>> X = np.random.default_rng(0).normal(size=(150, 2)) + np.repeat([[0, 0], [20, 0], [0, 20]], 50, axis=0)
    >>> hdbscan(X, 6)
    3
    """
    found = int(HDBSCAN(copy=True).fit_predict(points).max()) + 1
    return min(found, k_max) if found else None


# --- splitting clusters until none is to be split ---------------------------------------------------------------------


def g_means(points: np.ndarray, k_max: int) -> int:
    """Name the number of clusters that are left when none is to be split, since all are Gaussian along their split.

    Hamerly and Elkan (2003), Learning the k in k-means, NIPS 16, 281-288. A cluster is clustered in two, from the
    centres m +- s sqrt(2 v / pi) with m its mean, s its first principal axis and v the variance along it; its points
    are projected on the line of the two centres, and the two stay if the test of Anderson and Darling refuses a normal
    distribution at the level of 0.0001. K-means then moves all centres, and all clusters are tested again.

    Parameters
    ----------
    points : ndarray, shape (n, p)
    k_max : int

    Examples
    --------
    >>> X = np.random.default_rng(0).normal(size=(150, 2)) + np.repeat([[0, 0], [20, 0], [0, 20]], 50, axis=0)
    >>> g_means(X, 6)
    3
    """
    *_, labels = _grown(points, k_max, _split_unless_gaussian)
    return min(_count(labels), k_max)


def _split_unless_gaussian(cluster: np.ndarray) -> np.ndarray:
    """Give the two centres of a cluster of G-means, or the one it has."""
    center = cluster.mean(axis=0)
    _, sizes, axes = np.linalg.svd(cluster - center, full_matrices=False)
    step = axes[0] * sizes[0] * np.sqrt(2 / (np.pi * len(cluster)))
    children = _means(cluster, _lloyd(cluster, [center + step, center - step]))
    normal = anderson_darling(cluster @ (children[0] - children[1])) <= CRITICAL
    return center[np.newaxis] if normal else children


def anderson_darling(x: np.ndarray) -> float:
    """Calculate the Anderson-Darling statistic of normality with unknown mean and variance, corrected for few values.

    A^2 = -n - sum of (2 i - 1) (log F(z_i) + log(1 - F(z_j))) / n with j = n + 1 - i, over the sorted, standardised
    values, times 1 + 4 / n - 25 / n^2, as in Hamerly and Elkan (2003). `scipy.stats.anderson` has no such correction,
    and changes its interface with its version.

    Parameters
    ----------
    x : ndarray, shape (n,)
        Of more than one value.
    """
    n = len(x)
    z = np.sort((x - x.mean()) / x.std(ddof=1))
    weights = np.arange(1, 2 * n, 2) / n
    return float((-n - weights @ (norm.logcdf(z) + norm.logsf(z[::-1]))) * (1 + 4 / n - 25 / n**2))


def x_means(points: np.ndarray, k_max: int, *, random_state: int = 0) -> int:
    """Name the number of clusters of the best clustering found by splitting clusters, both judged by BIC.

    Pelleg and Moore (2000), X-means: extending k-means with efficient estimation of the number of clusters, ICML,
    727-734. A cluster is clustered in two, from centres its radius from its mean in a random direction and the
    opposite one, and the two stay if their `spherical_bic` is larger than that of the one. K-means then moves all
    centres, and all clusters are tested again; of all clusterings on the way that of the largest BIC is named.

    Parameters
    ----------
    points : ndarray, shape (n, p)
    k_max : int
    random_state : int

    Examples
    --------
    >>> X = np.random.default_rng(0).normal(size=(150, 2)) + np.repeat([[0, 0], [20, 0], [0, 20]], 50, axis=0)
    >>> x_means(X, 6)
    3
    """
    # Written out, since pyclustering, which has it, is no longer maintained and cannot be imported with NumPy 2.
    split = partial(_split_by_bic, np.random.default_rng(random_state))
    best = max(_grown(points, k_max, split), key=lambda labels: spherical_bic(points, labels))
    return min(_count(best), k_max)


def _split_by_bic(rng: np.random.Generator, cluster: np.ndarray) -> np.ndarray:
    """Give the two centres of a cluster of X-means, or the one it has."""
    center, direction = cluster.mean(axis=0), rng.standard_normal(cluster.shape[1])
    step = direction * np.sqrt(cluster.var(axis=0).sum()) / np.linalg.norm(direction)
    labels = _lloyd(cluster, [center + step, center - step])
    one = np.zeros(len(cluster), dtype=int)
    return _means(cluster, max(one, labels, key=lambda each: spherical_bic(cluster, each)))


def spherical_bic(points: np.ndarray, labels: np.ndarray) -> float:
    """Calculate the BIC of X-means, the larger the better: log-likelihood - (number of parameters / 2) log n.

    Clusters are spheres of one variance, which is estimated without bias, and each point belongs to one of them:

        variance = sum of squared distances to the means / (p (n - k))
        log-likelihood = sum of n_c log(n_c / n) over clusters - n p / 2 log(2 pi variance) - p (n - k) / 2

    with k - 1 shares, k p coordinates and the variance as parameters. The paper leaves p out of the variance and of the
    last term, which does not fit its density; the difference that a further cluster makes changes by (p - 1) / 2.

    Parameters
    ----------
    points : ndarray, shape (n, p)
        With n larger than k.
    labels : ndarray of int, shape (n,)
        From 0 on.
    """
    (n, p), sizes = points.shape, np.bincount(labels)
    k = len(sizes)
    # Clusters of copies of one point have no variance, and no finite likelihood.
    variance = max(((points - _means(points, labels)[labels]) ** 2).sum() / (p * (n - k)), np.finfo(float).tiny)
    likelihood = sizes @ np.log(sizes / n) - n * p / 2 * np.log(2 * np.pi * variance) - p * (n - k) / 2
    return float(likelihood - k * (p + 1) / 2 * np.log(n))


def dip_means(points: np.ndarray, k_max: int, *, random_state: int = 0) -> int:
    """Name the number of clusters that are left when the distances within each are unimodal.

    Kalogeratos and Likas (2012), Dip-means: an incremental clustering method for estimating the number of clusters,
    NIPS 25, 2393-2401. Each point of a cluster is a viewer, and Hartigan's dip test is asked whether its distances to
    all points of the cluster have one mode. Of the clusters in which 1% of the viewers or more see several, that in
    which the dips of these viewers are largest on average is clustered in two, and k-means moves all centres.

    Parameters
    ----------
    points : ndarray, shape (n, p)
    k_max : int
    random_state : int

    Examples
    --------
    >>> X = np.random.default_rng(0).normal(size=(150, 2)) + np.repeat([[0, 0], [20, 0], [0, 20]], 50, axis=0)
    >>> dip_means(X, 6)
    3
    """
    rng = np.random.default_rng(random_state)
    distances, labels = cdist(points, points), np.zeros(len(points), dtype=int)
    for _ in range(k_max - 1):
        members = [np.flatnonzero(labels == cluster) for cluster in range(_count(labels))]
        dips = [_dip_of_viewers(distances[np.ix_(rows, rows)]) for rows in members]
        worst = int(np.argmax(dips))
        if not dips[worst]:
            break
        others = np.delete(_means(points, labels), worst, axis=0)
        labels = _lloyd(points, np.vstack([others, _split_in_two(points[members[worst]], rng)]))
    return _count(labels)


def _dip_of_viewers(distances: np.ndarray) -> float:
    """Calculate the mean dip of the viewers (c, c) that see several modes; 0 if too few do."""
    from diptest import diptest  # here, since only these trials need it

    if len(distances) <= INDIVISIBLE:
        return 0.0
    seen = [diptest(row, sort_x=False) for row in np.sort(distances, axis=1)]
    several = [dip for dip, p_value in seen if p_value < DIP_LEVEL]
    return float(np.mean(several)) if len(several) >= VIEWERS * len(distances) else 0.0


def _split_in_two(cluster: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Give the centres (2, p) of the best of some clusterings in two, each from a point and its mirror image."""
    center = cluster.mean(axis=0)
    drawn = cluster[rng.permutation(len(cluster))[:N_TRIALS]]
    trials = [_means(cluster, _lloyd(cluster, [point, 2 * center - point])) for point in drawn]
    return min(trials, key=lambda centers: cdist(cluster, centers, "sqeuclidean").min(axis=1).sum())


def _grown(points: np.ndarray, k_max: int, split: Callable[[np.ndarray], np.ndarray]) -> Iterator[np.ndarray]:
    """Yield the labels (n,) of one cluster, and then of k-means after each round in which some clusters were split.

    It ends when none was, or with k_max clusters or more.
    """
    labels = np.zeros(len(points), dtype=int)
    yield labels
    while (k := _count(labels)) < k_max:
        clusters = [points[labels == cluster] for cluster in range(k)]
        parts = [split(part) if _divisible(part) else part.mean(axis=0, keepdims=True) for part in clusters]
        labels = _lloyd(points, np.vstack(parts))
        if _count(labels) == k:
            return
        yield labels


def _divisible(cluster: np.ndarray) -> bool:
    return len(cluster) >= FEWEST_POINTS and bool(np.ptp(cluster, axis=0).any())


def _lloyd(points: np.ndarray, centers: np.ndarray | list[np.ndarray]) -> np.ndarray:
    """Cluster points from some centres; labels (n,) from 0 on, of fewer clusters where there are too few points."""
    kmeans = KMeans(len(centers), init=np.asarray(centers), n_init=1).fit(points)
    return np.unique(kmeans.labels_, return_inverse=True)[1]


def _means(points: np.ndarray, labels: np.ndarray) -> np.ndarray:
    return np.array([points[labels == cluster].mean(axis=0) for cluster in range(_count(labels))])


def _count(labels: np.ndarray) -> int:
    return int(labels.max()) + 1


# --- all of them ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Rule:
    """A rule of others.

    Attributes
    ----------
    name : str
    label : str
        Its display name on figures and in tables.
    source : str
        Who published it, and when.
    ask : callable
        Name a k, or None, from the points, the k asked for, the halves and the seed.
    """

    name: str
    label: str
    source: str
    ask: Callable[[np.ndarray, Sequence[int], Halves, int], int | None]


OTHERS: dict[str, Rule] = {
    rule.name: rule
    for rule in (
        Rule(
            "fang_wang",
            "bootstrap instability",
            "Fang and Wang 2012",
            lambda points, ks, halves, seed: fang_wang(points, ks, random_state=seed),
        ),
        Rule(
            "consensus_pac",
            "consensus, PAC",
            "Monti et al. 2003, Senbabaoglu et al. 2014",
            lambda points, ks, halves, seed: consensus_pac(points, halves),
        ),
        Rule(
            "gaussian_mixture_bic",
            "Gaussian mixture, BIC",
            "Fraley and Raftery 1998",
            lambda points, ks, halves, seed: gaussian_mixture_bic(points, max(ks), random_state=seed),
        ),
        Rule("hdbscan", "HDBSCAN", "Campello et al. 2013", lambda points, ks, halves, seed: hdbscan(points, max(ks))),
        Rule("g_means", "G-means", "Hamerly and Elkan 2003", lambda points, ks, halves, seed: g_means(points, max(ks))),
        Rule(
            "x_means",
            "X-means",
            "Pelleg and Moore 2000",
            lambda points, ks, halves, seed: x_means(points, max(ks), random_state=seed),
        ),
        Rule(
            "dip_means",
            "dip-means",
            "Kalogeratos and Likas 2012",
            lambda points, ks, halves, seed: dip_means(points, max(ks), random_state=seed),
        ),
    )
}


@dataclass(frozen=True)
class Named:
    """The k that each of `OTHERS` names, a whole number or None, in their order."""

    k: list


def ask_others(
    points: np.ndarray, k_values: Sequence[int], *, random_state: int = 0, halves: Halves | None = None
) -> Named:
    """Ask each of `OTHERS` which k it names.

    Parameters
    ----------
    points : array-like, shape (n, p)
        What k-means sees.
    k_values : sequence of int
        Consecutive numbers of clusters from 2 on. Rules that can answer 1 try it, too; none answers more than the last.
    random_state : int
    halves : Halves, optional
        From `cluster_halves` with the same points, k_values and random_state, if they are there already.

    Returns
    -------
    Named

    Examples
    --------
    >>> X = np.random.default_rng(0).normal(size=(150, 2)) + np.repeat([[0, 0], [20, 0], [0, 20]], 50, axis=0)
    >>> set(ask_others(X, [2, 3, 4]).k)
    {3}
    """
    points = np.asarray(points, dtype=np.float64)
    if halves is None:
        halves = cluster_halves(points, k_values, random_state=random_state)
    with one_thread(__name__), warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # a mixture far from converged is far from the best
        return Named([rule.ask(points, k_values, halves, random_state) for rule in OTHERS.values()])
