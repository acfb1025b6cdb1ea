"""What the numbers are held against: structureless data, the ceiling of the score, and the same data once more.

A criterion always has a largest value somewhere. Whether that value means anything shows only beside what it is where
there is nothing to find, what it could be at most, and what it becomes when a part of the samples is left out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import sklearn
from sklearn.decomposition import PCA
from sklearn.metrics import adjusted_rand_score, pairwise_distances_chunked
from sklearn.utils import check_array
from tqdm import tqdm

from ..clustering.silhouette import silhouette_estimate, silhouette_samples, silhouette_table
from ..clustering.sweep import sweep_kmeans
from ..core.scheduling import one_thread, run_tasks

GAP_REFERENCES = ("pca", "uniform")
NULL_KINDS = ("uniform", "gaussian", "elliptical")
# What of the silhouettes is held against the nulls; columns of `silhouette_table`.
NULL_MEASURES = ("score", "macro", "positive")
# The silhouettes of a reference with more samples than this are estimated from some rows. For 20,000 samples of 1,280
# features and 15 labelings that takes 1.2 s of one core where exact ones took 8.2 s, and the k-means before it 4 to 6 s.
# No score or macro was off by more than 0.001 there, at a standard error of 0.0013; for 5,000 samples of 300 features
# (9 references, 15 labelings) score and macro were off by 0.0005 in the root mean square and by 0.0017 at most, and the
# share of positive samples by 0.008 and 0.025.
_N_EXACT = 4000
_N_ROWS = 1000
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
        """The smallest k whose gap is at least that of k + 1 less its s; None where no k tried is."""
        columns = self.table()
        return gap_choice(columns["gap"], columns["s"])

    def table(self) -> pd.DataFrame:
        """A row for each k: ``log_w``, ``expected``, their difference ``gap``, and ``s``."""
        columns = {"log_w": self.log_w, "expected": self.expected, "gap": self.expected - self.log_w, "s": self.s}
        return pd.DataFrame(columns, index=pd.Index(self.k_values, name="n_clusters"))


def gap_choice(gap: pd.Series, s: pd.Series) -> int | None:
    """The smallest k whose gap is at least that of k + 1 less its s, from columns indexed by k; None where none is."""
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

    def table(self, quantiles: tuple[float, float] = (0.05, 0.95)) -> pd.DataFrame:
        """A row for each kind and k; of score, macro and positive the mean, ``_low`` and ``_high`` quantile."""
        columns = {}
        for name in NULL_MEASURES:
            values = getattr(self, name)
            columns[name] = values.mean(axis=1).ravel()
            columns[f"{name}_low"], columns[f"{name}_high"] = np.quantile(values, quantiles, axis=1).reshape(2, -1)
        return pd.DataFrame(columns, index=pd.MultiIndex.from_product([self.kinds, self.k_values], names=_NULL_INDEX))


_NULL_INDEX = ["kind", "n_clusters"]


@dataclass(frozen=True)
class Stability:
    """How well clusterings of subsamples agree with the clustering of all samples.

    Attributes
    ----------
    k_values : ndarray of int64, shape (m,)
    ari : ndarray of float64, shape (n_subsamples, m)
        Adjusted Rand index of the two, on the subsample.
    """

    k_values: np.ndarray
    ari: np.ndarray

    def table(self) -> pd.DataFrame:
        """A row for each k: ``stability``, the mean, and ``spread``, the standard deviation over subsamples."""
        columns = {"stability": self.ari.mean(axis=0), "spread": self.ari.std(axis=0, ddof=1)}
        return pd.DataFrame(columns, index=pd.Index(self.k_values, name="n_clusters"))


@dataclass(frozen=True)
class SilhouetteCeiling:
    """Upper bounds of the average silhouette.

    Attributes
    ----------
    ceiling : float
        No clustering whatever of these samples has a larger score.
    by_sizes : ndarray of float64, shape (m,)
        No clustering into clusters of the same sizes as labeling m has a larger score.
    n_rows : int
        The samples that the averages were taken over.
    standard_error : float
        Of `ceiling`, from sampling rows; 0 where all were taken.
    """

    ceiling: float
    by_sizes: np.ndarray
    n_rows: int
    standard_error: float


# --- structureless references -----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Cloud:
    """Points in their principal axes, where structureless data of the same shape is drawn column by column.

    Distances do not see the rotation. `mean` (1, q) is what was subtracted, in the same axes.
    """

    points: np.ndarray
    mean: np.ndarray

    def draw(self, kind: str, rng: np.random.Generator) -> np.ndarray:
        """Points of one kind, in float32, of the shape of `points`."""
        if kind == "uniform":
            low, high = self.points.min(axis=0), self.points.max(axis=0)
            return low + (high - low) * rng.random(self.points.shape, dtype=np.float32)
        normal = self.points.std(axis=0) * rng.standard_normal(self.points.shape, dtype=np.float32)
        return normal if kind == "gaussian" else normal * self._scales(normal, rng)[:, np.newaxis]

    def _scales(self, normal: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """A factor for each row of `normal` that makes its norms vary as much as those of the points, but not less.

        The logarithms of the factors are those of the norms of the points, shrunk to the variance that these have
        beyond those of `normal`; their mean square is 1, so that the covariance stays.
        """
        ours, theirs = _log_norms(self.points), _log_norms(normal)
        excess = np.sqrt(max(0.0, 1 - theirs.var() / max(ours.var(), np.finfo(np.float32).tiny)))
        scales = np.exp(excess * (ours - ours.mean()))[rng.permutation(len(ours))]
        return (scales / np.sqrt(np.mean(scales**2))).astype(np.float32)


def _log_norms(points: np.ndarray) -> np.ndarray:
    norms = np.linalg.norm(points.astype(np.float64), axis=1)
    # A point in the very centre has no logarithm; it is given the smallest that there is.
    return np.log(np.maximum(norms, norms[norms > 0].min(initial=1.0)))


def _principal_cloud(X: np.ndarray) -> _Cloud:
    """Rotate points to their principal axes, with one axis more for the part of the mean that lies in none of them."""
    # One thread, since the number of them shows in the last digits.
    with one_thread(__name__):
        pca = PCA(svd_solver="covariance_eigh" if X.shape[1] <= X.shape[0] else "full")
        points = pca.fit_transform(X)
    mean = pca.components_ @ pca.mean_
    beyond = np.sqrt(max(0.0, pca.mean_ @ pca.mean_ - mean @ mean))
    points = np.column_stack([points, np.zeros(len(X))])
    return _Cloud(points.astype(np.float32), np.append(mean, beyond).astype(np.float32))


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
    """The gap between the inertia of uniform references and that of the data, on a logarithmic scale.

    Tibshirani, Walther and Hastie (2001), Estimating the number of clusters in a data set via the gap statistic,
    Journal of the Royal Statistical Society B 63, 411-423. With squared Euclidean distances their W_k is the inertia.
    It is the one criterion here that can answer 1.

    Parameters
    ----------
    X : array-like, shape (n, p)
        What k-means sees.
    k_values : sequence of int, length m
        Consecutive numbers of clusters, from 1 on.
    references : {'pca', 'uniform'}
        Uniform over a box along the principal axes of X (the paper's version b) or along its features (version a).
    n_references : int
    n_init : int
        Restarts of k-means, the same for X and the references, so that neither is fitted better.
    random_state : int
    n_jobs : int, optional
        References that are clustered at once; it does not change the result.

    Returns
    -------
    GapStatistic

    Raises
    ------
    ValueError
        If k_values are not 1, 2, 3 and so on, there are fewer than two references or they are of an unknown kind, or
        X is refused by `sweep_kmeans`.
    """
    ks = list(k_values)
    if ks != list(range(1, len(ks) + 1)) or len(ks) < 2:
        raise ValueError(f"k_values = {ks} is not possible: the gap statistic needs 1, 2, and so on, without a hole.")
    if references not in GAP_REFERENCES:
        raise ValueError(f"references = {references!r} is not allowed; allowed are 'pca' and 'uniform'.")
    if n_references < 2:
        raise ValueError(f"n_references = {n_references} is not possible: a spread needs at least 2.")
    X = check_array(X, dtype=np.float64, input_name="X")
    cloud = _principal_cloud(X) if references == "pca" else _Cloud(X.astype(np.float32), np.zeros(X.shape[1]))

    generators = [(rng,) for rng in _generators(random_state, n_references)]
    log_w = np.log(sweep_kmeans(X, ks, n_init=n_init, random_state=random_state).inertia)
    shared = cloud, ks, n_init, random_state
    runs = run_tasks(_log_inertia, generators, shared=shared, n_jobs=n_jobs, desc="gap", unit="reference")
    logs = np.stack(list(runs))
    s = logs.std(axis=0) * np.sqrt(1 + 1 / n_references)
    return GapStatistic(np.array(ks), log_w, logs.mean(axis=0), s)


def _log_inertia(cloud: _Cloud, ks: list[int], n_init: int, random_state: int, rng: np.random.Generator) -> np.ndarray:
    """A task: a uniform reference, clustered."""
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
    """The silhouettes that structureless data of the same shape gets at each k.

    Three kinds of it, all drawn along the principal axes of the features: ``uniform`` over their box (as for the gap
    statistic); ``gaussian`` with their covariance; and ``elliptical``, which is that Gaussian with each row scaled,
    so that the norms vary as those of the features do where these vary more than the Gaussian's: one cloud with heavy
    tails. Each goes through what the features go through: the first principal components are clustered, and the
    silhouettes are measured between whole rows: exactly up to 4,000 samples, and beyond from 1,000 rows of each
    reference (see `silhouette_estimate`).

    Parameters
    ----------
    features : array-like, shape (n, d)
        In the space in which silhouettes are measured.
    k_values : sequence of int, length m
    n_components : int or None
        Components that k-means sees; None for all.
    n_references : int
        Of each kind.
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
    """
    if n_references < 1:
        raise ValueError(f"n_references = {n_references} is not possible: at least 1 is needed.")
    cloud = _principal_cloud(check_array(features, dtype=np.float64, input_name="features"))
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
    """A task: a reference of a kind, clustered, and its silhouettes."""
    points = cloud.draw(kind, rng)
    labels = sweep_kmeans(points[:, :n_components], ks, n_init=n_init, random_state=random_state).labels
    if metric == "cosine":  # which alone sees where the origin is
        points = points + cloud.mean
    return _measures(points, labels, metric, random_state)


def _measures(points: np.ndarray, labels: np.ndarray, metric: str, random_state: int) -> pd.DataFrame:
    """Calculate the measures of m labelings, exactly for few samples and from a sample of rows for many."""
    if len(points) <= _N_EXACT:
        return silhouette_table(silhouette_samples(points, labels, metric=metric), labels)
    estimates = silhouette_estimate(points, labels, n_rows=_N_ROWS, metric=metric, random_state=random_state)
    return pd.DataFrame(
        {
            "score": [estimate.mean for estimate in estimates],
            "macro": [estimate.cluster_means.mean() for estimate in estimates],
            "positive": [estimate.positive for estimate in estimates],
        }
    )


# --- the same data once more ------------------------------------------------------------------------------------------


def stability(
    X: np.ndarray,
    labels: np.ndarray,
    *,
    n_subsamples: int = 10,
    fraction: float = 0.8,
    n_init: int = 4,
    random_state: int = 0,
    n_jobs: int | None = None,
) -> Stability:
    """Cluster subsamples again, and compare with the clustering of all samples.

    After Ben-Hur, Elisseeff and Guyon (2002), A stability based method for discovering structure in clustered data,
    Pacific Symposium on Biocomputing, 6-17; the agreement is the adjusted Rand index of Hubert and Arabie (1985).
    A clustering that changes with the sample is no finding about what was sampled; one that stays may still be the
    stable cut of a cloud without clusters.

    Parameters
    ----------
    X : array-like, shape (n, p)
        What k-means sees.
    labels : ndarray, shape (m, n)
        K-means clusterings of X, as from `sweep_kmeans`, each with another number of clusters.
    n_subsamples : int
    fraction : float
        Share of the samples that is drawn, without replacement.
    n_init : int
        Restarts of k-means; with too few, a clustering that missed its best counts as one that changed.
    random_state : int
    n_jobs : int, optional
        Subsamples that are clustered at once; it does not change the result.

    Returns
    -------
    Stability

    Raises
    ------
    ValueError
        If there are fewer than two subsamples, the fraction is not between 0 and 1, labels and X differ in length, or
        X is refused by `sweep_kmeans`.
    """
    if n_subsamples < 2 or not 0 < fraction < 1:
        raise ValueError(
            f"n_subsamples = {n_subsamples} with fraction = {fraction} is not possible: at least 2 subsamples are "
            f"needed, and a fraction between 0 and 1."
        )
    X = check_array(X, dtype=np.float64, input_name="X")
    X = (X - X.mean(axis=0)).astype(np.float32)  # an offset would cost float32 its digits
    labels = np.atleast_2d(np.asarray(labels))
    if labels.shape[1] != len(X):
        raise ValueError(f"labels of shape {labels.shape} are not possible: X has {len(X)} rows, and a label for each.")
    ks = [len(np.unique(row)) for row in labels]

    generators = [(rng,) for rng in _generators(random_state, n_subsamples)]
    shared = X, labels, ks, fraction, n_init, random_state
    runs = run_tasks(_agreement, generators, shared=shared, n_jobs=n_jobs, desc="stability", unit="subsample")
    return Stability(np.array(ks), np.array(list(runs)))


def _agreement(
    X: np.ndarray,
    labels: np.ndarray,
    ks: list[int],
    fraction: float,
    n_init: int,
    random_state: int,
    rng: np.random.Generator,
) -> list[float]:
    """A task: a subsample clustered again, compared with the clustering of all."""
    rows = np.sort(rng.choice(len(X), int(fraction * len(X)), replace=False))
    again = sweep_kmeans(X[rows], ks, n_init=n_init, random_state=random_state).labels
    return [adjusted_rand_score(ours, theirs) for ours, theirs in zip(labels[:, rows], again)]


# --- the ceiling ------------------------------------------------------------------------------------------------------


def silhouette_ceiling(
    X: np.ndarray, labels: np.ndarray, *, metric: str = "euclidean", n_rows: int = 3000, random_state: int = 0
) -> SilhouetteCeiling:
    """How large the average silhouette of these samples can be at most.

    Straeng and Dinh (2025), An upper bound of the silhouette validation metric for clustering, arXiv 2509.08625: in a
    cluster of c samples, a(i) is at least the mean of the c - 1 smallest distances of sample i, and b(i) at most the
    mean of the others. The largest value over all c bounds the silhouette of i in any clustering; the largest over the
    sizes of one labeling bounds it in every clustering into clusters of those sizes. The mean of the bounds need not
    be reached.

    Parameters
    ----------
    X : array-like, shape (n, d)
    labels : array-like, shape (n,) or (m, n)
        One labeling, or m of them.
    metric : str
        A metric of scikit-learn.
    n_rows : int
        Samples whose bounds are averaged, drawn at random if there are more; each is held against all n.
    random_state : int

    Returns
    -------
    SilhouetteCeiling

    Raises
    ------
    ValueError
        If X is not a finite matrix, the lengths disagree, or n_rows is less than 2.
    """
    X = check_array(X, dtype=np.float64, input_name="X")
    if metric == "euclidean":
        X = X - X.mean(axis=0)  # an offset would cost the fast formula of distances its digits
    labelings = np.atleast_2d(np.asarray(labels))
    if labelings.shape[1] != len(X) or n_rows < 2:
        raise ValueError(
            f"labels of shape {labelings.shape} with n_rows = {n_rows} are not possible for the {len(X)} rows of X: "
            f"a label is needed for each, and at least 2 rows."
        )
    sizes = [np.unique(np.unique(row, return_counts=True)[1]) for row in labelings]
    rows = np.arange(len(X))
    if n_rows < len(X):
        rows = np.sort(np.random.default_rng(random_state).choice(len(X), n_rows, replace=False))

    def bounds(distances: np.ndarray, start: int) -> np.ndarray:
        distances[np.arange(len(distances)), rows[start : start + len(distances)]] = 0
        by_size = _bounds_by_size(np.sort(distances, axis=1)[:, 1:])
        of_sizes = [by_size[:, those[those > 1] - 2].max(axis=1, initial=0) for those in sizes]
        return np.column_stack([by_size.max(axis=1, initial=0), *of_sizes])

    with sklearn.config_context(working_memory=_CHUNK_MIB):
        chunks = pairwise_distances_chunked(X[rows], X, metric=metric, reduce_func=bounds)
        found = np.vstack(list(tqdm(chunks, desc="ceiling", delay=2, unit="chunk")))
    error = found[:, 0].std(ddof=1) * np.sqrt((1 - len(rows) / len(X)) / len(rows))
    return SilhouetteCeiling(float(found[:, 0].mean()), found[:, 1:].mean(axis=0), len(rows), float(error))


def _bounds_by_size(distances: np.ndarray) -> np.ndarray:
    """Bounds (r, n - 2) of the silhouettes of r samples in clusters of 2 to n - 1, from their sorted distances."""
    near = np.cumsum(distances, axis=1)
    n_near = np.arange(1, distances.shape[1])
    own = near[:, :-1] / n_near
    others = (near[:, -1:] - near[:, :-1]) / n_near[::-1]
    return np.divide(others - own, others, out=np.zeros_like(own), where=others > 0)
