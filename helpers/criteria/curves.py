"""Readings of the curves of one sweep: the elbow of the inertia, and the parts of the score."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

import numpy as np
import pandas as pd
from kneed import KneeLocator

# Kneedle needs a curve, and fewer values of k than this make none.
SHORTEST_CURVE = 4
_TERMS = {
    "share_positive": "the share of positive samples",
    "size_positive": "how positive the positive samples are",
    "share_negative": "the share of negative samples",
    "size_negative": "how negative the negative samples are",
}


def find_elbow(k_values: Sequence[int], inertia: Sequence[float]) -> int | None:
    """Find the elbow of an inertia curve by Kneedle.

    Satopaa et al. (2011), Finding a "Kneedle" in a haystack, ICDCS Workshops, 166-171, as in the package kneed, with
    sensitivity 1.

    Parameters
    ----------
    k_values : sequence of int, length m
    inertia : sequence of float, length m

    Returns
    -------
    int or None
        None where there is no elbow.

    Examples
    --------
    >>> find_elbow([1, 2, 3, 4, 5, 6], [100, 50, 20, 18, 16, 14])
    3
    >>> find_elbow([1, 2, 3, 4], [4, 3, 2, 1]) is None  # a straight line
    True
    """
    if len(k_values) < SHORTEST_CURVE or np.ptp(inertia) == 0:
        return None
    elbow = KneeLocator(np.asarray(k_values), np.asarray(inertia), curve="convex", direction="decreasing").elbow
    return None if elbow is None else int(elbow)


def elbow_by_k_max(k_values: Sequence[int], inertia: Sequence[float]) -> pd.Series:
    """Find the elbow that stopping at each k would give, indexed by ``k_max``; missing where there is none."""
    stops = range(SHORTEST_CURVE, len(k_values) + 1)
    elbows = [find_elbow(k_values[:stop], inertia[:stop]) for stop in stops]
    index = pd.Index([k_values[stop - 1] for stop in stops], name="k_max", dtype="int64")
    return pd.Series(elbows, index=index, name="elbow", dtype="Int64")


def elbow_by_k_min(k_values: Sequence[int], inertia: Sequence[float]) -> pd.Series:
    """Find the elbow that starting at each k would give, indexed by ``k_min``; missing where there is none."""
    starts = range(max(len(k_values) - SHORTEST_CURVE + 1, 0))
    elbows = [find_elbow(k_values[start:], inertia[start:]) for start in starts]
    index = pd.Index([k_values[start] for start in starts], name="k_min", dtype="int64")
    return pd.Series(elbows, index=index, name="elbow", dtype="Int64")


def elbow_sentence(by_k_max: pd.Series, by_k_min: pd.Series | None = None) -> str:
    """Say where the elbow is and whether it moves, from `elbow_by_k_max` and, if given, `elbow_by_k_min`."""
    if by_k_max.dropna().empty or pd.isna(by_k_max.iloc[-1]):
        return "The inertia curve has no elbow."
    elbow, stop = int(by_k_max.iloc[-1]), int(by_k_max.index[-1])
    ends = [("last", by_k_max.dropna())] + ([] if by_k_min is None else [("first", by_k_min.dropna())])
    moves = [
        f"with other {which} k it moves between {found.min()} and {found.max()}"
        for which, found in ends
        if found.min() != found.max()
    ]
    if moves:
        return f"With k up to {stop} the elbow of the inertia is at k = {elbow}; {', and '.join(moves)}."
    tried = [
        f"for every {which} k at which there is one, from {found.index[0]} to {found.index[-1]}"
        for which, found in ends
        if len(found) > 1
    ]
    return f"The elbow of the inertia is at k = {elbow}{', ' if tried else ''}{' and '.join(tried)}."


def score_identity(table: pd.DataFrame) -> pd.DataFrame:
    """Split each score into the gain from positive samples and the loss to negative ones.

    score = share positive x mean of the positive - share negative x mean size of the negative; samples at zero
    count in neither.

    Parameters
    ----------
    table : DataFrame
        From `silhouette_table`.

    Returns
    -------
    DataFrame
        Indexed as `table`, with ``gain``, ``loss`` and ``score`` = gain - loss.
    """
    gain = table["positive"] * table["mean_positive"]
    loss = table["negative"] * -table["mean_negative"]
    return pd.DataFrame({"gain": gain, "loss": loss, "score": gain - loss})


def score_steps(table: pd.DataFrame) -> pd.DataFrame:
    """Compute the changes from each k to the next, and the part of the score that causes each of them.

    The change of a product is split evenly: d(xy) = dx mean(y) + dy mean(x). So the four terms add up to the change of
    the score exactly.

    Parameters
    ----------
    table : DataFrame
        From `silhouette_table`.

    Returns
    -------
    DataFrame
        Indexed by ``k_from`` and ``k_to``: changes of ``score`` and of ``positive`` (the share); the terms
        ``share_positive``, ``size_positive``, ``share_negative`` and ``size_negative``; ``disagree``, whether score
        and share move in opposite directions; and ``because``, the term that moves the score most in its direction.
    """
    return _changes(table, list(zip(range(len(table) - 1), range(1, len(table)))))


def step_sentence(distances: pd.DataFrame, samples: np.ndarray, steps: pd.DataFrame) -> str:
    """Say what happens to the images at the largest step at which score and share of positive samples disagree.

    Parameters
    ----------
    distances : DataFrame
        Indexed by k: ``a`` and ``b``, the mean distances to the own cluster and to the nearest rival.
    samples : ndarray, shape (m, n)
        Silhouettes, a row for each k.
    steps : DataFrame
        From `score_steps`.
    """
    opposed = steps.loc[steps["disagree"], "score"]
    if opposed.empty:
        return "From each k to the next, the score and the share of positive samples move in the same direction."
    k_from, k_to = opposed.abs().idxmax()
    before, after = (samples[distances.index.get_loc(k)] > 0 for k in (k_from, k_to))
    change = distances.loc[k_to] / distances.loc[k_from] - 1
    return (
        f"From k = {k_from} to {k_to}, where score and share disagree most, a changes by {change['a']:+.1%} and b by "
        f"{change['b']:+.1%} on average, and the score {'rises' if opposed[k_from, k_to] > 0 else 'falls'}; of "
        f"{samples.shape[1]:,} images {int((~before & after).sum())} become positive and "
        f"{int((before & ~after).sum())} cease to be."
    )


def score_pairs(table: pd.DataFrame) -> pd.DataFrame:
    """Compute the changes between any two k, the smaller first; columns as in `score_steps`."""
    return _changes(table, list(combinations(range(len(table)), 2)))


def _changes(table: pd.DataFrame, pairs: list[tuple[int, int]]) -> pd.DataFrame:
    first, second = np.array(pairs, dtype=int).reshape(-1, 2).T
    parts = ["score", "positive", "negative", "mean_positive", "mean_negative"]
    then, now = (table[parts].iloc[rows].reset_index(drop=True) for rows in (first, second))
    change, middle = now - then, (now + then) / 2
    terms = pd.DataFrame(
        {
            "share_positive": change["positive"] * middle["mean_positive"],
            "size_positive": middle["positive"] * change["mean_positive"],
            "share_negative": change["negative"] * middle["mean_negative"],
            "size_negative": middle["negative"] * change["mean_negative"],
        }
    )
    changes = pd.concat([change[["score", "positive"]], terms], axis=1)
    changes["disagree"] = change["score"] * change["positive"] < 0
    towards = terms.mul(np.sign(change["score"]), axis=0)
    changes["because"] = [_TERMS[name] for name in towards.idxmax(axis=1)] if len(towards) else []
    changes.index = pd.MultiIndex.from_arrays([table.index[first], table.index[second]], names=["k_from", "k_to"])
    return changes
