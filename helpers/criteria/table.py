"""The criteria side by side, and the agreement of clusterings with labels.

`compare_criteria` makes the one table that the verdict reads, with a row for each k. Labels of the images never enter
it: clusters are looked for without them. How well the two agree is a separate table, `label_agreement`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

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

from ..clustering.centring import check_points, mean_and_scale, unit_of
from ..clustering.distances import Clustering, encode
from ..clustering.errors import standard_error
from ..clustering.sweep import KMeansSweep
from ..core.groups import encode_groups
from .curves import extreme_k, find_elbow
from .halves import LinkValleys, Stability
from .references import GapStatistic, NullSilhouettes, SilhouetteCeiling, gap_choice

# From which valley and from which prediction strength a k counts.
DEEP, STRONG = 0.25, 0.8

# --- the criteria -----------------------------------------------------------------------------------------------------


def largest(scored: pd.DataFrame, column: str) -> int | None:
    """Name the k whose value is largest, of equals the smallest k; none where all are missing."""
    values = scored[column].dropna()
    return int(values.idxmax()) if len(values) else None


def smallest(scored: pd.DataFrame, column: str) -> int | None:
    """Name the k whose value is smallest, of equals the smallest k; none where all are missing."""
    return largest(-scored, column)


def _elbow(scored: pd.DataFrame, column: str) -> int | None:
    return find_elbow(list(scored.index), list(scored[column]))


def _farthest_beyond_null(scored: pd.DataFrame, column: str) -> int | None:
    """Name the k whose score lies farthest above the mean of its null, unless even that is within the null's range."""
    k = int((scored["score"] - scored[column]).idxmax())
    return k if scored.loc[k, "score"] > scored.loc[k, f"{column}_high"] else None


def _prediction_strength(scored: pd.DataFrame, column: str) -> int | None:
    """Name the largest k whose prediction strength is high, and 1 if none is, as Tibshirani and Walther (2005) do.

    It names none where all are missing.
    """
    strong = scored.index[scored[column] >= STRONG]
    return int(strong.max()) if len(strong) else None if scored[column].isna().all() else 1


def _deepest(scored: pd.DataFrame, column: str) -> int | None:
    """Name the k whose valley is deepest, unless even that one does not count."""
    return int(scored[column].idxmax()) if scored[column].max() >= DEEP else None


def _gap_rule(table: pd.DataFrame, column: str) -> int | None:
    return gap_choice(table[column], table["s"])


@dataclass(frozen=True)
class Criterion:
    """A criterion, and how it names a k.

    Attributes
    ----------
    name : str
    label : str
        Its display name on figures and in tables.
    column : str
        The column of `compare_criteria` that it reads; where the table lacks it, the criterion is silent.
    choose : callable
        Name a k, or None, from the rows of the table that have silhouettes, and the column.
    index : callable, optional
        Compute the column from the features (n, d) and one labeling (n,), as the indices of scikit-learn do.
    from_one : bool
        Whether `choose` is given the row of k = 1, too.
    """

    name: str
    label: str
    column: str
    choose: Callable[[pd.DataFrame, str], int | None] = largest
    index: Callable[[np.ndarray, np.ndarray], float] | None = None
    from_one: bool = False


CRITERIA = {
    criterion.name: criterion
    for criterion in (
        Criterion("elbow", "elbow (Kneedle)", "inertia", _elbow),
        Criterion("score", "silhouette score", "score"),
        Criterion("macro", "mean over clusters", "macro"),
        Criterion("median", "median silhouette", "median"),
        Criterion("positive", "share of positive samples", "positive"),
        Criterion("score_beyond_null", "score beyond its null", "null_score", _farthest_beyond_null),
        Criterion("gap", "gap statistic", "gap", _gap_rule, from_one=True),
        Criterion("calinski_harabasz", "Calinski-Harabasz", "calinski_harabasz", index=calinski_harabasz_score),
        Criterion("davies_bouldin", "Davies-Bouldin", "davies_bouldin", smallest, index=davies_bouldin_score),
        Criterion("stability", "stability in halves", "stability"),
        Criterion("prediction_strength", "prediction strength", "strength", _prediction_strength),
        Criterion("valley", "deepest valley", "valley", _deepest),
    )
}
# The criteria that the first figures of the book are about.
HEADLINES = ("elbow", "score", "macro", "positive")


def scored_rows(table: pd.DataFrame) -> pd.DataFrame:
    """Select the rows that have silhouettes: all but k = 1."""
    return table[table["score"].notna()]


def named_k(table: pd.DataFrame) -> dict[str, int | None]:
    """Ask each of `CRITERIA` that finds its column in a table which k it names.

    Parameters
    ----------
    table : DataFrame
        From `compare_criteria`.

    Returns
    -------
    dict of str to int or None
        By name of the criterion, in the order of `CRITERIA`; None where it names none.
    """
    scored = scored_rows(table)
    return {
        name: criterion.choose(table if criterion.from_one else scored, criterion.column)
        for name, criterion in CRITERIA.items()
        if criterion.column in table
    }


def equal_k(table: pd.DataFrame) -> dict[str, list[int]]:
    """List for each criterion the k that it names and, where they are equal to it, others that it could name as well.

    Parameters
    ----------
    table : DataFrame
        From `compare_criteria`.

    Returns
    -------
    dict of str to list of int
        By name of the criterion, in the order of `CRITERIA`; an empty list where it names none.
    """
    scored, named = scored_rows(table), named_k(table)
    return {name: [] if k is None else _equal_to(scored, CRITERIA[name], k) for name, k in named.items()}


def _equal_to(scored: pd.DataFrame, criterion: Criterion, k: int) -> list[int]:
    """List the k that a criterion could name as well as `k`."""
    values = scored.get(criterion.column)
    if criterion.choose in (largest, _deepest):
        return extreme_k(values)
    if criterion.choose is smallest:
        return extreme_k(values, smallest=True)
    if criterion.choose is _farthest_beyond_null:
        return extreme_k(scored["score"] - values)
    return [k]


# --- the table --------------------------------------------------------------------------------------------------------


def compare_criteria(
    sweep: KMeansSweep,
    table: pd.DataFrame,
    *,
    samples: np.ndarray | None = None,
    groups: np.ndarray | None = None,
    nulls: NullSilhouettes | None = None,
    ceiling: SilhouetteCeiling | None = None,
    valleys: LinkValleys | None = None,
    stable: Stability | None = None,
    gap: GapStatistic | None = None,
    indices: pd.DataFrame | None = None,
) -> pd.DataFrame:
    """Join the results of all criteria into one table.

    Parameters
    ----------
    sweep : KMeansSweep
    table : DataFrame
        From `silhouette_table`, for the labels of the sweep.
    samples : ndarray, shape (m, n), optional
        The silhouettes behind `table`, for the errors of `paired_errors`.
    groups : ndarray, shape (n,), optional
        Samples that belong together, for the same errors.
    nulls, ceiling, valleys, stable, gap, indices : optional
        Results of `null_silhouettes`, `silhouette_ceiling`, `link_valleys`, `stability`, `gap_statistic` and
        `validity_indices`.

    Returns
    -------
    DataFrame
        A row for each k: ``inertia``, the columns of `table`, and those of the results that were given:
        ``paired_error`` and ``paired_macro_error``; ``null_score``, ``null_score_high``, ``null_macro`` and
        ``null_macro_high``, the mean and the largest of the references, of the kind of reference for which it is
        largest; ``ceiling``, for the cluster sizes at this k; ``valley``, ``valley_spread`` and ``links``;
        ``stability``, ``spread`` and ``strength``; ``gap`` and ``s``;
        ``calinski_harabasz`` and ``davies_bouldin``.
        With a gap there is a row for k = 1, in which everything else is missing.
    """
    joined = table.copy()
    joined.insert(0, "inertia", pd.Series(sweep.inertia, index=sweep.k_values).reindex(table.index))
    if samples is not None:
        joined = joined.join(paired_errors(samples, sweep.labels, groups))
    if nulls is not None:
        joined = joined.join(_strictest(nulls))
    if ceiling is not None:
        joined["ceiling"] = pd.Series(ceiling.by_sizes, index=sweep.k_values).reindex(table.index)
    for more in (valleys, stable):
        joined = joined if more is None else joined.join(more.table())
    if indices is not None:
        joined = joined.join(indices)
    if gap is not None:
        joined = joined.join(gap.table()[["gap", "s"]], how="outer")
    return joined


def _strictest(nulls: NullSilhouettes) -> pd.DataFrame:
    columns = nulls.table()[["score", "score_high", "macro", "macro_high"]].add_prefix("null_")
    return columns.groupby(level="n_clusters").max()


def paired_errors(samples: np.ndarray, labels: np.ndarray, groups: np.ndarray | None = None) -> pd.DataFrame:
    """Compute the standard errors of the differences between the best k and each k, by score and by macro.

    All k are scored on the same samples, and a sample that is hard to place is hard to place at each k. So the error of
    a difference is computed from the differences of the samples, and is not that of two independent means. A macro mean
    is a sum of ratios and not a mean over samples, so it is linearised first (Cochran 1977, Sampling Techniques,
    section 6.4); see `helpers.clustering.errors.standard_error`. As in `silhouette_table`, silhouettes are taken as
    independent although they share distances; those of samples of one group are not.

    Parameters
    ----------
    samples : ndarray, shape (m, n)
        As from `silhouette_samples`.
    labels : ndarray, shape (m, n)
    groups : array-like, shape (n,), optional
        Samples that belong together, such as pictures of one object.

    Returns
    -------
    DataFrame
        Indexed by ``n_clusters``: ``paired_error`` and ``paired_macro_error``, 0 at the k that is best by each.

    Raises
    ------
    ParameterError
        If groups are refused by `helpers.core.groups.encode_groups`.
    """
    groups = encode_groups(groups, samples.shape[1])
    clusterings = [encode(row) for row in labels]
    score_parts = samples - samples.mean(axis=1, keepdims=True)
    macro, macro_parts = zip(*map(_macro_parts, samples, clusterings))
    errors = {
        "paired_error": _spread_from(score_parts / samples.shape[1], samples.mean(axis=1).argmax(), groups),
        "paired_macro_error": _spread_from(np.stack(macro_parts), int(np.argmax(macro)), groups),
    }
    return pd.DataFrame(errors, index=_counts(labels))


def _macro_parts(samples: np.ndarray, clustering: Clustering) -> tuple[float, np.ndarray]:
    """Compute the mean over clusters of their means, and the contribution of each sample to its error."""
    codes, sizes = clustering.codes, clustering.sizes
    means = np.bincount(codes, samples) / sizes
    return float(means.mean()), (samples - means[codes]) / (sizes[codes] * len(sizes))


def _spread_from(parts: np.ndarray, best: int, groups: np.ndarray | None) -> np.ndarray:
    return standard_error(parts - parts[best], groups)


def validity_indices(X: np.ndarray, labels: np.ndarray) -> pd.DataFrame:
    """Compute the indices among `CRITERIA` that need only points and labels, for Euclidean distances.

    Calinski and Harabasz (1974), Communications in Statistics 3, 1-27: the larger the better. Davies and Bouldin
    (1979), IEEE Transactions on Pattern Analysis and Machine Intelligence 1, 224-227: the smaller the better. Both
    from scikit-learn.

    Parameters
    ----------
    X : array-like, shape (n, d)
        The space in which the clusterings are scored.
    labels : ndarray, shape (m, n)

    Returns
    -------
    DataFrame
        Indexed by ``n_clusters``, a column for each index: ``calinski_harabasz`` and ``davies_bouldin``.
    """
    indices = {criterion.column: criterion.index for criterion in CRITERIA.values() if criterion.index}
    X = check_points(X, dtype=[np.float64, np.float32])
    X = X / X.dtype.type(unit_of(mean_and_scale(X)[1]))  # the indices have no unit, and squares should stay in range
    columns = {column: [index(X, row) for row in labels] for column, index in indices.items()}
    return pd.DataFrame(columns, index=_counts(labels))


def label_agreement(labels: np.ndarray, truth: np.ndarray) -> pd.DataFrame:
    """Compute how well clusterings agree with labels that they did not see. It never enters the verdict.

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
    return pd.Index([len(encode(row).sizes) for row in labels], name="n_clusters")
