"""References to compare criteria with: structureless data, and the ceiling of the score.

A criterion always has a largest value at some k. Whether that value means anything shows only in comparison with its
value on data without structure, and with its upper bound.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import sklearn
from sklearn.decomposition import PCA
from sklearn.metrics import pairwise_distances_chunked
from tqdm import tqdm

from ..clustering.centring import check_points, in_units, unit_rows
from ..clustering.distances import encode
from ..clustering.silhouette import silhouette_estimate, silhouette_samples, silhouette_table
from ..clustering.sweep import sweep_kmeans
from ..core.scheduling import one_thread, run_tasks

GAP_REFERENCES = ("pca", "uniform")
NULL_KINDS = ("uniform", "gaussian", "elliptical")
# Measures that are compared with those of structureless data; columns of `silhouette_table`.
NULL_MEASURES = ("score", "macro", "positive")
# The silhouettes of a reference with more samples than this are estimated from some rows. For 20,000 samples of 1,280
# features and 15 labelings that takes 1.2 s of a core and exact ones take 8.2 s; the k-means before takes 4 to 6 s.
# No score or macro was off by more than 0.001 there, with a standard error of 0.0013. For 5,000 samples of 300
# features (9 references, 15 labelings) score and macro were off by 0.0005 in the root mean square and by 0.0017 at
# most; the share of positive samples by 0.008 and 0.025.
MAX_EXACT_SAMPLES = 4000
# References of more samples have this many, at half the cost or less. For 20,000 rows of two kinds, 4 k and 3
# references, no mean score was off by more than 0.0033 and 0.0004, where references differ by a standard deviation of
# 0.0020 and 0.0003.
MAX_REFERENCE_SAMPLES = 10_000
N_ESTIMATE_ROWS = 1000
# MiB of distances held at once by the ceiling.
_CHUNK_MIB = 128


@dataclass(frozen=True)
class GapStatistic:
    """The gap statistic, each array of shape (m,).

    Attributes
    ----------
    k_values : ndarray of int64
    log_w : ndarray of float64
        Logarithm of the inertia of the data.
    expected : ndarray of float64
        Its mean over the references.
    s : ndarray of float64
        Standard deviation of the logarithms over the references, times sqrt(1 + 1 / their number).
    """

    k_values: np.ndarray
    log_w: np.ndarray
    expected: np.ndarray
    s: np.ndarray

    @property
    def n_clusters(self) -> int | None:
        """The smallest k whose gap is at least that of the next k less its s; None if there is none."""
        columns = self.table()
        return gap_choice(columns["gap"], columns["s"])

    def table(self) -> pd.DataFrame:
        """Tabulate ``log_w``, ``expected``, their difference ``gap``, and ``s``, with a row for each k."""
        columns = {"log_w": self.log_w, "expected": self.expected, "gap": self.expected - self.log_w, "s": self.s}
        return pd.DataFrame(columns, index=pd.Index(self.k_values, name="n_clusters"))


def gap_choice(gap: pd.Series, s: pd.Series) -> int | None:
    """Find the smallest k whose gap is at least that of the next k less its s; None if there is none.

    Parameters
    ----------
    gap, s : Series
        Indexed by k, ascending. The next k is k + 1 in the paper of `gap_statistic`, and here the next one that was
        tried: the wider the steps, the more a gap that grows has to grow past.
    """
    reached = gap.to_numpy()[:-1] >= (gap - s).to_numpy()[1:]
    return int(gap.index[reached.argmax()]) if reached.any() else None


@dataclass(frozen=True)
class NullSilhouettes:
    """Silhouettes of structureless data, each array of shape (kinds, references, m).

    Attributes
    ----------
    k_values : ndarray of int64, shape (m,)
    kinds : list of str
    score, macro, positive : ndarray of float64
        As in `silhouette_table`.
    """

    k_values: np.ndarray
    kinds: list[str]
    score: np.ndarray
    macro: np.ndarray
    positive: np.ndarray

    def table(self) -> pd.DataFrame:
        """Tabulate mean, least (``_low``) and largest (``_high``) of score, macro and positive, for each kind and k."""
        columns = {}
        for name in NULL_MEASURES:
            values = getattr(self, name)
            columns[name] = values.mean(axis=1).ravel()
            columns[f"{name}_low"] = values.min(axis=1).ravel()
            columns[f"{name}_high"] = values.max(axis=1).ravel()
        return pd.DataFrame(columns, index=pd.MultiIndex.from_product([self.kinds, self.k_values], names=_NULL_INDEX))


_NULL_INDEX = ["kind", "n_clusters"]


@dataclass(frozen=True)
class SilhouetteCeiling:
    """Upper bounds of the average silhouette.

    Attributes
    ----------
    ceiling : float
        No clustering of these samples has a larger score.
    by_sizes : ndarray of float64, shape (m,)
        No clustering into clusters of the same sizes as labeling m has a larger score.
    n_rows : int
        Number of samples over which the averages were taken.
    standard_error : float
        Of `ceiling`, from sampling rows; 0 if all rows were taken.
    """

    ceiling: float
    by_sizes: np.ndarray
    n_rows: int
    standard_error: float


# --- structureless references -----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Cloud:
    """Points rotated to their principal axes, along which structureless data of the same shape is drawn.

    The rotation changes no distance. `mean` (q,) is the mean that was subtracted, rotated as well.
    """

    points: np.ndarray
    mean: np.ndarray

    def draw(self, kind: str, rng: np.random.Generator, n_most: int | None = None) -> np.ndarray:
        """Draw points of one kind, in float32, as many as `points` has, or `n_most` where these are fewer."""
        shape = len(self.points[:n_most]), self.points.shape[1]
        if kind == "uniform":
            low, high = self.points.min(axis=0), self.points.max(axis=0)
            return low + (high - low) * rng.random(shape, dtype=np.float32)
        normal = self.points.std(axis=0) * rng.standard_normal(shape, dtype=np.float32)
        return normal if kind == "gaussian" else normal * self._scales(normal, rng)[:, np.newaxis]

    def _scales(self, normal: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Calculate factors for the rows of `normal` with which its norms vary as those of the points, or more.

        The logarithms of the factors are those of the norms of the points, shrunk to the variance by which these
        exceed those of `normal`. The mean square of the factors is 1, so that the covariance stays.
        """
        log_norms = _log_norms(self.points)
        share = 1 - _log_norms(normal).var() / max(log_norms.var(), np.finfo(np.float32).tiny)
        scales = np.exp(np.sqrt(max(0.0, share)) * (log_norms - log_norms.mean()))
        scales = scales[rng.permutation(len(scales))[: len(normal)]]
        return (scales / np.sqrt(np.mean(scales**2))).astype(np.float32)


def _log_norms(points: np.ndarray) -> np.ndarray:
    norms = np.linalg.norm(points.astype(np.float64), axis=1)
    # The norm of a point in the very centre has no logarithm; it is replaced by the smallest of the others.
    return np.log(np.maximum(norms, norms[norms > 0].min(initial=1.0)))


def _principal_cloud(X: np.ndarray, offset: np.ndarray | float = 0.0) -> _Cloud:
    """Rotate points to their principal axes, and add an axis for the part of the mean that is orthogonal to them.

    `offset` was subtracted from the points before, and is part of the mean.
    """
    with one_thread(__name__):
        pca = PCA(svd_solver="covariance_eigh" if X.shape[1] <= X.shape[0] else "full")
        points = pca.fit_transform(X)
    whole = pca.mean_ + offset
    mean = pca.components_ @ whole
    orthogonal = np.sqrt(max(0.0, whole @ whole - mean @ mean))
    points = np.column_stack([points, np.zeros(len(X))])
    return _Cloud(points.astype(np.float32), np.append(mean, orthogonal).astype(np.float32))


def _generators(random_state: int, n: int) -> list[np.random.Generator]:
    return [np.random.default_rng(seed) for seed in np.random.SeedSequence(random_state).spawn(n)]


def gap_statistic(
    X: np.ndarray,
    k_values: Sequence[int],
    *,
    references: str = "pca",
    n_references: int = 20,
    n_init: int = 2,
    random_state: int = 0,
    n_jobs: int | None = None,
) -> GapStatistic:
    """Calculate the gap between the inertia of uniform references and that of the data, on a logarithmic scale.

    Tibshirani, Walther and Hastie (2001), Estimating the number of clusters in a data set via the gap statistic,
    Journal of the Royal Statistical Society B 63, 411-423. With squared Euclidean distances their W_k is the inertia.
    It is the only criterion here that can answer 1.

    Parameters
    ----------
    X : array-like, shape (n, p)
        The points that k-means clusters.
    k_values : sequence of int, length m
        Numbers of clusters from 1 on, in ascending order; those of the paper are consecutive.
    references : {'pca', 'uniform'}
        Uniform over a box along the principal axes of X (the paper's version b) or along its features (version a).
    n_references : int
    n_init : int
        Restarts of k-means, for X and the references alike, so that neither is fitted better.
    random_state : int
    n_jobs : int, optional
        Number of references that are clustered at once; it does not change the result.

    Returns
    -------
    GapStatistic

    Raises
    ------
    ValueError
        If k_values are not 1 and others in ascending order, there are fewer than two references or they are of an
        unknown kind, or X is refused by `sweep_kmeans`.

    Examples
    --------
    >>> import numpy as np
    >>> X = np.random.default_rng(0).normal(size=(60, 2)) + np.repeat([[0, 0], [9, 0], [0, 9]], 20, axis=0)
    >>> gap_statistic(X, range(1, 6), n_references=5).n_clusters
    3
    """
    ks = list(k_values)
    if len(ks) < 2 or ks[0] != 1 or ks != sorted(set(ks)):
        raise ValueError(f"k_values = {ks} is not possible: the gap statistic needs 1 and others, in ascending order.")
    if references not in GAP_REFERENCES:
        raise ValueError(f"references = {references!r} is not allowed; allowed are 'pca' and 'uniform'.")
    if n_references < 2:
        raise ValueError(f"n_references = {n_references} is not possible: a spread needs at least 2.")
    X = check_points(X, dtype=np.float64)
    points, offset, unit = in_units(X)
    if references == "pca":
        cloud = _principal_cloud(points, offset / unit)
    else:
        cloud = _Cloud(points.astype(np.float32), np.zeros(X.shape[1]))

    generators = [(rng,) for rng in _generators(random_state, n_references)]
    inertia = sweep_kmeans(X, ks, n_init=n_init, random_state=random_state).inertia
    with np.errstate(divide="ignore"):  # of an inertia of 0, at k distinct points
        log_w = np.log(inertia)
    shared = cloud, ks, n_init, random_state
    runs = run_tasks(_log_inertia, generators, shared=shared, n_jobs=n_jobs, desc="gap", unit="reference")
    logs = np.stack(list(runs)) + 2 * np.log(unit)
    s = logs.std(axis=0) * np.sqrt(1 + 1 / n_references)
    return GapStatistic(np.array(ks), log_w, logs.mean(axis=0), s)


def _log_inertia(cloud: _Cloud, ks: list[int], n_init: int, random_state: int, rng: np.random.Generator) -> np.ndarray:
    """Draw and cluster a uniform reference (a task)."""
    points = cloud.draw("uniform", rng)
    return np.log(sweep_kmeans(points, ks, n_init=n_init, random_state=random_state).inertia)


def null_silhouettes(
    features: np.ndarray,
    k_values: Sequence[int],
    *,
    n_components: int | None = None,
    n_references: int = 10,
    metric: str = "euclidean",
    n_init: int = 2,
    random_state: int = 0,
    n_jobs: int | None = None,
) -> NullSilhouettes:
    """Measure the silhouettes of structureless data of the same shape at each k.

    Three kinds of data are drawn along the principal axes of the features: ``uniform`` over their box (as for the gap
    statistic); ``gaussian`` with their covariance; and ``elliptical``, the same Gaussian with each row scaled: if the
    norms of the features vary more than those of the Gaussian, its norms then vary as much, and it is one cloud with
    heavy tails. All are treated as the features are: the first principal components are clustered, and the silhouettes
    are measured between whole rows. With more than 4,000 samples they are estimated from 1,000 rows of each reference
    (see `silhouette_estimate`), and a reference has 10,000 samples at most.

    Parameters
    ----------
    features : array-like, shape (n, d)
        In the space in which silhouettes are measured.
    k_values : sequence of int, length m
    n_components : int or None
        Number of components that k-means clusters; None for all.
    n_references : int
        Number of references of each kind.
    metric : str
        As for `silhouette_samples`.
    n_init : int
    random_state : int
    n_jobs : int, optional
        References that are clustered at once; it does not change the result.

    Returns
    -------
    NullSilhouettes

    Raises
    ------
    ValueError
        If there is no reference, or features or k_values are refused by `sweep_kmeans` or `silhouette_samples`.

    Examples
    --------
    >>> import numpy as np
    >>> X = np.random.default_rng(0).normal(size=(60, 2)) + np.repeat([[0, 0], [9, 0], [0, 9]], 20, axis=0)
    >>> nulls = null_silhouettes(X, [2, 3], n_references=4)
    >>> score = silhouette_samples(X, sweep_kmeans(X, [3]).labels[0]).mean()
    >>> (score > nulls.table()["score_high"].xs(3, level="n_clusters")).to_dict()
    {'uniform': True, 'gaussian': True, 'elliptical': True}
    """
    if n_references < 1:
        raise ValueError(f"n_references = {n_references} is not possible: at least 1 is needed.")
    points, offset, unit = in_units(check_points(features, dtype=np.float64, input_name="features"))
    cloud = _principal_cloud(points, offset / unit)  # silhouettes have no unit
    ks = list(k_values)

    references = [(kind, rng) for kind in NULL_KINDS for rng in _generators(random_state, n_references)]
    shared = cloud, ks, n_components, metric, n_init, random_state
    tables = list(run_tasks(_null_table, references, shared=shared, n_jobs=n_jobs, desc="nulls", unit="reference"))
    shape = len(NULL_KINDS), n_references, len(ks)
    measures = [np.stack([table[name] for table in tables]).reshape(shape) for name in NULL_MEASURES]
    return NullSilhouettes(np.array(ks), list(NULL_KINDS), *measures)


def _null_table(
    cloud: _Cloud,
    ks: list[int],
    n_components: int | None,
    metric: str,
    n_init: int,
    random_state: int,
    kind: str,
    rng: np.random.Generator,
) -> pd.DataFrame:
    """Draw and cluster a reference, and measure its silhouettes (a task)."""
    points = cloud.draw(kind, rng, MAX_REFERENCE_SAMPLES)
    labels = sweep_kmeans(points[:, :n_components], ks, n_init=n_init, random_state=random_state).labels
    if metric == "cosine":  # the only metric that depends on the origin
        points = points + cloud.mean
    return _measures(points, labels, metric, random_state)


def _measures(points: np.ndarray, labels: np.ndarray, metric: str, random_state: int) -> pd.DataFrame:
    """Calculate the measures of m labelings, exactly for few samples and from a sample of rows for many."""
    if len(points) <= MAX_EXACT_SAMPLES:
        return silhouette_table(silhouette_samples(points, labels, metric=metric), labels)
    estimates = silhouette_estimate(points, labels, n_rows=N_ESTIMATE_ROWS, metric=metric, random_state=random_state)
    return pd.DataFrame(
        {
            "score": [estimate.mean for estimate in estimates],
            "macro": [estimate.cluster_means.mean() for estimate in estimates],
            "positive": [estimate.positive for estimate in estimates],
        }
    )


# --- the ceiling ------------------------------------------------------------------------------------------------------


def silhouette_ceiling(
    X: np.ndarray, labels: np.ndarray, *, metric: str = "euclidean", n_rows: int = 3000, random_state: int = 0
) -> SilhouetteCeiling:
    """Calculate an upper bound of the average silhouette of these samples.

    Straeng and Dinh (2025), An upper bound of the silhouette validation metric for clustering, arXiv 2509.08625: in a
    cluster of c samples, a(i) is at least the mean of the c - 1 smallest distances of sample i, and b(i) at most the
    mean of the others. The largest value over all c bounds the silhouette of i in any clustering; the largest over the
    sizes of one labeling bounds it in every clustering into clusters of those sizes. No clustering needs to reach the
    mean of the bounds.

    Parameters
    ----------
    X : array-like, shape (n, d)
    labels : array-like, shape (n,) or (m, n)
        One labeling, or m of them.
    metric : str
        A metric of scikit-learn.
    n_rows : int
        Number of samples whose bounds are averaged, drawn at random if there are more; each is compared with all n.
    random_state : int

    Returns
    -------
    SilhouetteCeiling

    Raises
    ------
    ValueError
        If X is not a finite matrix, the lengths disagree, or n_rows is less than 2.

    Examples
    --------
    >>> import numpy as np
    >>> X, labels = np.array([[0.0], [1.0], [9.0], [10.0]]), np.array([0, 0, 1, 1])
    >>> float(silhouette_samples(X, labels).mean().round(3)), round(silhouette_ceiling(X, labels).ceiling, 3)
    (0.889, 0.889)
    """
    X = check_points(X, dtype=np.float64)
    if metric in ("euclidean", "sqeuclidean"):
        # An offset would cost the fast formula of distances its digits; bounds have no unit.
        X, _, _ = in_units(X)
        X = X - X.mean(axis=0)
    elif metric == "cosine":
        X = unit_rows(X)
    labelings = np.atleast_2d(np.asarray(labels))
    if labelings.shape[1] != len(X) or n_rows < 2:
        raise ValueError(
            f"labels of shape {labelings.shape} with n_rows = {n_rows} are not possible for the {len(X)} rows of X: "
            f"a label is needed for each, and at least 2 rows."
        )
    sizes = [np.unique(encode(row).sizes) for row in labelings]
    rows = np.arange(len(X))
    if n_rows < len(X):
        rows = np.sort(np.random.default_rng(random_state).choice(len(X), n_rows, replace=False))

    def bounds(distances: np.ndarray, start: int) -> np.ndarray:
        distances[np.arange(len(distances)), rows[start : start + len(distances)]] = 0
        by_size = _bounds_by_size(np.sort(distances, axis=1)[:, 1:])
        of_sizes = [by_size[:, given[given > 1] - 2].max(axis=1, initial=0) for given in sizes]
        return np.column_stack([by_size.max(axis=1, initial=0), *of_sizes])

    with sklearn.config_context(working_memory=_CHUNK_MIB):
        chunks = pairwise_distances_chunked(X[rows], X, metric=metric, reduce_func=bounds)
        found = np.vstack(list(tqdm(chunks, desc="ceiling", delay=2, unit="chunk")))
    error = found[:, 0].std(ddof=1) * np.sqrt((1 - len(rows) / len(X)) / len(rows))
    return SilhouetteCeiling(float(found[:, 0].mean()), found[:, 1:].mean(axis=0), len(rows), float(error))


def _bounds_by_size(distances: np.ndarray) -> np.ndarray:
    """Bound the silhouettes of r samples in clusters of 2 to n - 1, (r, n - 2), from their sorted distances."""
    near = np.cumsum(distances, axis=1)
    n_near = np.arange(1, distances.shape[1])
    own = near[:, :-1] / n_near
    others = (near[:, -1:] - near[:, :-1]) / n_near[::-1]
    return np.divide(others - own, others, out=np.zeros_like(own), where=others > 0)
