"""Numbers of clusters that lie far apart, on a cloud and on islands."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from helpers.clustering.reduction import fit_pca
from helpers.clustering.silhouette import silhouette_samples
from helpers.clustering.sweep import sweep_kmeans
from helpers.criteria import wide
from helpers.criteria.halves import link_valleys
from helpers.criteria.references import null_silhouettes
from helpers.criteria.wide import wide_criteria, wide_sentence

RNG = np.random.default_rng(0)
CLOUD = RNG.normal(size=(240, 6)).astype(np.float32)
ISLANDS = (CLOUD + 12 * np.eye(6, dtype=np.float32)[np.arange(240) % 6]).astype(np.float32)
KS = [2, 6, 24]


def test_columns_are_those_of_their_functions(tmp_path):
    points = fit_pca(ISLANDS, 3).points
    table = wide_criteria(ISLANDS, points, KS, n_init=2, random_state=1, cache_dir=tmp_path)
    sweep = sweep_kmeans(points, KS, n_init=2, random_state=1)
    np.testing.assert_array_equal(table["inertia"], sweep.inertia)
    np.testing.assert_allclose(table["score"], silhouette_samples(ISLANDS, sweep.labels).mean(axis=1))
    nulls = null_silhouettes(
        ISLANDS, KS, n_components=3, n_references=wide.FEW_REFERENCES, n_init=1, random_state=1
    ).score.reshape(-1, 3)
    np.testing.assert_array_equal(table[["null_low", "null_high"]], np.stack([nulls.min(axis=0), nulls.max(axis=0)]).T)
    valleys = link_valleys(points, KS, n_halvings=wide.FEW_HALVINGS, random_state=1).table()
    np.testing.assert_array_equal(table["valley"], valleys["valley"])
    assert list(table.index) == KS and table.index.name == "n_clusters"


def test_islands_have_valleys_and_beat_structureless_data_and_a_cloud_has_none(tmp_path):
    islands, cloud = (wide_criteria(X, X, KS, n_init=2, cache_dir=tmp_path) for X in (ISLANDS, CLOUD))
    assert islands.loc[6, "valley"] > 0.9 and islands.loc[6, "score"] > islands.loc[6, "null_high"] + 0.3
    assert (cloud["valley"] < 0.2).all() and (cloud["score"] < cloud["null_high"] + 0.05).all()


def test_what_was_computed_is_read_from_the_cache(tmp_path, monkeypatch):
    first = wide_criteria(CLOUD, CLOUD, KS, n_init=1, cache_dir=tmp_path)
    monkeypatch.setattr("helpers.core.cache._computed_once", lambda *_: pytest.fail("computed again"))
    np.testing.assert_array_equal(first, wide_criteria(CLOUD, CLOUD, KS, n_init=1, cache_dir=tmp_path))


def test_the_sentence_names_the_k_that_count_or_says_that_none_does():
    columns = {"score": [0.01, 0.03, 0.02], "null_high": [0.02, 0.02, 0.03], "valley": [-0.2, 0.25, 0.6]}
    table = pd.DataFrame(columns, index=[2, 8, 64])
    said = wide_sentence(table)
    assert "With 2 to 64 clusters the score is largest at k = 8: 0.030" in said and "at 1 of the 3 values" in said
    assert said.endswith("But only at k = 8 and 64 does the valley reach 0.25, from which a k counts.")
    none = wide_sentence(table.assign(valley=[-0.2, 0.2, -1]))
    assert none.endswith("no valley reaches 0.25, from which a k counts: the largest is 0.20, at k = 8.")
