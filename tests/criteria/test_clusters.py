"""Clusters described for a reader: their names, their members, and what two halves of the samples make of them."""

from __future__ import annotations

import numpy as np
import pandas as pd

from helpers.criteria.clusters import (
    best_middle_worst,
    cluster_facts,
    cluster_names,
    drawn_by_halves,
    nesting,
    weakest_words,
)
from helpers.criteria.halves import cluster_halves

LABELS = np.array([0] * 10 + [1] * 4 + [2])
SILHOUETTE = np.linspace(0.9, -0.5, len(LABELS))
ISLANDS = np.random.default_rng(0).normal(size=(90, 2)) + np.repeat([[0, 0], [99, 0], [0, 99]], 30, axis=0)


def test_members_are_the_best_the_middle_and_the_worst_of_a_cluster():
    shuffled = np.random.default_rng(0).permutation(len(LABELS))
    chosen = best_middle_worst(SILHOUETTE[shuffled], LABELS[shuffled], 0)
    assert shuffled[chosen].tolist() == [0, 1, 4, 5, 8, 9]
    assert best_middle_worst(SILHOUETTE, LABELS, 1).tolist() == [10, 11, 12, 13]
    assert best_middle_worst(SILHOUETTE, LABELS, 2).tolist() == [14]


def test_the_weakest_clusters_are_told_and_that_they_are_single_images():
    def told(sizes, means):
        clusters = pd.DataFrame({"size": sizes, "mean": means})
        return weakest_words(clusters, pd.Series([f"cluster {i}" for i in clusters.index]))

    by_definition = "a single image, whose silhouette is 0 by definition"
    assert told([5, 1, 1], [0.3, 0.0, 0.0]) == f"The weakest are 2 of the 3 clusters, each of {by_definition}"
    assert (
        told([5, 4, 1], [0.3, 0.0, 0.0]) == "The weakest are 2 of the 3 clusters, each with the mean silhouette 0.000"
    )
    assert told([5, 4, 1], [0.3, -0.1, 0.0]) == "The weakest is cluster 1: its mean silhouette is \N{MINUS SIGN}0.100"


def test_names_come_from_the_label_that_most_images_share():
    truth = np.array(list("aaaaaaabbc" + "aabb" + "c"))
    assert cluster_names(LABELS, truth).tolist() == [
        "cluster 0: a, 70%",
        "cluster 1: a and b alike",
        "cluster 2: c, 100%",
    ]
    assert cluster_names(LABELS, None).tolist() == ["cluster 0", "cluster 1", "cluster 2"]
    assert cluster_names(LABELS, np.arange(len(LABELS)).astype(str))[0] == "cluster 0: no label prevails"


def test_facts_of_clusters():
    truth = np.array(list("aaaaaabbcd" + "aabb" + "c"))
    details = {"weight": np.arange(15.0), "place": np.array(["x"] * 15)}
    clusters = pd.DataFrame({"size": [10, 4, 1]}, index=pd.Index([0, 1, 2], name="cluster"))
    facts = cluster_facts(clusters, LABELS, truth, details)
    assert facts.columns.tolist() == ["size", "labels", "weight"] and facts["size"].equals(clusters["size"])
    assert facts.loc[0, "labels"] == "a: 60%, b: 20%, 2 more"
    assert facts["weight"].tolist() == [4.5, 11.5, 14]
    assert cluster_facts(clusters, LABELS, None, {}).equals(clusters)


def test_two_halves_of_islands_divide_all_points_alike():
    first, second = drawn_by_halves(ISLANDS, cluster_halves(ISLANDS, [2, 3]), 3)
    np.testing.assert_array_equal(first, second)
    assert sorted(np.unique(first, return_counts=True)[1]) == [30, 30, 30]


def test_halves_that_are_too_small_draw_nothing():
    assert drawn_by_halves(ISLANDS[:5], cluster_halves(ISLANDS[:5], [2, 4]), 4) is None


def test_clusters_of_halves_have_each_number_once():
    cloud = np.random.default_rng(1).normal(size=(80, 3))
    first, second = drawn_by_halves(cloud, cluster_halves(cloud, [6]), 6)
    assert set(first) <= set(range(6)) and set(second) <= set(range(6)) and len(set(second)) >= 5
    assert 0.3 < (first == second).mean() < 1


def test_nesting():
    assert nesting(np.array([0, 1, 2, 2]), np.array([0, 0, 1, 1])) == 1
    assert nesting(np.array([0, 0, 1, 1]), np.array([0, 1, 0, 1])) == 0.5
