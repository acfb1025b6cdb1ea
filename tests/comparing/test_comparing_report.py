"""Sentences about a comparison, for any answers."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from test_answers import A, B, made

from helpers.comparing.answers import Comparison, moves
from helpers.comparing.report import (
    answers_table,
    choice_words,
    different_images_sentence,
    failures_table,
    moves_sentence,
    moves_table,
    survival_sentence,
)


def compared(named, n_failed=0):
    """Make a comparison whose combinations name some k."""
    answered = [made({"seed": str(i)}, k, A) for i, k in enumerate(named)]
    return Comparison(answered, [(made({"seed": f"f{i}"}, 2, A)[0], "It failed.") for i in range(n_failed)])


@pytest.mark.parametrize(
    ("named", "n_failed", "sentence"),
    [
        ([2, 2, 2], 0, "All 3 combinations of seed name k = 2: the answer survives these choices."),
        ([None, None], 0, "Both combinations of seed name no k: that survives these choices."),
        (
            [2, 2],
            1,
            "Both combinations of seed (1 more could not be computed) name k = 2: the answer survives these choices.",
        ),
        (
            [2, 7, 7, None],
            0,
            "The answer does not survive other choices: of 4 combinations of seed, 2 name k = 7, 1 names no k and 1 "
            "names k = 2.",
        ),
        ([5], 0, "The only combination names k = 5: there is nothing to compare it with."),
        ([None], 0, "The only combination names no k: there is nothing to compare it with."),
        ([], 3, "None of the 3 combinations could be computed, so there is no answer to compare."),
        ([], 1, "The only combination could not be computed, so there is no answer to compare."),
    ],
)
def test_survival(named, n_failed, sentence):
    assert survival_sentence(compared(named, n_failed)) == sentence


def test_where_no_valley_can_be_measured_nothing_is_said_to_survive():
    unknown = [(choice, rows, replace(answer, valley=np.nan)) for choice, rows, answer in compared([None] * 2).answered]
    said = survival_sentence(Comparison(unknown, []))
    assert said == "In neither of the combinations can a valley be measured, so they say nothing about k."


def moved(**agreements):
    """Make a table of moves."""
    rows = {name: {"pairs": 3, "same_answer": 1 / 3, "agreement": value} for name, value in agreements.items()}
    return pd.DataFrame.from_dict(rows, orient="index", columns=["pairs", "same_answer", "agreement"])


@pytest.mark.parametrize(
    ("table", "words"),
    [
        (moved(), "No two combinations differ in one choice alone"),
        (moved(dataset=np.nan), "of different images, so their clusters cannot be compared"),
        (moved(normalize=1.0, random_state=0.999), "None of these choices moves the clusters."),
        (moved(normalize=-0.012), "most is the scaling: two combinations that differ in it alone agree by an adjusted "
                                  "Rand index of −0.01 on average, and have the same answer in 33% of the pairs."),
        (moved(normalize=0.2, random_state=0.9), "; what moves them least is the seed (0.90)."),
        (moved(normalize=0.2, random_state=0.203), "; the other choices move them as much."),
        (moved(k_max=0.2), "most is k_max:"),
    ],
)  # fmt: skip
def test_what_moves_the_clusters_most(table, words):
    assert words in moves_sentence(table)


def test_the_sentence_and_the_table_are_of_one_comparison():
    comparison = Comparison(
        [made({"normalize": n}, k, labels) for n, k, labels in (("none", 2, A), ("unit", 3, B))], []
    )
    table = moves_table(moves(comparison))
    assert table.columns.tolist() == ["pairs", "same answer", "agreement of the clusters"]
    assert "same answer in 0% of the pairs" in moves_sentence(moves(comparison))


def test_combinations_of_different_images_are_told():
    same = [made({}, 2, A), made({}, 2, B)]
    assert different_images_sentence(Comparison(same, [])) == "" == different_images_sentence(Comparison([], []))
    other = made({}, 2, A, images=range(5, 35))
    assert "on those that both have" in different_images_sentence(Comparison([*same, other], []))


def test_tables_show_what_was_named_and_what_failed():
    table = answers_table(compared([None, 3], 1))
    assert table["k that is named"].tolist() == ["none", "3"] and table["levels"].tolist() == ["none", "3"]
    assert table["shown at k"].tolist() == [2, 3] and table.index.tolist() == [1, 2]
    failed = failures_table(compared([], 1))
    assert failed.to_numpy().tolist() == [["seed = f0", "It failed."]]
    assert answers_table(compared([])).empty


def test_choices_have_words_and_others_their_names():
    assert choice_words("file") == "the file of parameters" and choice_words("n_init") == "n_init"
