"""Few clusters or hundreds: the criteria at numbers of clusters that lie far apart."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from ..clustering.silhouette import silhouette_samples
from ..clustering.sweep import sweep_kmeans
from ..core.cache import cached
from ..core.conventions import listed, with_minus
from .halves import link_valleys
from .references import null_silhouettes
from .table import DEEP

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


def wide_sentence(table: pd.DataFrame) -> str:
    """Say where the score is largest, whether it exceeds structureless data, and which k count by their valley.

    Parameters
    ----------
    table : DataFrame
        From `wide_criteria`.

    Examples
    --------
    >>> columns = {"score": [0.01, 0.03], "null_high": [0.02, 0.02], "valley": [-0.2, -0.5]}
    >>> print(wide_sentence(pd.DataFrame(columns, index=[2, 64])))
    With 2 to 64 clusters the score is largest at k = 64: 0.030, where data without clusters have at most 0.020; at 1 of
    the 2 values of k tried it is above them. But no valley reaches 0.25, from which a k counts: the largest is −0.20,
    at k = 2.
    """
    top, widest = int(table["score"].idxmax()), int(table["valley"].idxmax())
    counting = table.index[table["valley"] >= DEEP]
    valleys = (
        f"no valley reaches {DEEP:g}, from which a k counts: the largest is {table.loc[widest, 'valley']:.2f}, at k = "
        f"{widest}"
        if counting.empty
        else f"only at k = {listed(map(str, counting), ' and ')} does the valley reach {DEEP:g}, from which a k counts"
    )
    above = int((table["score"] > table["null_high"]).sum())
    return with_minus(
        f"With {table.index[0]} to {table.index[-1]} clusters the score is largest at k = {top}: "
        f"{table.loc[top, 'score']:.3f}, where data without clusters have at most {table.loc[top, 'null_high']:.3f}; "
        f"at {above} of the {len(table)} values of k tried it is above them. But {valleys}."
    )
