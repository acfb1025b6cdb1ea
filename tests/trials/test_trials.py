"""The problems with known answers, the stored study, and what is read from it."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest

from helpers.criteria.table import CRITERIA
from helpers.study import N_REFERENCES, N_SUBSAMPLES
from helpers.trials.asking import BEST, FORCED, K_VALUES, answer_problem
from helpers.trials.judging import (
    LABELS,
    RESULTS,
    Trials,
    compare_losses,
    judge_answers,
    mean_by_family,
    read_trials,
    summarise_answers,
    trial_sentences,
    worst_answer,
)
from helpers.trials.problems import NOISE, PROBLEMS, TUNING, spaced_centers, wordnet_kind

ANSWERS = [*LABELS, FORCED, BEST]
HERE = [problem for problem in PROBLEMS.values() if not problem.needs]


# --- the problems -----------------------------------------------------------------------------------------------------


def test_the_problems_are_many_and_of_every_kind():
    assert len(PROBLEMS) >= 30 and list(PROBLEMS) == [problem.name for problem in PROBLEMS.values()]
    assert set(TUNING) < {problem.family for problem in PROBLEMS.values()}
    for held_out in (False, True):
        part = [problem for problem in PROBLEMS.values() if problem.held_out == held_out]
        assert any(problem.n_clusters == 1 for problem in part) and any(problem.real for problem in part)


@pytest.mark.parametrize("problem", HERE, ids=lambda problem: problem.name)
def test_points_have_the_groups_that_they_are_said_to_have(problem):
    X, groups = problem.sample(0)
    assert X.dtype == np.float32 and X.ndim == 2 and np.isfinite(X).all() and len(groups) == len(X)
    assert len(set(groups) - {NOISE}) == problem.n_clusters <= max(K_VALUES)
    again, _ = problem.sample(0)
    other, _ = problem.sample(1)
    np.testing.assert_array_equal(X, again)
    assert X.shape != other.shape or not np.array_equal(X, other) or problem.real


def test_nearest_centers_are_at_the_distance_asked_for():
    centers = spaced_centers(np.random.default_rng(0), 6, 4, 7.0)
    distances = np.linalg.norm(centers[:, np.newaxis] - centers, axis=-1)[np.triu_indices(6, 1)]
    assert distances.min() == pytest.approx(7)


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("n01440764_tench.jpg", "animal"),
        ("n02655020_puffer.jpg", "animal"),
        ("n02687172_aircraft_carrier.jpg", "artifact"),
        ("n04613696_yurt.jpg", "artifact"),
        ("a/n07565083_menu.jpg", "other"),
        ("n13133613_ear.jpg", "other"),
    ],
)
def test_kinds_of_wordnet(name, kind):
    assert wordnet_kind(name, "") == kind


# --- the stored study -------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def study():
    """The study that is kept with the book."""
    return read_trials()


def test_the_file_holds_every_answer_once_and_is_small(study):
    assert sum(path.stat().st_size for path in RESULTS.glob("trials.*")) < 500_000
    asked = study.answers.groupby(["problem", "random_state"], sort=False)["criterion"].apply(list)
    assert all(criteria == ANSWERS for criteria in asked)
    seeds = study.provenance["settings"]["random_states"]
    assert sorted(asked.index) == sorted((name, seed) for name in study.problems.index for seed in seeds)
    assert len(study.problems) >= 30 and {problem.name for problem in HERE} <= set(study.problems.index)


def test_the_file_describes_the_problems_as_they_are(study):
    for name, row in study.problems.iterrows():
        problem = PROBLEMS[name]
        known = None if pd.isna(row["n_clusters"]) else row["n_clusters"]
        assert (row["family"], row["held_out"], known) == (problem.family, problem.held_out, problem.n_clusters)
    assert study.provenance["settings"]["tuned_on"] == list(TUNING)


def test_the_provenance_names_versions_and_settings(study):
    assert {"python", "numpy", "scipy", "scikit-learn", "kneed"} <= set(study.provenance["versions"])
    settings = study.provenance["settings"]
    assert settings["k_values"] == [min(K_VALUES), max(K_VALUES)]
    assert (settings["n_references"], settings["n_subsamples"]) == (N_REFERENCES, N_SUBSAMPLES)
    assert study.provenance["command"] == "python -m makers.trials"


@pytest.mark.parametrize("name", ["iris", "two parallel", "uniform square"])
def test_the_file_agrees_with_a_recomputation(name, study, tmp_path):
    computed = answer_problem(PROBLEMS[name], 0, cache_dir=tmp_path).set_index("criterion")
    stored = study.answers[(study.answers["problem"] == name) & (study.answers["random_state"] == 0)]
    stored = stored.set_index("criterion")
    pd.testing.assert_series_equal(computed["k"], stored["k"])
    np.testing.assert_allclose(computed["ami"], stored["ami"], atol=6e-5)
    assert computed["shortlist"].tolist() == stored["shortlist"].tolist()


# --- judging, on answers made up --------------------------------------------------------------------------------------


def made_up(answers):
    """A study of a problem with 3 groups, one with an unknown number and one with none; a tuple of k a criterion.

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
            "shortlist": "",
        }
        for criterion, ks in answers.items()
        for name, k in zip(names, ks)
    ]
    problems = pd.DataFrame(
        {"family": names, "n_clusters": pd.array([3, None, 1], "Int64"), "held_out": True, "n": 9, "d": 2},
        index=pd.Index(names, name="problem"),
    )
    return Trials(pd.DataFrame(rows).astype({"k": "Int64"}), problems, {})


SURE = {"score": (3, 4, 2), "stability": (6, 2, 2), "gap_pca": (1, 4, 1), "verdict": (3, 4, None)}
SURE |= {FORCED: (3, 4, 2), BEST: (4, 4, 2)}


def test_answers_are_judged_by_number_agreement_and_silence():
    judged = judge_answers(made_up(SURE)).set_index(["criterion", "problem"])
    right = judged["right"]
    assert right["score", "three"] and not right["stability", "three"] and not right["gap_pca", "three"]
    assert right["verdict", "nothing"] and right["gap_pca", "nothing"] and not right["score", "nothing"]
    assert right.xs("unknown", level="problem").isna().all()
    assert judged["loss"]["score", "three"] == pytest.approx(0.1)
    assert judged["loss"]["gap_pca", "three"] == 1 and np.isnan(judged["loss"]["score", "nothing"])
    assert judged["off"]["stability", "three"] == 1 and np.isnan(judged["off"]["gap_pca", "three"])


def test_summary_counts_structured_and_structureless_problems_apart():
    summary = summarise_answers(judge_answers(made_up(SURE)))
    assert list(summary.index) == ["score", "gap_pca", "stability", "verdict", FORCED, BEST]
    assert summary["right"].to_dict() == {
        "score": 0.5, "gap_pca": 0.5, "stability": 0, "verdict": 1, FORCED: 0.5, BEST: 0,
    }  # fmt: skip
    assert summary["false_alarms"].to_dict()["score"] == 1 and summary["false_alarms"]["verdict"] == 0
    assert summary.loc["gap_pca", "abstained"] == 0.5 and summary.loc["gap_pca", "loss_answered"] == 0
    assert summary.loc["gap_pca", "loss"] == 0.5 and summary.loc["stability", "distance"] == 3


def test_losses_are_compared_problem_by_problem():
    against = compare_losses(judge_answers(made_up(SURE)), FORCED)
    assert BEST not in against.index and FORCED not in against.index
    row = against.loc["stability"]  # loses 0.2 and 0.2 where the verdict loses 0.1 and 0
    assert row["difference"] == pytest.approx(0.15) and row["better"] == 2 and row["worse"] == 0
    assert row["low"] == pytest.approx(0.1) and row["high"] == pytest.approx(0.2)
    assert against.loc["score", ["difference", "low", "high", "better", "worse"]].tolist() == [0, 0, 0, 0, 0]


def test_family_table_is_named_as_on_the_figures():
    table = mean_by_family(judge_answers(made_up(SURE)), "right")
    assert table.loc["three", LABELS["score"]] == 1 and table.loc["nothing", LABELS["verdict"]] == 1
    assert list(table.columns) == [LABELS[name] for name in ("score", "gap_pca", "stability", "verdict")]


def test_sentences_follow_from_the_table():
    said = trial_sentences(judge_answers(made_up(SURE)))
    assert said["loss"].startswith("Of the single criteria, “silhouette score” loses least, 0.050 on average")
    assert "the verdict, where it must name a k, loses 0.050. That is less than 2 of the 3" in said["loss"]
    assert "“silhouette score”, in 100% of those held out; the verdict is as often right, in 100%" in said["exact"]
    assert "the verdict is more often right, in 100%" in said["right"]
    assert said["abstained"] == "The verdict names a k for every problem held out that has structure."
    assert "2 of the 4 always name a k all the same: “silhouette score”, “stability”" in said["false_alarms"]
    worse = trial_sentences(judge_answers(made_up(SURE | {"verdict": (None, 4, 5), FORCED: (9, 9, 5)})))
    assert "loses 0.500. That is less than 0 of the 3" in worse["loss"]
    assert "the verdict is less often right, in 0%" in worse["exact"]
    assert "no clear k for 50% of the problems held out that have structure (in three)" in worse["abstained"]
    assert "The verdict does so in 100% of all cases (nothing)" in worse["false_alarms"]


def test_the_failure_that_is_shown_is_the_one_that_others_did_not_have(study):
    judged = judge_answers(study)
    for criterion in CRITERIA:
        worst = worst_answer(judged, criterion)
        assert worst["criterion"] == criterion and worst["d"] <= 5 and worst["loss"] >= 0
        assert not PROBLEMS[worst["problem"]].real and worst["k"] > 1


def test_the_json_is_plain(study):
    text = (RESULTS / "trials.json").read_text(encoding="utf-8")
    assert json.loads(text)["provenance"] == study.provenance
