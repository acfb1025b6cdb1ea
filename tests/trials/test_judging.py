"""Judging, on answers made up, and the stored trials."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest

from helpers.criteria.halves import N_HALVINGS
from helpers.criteria.rule import decide
from helpers.criteria.table import CRITERIA
from helpers.study import N_REFERENCES
from helpers.trials.asking import BEST, FORCED, K_VALUES, answer_problem, study_problem
from helpers.trials.collections import COLLECTIONS
from helpers.trials.judging import (
    LABELS,
    RESULTS,
    Trials,
    clouds_sentence,
    compare_answers,
    intervals,
    judge_answers,
    mean_by_family,
    networks_sentence,
    part,
    read_clouds,
    read_constants,
    read_networks,
    read_trials,
    rights_by_kind,
    summarise_answers,
    summarise_networks,
    trial_sentences,
    worst_answer,
)
from helpers.trials.problems import PROBLEMS

ANSWERS = [*LABELS, FORCED, BEST]
HERE = [
    problem for problem in PROBLEMS.values() if problem.family not in COLLECTIONS and "copies" not in problem.family
]
PHOTOGRAPHS = [name for name in PROBLEMS if PROBLEMS[name].needs in COLLECTIONS]


# --- the stored trials ------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def trials():
    """The trials that are kept with the book."""
    return read_trials()


def test_the_file_holds_every_answer_once_and_is_small(trials):
    assert sum(path.stat().st_size for path in RESULTS.glob("trials.*")) < 700_000
    asked = trials.answers.groupby(["problem", "random_state"], sort=False)["criterion"].apply(list)
    assert all(sorted(criteria) == sorted(ANSWERS) for criteria in asked)
    seeds = trials.provenance["settings"]["random_states"]
    expected = [(name, seed) for name in trials.problems.index for seed in seeds if not (seed and PROBLEMS[name].needs)]
    assert sorted(asked.index) == sorted(expected)
    assert {problem.name for problem in HERE} | set(PHOTOGRAPHS) == set(trials.problems.index)


def test_the_file_describes_the_problems_as_they_are(trials):
    for name, row in trials.problems.iterrows():
        problem = PROBLEMS[name]
        known = None if pd.isna(row["n_clusters"]) else row["n_clusters"]
        assert (row["family"], row["role"], known) == (problem.family, problem.role, problem.n_clusters)
        assert row["photographs"] == (problem.family in COLLECTIONS)


def test_the_provenance_names_versions_and_settings(trials):
    assert {"python", "numpy", "scipy", "scikit-learn", "kneed"} <= set(trials.provenance["versions"])
    settings = trials.provenance["settings"]
    assert settings["k_values"] == [min(K_VALUES), max(K_VALUES)]
    assert (settings["n_references"], settings["n_halvings"]) == (N_REFERENCES, N_HALVINGS)
    assert trials.provenance["command"].startswith("python -m makers.trials")


@pytest.mark.parametrize("name", ["iris", "two parallel", "uniform square"])
def test_the_file_agrees_with_a_recomputation(name, trials, tmp_path):
    computed = answer_problem(PROBLEMS[name], 0, cache_dir=tmp_path).set_index("criterion")
    stored = trials.answers[(trials.answers["problem"] == name) & (trials.answers["random_state"] == 0)]
    stored = stored.set_index("criterion")
    pd.testing.assert_series_equal(computed["k"], stored["k"])
    np.testing.assert_allclose(computed["ami"], stored["ami"], atol=6e-5)
    assert computed["levels"].tolist() == stored["levels"].tolist()


def test_the_failure_that_is_shown_is_the_one_that_others_did_not_have(trials):
    judged = judge_answers(trials)
    for criterion in CRITERIA:
        worst = worst_answer(judged, criterion)
        assert worst["criterion"] == criterion and worst["d"] <= 5 and worst["loss"] >= 0
        assert not PROBLEMS[worst["problem"]].real and worst["k"] > 1


def test_the_json_is_plain(trials):
    text = (RESULTS / "trials.json").read_text(encoding="utf-8")
    assert json.loads(text)["provenance"] == trials.provenance


def test_each_network_was_asked_about_all_photographs_for_reporting(trials):
    asked = read_networks().groupby("network")["problem"].agg(set)
    expected = set(trials.problems.query("photographs and role == 'reporting'").index)
    assert len(asked) > 1 and all(problems == expected for problems in asked)


def test_clouds_that_are_drawn_again_are_those_for_reporting_and_begin_with_the_answers_of_the_trials(trials):
    clouds = read_clouds()
    first = clouds[clouds["random_state"] == 0].set_index("problem")["k"]
    assert set(first.index) == {p.name for p in HERE if p.role == "reporting" and p.n_clusters == 1}
    answers = trials.answers.query("criterion == 'verdict' and random_state == 0").set_index("problem")["k"]
    pd.testing.assert_series_equal(first, answers[first.index])
    assert (clouds.groupby("problem").size() == clouds["random_state"].nunique()).all()


@pytest.mark.parametrize(("name", "random_state"), [("arc, three quarters of a turn", 4), ("flat sheet", 3)])
def test_a_cloud_that_is_drawn_again_gives_the_answer_in_the_file(name, random_state, tmp_path):
    X, _ = PROBLEMS[name].sample(random_state)
    study = study_problem(X, PROBLEMS[name].n_components, random_state, cache_dir=tmp_path)
    clouds = read_clouds().set_index(["problem", "random_state"])["k"]
    assert decide(study.valleys).n_clusters == clouds.astype(object).where(clouds.notna(), None)[name, random_state]


def test_the_sentence_about_clouds_counts_draws():
    table = pd.DataFrame({"problem": ["a", "a", "b", "b"], "k": pd.array([None, 2, None, None], "Int64")})
    assert clouds_sentence(table) == (
        "For the 2 synthetic ones of these clouds, drawn 2 times each, it names a k in 25% of the draws, most often "
        "for “a” (1 of 2)."
    )
    assert clouds_sentence(table[table["problem"] == "b"]).endswith("it names a k in 0% of the draws.")


def test_the_constants_of_the_rule_are_in_the_table_that_they_were_chosen_from():
    from helpers.criteria.rule import NEARLY
    from helpers.criteria.table import DEEP

    constants, by_n = read_constants()
    assert ((constants["deep"] - DEEP).abs() + (constants["nearly"] - NEARLY).abs() < 1e-9).any()
    assert by_n["n"].max() >= 20_000


# --- answers made up --------------------------------------------------------------------------------------------------


def made_up(answers, *, family=("three", "unknown", "nothing"), photographs=False):
    """Trials of a problem with 3 groups, one with an unknown number and one with none; a tuple of k a criterion.

    Clusterings agree the less with the truth the farther their k is from 4.
    """
    names = ["three", "unknown", "nothing"]
    rows = [
        {
            "problem": name,
            "random_state": 0,
            "criterion": criterion,
            "k": k,
            "ami": np.nan if name == "nothing" else 0.0 if k in (None, 1) else 1 - abs(k - 4) / 10,
            "levels": "",
        }
        for criterion, ks in answers.items()
        for name, k in zip(names, ks)
    ]
    problems = pd.DataFrame(
        {
            "family": family,
            "n_clusters": pd.array([3, None, 1], "Int64"),
            "role": "reporting",
            "photographs": [photographs, photographs, False],
            "n": 9,
            "d": 2,
        },
        index=pd.Index(names, name="problem"),
    )
    return Trials(pd.DataFrame(rows).astype({"k": "Int64"}), problems, {})


SURE = {
    "score": (3, 4, 2),
    "positive": (2, 2, 2),
    "stability": (6, 2, 2),
    "gap": (1, 4, 1),
    "verdict": (3, 4, None),
}
SURE |= {FORCED: (3, 4, 2), BEST: (4, 4, 2)}


def test_answers_are_judged_by_number_agreement_and_silence():
    judged = judge_answers(made_up(SURE)).set_index(["criterion", "problem"])
    right = judged["right"]
    assert right["score", "three"] and not right["stability", "three"] and not right["gap", "three"]
    assert right["verdict", "nothing"] and right["gap", "nothing"] and not right["score", "nothing"]
    assert right.xs("unknown", level="problem").isna().all()
    assert judged["exact"]["score", "three"] == 1 and judged["exact"]["stability", "three"] == 0
    assert np.isnan(judged["exact"]["gap", "three"]) and judged["exact"].xs("unknown", level="problem").isna().all()
    assert judged["within_one"]["positive", "three"] == 1 and judged["within_fifth"]["positive", "three"] == 0
    assert judged["loss"]["score", "three"] == pytest.approx(0.1)
    assert judged["loss"]["gap", "three"] == 1 and np.isnan(judged["loss_named"]["gap", "three"])
    assert np.isnan(judged["loss"]["score", "nothing"])
    assert judged["off"]["stability", "three"] == 1 and np.isnan(judged["off"]["gap", "three"])


def test_a_family_counts_once_however_many_problems_it_has():
    answers = {"score": (3, 3, 2), "verdict": (3, 3, None), BEST: (4, 4, 2)}
    trials = made_up(answers)
    trials.problems["n_clusters"] = pd.array([3, 5, 4], "Int64")
    apart = summarise_answers(judge_answers(trials)).loc["score"]
    trials.problems["family"] = ["one", "one", "other"]
    together = summarise_answers(judge_answers(trials)).loc["score"]
    assert apart["exact"] == pytest.approx(1 / 3) and together["exact"] == pytest.approx((1 / 2 + 0) / 2)


def test_summary_counts_problems_with_groups_and_without_apart():
    summary = summarise_answers(judge_answers(made_up(SURE)))
    assert list(summary.index) == ["score", "positive", "gap", "stability", "verdict", FORCED, BEST]
    assert summary["false_alarms"]["score"] == 1 and summary["false_alarms"]["verdict"] == 0
    assert summary.loc["gap", "abstained"] == 0.5 and summary.loc["gap", "loss_named"] == 0
    assert summary.loc["gap", "loss"] == 0.5 and summary.loc["stability", "exact"] == 0


def test_intervals_are_over_families_and_hold_their_mean():
    table = intervals(judge_answers(made_up(SURE)), "loss")
    row = table.loc["stability"]  # loses 0.2 in both families with groups
    assert row["families"] == 2 and row["low"] == row["mean"] == row["high"] == pytest.approx(0.2)
    row = table.loc["gap"]  # loses 1 and 0
    assert row["low"] == 0 and row["mean"] == 0.5 and row["high"] == 1


def test_answers_are_compared_on_the_problems_that_both_have_answered():
    against = compare_answers(judge_answers(made_up(SURE)), "loss", FORCED)
    assert BEST not in against.index and FORCED not in against.index
    row = against.loc["stability"]  # loses 0.2 and 0.2 where the verdict loses 0.1 and 0
    assert row["mean"] == pytest.approx(0.15) and row["low"] == pytest.approx(0.1) and row["high"] == pytest.approx(0.2)
    assert against.loc["score", ["mean", "low", "high"]].tolist() == [0, 0, 0]
    exact = compare_answers(judge_answers(made_up(SURE)), "exact", "verdict")
    assert exact.loc["stability", "mean"] == -1 and "gap" not in exact.index  # it named no k


def test_parts_are_chosen_by_role_and_by_what_they_show():
    judged = judge_answers(made_up(SURE, photographs=True))
    assert set(part(judged, "reporting", photographs=True)["problem"]) == {"three", "unknown"}
    assert set(part(judged, "reporting")["problem"]) == {"three", "unknown", "nothing"} and part(judged, "apart").empty


def test_family_table_is_named_as_on_the_figures():
    table = mean_by_family(judge_answers(made_up(SURE)), "right")
    assert table.loc["three", LABELS["score"]] == 1 and table.loc["nothing", LABELS["verdict"]] == 1
    expected = [LABELS[name] for name in ("score", "positive", "gap", "stability", "verdict")]
    assert list(table.columns) == expected


def test_rights_are_averaged_for_each_kind_of_problem_and_the_best_about_photographs_is_first():
    judged = pd.concat([judge_answers(made_up(SURE, photographs=which)) for which in (True, False)])
    table = rights_by_kind(judged)
    assert table.loc["verdict"].tolist() == [1, 1, 1] and table.loc["silhouette score"].tolist() == [1, 1, 0]
    assert table["photographs"].is_monotonic_decreasing and table.loc["stability in halves", "drawn groups"] == 0


def test_networks_are_summarised_by_what_verdict_and_score_reach_with_their_features():
    good, bad = (made_up(SURE | {"verdict": (k, 4, None)}, photographs=True) for k in (3, None))
    judged = pd.concat([judge_answers(good).assign(network="good"), judge_answers(bad).assign(network="bad")])
    table = summarise_networks(judged)
    assert table.index.tolist() == [
        ("good", "verdict"), ("good", "silhouette score"), ("bad", "verdict"), ("bad", "silhouette score"),
    ]  # fmt: skip
    assert table["named"].tolist() == [1, 1, 0.5, 1] and (table["best"] == 1).all()
    assert table.loc[("good", "verdict"), ["exact", "within_fifth"]].tolist() == [1, 1]
    assert table["loss"].tolist() == pytest.approx([0.05] * 4)  # the convenient k is the same
    assert networks_sentence(table).endswith("differ by 0.00 at most; the verdict's loses less with 0 of 2 networks.")


def test_sentences_follow_from_the_table():
    said = trial_sentences(judge_answers(made_up(SURE, photographs=True)))
    assert (
        "is the number of classes in 100% of the cases, and the k with most positive samples in 0%"
        in (said["score_or_samples"])
    )
    assert "names a k for 100% of the problems. Of these it is the number of classes in 100% (95%" in said["exact"]
    assert "the verdict's loses 0.05 of agreement" in said["loss"] and "“silhouette score”, 0.05" in said["loss"]
    assert "always name a k all the same: “silhouette score”" in said["false_alarms"]
    assert "The verdict does so for 0 of 1 clouds (0% if each family counts once)." in said["false_alarms"]
    assert said["short"].startswith("On photographs with known classes it names a k for 100% of the problems, and in ")
    assert "on the same problems the score names it in 100% and the number of positive samples in 0%." in said["short"]
    assert said["short"].endswith("named a k for 0 of 1 clouds of points, and the score for 1.")
    fooled = trial_sentences(judge_answers(made_up(SURE | {"verdict": (3, 4, 5)}, photographs=True)))
    assert "for 1 of 1 clouds (100% if each family counts once); it is fooled by “nothing”." in fooled["false_alarms"]
