"""The criteria and the verdict, on tables and curves whose answer is known."""

from __future__ import annotations

import re
import warnings

import numpy as np
import pandas as pd
import pytest
from sklearn.datasets import make_blobs

from helpers.clustering.silhouette import silhouette_samples, silhouette_table
from helpers.clustering.sweep import KMeansSweep, sweep_kmeans
from helpers.criteria.curves import (
    chord_sentence,
    chord_table,
    elbow_by_k_max,
    elbow_by_k_min,
    elbow_sentence,
    extreme_k,
    find_elbow,
    k_ranges,
    links_words,
    score_identity,
    score_pairs,
    score_steps,
    step_sentence,
)
from helpers.criteria.halves import LinkValleys, Stability
from helpers.criteria.table import CRITERIA, DEEP, STRONG, compare_criteria, named_k
from helpers.criteria.verdict import verdict

K = list(range(2, 11))


def study(X, k_values=range(2, 9)):
    """The criteria of some points."""
    sweep = sweep_kmeans(X, k_values, n_init=4)
    return compare_criteria(sweep, silhouette_table(silhouette_samples(X, sweep.labels), sweep.labels))


BLOBS = study(make_blobs(300, n_features=4, centers=[[0] * 4, [10] * 4, [-10, 10, -10, 10]], random_state=0)[0])
K_TABLE = BLOBS.index.to_numpy()
NOISE = study(np.random.default_rng(0).uniform(size=(400, 30)))


@pytest.mark.parametrize(
    ("inertia", "elbow"),
    [
        ([100, 60, 20, 18, 16, 14, 12, 10, 8], 4),
        ([100, 20, 18, 16, 14, 12, 10, 8, 6], 3),
        (np.linspace(100, 20, 9), None),
        (np.full(9, 5.0), None),
    ],
    ids=["at 4", "at 3", "straight", "constant"],
)
def test_elbow(inertia, elbow):
    assert find_elbow(K, inertia) == elbow


def test_three_points_are_no_curve():
    assert find_elbow([2, 3, 4], [100, 10, 9]) is None


def test_elbow_at_the_first_k_is_not_lost():
    assert find_elbow([0, 1, 2, 3, 4], [100, 10, 8, 6, 4]) == 1


def test_an_elbow_that_moves_is_reported_as_moving():
    inertia = 1000 / np.arange(2, 31)
    elbows = elbow_by_k_max(list(range(2, 31)), inertia)
    assert elbows.iloc[-1] > elbows.dropna().iloc[0]
    assert f"between {elbows.min()} and {elbows.max()}" in elbow_sentence(elbows)
    assert elbow_sentence(elbow_by_k_max(K, [100, 60, 20, 18, 16, 14, 12, 10, 8])).endswith("to 10.")
    straight = elbow_by_k_max(K, np.linspace(9, 1, 9))
    assert elbow_sentence(straight) == "With k up to 10 the inertia curve has no elbow."
    assert elbow_sentence(pd.Series([4, None], index=[9, 10], dtype="Int64")) == (
        "With k up to 10 the inertia curve has no elbow, and with fewer k it has one, at k = 4."
    )
    for few in ([2], [2, 3], [2, 3, 4]):
        assert elbow_sentence(elbow_by_k_max(few, [float(10 - k) for k in few])) == (
            "With fewer than 4 values of k there is no curve in which an elbow could be found."
        )


def test_the_first_k_moves_an_elbow_too():
    """Of 1 / k it is the geometric mean of the ends, wherever one begins."""
    k_values = list(range(2, 19))
    by_k_min = elbow_by_k_min(k_values, [1 / k for k in k_values])
    assert by_k_min.index.tolist() == list(range(2, 16))
    assert by_k_min[2] == find_elbow(k_values, [1 / k for k in k_values]) == 6 and by_k_min[8] == 12
    by_k_max = elbow_by_k_max(k_values, [1 / k for k in k_values])
    sentence = elbow_sentence(by_k_max, by_k_min)
    assert f"with another first k it is between {by_k_min.min()} and {by_k_min.max()}" in sentence
    assert "with another last k" in sentence


def test_an_elbow_that_stays_is_said_to_stay():
    inertia = [90, 80, 70, 60, 50, 49, 48, 47, 46]
    sentence = elbow_sentence(elbow_by_k_max(K, inertia), elbow_by_k_min(K, inertia))
    assert (
        sentence == "The elbow of the inertia is at k = 6, for every last k at which there is one, from 8 to 10 "
        "and for every first k at which there is one, from 2 to 5."
    )
    assert len(elbow_by_k_min([2, 3], [2.0, 1.0])) == 0
    alone = [2, 3, 4, 5], [100, 30, 20, 10]
    assert elbow_sentence(elbow_by_k_max(*alone), elbow_by_k_min(*alone)) == "The elbow of the inertia is at k = 3."


def test_the_distance_below_the_chord_is_zero_at_both_ends_and_on_a_straight_line():
    below = chord_table(K, [100, 60, 20, 18, 16, 14, 12, 10, 8])["below"]
    assert below.iloc[[0, -1]].tolist() == [0, 0] and below.idxmax() == 4
    assert below[4] == pytest.approx((100 - 92 * 2 / 8 - 20) / 92)
    np.testing.assert_allclose(chord_table(K, np.linspace(100, 20, 9))["below"], 0, atol=1e-12)
    assert not chord_table(K, np.full(9, 5.0))["below"].any() and not chord_table([5], [3.0])["below"].any()


def test_runs_of_k_in_words():
    assert k_ranges([2]) == "k = 2" and k_ranges([2, 3]) == "k = 2 and 3"
    assert k_ranges([2, 4, 5, 6, 9]) == "k = 2, 4 to 6 and 9"


def test_links_across_a_border_in_words():
    assert links_words(0.995, "it") == "over 99% fewer links between neighbours than it"
    assert links_words(-0.64, "it") == "64% more links between neighbours than it"
    assert links_words(0.004, "it") == links_words(-0.004, "it") == "nearly as many links between neighbours as it"


def test_it_is_said_how_sharp_an_elbow_is():
    below = chord_table(K, [100, 60, 20, 18, 16, 14, 12, 10, 8])["below"]
    assert chord_sentence(below, 4) == (
        "At the elbow, k = 4, the curve is 62% of its whole fall below the line; "
        "no other k reaches nine tenths of that: the elbow is sharp."
    )
    blunt = chord_table(K, [100, 60, 34, 23, 16, 14, 12, 10, 8])["below"]
    assert "nine tenths of that are reached at k = 5, too: the elbow is blunt" in chord_sentence(blunt, 4)
    assert chord_sentence(below, None).startswith("Kneedle names no elbow here")
    assert chord_sentence(below[:3], None).startswith("With fewer than 4 values of k")


@pytest.mark.parametrize("table", [BLOBS, NOISE], ids=["blobs", "noise"])
def test_identity_of_the_score(table):
    identity = score_identity(table)
    np.testing.assert_allclose(identity["gain"] - identity["loss"], table["score"], atol=1e-14)
    assert (identity[["gain", "loss"]] >= 0).all(axis=None)


@pytest.mark.parametrize("table", [BLOBS, NOISE], ids=["blobs", "noise"])
def test_steps_add_up_to_the_change(table):
    steps = score_steps(table)
    terms = steps[["share_positive", "size_positive", "share_negative", "size_negative"]].sum(axis=1)
    np.testing.assert_allclose(terms, np.diff(table["score"]), atol=1e-14)
    opposed = np.sign(np.diff(table["score"])) * np.sign(np.diff(table["positive"])) == -1
    np.testing.assert_array_equal(steps["disagree"], opposed)


def test_a_step_names_the_term_behind_it():
    table = pd.DataFrame(
        {
            "score": [0.32, 0.17],
            "positive": [0.6, 0.9],
            "negative": [0.4, 0.1],
            "mean_positive": [0.6, 0.2],
            "mean_negative": [-0.1, -0.1],
        },
        index=pd.Index([2, 3], name="n_clusters"),
    )
    step = score_steps(table).loc[(2, 3)]
    assert step["disagree"] and step["because"] == "how positive the positive samples are"
    assert step["size_positive"] == pytest.approx(-0.3)


@pytest.mark.parametrize("table", [BLOBS, NOISE], ids=["blobs", "noise"])
def test_pairs_are_all_pairs_and_hold_the_steps(table):
    pairs = score_pairs(table)
    assert pairs.index.tolist() == [(a, b) for a in table.index for b in table.index if a < b]
    pd.testing.assert_frame_equal(pairs.loc[score_steps(table).index], score_steps(table))
    terms = pairs[["share_positive", "size_positive", "share_negative", "size_negative"]].sum(axis=1)
    np.testing.assert_allclose(terms, pairs["score"], atol=1e-14)
    assert pairs.loc[(2, 8), "score"] == pytest.approx(table.loc[8, "score"] - table.loc[2, "score"])


def test_pairs_disagree_where_no_step_does():
    """Lower score and more positive samples: a reader compares any two k, not neighbours alone."""
    table = table_with([0.30, 0.20, 0.25], [0.3, 0.2, 0.25]).assign(positive=[0.7, 0.5, 0.75])
    assert not score_steps(table)["disagree"].any()
    assert score_pairs(table)["disagree"].to_dict() == {(2, 3): False, (2, 4): True, (3, 4): False}
    assert "of all 3 pairs of k, near or far, the two disagree in 1" in said(table)["disagreement"]


def test_criteria_side_by_side():
    assert BLOBS.index.tolist() == list(range(2, 9))
    assert {"inertia", "score", "macro", "positive", "negative"} <= set(BLOBS.columns)
    sweep = KMeansSweep(np.array([3, 2]), np.array([[0, 1, 2, 0], [0, 1, 1, 0]]), np.array([1.0, 2.0]), [], "lloyd")
    table = silhouette_table(np.zeros((2, 4)), sweep.labels)
    assert compare_criteria(sweep, table)["inertia"].to_dict() == {3: 1.0, 2: 2.0}


def flat(table):
    """Valleys that say nothing about any k of a table."""
    return LinkValleys(table.index.to_numpy(), np.zeros((2, len(table))), np.full((2, len(table)), 10.0))


def said(table):
    """The sentences about a table, whatever its valleys."""
    return verdict(table, flat(table)).sentences


def table_with(score, macro, error=0.01):
    """A made-up table with given scores and means over clusters."""
    n = len(score)
    table = {"inertia": 100 / np.arange(2, n + 2), "score": score, "macro": macro, "positive": 0.9, "negative": 0.1}
    table |= {"standard_error": error, "macro_error": error, "mean_positive": 0.5, "mean_negative": -0.1}
    return pd.DataFrame(table, index=pd.Index(range(2, n + 2), name="n_clusters"))


@pytest.mark.parametrize("n", [1, 2, 3])
def test_a_table_of_few_k_has_its_sentences(n):
    table = table_with([0.6, 0.5, 0.4][:n], [0.6, 0.5, 0.4][:n])
    decision = verdict(table, flat(table))
    assert decision.preferred["elbow"] is None and decision.n_clusters is None and decision.convenience == 2
    assert all(sentence.endswith(".") for sentence in decision.sentences.values())
    assert (" pairs" in decision.sentences["disagreement"]) == (n == 3)


# --- how each criterion names a k -------------------------------------------------------------------------------------


def named(name, *values, **columns):
    """The k that a criterion names for values of its column at k = 2, 3 and so on."""
    table = table_with([0.3, 0.5, 0.4, 0.2][: len(values)], 0.3)
    return named_k(table.assign(**{CRITERIA[name].column: values}, **columns))[name]


@pytest.mark.parametrize(
    ("name", "values", "k"),
    [
        ("valley", [0.3, 0.6, 0.55], 3),
        ("valley", [DEEP, 0.1], 2),
        ("valley", [DEEP - 1e-9, 0.1], None),
        ("valley", [np.nan, 0.3], 3),
        ("valley", [np.nan, np.nan], None),
        ("prediction_strength", [0.95, 0.85, 0.5], 3),
        ("prediction_strength", [0.95, 0.5, STRONG], 4),
        ("prediction_strength", [0.79, 0.5, np.nan], 1),
        ("prediction_strength", [np.nan, np.nan], None),
        ("stability", [0.5, 0.9, 0.8], 3),
        ("stability", [np.nan, 0.1], 3),
        ("stability", [np.nan, np.nan], None),
        ("davies_bouldin", [0.5, 0.4, 0.6], 3),
        ("davies_bouldin", [np.nan, np.nan], None),
    ],
)
def test_each_criterion_names_a_k_by_its_own_rule(name, values, k):
    assert named(name, *values) == k


def test_a_score_within_the_range_of_its_null_names_none():
    """The scores are 0.3, 0.5 and 0.4."""
    assert named("score_beyond_null", 0.2, 0.45, 0.1, null_score_high=0.35) == 4
    assert named("score_beyond_null", 0.2, 0.45, 0.1, null_score_high=[0.2, 0.45, 0.41]) is None


def test_a_criterion_whose_column_is_not_there_is_silent():
    assert set(named_k(table_with([0.3, 0.5], [0.3, 0.5]))) == {"elbow", "score", "macro", "positive"}
    assert {"prediction_strength", "valley"} <= set(CRITERIA)


def test_valleys_and_stability_are_columns():
    valleys = LinkValleys(K_TABLE, np.full((2, 7), 0.5), np.full((2, 7), 10.0))
    stable = Stability(K_TABLE, np.tile(np.linspace(0.9, 0.3, 7), (2, 1)), np.full((2, 7), 0.85))
    sweep = KMeansSweep(K_TABLE, np.zeros((7, 300), int), np.zeros(7), [], "lloyd")
    table = compare_criteria(sweep, BLOBS.drop(columns="inertia"), valleys=valleys, stable=stable)
    assert (table["valley"] == 0.5).all() and (table["valley_spread"] == 0).all() and (table["links"] == 10).all()
    assert table["stability"].tolist() == pytest.approx(np.linspace(0.9, 0.3, 7))
    assert (table["spread"] == 0).all() and (table["strength"] == 0.85).all()
    assert named_k(table)["prediction_strength"] == 8 and named_k(table)["stability"] == 2


# --- curves and sentences ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("inertia", "elbow"),
    [
        ([90, 80, 70, 60, 50, 49, 48, 47, 46], 6),  # two straight lines that meet at k = 6
        (np.linspace(100, 20, 9) + 1e-9 * np.sin(K), None),
    ],
    ids=["bend", "straight up to rounding"],
)
def test_elbow_without_a_word_of_warning(inertia, elbow):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.simplefilter("ignore", ResourceWarning)  # of what other tests left to the collector
        assert find_elbow(K, inertia) == elbow


@pytest.mark.parametrize(("first", "last", "elbow"), [(2, 8, 4), (3, 12, 6), (2, 18, 6), (4, 16, 8)])
def test_elbow_of_a_hyperbola_is_the_geometric_mean_of_its_ends(first, last, elbow):
    """Scaled to the unit square, 1 / k has the slope -1 where k * k = first * last."""
    k_values = range(first, last + 1)
    assert find_elbow(k_values, [1 / k for k in k_values]) == elbow


def test_elbow_is_not_sought_in_short_curves():
    elbows = elbow_by_k_max(K, [90, 80, 70, 60, 50, 49, 48, 47, 46])
    assert elbows.index.tolist() == [5, 6, 7, 8, 9, 10]
    # Stopping before the bend there is a straight line.
    assert elbows[:2].isna().all() and set(elbows.dropna()) == {6}


def test_a_single_k_has_no_steps():
    assert len(score_steps(BLOBS.loc[[3]])) == 0


def test_preferences_name_the_largest_values_of_the_table():
    for table in (BLOBS, NOISE):
        told = re.findall(
            r"(?:prefers|finds) k = ([\d, and]+?)(?: equally good)? \((-?[\d.]+)\)", said(table)["preferences"]
        )
        assert len(told) == 3
        for column, (ks, value) in zip(("score", "macro", "positive"), told):
            assert list(map(int, re.findall(r"\d+", ks))) == extreme_k(table[column])
            assert value == format(table[column].max(), ".3f")


def test_disagreement_is_told_with_the_largest_step():
    """From 2 to 3 the score rises by 0.05 and the share falls; from 3 to 4 it falls by 0.15 and the share rises."""
    table = table_with([0.30, 0.35, 0.20], [0.3, 0.35, 0.2]).assign(positive=[0.80, 0.70, 0.75])
    sentence = said(table)["disagreement"]
    assert "in 2 of 2 steps" in sentence
    assert "from k = 3 to 4 the score falls by 0.150" in sentence
    assert "rises by 5.0 percentage points" in sentence


def test_agreement_is_told_too():
    table = table_with([0.30, 0.35, 0.20], [0.3, 0.35, 0.2]).assign(positive=[0.7, 0.8, 0.6])
    assert "in the same direction" in said(table)["disagreement"]


def test_the_largest_step_is_told_by_distances_and_by_images():
    """From 2 to 3 nothing disagrees; from 3 to 4 the score falls, and of four images one more is positive."""
    steps = score_steps(table_with([0.2, 0.3, 0.1], 0.3).assign(positive=[0.25, 0.5, 0.75]))
    distances = pd.DataFrame({"a": [4.0, 2.0, 3.0], "b": [4.0, 4.0, 3.0]}, index=[2, 3, 4])
    samples = np.array([[0.1, 0, -1, -1], [0.1, 0.1, -1, -1], [0.1, -0.1, 0.1, 0.1]])
    assert step_sentence(distances, samples, steps) == (
        "From k = 3 to 4, where score and share disagree most, a changes by +50.0% and b by −25.0% on average, and "
        "the score falls; of 4 images 2 become positive and 1 cease to be."
    )
    assert "in the same direction" in step_sentence(distances, samples, steps.loc[[(2, 3)]])


def test_one_step_is_told_without_counts():
    table = table_with([0.30, 0.35], [0.3, 0.35]).assign(positive=[0.80, 0.70])
    assert " in opposite directions in the only step from one k to the next; " in said(table)["disagreement"]


def test_table_is_left_alone():
    before = BLOBS.copy()
    for read in (said, score_identity, score_steps, named_k):
        read(BLOBS)
    pd.testing.assert_frame_equal(BLOBS, before)
