"""Few clusters or hundreds: the criteria at numbers of clusters that lie far apart."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from ..clustering.silhouette import silhouette_samples
from ..clustering.sweep import sweep_kmeans
from ..core.cache import cached
from .halves import link_valleys
from .references import null_silhouettes

# Hundreds of clusters take most of the time, and each reference and each half takes it anew: so there are few of both,
# enough to see where structureless data lie and on which side of 0 a valley is.
FEW_REFERENCES = 1
FEW_HALVINGS = 4


def wide_criteria(
    features: np.ndarray,
    points: np.ndarray,
    k_values: Sequence[int],
    *,
    n_init: int = 10,
    random_state: int = 0,
    cache_dir: str | Path,
) -> pd.DataFrame:
    """Tabulate inertia, score, structureless data's score and valley for numbers of clusters that lie far apart.

    Parameters
    ----------
    features : ndarray, shape (n, d)
        In the space in which silhouettes are measured.
    points : ndarray, shape (n, p)
        What k-means sees: the features or their first p principal components.
    k_values : sequence of int
        Numbers of clusters from 2 on, in ascending order.
    n_init : int
        Restarts of k-means on the points; references and halves have one.
    random_state : int
    cache_dir : path
        Folder of the results.

    Returns
    -------
    DataFrame
        A row for each k: ``inertia``; ``score``; ``null_low`` and ``null_high``, the lowest and the highest score of
        `FEW_REFERENCES` structureless data of each kind (see `null_silhouettes`); ``valley``, ``valley_spread`` and
        ``links``, from `FEW_HALVINGS` halvings (see `link_valleys`).

    Raises
    ------
    ValueError
        If features, points or k_values are refused by those functions.
    """
    ks, n_components = list(k_values), None if points.shape == features.shape else points.shape[1]
    many = {"random_state": random_state, "cache_dir": cache_dir, "unkeyed": {"n_jobs": -1}}
    sweep = cached(sweep_kmeans, points, ks, n_init=n_init, **many)
    nulls = cached(
        null_silhouettes, features, ks, n_components=n_components, n_references=FEW_REFERENCES, n_init=1, **many
    )
    valleys = cached(link_valleys, points, ks, n_halvings=FEW_HALVINGS, **many)
    columns = {
        "inertia": sweep.inertia,
        "score": silhouette_samples(features, sweep.labels).mean(axis=1),
        "null_low": nulls.score.min(axis=(0, 1)),
        "null_high": nulls.score.max(axis=(0, 1)),
    }
    return pd.DataFrame(columns, pd.Index(ks, name="n_clusters")).join(valleys.table())
