"""The nearest image of the rival: the one that a search through all distances finds."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import pairwise_distances

from helpers.clustering.rivals import nearest_rivals
from helpers.clustering.silhouette import silhouette_details


def example(n=80, m=3):
    """Draw points, and m labelings with two more clusters each."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(n, 5))
    return X, np.stack([rng.permutation(np.arange(n) % (2 + 2 * i)) for i in range(m)])


@pytest.mark.parametrize("metric", ["euclidean", "cosine"])
def test_it_is_the_nearest_of_the_cluster_that_the_silhouette_compares_with(metric):
    X, labels = example()
    rivals = silhouette_details(X, labels, metric=metric).rival
    nearest = nearest_rivals(X, labels, rivals, metric=metric)
    distances = pairwise_distances(X, metric=metric)
    for row, found in enumerate(nearest):
        for i, j in enumerate(found):
            others = np.flatnonzero(labels[row] == rivals[row, i])
            assert j in others and distances[i, j] == pytest.approx(distances[i, others].min())


def test_chunks_change_nothing():
    import sklearn

    X, labels = example(n=300)
    rivals = silhouette_details(X, labels).rival
    whole = nearest_rivals(X, labels, rivals)
    with sklearn.config_context(working_memory=0.05):
        np.testing.assert_array_equal(nearest_rivals(X, labels, rivals), whole)


def test_far_from_the_origin_neighbours_are_told_apart():
    X, labels = example()
    rivals = silhouette_details(X, labels).rival
    np.testing.assert_array_equal(nearest_rivals(X + 1e8, labels, rivals), nearest_rivals(X, labels, rivals))


def test_where_the_rival_has_no_sample_there_is_none():
    nearest = nearest_rivals([[0.0], [1.0], [3.0]], np.array([[0, 0, 1]]), np.array([[2, 1, 0]]))
    assert nearest.tolist() == [[-1, 2, 1]]
