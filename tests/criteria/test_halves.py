"""What one half says about the other: formulas against their definitions, and clouds whose answer is known."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.distance import cdist
from scipy.stats import special_ortho_group
from sklearn.metrics import adjusted_rand_score

from helpers.clustering.sweep import sweep_kmeans
from helpers.core.cache import cached
from helpers.core.scheduling import run_tasks
from helpers.criteria import halves as module
from helpers.criteria.halves import LinkValleys, Stability, border_profile, cluster_halves, link_valleys, stability
from helpers.criteria.rule import decide
from helpers.criteria.table import DEEP

RNG = np.random.default_rng
THREE = RNG(0).normal(size=(150, 3)) + 12 * np.eye(3)[np.arange(150) % 3]
FIVE = RNG(1).normal(size=(300, 10)) + 12 * np.eye(10)[np.arange(300) % 5]
FUNCTIONS = {"halves": cluster_halves, "valleys": link_valleys, "stability": stability}


def parts(result):
    """The numbers of a result, by name; a list of arrays as one array, one after the other."""
    flat = {name: value if isinstance(value, list) else [value] for name, value in vars(result).items()}
    return {name: np.concatenate([np.ravel(array) for array in arrays]) for name, arrays in flat.items()}


def assert_equal(first, second):
    """Check that two results hold the same numbers."""
    for name, value in parts(first).items():
        np.testing.assert_array_equal(value, parts(second)[name])


# --- halves -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("n", [30, 31])
def test_halves_share_no_sample_and_leave_none_out(n):
    halves = cluster_halves(THREE[:n], [2], n_halvings=5)
    assert len(halves.rows) == 10
    for half, rows in enumerate(halves.rows):
        both = np.concatenate([rows, halves.rows[halves.other(half)]])
        assert len(rows) in (n // 2, n - n // 2) and sorted(both) == list(range(n))
    assert len({tuple(rows) for rows in halves.rows}) == 10


def test_groups_are_never_divided_and_the_halves_are_about_as_large():
    groups = np.repeat(np.array(["a", "b", "c", "d", "e", "f", "g"]), [10, 20, 30, 5, 5, 15, 15])[
        RNG(0).permutation(100)
    ]
    halves = cluster_halves(THREE[:100], [2], groups=groups, n_halvings=6)
    for first, second in zip(halves.rows[::2], halves.rows[1::2]):
        assert not set(groups[first]) & set(groups[second])
        assert sorted([*first, *second]) == list(range(100)) and 30 <= len(first) <= 70
    assert len({tuple(rows) for rows in halves.rows}) > 2


@pytest.mark.parametrize("groups", [None, np.arange(150) // 5, np.arange(150) // 75], ids=["none", "small", "large"])
def test_a_halving_draws_few_of_many_samples(groups, monkeypatch):
    monkeypatch.setattr(module, "MOST_SAMPLES", 40)
    halves = cluster_halves(THREE, [2], groups=groups, n_halvings=3)
    for first, second in zip(halves.rows[::2], halves.rows[1::2]):
        assert len(first) == len(second) == 20 and not set(first) & set(second)
        assert groups is None or not set(groups[first]) & set(groups[second])
    assert len(np.unique(np.concatenate(halves.rows))) > 40


def test_each_half_is_clustered_by_itself():
    halves = cluster_halves(THREE, [2, 4, 3], n_halvings=2, n_init=2, random_state=3)
    for half, rows in enumerate(halves.rows):
        alone = sweep_kmeans(THREE[rows], [2, 4, 3], n_init=2, random_state=3)
        for given, expected in zip(halves.centers_for(half), alone.centers, strict=True):
            np.testing.assert_array_equal(given, expected)


def test_a_k_that_a_half_has_too_few_points_for_is_missing():
    halves = cluster_halves(THREE[:12], [2, 6, 7, 1], n_halvings=2)
    for half in range(4):
        missing = [np.isnan(centers).all() for centers in halves.centers_for(half)]
        assert missing == [False, False, True, False]
    # Copies of a point are one point to k-means, and one half may not have a point for any k.
    for X, k_values in ((np.repeat(THREE[:3], 20, axis=0), [3, 4]), (THREE[:3], [2, 3])):
        for half in range(2):
            centers = cluster_halves(X, k_values, n_halvings=1).centers_for(half)
            assert np.isnan(centers[1]).all() and not np.isinf(centers[0]).any()
    assert np.isnan(cluster_halves(THREE[:3], [2], n_halvings=1).centers[0]).all()


@pytest.mark.parametrize(
    ("X", "k_values", "options", "words"),
    [
        (THREE, [], {}, r"k_values = \[\] with n_halvings = 8 are not possible: at least one of each"),
        (THREE, [0, 2], {}, "and k from 1"),
        (THREE, [2], {"n_halvings": 0}, "with n_halvings = 0 are not possible"),
        (THREE, [2], {"groups": [1, 2]}, "groups has 2 entries, and must have one entry for each of the 150 samples"),
        (THREE, [2], {"groups": np.zeros(150)}, "groups makes 1 group of 150 samples, and .* need at least 2"),
        (THREE, [2.5], {}, "must be whole numbers"),
        (np.where(THREE > 12, np.nan, THREE), [2], {}, "X contains NaN"),
        (THREE[:1], [1], {}, "a minimum of 2 is required"),
    ],
)
def test_what_cannot_be_halved_is_refused(X, k_values, options, words):
    with pytest.raises(ValueError, match=words):
        cluster_halves(X, k_values, **options)


@pytest.mark.parametrize("function", [cluster_halves, link_valleys, stability, border_profile])
def test_masked_values_are_refused(function):
    """With halves that are there already, too."""
    halves, masked = cluster_halves(THREE, [2], n_halvings=1), np.ma.masked_greater(THREE, 12)
    n = np.ma.count_masked(masked)
    with pytest.raises(ValueError, match=f"^X has {n} masked values: fill them, or leave out their rows.$"):
        if function is border_profile:
            border_profile(masked, halves, 2)
        else:
            function(masked, [2], **({} if function is cluster_halves else {"halves": halves}))


def test_groups_of_one_sample_each_are_no_groups():
    alone = cluster_halves(THREE, [2], groups=np.arange(150)[::-1], n_halvings=2)
    assert alone.groups is None
    assert_equal(alone, cluster_halves(THREE, [2], n_halvings=2))


# --- valleys, by their definition -------------------------------------------------------------------------------------


def links_by_definition(points, n_neighbors):
    """The links of a half: pairs of which one is among the nearest of the other."""
    pairs = set()
    for i, row in enumerate(cdist(points, points)):
        nearest = sorted((distance, j) for j, distance in enumerate(row) if j != i)[:n_neighbors]
        pairs |= {frozenset((i, j)) for _, j in nearest}
    return [tuple(pair) for pair in pairs]


def counts_by_definition(points, links, centers):
    """The valley, and the links inside, as the docstring of `link_valleys` counts them."""
    order = [sorted(range(len(centers)), key=lambda c, x=x: np.linalg.norm(x - centers[c])) for x in points]
    border, inside = np.zeros(len(centers)), np.zeros(len(centers))
    for i in range(len(centers)):
        for j in range(i + 1, len(centers)):
            rivals = [[second for first, second, *_ in order if first == own] for own in (i, j)]
            shares = [row.count(other) / len(row) if row else 0 for row, other in zip(rivals, (j, i))]
            if max(shares) < 0.25:
                continue
            c_i, c_j = centers[i], centers[j]
            t = [(x - (c_i + c_j) / 2) @ (c_j - c_i) / ((c_j - c_i) @ (c_j - c_i)) for x in points]
            own = [(t[a], t[b]) for a, b in links if {order[a][0], order[b][0]} <= {i, j}]

            def mean_across(*places, own=own):
                return np.mean([sum((a < place) != (b < place) for a, b in own) for place in places])

            for c in (i, j):
                border[c] += mean_across(-0.05, 0, 0.05)
                inside[c] += min(mean_across(-0.3, -0.4, -0.5), mean_across(0.3, 0.4, 0.5))
    valleys = [max(-1, 1 - b / i) if i else -1 for b, i in zip(border, inside) if b or i]
    return np.mean(valleys) if valleys else np.nan, inside.sum() / 2


CLOUDS = {
    "three groups": THREE[:60],
    "a cloud": RNG(2).normal(size=(70, 2)),
    "far from the origin": RNG(3).uniform(size=(50, 4)) + 500,
    "groups of other sizes": np.vstack([RNG(4).normal(size=(50, 2)), 0.3 * RNG(5).normal(size=(16, 2)) + [4, 3]]),
    "fewer than neighbours": RNG(6).normal(size=(15, 3)),
}


@pytest.mark.parametrize("X", CLOUDS.values(), ids=CLOUDS)
def test_valleys_are_what_their_formula_says(X):
    k_values, n_neighbors = [2, 3, 5], 8
    halves = cluster_halves(X, k_values, n_halvings=2)
    found = link_valleys(X, k_values, n_neighbors=n_neighbors, halves=halves)
    for halving in range(2):
        for column in range(3):
            counts = []
            for half in (2 * halving, 2 * halving + 1):
                points = X[halves.rows[half]]
                centers = halves.centers_for(halves.other(half))[column]
                counts.append(counts_by_definition(points, links_by_definition(points, n_neighbors), centers))
            (first, second), links = zip(*counts, strict=True)
            assert found.valley[halving, column] == pytest.approx((first + second) / 2, nan_ok=True)
            assert found.links[halving, column] == pytest.approx(sum(links))


def test_the_table_is_made_of_the_valleys_of_the_halvings():
    valley, links = (
        np.array([[0.5, 1, 0.2, 0.4], [0.25, 1, 0.9, np.nan]]),
        np.array([[20.0, 40, 4.9, 5], [40.0, 10, 90, np.nan]]),
    )
    valleys = LinkValleys(np.array([2, 3, 4, 5]), valley, links)
    np.testing.assert_allclose(valleys.by_halving, [[0.5, 1, np.nan, np.nan], [0.25, 1, np.nan, np.nan]])
    table = valleys.table()
    assert table.index.tolist() == [2, 3, 4, 5] and table.index.name == "n_clusters"
    np.testing.assert_allclose(table["valley"], [0.375, 1, np.nan, np.nan])
    np.testing.assert_allclose(table["valley_spread"], [np.std([0.5, 0.25], ddof=1), 0, np.nan, np.nan])
    np.testing.assert_allclose(table["links"], [30, 25, 47.45, np.nan])


def test_valleys_of_too_few_points_or_links_are_missing():
    valleys = link_valleys(THREE[:12], [2, 6, 7], n_halvings=3)
    assert valleys.table()["valley"].notna().tolist() == [True, False, False]
    assert 0 < valleys.links[:, 1].min() < module.FEWEST_LINKS and np.isnan(valleys.links[:, 2]).all()
    assert link_valleys(THREE[:3], [2]).table()["valley"].isna().all()
    copies = link_valleys(np.repeat(THREE[:3], 30, axis=0), [3, 4]).table()["valley"]
    assert np.isnan(copies[4])


# --- valleys of clouds whose answer is known --------------------------------------------------------------------------


def test_separated_groups_have_valleys_up_to_their_number():
    valley = link_valleys(FIVE, range(2, 9), n_halvings=4).table()["valley"]
    assert (valley.loc[:5] > 0.95).all() and valley[5] == valley.max()
    assert valley[6] < 0.85 * valley[5] and (valley.loc[7:] < DEEP).all()


def test_nine_islands_in_the_plane_are_nine():
    """Many points and few dimensions: a needless cut leaves its two clusters valleys slightly above 0."""
    places = np.array([[x, y] for x in (0, 30, 60) for y in (0, 30, 60)])
    X = RNG(0).normal(size=(3000, 2)) + places[np.arange(3000) % 9]
    assert decide(link_valleys(X, range(7, 12), n_halvings=4)).n_clusters == 9


@pytest.mark.parametrize("n_groups", [12, 15])
def test_one_needless_cut_among_many_islands_is_seen(n_groups):
    """In all links together it would make 1 / k, too little to be seen; each cluster has a voice."""
    X = RNG(n_groups).normal(size=(40 * n_groups, 20)) + 9 * np.eye(20)[np.arange(40 * n_groups) % n_groups]
    decision = decide(link_valleys(X, range(n_groups - 2, n_groups + 3)))
    assert decision.n_clusters == n_groups


def test_a_cluster_without_links_inside_counts_as_minus_one():
    """One link runs across the border, and none inside to compare it with."""
    points, centers = np.array([[1.0, 0], [4, 0], [6, 0], [9, 0]]), np.array([[0.0, 0], [10, 0]])
    assert module._valley_and_links(points, np.array([[1, 2]]), centers) == (-1.0, 0.0)
    assert np.isnan(module._valley_and_links(points, np.array([[0, 1]]), centers)[0])


WITHOUT_GROUPS = {
    "Gaussian, 2 dimensions": RNG(0).normal(size=(300, 2)),
    "Gaussian, 50 dimensions": RNG(0).normal(size=(300, 50)),
    "square": RNG(0).uniform(size=(300, 2)),
    "long": RNG(0).normal(size=(300, 2)) * [5, 1],
    "skewed": RNG(0).exponential(size=(300, 2)),
}


@pytest.mark.parametrize("X", WITHOUT_GROUPS.values(), ids=WITHOUT_GROUPS)
def test_a_cloud_has_no_valley_at_any_k(X):
    valley = link_valleys(X, range(2, 9), n_halvings=4).table()["valley"]
    assert valley.notna().all() and (valley < DEEP).all()


def test_valleys_do_not_drift_with_the_number_of_samples():
    def valley(*shape, gap=0.0):
        X = RNG(0).normal(size=shape)
        X[::2, 0] += gap
        return link_valleys(X, [2, 3], n_halvings=3).table()["valley"]

    small, large = valley(400, 2), valley(4000, 2)
    assert (small < DEEP).all() and (large < DEEP).all() and (small - large).abs().max() < 0.3
    assert valley(400, 2, gap=4.5)[2] > 0.45 and valley(4000, 2, gap=4.5)[2] > 0.45


def test_a_group_with_fewer_samples_in_a_half_than_links_is_not_seen():
    """The limit that the docstring names: three groups of 16 are joined, and of 40 they are islands."""

    def valley(size, n_neighbors):
        X = RNG(0).normal(size=(3 * size, 2)) + 15 * np.repeat([[0, 0], [1, 0], [0, 1]], size, axis=0)
        return link_valleys(X, [3], n_neighbors=n_neighbors).table().loc[3, "valley"]

    assert valley(16, 10) < DEEP < 0.9 < valley(16, 4)
    assert valley(40, 10) > 0.95


@pytest.mark.parametrize("move", ["offset", "scale", "rotation"])
def test_valleys_stay_as_they_are_if_all_points_are_moved_together(move):
    X = RNG(7).normal(size=(200, 4)) + 4 * np.eye(4)[np.arange(200) % 4]
    moved = {
        "offset": X + 1e4,
        "scale": X * 1e-5,
        "rotation": X @ special_ortho_group.rvs(4, random_state=0),
    }[move]
    before, after = (link_valleys(points, range(2, 7), n_halvings=3) for points in (X, moved))
    np.testing.assert_allclose(after.valley, before.valley, rtol=1e-9)
    np.testing.assert_allclose(after.links, before.links, rtol=1e-9)


@pytest.mark.parametrize(
    ("k_values", "options", "words"),
    [
        ([1, 2], {}, r"k_values = \[1, 2\] with n_neighbors = 10 are not possible: a border needs k = 2 or more"),
        ([], {}, r"k_values = \[\] with"),
        ([2], {"n_neighbors": 0}, "and links at least 1 neighbour"),
        ([2], {"n_halvings": 0}, "n_halvings = 0 are not possible"),
    ],
)
def test_valleys_that_are_not_possible_are_refused(k_values, options, words):
    with pytest.raises(ValueError, match=words):
        link_valleys(THREE, k_values, **options)


def test_the_profile_of_a_border_counts_its_links():
    halves = cluster_halves(THREE[:80], [2, 3], n_halvings=1)
    profile = border_profile(THREE[:80], halves, 3, n_neighbors=6)
    assert profile.t.shape == profile.aside.shape and profile.places[0] == -1 and profile.places[-1] == 1
    for place, count in zip(profile.places, profile.counts, strict=True):
        assert count == np.sum((profile.t[:, 0] < place) != (profile.t[:, 1] < place))
    assert profile.valley > 0.9
    few = cluster_halves(THREE[:12], [2, 7], n_halvings=1)
    assert border_profile(THREE[:12], few, 7) is None
    # With two clusters there is one border, and the half is the first of the halving.
    X = RNG(0).normal(size=(100, 2)) * [4, 1]
    halves = cluster_halves(X, [2], n_halvings=1)
    points = X[halves.rows[0]]
    valley, _ = counts_by_definition(points, links_by_definition(points, 10), halves.centers_for(1)[0])
    assert border_profile(X, halves, 2).valley == pytest.approx(valley)


# --- clusterings that are found again ---------------------------------------------------------------------------------


def test_groups_are_found_again_exactly_and_pieces_of_a_cloud_are_not():
    table = stability(THREE, [2, 3, 5], n_halvings=4).table()
    assert table.loc[3].tolist() == [1, 0, 1]
    assert (table.loc[[2, 5], "stability"] < 0.95).all() and table.loc[5, "strength"] < 0.8
    cloud = stability(RNG(0).normal(size=(200, 20)), [2, 4, 8], n_halvings=4).table()
    assert (cloud["stability"] < 0.3).all() and (cloud["strength"] < 0.8).all()
    assert (cloud["spread"] > 0).all()


def strength_by_pairs(labels, drawn):
    """The least share, over clusters with pairs, of pairs of samples that the other half puts together, too."""
    shares = []
    for cluster in set(labels):
        own = np.flatnonzero(labels == cluster)
        together = [drawn[a] == drawn[b] for a in own for b in own if a != b]
        shares += [np.mean(together)] if together else []
    return min(shares, default=np.nan)


@pytest.mark.parametrize("X", [THREE[:60], CLOUDS["a cloud"], CLOUDS["groups of other sizes"]])
def test_agreement_of_halves_by_its_definition(X):
    k_values = [2, 4, 9]
    halves = cluster_halves(X, k_values, n_halvings=2)
    found = stability(X, k_values, halves=halves)
    for halving in range(2):
        for column in range(3):
            values = []
            for half in (2 * halving, 2 * halving + 1):
                labels, drawn = (
                    cdist(X[halves.rows[half]], halves.centers_for(which)[column]).argmin(axis=1)
                    for which in (half, halves.other(half))
                )
                values.append((adjusted_rand_score(labels, drawn), strength_by_pairs(labels, drawn)))
            ari, strength = np.mean(values, axis=0)
            assert found.ari[halving, column] == pytest.approx(ari)
            assert found.strength[halving, column] == pytest.approx(strength)


def test_prediction_strength_of_few_labels():
    """A cluster of three of which two stay together: one pair of three; a cluster of one has no pair."""
    assert module._prediction_strength(np.array([0, 0, 0, 1]), np.array([5, 5, 7, 7])) == pytest.approx(1 / 3)
    assert module._prediction_strength(np.array([0, 0, 1, 1, 1]), np.array([0, 0, 1, 1, 1])) == 1
    assert np.isnan(module._prediction_strength(np.array([0, 1, 2]), np.array([0, 0, 0])))


def test_stability_is_missing_where_one_halving_has_none():
    found = Stability(np.array([2, 3]), np.array([[0.5, 0.2], [0.7, np.nan]]), np.array([[0.5, 0.2], [1, 0.4]]))
    table = found.table()
    assert table.loc[2].tolist() == pytest.approx([0.6, np.std([0.5, 0.7], ddof=1), 0.75])
    assert table.loc[3, ["stability", "spread"]].isna().all() and table.loc[3, "strength"] == pytest.approx(0.3)
    few = stability(THREE[:12], [2, 6, 7], n_halvings=2).table()
    assert few["stability"].notna().tolist() == [True, True, False]
    assert few["strength"].notna().tolist() == [True, False, False]  # six clusters of one


def test_one_halving_has_no_spread_and_no_warning(recwarn):
    halves = cluster_halves(THREE, [2, 3], n_halvings=1)
    for table, spread in (
        (stability(THREE, [2, 3], halves=halves).table(), "spread"),
        (link_valleys(THREE, [2, 3], halves=halves).table(), "valley_spread"),
    ):
        assert table.pop(spread).isna().all() and table.notna().all(axis=None)
    assert [str(warning.message) for warning in recwarn] == []


# --- all of them ------------------------------------------------------------------------------------------------------


def ask(name, seed, n_jobs=1):
    """A small question to one of the functions, also as a task."""
    return FUNCTIONS[name](CLOUDS["a cloud"], [2, 3], n_halvings=2, random_state=seed, n_jobs=n_jobs)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_neither_jobs_nor_an_outer_task_change_a_result_but_the_seed_does(name):
    first = ask(name, 0)
    assert_equal(first, ask(name, 0, n_jobs=2))
    within, other = run_tasks(ask, [(name, 0), (name, 1)], n_jobs=2)
    assert_equal(first, within)
    assert any(not np.array_equal(value, parts(other)[key]) for key, value in parts(first).items())


@pytest.mark.parametrize("function", [link_valleys, stability])
def test_halves_that_are_there_already_give_the_same(function):
    options = {"n_halvings": 2, "random_state": 5, "groups": np.arange(150) // 4}
    halves = cluster_halves(THREE, [2, 4], **options)
    assert_equal(function(THREE, [2, 4], **options), function(THREE, [2, 4], halves=halves))


@pytest.mark.parametrize("function", [link_valleys, stability])
def test_halves_for_other_k_are_refused(function):
    halves = cluster_halves(THREE, [2, 4], n_halvings=2)
    with pytest.raises(ValueError, match=r"halves of k_values = \[2, 4\] do not fit k_values = \[2, 3\]"):
        function(THREE, [2, 3], halves=halves)


@pytest.mark.parametrize("function", FUNCTIONS.values(), ids=FUNCTIONS)
def test_results_come_back_from_the_cache(function, tmp_path):
    first, second = (cached(function, THREE, [2, 3], n_halvings=2, cache_dir=tmp_path) for _ in range(2))
    assert len(list(tmp_path.rglob("*.npz"))) == 1
    assert_equal(first, second)
