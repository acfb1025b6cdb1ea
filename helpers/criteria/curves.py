"""Readings of the curves of one sweep: the elbow of the inertia, and the parts of the score."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations, pairwise

import numpy as np
import pandas as pd
from kneed import KneeLocator

from ..core.conventions import listed, with_minus

# Kneedle needs a curve, and fewer values of k than this make none.
SHORTEST_CURVE = 4
_NO_CURVE = f"With fewer than {SHORTEST_CURVE} values of k there is no curve in which an elbow could be found."
_TERMS = {
    "share_positive": "the share of positive samples",
    "size_positive": "how positive the positive samples are",
    "share_negative": "the share of negative samples",
    "size_negative": "how negative the negative samples are",
}


# Values that differ by no more are equal: it is rounding.
_ROUNDING = {"rtol": 1e-9, "atol": 1e-12}

# --- extremes, and equals ---------------------------------------------------------------------------------------------


def extreme_k(values: pd.Series, *, smallest: bool = False) -> list[int]:
    """List the k, or the clusters, whose value is largest or smallest: several where they are equal.

    Parameters
    ----------
    values : Series
        Indexed by k; missing values do not count.
    smallest : bool

    Examples
    --------
    >>> extreme_k(pd.Series({2: 0.5, 3: 1.0, 4: 1.0})), extreme_k(pd.Series({2: 0.5, 3: 1.0}), smallest=True)
    ([3, 4], [2])
    """
    known = values.dropna().astype(float)
    if known.empty:
        return []
    return known.index[np.isclose(known, known.min() if smallest else known.max(), **_ROUNDING)].tolist()


def k_words(values: pd.Series, *, smallest: bool = False) -> str:
    """Name the k of `extreme_k` in a sentence.

    Examples
    --------
    >>> k_words(pd.Series({2: 0.5, 3: 1.0, 4: 1.0})), k_words(pd.Series({2: 1.0, 3: 1.0}))
    ('k = 3 and 4', 'every k')
    """
    found = extreme_k(values, smallest=smallest)
    return "every k" if 1 < len(found) == len(values) else f"k = {listed(map(str, found), ' and ')}"


def are_consecutive(k_values: Sequence[int]) -> bool:
    """Tell whether no whole number is left out between the values of k, which are in ascending order."""
    return len(k_values) == k_values[-1] - k_values[0] + 1


def untried_beside(k: int, k_values: Sequence[int]) -> list[int]:
    """List the k between the one that was tried before `k` and the one that was tried after it, as far as there are.

    Examples
    --------
    >>> untried_beside(8, [2, 4, 8, 10]), untried_beside(10, [2, 4, 8, 10]), untried_beside(3, [2, 3, 4])
    ([5, 6, 7, 9], [9], [])
    """
    before = max((tried for tried in k_values if tried < k), default=k)
    after = min((tried for tried in k_values if tried > k), default=k)
    return [*range(before + 1, k), *range(k + 1, after)]


def tried_words(k_values: Sequence[int]) -> str:
    """Say which k were tried.

    Examples
    --------
    >>> tried_words(range(2, 17)), tried_words([3]), tried_words([2, 4, 8])
    ('each k from 2 to 16', 'k = 3 alone', '3 values of k from 2 to 8')
    """
    if len(k_values) == 1:
        return f"k = {k_values[0]} alone"
    which = "each k" if are_consecutive(k_values) else f"{len(k_values)} values of k"
    return f"{which} from {k_values[0]} to {k_values[-1]}"


def k_ranges(ks: Sequence[int], tried: Sequence[int] | None = None) -> str:
    """Write values of k, in ascending order, with their runs in short; an empty text where there are none.

    Parameters
    ----------
    ks : sequence of int
    tried : sequence of int, optional
        The k that were tried, of which `ks` are some: a run is of neighbours among them. By default it is of
        consecutive numbers.

    Examples
    --------
    >>> k_ranges([2, 3, 5, 6, 7, 8]), k_ranges([4])
    ('k = 2, 3 and 5 to 8', 'k = 4')
    >>> k_ranges([2, 4, 8, 32], tried=[2, 4, 8, 16, 32])
    'k = 2 to 8 and 32'
    """
    follows = {k: k + 1 for k in ks} if tried is None else dict(pairwise(tried))
    runs: list[list[int]] = []
    for k in ks:
        if runs and k == follows.get(runs[-1][-1]):
            runs[-1].append(k)
        else:
            runs.append([k])
    words = [part for run in runs for part in ([f"{run[0]} to {run[-1]}"] if len(run) > 2 else map(str, run))]
    return f"k = {listed(words, ' and ')}" if words else ""


def extreme_words(values: pd.Series, *, smallest: bool = False) -> str:
    """Say where a curve is largest or smallest.

    Examples
    --------
    >>> extreme_words(pd.Series({2: 0.5, 3: 1.0, 4: 1.0})), extreme_words(pd.Series({2: 1.0, 3: 1.0}))
    ('largest at k = 3 and 4 alike', 'the same at every k')
    >>> extreme_words(pd.Series({2: 0.5, 3: 1.0}), smallest=True), extreme_words(pd.Series({5: 1.0}))
    ('smallest at k = 2', 'known at k = 5 only')
    """
    where, several = k_words(values, smallest=smallest), len(extreme_k(values, smallest=smallest)) > 1
    if values.notna().sum() == 1:
        return f"known at {where} only"
    if where == "every k":
        return "the same at every k"
    return f"{'smallest' if smallest else 'largest'} at {where}{' alike' if several else ''}"


def range_words(values: pd.Series, form: str) -> str:
    """Say where a curve is smallest and where it is largest, with the values in a format.

    Examples
    --------
    >>> range_words(pd.Series({2: 0.1, 3: 0.3}), ".0%"), range_words(pd.Series({2: 0.1, 3: 0.1}), ".0%")
    ('smallest at k = 2 (10%) and largest at k = 3 (30%)', 'the same at every k (10%)')
    """
    least, most = (with_minus(f"{value:z{form}}") for value in (values.min(), values.max()))
    low, high = f"{extreme_words(values, smallest=True)} ({least})", f"{extreme_words(values)} ({most})"
    return low if len(extreme_k(values)) == values.notna().sum() else f"{low} and {high}"


def preference_words(values: pd.Series, *, smallest: bool = False) -> str:
    """Say which k a criterion prefers whose largest or smallest value is best.

    Examples
    --------
    >>> preference_words(pd.Series({2: 0.5, 3: 1.0})), preference_words(pd.Series({2: 1.0, 3: 1.0}))
    ('prefers k = 3', 'finds every k equally good')
    """
    where = k_words(values, smallest=smallest)
    return f"finds {where} equally good" if len(extreme_k(values, smallest=smallest)) > 1 else f"prefers {where}"


def difference_words(difference: float) -> str:
    """Say how much higher or lower a value is than another one, to three decimals.

    Examples
    --------
    >>> difference_words(0.0213), difference_words(-0.5), difference_words(1e-9)
    ('0.021 higher than', '0.500 lower than', 'to three decimals the same as')
    """
    if abs(difference) < 0.0005:
        return "to three decimals the same as"
    return f"{abs(difference):.3f} {'higher' if difference > 0 else 'lower'} than"


def links_words(valley: float, inside: str) -> str:
    """Say how many links between neighbours cross a border, compared with an inside, from its valley.

    Examples
    --------
    >>> links_words(0.34, "the insides"), links_words(-0.5, "the insides")
    ('34% fewer links between neighbours than the insides', '50% more links between neighbours than the insides')
    >>> links_words(1, "the insides"), links_words(0, "the insides")
    ('no links between neighbours at all', 'as many links between neighbours as the insides')
    """
    if valley == 1:
        return "no links between neighbours at all"
    if abs(valley) < 0.005:
        return f"{'' if valley == 0 else 'nearly '}as many links between neighbours as {inside}"
    share = "over 99%" if valley > 0.99 else f"{abs(valley):.0%}"
    return f"{share} {'fewer' if valley > 0 else 'more'} links between neighbours than {inside}"


def near_best_sentence(score: pd.Series, error: pd.Series) -> str:
    """Say which scores are within two standard errors of the largest.

    Parameters
    ----------
    score : Series
        Indexed by k.
    error : Series
        The standard errors of the differences from the largest, as ``paired_error`` of `compare_criteria`.

    Examples
    --------
    >>> near_best_sentence(pd.Series({2: 0.5, 3: 0.9, 4: 0.8}), pd.Series({2: 0.1, 3: 0.0, 4: 0.1}))
    'The largest score is that at k = 3; within two standard errors of it is the score at k = 4.'
    """
    if len(score) == 1:
        return "One k was tried, so there is no other score to compare with."
    best = extreme_k(score)
    near = [k for k in score.index if k not in best and score.max() - score[k] <= 2 * error[k]]
    largest = f"The largest score is that at {k_words(score)}" + (" alike" if len(best) > 1 else "")
    if len(best) == len(score):
        return "The scores are the same at every k."
    if not near:
        return f"{largest}; no other is within two standard errors of it."
    are = "is the score" if len(near) == 1 else "are the scores"
    return f"{largest}; within two standard errors of it {are} at k = {listed(map(str, near), ' and ')}."


# --- the elbow --------------------------------------------------------------------------------------------------------


def find_elbow(k_values: Sequence[int], inertia: Sequence[float]) -> int | None:
    """Find the elbow of an inertia curve by Kneedle.

    Satopaa et al. (2011), Finding a "Kneedle" in a haystack, ICDCS Workshops, 166-171, as in the package kneed, with
    sensitivity 1. The curve is that against k itself, also where the k are evenly apart on a logarithmic axis: against
    log k it would bend elsewhere, and have another elbow, or none.

    Parameters
    ----------
    k_values : sequence of int, length m
        In ascending order.
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


def chord_table(k_values: Sequence[int], inertia: Sequence[float]) -> pd.DataFrame:
    """Compare an inertia curve with its chord, the straight line from its first point to its last.

    Returns
    -------
    DataFrame
        Indexed by ``k``: ``inertia``, ``chord``, and ``below``, how far straight down the curve is from the chord, as a
        share of the fall from the first point to the last; 0 everywhere where the curve does not fall.

    Examples
    --------
    >>> chord_table([2, 3, 4], [10, 4, 0])["below"].round(2).tolist()
    [0.0, 0.1, 0.0]
    """
    values = np.asarray(inertia, dtype=float)
    chord = np.interp(k_values, [k_values[0], k_values[-1]], [values[0], values[-1]])
    fall = values[0] - values[-1]
    below = (chord - values) / fall if fall > 0 else np.zeros(len(values))
    columns = {"inertia": values, "chord": chord, "below": below}
    return pd.DataFrame(columns, index=pd.Index(k_values, name="k"))


def chord_sentence(below: pd.Series, elbow: int | None) -> str:
    """Say how far a curve is ``below`` its chord at its elbow, and whether the elbow is sharp."""
    if len(below) < SHORTEST_CURVE:
        return _NO_CURVE
    if elbow is None:
        return "Kneedle names no elbow here: nowhere does the curve bulge clearly below the line."
    near = [str(k) for k in below.index[below >= 0.9 * below[elbow]] if k != elbow]
    sharp = (
        f"nine tenths of that are reached at k = {listed(near, ' and ')}, too: the elbow is blunt"
        if near
        else "no other k reaches nine tenths of that: the elbow is sharp"
    )
    return f"At the elbow, k = {elbow}, the curve is {below[elbow]:.0%} of its whole fall below the line; {sharp}."


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
    if by_k_max.empty:
        return _NO_CURVE
    elbow, stop = by_k_max.iloc[-1], int(by_k_max.index[-1])
    if pd.isna(elbow):
        earlier = by_k_max.dropna()
        return f"With k up to {stop} the inertia curve has no elbow" + (
            "." if earlier.empty else f", and with fewer k it has one, at k = {_from_to(earlier)}."
        )
    ends = [("last", by_k_max.dropna())] + ([] if by_k_min is None else [("first", by_k_min.dropna())])
    moves = [
        f"with another {which} k it is between {found.min()} and {found.max()}"
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


def _from_to(values: pd.Series) -> str:
    low, high = values.min(), values.max()
    return f"{low}" if low == high else f"{low} to {high}"


# --- the parts of the score -------------------------------------------------------------------------------------------


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
        ``share_positive``, ``size_positive``, ``share_negative`` and ``size_negative``; ``agree`` and ``disagree``,
        whether score and share move in the same and in opposite directions, neither of which holds where one of them
        stays; and ``because``, the term that moves the score most in its direction, or ``nothing`` where it stays.
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
        return f"{agreement_words(steps)}."
    most = extreme_k(opposed.abs())
    k_from, k_to = most[0]
    where = "where score and share disagree most" if len(most) == 1 else "one of the steps where they disagree most"
    before, after = (samples[distances.index.get_loc(k)] > 0 for k in (k_from, k_to))
    change = distances.loc[k_to] / distances.loc[k_from] - 1
    a, b = (with_minus(f"{change[name]:+.1%}") for name in "ab")
    return (
        f"From k = {k_from} to {k_to}, {where}, a changes by {a} and b by {b} on average, and the score "
        f"{'rises' if opposed[k_from, k_to] > 0 else 'falls'}; of {samples.shape[1]:,} images "
        f"{int((~before & after).sum())} become positive and {int((before & ~after).sum())} cease to be."
    )


def telling_step(steps: pd.DataFrame) -> tuple[int, int] | None:
    """Find the step that changes the score most among those at which score and share disagree.

    Parameters
    ----------
    steps : DataFrame
        From `score_steps`.

    Returns
    -------
    tuple of int or None
        The k before and after it. Where none disagrees it is the step that changes the score most; None if there is no
        step.
    """
    among = steps[steps["disagree"]] if steps["disagree"].any() else steps
    return extreme_k(among["score"].abs())[0] if len(among) else None


def telling_cluster(labels: np.ndarray, change: np.ndarray) -> int:
    """Find the cluster whose images move the score most in the direction in which it goes.

    Parameters
    ----------
    labels : ndarray, shape (n,)
        The clusters before the step.
    change : ndarray, shape (n,)
        The change of each silhouette.

    Examples
    --------
    >>> telling_cluster(np.array([0, 0, 1, 1]), np.array([0.3, 0.0, -0.5, 0.0]))
    1
    """
    sums = pd.Series(change).groupby(labels).sum()
    return int((sums if change.sum() > 0 else -sums).idxmax())


def cluster_sentence(step: tuple[int, int], labels: np.ndarray, change: np.ndarray, rival: np.ndarray) -> str:
    """Say what the images of `telling_cluster` take or give at a step, and where they go.

    Parameters
    ----------
    step : tuple of int
        The k before and after it.
    labels : ndarray, shape (2, n)
        The clusters before and after it.
    change : ndarray, shape (n,)
        The change of each silhouette.
    rival : ndarray, shape (n,)
        The rivals after it.
    """
    before, after = labels
    cluster = telling_cluster(before, change)
    members = before == cluster
    part = with_minus(f"{change[members].sum() / len(change):+.4f}, and all together by {change.mean():+.4f}")
    sentence = (
        f"From k = {step[0]} to {step[1]}, the images of one cluster alone ({members.sum():,} in cluster "
        f"{cluster} at k = {step[0]}) change the score by {part}; "
    )
    homes = pd.Series(after[members]).value_counts(normalize=True)
    if len(homes) == 1:
        return f"{sentence}all of them stay together."
    (one, other), (first, second) = homes.index[:2], homes.iloc[:2]
    facing = np.isin(after, [one, other]) & np.isin(rival, [one, other])
    return (
        f"{sentence}{first:.0%} of them go to cluster {one} and {second:.0%} to cluster {other}, and for "
        f"{facing[members].mean():.0%} of them one of these two is now the rival of the other."
    )


def signs_sentence(table: pd.DataFrame, nulls: pd.DataFrame) -> str:
    """Say how many samples are negative, and at how many k data without clusters have as few.

    Parameters
    ----------
    table : DataFrame
        From `silhouette_table`.
    nulls : DataFrame
        From `NullSilhouettes.table`.
    """
    most = nulls["positive_high"].groupby(level="n_clusters").max().reindex(table.index)
    n_as_few = int((table["positive"] <= most).sum())
    at = "at no k" if n_as_few == 0 else "at every k" if n_as_few == len(table) else f"at {n_as_few} of {len(table)} k"
    share = f"The share of negative samples is {range_words(table['negative'], '.1%')}"
    return (
        f"{share if table['negative'].any() else 'No sample is negative, at any k'}. Among the data of the same shape "
        f"without clusters there are some with as many positive samples as these images, or more, {at}."
    )


def agreement_words(steps: pd.DataFrame) -> str:
    """Say that score and share of positive samples disagree in no step, and whether they move in all of them.

    Parameters
    ----------
    steps : DataFrame
        From `score_steps`, with none that disagrees.
    """
    if steps.empty:
        return "With one k there is no step from one to the next to look at"
    still = int((~steps["agree"]).sum())
    if not still:
        return "From each k to the next, the score and the share of positive samples move in the same direction"
    of = f"{still} of {len(steps)} steps" if len(steps) > 1 else "the only step"
    return (
        "From no k to the next do the score and the share of positive samples move in opposite directions, but in "
        f"{of} one of them or both do not move"
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
    moved = change.mask(np.isclose(now, then, **_ROUNDING), 0)
    changes["agree"] = moved["score"] * moved["positive"] > 0
    changes["disagree"] = moved["score"] * moved["positive"] < 0
    towards = terms.mul(np.sign(moved["score"]), axis=0)
    changes["because"] = [_because(row) for _, row in towards.iterrows()]
    changes.index = pd.MultiIndex.from_arrays([table.index[first], table.index[second]], names=["k_from", "k_to"])
    return changes


def _because(towards: pd.Series) -> str:
    """Name the terms that move the score most in its direction."""
    if not towards.any():
        return "nothing"
    return " and ".join(_TERMS[name] for name in extreme_k(towards))
