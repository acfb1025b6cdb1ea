"""Sentences beside the figures: where the rule lets each k fall, how high a score is, and what is found again."""

from __future__ import annotations

import math

import pandas as pd

from ..core.conventions import with_minus
from .curves import are_consecutive, extreme_k, extreme_words, k_ranges, links_words, range_words, tried_words
from .rule import SURE, Decision, nearly_deepest
from .table import DEEP, STRONG

# Two agreements that are nearer to each other than this are told as nearly equal.
_CLOSE = 0.1


def rule_steps(decision: Decision) -> tuple[str, list[tuple[str, str, str]], str]:
    """Follow the values of k through the questions of the rule.

    Returns
    -------
    start : str
        The k that were tried.
    steps : list of (str, str, str)
        The questions, each with the k that stay and those that leave; an empty text where there are none.
    end : str
        The answer.
    """
    valley = decision.valleys["valley"]
    levels, near, finest = list(decision.levels.index), nearly_deepest(valley), nearly_deepest(valley)[-1:]
    tried = list(valley.index)
    few = [k for k in tried if k not in levels]
    less = [k for k in levels if k not in near]
    steps = [
        (f"Is its valley at least {DEEP:g}?", k_ranges(levels, tried), k_ranges(few, tried)),
        ("Is it nearly as deep as the deepest?", k_ranges(near, tried), _level(less, tried)),
        ("Is it the finest of these?", k_ranges(finest), _level(near[:-1], tried)),
        (f"Do {SURE:.0%} of the redraws name it?", "", ""),
    ]
    if finest:
        words = f"{k_ranges(finest)}, in {decision.draws.get(finest[0], 0.0):.0%}"
        steps[-1] = (steps[-1][0], *((words, "") if decision.n_clusters else ("", words)))
    end = "No clear k" if decision.n_clusters is None else f"The answer: k = {decision.n_clusters}"
    return k_ranges(tried) if are_consecutive(tried) else tried_words(tried), steps, end


def _level(ks: list[int], tried: list[int]) -> str:
    return f"{k_ranges(ks, tried)}: {'a level' if len(ks) == 1 else 'levels'}" if ks else ""


def room_sentence(name: str, criteria: pd.DataFrame) -> str:
    """Say how far up a score is between its floor and its ceiling, at the k where it is farthest above the floor.

    Parameters
    ----------
    name : str
        Of the data.
    criteria : DataFrame
        With ``score``, ``null_score_high`` and ``ceiling``.
    """
    scored = criteria[criteria["score"].notna()]
    row = scored.loc[extreme_k(scored["score"] - scored["null_score_high"])[0]]
    score, floor, ceiling = row["score"], row["null_score_high"], row["ceiling"]
    numbers = (
        f"{name}: at k = {row.name} the floor is {floor:.3f}, the score {score:.3f}, and the ceiling {ceiling:.3f}"
    )
    numbers = with_minus(numbers)
    if score <= floor:
        return f"{numbers}; the score is not above the floor, at this k or at any other."
    return f"{numbers}, so the score is {(score - floor) / (ceiling - floor):.0%} of the way up."


def border_sentence(valley: float) -> str:
    """Say how crowded one border is, from its valley."""
    if math.isnan(valley):
        return "Too few links run inside these two clusters to compare their border with."
    crossed = f"This border is crossed by {links_words(valley, 'the inside of the emptier cluster')}"
    if valley >= DEEP:
        return f"{crossed}: it runs through a valley."
    return f"{crossed}: {'hardly emptier than the inside' if valley > 0 else 'no emptier than the inside'}."


def found_again_sentence(images: pd.Series, cloud: pd.Series) -> str:
    """Compare the agreement of halves of the images with that of a cloud without clusters, each indexed by k."""
    if images.isna().all():
        return "Each half of the images is too small for all of these numbers of clusters."
    sentence = with_minus(
        f"For the images the agreement is {extreme_words(images)} ({images.max():.2f}), and for the cloud it is "
        f"{extreme_words(cloud)} ({cloud.max():.2f})"
    )
    if cloud.max() >= images.max():
        return f"{sentence}: there is nothing in the cloud, and halves of it agree at least as well."
    if cloud.max() >= images.max() - _CLOSE:
        return f"{sentence}: there is nothing in the cloud, and halves of it agree nearly as well."
    return f"{sentence}: halves of the images agree better than the shape of that cloud alone makes them."


def strength_sentence(images: pd.Series, cloud: pd.Series) -> str:
    """Say up to which k the prediction strength of images and of a cloud without clusters is high."""
    none = "at no k from 2 on" if are_consecutive(images.index) else "at no k that was tried"
    parts = [
        f"for the {name} {f'up to k = {found[-1]}' if found else none}"
        for name, values in (("images", images), ("cloud", cloud))
        for found in [extreme_k(values >= STRONG) if (values >= STRONG).any() else []]
    ]
    return f"Prediction strength reaches {STRONG:g}, its authors' threshold, {parts[0]}, and {parts[1]}."


def seed_sentence(seeds: pd.Series, halves: pd.Series) -> str:
    """Compare the agreement of two seeds on the same images with that of two halves, each indexed by k."""
    sentence = f"With another seed the agreement on the same images is {range_words(seeds, '.2f')}"
    known = halves.notna()
    if not known.any():
        return f"{sentence}."
    drop = (seeds - halves)[known].mean()
    if drop > 0:
        return f"{sentence}; other images take {drop:.2f} more from it, on average over k."
    return f"{sentence}; other images take no more from it, on average over k."
