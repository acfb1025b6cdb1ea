"""The rule and its words: on valleys that are made up, and on points whose clusters are known, or not to be there."""

from __future__ import annotations

import inspect
import re

import numpy as np
import pandas as pd
import pytest
from sklearn.datasets import load_iris, make_blobs

from helpers.clustering.reduction import fit_pca, normalize_features
from helpers.clustering.silhouette import silhouette_samples, silhouette_table
from helpers.clustering.sweep import sweep_kmeans
from helpers.criteria.halves import LinkValleys, link_valleys, stability
from helpers.criteria.references import gap_statistic, null_silhouettes, silhouette_ceiling
from helpers.criteria.rule import CUT, N_DRAWS, NEARLY, SURE, Decision, convenient_k, decide, named_level
from helpers.criteria.table import DEEP, compare_criteria, label_agreement, paired_errors, validity_indices
from helpers.criteria.verdict import Verdict, opening_sentence, rule_in_words, verdict

RNG = np.random.default_rng
NAN = np.nan


def valleys_of(by_k, n_halvings=8):
    """Valleys made up: for each k one for all halvings, or one for each."""
    columns = [np.full(n_halvings, valley) if np.ndim(valley) == 0 else np.array(valley) for valley in by_k.values()]
    valley = np.stack(columns, axis=1).astype(float)
    links = np.where(np.isnan(valley), 1.0, 100.0)  # fewer than count
    return LinkValleys(np.array(list(by_k)), np.nan_to_num(valley), links)


def table_of(valleys, **columns):
    """A made-up table for some valleys, in which the score is largest at the second k."""
    n = len(valleys.k_values)
    table = {"inertia": 100 / np.arange(2, n + 2), "score": [0.3, 0.5, 0.4, 0.2, 0.1][:n], "macro": 0.3}
    table |= {"positive": 0.9, "negative": 0.1, "mean_positive": 0.5, "mean_negative": -0.1} | columns
    return pd.DataFrame(table, index=pd.Index(valleys.k_values, name="n_clusters")).join(valleys.table())


# --- the rule, on valleys made up -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("valleys", "k"),
    [
        ({2: 0.6, 3: 0.47, 4: 0.3}, 2),  # 0.47 is less than 0.8 of 0.6
        ({2: 0.6, 3: 0.52, 4: 0.3}, 3),
        ({2: 0.6, 3: 0.51, 4: 0.6}, 4),
        ({2: 0.5, 3: 0.5, 4: 0.5}, 4),  # of equals the finest
        ({2: 0.1, 3: 0.9, 4: 0.8}, 4),  # the largest k that was tried
        ({2: DEEP, 3: -0.2}, 2),
        ({2: DEEP - 1e-9, 3: -0.2}, None),
        ({2: 0.28, 3: 0.24}, 2),  # nearly as deep, and still too shallow to count
        ({2: -0.1, 3: -0.05}, None),
        ({2: NAN, 3: 0.5, 4: NAN}, 3),
        ({2: NAN, 3: 0.1}, None),
        ({2: NAN, 3: NAN}, None),
        ({14: 1.0, 15: 0.89}, 14),  # two clusters with valleys of 0.25 leave 0.9 of 1 to a mean of 15
        ({14: 1.0, 15: 0.91}, 15),
        ({5: 0.3}, 5),
        ({5: 0.2}, None),
        ({4: 0.6, 2: 0.59, 3: 0.1}, 4),  # in any order
    ],
)
def test_the_finest_is_named_of_those_nearly_as_deep_as_the_deepest(valleys, k):
    assert named_level(pd.Series(valleys)) == k
    decision = decide(valleys_of(valleys))
    assert decision.n_clusters == decision.usual == k
    assert decision.draws.to_dict() == {k or 0: 1}


def test_the_rule_follows_its_definition_with_any_constants():
    rng = RNG(0)
    for _ in range(200):
        valley = pd.Series(rng.choice([*np.linspace(-0.5, 1, 16), NAN], size=6), index=range(2, 8))
        deep, nearly = rng.uniform(-0.2, 0.6), rng.uniform(0.5, 1)
        least = {k: max(deep, max(nearly, 1 - CUT * (1 - deep) / k) * valley.max()) for k in valley.index}
        count = [k for k, depth in valley.items() if depth >= least[k]]
        assert named_level(valley, deep=deep, nearly=nearly) == max(count, default=None)


def test_all_k_that_count_are_levels():
    decision = decide(valleys_of({2: 0.9, 3: 0.1, 4: 1.0, 5: 0.3, 6: NAN}))
    assert decision.n_clusters == 4 and decision.levels.index.tolist() == [2, 4, 5]
    assert list(decision.levels) == ["valley", "valley_spread", "links"]
    assert decision.valleys.index.tolist() == [2, 3, 4, 5, 6]


MOVING = {2: 0.3, 3: 0.5, 4: [0.9, -0.05] * 4}
OFTEN_NONE = {2: 0.1, 3: [0.6, -0.08] * 4, 4: 0.0}
MOSTLY_NONE = {2: [0.25, 1, 1, 0, -0.5, 0, 0.25, 0], 3: [-0.5, 1, 0.5, -0.5, -0.5, 0, 0.5, 0.5]}
MOVING_OR_NONE = {2: [0.8, 0.8, 0.8, 0.1, -0.4, -0.4, 0.2, 0.2], 3: [0.8, -0.4, 0.1, 0.8, 0.8, -0.4, 0.1, 0.1]}


@pytest.mark.parametrize(
    ("valleys", "usual", "between"),
    [(MOVING, 4, (3, 4)), (OFTEN_NONE, 3, (3, 3)), (MOSTLY_NONE, None, (2, 3)), ({2: 0.1, 3: 0.2}, None, None)],
    ids=["moving", "often none", "mostly none", "none"],
)
def test_no_k_is_named_of_which_the_halvings_are_not_sure(valleys, usual, between):
    decision = decide(valleys_of(valleys))
    assert decision.n_clusters is None and decision.usual == usual and decision.between == between
    assert decision.draws.sum() == pytest.approx(1) and decision.draws.index.is_monotonic_increasing
    assert usual is None or decision.draws[usual] < SURE


def test_the_draws_are_of_halvings_with_replacement_and_the_same_each_time():
    """One halving in eight is shallow; in (7/8)^8 of the draws it is left out, and with it the mean is too small."""
    valleys = valleys_of({2: [0.3] * 7 + [-0.15], 3: 0.0})
    assert valleys.table().loc[2, "valley"] == pytest.approx(0.24375)
    decision = decide(valleys)
    share = (7 / 8) ** 8
    assert decision.draws[2] == pytest.approx(share, abs=3 * np.sqrt(share * (1 - share) / N_DRAWS))
    assert decision.draws.equals(decide(valleys).draws)


def test_one_halving_decides_alone():
    assert decide(valleys_of({2: 0.5, 3: 0.1}, n_halvings=1)).n_clusters == 2


def test_a_k_in_between_is_named_by_one_draw_in_twenty():
    draws = pd.Series({0: 0.04, 2: 0.04, 3: 0.05, 4: 0.6, 7: 0.07, 9: 0.2})
    assert Decision(None, pd.DataFrame(), draws).between == (3, 9)


def test_a_convenience_is_the_usual_k_or_else_the_best_by_score():
    moving, nothing = (valleys_of(by_k) for by_k in (MOVING, {2: 0.1, 3: 0.0, 4: -0.5}))
    assert convenient_k(table_of(moving), decide(moving)) == 4
    assert convenient_k(table_of(nothing), decide(nothing)) == 3
    # The score of k = 4 lies farthest beyond its null.
    assert convenient_k(table_of(nothing, null_score=[0.1, 0.3, 0.05]), decide(nothing)) == 4
    assert (
        verdict(table_of(nothing), nothing).convenience == 3 and verdict(table_of(nothing), nothing).n_clusters is None
    )
    named = valleys_of({2: 0.9, 3: 0.0})
    assert verdict(table_of(named), named).convenience == verdict(table_of(named), named).n_clusters == 2


# --- the conclusion, in every way it can come out ---------------------------------------------------------------------

FEWER, MORE = (f"{how} links between neighbours than their insides" for how in ("fewer", "more"))
NEED = "choose k by what you need it for"
CONCLUSIONS = {
    "named": (
        {2: 0.1, 3: 0.8, 4: 0.3},
        f"The answer is k = 3: the borders between its clusters are crossed by 80% {FEWER}, and no finer clusters "
        "have borders nearly as empty.",
    ),
    "no link crosses": (
        {2: 1.0, 3: 0.1},
        "The answer is k = 2: the borders between its clusters are crossed by no links between neighbours at all, "
        "and no finer clusters have borders nearly as empty.",
    ),
    "hardly a link crosses": (
        {2: 0.998, 3: 0.1},
        f"The answer is k = 2: the borders between its clusters are crossed by over 99% {FEWER}, and no finer "
        "clusters have borders nearly as empty.",
    ),
    "a coarser level": (
        {2: 0.5, 3: 0.8, 4: 0.3},
        f"The answer is k = 3: the borders between its clusters are crossed by 80% {FEWER}, and no finer clusters "
        "have borders nearly as empty; k = 2 is a coarser level.",
    ),
    "coarser levels": (
        {2: 0.5, 3: 0.3, 4: 0.8, 5: 0.3},
        f"The answer is k = 4: the borders between its clusters are crossed by 80% {FEWER}, and no finer clusters "
        "have borders nearly as empty; k = 2 and 3 are coarser levels.",
    ),
    "coarser and emptier": (
        {2: 0.6, 3: 0.55, 4: 0.4},
        f"The answer is k = 3: the borders between its clusters are crossed by 55% {FEWER}, and it is the finest k "
        "whose borders are nearly as empty as those at k = 2, the emptiest; k = 2 is a coarser level.",
    ),
    "far apart": (
        {2: 0.1, 4: 0.8, 8: 0.3, 16: 0.1},
        f"The answer is k = 4: the borders between its clusters are crossed by 80% {FEWER}, and no finer clusters that "
        "were tried have borders nearly as empty; k = 3 and 5 to 7 beside it were not tried.",
    ),
    "far apart, and nothing known of some": (
        {2: 0.8, 4: 0.1, 8: NAN},
        f"The answer is k = 2: the borders between its clusters are crossed by 80% {FEWER}, and no finer clusters that "
        "were tried and of which it can be told have borders nearly as empty; k = 3 beside it was not tried.",
    ),
    "far apart, the largest": (
        {2: 0.1, 4: 0.8},
        f"The answer is k = 4: the borders between its clusters are crossed by 80% {FEWER}; it is the largest k that "
        "was tried, so there may be finer clusters: try larger k; k = 3 beside it was not tried.",
    ),
    "none, far apart": (
        {2: 0.1, 4: -0.2, 8: NAN},
        "No clear k: at no k of the 3 tried from 2 to 8 of which it can be told are the borders between clusters at "
        f"least 25% emptier than their insides (the emptiest, at k = 2, are crossed by 10% {FEWER}); choose k by what "
        "you need it for, and do not read the clusters as kinds of images.",
    ),
    "the largest k": (
        {2: 0.5, 3: 0.8},
        f"The answer is k = 3: the borders between its clusters are crossed by 80% {FEWER}; it is the largest k that "
        "was tried, so there may be finer clusters: try larger k.",
    ),
    "one k": (
        {3: 0.8},
        f"The answer is k = 3: the borders between its clusters are crossed by 80% {FEWER}; it is the largest k that "
        "was tried, so there may be finer clusters: try larger k.",
    ),
    "nothing known of finer ones": (
        {2: 0.8, 3: NAN, 4: NAN},
        f"The answer is k = 2: the borders between its clusters are crossed by 80% {FEWER}, and there are "
        "too few links inside finer ones to tell.",
    ),
    "something known of finer ones": (
        {2: 0.8, 3: 0.1, 4: NAN},
        f"The answer is k = 2: the borders between its clusters are crossed by 80% {FEWER}, and no finer clusters of "
        "which it can be told have borders nearly as empty.",
    ),
    "emptier, and something known": (
        {2: 0.6, 3: 0.55, 4: NAN, 5: 0.1},
        f"The answer is k = 3: the borders between its clusters are crossed by 55% {FEWER}, and it is the finest k of "
        "those of which it can be told whose borders are nearly as empty as those at k = 2, the emptiest; k = 2 is a "
        "coarser level.",
    ),
    "moving": (
        MOVING,
        "No clear k: there are clusters, between 3 and 4 of them, but which k is named moves with the random halves; "
        "if you need one, take k = 4.",
    ),
    "often none": (
        OFTEN_NONE,
        "No clear k: k = 3 is named with 67% of the random halves, fewer than the 80% that are needed; if you need "
        "one, take k = 3.",
    ),
    "moving or none": (
        MOVING_OR_NONE,
        "No clear k: which k is named moves with the random halves, between 2 and 3, and with 22% of them none is; if "
        "you need one, take k = 3.",
    ),
    "mostly none": (
        MOSTLY_NONE,
        f"No clear k: the borders at k = 2 are on average crossed by 25% {FEWER}, but with 47% of the random halves "
        f"no k is named; {NEED}.",
    ),
    "nothing": (
        {2: -0.4, 3: 0.1, 4: -0.2},
        "No clear k: at no k from 2 to 4 are the borders between clusters at least 25% emptier than their insides "
        f"(the emptiest, at k = 3, are crossed by 10% {FEWER}); {NEED}, and do not read the clusters as kinds of "
        "images.",
    ),
    "nothing, and something unknown": (
        {2: -0.4, 3: NAN, 4: -0.2},
        "No clear k: at no k from 2 to 4 of which it can be told are the borders between clusters at least 25% "
        f"emptier than their insides (the emptiest, at k = 4, are crossed by 20% {MORE}); {NEED}, and do not read "
        "the clusters as kinds of images.",
    ),
    "nothing at one k": (
        {4: -0.64},
        f"No clear k: at k = 4, the only one tried, the borders between clusters are crossed by 64% {MORE}; {NEED}, "
        "and do not read the clusters as kinds of images.",
    ),
    "too few links": (
        {2: NAN, 3: NAN},
        "No clear k, since it cannot be told: at every k there are too few links between neighbours to look at the "
        f"borders of the clusters; take more images, or {NEED}.",
    ),
}


@pytest.mark.parametrize(("by_k", "conclusion"), CONCLUSIONS.values(), ids=CONCLUSIONS)
def test_every_conclusion(by_k, conclusion):
    valleys = valleys_of(by_k)
    for table in (table_of(valleys), table_of(valleys).drop(columns="valley")):
        decision = verdict(table, valleys)
        assert decision.sentences["conclusion"] == conclusion
        assert (decision.n_clusters is None) == conclusion.startswith("No ")


def test_the_opening_says_whether_its_k_is_a_finding():
    for n_clusters, why in ((4, "4. So it is."), (None, "4, a convenient k and no finding. So it is.")):
        decision = Decision(n_clusters, pd.DataFrame(), pd.Series(dtype=float))
        assert opening_sentence(Verdict(decision, 4, {}, {"conclusion": "So it is."})) == f"It opens at k = {why}"


@pytest.mark.parametrize("by_k", [by_k for by_k, _ in CONCLUSIONS.values()], ids=CONCLUSIONS)
def test_no_sentence_shows_a_missing_value(by_k):
    valleys = valleys_of(by_k)
    missing = {"stability": NAN, "strength": NAN, "spread": NAN}
    null = {"null_score": 0.2, "null_score_high": 0.25, "ceiling": 0.9}
    for columns in ({}, missing, null, {"stability": 0.5, "gap": 0.1, "s": 0.01}):
        sentences = verdict(table_of(valleys, **columns), valleys).sentences
        assert ("stability" in sentences) == (columns.get("stability") == 0.5)
        for topic, sentence in sentences.items():
            assert re.fullmatch(r"[A-Z](?!.*(\bnan\b|None|\[|\]|\{|<NA>|  | ,| \.)).*\.", sentence), (
                f"{topic}: {sentence}"
            )


def test_the_rule_is_told_with_its_constants():
    told = " ".join(rule_in_words())
    numbers = f"at least {DEEP:g}:", f"{NEARLY:g} of the deepest", "from k = 8 on", "1.5/k of it", f"than {SURE:.0%}"
    for number in numbers:
        assert number in told


def test_levels_and_draws_are_told_with_their_numbers():
    def said(by_k):
        valleys = valleys_of(by_k)
        return verdict(table_of(valleys), valleys).sentences

    assert said({2: 0.5, 3: 0.3, 4: 0.8, 5: 0.1})["levels"] == (
        "The borders run through valleys at k = 2 (0.50), 3 (0.30) and 4 (0.80), where 1 is a border that no link "
        "crosses."
    )
    assert said({2: 0.1, 3: NAN})["levels"] == "No k has a valley of 0.25 or more, the least that counts."
    assert said({2: 0.5})["draws"] == (
        "With the random halvings of the images drawn again, the answer is k = 2 in 100% of the draws."
    )
    assert said(OFTEN_NONE)["draws"] == (
        "With the random halvings of the images drawn again, the answer is none in 33% and k = 3 in 67% of the draws."
    )


# --- points whose clusters are known, or known not to be there --------------------------------------------------------


def unit_length(X):
    return X / np.linalg.norm(X, axis=1, keepdims=True)


def varying_norms(n=300, d=512):
    return RNG(0).standard_normal((n, d)) * np.exp(0.5 * RNG(1).standard_normal((n, 1)))


def heavy_tails(d):
    """Student's t with 3 degrees of freedom: a cloud and far outliers."""
    return RNG(0).standard_normal((300, d)) * np.sqrt(3 / RNG(1).chisquare(3, (300, 1)))


def ring():
    angle = RNG(0).uniform(0, 2 * np.pi, 300)
    return (5 + 0.5 * RNG(1).standard_normal((300, 1))) * np.column_stack([np.cos(angle), np.sin(angle)])


def in_many_dimensions(distance):
    """Five clusters in 200 dimensions, whose centres are `distance` apart."""
    centers = RNG(1).standard_normal((5, 200)) * distance / np.sqrt(2 * 200)
    return np.repeat(centers, 100, axis=0) + RNG(2).standard_normal((500, 200))


STRUCTURELESS = {
    "Gaussian, 512 dimensions": fit_pca(RNG(0).standard_normal((300, 512)), 50).points,
    "varying norms": fit_pca(varying_norms(), 50).points,
    "varying norms brought to 1": fit_pca(unit_length(varying_norms()), 50).points,
    "heavy tails, 10 dimensions": heavy_tails(10),
    "skewed, 10 dimensions": RNG(0).exponential(size=(300, 10)),
    "ring": ring(),
}
CLUSTERED = {
    "three blobs": ([3], make_blobs(300, centers=[[0, 0], [10, 0], [0, 10]], random_state=0)[0]),
    "570 and 30": ([2], np.vstack([RNG(0).standard_normal((570, 2)), RNG(1).standard_normal((30, 2)) + [10, 0]])),
    "two that touch": ([2], make_blobs(400, centers=[[0, 0], [4.5, 0]], random_state=1)[0]),
    "three that overlap": ([3], make_blobs(400, centers=[[0, 0], [3, 0], [1.5, 2.6]], random_state=1)[0]),
    "two pairs": ([2, 4], make_blobs(400, centers=[[0, 0], [5.2, 0], [0, 8], [5.2, 8]], random_state=3)[0]),
    "five at a score of 0.04": ([5], fit_pca(in_many_dimensions(7), 50).points),
}


@pytest.mark.parametrize("X", STRUCTURELESS.values(), ids=STRUCTURELESS)
def test_no_k_where_there_is_nothing(X):
    decision = decide(link_valleys(X, range(2, 7)))
    assert decision.n_clusters is None and decision.levels.empty and decision.draws[0] > 0.9


@pytest.mark.parametrize(("levels", "X"), CLUSTERED.values(), ids=CLUSTERED)
def test_the_k_that_is_there(levels, X):
    decision = decide(link_valleys(X, range(2, 7)))
    assert decision.n_clusters == levels[-1] and set(levels) <= set(decision.levels.index)


def test_of_iris_it_says_that_there_are_clusters_and_names_none():
    decision = decide(link_valleys(load_iris().data, range(2, 7)))
    assert decision.n_clusters is None and decision.between == (2, 4) and decision.usual in (2, 3)


@pytest.fixture(scope="module")
def studied():
    """All criteria of three small groups, and their valleys."""
    X, k_values = make_blobs(120, centers=[[0, 0], [9, 0], [0, 9]], random_state=0)[0], range(2, 5)
    labels = (sweep := sweep_kmeans(X, k_values, n_init=3)).labels
    samples, valleys = silhouette_samples(X, labels), link_valleys(X, k_values)
    table = compare_criteria(
        sweep,
        silhouette_table(samples, labels),
        samples=samples,
        nulls=null_silhouettes(X, k_values, n_references=3, n_init=1),
        ceiling=silhouette_ceiling(X, labels),
        valleys=valleys,
        stable=stability(X, k_values, n_halvings=4),
        gap=gap_statistic(X, range(1, 5), n_references=5, n_init=1),
        indices=validity_indices(X, labels),
    )
    return table, valleys


def test_the_row_for_one_cluster_is_for_the_gap_alone(studied):
    table, valleys = studied
    assert table.index.tolist() == [1, 2, 3, 4] and table.loc[1, ["score", "inertia", "valley"]].isna().all()
    decision = verdict(table, valleys)
    assert decision.sentences["gap"] == "The gap statistic says k = 3."
    without = verdict(table.drop(index=1).drop(columns=["gap", "s"]), valleys)
    assert without.n_clusters == decision.n_clusters == 3 and "gap" not in without.sentences
    assert "gap" not in without.preferred
    one = verdict(table.assign(gap=[0.5, 0.1, 0.1, 0.1], s=0.01), valleys)
    assert one.preferred["gap"] == 1 and "need not be more than one cluster" in one.sentences["gap"]
    none = verdict(table.assign(gap=[0.1, 0.2, 0.3, 0.4], s=0.01), valleys)
    assert none.preferred["gap"] is None and "none up to 4" in none.sentences["gap"]


def test_every_topic_is_a_sentence_with_the_numbers_of_the_table(studied):
    table, valleys = studied
    sentences = verdict(table, valleys).sentences
    assert list(sentences) == [
        "conclusion", "levels", "draws", "strength", "preferences", "elbow", "disagreement", "gap", "stability",
        "indices",
    ]  # fmt: skip
    assert all(sentence.endswith(".") and "nan" not in sentence for sentence in sentences.values())
    row = table.loc[3]
    for number in ("score", "null_score", "null_score_high", "ceiling"):
        assert f"{row[number]:.3f}" in sentences["strength"]
    assert f"3 ({row['valley']:.2f})" in sentences["levels"]
    assert sentences["stability"].endswith(f"at k = 3, by an adjusted Rand index of {row['stability']:.2f}.")
    assert f"Davies-Bouldin prefers k = {table['davies_bouldin'].idxmin()}." in sentences["indices"]


def test_the_largest_k_tried_is_told_to_be_no_optimum(studied):
    table, valleys = studied
    remark = "A criterion that prefers the largest k tried might prefer a larger one still."
    peaked, last = table.index == 3, table.index == table.index[-1]
    for column, topic in [("positive", "preferences"), ("calinski_harabasz", "indices"), ("davies_bouldin", "indices")]:
        sign = -1 if column == "davies_bouldin" else 1
        for best, is_told in ((peaked, False), (last, True)):
            changed = table.assign(
                score=1.0 * peaked,
                macro=1.0 * peaked,
                positive=1.0 * peaked,
                calinski_harabasz=1.0 * peaked,
                davies_bouldin=-1.0 * peaked,
            ).assign(**{column: sign * 1.0 * best})
            assert verdict(changed, valleys).sentences[topic].endswith(remark) == is_told


def test_neither_nulls_nor_other_criteria_vote(studied):
    """Whatever the rest of the table says, the valleys decide."""
    table, valleys = studied
    worse = table.assign(null_score=0.99, null_score_high=1.0, stability=0.0, strength=0.0, ceiling=0.1, gap=0.0)
    assert verdict(worse, valleys).decision.draws.equals(verdict(table, valleys).decision.draws)
    assert verdict(worse, valleys).n_clusters == 3


def test_no_function_of_the_verdict_takes_labels_of_images():
    """What they take is a sweep's clusterings at the most; `label_agreement` stands apart."""
    for function in (verdict, decide, named_level, convenient_k, compare_criteria, link_valleys):
        names = set(inspect.signature(function).parameters)
        assert not names & {"labels", "truth", "y", "classes", "images"}


# --- what the table is made of ----------------------------------------------------------------------------------------


def test_paired_errors_by_definition():
    samples, labels = RNG(0).uniform(-1, 1, (3, 60)), np.stack([np.arange(60) % k for k in (2, 3, 4)])
    errors = paired_errors(samples, labels)
    best = samples.mean(axis=1).argmax()
    expected = (samples - samples[best]).std(axis=1, ddof=1) / np.sqrt(60)
    np.testing.assert_allclose(errors["paired_error"], expected)
    assert (errors["paired_macro_error"] == 0).sum() == 1


def test_paired_errors_by_bootstrap():
    """The spread of both differences over resampled samples, score and macro."""
    X = make_blobs(400, centers=3, cluster_std=3, random_state=1)[0]
    labels = sweep_kmeans(X, [2, 3, 5]).labels
    samples = silhouette_samples(X, labels)
    errors, rng = paired_errors(samples, labels), RNG(0)
    tables = []
    for _ in range(600):
        rows = rng.integers(400, size=400)
        tables.append(silhouette_table(samples[:, rows], labels[:, rows]))
    for value, error in (("score", "paired_error"), ("macro", "paired_macro_error")):
        best = silhouette_table(samples, labels)[value].idxmax()
        behind = np.stack([table[value] - table.loc[best, value] for table in tables])
        np.testing.assert_allclose(errors[error], behind.std(axis=0), rtol=0.12, atol=1e-12)


def test_nulls_of_the_table_are_the_strictest():
    X = make_blobs(120, centers=3, random_state=1)[0]
    sweep = sweep_kmeans(X, [2, 3], n_init=2)
    nulls = null_silhouettes(X, [2, 3], n_references=4)
    table = compare_criteria(sweep, silhouette_table(silhouette_samples(X, sweep.labels), sweep.labels), nulls=nulls)
    assert table.loc[3, "null_score"] == pytest.approx(nulls.score[:, :, 1].mean(axis=1).max())
    assert table.loc[2, "null_macro_high"] == pytest.approx(nulls.macro[:, :, 0].max())


def test_indices_of_wine_as_published():
    """The package composite-silhouette gives 70.94 and 1.3892 for wine, standardised, k = 3."""
    from sklearn.datasets import load_wine

    X = normalize_features(load_wine().data, "standard")
    row = validity_indices(X, sweep_kmeans(X, [3]).labels).loc[3]
    assert row["calinski_harabasz"] == pytest.approx(70.94, abs=0.005)
    assert row["davies_bouldin"] == pytest.approx(1.3892, abs=5e-5)


def test_label_agreement():
    truth = np.array(["a", "a", "b", "b", "c", "c"])
    table = label_agreement(np.array([[0, 0, 1, 1, 1, 1], [2, 2, 0, 0, 1, 1]]), truth)
    assert table.index.tolist() == [2, 3]
    assert table.loc[3].tolist() == pytest.approx([1, 1, 1, 1])
    # Two classes in one cluster: complete, and not homogeneous.
    assert table.loc[2, "completeness"] == pytest.approx(1) and table.loc[2, "homogeneity"] < 0.7
    assert table.loc[2, "adjusted_rand"] == pytest.approx(4 / 9)
