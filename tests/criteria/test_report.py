"""Sentences beside the figures say what the numbers say, and are there for any numbers."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from helpers.criteria.report import (
    border_sentence,
    found_again_sentence,
    room_sentence,
    rule_steps,
    seed_sentence,
    strength_sentence,
)
from helpers.criteria.rule import Decision, nearly_deepest

MISSING = float("nan")


def decision(valley, n_clusters, draws):
    return Decision(n_clusters, pd.DataFrame({"valley": valley}), pd.Series(draws))


def by_k(*values):
    return pd.Series(values, index=range(2, 2 + len(values)), dtype=float)


def test_each_k_falls_through_the_rule_where_it_fails():
    start, steps, end = rule_steps(
        decision({2: 0.7, 3: 0.8, 4: 0.9, 5: 0.3, 6: 0.1, 7: MISSING}, 4, {4: 0.95, 3: 0.05})
    )
    assert (start, end) == ("k = 2 to 7", "The answer: k = 4")
    assert [step[1:] for step in steps] == [
        ("k = 2 to 5", "k = 6 and 7"),
        ("k = 3 and 4", "k = 2 and 5: levels"),
        ("k = 4", "k = 3: a level"),
        ("k = 4, in 95%", ""),
    ]


def test_runs_are_of_neighbours_among_the_k_that_were_tried():
    start, steps, _ = rule_steps(decision({2: 0.7, 4: 0.7, 8: 0.9, 16: 0.1, 32: 0.1, 64: 0.3}, 8, {8: 1.0}))
    assert start == "6 values of k from 2 to 64"
    assert [step[1:] for step in steps[:2]] == [
        ("k = 2 to 8 and 64", "k = 16 and 32"),
        ("k = 8", "k = 2, 4 and 64: levels"),
    ]


def test_the_rule_ends_without_a_k_where_none_counts_and_where_the_draws_disagree():
    _, steps, end = rule_steps(decision({2: 0.1, 3: -0.2}, None, {0: 1.0}))
    assert end == "No clear k" and [step[1:] for step in steps] == [("", "k = 2 and 3"), *[("", "")] * 3]
    _, steps, end = rule_steps(decision({2: 0.5, 3: -0.2}, None, {2: 0.6, 0: 0.4}))
    assert end == "No clear k" and steps[-1][1:] == ("", "k = 2, in 60%")


def test_nearly_deepest_keeps_those_of_which_the_rule_names_the_finest():
    assert nearly_deepest(by_k(0.9, 0.8, 0.3, MISSING)) == [2, 3]
    assert nearly_deepest(by_k(MISSING, MISSING)) == []


@pytest.mark.parametrize(
    ("score", "words"),
    [
        (
            [0.2, 0.3],
            "at k = 3 the floor is 0.100, the score 0.300, and the ceiling 0.500, so the score is 50% of the way up.",
        ),
        ([-0.1, 0.05], "at k = 3 the floor is 0.100, the score 0.050, and the ceiling 0.500; the score is not above"),
    ],
)
def test_a_score_in_its_room(score, words):
    table = pd.DataFrame({"score": [MISSING, *score], "null_score_high": 0.1, "ceiling": 0.5}, index=[1, 2, 3])
    assert words in room_sentence("These images", table)


@pytest.mark.parametrize(
    ("valley", "words"),
    [
        (MISSING, "Too few links"),
        (1.0, "by no links .*: it runs through a valley"),
        (0.4, "by 40% fewer links .*: it runs through a valley"),
        (0.1, "by 10% fewer .*: hardly emptier"),
        (0.0, "by as many .*: no emptier"),
        (-0.5, "by 50% more .*: no emptier"),
    ],
)
def test_a_border_in_words(valley, words):
    assert pd.Series(border_sentence(valley)).str.contains(words).all()


def test_halves_of_images_and_of_a_cloud_are_compared():
    assert "at least as well" in found_again_sentence(by_k(0.8, 0.5), by_k(0.9, 0.5))
    assert "nearly as well" in found_again_sentence(by_k(0.8, 0.5), by_k(0.75, 0.5))
    assert "agree better" in found_again_sentence(by_k(0.8, MISSING), by_k(0.6, 0.5))
    assert "(\N{MINUS SIGN}0.20)" in found_again_sentence(by_k(-0.2, MISSING), by_k(0.7, 0.5))
    assert "too small" in found_again_sentence(by_k(MISSING, MISSING), by_k(0.7, 0.5))


def test_prediction_strength_is_said_up_to_its_last_k():
    sentence = strength_sentence(by_k(0.9, 0.85, 0.3), by_k(0.5, 0.4, 0.3))
    assert "for the images up to k = 3, and for the cloud at no k" in sentence
    assert "for the images at no k" in strength_sentence(by_k(np.nan), by_k(1.0))


def test_seeds_are_compared_with_halves():
    assert "other images take 0.30 more" in seed_sentence(by_k(1.0, 0.8), by_k(0.7, 0.5))
    assert "take no more" in seed_sentence(by_k(0.5, 0.5), by_k(0.7, 0.5))
    assert seed_sentence(by_k(0.5, 0.5), by_k(np.nan, np.nan)).endswith("the same at every k (0.50).")
