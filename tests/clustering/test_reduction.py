"""Normalising, principal components, sampled distances, and the map."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.distance import pdist
from sklearn.decomposition import PCA
from threadpoolctl import threadpool_limits

from helpers.clustering.reduction import components_for, fit_pca, fit_umap, normalize_features, sample_distances

X = np.random.default_rng(0).normal(size=(60, 8)) * np.arange(1, 9) + 5


def test_unit_rows_have_length_one():
    scaled = normalize_features(X, "unit")
    assert scaled.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(scaled, axis=1), 1, atol=1e-6)


def test_standard_columns_have_variance_one_and_constant_ones_become_zero():
    scaled = normalize_features(np.hstack([X, np.full((60, 1), 7.0)]), "standard")
    np.testing.assert_allclose(scaled.mean(axis=0), 0, atol=1e-5)
    np.testing.assert_allclose(scaled.std(axis=0), [1] * 8 + [0], atol=1e-5)


def test_none_leaves_the_features():
    np.testing.assert_array_equal(normalize_features(X, "none"), X.astype(np.float32))


@pytest.mark.parametrize("how", ["none", "unit", "standard"])
def test_features_are_not_changed(how):
    before = X.copy()
    normalize_features(X, how)
    np.testing.assert_array_equal(X, before)


def test_a_row_of_zeros_stays():
    assert (normalize_features(np.vstack([X, np.zeros(8)]), "unit")[-1] == 0).all()


@pytest.mark.parametrize(
    ("features", "how", "message"),
    [
        (X, "unti", "how = 'unti' is not allowed; allowed are 'none', 'unit' and 'standard'"),
        ([[np.nan]], "unit", "contains NaN"),
        ([1.0], "unit", "Expected 2D array"),
    ],
)
def test_impossible_features_are_refused(features, how, message):
    with pytest.raises(ValueError, match=message):
        normalize_features(features, how)


def test_components_are_scikit_learns():
    ours, theirs = fit_pca(X, 3), PCA(3, svd_solver="full").fit(X)
    np.testing.assert_allclose(np.abs(ours.points), np.abs(theirs.transform(X)), rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(ours.explained_variance_ratio[:3], theirs.explained_variance_ratio_)
    assert len(ours.explained_variance_ratio) == 8


def test_more_components_than_there_are():
    assert fit_pca(X[:5], 50).points.shape == (5, 5)
    assert fit_pca(X, 50).points.shape == (60, 8)


def test_all_components_keep_all_distances():
    np.testing.assert_allclose(pdist(fit_pca(X, 8).points), pdist(X), rtol=1e-4)


@pytest.mark.parametrize("far", [1e6, 1e8, 1e12])
@pytest.mark.parametrize("features", ["in memory", "in a file"])
def test_one_far_value_costs_other_components_no_digits(far, features, tmp_path):
    rows = X.astype(np.float32)
    rows[7, 3] = far
    if features == "in a file":
        np.save(tmp_path / "X.npy", rows)
        rows = np.load(tmp_path / "X.npy", mmap_mode="r")
    others = np.arange(len(X)) != 7
    points = fit_pca(rows, 8).points[others].astype(np.float64)
    np.testing.assert_allclose(pdist(points), pdist(rows[others].astype(np.float64)), rtol=2e-5)


def test_a_value_so_far_that_others_would_have_no_digits_is_refused():
    rows = X.astype(np.float32)
    rows[7, 3] = 1e15
    message = (
        r"^The features reach 1e\+15 from their centre and half of them 9.2 or less, which leaves principal components "
        "no digits for these: leave out the far rows, or rescale them.$"
    )
    with pytest.raises(ValueError, match=message):
        fit_pca(rows, 3)


def test_copies_beside_few_others_are_not_far_from_them():
    """Half of the points and more are one, so that their usual distance from the median is that of the others."""
    rows = np.vstack([np.ones((70, 8)), X]).astype(np.float32)
    np.testing.assert_allclose(pdist(fit_pca(rows, 8).points), pdist(rows), rtol=1e-4, atol=1e-4)


def test_without_pca_the_points_are_the_features():
    np.testing.assert_array_equal(fit_pca(X, None).points, X.astype(np.float32))


def test_components_do_not_depend_on_the_number_of_threads():
    wide = np.random.default_rng(1).normal(size=(300, 200))
    results = []
    for n_threads in (1, 2):
        with threadpool_limits(limits=n_threads):
            results.append(fit_pca(wide, 20).points)
    np.testing.assert_array_equal(*results)


@pytest.mark.parametrize(("share", "needed"), [(0.5, 1), (0.6, 2), (0.8, 2), (0.9, 3), (1.0, 3)])
def test_components_for_a_share(share, needed):
    assert components_for(np.array([0.5, 0.3, 0.2]), share) == needed


def test_sampled_distances_are_those_of_pairs():
    distances = sample_distances(X, n_pairs=5000, random_state=0)
    assert distances.shape == (5000,) and distances.min() > 0  # never of a row to itself
    assert set(np.round(distances, 6)) <= set(np.round(pdist(X), 6))
    np.testing.assert_allclose(distances.mean(), pdist(X).mean(), rtol=0.02)  # 5,000 draws
    np.testing.assert_array_equal(distances, sample_distances(X, n_pairs=5000, random_state=0))


@pytest.mark.parametrize("n", [3, 5, 12, 60])
def test_map_of_few_and_many_points(n):
    points = fit_umap(X[:n], n_neighbors=15, min_dist=0.1, random_state=0)
    assert points.shape == (n, 2) and np.isfinite(points).all()


def test_map_is_reproducible():
    first, second = (fit_umap(X, n_neighbors=10, min_dist=0.1, random_state=3) for _ in range(2))
    np.testing.assert_array_equal(first, second)


@pytest.mark.parametrize("unit", [2.0**-100, 2.0**83], ids=["1e-30", "1e25"])
def test_the_map_has_no_unit(unit):
    points = X.astype(np.float32)
    maps = [
        fit_umap(each, n_neighbors=10, min_dist=0.1, random_state=0) for each in (points, points * np.float32(unit))
    ]
    np.testing.assert_array_equal(*maps)


def test_points_are_the_centred_features_turned():
    points = fit_pca(X, 8).points
    assert points.dtype == np.float32
    np.testing.assert_allclose(points.mean(axis=0), 0, atol=1e-5)  # float32
    assert (np.diff(points.var(axis=0)) <= 0).all()


def test_components_and_map_leave_their_input_alone():
    points = X.astype(np.float32)
    before = points.copy()
    fit_pca(points, 3)
    fit_umap(points, n_neighbors=5, min_dist=0.1, random_state=0)
    sample_distances(points, n_pairs=10, random_state=0)
    np.testing.assert_array_equal(points, before)


@pytest.mark.filterwarnings("ignore:invalid value")  # the shares of no variance are not numbers
def test_constant_features_have_their_points_in_the_origin():
    assert (fit_pca(np.full((5, 3), 7.0), 2).points == 0).all()


# --- features in a file -----------------------------------------------------------------------------------------------


@pytest.fixture
def in_file(tmp_path):
    """The features, mapped from a file."""
    np.save(tmp_path / "X.npy", X.astype(np.float32))
    return np.load(tmp_path / "X.npy", mmap_mode="r")


@pytest.mark.parametrize("how", ["none", "unit", "standard"])
def test_features_in_a_file_are_scaled_into_one(in_file, how, tmp_path, monkeypatch):
    monkeypatch.setattr("helpers.clustering.reduction._BATCH", 25)
    scaled = normalize_features(in_file, how)
    assert isinstance(scaled, np.memmap)
    np.testing.assert_allclose(scaled, normalize_features(np.array(in_file), how), rtol=1e-6, atol=1e-6)
    assert [path.name for path in tmp_path.iterdir()] == ["X.npy"]  # the other has no name from the start


def test_a_copy_of_features_in_a_file_is_in_memory(in_file):
    copy = in_file.copy()
    np.testing.assert_array_equal(normalize_features(copy, "unit"), normalize_features(in_file, "unit"))
    assert fit_pca(copy, 2).explained_variance_ratio.dtype == fit_pca(in_file, 2).explained_variance_ratio.dtype


@pytest.mark.parametrize("n_components", [3, 20, None])
def test_components_of_features_in_a_file_are_the_same(in_file, n_components, monkeypatch):
    monkeypatch.setattr("helpers.clustering.reduction._BATCH", 7)
    ours, whole = fit_pca(in_file, n_components), fit_pca(np.array(in_file), n_components)
    np.testing.assert_allclose(ours.explained_variance_ratio, whole.explained_variance_ratio, rtol=1e-4)
    assert ours.points.dtype == np.float32
    np.testing.assert_allclose(np.abs(ours.points), np.abs(whole.points), rtol=1e-3, atol=1e-3)
