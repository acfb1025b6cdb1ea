"""What each criterion says about the number of clusters, and what they say together.

The criteria are read from one table, a row for each k, that `compare_criteria` sets up. Labels of the images never
enter: they are what a clustering is looked for without.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from kneed import KneeLocator

from .sweep import KMeansSweep

# The criteria that have a largest value, and how the sentences call them.
CRITERIA = {
    "score": "the silhouette score",
    "macro": "the mean over clusters",
    "positive": "the share of positive samples",
}
# Kaufman and Rousseeuw (1990), Finding Groups in Data, chapter 2, table 4: how to read the largest average silhouette.
BANDS = (
    (0.25, "no substantial structure"),
    (0.50, "a weak structure that could be artificial"),
    (0.70, "a reasonable structure"),
    (1.00, "a strong structure"),
)
# A k is shortlisted when its value lies within this many standard errors of the best.
ERRORS = 2
# Kneedle needs a curve: with fewer values of k than this there is none to speak of.
SHORTEST_CURVE = 4
_TERMS = {
    "share_positive": "the share of positive samples",
    "size_positive": "how positive the positive samples are",
    "share_negative": "the share of negative samples",
    "size_negative": "how negative the negative samples are",
}


@dataclass(frozen=True)
class Verdict:
    """What the criteria say together.

    Attributes
    ----------
    n_clusters : int or None
        The k that stands out, or None for "no clear k".
    shortlist : list of int
        The k within sampling error of the best by score and by macro alike; empty where no score is high enough.
    preferred : dict of str to int or None
        The k that each criterion prefers.
    sentences : dict of str to str
        The verdict in words, by topic, the conclusion first; every number in them is from the table.
    """

    n_clusters: int | None
    shortlist: list[int]
    preferred: dict[str, int | None]
    sentences: dict[str, str]


def find_elbow(k_values: Sequence[int], inertia: Sequence[float]) -> int | None:
    """The elbow of the inertia curve by Kneedle, or None where there is none.

    Satopaa et al. (2011), Finding a "Kneedle" in a haystack, ICDCS Workshops, 166-171, as in the package kneed, with
    sensitivity 1.

    Parameters
    ----------
    k_values : sequence of int, length m
    inertia : sequence of float, length m

    Returns
    -------
    int or None
    """
    if len(k_values) < SHORTEST_CURVE or np.ptp(inertia) == 0:
        return None
    elbow = KneeLocator(np.asarray(k_values), np.asarray(inertia), curve="convex", direction="decreasing").elbow
    return None if elbow is None else int(elbow)


def elbow_by_k_max(k_values: Sequence[int], inertia: Sequence[float]) -> pd.Series:
    """The elbow that one finds by stopping at each k, indexed by ``k_max``; missing where there is none."""
    stops = range(SHORTEST_CURVE, len(k_values) + 1)
    elbows = [find_elbow(k_values[:stop], inertia[:stop]) for stop in stops]
    index = pd.Index([k_values[stop - 1] for stop in stops], name="k_max", dtype="int64")
    return pd.Series(elbows, index=index, name="elbow", dtype="Int64")


def elbow_sentence(elbows: pd.Series) -> str:
    """Say where the elbow is and whether it moves, from the result of `elbow_by_k_max`."""
    found = elbows.dropna()
    if found.empty or pd.isna(elbows.iloc[-1]):
        return "The inertia curve has no elbow."
    elbow, stop = int(elbows.iloc[-1]), int(elbows.index[-1])
    if found.min() == found.max():
        return f"The elbow of the inertia is at k = {elbow}, at every last k from {found.index[0]} to {stop}."
    return (
        f"With k up to {stop} the elbow of the inertia is at k = {elbow}; with other last k it moves between "
        f"{found.min()} and {found.max()}."
    )


def score_identity(table: pd.DataFrame) -> pd.DataFrame:
    """Split each score into what the positive samples give and what the negative ones take.

    score = share positive x mean of the positive - share negative x mean size of the negative; samples at zero
    count in neither.

    Returns
    -------
    DataFrame
        Indexed as `table`, with ``gain``, ``loss`` and ``score`` = gain - loss.
    """
    gain = table["positive"] * table["mean_positive"]
    loss = table["negative"] * -table["mean_negative"]
    return pd.DataFrame({"gain": gain, "loss": loss, "score": gain - loss})


def score_steps(table: pd.DataFrame) -> pd.DataFrame:
    """What changes from each k to the next, and which part of the score changes it.

    The change of a product is split evenly: d(xy) = dx mean(y) + dy mean(x). So the four terms add up to the change of
    the score exactly.

    Returns
    -------
    DataFrame
        Indexed by ``k_from`` and ``k_to``: changes of ``score`` and of ``positive`` (the share); the terms
        ``share_positive``, ``size_positive``, ``share_negative`` and ``size_negative``; ``disagree``, whether score
        and share move in opposite directions; and ``because``, the term that moves the score most in its direction.
    """
    now, then = table.iloc[1:].reset_index(drop=True), table.iloc[:-1].reset_index(drop=True)
    change, middle = now - then, (now + then) / 2
    terms = pd.DataFrame(
        {
            "share_positive": change["positive"] * middle["mean_positive"],
            "size_positive": middle["positive"] * change["mean_positive"],
            "share_negative": change["negative"] * middle["mean_negative"],
            "size_negative": middle["negative"] * change["mean_negative"],
        }
    )
    steps = pd.concat([change[["score", "positive"]], terms], axis=1)
    steps["disagree"] = change["score"] * change["positive"] < 0
    towards = terms.mul(np.sign(change["score"]), axis=0)
    steps["because"] = [_TERMS[name] for name in towards.idxmax(axis=1)] if len(towards) else []
    steps.index = pd.MultiIndex.from_arrays([table.index[:-1], table.index[1:]], names=["k_from", "k_to"])
    return steps


def compare_criteria(sweep: KMeansSweep, table: pd.DataFrame) -> pd.DataFrame:
    """Set the criteria side by side.

    Parameters
    ----------
    sweep : KMeansSweep
    table : DataFrame
        From `silhouette_table`, for the labels of the sweep.

    Returns
    -------
    DataFrame
        `table` with the column ``inertia`` before it, a row for each k.
    """
    joined = table.copy()
    joined.insert(0, "inertia", pd.Series(sweep.inertia, index=sweep.k_values).reindex(table.index))
    return joined


def verdict(table: pd.DataFrame) -> Verdict:
    """Say in sentences what the criteria say together.

    The rule: where the best score is in Kaufman and Rousseeuw's lowest band there is no clear k. Elsewhere the k
    within two standard errors of the best, by score and by macro alike, are the shortlist; one alone is the answer
    if the score prefers it, too. The elbow and the share of positive samples are reported and do not vote.

    Parameters
    ----------
    table : DataFrame
        From `compare_criteria`.

    Returns
    -------
    Verdict
    """
    elbows = elbow_by_k_max(list(table.index), list(table["inertia"]))
    elbow = None if elbows.empty or pd.isna(elbows.iloc[-1]) else int(elbows.iloc[-1])
    preferred = {"elbow": elbow} | {name: int(table[name].idxmax()) for name in CRITERIA}
    structured = table["score"].max() > BANDS[0][0]
    near_macro = _within_error(table, "macro", "macro_error")
    near_both = [k for k in _within_error(table, "score", "standard_error") if k in near_macro]
    shortlist = near_both if structured else []
    n_clusters = shortlist[0] if shortlist == [preferred["score"]] and len(table) > 1 else None
    sentences = {
        "conclusion": _conclusion(n_clusters, shortlist, table),
        "strength": _strength(table),
        "preferences": _preferences(table, preferred),
        "elbow": elbow_sentence(elbows),
        "shortlist": _shortlist_sentence(table),
        "disagreement": _step_sentence(table),
    }
    return Verdict(n_clusters, shortlist, preferred, sentences)


def _within_error(table: pd.DataFrame, value: str, error: str) -> list[int]:
    best = table[value].idxmax()
    near = table[value] >= table.loc[best, value] - ERRORS * table.loc[best, error]
    return [int(k) for k in table.index[near]]


def _listed(numbers: Sequence[int]) -> str:
    words = [str(number) for number in numbers]
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"


def _conclusion(n_clusters: int | None, shortlist: list[int], table: pd.DataFrame) -> str:
    best_score = table["score"].max()
    if len(table) == 1:
        return f"No k is preferred: k = {table.index[0]} is the only one that was tried."
    if best_score <= BANDS[0][0]:
        return "No clear k: the best silhouette score is too low to single one out."
    if n_clusters is not None and best_score > BANDS[1][0]:
        return (
            f"The answer is k = {n_clusters}: it alone is within sampling error of the best both by the score and by "
            f"the mean over clusters."
        )
    if n_clusters is not None:
        return f"The best candidate is k = {n_clusters}, and the score leaves open whether its clusters are real."
    if len(shortlist) == 1:
        return (
            f"No k is preferred outright: k = {shortlist[0]} is the one compromise within sampling error of the best "
            f"by both score and mean over clusters."
        )
    if shortlist:
        return f"No single k, but a shortlist by score and mean over clusters together: k = {_listed(shortlist)}."
    return "No clear k: the score and the mean over clusters prefer different k by more than sampling error."


def _strength(table: pd.DataFrame) -> str:
    best = int(table["score"].idxmax())
    score = table.loc[best, "score"]
    words = next(words for bound, words in BANDS if score <= bound)
    return (
        f"The best silhouette score is {score:.3f}, at k = {best}; on Kaufman and Rousseeuw's rule of thumb that is "
        f"{words}."
    )


def _preferences(table: pd.DataFrame, preferred: dict[str, int | None]) -> str:
    parts = [
        f"{words} prefers k = {preferred[name]} ({table.loc[preferred[name], name]:.3f})"
        for name, words in CRITERIA.items()
    ]
    return f"{parts[0][0].upper()}{parts[0][1:]}, {parts[1]}, and {parts[2]}."


def _shortlist_sentence(table: pd.DataFrame) -> str:
    by_score, by_macro = _within_error(table, "score", "standard_error"), _within_error(table, "macro", "macro_error")
    return (
        f"Within {ERRORS} standard errors of the best are k = {_listed(by_score)} by score, "
        f"and k = {_listed(by_macro)} by the mean over clusters."
    )


def _step_sentence(table: pd.DataFrame) -> str:
    steps = score_steps(table)
    opposed = steps[steps["disagree"]]
    if steps.empty:
        return "With one k there is no step from one to the next to look at."
    if opposed.empty:
        return "From each k to the next, the score and the share of positive samples move in the same direction."
    (k_from, k_to), step = next(opposed.loc[[opposed["score"].abs().idxmax()]].iterrows())
    score, share = ("rises", "falls") if step["score"] > 0 else ("falls", "rises")
    return (
        f"The score and the share of positive samples move in opposite directions in {len(opposed)} of {len(steps)} "
        f"steps from one k to the next; from k = {k_from} to {k_to} the score {score} by {abs(step['score']):.3f} "
        f"while the share of positive samples {share} by {100 * abs(step['positive']):.1f} percentage points, "
        f"and what moves the score most is {step['because']}."
    )
