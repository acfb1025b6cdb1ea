"""Gap, nulls and ceiling, on data whose answer is known."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.distance import cdist
from sklearn.datasets import load_iris, make_blobs
from sklearn.metrics import silhouette_score

from benchmarks.gap import MODELS
from helpers.clustering.silhouette import silhouette_estimate, silhouette_samples, silhouette_table
from helpers.clustering.sweep import sweep_kmeans
from helpers.core.cache import cached
from helpers.criteria import references
from helpers.criteria.references import (
    GAP_REFERENCES,
    _Cloud,
    _generators,
    _principal_cloud,
    gap_statistic,
    null_silhouettes,
    silhouette_ceiling,
)

RNG = np.random.default_rng
IRIS = load_iris().data
BLOBS = make_blobs(150, n_features=3, centers=[[0] * 3, [9] * 3, [-9, 9, -9]], random_state=0)[0]
GAP = {"n_references": 8, "n_init": 2}
THREE = RNG(0).normal(size=(60, 3)) + np.repeat(np.eye(3) * 9, 20, axis=0)


# --- gap --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("model", MODELS)
def test_gap_finds_the_clusters_of_tibshiranis_models(model):
    """Published: 1, 3, 4 and 2 clusters in (almost) every run of models 1, 2, 4 and 5, with PCA-aligned references."""
    k, draw = MODELS[model]
    found = [gap_statistic(draw(RNG(run)), range(1, 7), random_state=run, **GAP).n_clusters for run in range(3)]
    assert found.count(k) >= 2


def test_gap_with_uniform_references_fails_on_elongated_clusters():
    """Published: what the principal axes are for."""
    _, draw = MODELS["5: two elongated, in 3"]
    found = [
        gap_statistic(draw(RNG(run)), range(1, 7), references="uniform", random_state=run, **GAP).n_clusters
        for run in range(3)
    ]
    assert 2 not in found


def test_gap_is_what_its_formula_says():
    """One cluster is one mean: its inertia needs no k-means, for the data and for references of a known box."""
    X = RNG(0).uniform(size=(400, 2)) * [1, 3]
    gap = gap_statistic(X, [1, 2], references="uniform", n_references=40, n_init=1)
    table = gap.table()
    assert table.loc[1, "log_w"] == pytest.approx(np.log(((X - X.mean(axis=0)) ** 2).sum()), abs=1e-6)
    # The variance of a uniform variable is the square of its width over 12.
    assert table.loc[1, "expected"] == pytest.approx(np.log(400 * (np.ptp(X, axis=0) ** 2 / 12).sum()), abs=0.02)
    np.testing.assert_allclose(table["gap"], table["expected"] - table["log_w"])
    boxes = [_Cloud(X.astype(np.float32), np.zeros(2)).draw("uniform", rng) for rng in _generators(0, 40)]
    logs = [np.log(((box - box.mean(axis=0)) ** 2).sum()) for box in boxes]
    assert table.loc[1, "s"] == pytest.approx(np.std(logs) * np.sqrt(1 + 1 / 40), rel=1e-3)


def test_gap_rule():
    """The first k whose gap is not surpassed by more than s, not the k with the largest gap."""
    gap = gap_statistic(BLOBS, range(1, 6), **GAP)
    table = gap.table()
    reached = [k for k in range(1, 5) if table["gap"][k] >= table["gap"][k + 1] - table["s"][k + 1]]
    assert gap.n_clusters == reached[0] == 3
    assert gap_statistic(BLOBS, [1, 2], **GAP).n_clusters is None


def test_gap_of_copies_of_few_points_is_without_a_warning(recwarn):
    """Three points, of which three clusters have no inertia: its logarithm is that of 0."""
    gap = gap_statistic(np.repeat([[0.0, 0], [9, 0], [0, 9]], 10, axis=0), [1, 2, 3], n_references=3)
    assert gap.log_w[2] == -np.inf and gap.n_clusters != 2  # the gap of 3 is infinite
    assert [str(warning.message) for warning in recwarn] == []


@pytest.mark.parametrize(
    ("k_values", "options", "words"),
    [
        ([2, 3], {}, "needs 1 and others, in ascending order"),
        ([1, 3, 2], {}, "needs 1 and others, in ascending order"),
        ([1, 2, 2], {}, "needs 1 and others, in ascending order"),
        ([1], {}, "needs 1 and others, in ascending order"),
        ([1, 2], {"references": "box"}, "allowed are 'pca' and 'uniform'"),
        ([1, 2], {"n_references": 1}, "at least 2"),
    ],
)
def test_gap_refuses(k_values, options, words):
    with pytest.raises(ValueError, match=words):
        gap_statistic(BLOBS, k_values, **options)


# --- nulls ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["uniform", "gaussian", "elliptical"])
def test_a_reference_has_the_shape_of_the_data_and_no_clusters(kind):
    X = RNG(1).standard_normal((4000, 3)) * [5, 2, 0.5] @ np.linalg.qr(RNG(2).standard_normal((3, 3)))[0] + [9, 0, 7]
    cloud = _principal_cloud(X)
    drawn = cloud.draw(kind, RNG(0))
    if kind == "uniform":
        np.testing.assert_allclose(drawn.max(axis=0)[:3], cloud.points.max(axis=0)[:3], rtol=0.02)
    else:
        np.testing.assert_allclose(drawn.std(axis=0)[:3], [5, 2, 0.5], rtol=0.05)
    assert np.abs(np.corrcoef(drawn[:, :3].T) - np.eye(3)).max() < 0.06
    assert (drawn[:, 3] == 0).all()


@pytest.mark.parametrize("shape", [(30, 5), (12, 40)], ids=["tall", "wide"])
def test_principal_axes_keep_distances_and_angles(shape):
    X = RNG(0).standard_normal(shape) + 3
    cloud = _principal_cloud(X)
    np.testing.assert_allclose(cdist(cloud.points, cloud.points), cdist(X, X), atol=1e-4)
    rotated = cloud.points + cloud.mean
    np.testing.assert_allclose(cdist(rotated, rotated, "cosine"), cdist(X, X, "cosine"), atol=1e-5)


def test_elliptical_reference_has_the_tails_of_the_data():
    """Norms that vary more than a Gaussian's are kept, with the covariance; those that vary less are not forced on."""
    heavy = RNG(0).standard_normal((3000, 60)) * np.exp(0.6 * RNG(1).standard_normal((3000, 1)))
    cloud = _principal_cloud(heavy)
    drawn = cloud.draw("elliptical", RNG(2))
    spread = np.log(np.linalg.norm(drawn, axis=1)).std()
    assert spread == pytest.approx(np.log(np.linalg.norm(heavy, axis=1)).std(), rel=0.03)
    assert drawn.var() == pytest.approx(cloud.points.var(), rel=0.15)
    light = _principal_cloud(RNG(0).uniform(-1, 1, size=(500, 2)))
    np.testing.assert_allclose(light.draw("elliptical", RNG(3)), light.draw("gaussian", RNG(3)), rtol=1e-6)


def test_nulls_go_the_way_of_the_features():
    """Structureless features fare as their references do, and clusters better than all of them."""
    noise = RNG(0).standard_normal((300, 100))
    for X, n_components, is_above in ((noise, 10, False), (np.hstack([BLOBS] * 2), 3, True)):
        nulls = null_silhouettes(X, [2, 3], n_components=n_components, n_references=6)
        points = _principal_cloud(X).points[:, :n_components]
        labels = sweep_kmeans(points, [2, 3]).labels
        score = silhouette_score(X, labels[1])
        assert (score > nulls.score[:, :, 1].max()) == is_above
        assert score > nulls.score[1, :, 1].min() - 0.005


def test_null_table_summarises_the_references():
    nulls = null_silhouettes(BLOBS, [2, 4], n_references=5)
    assert nulls.score.shape == nulls.macro.shape == nulls.positive.shape == (3, 5, 2)
    row = nulls.table().loc[("gaussian", 4)]
    assert row["macro"] == pytest.approx(nulls.macro[1, :, 1].mean())
    assert row["score_high"] == nulls.score[1, :, 1].max() and row["score_low"] == nulls.score[1, :, 1].min()
    assert row["positive_low"] == nulls.positive[1, :, 1].min()
    assert row["macro_low"] < row["macro"] < row["macro_high"]


def test_cosine_nulls_see_the_origin():
    """Far from the origin, all directions are one: the metric of the nulls is that of the silhouettes."""
    near = null_silhouettes(BLOBS, [3], n_references=2, metric="cosine")
    far = null_silhouettes(BLOBS + 1000, [3], n_references=2, metric="cosine")
    euclidean = null_silhouettes(BLOBS, [3], n_references=2)
    assert np.abs(near.score - far.score).max() > 0.05
    np.testing.assert_allclose(euclidean.score, null_silhouettes(BLOBS + 1000, [3], n_references=2).score, atol=1e-3)


@pytest.mark.parametrize("metric", ["euclidean", "cosine"])
def test_silhouettes_of_large_references_are_estimated_within_their_error(metric):
    X = (RNG(0).standard_normal((5000, 6)) * [4, 3, 2, 1, 1, 1] + 2).astype(np.float32)
    labels = sweep_kmeans(X, [2, 5, 9], n_init=1).labels
    given = references._measures(X, labels, metric, 0)
    exact = silhouette_table(silhouette_samples(X, labels, metric=metric), labels)
    estimates = silhouette_estimate(X, labels, n_rows=references.N_ESTIMATE_ROWS, metric=metric)
    macro_errors = [np.sqrt((each.cluster_errors**2).sum()) / len(each.cluster_errors) for each in estimates]
    errors = {
        "score": np.array([each.standard_error for each in estimates]),
        "macro": np.array(macro_errors),
        "positive": np.sqrt(exact["positive"] * (1 - exact["positive"]) / references.N_ESTIMATE_ROWS).to_numpy(),
    }
    for name, error in errors.items():
        off = np.abs(given[name].to_numpy() - exact[name].to_numpy())
        assert (off < 4 * error).all() and 0 < off.max() < 0.02, name


def test_silhouettes_of_small_references_are_exact():
    X = RNG(0).standard_normal((references.MAX_EXACT_SAMPLES, 2)).astype(np.float32)
    labels = sweep_kmeans(X, [3], n_init=1).labels
    given = references._measures(X, labels, "euclidean", 0)
    assert given["score"].item() == silhouette_samples(X, labels).mean()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(references, "MAX_EXACT_SAMPLES", 100)
        assert references._measures(X, labels, "euclidean", 0)["score"].item() != given["score"].item()


def test_large_references_measure_what_exact_ones_do(monkeypatch):
    X = make_blobs(600, n_features=4, centers=3, random_state=0)[0]
    exact = null_silhouettes(X, [2, 4], n_references=3)
    monkeypatch.setattr(references, "MAX_EXACT_SAMPLES", 500)
    monkeypatch.setattr(references, "N_ESTIMATE_ROWS", 300)
    given = null_silhouettes(X, [2, 4], n_references=3)
    for name in references.NULL_MEASURES:
        np.testing.assert_allclose(getattr(given, name), getattr(exact, name), atol=0.1)
        assert not np.array_equal(getattr(given, name), getattr(exact, name))


def test_references_have_some_samples_of_very_many(monkeypatch):
    X = RNG(0).standard_normal((3000, 4)) * [4, 3, 2, 1]
    whole = null_silhouettes(X, [2, 4], n_references=4)
    monkeypatch.setattr(references, "MAX_REFERENCE_SAMPLES", 1000)
    drawn = []

    def measured(X, *args, **kwargs):
        drawn.append(len(X))
        return silhouette_samples(X, *args, **kwargs)

    monkeypatch.setattr(references, "silhouette_samples", measured)
    some = null_silhouettes(X, [2, 4], n_references=4, n_jobs=1)
    assert set(drawn) == {1000}
    np.testing.assert_allclose(some.score.mean(axis=1), whole.score.mean(axis=1), atol=0.02)


@pytest.mark.parametrize("metric", ["euclidean", "cosine"])
@pytest.mark.parametrize("unit", [1e-30, 1e30, 1e100])
def test_nulls_have_no_unit(unit, metric):
    options = {"n_references": 1, "metric": metric}
    expected, found = (null_silhouettes(rows, [2, 3], **options) for rows in (THREE, THREE * unit))
    np.testing.assert_allclose(found.score, expected.score, atol=1e-5)


@pytest.mark.parametrize("kind", GAP_REFERENCES)
@pytest.mark.parametrize("changed", [THREE + 1e8, THREE * 1e30, THREE * 1e-30], ids=["offset", "large", "small"])
def test_a_gap_has_no_unit_and_no_origin(changed, kind):
    options = {"n_references": 2, "references": kind}
    expected, found = (gap_statistic(rows, [1, 2, 3, 4], **options).table()["gap"] for rows in (THREE, changed))
    np.testing.assert_allclose(found, expected, atol=1e-5)


@pytest.mark.parametrize("metric", ["euclidean", "sqeuclidean", "cosine"])
@pytest.mark.parametrize("unit", [1e-160, 1e160])
def test_a_ceiling_has_no_unit(unit, metric):
    labels = np.repeat([0, 1, 2], 20)
    expected, found = (silhouette_ceiling(rows, labels, metric=metric) for rows in (THREE, THREE * unit))
    assert found.ceiling == pytest.approx(expected.ceiling, abs=1e-12)


def test_no_nulls_without_a_reference():
    with pytest.raises(ValueError, match="at least 1"):
        null_silhouettes(BLOBS, [2], n_references=0)


# --- ceiling ----------------------------------------------------------------------------------------------------------


def bounds_by_definition(distances):
    """The largest silhouette of each sample over sizes of its cluster: nearest samples in it, all others outside."""
    n = len(distances)
    best = np.zeros((n, n))
    for i, row in enumerate(distances):
        others = np.sort(np.delete(row, i))
        for size in range(2, n):
            best[i, size] = 1 - others[: size - 1].mean() / others[size - 1 :].mean()
    return best


@pytest.mark.parametrize("metric", ["euclidean", "cosine"])
def test_ceiling_by_its_definition(metric):
    X = RNG(0).standard_normal((25, 3))
    labels = np.stack([np.arange(25) % 3, np.minimum(np.arange(25), 2)])
    ceiling = silhouette_ceiling(X, labels, metric=metric)
    best = bounds_by_definition(cdist(X, X, metric))
    assert ceiling.ceiling == pytest.approx(best.max(axis=1).mean())
    # Clusters of 9, 8 and 8; and of 23, 1 and 1, where one sample alone scores 0.
    expected = [np.maximum(best[:, 9], best[:, 8]).mean(), best[:, 23].mean()]
    np.testing.assert_allclose(ceiling.by_sizes, expected)
    assert ceiling.n_rows == 25 and ceiling.standard_error == 0


@pytest.mark.parametrize("X", [IRIS, BLOBS, RNG(0).standard_normal((100, 50))], ids=["iris", "blobs", "noise"])
def test_no_score_is_above_its_ceiling(X):
    labels = sweep_kmeans(X, range(2, 8), n_init=2).labels
    ceiling = silhouette_ceiling(X, labels)
    scores = [silhouette_score(X, row) for row in labels]
    assert (ceiling.by_sizes >= np.array(scores) - 1e-12).all()
    assert (ceiling.ceiling >= ceiling.by_sizes - 1e-12).all()


def test_ceiling_is_reached_by_perfect_clusters():
    X = np.repeat([[0.0, 0], [1, 0], [0, 1]], 5, axis=0)
    # Of 15 points, 4 lie on each point: its nearest at 0, so nothing is better.
    assert silhouette_ceiling(X, np.repeat([0, 1, 2], 5)).by_sizes == pytest.approx(1)


def test_ceiling_from_some_rows():
    X = RNG(0).standard_normal((800, 4))
    labels = sweep_kmeans(X, [3], n_init=1).labels
    exact = silhouette_ceiling(X, labels)
    some = silhouette_ceiling(X, labels, n_rows=200)
    assert some.n_rows == 200 and 0 < some.standard_error < 0.02
    assert abs(some.ceiling - exact.ceiling) < 4 * some.standard_error


@pytest.mark.parametrize(("n_labels", "n_rows"), [(149, 100), (150, 1)])
def test_ceiling_refuses(n_labels, n_rows):
    with pytest.raises(ValueError, match="are not possible for the 150 rows of X"):
        silhouette_ceiling(BLOBS, np.zeros(n_labels), n_rows=n_rows)


# --- all of them ------------------------------------------------------------------------------------------------------

LABELS = sweep_kmeans(IRIS, [2, 3], n_init=1).labels
CALLS = {
    "gap": (gap_statistic, (IRIS, [1, 2, 3]), {"n_references": 3}),
    "nulls": (null_silhouettes, (IRIS, [2, 3]), {"n_references": 2}),
}


def fields(result):
    """What a result holds, by name."""
    return {name: np.asarray(value) for name, value in vars(result).items()}


@pytest.mark.parametrize(("function", "given", "options"), CALLS.values(), ids=CALLS)
def test_jobs_do_not_change_a_result_and_the_seed_does(function, given, options):
    once, twice = (fields(function(*given, **options, n_jobs=jobs)) for jobs in (1, 2))
    other = fields(function(*given, **options, random_state=7))
    for name, value in once.items():
        np.testing.assert_array_equal(value, twice[name])
    assert any(not np.array_equal(value, other[name]) for name, value in once.items())


@pytest.mark.parametrize(
    ("function", "given", "options"),
    [*CALLS.values(), (silhouette_ceiling, (IRIS, LABELS), {})],
    ids=[*CALLS, "ceiling"],
)
def test_results_come_back_from_the_cache(function, given, options, tmp_path):
    first, second = (fields(cached(function, *given, cache_dir=tmp_path, **options)) for _ in range(2))
    assert len(list(tmp_path.rglob("*.npz"))) == 1
    for name, value in first.items():
        np.testing.assert_array_equal(value, second[name])
