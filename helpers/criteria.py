"""The criteria side by side, and beside labels.

`compare_criteria` sets up the one table that `verdict` reads, a row for each k. Labels of the images never enter it:
they are what a clustering is looked for without, so how well they agree is a table apart.

What stands in `curves`, `references` and `verdict` can be had from here, too.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from sklearn.metrics import (
    adjusted_mutual_info_score,
    adjusted_rand_score,
    calinski_harabasz_score,
    completeness_score,
    davies_bouldin_score,
    homogeneity_score,
)

from .curves import elbow_by_k_max as elbow_by_k_max
from .curves import elbow_by_k_min as elbow_by_k_min
from .curves import elbow_sentence as elbow_sentence
from .curves import find_elbow as find_elbow
from .curves import score_identity as score_identity
from .curves import score_pairs as score_pairs
from .curves import score_steps as score_steps
from .references import GapStatistic as GapStatistic
from .references import NullSilhouettes as NullSilhouettes
from .references import SilhouetteCeiling as SilhouetteCeiling
from .references import Stability as Stability
from .references import gap_statistic as gap_statistic
from .references import null_silhouettes as null_silhouettes
from .references import silhouette_ceiling as silhouette_ceiling
from .references import stability as stability
from .sweep import KMeansSweep
from .verdict import Verdict as Verdict
from .verdict import verdict as verdict


def compare_criteria(
    sweep: KMeansSweep,
    table: pd.DataFrame,
    *,
    samples: np.ndarray | None = None,
    nulls: NullSilhouettes | None = None,
    ceiling: SilhouetteCeiling | None = None,
    stable: Stability | None = None,
    gap: GapStatistic | None = None,
    indices: pd.DataFrame | None = None,
) -> pd.DataFrame:
    """Set the criteria side by side.

    Parameters
    ----------
    sweep : KMeansSweep
    table : DataFrame
        From `silhouette_table`, for the labels of the sweep.
    samples : ndarray, shape (m, n), optional
        The silhouettes behind `table`, for the errors of `paired_errors`.
    nulls, ceiling, stable, gap, indices : optional
        Results of `null_silhouettes`, `silhouette_ceiling`, `stability`, `gap_statistic` and `validity_indices`.

    Returns
    -------
    DataFrame
        A row for each k: `table` with ``inertia`` before it, and behind it what was given:
        ``paired_error`` and ``paired_macro_error``;
        ``null_score``, ``null_score_high``, ``null_macro`` and ``null_macro_high``, the means and 95% quantiles over
        references, of that kind of reference where they are largest; ``ceiling``, for the cluster sizes at this k;
        ``stability`` and ``spread``; ``gap`` and ``s``; ``calinski_harabasz`` and ``davies_bouldin``.
        With a gap there is a row for k = 1, whose silhouettes are missing.
    """
    joined = table.copy()
    joined.insert(0, "inertia", pd.Series(sweep.inertia, index=sweep.k_values).reindex(table.index))
    if samples is not None:
        joined = joined.join(paired_errors(samples, sweep.labels))
    if nulls is not None:
        joined = joined.join(_strictest(nulls))
    if ceiling is not None:
        joined["ceiling"] = pd.Series(ceiling.by_sizes, index=sweep.k_values).reindex(table.index)
    for more in (stable.table() if stable else None, indices):
        joined = joined if more is None else joined.join(more)
    if gap is not None:
        joined = joined.join(gap.table()[["gap", "s"]], how="outer")
    return joined


def _strictest(nulls: NullSilhouettes) -> pd.DataFrame:
    columns = nulls.table()[["score", "score_high", "macro", "macro_high"]].add_prefix("null_")
    return columns.groupby(level="n_clusters").max()


def paired_errors(samples: np.ndarray, labels: np.ndarray) -> pd.DataFrame:
    """Standard errors of the differences between the best k and every k, by score and by macro.

    All k are scored on the same samples, and a sample that is hard to place is so at each k. The error of the
    difference, from the differences of the samples, therefore is not that of two independent means. A macro mean is
    not a mean over samples but a sum of ratios, and is linearised for it (Cochran 1977, Sampling Techniques, section
    6.4). As in `silhouette_table`, silhouettes are taken as independent though they share distances.

    Parameters
    ----------
    samples : ndarray, shape (m, n)
        As from `silhouette_samples`.
    labels : ndarray, shape (m, n)

    Returns
    -------
    DataFrame
        Indexed by ``n_clusters``: ``paired_error`` and ``paired_macro_error``, 0 at the k that is best by each.
    """
    coded = [np.unique(row, return_inverse=True, return_counts=True) for row in labels]
    score_parts = samples - samples.mean(axis=1, keepdims=True)
    macro, macro_parts = zip(*(_macro_parts(s, codes, sizes) for s, (_, codes, sizes) in zip(samples, coded)))
    errors = {
        "paired_error": _spread_from(score_parts / samples.shape[1], samples.mean(axis=1).argmax()),
        "paired_macro_error": _spread_from(np.stack(macro_parts), int(np.argmax(macro))),
    }
    return pd.DataFrame(errors, index=pd.Index([len(sizes) for _, _, sizes in coded], name="n_clusters"))


def _macro_parts(samples: np.ndarray, codes: np.ndarray, sizes: np.ndarray) -> tuple[float, np.ndarray]:
    """The mean over clusters of their means, and what each sample adds to its error."""
    means = np.bincount(codes, samples) / sizes
    return float(means.mean()), (samples - means[codes]) / (sizes[codes] * len(sizes))


def _spread_from(parts: np.ndarray, best: int) -> np.ndarray:
    n = parts.shape[1]
    return np.sqrt(((parts - parts[best]) ** 2).sum(axis=1) * n / (n - 1))


def validity_indices(X: np.ndarray, labels: np.ndarray) -> pd.DataFrame:
    """Two more indices from scikit-learn, for Euclidean distances.

    Calinski and Harabasz (1974), Communications in Statistics 3, 1-27: the larger the better. Davies and Bouldin
    (1979), IEEE Transactions on Pattern Analysis and Machine Intelligence 1, 224-227: the smaller the better.

    Parameters
    ----------
    X : array-like, shape (n, d)
        The space in which the clusterings are scored.
    labels : ndarray, shape (m, n)

    Returns
    -------
    DataFrame
        Indexed by ``n_clusters``: ``calinski_harabasz`` and ``davies_bouldin``.
    """
    columns = {
        "calinski_harabasz": [calinski_harabasz_score(X, row) for row in labels],
        "davies_bouldin": [davies_bouldin_score(X, row) for row in labels],
    }
    return pd.DataFrame(columns, index=_counts(labels))


def label_agreement(labels: np.ndarray, truth: np.ndarray) -> pd.DataFrame:
    """How well clusterings agree with labels that they did not see. It never enters the verdict.

    Adjusted Rand index: Hubert and Arabie (1985), Journal of Classification 2, 193-218. Adjusted mutual information:
    Vinh, Epps and Bailey (2010), Journal of Machine Learning Research 11, 2837-2854. Homogeneity and completeness:
    Rosenberg and Hirschberg (2007), EMNLP-CoNLL, 410-420. All from scikit-learn.

    Parameters
    ----------
    labels : ndarray, shape (m, n)
    truth : array-like, shape (n,)

    Returns
    -------
    DataFrame
        Indexed by ``n_clusters``: ``adjusted_rand``, ``adjusted_mutual_info``, ``homogeneity`` and ``completeness``.
    """
    columns = {
        "adjusted_rand": [adjusted_rand_score(truth, row) for row in labels],
        "adjusted_mutual_info": [adjusted_mutual_info_score(truth, row) for row in labels],
        "homogeneity": [homogeneity_score(truth, row) for row in labels],
        "completeness": [completeness_score(truth, row) for row in labels],
    }
    return pd.DataFrame(columns, index=_counts(labels))


def _counts(labels: np.ndarray) -> pd.Index:
    return pd.Index([len(np.unique(row)) for row in labels], name="n_clusters")
