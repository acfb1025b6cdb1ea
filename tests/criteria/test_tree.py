"""Trees of clusterings: which levels, which cluster goes where, and whether finer ones divide the coarser."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from helpers.criteria.tree import cluster_flows, nested_shares, tree_levels, tree_sentence

NESTED = np.repeat([[0, 0, 1, 1], [1, 2, 0, 0], [0, 1, 2, 3]], 30, axis=1)
INDEPENDENT = np.stack([np.random.default_rng(k).integers(0, k, 3000) for k in (3, 9)])


def test_each_image_is_on_one_branch_of_each_step():
    flows = cluster_flows(NESTED)
    assert flows.groupby("level")["size"].sum().tolist() == [120, 120]
    assert flows.loc[flows["level"] == 0, ["source", "target", "size"]].to_numpy().tolist() == [
        [0, 1, 30],
        [0, 2, 30],
        [1, 0, 60],
    ]
    assert flows.groupby(["level", "target"])["source"].nunique().eq(1).all()


def test_clusters_that_were_divided_are_nested_and_chance_is_told():
    shares = nested_shares(NESTED, [2, 3, 4])
    assert shares.index.tolist() == [(2, 3), (3, 4)] and shares["nested"].tolist() == [1, 1]
    assert shares["by_chance"].between(0.4, 0.75).all()
    sentence = tree_sentence(shares)
    assert sentence.startswith("From k = 2 to 3, 100% of the images are in the coarser cluster from which most of ")
    assert sentence.endswith(". The finer clusters divide the coarser ones.")


def test_independent_clusterings_are_as_nested_as_by_chance():
    shares = nested_shares(INDEPENDENT, [3, 9])
    (step,) = shares.itertuples()
    assert step.nested == pytest.approx(step.by_chance, abs=0.02) and step.nested < 0.45
    assert tree_sentence(shares).endswith(". The finer clusters partly cut across the coarser ones.")
    assert nested_shares(INDEPENDENT, [3, 9]).equals(shares)


def test_the_step_that_cuts_across_is_named():
    index = pd.MultiIndex.from_tuples([(2, 4), (4, 8), (8, 16)])
    sentence = tree_sentence(pd.DataFrame({"nested": [1.0, 0.8, 0.97], "by_chance": [0.6, 0.4, 0.3]}, index=index))
    assert "from 4 to 8, 80%, and from 8 to 16, 97%; by chance it would be 60%, 40% and 30%." in sentence
    assert sentence.endswith(" From 4 to 8 the finer clusters partly cut across the coarser ones.")
    assert tree_sentence(nested_shares(NESTED[:1], [2])) == "One level alone is no tree."


@pytest.mark.parametrize(
    ("k_values", "counting", "always", "levels"),
    [
        (range(2, 17), [], 5, [2, 3, 5, 10, 16]),
        (range(2, 17), [4], 4, [2, 4, 6, 10, 16]),
        (range(2, 17), [2, 3], 3, [2, 3, 16]),
        ([2, 4, 8, 16, 32, 64], [], 64, [2, 4, 8, 16]),
        ([100, 200], [100, 200], 200, [100]),
        ([7], [7], 7, [7]),
        (range(2, 257), range(2, 20), 19, [2, 4, 7, 13, 19]),
    ],
    ids=str,
)
def test_a_few_levels_from_small_to_large(k_values, counting, always, levels):
    assert tree_levels(k_values, list(counting), always) == levels
