"""The problems with known answers, who made them for what, and asking the criteria about one."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from helpers.core.conventions import ParameterError
from helpers.trials.asking import BEST, FORCED, K_VALUES, agreement, answer_problem, study_problem
from helpers.trials.collections import COLLECTIONS, IMAGES, TO_CHOOSE_BY
from helpers.trials.judging import LABELS
from helpers.trials.problems import (
    APART,
    CHOOSING,
    NOISE,
    PROBLEMS,
    Problem,
    copula,
    gaussian_groups,
    spaced_centers,
    wordnet_kind,
)

HERE = [problem for problem in PROBLEMS.values() if not problem.needs]
ROLES = ("choosing", "reporting", "apart")


# --- the problems -----------------------------------------------------------------------------------------------------


def test_the_problems_are_many_and_of_every_kind():
    assert len(PROBLEMS) >= 100 and list(PROBLEMS) == [problem.name for problem in PROBLEMS.values()]
    for role in ("choosing", "reporting"):
        part = [problem for problem in PROBLEMS.values() if problem.role == role]
        assert sum(problem.n_clusters == 1 for problem in part) >= 5
        assert sum(problem.family in COLLECTIONS for problem in part) >= 10
        assert any(problem.n_clusters != 1 and not problem.real for problem in part)


def test_a_family_has_one_role_which_was_declared():
    families = {problem.family for problem in PROBLEMS.values()}
    assert set(CHOOSING) < families and set(APART) < families and not set(CHOOSING) & set(APART)
    for family in families:
        roles = {problem.role for problem in PROBLEMS.values() if problem.family == family}
        expected = "choosing" if family in CHOOSING else "apart" if family in APART else "reporting"
        assert roles == {COLLECTIONS[family].role if family in COLLECTIONS else expected} <= set(ROLES)


def test_no_collection_is_for_choosing_and_for_reporting():
    """Whatever is made of a collection, such as copies of its features without groups, goes where it goes."""
    assert set(TO_CHOOSE_BY) < set(COLLECTIONS)
    for name, collection in COLLECTIONS.items():
        expected = "choosing" if name in TO_CHOOSE_BY else "reporting"
        assert collection.role == ("apart" if collection.near_duplicates else expected)
        of_it = {problem.role for problem in PROBLEMS.values() if problem.needs == name}
        assert of_it <= {collection.role, "apart"} and collection.role in of_it


def test_collections_are_asked_as_a_whole_and_with_some_of_their_classes():
    for name, collection in COLLECTIONS.items():
        asked = [problem.n_clusters for problem in PROBLEMS.values() if problem.family == name]
        assert asked == [*range(2, min(11, collection.n_classes)), collection.n_classes]


def test_a_collection_is_found_in_the_folder_that_is_named_or_one_below(tmp_path, monkeypatch):
    monkeypatch.setenv(IMAGES, str(tmp_path))
    with pytest.raises(ParameterError, match=r"^The folder \S+ has no collection trashnet\.$"):
        COLLECTIONS["trashnet"].find()
    (tmp_path / "more" / "trashnet").mkdir(parents=True)
    assert COLLECTIONS["trashnet"].find() == tmp_path / "more" / "trashnet"
    (tmp_path / "trashnet").mkdir()
    assert COLLECTIONS["trashnet"].find() == tmp_path / "trashnet"


@pytest.mark.parametrize("problem", HERE, ids=lambda problem: problem.name)
def test_points_have_the_groups_that_they_are_said_to_have(problem):
    X, groups = problem.sample(0)
    assert X.dtype == np.float32 and X.ndim == 2 and np.isfinite(X).all() and len(groups) == len(X)
    assert len(set(groups) - {NOISE}) == problem.n_clusters <= max(K_VALUES)
    again, _ = problem.sample(0)
    other, _ = problem.sample(1)
    np.testing.assert_array_equal(X, again)
    assert X.shape != other.shape or not np.array_equal(X, other) or problem.real
    assert problem.real or problem.n_clusters is not None


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


def test_a_copula_keeps_margins_and_about_the_correlations():
    rng = np.random.default_rng(0)
    X = gaussian_groups(rng, [200, 200], 3, 20)[0] @ np.array([[1, 1, 0], [0, 1, 0], [0, 0, 1.0]])
    copied = copula(rng, X)
    np.testing.assert_array_equal(np.sort(copied, axis=0), np.sort(X, axis=0))
    np.testing.assert_allclose(
        pd.DataFrame(copied).corr(method="spearman"), pd.DataFrame(X).corr(method="spearman"), atol=0.25
    )


# --- asking -----------------------------------------------------------------------------------------------------------


def three_groups(rng):
    """Three groups far apart, and points of none."""
    X, groups = gaussian_groups(rng, [40] * 3, 3, 12)
    strewn = rng.uniform(X.min(axis=0), X.max(axis=0), size=(8, 3))
    return np.vstack([X, strewn]), np.concatenate([groups, np.full(8, NOISE)])


@pytest.fixture(scope="module")
def asked(tmp_path_factory):
    """A problem with its answers, and the folder of what was computed."""
    problem, folder = Problem("made up", "mine", 3, three_groups), tmp_path_factory.mktemp("trials")
    return problem, answer_problem(problem, 0, cache_dir=folder).set_index("criterion"), folder


@pytest.mark.xdist_group("asked")
def test_every_criterion_answers_once(asked):
    _, answers, _ = asked
    assert sorted(answers.index) == sorted([*LABELS, FORCED, BEST])
    assert list(answers) == ["problem", "random_state", "k", "ami", "levels"] and answers["k"].dtype == "Int64"
    assert (answers["problem"] == "made up").all() and (answers["random_state"] == 0).all()
    assert answers.loc[["verdict", FORCED, BEST, "valley", "stability"], "k"].tolist() == [3] * 5


@pytest.mark.xdist_group("asked")
def test_answers_are_judged_by_the_agreement_of_the_clusterings_at_their_k(asked):
    problem, answers, folder = asked
    X, groups = problem.sample(0)
    study = study_problem(X, None, 0, cache_dir=folder)
    ami = agreement(study, groups)
    assert ami.index.tolist() == [1, *K_VALUES] and ami[1] == 0 and ami[3] == pytest.approx(1) and ami.idxmax() == 3
    for _, row in answers.iterrows():
        assert row["ami"] == (0 if row["k"] is pd.NA else ami[row["k"]])
    assert agreement(study, np.where(groups == NOISE, 3, groups))[3] < 1  # when noise counts, it does not agree


@pytest.mark.xdist_group("asked")
def test_the_levels_are_those_of_the_verdict_and_stand_with_it_alone(asked):
    problem, answers, folder = asked
    study = study_problem(problem.sample(0)[0], None, 0, cache_dir=folder)
    assert answers.loc["verdict", "levels"] == " ".join(map(str, study.verdict.levels.index))
    assert "3" in answers.loc["verdict", "levels"].split() and (answers["levels"].drop("verdict") == "").all()


def test_where_there_is_no_structure_there_is_nothing_to_agree_with(tmp_path):
    problem = Problem("cloud", "mine", 1, lambda rng: (rng.standard_normal((60, 2)), np.zeros(60)))
    answers = answer_problem(problem, 1, cache_dir=tmp_path).set_index("criterion")
    assert answers["ami"].isna().all() and answers.loc["verdict", "k"] is pd.NA
    assert answers.loc[FORCED, "k"] in K_VALUES and answers.loc["verdict", "levels"] == ""
