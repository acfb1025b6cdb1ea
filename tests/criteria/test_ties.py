"""Sentences about extremes and directions are true of ties: of groups far apart, of equal rows, of two images."""

from __future__ import annotations

import re

import numpy as np
import pandas as pd
import pytest

from helpers.clustering.silhouette import silhouette_samples, silhouette_table
from helpers.clustering.sweep import KMeansSweep
from helpers.criteria.curves import (
    agreement_words,
    cluster_sentence,
    extreme_k,
    extreme_words,
    k_words,
    near_best_sentence,
    preference_words,
    range_words,
    score_steps,
    signs_sentence,
    step_sentence,
    telling_cluster,
    telling_step,
)
from helpers.criteria.halves import LinkValleys
from helpers.criteria.table import compare_criteria, equal_k, named_k, validity_indices
from helpers.criteria.verdict import answers_sentence, verdict


def table_of(X, labels):
    """The criteria of given clusterings of some points."""
    k_values = np.array([len(set(row)) for row in labels])
    sweep = KMeansSweep(k_values, labels, np.zeros(len(labels)), [], "lloyd")
    samples = silhouette_samples(X, labels)
    table = compare_criteria(sweep, silhouette_table(samples, labels), indices=validity_indices(X, labels))
    return table.assign(inertia=0.0, stability=1.0)


def valleys_of(table, valley):
    return LinkValleys(table.index.to_numpy(), np.tile(valley, (4, 1)), np.full((4, len(table)), 100.0))


FAR = np.repeat([[0.0, 0], [1e3, 0], [0, 1e3], [1e3, 1e3]], 6, axis=0) + np.random.default_rng(0).normal(size=(24, 2))
GROUPS = np.arange(24) // 6
TWO = np.repeat([[0.0, 1.0], [1.0, 0.0]], 5, axis=0)
# Each with clusterings, and the k at which each of score, macro and share of positive samples is largest.
CASES = {
    "far apart": (FAR, np.stack([GROUPS // 2, GROUPS.clip(max=2), GROUPS]), [[4], [4], [2, 3, 4]]),
    "two images": (TWO, (np.arange(10) // 5)[np.newaxis], [[2], [2], [2]]),
    "two images, three clusters": (
        TWO,
        np.stack([np.arange(10) // 5, (np.arange(10) // 5) * 2 - (np.arange(10) == 9)]),
        None,
    ),
    "equal rows": (np.ones((8, 2)), np.stack([np.arange(8) % k for k in (2, 3, 4)]), [[2, 3, 4]] * 3),
}


@pytest.fixture(params=CASES, name="case")
def _case(request):
    X, labels, best = CASES[request.param]
    return table_of(X, labels), best


def test_the_best_k_are_all_that_are_best(case):
    table, best = case
    if best is not None:
        assert [equal_k(table)[name] for name in ("score", "macro", "positive")] == best
    for name, ks in equal_k(table).items():
        k = named_k(table)[name]
        assert (k in ks) if k is not None else ks == []


def test_every_sentence_about_an_extreme_names_all_of_them(case):
    table, _ = case
    sentences = verdict(table, valleys_of(table, [0.5] * len(table))).sentences
    words = re.split(r"\), (?:and )?", sentences["preferences"].partition(" A criterion that")[0])
    for told, column in zip(words, ("score", "macro", "positive")):
        ks = [int(k) for k in table.index if np.isclose(table[column].max(), table.loc[k, column], rtol=1e-9)]
        assert (" prefers " in told) == (len(ks) == 1)
        assert ("every k" in told) == (1 < len(ks) == len(table))
        assert "every k" in told or [int(k) for k in re.findall(r"\d+", told.split("(")[0])] == ks
    assert ("every k" in sentences["stability"]) == (len(table) > 1)
    assert ("the same at every k" in sentences["strength"]) == ("score finds every k" in sentences["preferences"])


def test_a_direction_is_only_told_of_what_moves(case):
    table, _ = case
    steps = score_steps(table)
    told = [verdict(table, valleys_of(table, [0.5] * len(table))).sentences["disagreement"]]
    told.append(step_sentence(pd.DataFrame({"a": 1.0, "b": 2.0}, index=table.index), np.ones((len(table), 4)), steps))
    for sentence in told:
        assert ("From each k to the next" in sentence) == (len(steps) > 0 and steps["agree"].all())
        assert ("do not move" in sentence) == (
            len(steps) > 0 and not steps["disagree"].any() and not steps["agree"].all()
        )


def test_steps_that_stay_neither_agree_nor_disagree():
    """The score rises, stays but for rounding, and rises; the share stays, rises, and rises."""
    table = pd.DataFrame(
        {"score": [0.1, 0.2, 0.2 + 1e-16, 0.3], "positive": [0.5, 0.5, 0.6, 0.7], "negative": 0.0, "mean_positive": 0.4,
         "mean_negative": 0.0}, index=[2, 3, 4, 5],
    )  # fmt: skip
    steps = score_steps(table)
    assert steps["agree"].tolist() == [False, False, True] and not steps["disagree"].any()
    assert steps["because"].tolist()[1] == "nothing"
    assert "in 2 of 3 steps one of them or both do not move" in agreement_words(steps)
    assert "move in the same direction" in agreement_words(steps[2:])


def test_the_emptiest_borders_may_be_those_of_several_k():
    table = table_of(*CASES["far apart"][:2])
    named = verdict(table, valleys_of(table, [1.0, 1.0, 0.1])).sentences["conclusion"]
    assert named.startswith("The answer is k = 3") and "no finer clusters have borders nearly as empty" in named
    none = verdict(table, valleys_of(table, [0.1, 0.1, 0.0])).sentences["conclusion"]
    assert "the emptiest, at k = 2 and 3, are crossed" in none


def test_a_criterion_that_finds_several_k_equally_good_names_none_of_them():
    table = pd.DataFrame(
        {"inertia": [4.0, 3.0, 2.0], "score": [0.1, 0.3, 0.2], "macro": [0.1, 0.3, 0.2], "positive": 1.0},
        index=pd.Index([2, 3, 4], name="n_clusters"),
    )
    assert answers_sentence(table, None) == (
        "About your images all criteria that name one k name k = 3; 1 of 5 find several k equally good."
    )
    assert "name 2 different k, from 3 to 4;" in answers_sentence(table, 4)
    assert answers_sentence(table.assign(score=1.0, macro=1.0), None).startswith("About your images no criterion names")


@pytest.mark.parametrize(
    ("values", "largest", "preferred", "between"),
    [
        ([0.1, 0.3, 0.2], "largest at k = 3", "prefers k = 3", "smallest at k = 2 (10%) and largest at k = 3 (30%)"),
        ([0.3, 0.1, 0.3], "largest at k = 2 and 4 alike", "finds k = 2 and 4 equally good", None),
        ([0.3, 0.3 + 1e-13, 0.3], "the same at every k", "finds every k equally good", "the same at every k (30%)"),
        ([np.nan, 0.3, np.nan], "known at k = 3 only", "prefers k = 3", "known at k = 3 only (30%)"),
        (
            [-0.0, 0.3, -0.2],
            "largest at k = 3",
            "prefers k = 3",
            "smallest at k = 4 (\N{MINUS SIGN}20%) and largest at k = 3 (30%)",
        ),
        (
            [-0.0, -0.0, 0.3],
            "largest at k = 4",
            "prefers k = 4",
            "smallest at k = 2 and 3 alike (0%) and largest at k = 4 (30%)",
        ),
        ([0.3, np.nan, 0.3], "largest at k = 2 and 4 alike", "finds k = 2 and 4 equally good", None),
    ],
)
def test_extremes_in_words(values, largest, preferred, between):
    values = pd.Series(values, index=[2, 3, 4])
    assert (extreme_words(values), preference_words(values)) == (largest, preferred)
    assert between in (None, range_words(values, ".0%"))
    assert (k_words(values) == "every k") == (extreme_k(values) == [2, 3, 4])


@pytest.mark.parametrize(
    ("score", "error", "sentence"),
    [
        ([0.9, 0.5, 0.8], 0.1, "that at k = 2; within two standard errors of it is the score at k = 4."),
        ([0.9, 0.8, 0.8], 0.1, "that at k = 2; within two standard errors of it are the scores at k = 3 and 4."),
        ([0.9, 0.5, 0.9], 0.1, "that at k = 2 and 4 alike; no other is within two standard errors of it."),
        ([0.9, 0.9, 0.9], 0.0, "The scores are the same at every k."),
        ([0.9], 0.0, "One k was tried, so there is no other score to compare with."),
    ],
)  # fmt: skip
def test_scores_near_the_largest_are_named(score, error, sentence):
    index = [2, 3, 4][: len(score)]
    assert near_best_sentence(pd.Series(score, index), pd.Series(error, index)).endswith(sentence)


def test_the_telling_step_disagrees_if_one_does():
    table = pd.DataFrame(
        {"score": [0.1, 0.4, 0.3, 0.25], "positive": [0.5, 0.6, 0.7, 0.8], "negative": 0.0, "mean_positive": 0.4,
         "mean_negative": 0.0}, index=[2, 3, 4, 5],
    )  # fmt: skip
    steps = score_steps(table)
    assert telling_step(steps) == (3, 4)
    assert telling_step(steps.assign(disagree=False)) == (2, 3)
    assert telling_step(steps[:0]) is None


def test_the_cluster_that_moves_the_score_is_followed():
    """Of four images in cluster 0 two get a cluster of their own, and each half becomes the rival of the other."""
    before, after = np.array([0, 0, 0, 0, 1, 1]), np.array([0, 0, 2, 2, 1, 1])
    change = np.array([-0.3, -0.3, 0.0, 0.0, 0.0, 0.12])
    assert telling_cluster(before, change) == 0 and telling_cluster(before, -change) == 0
    assert telling_cluster(before, np.zeros(6)) in (0, 1)
    told = cluster_sentence((2, 3), np.stack([before, after]), change, np.array([2, 2, 0, 1, 0, 0]))
    assert told == (
        "From k = 2 to 3, the images of one cluster alone (4 in cluster 0 at k = 2) change the score by "
        "\N{MINUS SIGN}0.1000, and all together by \N{MINUS SIGN}0.0800; "
        "50% of them go to cluster 0 and 50% to cluster 2, and for 75% "
        "of them one of these two is now the rival of the other."
    )
    whole = cluster_sentence((2, 3), np.stack([before, before]), change, np.array([1, 1, 1, 1, 0, 0]))
    assert whole.endswith("; all of them stay together.")


@pytest.mark.parametrize(
    ("positive", "words"), [([0.9, 0.9], "at no k"), ([0.9, 0.4], "at 1 of 2 k"), ([0.4, 0.5], "at every k")]
)
def test_signs_are_compared_with_those_of_data_without_clusters(positive, words):
    table = pd.DataFrame({"positive": positive, "negative": [0.1, 0.1]}, index=pd.Index([2, 3], name="n_clusters"))
    index = pd.MultiIndex.from_product([["uniform", "gaussian"], [2, 3]], names=["kind", "n_clusters"])
    nulls = pd.DataFrame({"positive_high": [0.5, 0.3, 0.2, 0.5]}, index=index)
    assert signs_sentence(table, nulls).endswith(f"or more, {words}.")
