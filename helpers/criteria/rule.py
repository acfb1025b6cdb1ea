"""The rule of the verdict: a pure function of the table of `helpers.criteria.table.compare_criteria`.

Its constants are here, to be argued with. `helpers.criteria.verdict` puts its decision into words.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from .table import named_k, scored_rows

# How far from the null towards the ceiling score and macro must be for a k to count as structured, and for its
# structure to be called clear.
SHARE = 0.15
CLEAR_SHARE = 0.5
# The adjusted Rand index that a subsample reaches even one standard deviation below their mean, if the clustering is
# one that is found again.
STABLE = 0.7
# A k is shortlisted when its value lies within this many standard errors of the best, or within this share of what the
# best has beyond its null: with many samples the errors vanish, and a difference that is beyond them may still be one
# that matters to nobody.
ERRORS = 2
NEARBY = 0.05
# Kaufman and Rousseeuw (1990), Finding Groups in Data, chapter 2, table 4: how to read the largest average silhouette.
BANDS = (
    (0.25, "no substantial structure"),
    (0.50, "a weak structure that could be artificial"),
    (0.70, "a reasonable structure"),
    (1.00, "a strong structure"),
)


@dataclass(frozen=True)
class Decision:
    """A decision of the rule.

    Attributes
    ----------
    n_clusters : int or None
        The k that is named, or None for "no clear k".
    candidate : int
        The k to take where one has to be taken; `n_clusters`, if that is one.
    shortlist : list of int
        `n_clusters` and the structured k near the best of them by score and by macro alike.
    by_score, by_macro : list of int
        The structured k near the best of them by each.
    preferred : dict of str to int or None
        The k that each criterion of the table names; see `helpers.criteria.table.CRITERIA`.
    structure : DataFrame
        From `structure_table`.
    """

    n_clusters: int | None
    candidate: int
    shortlist: list[int]
    by_score: list[int]
    by_macro: list[int]
    preferred: dict[str, int | None]
    structure: pd.DataFrame

    @property
    def near(self) -> list[int]:
        """The structured k near the best both by score and by macro."""
        return [k for k in self.by_score if k in self.by_macro]


def decide(table: pd.DataFrame) -> Decision:
    """Decide whether there is a clear number of clusters, and which.

    1. A k shows structure if four things hold. Its score and its mean over clusters (macro) both exceed the 95%
       quantile over structureless clouds of the same shape, whether uniform, Gaussian or heavy-tailed. Both are at
       least `SHARE` of the way from the mean of those clouds to the ceiling that the samples allow, since with many
       samples the slightest departure from a null exceeds it. Every cluster has a positive mean silhouette, which a
       cluster of one outlier has not. The clustering is found again in subsamples: even one standard deviation
       below its mean, the adjusted Rand index is at least `STABLE`. Macro is asked for because a few outliers that
       are cut off a cloud make a high score and a low macro; stability, because a curved or skewed cloud can beat
       its nulls wherever it is cut.
    2. If no k shows structure, there is no clear k.
    3. Those that do are ranked by three criteria that err in different ways: the score beyond its null, Davies-
       Bouldin, and the worse stability. The k of the least mean rank is named, the smallest if several have it.
    4. It is the answer if it alone is near the best by score and by macro and its share reaches `CLEAR_SHARE`;
       otherwise it is the best candidate. Near are the k within `ERRORS` paired standard errors of the best, or
       within `NEARBY` of the part of the best that exceeds its null, since with many samples the errors vanish.
       With those near by both, it makes the shortlist.

    The gap statistic may say 1. That is told as a doubt and vetoes nothing, since it overlooks clusters that touch.
    The elbow, the share of positive samples and Calinski-Harabasz are reported and do not vote; nor does a column
    that the table lacks. Without nulls, Kaufman and Rousseeuw's lowest band takes their place, which is too strict
    in many dimensions.

    The rule was made on a part of the problems of `helpers.trials.problems`; the trials ask it about all of them.

    Parameters
    ----------
    table : DataFrame
        From `compare_criteria`.
    """
    scored, found = scored_rows(table), structure_table(table)
    structured = scored[found["structured"]]
    by_score, by_macro = _near(structured, "score"), _near(structured, "macro")
    candidate = int(mean_ranks(scored if structured.empty else structured).idxmin())
    n_clusters = None if structured.empty or len(scored) == 1 else candidate
    shortlist = sorted({candidate, *(k for k in by_score if k in by_macro)}) if n_clusters is not None else []
    return Decision(n_clusters, candidate, shortlist, by_score, by_macro, named_k(table), found)


def structure_table(table: pd.DataFrame) -> pd.DataFrame:
    """Tell which k show structure, and why the others do not.

    Parameters
    ----------
    table : DataFrame
        From `compare_criteria`, with the columns of the nulls or without.

    Returns
    -------
    DataFrame
        Indexed as `table`, without k = 1. ``share``: how far score and macro, whichever is behind, are on the way from
        the mean of their nulls to the ceiling (to 1 where the table has no ceiling). ``above``: whether both exceed
        the 95% quantile of their nulls. ``whole``: whether every cluster has a positive mean silhouette, which one of
        a single sample has not. ``stable``: whether the stability less its spread reaches `STABLE`. ``structured``:
        above, whole, stable, and share at least `SHARE`. What the table does not tell is taken to be met; without
        nulls, Kaufman and Rousseeuw's lowest band stands in for them, and ``share`` is missing.
    """
    table = scored_rows(table)
    if "null_score" in table:
        top = table.get("ceiling", 1.0)
        shares = [(table[name] - table[f"null_{name}"]) / (top - table[f"null_{name}"]) for name in ("score", "macro")]
        above = (table["score"] > table["null_score_high"]) & (table["macro"] > table["null_macro_high"])
        parts = {"share": pd.concat(shares, axis=1).min(axis=1), "above": above}
        enough = parts["share"] >= SHARE
    else:
        enough = table["score"].max() > BANDS[0][0]
        parts = {"share": float("nan"), "above": enough}
    stable = worse_stability(table) >= STABLE if "stability" in table else True
    whole = table["worst_mean"] > 0 if "worst_mean" in table else True
    found = pd.DataFrame(parts, index=table.index).assign(whole=whole, stable=stable)
    return found.assign(structured=found["above"] & found["whole"] & found["stable"] & enough)


def votes(table: pd.DataFrame) -> dict[str, pd.Series]:
    """Give the values that rank the k, by their names in sentences; the larger the better."""
    ranked = {"the score": table["score"]}
    if "null_score" in table:
        ranked = {"the score beyond structureless data": table["score"] - table["null_score"]}
    if "davies_bouldin" in table:
        ranked["Davies-Bouldin"] = -table["davies_bouldin"]
    if "stability" in table:
        ranked["stability"] = worse_stability(table)
    return ranked


def mean_ranks(table: pd.DataFrame) -> pd.Series:
    """Compute the mean rank of each k over the criteria that vote; 1 is the best, and ties share the better rank."""
    ranks = [values.rank(ascending=False, method="min") for values in votes(scored_rows(table)).values()]
    return pd.concat(ranks, axis=1).mean(axis=1)


def worse_stability(table: pd.DataFrame) -> pd.Series:
    """Compute the stability one standard deviation below its mean."""
    return table["stability"] - table["spread"]


def _near(table: pd.DataFrame, value: str) -> list[int]:
    """List the k whose value is within sampling error of the best, or within a trifle; none if the table is empty."""
    if table.empty:
        return []
    best = table[value].idxmax()
    excess = table.loc[best, value] - table.loc[best].get(f"null_{value}", 0.0)
    paired = {"score": "paired_error", "macro": "paired_macro_error"}[value]
    # The paired errors are of differences to the best of all k; they fit where that is the best here, too.
    usable = paired in table and table.loc[best, paired] == 0
    error = table[paired] if usable else table.loc[best, {"score": "standard_error", "macro": "macro_error"}[value]]
    margin = np.maximum(ERRORS * error, NEARBY * excess)
    return [int(k) for k in table.index[table[value] >= table.loc[best, value] - margin]]
