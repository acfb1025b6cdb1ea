"""What the criteria say together, in sentences made from the numbers of one table.

The rule is a pure function of the table of `helpers.criteria.compare_criteria`; its constants stand here, to be argued
with.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from .curves import elbow_by_k_max, elbow_by_k_min, elbow_sentence, score_pairs, score_steps
from .references import gap_choice

# The criteria that have a largest value, and how the sentences call them.
CRITERIA = {
    "score": "the silhouette score",
    "macro": "the mean over clusters",
    "positive": "the share of positive samples",
}
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
class Verdict:
    """What the criteria say together.

    Attributes
    ----------
    n_clusters : int or None
        The k that is named, or None for "no clear k".
    candidate : int
        The k to take where one has to be taken; `n_clusters`, if that is one.
    shortlist : list of int
        `n_clusters` and the structured k near the best of them by score and by macro alike.
    preferred : dict of str to int or None
        The k that each criterion prefers; ``gap`` may say 1, and is there only if the table has gaps.
    sentences : dict of str to str
        The verdict in words, by topic, the conclusion first; every number in them is from the table.
    """

    n_clusters: int | None
    candidate: int
    shortlist: list[int]
    preferred: dict[str, int | None]
    sentences: dict[str, str]


def structure_table(table: pd.DataFrame) -> pd.DataFrame:
    """Which k show structure, and why the others do not.

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
    table = _scored(table)
    if "null_score" in table:
        top = table.get("ceiling", 1.0)
        shares = [(table[name] - table[f"null_{name}"]) / (top - table[f"null_{name}"]) for name in ("score", "macro")]
        above = (table["score"] > table["null_score_high"]) & (table["macro"] > table["null_macro_high"])
        parts = {"share": pd.concat(shares, axis=1).min(axis=1), "above": above}
        enough = parts["share"] >= SHARE
    else:
        enough = table["score"].max() > BANDS[0][0]
        parts = {"share": float("nan"), "above": enough}
    stable = _worse_stability(table) >= STABLE if "stability" in table else True
    whole = table["worst_mean"] > 0 if "worst_mean" in table else True
    found = pd.DataFrame(parts, index=table.index).assign(whole=whole, stable=stable)
    return found.assign(structured=found["above"] & found["whole"] & found["stable"] & enough)


def verdict(table: pd.DataFrame) -> Verdict:
    """Say in sentences what the criteria say together.

    The rule. A k shows structure if four things hold: its score and its mean over clusters (macro) both exceed the
    95% quantile over structureless clouds of the same shape, be they uniform, Gaussian or heavy-tailed; both are
    `SHARE` or more of the way from the mean of those to the ceiling that the samples allow, for with many samples the
    slightest departure from a null exceeds it; every cluster has a positive mean silhouette, which an outlier that
    makes a cluster of its own has not; and the clustering is found again in subsamples, where its adjusted Rand index
    is `STABLE` or more even one standard deviation below its mean. Macro is asked beside the score because
    a few outliers cut off a cloud make a high score and a low macro, and stability because a cloud that is curved or
    skewed can beat its nulls wherever it is cut. If no k shows structure there is no clear k. Those that do are ranked
    three times, by three that err in different ways: the score beyond its null, Davies-Bouldin, and the worse
    stability; the k of the least mean rank is named, of equals the smallest. It is the answer if it alone is near the
    best by score and macro and its share reaches `CLEAR_SHARE`, and else the best candidate; near are the k within
    `ERRORS` paired standard errors of the best (or within `NEARBY` of what the best has beyond its null, for with many
    samples the errors vanish), and with those near by both it makes the shortlist. The gap statistic may say 1, which
    is told as a doubt and vetoes nothing, for it overlooks clusters that touch. The elbow, the share of positive
    samples and Calinski-Harabasz are reported and do not vote. What the table lacks does not vote; without nulls,
    Kaufman and Rousseeuw's lowest band stands in for them, which is too strict in many dimensions.

    The rule was made on a part of the problems of `helpers.problems` and is held against all of them in the study.

    Parameters
    ----------
    table : DataFrame
        From `compare_criteria`.

    Returns
    -------
    Verdict
    """
    scored, found = _scored(table), structure_table(table)
    structured = scored[found["structured"]]
    by_score, by_macro = _near(structured, "score"), _near(structured, "macro")
    near = [k for k in by_score if k in by_macro]
    candidate = int(mean_ranks(scored if structured.empty else structured).idxmin())
    n_clusters = None if structured.empty or len(scored) == 1 else candidate
    shortlist = sorted({candidate, *near}) if n_clusters is not None else []
    elbows = [by_end(list(scored.index), list(scored["inertia"])) for by_end in (elbow_by_k_max, elbow_by_k_min)]
    preferred = _preferred(scored, elbows[0]) | (
        {"gap": gap_choice(table["gap"], table["s"])} if "gap" in table else {}
    )
    sentences = {
        "conclusion": _conclusion(n_clusters, near, scored, found),
        "strength": _strength(scored, found),
        "preferences": _preferences(scored, preferred),
        "elbow": elbow_sentence(*elbows),
        "shortlist": _shortlist_sentence(structured, shortlist, by_score, by_macro),
        "disagreement": _step_sentence(scored),
    }
    sentences |= _optional_sentences(table, scored, preferred)
    return Verdict(n_clusters, candidate, shortlist, preferred, sentences)


def _votes(table: pd.DataFrame) -> dict[str, pd.Series]:
    """What ranks the k, by how the sentences call it; the larger the better."""
    votes = {"the score": table["score"]}
    if "null_score" in table:
        votes = {"the score beyond structureless data": table["score"] - table["null_score"]}
    if "davies_bouldin" in table:
        votes["Davies-Bouldin"] = -table["davies_bouldin"]
    if "stability" in table:
        votes["stability"] = _worse_stability(table)
    return votes


def mean_ranks(table: pd.DataFrame) -> pd.Series:
    """The mean rank of each k over the criteria that vote in `verdict`; 1 is the best, and equals share the better."""
    ranks = [votes.rank(ascending=False, method="min") for votes in _votes(_scored(table)).values()]
    return pd.concat(ranks, axis=1).mean(axis=1)


def _scored(table: pd.DataFrame) -> pd.DataFrame:
    """The rows that have silhouettes: all but k = 1."""
    return table[table["score"].notna()]


def _worse_stability(table: pd.DataFrame) -> pd.Series:
    return table["stability"] - table["spread"]


def _near(table: pd.DataFrame, value: str) -> list[int]:
    """The k as good as the best by `value`, but for sampling error or a trifle; empty where the table is."""
    if table.empty:
        return []
    best = table[value].idxmax()
    beyond = table.loc[best, value] - table.loc[best].get(f"null_{value}", 0.0)
    paired = {"score": "paired_error", "macro": "paired_macro_error"}[value]
    # The paired errors are of differences to the best of all k; they fit where that is the best here, too.
    usable = paired in table and table.loc[best, paired] == 0
    error = table[paired] if usable else table.loc[best, {"score": "standard_error", "macro": "macro_error"}[value]]
    margin = np.maximum(ERRORS * error, NEARBY * beyond)
    return [int(k) for k in table.index[table[value] >= table.loc[best, value] - margin]]


def _preferred(scored: pd.DataFrame, elbows: pd.Series) -> dict[str, int | None]:
    elbow = None if elbows.empty or pd.isna(elbows.iloc[-1]) else int(elbows.iloc[-1])
    return {"elbow": elbow} | {name: int(scored[name].idxmax()) for name in CRITERIA}


# --- sentences --------------------------------------------------------------------------------------------------------


def _listed(numbers: Sequence[int] | Sequence[str]) -> str:
    words = [str(number) for number in numbers]
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"


def _conclusion(n_clusters: int | None, near: list[int], scored: pd.DataFrame, found: pd.DataFrame) -> str:
    if len(scored) == 1:
        return f"No k is preferred: k = {scored.index[0]} is the only one that was tried."
    if n_clusters is None:
        return f"No clear k: {_why_none(scored, found)}."
    if near == [n_clusters] and _is_clear(n_clusters, scored, found):
        return (
            f"The answer is k = {n_clusters}: it alone is near the best, within errors, both by the score and by "
            f"the mean over clusters."
        )
    said = f"The best candidate is k = {n_clusters}"
    others = [k for k in near if k != n_clusters]
    if n_clusters not in near:
        best = [int(scored.loc[found["structured"], name].idxmax()) for name in ("score", "macro")]
        return (
            f"{said}, by {_listed(list(_votes(scored)))}; of the k with structure the best by the score is "
            f"k = {best[0]}, and by the mean over clusters k = {best[1]}."
        )
    if others:
        return (
            f"{said}; k = {_listed(others)} {'is' if len(others) == 1 else 'are'} as good by the score and by the mean "
            f"over clusters, within errors."
        )
    if "null_score" in scored:
        return f"{said}: its clusters are more than structureless data gives, but they are not set well apart."
    return f"{said}, and the score leaves open whether its clusters are real."


def _is_clear(k: int, scored: pd.DataFrame, found: pd.DataFrame) -> bool:
    return found.loc[k, "share"] >= CLEAR_SHARE if "null_score" in scored else scored.loc[k, "score"] > BANDS[1][0]


def _why_none(scored: pd.DataFrame, found: pd.DataFrame) -> str:
    """Why no k shows structure: at the first of the demands that no k meets together with those before it."""
    if "null_score" not in scored and not found["above"].any():
        return "the best silhouette score is too low to single one out"
    if not found["above"].any():
        return (
            "at no k are the score and the mean over clusters both above the 95% quantile over structureless data of "
            "the same shape"
        )
    above = found[found["above"]]
    if "null_score" in scored and not (above["share"] >= SHARE).any():
        k = int(above["share"].idxmax())
        return (
            f"what goes beyond structureless data is too little to be read as clusters, at the most "
            f"{above.loc[k, 'share']:.0%} of the way to the ceiling, at k = {k}"
        )
    enough = above if "null_score" not in scored else above[above["share"] >= SHARE]
    if not enough["whole"].any():
        return (
            "wherever score and mean over clusters go beyond structureless data, some cluster has no silhouette of its "
            "own, as where a single outlier is a cluster"
        )
    enough = enough[enough["whole"]]
    k = int(_worse_stability(scored.loc[enough.index]).idxmax())
    return (
        f"no clustering that goes beyond structureless data is found again in subsamples; the most stable of them, "
        f"k = {k}, agrees with theirs by an adjusted Rand index of {scored.loc[k, 'stability']:.2f} on average, with a "
        f"standard deviation of {scored.loc[k, 'spread']:.2f}"
    )


def _strength(scored: pd.DataFrame, found: pd.DataFrame) -> str:
    best = int(scored["score"].idxmax())
    row = scored.loc[best]
    words = next(words for bound, words in BANDS if row["score"] <= bound)
    said = (
        f"The best silhouette score is {row['score']:.3f}, at k = {best}; on Kaufman and Rousseeuw's rule of thumb "
        f"that is {words}"
    )
    if "null_score" not in scored:
        return f"{said}."
    said += (
        f", while structureless data of the same shape have {row['null_score']:.3f} there on average and "
        f"{row['null_score_high']:.3f} at their 95% quantile"
    )
    if "ceiling" in scored:
        said += f", and no clustering into clusters of these sizes can have more than {row['ceiling']:.3f}"
    structured = [int(k) for k in found.index[found["structured"]]]
    where = f"at k = {_listed(structured)}" if structured else "at no k"
    return f"{said}. By the rule there is structure {where}{_passed_over(best, found)}."


def _passed_over(best: int, found: pd.DataFrame) -> str:
    """Why the k with the best score does not count, if it does not and others do."""
    row = found.loc[best]
    if row["structured"] or not found["structured"].any():
        return ""
    if not row["above"]:
        return f", but not at k = {best}, where score or mean over clusters are no more than those data have"
    if row["share"] < SHARE:
        return f", but not at k = {best}, which goes only {row['share']:.0%} of the way to the ceiling"
    if not row["whole"]:
        return f", but not at k = {best}, where some cluster, be it of one, has no positive mean"
    return f", but not at k = {best}, since its clustering is not found again in subsamples"


def _preferences(scored: pd.DataFrame, preferred: dict[str, int | None]) -> str:
    parts = [
        f"{words} prefers k = {preferred[name]} ({scored.loc[preferred[name], name]:.3f})"
        for name, words in CRITERIA.items()
    ]
    return f"{parts[0][0].upper()}{parts[0][1:]}, {parts[1]}, and {parts[2]}."


def _shortlist_sentence(
    structured: pd.DataFrame, shortlist: list[int], by_score: list[int], by_macro: list[int]
) -> str:
    if structured.empty:
        return "There is no shortlist, since no k shows structure."
    if not shortlist:
        return "There is no shortlist, since one k alone was tried."
    said = (
        f"The shortlist is k = {_listed(shortlist)}. "
        f"Within {ERRORS} standard errors of the best, or {NEARBY:.0%} of what it has beyond structureless data, are "
        f"k = {_listed(by_score)} by score, "
        f"and k = {_listed(by_macro)} by the mean over clusters"
    )
    others = [int(k) for k in structured.index if k not in shortlist]
    if not others:
        return f"{said}."
    behind = [f"{structured['score'].max() - structured.loc[k, 'score']:.3f}" for k in others]
    return (
        f"{said}; structured and not on the shortlist {'is' if len(others) == 1 else 'are'} k = "
        f"{_listed(others)}, behind the best score by {_listed(behind)}."
    )


def _step_sentence(scored: pd.DataFrame) -> str:
    steps = score_steps(scored)
    opposed = steps[steps["disagree"]]
    if steps.empty:
        return "With one k there is no step from one to the next to look at."
    pairs = score_pairs(scored)
    of_pairs = f"; of all {len(pairs)} pairs of k, they disagree in {int(pairs['disagree'].sum())}"
    if opposed.empty:
        said = "From each k to the next, the score and the share of positive samples move in the same direction"
        return f"{said}{of_pairs}."
    (k_from, k_to), step = next(opposed.loc[[opposed["score"].abs().idxmax()]].iterrows())
    score, share = ("rises", "falls") if step["score"] > 0 else ("falls", "rises")
    return (
        f"The score and the share of positive samples move in opposite directions in {len(opposed)} of {len(steps)} "
        f"steps from one k to the next; from k = {k_from} to {k_to} the score {score} by {abs(step['score']):.3f} "
        f"while the share of positive samples {share} by {100 * abs(step['positive']):.1f} percentage points, "
        f"and what moves the score most is {step['because']}{of_pairs}."
    )


def _optional_sentences(table: pd.DataFrame, scored: pd.DataFrame, preferred: dict[str, int | None]) -> dict[str, str]:
    """Sentences about what a table need not have."""
    said = {}
    if "gap" in table:
        said["gap"] = _gap_sentence(preferred["gap"], int(table.index.max()))
    if "stability" in scored:
        stable = [int(k) for k in scored.index[_worse_stability(scored) >= STABLE]]
        where = f"at k = {_listed(stable)}" if stable else "at no k"
        said["stability"] = (
            f"Clusterings of subsamples agree with that of all samples by an adjusted Rand index of {STABLE} or more, "
            f"even one standard deviation below the mean, {where}."
        )
    if "calinski_harabasz" in scored:
        said["indices"] = (
            f"Calinski-Harabasz prefers k = {scored['calinski_harabasz'].idxmax()}, "
            f"and Davies-Bouldin k = {scored['davies_bouldin'].idxmin()}."
        )
    return said


def _gap_sentence(k: int | None, last: int) -> str:
    if k is None:
        return f"The gap statistic finds no k: by its rule none up to {last} suffices."
    if k == 1:
        return "The gap statistic says k = 1: by its rule the data need not be more than one cluster."
    return f"The gap statistic says k = {k}."
