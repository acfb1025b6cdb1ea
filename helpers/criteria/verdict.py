"""The verdict in words: the decision of the rule, in sentences made from the numbers of one table."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

import pandas as pd

from ..core.conventions import listed
from .curves import (
    agreement_words,
    are_consecutive,
    elbow_by_k_max,
    elbow_by_k_min,
    elbow_sentence,
    extreme_k,
    extreme_words,
    k_ranges,
    k_words,
    links_words,
    preference_words,
    score_pairs,
    score_steps,
    untried_beside,
)
from .halves import LinkValleys
from .rule import CUT, NEARLY, SURE, Decision, convenient_k, decide
from .table import DEEP, equal_k, named_k, scored_rows

# From this k on a needless cut takes less from the mean over clusters than what makes a k nearly as deep.
_MANY = math.floor(CUT * (1 - DEEP) / (1 - NEARLY)) + 1
# What the sentences call the criteria that they compare.
_PHRASES = {
    "score": "the silhouette score",
    "macro": "the mean over clusters",
    "positive": "the share of positive samples",
}


@dataclass(frozen=True)
class Verdict:
    """The number of clusters, and why.

    Attributes
    ----------
    decision : Decision
        Of the rule, see `helpers.criteria.rule.decide`.
    convenience : int
        A k for whoever must take one: the one that is named, or else the one that `convenient_k` gives. Where none is
        named it is no finding.
    preferred : dict of str to int or None
        The k that each criterion names, by its name in `helpers.criteria.table.CRITERIA`.
    sentences : dict of str to str
        The verdict in words, by topic, beginning with the conclusion; every number in them is from the table.
    """

    decision: Decision
    convenience: int
    preferred: dict[str, int | None]
    sentences: dict[str, str]

    @property
    def n_clusters(self) -> int | None:
        """The k that is named, or None for "no clear k"."""
        return self.decision.n_clusters

    @property
    def levels(self) -> pd.DataFrame:
        """The k that count, with their valleys, the finest last."""
        return self.decision.levels


def verdict(table: pd.DataFrame, valleys: LinkValleys) -> Verdict:
    """Decide on the number of clusters by `helpers.criteria.rule.decide`, and say so in sentences.

    Parameters
    ----------
    table : DataFrame
        From `compare_criteria`.
    valleys : LinkValleys
        Of the same points and k.

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
    ...     study = Study.of_features(X, range(2, 7), normalize="none", cache_dir=folder)
    ...     study.verdict.n_clusters
    4
    """
    decision = decide(valleys)
    scored, preferred = scored_rows(table), named_k(table)
    convenience = decision.n_clusters or convenient_k(scored, decision)
    return Verdict(decision, convenience, preferred, _sentences(table, decision, preferred))


def rule_in_words() -> list[str]:
    """Say the rule, with its constants, in sentences."""
    return [
        f"A k counts if its valley is at least {DEEP:g}: across the borders of its clusters run, on average over "
        f"clusters, at least {DEEP:.0%} fewer links between neighbouring images than inside them. All k that count are "
        f"told, as levels.",
        "If no k counts, there is no clear k.",
        f"Of the k that count, the finest is named whose valley is at least {NEARLY:g} of the deepest (from k = "
        f"{_MANY} on, 1 \N{MINUS SIGN} {CUT * (1 - DEEP):g}/k of it, which is what two clusters that do not count take "
        f"from the mean). But none is named where the random halvings, drawn again, give that answer in fewer than "
        f"{SURE:.0%} of the draws.",
    ]


_TOO_FEW = (
    "a half of the images is too few for so many clusters, or leaves too few links between neighbours inside of them"
)


def opening_sentence(verdict: Verdict) -> str:
    """Say which clustering is shown where one must be, and why: the one that is named, or a convenient one."""
    why = "" if verdict.n_clusters else ", a convenient k and no finding"
    return f"It opens at k = {verdict.convenience}{why}. {verdict.sentences['conclusion']}"


def answers_sentence(table: pd.DataFrame, n_clusters: int | None) -> str:
    """Say how many different k the criteria and the verdict name; one that finds several equally good names none.

    Parameters
    ----------
    table : DataFrame
        From `compare_criteria`.
    n_clusters : int or None
        The k of the verdict.
    """
    answers = [*equal_k(table).values(), [] if n_clusters is None else [n_clusters]]
    named, ties = sorted({ks[0] for ks in answers if len(ks) == 1}), sum(len(ks) > 1 for ks in answers)
    if not named:
        sentence = "About your images no criterion names one k"
    elif len(named) == 1:
        sentence = f"About your images all criteria that name one k name k = {named[0]}"
    else:
        sentence = f"About your images the criteria name {len(named)} different k, from {named[0]} to {named[-1]}"
    return f"{sentence}{f'; {ties} of {len(answers)} find several k equally good' if ties else ''}."


def _sentences(table: pd.DataFrame, decision: Decision, preferred: dict[str, int | None]) -> dict[str, str]:
    scored = scored_rows(table)
    curve = list(scored.index), list(scored["inertia"])
    sentences = {
        "conclusion": _conclusion(scored, decision),
        "levels": _levels_sentence(decision),
        "draws": _draws_sentence(decision),
        "strength": _strength(scored),
        "preferences": _preferences(scored),
        "elbow": elbow_sentence(elbow_by_k_max(*curve), elbow_by_k_min(*curve)),
        "disagreement": _step_sentence(scored),
    }
    missing = decision.valleys.index[decision.valleys["valley"].isna()]
    if 0 < len(missing) < len(decision.valleys):
        sentences["missing"] = _missing_sentence(list(missing), list(decision.valleys.index))
    return sentences | _optional_sentences(table, scored, preferred)


def _listed(items: Iterable[int | str]) -> str:
    return listed(map(str, items), " and ")


def _conclusion(scored: pd.DataFrame, decision: Decision) -> str:
    """Say the answer in one sentence, and what to do where there is none."""
    k, last = decision.n_clusters, int(scored.index[-1])
    if k is None:
        return _no_clear_k(decision)
    valley = decision.valleys["valley"]
    crossed = links_words(valley[k], "their insides")
    sentence = f"The answer is k = {k}: the borders between its clusters are crossed by {crossed}"
    beside = _untried_words(k, list(valley.index))
    if k == last:
        return f"{sentence}; it is the largest k that was tried, so there may be finer clusters: try larger k{beside}."
    coarser = [int(level) for level in decision.levels.index if level < k]
    are = "is a coarser level" if len(coarser) == 1 else "are coarser levels"
    also = f"; k = {_listed(coarser)} {are}" if coarser else ""
    return f"{sentence}, and {_against_finer(valley, k)}{also}{beside}."


def _untried_words(k: int, tried: list[int]) -> str:
    """Say which neighbours of the k that is named were not tried; nothing where there are none."""
    untried = untried_beside(k, tried)
    if not untried:
        return ""
    return f"; {k_ranges(untried)} beside it {'was' if len(untried) == 1 else 'were'} not tried"


def _against_finer(valley: pd.Series, k: int) -> str:
    """Compare the k that is named with larger ones, by their valleys."""
    finer, emptiest = valley[valley.index > k], extreme_k(valley)
    if finer.isna().all():
        return "there are too few links inside finer ones to tell"
    if k in emptiest:
        which = [] if are_consecutive(valley.index) else ["that were tried"]
        which += [] if finer.notna().all() else ["of which it can be told"]
        return f"no finer clusters {' and '.join(which)}{' ' if which else ''}have borders nearly as empty"
    which = "the finest k" if finer.notna().all() else "the finest k of those of which it can be told"
    return f"it is {which} whose borders are nearly as empty as those at {k_words(valley)}, the emptiest"


def _no_clear_k(decision: Decision) -> str:
    valley, usual = decision.valleys["valley"], decision.usual
    if valley.isna().all():
        return (
            "No clear k, since it cannot be told: at every k there are too few links between neighbours to look at the "
            "borders of the clusters; take more images, or choose k by what you need it for."
        )
    if usual is not None:
        return _moving_k(decision, usual)
    best, none = int(valley.idxmax()), decision.draws[0]
    crossed = links_words(valley[best], "their insides")
    if len(decision.levels):
        return (
            f"No clear k: the borders at k = {best} are on average crossed by {crossed}, but with {none:.0%} of the "
            f"random halves no k is named; choose k by what you need it for."
        )
    if len(valley) == 1:
        borders = f"at k = {best}, the only one tried, the borders between clusters are crossed by {crossed}"
    else:
        some = "" if are_consecutive(valley.index) else f"of the {len(valley)} tried "
        told = " of which it can be told" if valley.isna().any() else ""
        tried = f"{some}from {valley.index[0]} to {valley.index[-1]}{told}"
        borders = (
            f"at no k {tried} are the borders between clusters at least {DEEP:.0%} emptier than their insides (the "
            f"emptiest, at {k_words(valley)}, are crossed by {crossed})"
        )
    return f"No clear k: {borders}; choose k by what you need it for, and do not read the clusters as kinds of images."


def _moving_k(decision: Decision, usual: int) -> str:
    """Say that there are clusters, perhaps, but that other random halves name another k, or none."""
    (low, high), none = decision.between or (usual, usual), decision.draws.get(0, 0.0)
    if low == high:
        sentence = (
            f"No clear k: k = {usual} is named with {decision.draws[usual]:.0%} of the random halves, fewer than the "
            f"{SURE:.0%} that are needed"
        )
    elif none <= 1 - SURE:
        sentence = (
            f"No clear k: there are clusters, between {low} and {high} of them, but which k is named moves with the "
            f"random halves"
        )
    else:
        sentence = (
            f"No clear k: which k is named moves with the random halves, between {low} and {high}, and with {none:.0%} "
            f"of them none is"
        )
    return f"{sentence}; if you need one, take k = {usual}."


def _levels_sentence(decision: Decision) -> str:
    """List the k that count, with their valleys."""
    valley, levels = decision.valleys["valley"], decision.levels["valley"]
    if valley.isna().all():
        return f"At no k can a valley be told: {_TOO_FEW}."
    if levels.empty:
        return f"No k has a valley of {DEEP} or more, the least that counts."
    told = [f"{k} ({depth:.2f})" for k, depth in levels.items()]
    return f"The borders run through valleys at k = {_listed(told)}, where 1 is a border that no link crosses."


def _missing_sentence(missing: list[int], tried: list[int]) -> str:
    """Say at which k no valley can be told."""
    return f"At {k_ranges(missing, tried)} no valley can be told: {_TOO_FEW}."


def _draws_sentence(decision: Decision) -> str:
    """Say how often other random halves give the same answer."""
    if decision.draws.get(0) == 1:
        return "However the random halvings of the images are drawn again, no k is named."
    told = [
        f"{'none' if k == 0 else f'k = {k}'} in {share:.0%}" for k, share in decision.draws.items() if share >= 0.005
    ]
    return f"With the random halvings of the images drawn again, the answer is {_listed(told)} of the draws."


def _strength(scored: pd.DataFrame) -> str:
    best = extreme_k(scored["score"])
    row = scored.loc[best[0]]
    sentence = f"The silhouette score is {extreme_words(scored['score'])}, {row['score']:.3f}"
    if "null_score" in scored:
        where = ", where" if len(best) == 1 else f"; at k = {best[0]}"
        sentence += (
            f"{where} data of the same shape without clusters have {row['null_score']:.3f} on average and at most "
            f"{row['null_score_high']:.3f}"
        )
    if "ceiling" in scored:
        sentence += f", and no clustering into clusters of these sizes can have more than {row['ceiling']:.3f}"
    return f"{sentence}."


def _preferences(scored: pd.DataFrame) -> str:
    parts = [f"{words} {preference_words(scored[name])} ({scored[name].max():.3f})" for name, words in _PHRASES.items()]
    told = f"{parts[0][0].upper()}{parts[0][1:]}, {parts[1]}, and {parts[2]}."
    return told + _at_the_end([scored[name] for name in _PHRASES])


def _at_the_end(criteria: Iterable[pd.Series]) -> str:
    """Say that a criterion whose best k is the last one, if there is such a criterion, might prefer a larger one."""
    if not any(extreme_k(values) == [values.index[-1]] for values in criteria):
        return ""
    return " A criterion that prefers the largest k tried might prefer a larger one still."


def _step_sentence(scored: pd.DataFrame) -> str:
    steps = score_steps(scored)
    opposed = steps[steps["disagree"]]
    pairs = score_pairs(scored)
    many = len(pairs) > 1
    of_pairs = (
        f"; of all {len(pairs)} pairs of k, near or far, the two disagree in {int(pairs['disagree'].sum())}"
        if many
        else ""
    )
    if opposed.empty:
        return f"{agreement_words(steps)}{of_pairs}."
    (k_from, k_to), step = next(opposed.loc[[opposed["score"].abs().idxmax()]].iterrows())
    score, share = ("rises", "falls") if step["score"] > 0 else ("falls", "rises")
    where = f"{len(opposed)} of {len(steps)} steps" if many else "the only step"
    change = "less than 0.001" if abs(step["score"]) < 0.0005 else f"{abs(step['score']):.3f}"
    points = 100 * abs(step["positive"])
    points_changed = f"{points:.1f} percentage points" if points >= 0.05 else "less than 0.1 percentage points"
    return (
        f"The score and the share of positive samples move in opposite directions in {where} from one k to the next; "
        f"from k = {k_from} to {k_to} the score {score} by {change} "
        f"while the share of positive samples {share} by {points_changed}, "
        f"and what moves the score most is {step['because']}{of_pairs}."
    )


def _optional_sentences(table: pd.DataFrame, scored: pd.DataFrame, preferred: dict[str, int | None]) -> dict[str, str]:
    """Write the sentences about columns that a table need not have."""
    sentences = {}
    if "gap" in table:
        sentences["gap"] = _gap_sentence(preferred["gap"], list(table.index))
    if "stability" in scored and scored["stability"].notna().any():
        where = k_words(scored["stability"])
        sentences["stability"] = (
            f"The clusterings of two halves agree {'equally well' if where == 'every k' else 'best'} at {where}, by an "
            f"adjusted Rand index of {scored['stability'].max():.2f}."
        )
    if "calinski_harabasz" in scored:
        sentences["indices"] = (
            f"Calinski-Harabasz {preference_words(scored['calinski_harabasz'])}, "
            f"and Davies-Bouldin {preference_words(scored['davies_bouldin'], smallest=True)}."
            + _at_the_end([scored["calinski_harabasz"], -scored["davies_bouldin"]])
        )
    return sentences


def _gap_sentence(k: int | None, tried: list[int]) -> str:
    if k is None:
        which = "none" if are_consecutive(tried) else "none of those tried"
        return f"The gap statistic finds no k: by its rule {which} up to {tried[-1]} suffices."
    if k == 1:
        return "The gap statistic says k = 1: by its rule the data need not be more than one cluster."
    return f"The gap statistic says k = {k}."
