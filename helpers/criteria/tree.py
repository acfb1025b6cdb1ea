"""A tree of clusterings: which cluster of one level goes into which of the next, and whether finer ones are nested.

After the clustering trees of Zappia and Oshlack (2018), Clustering trees: a visualization for evaluating clusterings at
multiple resolutions, GigaScience 7, giy083.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import pandas as pd
from sklearn.metrics.cluster import contingency_matrix

from ..core.conventions import listed
from .clusters import nesting

# More levels do not fit beside each other on a page, nor more clusters below each other.
N_LEVELS, MOST_CLUSTERS = 5, 24
# From this share on finer clusters are said to divide the coarser ones.
NESTED = 0.95


def tree_levels(k_values: Sequence[int], counting: Sequence[int], always: int) -> list[int]:
    """Choose a few of the k that were tried, from small to large: the levels of a tree.

    They are evenly apart on a logarithmic axis, as far as possible: of the k that count and the largest that is shown,
    where two or more count, and else of all.

    Parameters
    ----------
    k_values : sequence of int
        The k that were tried, in ascending order.
    counting : sequence of int
        Those that count, as ``levels`` of the verdict.
    always : int
        A k that is among them, unless it is too large to be shown.

    Returns
    -------
    list of int
        At most `N_LEVELS` k, none above `MOST_CLUSTERS` unless all are.

    Examples
    --------
    >>> tree_levels(range(2, 17), counting=[], always=7)
    [2, 3, 7, 10, 16]
    >>> tree_levels([2, 3, 5, 9, 16, 30], counting=[3, 9], always=9)
    [3, 9, 16]
    """
    few = [k for k in k_values if k <= MOST_CLUSTERS] or list(k_values[:1])
    levels = [k for k in counting if k in few]
    pool = sorted({*levels, few[-1]}) if len(levels) > 1 else few
    chosen = {_nearest(pool, place) for place in np.geomspace(pool[0], pool[-1], N_LEVELS)}
    if always in few and always not in chosen:
        chosen = chosen - {_nearest(sorted(chosen), always)} | {always}
    return sorted(chosen)


def _nearest(k_values: Sequence[int], place: float) -> int:
    return min(k_values, key=lambda k: abs(np.log(k / place)))


def cluster_flows(labels: np.ndarray) -> pd.DataFrame:
    """Count the points that each cluster of a level has in common with each of the next level.

    Parameters
    ----------
    labels : ndarray of int, shape (m, n)
        A clustering for each of two levels or more, the coarsest first, with the clusters from 0 to k - 1.

    Returns
    -------
    DataFrame
        A row for each pair of clusters with points in common: the number of the ``level`` from 0 on, the cluster there
        (``source``) and that of the next level (``target``), and the number of points (``size``).

    Examples
    --------
    >>> cluster_flows(np.array([[0, 0, 0, 1], [0, 0, 1, 1]])).to_numpy().tolist()
    [[0, 0, 0, 2], [0, 0, 1, 1], [0, 1, 1, 1]]
    """
    parts = []
    for level, (coarse, fine) in enumerate(pairwise(labels)):
        shared = contingency_matrix(coarse, fine)
        source, target = np.nonzero(shared)
        parts.append(pd.DataFrame({"level": level, "source": source, "target": target, "size": shared[source, target]}))
    return pd.concat(parts, ignore_index=True)


def nested_shares(
    labels: np.ndarray, k_values: Sequence[int], *, n_shuffles: int = 10, random_state: int = 0
) -> pd.DataFrame:
    """Measure from level to level how much of the finer clusters lies within coarser ones.

    Parameters
    ----------
    labels : ndarray of int, shape (m, n)
        A clustering for each level, the coarsest first.
    k_values : sequence of int, length m
    n_shuffles : int
        How often the clusters of the coarser level are dealt out anew, for the share that is due to chance.
    random_state : int

    Returns
    -------
    DataFrame
        Indexed by ``k_from`` and ``k_to``: ``nested``, see `helpers.criteria.clusters.nesting`, and ``by_chance``, the
        same of two clusterings of these sizes that have nothing to do with each other.

    Examples
    --------
    >>> labels = np.repeat([[0, 0, 1, 1], [0, 1, 2, 3]], 25, axis=1)
    >>> nested_shares(labels, [2, 4]).round(1).to_numpy().tolist()
    [[1.0, 0.6]]
    """
    rng = np.random.default_rng(random_state)
    rows = {}
    for step, (coarse, fine) in zip(pairwise(k_values), pairwise(labels)):
        chance = np.mean([nesting(fine, rng.permutation(coarse)) for _ in range(n_shuffles)])
        rows[step] = {"nested": nesting(fine, coarse), "by_chance": float(chance)}
    index = pd.MultiIndex.from_tuples(rows, names=["k_from", "k_to"]) if rows else None
    return pd.DataFrame(list(rows.values()), index=index, columns=["nested", "by_chance"])


def tree_sentence(shares: pd.DataFrame) -> str:
    """Say whether finer clusters divide the coarser ones, or cut across them.

    Parameters
    ----------
    shares : DataFrame
        From `nested_shares`.

    Examples
    --------
    >>> steps = pd.MultiIndex.from_tuples([(2, 4), (4, 8)])
    >>> print(tree_sentence(pd.DataFrame({"nested": [1, 0.8], "by_chance": [0.6, 0.4]}, index=steps)))
    From k = 2 to 4, 100% of the images are in the coarser cluster from which most of their finer cluster comes, and
    from 4 to 8, 80%; by chance it would be 60% and 40%. From 4 to 8 the finer clusters partly cut across the coarser
    ones.
    """
    if shares.empty:
        return "One level alone is no tree."
    (first, *others) = shares.index
    nested, chance = ([f"{share:.0%}" for share in shares[name]] for name in ("nested", "by_chance"))
    told = (
        f"From k = {first[0]} to {first[1]}, {nested[0]} of the images are in the coarser cluster from which most of "
        f"their finer cluster comes"
    )
    told += "".join(
        f"{', and' if step is others[-1] else ','} from {step[0]} to {step[1]}, {share}"
        for step, share in zip(others, nested[1:])
    )
    across = [f"from {step[0]} to {step[1]}" for step in shares.index[shares["nested"] < NESTED]]
    if len(across) == len(shares):
        words = "The finer clusters partly cut across the coarser ones"
    elif across:
        where = listed(across, " and ")
        words = f"{where[0].upper()}{where[1:]} the finer clusters partly cut across the coarser ones"
    else:
        words = "The finer clusters divide the coarser ones"
    return f"{told}; by chance it would be {listed(chance, ' and ')}. {words}."
