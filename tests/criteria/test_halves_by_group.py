"""Halves and links where samples belong together: bursts are not divided, and are no islands."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.distance import cdist

from helpers.core.groups import encode_groups
from helpers.criteria import halves as module
from helpers.criteria.halves import cluster_halves, link_valleys, stability

RNG = np.random.default_rng
SIZES = [1, 2, 7, 30, 5, 5, 1, 12, 20, 9, 3, 3, 17, 8, 25, 2]
GROUPS = np.repeat(np.arange(len(SIZES)), SIZES)[RNG(0).permutation(150)]
BURSTS = RNG(1).normal(size=(16, 3))[GROUPS] + 0.05 * RNG(2).normal(size=(150, 3))


def test_no_halving_divides_a_group():
    halves = cluster_halves(BURSTS, [2, 3], groups=GROUPS)
    for half, rows in enumerate(halves.rows):
        assert not set(GROUPS[rows]) & set(GROUPS[halves.rows[halves.other(half)]])
        np.testing.assert_array_equal(halves.groups_of(half), encode_groups(GROUPS, 150)[rows])
    assert cluster_halves(BURSTS, [2, 3]).groups_of(0) is None


@pytest.mark.parametrize("n_neighbors", [1, 4, 10, 200])
@pytest.mark.parametrize("at_once", [7, 1000])
def test_links_are_those_to_the_nearest_samples_of_other_groups(n_neighbors, at_once, monkeypatch):
    monkeypatch.setattr(module, "ROWS_AT_ONCE", at_once)
    distances = np.where(GROUPS[:, np.newaxis] == GROUPS, np.inf, cdist(BURSTS, BURSTS))
    nearest = [[j for j in np.argsort(row)[:n_neighbors] if row[j] < np.inf] for row in distances]
    expected = {tuple(sorted((i, int(j)))) for i, row in enumerate(nearest) for j in row}
    links = module._links(BURSTS, n_neighbors, GROUPS)
    assert set(map(tuple, links.tolist())) == expected and len(links) == len(expected)
    assert (GROUPS[links[:, 0]] != GROUPS[links[:, 1]]).all()


def test_links_of_samples_by_themselves_are_those_without_groups():
    X = RNG(3).normal(size=(80, 4))
    np.testing.assert_array_equal(module._links(X, 10, np.arange(80)), module._links(X, 10))


def test_samples_of_one_group_have_no_links():
    assert module._links(BURSTS, 5, np.zeros(150, dtype=int)).shape == (0, 2)
    assert module._links(BURSTS[:0], 5, GROUPS[:0]).shape == (0, 2)


def test_bursts_are_no_islands():
    """Twelve scenes from one cloud, thirty pictures of each: they make islands of any number of scenes."""
    groups = np.repeat(np.arange(12), 30)
    X = RNG(0).normal(size=(12, 10))[groups] + 0.3 * RNG(1).normal(size=(360, 10))
    alone, together = (
        link_valleys(X, [2, 3, 4, 6], groups=each, n_halvings=4).table()["valley"] for each in (None, groups)
    )
    assert (alone > 0.8).all() and together.isna().tolist() == [True, False, False, False]
    assert (together.dropna() < 0).all()


@pytest.mark.parametrize("spread", [0, 1], ids=["groups alike", "groups that differ"])
def test_clusters_that_are_there_are_still_found(spread):
    """Three kinds of scenes, twenty scenes of each, ten pictures of each scene."""
    rng, groups = RNG(0), np.arange(600) // 10
    scenes = 9 * np.repeat([[0, 0], [1, 0], [0, 1]], 20, axis=0) + spread * rng.normal(size=(60, 2))
    X = scenes[groups] + rng.normal(size=(600, 2))
    assert link_valleys(X, [2, 3, 4], groups=groups).table()["valley"].loc[3] > 0.95
    assert stability(X, [2, 3, 4], groups=groups).table()["stability"].loc[3] > 0.95


def test_a_k_is_missing_where_groups_are_too_few_for_it():
    """Halves of two groups each, and every sample of a group at one place: two clusters at most."""
    X, groups = np.repeat(RNG(0).normal(size=(4, 2)), 30, axis=0), np.repeat(np.arange(4), 30)
    valleys = link_valleys(X, [2, 3], groups=groups).table()["valley"]
    assert np.isnan(valleys[3])


def test_halves_that_are_there_bring_their_groups():
    halves = cluster_halves(BURSTS, [2, 3], groups=GROUPS)
    there, anew = link_valleys(BURSTS, [2, 3], halves=halves), link_valleys(BURSTS, [2, 3], groups=GROUPS)
    np.testing.assert_array_equal(there.valley, anew.valley)
    np.testing.assert_array_equal(there.links, anew.links)
