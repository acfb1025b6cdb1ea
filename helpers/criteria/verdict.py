"""The verdict in words: the decision of the rule, in sentences made from the numbers of one table."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import pandas as pd

from ..core.conventions import listed
from .curves import elbow_by_k_max, elbow_by_k_min, elbow_sentence, score_pairs, score_steps
from .rule import BANDS, CLEAR_SHARE, ERRORS, NEARBY, SHARE, STABLE, Decision, decide, votes, worse_stability
from .table import scored_rows

# What the sentences call the criteria that they compare.
_PHRASES = {
    "score": "the silhouette score",
    "macro": "the mean over clusters",
    "positive": "the share of positive samples",
}


@dataclass(frozen=True)
class Verdict:
    """The number of clusters that the criteria lead to, and why.

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
        The verdict in words, by topic, beginning with the conclusion; every number in them is from the table.
    """

    n_clusters: int | None
    candidate: int
    shortlist: list[int]
    preferred: dict[str, int | None]
    sentences: dict[str, str]


def verdict(table: pd.DataFrame) -> Verdict:
    """Decide on the number of clusters by `helpers.criteria.rule.decide`, and say so in sentences.

    Parameters
    ----------
    table : DataFrame
        From `compare_criteria`.

    Returns
    -------
    Verdict

    Examples
    --------
    >>> import tempfile
    >>> from sklearn.datasets import make_blobs
    >>> from helpers.study import Study
    >>> X, _ = make_blobs(200, 8, centers=4, cluster_std=0.5, random_state=0)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     table = Study.of_features(X, range(2, 7), normalize="none", cache_dir=folder).criteria
    >>> verdict(table).n_clusters
    4
    """
    decision = decide(table)
    sentences = _sentences(table, decision)
    return Verdict(decision.n_clusters, decision.candidate, decision.shortlist, decision.preferred, sentences)


def _sentences(table: pd.DataFrame, decision: Decision) -> dict[str, str]:
    scored, found = scored_rows(table), decision.structure
    curve = list(scored.index), list(scored["inertia"])
    sentences = {
        "conclusion": _conclusion(decision, scored),
        "strength": _strength(scored, found),
        "preferences": _preferences(scored, decision.preferred),
        "elbow": elbow_sentence(elbow_by_k_max(*curve), elbow_by_k_min(*curve)),
        "shortlist": _shortlist_sentence(scored[found["structured"]], decision),
        "disagreement": _step_sentence(scored),
    }
    return sentences | _optional_sentences(table, scored, decision.preferred)


def _listed(items: Iterable[int | str]) -> str:
    return listed(map(str, items), " and ")


def _conclusion(decision: Decision, scored: pd.DataFrame) -> str:
    n_clusters, near, found = decision.n_clusters, decision.near, decision.structure
    if len(scored) == 1:
        return f"No k is preferred: k = {scored.index[0]} is the only one that was tried."
    if n_clusters is None:
        return f"No clear k: {_why_none(scored, found)}."
    if near == [n_clusters] and _is_clear(n_clusters, scored, found):
        return (
            f"The answer is k = {n_clusters}: it alone is near the best, within errors, both by the score and by "
            f"the mean over clusters."
        )
    sentence = f"The best candidate is k = {n_clusters}"
    others = [k for k in near if k != n_clusters]
    if n_clusters not in near:
        best = [int(scored.loc[found["structured"], name].idxmax()) for name in ("score", "macro")]
        return (
            f"{sentence}, by {_listed(list(votes(scored)))}; of the k with structure the best by the score is "
            f"k = {best[0]}, and by the mean over clusters k = {best[1]}."
        )
    if others:
        return (
            f"{sentence}; k = {_listed(others)} {'is' if len(others) == 1 else 'are'} as good by the score and by the "
            f"mean over clusters, within errors."
        )
    if "null_score" in scored:
        return f"{sentence}: its clusters are more than structureless data gives, but they are not set well apart."
    return f"{sentence}, and the score leaves open whether its clusters are real."


def _is_clear(k: int, scored: pd.DataFrame, found: pd.DataFrame) -> bool:
    return found.loc[k, "share"] >= CLEAR_SHARE if "null_score" in scored else scored.loc[k, "score"] > BANDS[1][0]


def _why_none(scored: pd.DataFrame, found: pd.DataFrame) -> str:
    """Say why no k shows structure: the first demand that no k meets together with those before it."""
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
    k = int(worse_stability(scored.loc[enough.index]).idxmax())
    return (
        f"no clustering that goes beyond structureless data is found again in subsamples; the most stable of them, "
        f"k = {k}, agrees with theirs by an adjusted Rand index of {scored.loc[k, 'stability']:.2f} on average, with a "
        f"standard deviation of {scored.loc[k, 'spread']:.2f}"
    )


def _strength(scored: pd.DataFrame, found: pd.DataFrame) -> str:
    best = int(scored["score"].idxmax())
    row = scored.loc[best]
    words = next(words for bound, words in BANDS if row["score"] <= bound)
    sentence = (
        f"The best silhouette score is {row['score']:.3f}, at k = {best}; on Kaufman and Rousseeuw's rule of thumb "
        f"that is {words}"
    )
    if "null_score" not in scored:
        return f"{sentence}."
    sentence += (
        f", while structureless data of the same shape have {row['null_score']:.3f} there on average and "
        f"{row['null_score_high']:.3f} at their 95% quantile"
    )
    if "ceiling" in scored:
        sentence += f", and no clustering into clusters of these sizes can have more than {row['ceiling']:.3f}"
    structured = [int(k) for k in found.index[found["structured"]]]
    where = f"at k = {_listed(structured)}" if structured else "at no k"
    return f"{sentence}. By the rule there is structure {where}{_passed_over(best, found)}."


def _passed_over(best: int, found: pd.DataFrame) -> str:
    """Say why the k with the best score does not count, if others do."""
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
        for name, words in _PHRASES.items()
    ]
    return f"{parts[0][0].upper()}{parts[0][1:]}, {parts[1]}, and {parts[2]}."


def _shortlist_sentence(structured: pd.DataFrame, decision: Decision) -> str:
    shortlist = decision.shortlist
    if structured.empty:
        return "There is no shortlist, since no k shows structure."
    if not shortlist:
        return "There is no shortlist, since one k alone was tried."
    sentence = (
        f"The shortlist is k = {_listed(shortlist)}. "
        f"Within {ERRORS} standard errors of the best, or {NEARBY:.0%} of what it has beyond structureless data, are "
        f"k = {_listed(decision.by_score)} by score, "
        f"and k = {_listed(decision.by_macro)} by the mean over clusters"
    )
    others = [int(k) for k in structured.index if k not in shortlist]
    if not others:
        return f"{sentence}."
    behind = [f"{structured['score'].max() - structured.loc[k, 'score']:.3f}" for k in others]
    return (
        f"{sentence}; structured and not on the shortlist {'is' if len(others) == 1 else 'are'} k = "
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
        sentence = "From each k to the next, the score and the share of positive samples move in the same direction"
        return f"{sentence}{of_pairs}."
    (k_from, k_to), step = next(opposed.loc[[opposed["score"].abs().idxmax()]].iterrows())
    score, share = ("rises", "falls") if step["score"] > 0 else ("falls", "rises")
    return (
        f"The score and the share of positive samples move in opposite directions in {len(opposed)} of {len(steps)} "
        f"steps from one k to the next; from k = {k_from} to {k_to} the score {score} by {abs(step['score']):.3f} "
        f"while the share of positive samples {share} by {100 * abs(step['positive']):.1f} percentage points, "
        f"and what moves the score most is {step['because']}{of_pairs}."
    )


def _optional_sentences(table: pd.DataFrame, scored: pd.DataFrame, preferred: dict[str, int | None]) -> dict[str, str]:
    """Write the sentences about columns that a table need not have."""
    sentences = {}
    if "gap" in table:
        sentences["gap"] = _gap_sentence(preferred["gap_pca"], int(table.index.max()))
    if "stability" in scored:
        stable = [int(k) for k in scored.index[worse_stability(scored) >= STABLE]]
        where = f"at k = {_listed(stable)}" if stable else "at no k"
        sentences["stability"] = (
            f"Clusterings of subsamples agree with that of all samples by an adjusted Rand index of {STABLE} or more, "
            f"even one standard deviation below the mean, {where}."
        )
    if "calinski_harabasz" in scored:
        sentences["indices"] = (
            f"Calinski-Harabasz prefers k = {scored['calinski_harabasz'].idxmax()}, "
            f"and Davies-Bouldin k = {scored['davies_bouldin'].idxmin()}."
        )
    return sentences


def _gap_sentence(k: int | None, last: int) -> str:
    if k is None:
        return f"The gap statistic finds no k: by its rule none up to {last} suffices."
    if k == 1:
        return "The gap statistic says k = 1: by its rule the data need not be more than one cluster."
    return f"The gap statistic says k = {k}."
