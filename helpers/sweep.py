"""The k-means sweep: one fit for each number of clusters."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from joblib import Parallel, delayed
from sklearn.cluster import KMeans
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import check_array
from threadpoolctl import threadpool_limits
from tqdm import tqdm


@dataclass(frozen=True)
class KMeansSweep:
    """K-means clusterings of the same n points for m numbers of clusters.

    Attributes
    ----------
    k_values : ndarray of int64, shape (m,)
        The numbers of clusters.
    labels : ndarray of int32, shape (m, n)
        The cluster of each point, a row for each k; cluster 0 is the largest.
    inertia : ndarray of float64, shape (m,)
        Sum of the squared distances of the points to their centres.
    centers : list of ndarray of float32, shape (k, p)
        The centres, for each k.
    """

    k_values: np.ndarray
    labels: np.ndarray
    inertia: np.ndarray
    centers: list[np.ndarray]


def sweep_kmeans(
    X: np.ndarray,
    k_values: Sequence[int],
    *,
    n_init: int = 10,
    random_state: int = 0,
    n_jobs: int | None = None,
) -> KMeansSweep:
    """Fit k-means once for each k, so that inertia and silhouettes describe the same clusterings.

    Parameters
    ----------
    X : array-like, shape (n, p)
        Points; computed with in float32.
    k_values : sequence of int
        Numbers of clusters, each at least 1 and at most the number of distinct points.
    n_init : int
        Restarts for each k, of which the one with the least inertia is kept.
    random_state : int
        Seed; the result depends on neither `n_jobs` nor the number of threads.
    n_jobs : int, optional
        Fits that run at once, as joblib has it.

    Returns
    -------
    KMeansSweep

    Raises
    ------
    ValueError
        If X is not a finite matrix, or a k is not possible for it.
    """
    X = check_array(X, dtype=np.float32, order="C", input_name="X")
    ks = _check_k_values(k_values, X)
    # One thread a fit: the order in which threads add up would show in the last digits, and from there in labels.
    # Warnings are silenced here and not in the fits, whose threads share one list of filters.
    with threadpool_limits(limits=1), warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # clusters that stay empty are refused by `_fit`
        fits = list(
            tqdm(
                Parallel(n_jobs=n_jobs, prefer="threads", return_as="generator")(
                    delayed(_fit)(X, k, n_init, random_state) for k in ks
                ),
                total=len(ks),
                desc="k-means",
                delay=2,
                unit="k",
            )
        )
    labels, inertia, centers = zip(*fits)
    return KMeansSweep(np.array(ks), np.stack(labels), np.array(inertia), list(centers))


def _check_k_values(k_values: Sequence[int], X: np.ndarray) -> list[int]:
    ks = [int(k) for k in k_values]
    if ks != list(k_values):
        raise ValueError(f"k_values = {list(k_values)} must be whole numbers.")
    if not ks:
        raise ValueError("k_values is empty; name at least one number of clusters.")
    distinct = len(np.unique(X, axis=0)) if max(ks) > 1 else len(X)
    for k in ks:
        if not 1 <= k <= distinct:
            raise ValueError(f"k = {k} is not possible: k must lie between 1 and the {distinct} distinct points of X.")
    return ks


def _fit(X: np.ndarray, k: int, n_init: int, random_state: int) -> tuple[np.ndarray, float, np.ndarray]:
    # The limit on OpenMP holds for the thread that asks, so each worker asks again.
    with threadpool_limits(limits=1):
        kmeans = KMeans(k, n_init=n_init, random_state=random_state).fit(X)
    sizes = np.bincount(kmeans.labels_, minlength=k)
    if sizes.min() == 0:
        raise ValueError(f"k = {k} left a cluster of the {len(X)} points empty: too many of them are nearly equal.")
    order = np.argsort(-sizes, kind="stable")
    rank = np.empty(k, dtype=np.int32)
    rank[order] = np.arange(k)
    return rank[kmeans.labels_], float(kmeans.inertia_), kmeans.cluster_centers_[order]
