"""The rules of others: what each says where the answer is plain, and formulas against their definitions."""

from __future__ import annotations

import warnings

import diptest
import numpy as np
import pytest
from scipy.stats import anderson, multivariate_normal

from helpers.criteria.halves import Halves, cluster_halves
from helpers.trials import others
from helpers.trials.others import (
    OTHERS,
    ambiguous_share,
    anderson_darling,
    ask_others,
    consensus_matrix,
    consensus_pac,
    dip_means,
    fang_wang,
    g_means,
    gaussian_mixture_bic,
    hdbscan,
    spherical_bic,
    x_means,
)
from helpers.trials.problems import gaussian_groups

K_VALUES = range(2, 7)


def rng():
    """The generator of a test."""
    return np.random.default_rng(0)


def answers_to(X, k_values=K_VALUES):
    """Ask all about some points."""
    halves = cluster_halves(X, k_values, n_halvings=3)
    return dict(zip(OTHERS, ask_others(X, k_values, halves=halves).k, strict=True))


# --- all of them ------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def five_groups():
    """Five groups far apart, in float32 as a study has them."""
    return gaussian_groups(rng(), [60, 60, 50, 40, 40], 5, 12)[0].astype(np.float32)


@pytest.fixture(scope="module")
def answers_to_five(five_groups):
    """What all say about them."""
    return answers_to(five_groups)


@pytest.mark.parametrize("name", OTHERS)
def test_each_counts_groups_far_apart(answers_to_five, name):
    assert answers_to_five[name] == 5


def test_each_answers_once_with_a_number_of_python(answers_to_five):
    assert list(answers_to_five) == list(OTHERS) == [rule.name for rule in OTHERS.values()]
    assert {type(k) for k in answers_to_five.values()} == {int}


def test_each_says_the_same_again_and_no_more_than_the_largest_k(five_groups):
    answers = answers_to(five_groups, [2, 3])
    assert answers_to(five_groups, [2, 3]) == answers
    assert max(answers.values()) == 3
    assert [answers[name] for name in ("g_means", "dip_means", "hdbscan", "gaussian_mixture_bic")] == [3] * 4


@pytest.mark.parametrize(
    ("rule", "stretch", "options"),
    [(x_means, 20, {"k_max": 20}), (fang_wang, 1, {"k_values": [2, 3, 4], "n_pairs": 1})],
    ids=["x_means", "fang_wang"],
)
def test_chance_comes_from_the_seed_alone(rule, stretch, options):
    X = rng().standard_normal((100, 2)) * [stretch, 1]  # on which seeds 0 and 1 answer differently
    first, again, other = (rule(X, **options, random_state=seed) for seed in (0, 0, 1))
    assert first == again != other


def test_one_cloud_is_one_cluster_to_those_that_can_say_so():
    answers = answers_to(rng().standard_normal((300, 2)), range(2, 5))
    can = ("gaussian_mixture_bic", "g_means", "x_means", "dip_means")
    assert {name: answers[name] for name in can} == dict.fromkeys(can, 1)
    assert min(answers["fang_wang"], answers["consensus_pac"]) >= 2


def test_a_cloud_of_many_dimensions_is_noise_to_hdbscan():
    assert hdbscan(rng().standard_normal((500, 50)), 5) is None


# --- bootstrap --------------------------------------------------------------------------------------------------------


def disagreement(first, second):
    """The share of ordered pairs about which two labelings disagree, as Fang and Wang write it."""
    n = len(first)
    return sum((first[i] == first[j]) != (second[i] == second[j]) for i in range(n) for j in range(n)) / n**2


def test_fang_wang_names_the_k_of_least_mean_disagreement(monkeypatch):
    draws = np.random.default_rng(4).integers(0, 3, size=(2, 2, 4, 20))  # pairs, samples of a pair, k, points
    queue = iter(draws.reshape(4, 4, 20))
    monkeypatch.setattr(others, "_bootstrap_labels", lambda *_: list(next(queue)))
    means = [np.mean([disagreement(*pair[:, k]) for pair in draws]) for k in range(4)]
    assert len(set(means)) == 4 and np.argmin(means) not in (0, 3)
    assert fang_wang(np.empty((20, 1)), [2, 3, 4, 5], n_pairs=2) == 2 + np.argmin(means)


def test_fang_wang_prefers_the_largest_of_equals(monkeypatch):
    labels = np.array([0, 0, 1, 1])
    other = np.array([0, 1, 0, 1])
    queue = iter([[labels, labels, labels], [labels, labels, other]])
    monkeypatch.setattr(others, "_bootstrap_labels", lambda *_: next(queue))
    assert fang_wang(np.empty((4, 1)), [2, 3, 4], n_pairs=1) == 3


# --- consensus --------------------------------------------------------------------------------------------------------


def test_consensus_counts_only_subsamples_that_hold_both_points():
    labels = rng().integers(-1, 3, size=(7, 9))
    consensus = consensus_matrix(labels)
    for i in range(9):
        for j in range(9):
            both = [row for row in labels if row[i] >= 0 and row[j] >= 0]
            expected = np.mean([row[i] == row[j] for row in both]) if both else np.nan
            assert consensus[i, j] == pytest.approx(expected, nan_ok=True)


def test_ambiguous_is_what_lies_between_a_tenth_and_nine_tenths():
    consensus = np.eye(4)
    pairs = [0.05, 0.95, 0.5, 0.11, np.nan, 0.0]
    consensus[np.triu_indices(4, 1)] = pairs
    assert ambiguous_share(consensus) == pytest.approx(2 / 5)


def test_a_k_that_halves_are_too_small_for_has_no_consensus(five_groups):
    halves = cluster_halves(five_groups, K_VALUES, n_halvings=3)
    missing = [centers.copy() for centers in halves.centers]
    for centers in missing:
        centers[2 + 3 + 4 : 2 + 3 + 4 + 5] = np.nan  # those for k = 5, which is named otherwise
    named = consensus_pac(five_groups, Halves(halves.k_values, halves.rows, missing))
    assert consensus_pac(five_groups, halves) == 5 != named


# --- mixtures ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("unit", [1e-4, 1, 1e4])
def test_a_mixture_sees_long_groups_in_any_unit(unit, monkeypatch):
    X = unit * (rng().standard_normal((400, 2)) * [1, 0.1] + np.repeat([[0, 0], [0, 5]], 200, axis=0))
    assert gaussian_mixture_bic(X, 6) == 2
    monkeypatch.setattr(others, "COVARIANCES", ("spherical",))
    assert gaussian_mixture_bic(X, 6) > 2  # spheres cut them across


# --- splitting --------------------------------------------------------------------------------------------------------


def test_a_long_gaussian_is_one_cluster_to_g_means_and_not_to_x_means():
    X = rng().standard_normal((600, 2)) * [20, 1]
    assert g_means(X, 6) == 1 < x_means(X, 6)


def test_g_means_splits_what_is_not_gaussian():
    assert g_means(rng().uniform(size=(600, 1)), 6) > 1


def test_anderson_darling_is_that_of_scipy_with_the_correction_of_the_paper():
    x = rng().exponential(size=40)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # SciPy 1.17 asks how to compute p-values, which are not needed
        statistic = anderson(x).statistic
    assert anderson_darling(x) == pytest.approx(statistic * (1 + 4 / 40 - 25 / 1600))


def test_bic_of_x_means_is_the_likelihood_of_equal_spheres_less_the_penalty():
    (X, labels), k = gaussian_groups(rng(), [30, 20, 5], 4, 6), 3
    n, p = X.shape
    means = np.array([X[labels == cluster].mean(axis=0) for cluster in range(k)])
    variance = sum(np.sum((x - means[c]) ** 2) for x, c in zip(X, labels)) / (p * (n - k))
    logs = [multivariate_normal(means[c], variance * np.eye(p)).logpdf(x) for x, c in zip(X, labels)]
    shares = np.log(np.bincount(labels)[labels] / n)
    n_parameters = (k - 1) + k * p + 1
    assert spherical_bic(X, labels) == pytest.approx(np.sum(logs) + shares.sum() - n_parameters / 2 * np.log(n))


@pytest.mark.parametrize("rule", [g_means, x_means, dip_means])
def test_copies_of_one_point_are_one_cluster(rule):
    assert rule(np.ones((20, 3)), 5) == 1


@pytest.mark.parametrize("rule", [g_means, x_means])
def test_copies_of_three_points_are_three_clusters_at_most(rule):
    X = np.repeat(np.array([[0.0, 0.0], [5.0, 0.0], [0.0, 9.0]]), 20, axis=0)
    assert 1 < rule(X, 10) <= 3


@pytest.mark.parametrize(("size", "k"), [(3, 1), (30, 2)])
def test_dip_means_leaves_few_points_alone(size, k):
    X = np.concatenate([rng().normal(size=(size, 1)), 100 + rng().normal(size=(size, 1))])
    assert dip_means(X, 5) == k


def test_dip_means_needs_more_than_one_viewer_in_a_hundred(monkeypatch):
    """Viewers see what the made-up test says of them."""
    for p_values, expected in (([0.0009] * 2 + [0.5] * 198, 0.3), ([0.0009] + [0.0011] * 199, 0.0)):
        seen = iter([(0.3, p_value) for p_value in p_values])
        monkeypatch.setattr(diptest, "diptest", lambda *_, seen=seen, **__: next(seen))
        assert others._dip_of_viewers(np.zeros((200, 200))) == pytest.approx(expected)
