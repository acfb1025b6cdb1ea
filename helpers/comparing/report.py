"""What a comparison says, in sentences and tables of texts."""

from __future__ import annotations

import numpy as np
import pandas as pd

from ..core.conventions import listed, with_minus
from .answers import Comparison
from .combinations import FILE, describe

# Agreements that are nearer to each other than this are told as equal.
_EQUAL = 0.005
_WORDS = {
    FILE: "the file of parameters",
    "dataset": "the images",
    "n_images": "the number of images",
    "backbone": "the network",
    "normalize": "the scaling",
    "n_components": "the number of components",
    "random_state": "the seed",
}


def choice_words(choice: str) -> str:
    """Say in words what was varied.

    Examples
    --------
    >>> choice_words("normalize"), choice_words("k_max")
    ('the scaling', 'k_max')
    """
    return _WORDS.get(choice, choice)


def survival_sentence(comparison: Comparison) -> str:
    """Say whether the answer survives the choices: how many combinations name which k."""
    n, n_failed = len(comparison.answered), len(comparison.failed)
    aside = f" ({n_failed} more could not be computed)" if n and n_failed else ""
    if not n:
        several = f"None of the {n_failed} combinations" if n_failed > 1 else "The only combination"
        return f"{several} could {'' if n_failed > 1 else 'not '}be computed, so there is no answer to compare."
    named = comparison.answers["n_clusters"].fillna(0).astype(int)
    if n == 1:
        only = f"names k = {named[0]}" if named[0] else "names no k"
        return f"The only combination {only}{aside}: there is nothing to compare it with."
    if comparison.answers["valley"].isna().all():
        both = "neither" if n == 2 else f"none of {n}"
        return f"In {both} of the combinations{aside} can a valley be measured, so they say nothing about k."
    counts = named.value_counts().sort_index(ascending=True).sort_values(ascending=False, kind="stable")
    of = f"combinations of {listed(map(choice_words, comparison.choices), ' and ')}{aside}"
    if len(counts) == 1:
        k = counts.index[0]
        answer = f"name k = {k}: the answer survives these choices" if k else "name no k: that survives these choices"
        return f"{'Both' if n == 2 else f'All {n}'} {of} {answer}."
    told = [f"{count} name{'s' * (count == 1)} {f'k = {k}' if k else 'no k'}" for k, count in counts.items()]
    return f"The answer does not survive other choices: of {n} {of}, {listed(told, ' and ')}."


def moves_sentence(moves: pd.DataFrame) -> str:
    """Say which choice moves the clusters most, and which least.

    Parameters
    ----------
    moves : DataFrame
        From `helpers.comparing.answers.moves`.
    """
    known = moves.dropna(subset="agreement")
    if moves.empty:
        return "No two combinations differ in one choice alone, so what moves the clusters cannot be told."
    if known.empty:
        return "The combinations are of different images, so their clusters cannot be compared."
    if known["agreement"].min() > 1 - _EQUAL:
        return "None of these choices moves the clusters."
    most, least = known.iloc[0], known.iloc[-1]
    sentence = (
        f"What moves the clusters most is {choice_words(str(most.name))}: two combinations that differ in it alone "
        f"agree by an adjusted Rand index of {_number(most['agreement'])} on average, and have the same answer in "
        f"{most['same_answer']:.0%} of the pairs"
    )
    if len(known) == 1:
        return f"{sentence}."
    if least["agreement"] - most["agreement"] < _EQUAL:
        return f"{sentence}; the other choices move them as much."
    return f"{sentence}; what moves them least is {choice_words(str(least.name))} ({_number(least['agreement'])})."


def different_images_sentence(comparison: Comparison) -> str:
    """Say on which images clusters are compared; empty where all combinations have the same."""
    ids = [rows.images for _, rows, _ in comparison.answered]
    if all(np.array_equal(ids[0], other) for other in ids[1:]):
        return ""
    return (
        "Not all combinations have the same images: two clusterings are compared on those that both have, and not at "
        "all where there are too few of these."
    )


def moves_table(moves: pd.DataFrame) -> pd.DataFrame:
    """Head the columns of `helpers.comparing.answers.moves` in words, with the name of each choice as it is typed."""
    names = {"pairs": "pairs", "same_answer": "same answer", "agreement": "agreement of the clusters"}
    return moves.rename(columns=names).rename_axis("what is varied")


def answers_table(comparison: Comparison) -> pd.DataFrame:
    """Tabulate the combinations with their answers in words, in the order of their answers."""
    answers, choices = comparison.answers, comparison.choices
    told = pd.DataFrame(
        {
            "k that is named": ["none" if pd.isna(k) else str(k) for k in answers["n_clusters"]],
            "levels": [", ".join(map(str, levels)) or "none" for levels in answers["levels"]],
            "shown at k": answers["convenience"].astype(int),
            **{name: answers[name].astype(float) for name in ("score", "valley", "positive", "seconds")},
        }
    )
    return choices.join(told, how="right").set_axis(pd.RangeIndex(1, len(told) + 1), axis=0)


def failures_table(comparison: Comparison) -> pd.DataFrame:
    """Tabulate the combinations that could not be computed, with the sentence that says why."""
    rows = [(describe(combination.choices), sentence) for combination, sentence in comparison.failed]
    return pd.DataFrame(rows, columns=["combination", "why it has no answer"])


def _number(value: float) -> str:
    return with_minus(f"{value:z.2f}")
