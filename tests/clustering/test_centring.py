"""Points of any offset and unit: no digit is lost, or they are refused in a sentence."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse
from sklearn.metrics import pairwise_distances
from sklearn.metrics import silhouette_samples as sklearn_silhouettes
from sklearn.neighbors import kneighbors_graph

from helpers.clustering.centring import mean_and_scale
from helpers.clustering.lengths import row_lengths
from helpers.clustering.reduction import fit_pca, normalize_features
from helpers.clustering.silhouette import centroid_silhouette_samples, silhouette_samples
from helpers.clustering.sweep import sweep_kmeans
from helpers.criteria.table import validity_indices
from helpers.study import Study

X = np.random.default_rng(0).normal(size=(60, 3)) + np.repeat(np.eye(3) * 9, 20, axis=0)
LABELS = np.repeat([0, 1, 2], 20)


@pytest.mark.parametrize("far", [1e15, 1e20, 1e100])
@pytest.mark.parametrize("n", [60, 1200], ids=["float64", "float32"])
def test_one_far_value_costs_the_others_no_digits(far, n):
    rows = np.vstack([np.tile(X, (n // 60, 1)) + np.random.default_rng(1).normal(size=(n, 3)), [[far, 0, 0]]])
    labels = np.append(np.tile(LABELS, n // 60), 0)
    np.testing.assert_allclose(silhouette_samples(rows, labels), sklearn_silhouettes(rows, labels), atol=1e-6)


def test_the_centre_is_the_mean_unless_that_is_far_from_all():
    assert mean_and_scale(X)[0].tolist() == X.mean(axis=0).tolist()
    assert np.abs(mean_and_scale(np.vstack([X, [[1e15, 0, 0]]]))[0]).max() < 10


@pytest.mark.parametrize("unit", [1e-140, 1e-16, 1e30, 1e140])
@pytest.mark.parametrize("metric", ["euclidean", "sqeuclidean", "cosine"])
def test_silhouettes_have_no_unit(metric, unit):
    expected = silhouette_samples(X, LABELS, metric=metric)
    np.testing.assert_allclose(silhouette_samples(X * unit, LABELS, metric=metric), expected, atol=1e-12)


@pytest.mark.parametrize("unit", [1e-300, 1e-16, 1e200])
def test_lengths_and_directions_have_no_unit(unit):
    np.testing.assert_array_equal(normalize_features(X * unit, "unit"), normalize_features(X, "unit"))
    np.testing.assert_array_equal(normalize_features(X * unit, "standard"), normalize_features(X, "standard"))
    np.testing.assert_allclose(row_lengths(X * unit), row_lengths(X) * unit, rtol=1e-14)
    np.testing.assert_allclose(
        centroid_silhouette_samples(X * unit, LABELS), centroid_silhouette_samples(X, LABELS), atol=1e-12
    )


@pytest.mark.parametrize("unit", [1e-29, 1e25])
def test_components_and_indices_of_float32_have_no_unit(unit):
    rows, scaled = X.astype(np.float32), (X * unit).astype(np.float32)
    one, other = fit_pca(rows, 2), fit_pca(scaled, 2)
    np.testing.assert_allclose(other.points / unit, one.points, atol=1e-4)
    np.testing.assert_allclose(other.explained_variance_ratio, one.explained_variance_ratio, rtol=1e-5)
    indices, of_scaled = (validity_indices(each, LABELS[np.newaxis]) for each in (rows, scaled))
    np.testing.assert_allclose(of_scaled, indices, rtol=1e-4)


RESCALE = r"leave the range of numbers: rescale it\.$"


@pytest.mark.parametrize("unit", [1e-160, 1e160])
def test_squares_that_leave_the_range_of_numbers_are_refused(unit):
    with pytest.raises(ValueError, match=RESCALE):
        silhouette_samples(X * unit, LABELS, metric="sqeuclidean")
    with pytest.raises(ValueError, match=RESCALE):
        sweep_kmeans(X * unit, [2])


@pytest.mark.parametrize("unit", [1e-40, 1e200])
def test_features_beyond_float32_are_refused(unit, tmp_path):
    message = r"The features reach .*, which must be from 1e-30 to 1e\+34: rescale them\.$"
    with pytest.raises(ValueError, match=message):
        normalize_features(X * unit, "none")
    with pytest.raises(ValueError, match=message):
        Study.of_features(X * unit, [2, 3], cache_dir=tmp_path)


def test_masked_values_are_refused(tmp_path):
    masked = np.ma.masked_greater(X, 11)
    n = np.ma.count_masked(masked)
    assert n
    for call in (
        lambda: silhouette_samples(masked, LABELS),
        lambda: sweep_kmeans(masked, [2]),
        lambda: normalize_features(masked, "unit"),
        lambda: row_lengths(masked),
        lambda: validity_indices(masked, LABELS[np.newaxis]),
        lambda: Study.of_features(masked, [2, 3], cache_dir=tmp_path),
    ):
        with pytest.raises(ValueError, match=f" has {n} masked values: fill them, or leave out their rows.$"):
            call()
    with pytest.raises(ValueError, match="labels have masked values; each sample must have a label"):
        silhouette_samples(X, np.ma.masked_equal(LABELS, 1))
    assert silhouette_samples(np.ma.array(X), LABELS).shape == (60,)  # a mask of nothing


def test_a_sparse_matrix_of_distances_may_lack_those_of_duplicates_and_no_others():
    rows, labels = np.vstack([X, X[:2]]), np.append(LABELS, [0, 0])
    distances = pairwise_distances(rows)
    distances[distances < 1e-6] = 0
    sparse = scipy.sparse.csr_matrix(distances)
    assert sparse.nnz == 62 * 61 - 4
    np.testing.assert_allclose(
        silhouette_samples(sparse, labels, metric="precomputed"),
        silhouette_samples(distances, labels, metric="precomputed"),
    )
    with pytest.raises(ValueError, match="sparse and leaves distances between different samples out, which"):
        silhouette_samples(kneighbors_graph(X, 5, mode="distance"), LABELS, metric="precomputed")
