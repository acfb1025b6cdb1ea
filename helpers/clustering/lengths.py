"""The lengths of rows: how unequal they are, and what k-means and silhouettes make of them."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
from sklearn.metrics import roc_auc_score
from sklearn.utils import gen_batches

from ..core.conventions import with_minus
from .centring import check_points, row_norms, unit_rows
from .silhouette import silhouette_samples

_BATCH = 4096  # rows that are held in float64 at once
_PAIRED = 200  # rows among which a pair is chosen, at most
_TOLD = 0.9  # an area from which on lengths tell two clusters apart


def row_lengths(X: np.ndarray) -> np.ndarray:
    """Calculate the Euclidean length of each row, float64, shape (n,)."""
    X = check_points(X, dtype=[np.float64, np.float32])
    return np.concatenate([row_norms(X[rows].astype(np.float64)) for rows in gen_batches(len(X), _BATCH)])


def length_variation(X: np.ndarray) -> float:
    """Calculate the coefficient of variation of the lengths of rows: their standard deviation over their mean.

    Examples
    --------
    >>> import numpy as np
    >>> length_variation(np.array([[3.0, 4.0], [0.0, 5.0]])), length_variation(np.array([[1.0, 0.0], [0.0, 3.0]]))
    (0.0, 0.5)
    """
    lengths = row_lengths(X)
    return float(lengths.std() / lengths.mean()) if lengths.any() else 0.0


def length_pairs(X: np.ndarray) -> pd.DataFrame:
    """Choose a pair of long rows and a pair of short ones, to show what length does to a distance.

    Both are taken from the tenth of the rows that is longest, or shortest, and point apart as such pairs usually do.

    Parameters
    ----------
    X : array-like, shape (n, d)
        At least two rows.

    Returns
    -------
    DataFrame
        A row each for ``long`` and ``short``: the lengths ``first`` and ``second``, the ``angle`` between the rows in
        radians, their Euclidean ``distance``, and ``unit_distance``, that of the rows divided by their lengths.

    Examples
    --------
    >>> import numpy as np
    >>> length_pairs(np.array([[1.0, 0.0], [0.0, 1.0], [3.0, 0.0], [0.0, 3.0]])).round(2).loc["long"].tolist()
    [3.0, 3.0, 1.57, 4.24, 1.41]
    """
    lengths = row_lengths(X)
    size = min(max(2, len(X) // 10), _PAIRED)
    order = np.argsort(lengths, kind="stable")
    chosen = {"long": order[-size:], "short": order[:size]}
    unit = {name: unit_rows(np.asarray(X)[rows].astype(np.float64)) for name, rows in chosen.items()}
    first, second = np.triu_indices(size, 1)
    cosines = {name: np.clip((rows @ rows.T)[first, second], -1, 1) for name, rows in unit.items()}
    usual = np.median(np.concatenate([*cosines.values()]))
    pairs = {}
    for name, rows in chosen.items():
        best = np.abs(cosines[name] - usual).argmin()
        i, j = first[best], second[best]
        ends = np.asarray(X)[rows[[i, j]]].astype(np.float64)
        pairs[name] = {
            "first": lengths[rows[i]],
            "second": lengths[rows[j]],
            "angle": np.arccos(cosines[name][best]),
            "distance": np.linalg.norm(ends[0] - ends[1]),
            "unit_distance": np.linalg.norm(unit[name][i] - unit[name][j]),
        }
    return pd.DataFrame(pairs).T


def with_variation(X: np.ndarray, variation: float) -> np.ndarray:
    """Draw the lengths of rows towards their mean, or away from it; every row keeps its direction.

    Parameters
    ----------
    X : array-like, shape (n, d)
        Rows of which not all are equally long.
    variation : float
        The `length_variation` of the result.

    Returns
    -------
    ndarray of float32, shape (n, d)

    Raises
    ------
    ValueError
        If all rows are equally long, or a row would have to become shorter than nothing.
    """
    lengths, now = row_lengths(X), length_variation(X)
    if now == 0 or variation < 0:
        raise ValueError(f"variation = {variation} is not possible: the lengths of X vary by {now:.3g}.")
    wanted = lengths.mean() + (lengths - lengths.mean()) * variation / now
    if wanted.min() < 0:
        raise ValueError(f"variation = {variation} is not possible: the shortest row would be shorter than nothing.")
    return _with_lengths(X, wanted)


def shuffle_lengths(X: np.ndarray, random_state: int = 0) -> np.ndarray:
    """Deal the lengths of rows out anew: every row keeps its direction, and gets the length of a row drawn at random.

    Directions and lengths stay what they were, one by one; what goes is any tie between the two.

    Parameters
    ----------
    X : array-like, shape (n, d)
    random_state : int

    Returns
    -------
    ndarray of float32, shape (n, d)
    """
    return _with_lengths(X, np.random.default_rng(random_state).permutation(row_lengths(X)))


def _with_lengths(X: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """Give rows other lengths; a row of zeros has no direction, and stays."""
    now = row_lengths(X)
    factors = np.divide(lengths, now, out=np.ones_like(now), where=now > 0)
    return (np.asarray(X) * factors[:, np.newaxis]).astype(np.float32)


def length_auc(X: np.ndarray, labels: np.ndarray) -> float:
    """Calculate how well the length of a row tells which of two clusters it is in.

    Parameters
    ----------
    X : array-like, shape (n, d)
    labels : array-like, shape (n,)
        Two clusters.

    Returns
    -------
    float
        The area under the ROC curve, from 0.5 to 1: how often, of two rows drawn from the two clusters, the longer one
        is from the cluster of which that is true more often than not.

    Raises
    ------
    ValueError
        If there are not two clusters.

    Examples
    --------
    >>> import numpy as np
    >>> length_auc(np.array([[1.0, 0.0], [0.0, 2.0], [4.0, 0.0], [0.0, 3.0]]), [1, 1, 0, 0])
    1.0
    """
    clusters = np.unique(labels)
    if len(clusters) != 2:
        raise ValueError(f"labels of {len(clusters)} clusters are not possible: an area is of two.")
    area = roc_auc_score(np.asarray(labels) == clusters[0], row_lengths(X))
    return float(max(area, 1 - area))


def cross_scores(spaces: Mapping[str, np.ndarray], labels: Mapping[str, np.ndarray]) -> pd.DataFrame:
    """Score the clusterings that were found in each of some spaces in all of these spaces.

    Parameters
    ----------
    spaces : mapping of str to array-like, shape (n, d)
        The same n samples in spaces of different scale or dimension, by name.
    labels : mapping of str to ndarray, shape (m, n)
        By the space in which they were found, clusterings with m numbers of clusters, the same for all.

    Returns
    -------
    DataFrame
        The silhouette scores: a row for each ``found in`` and ``scored in``, a column for each number of clusters.
    """
    stacked = np.concatenate([labels[name] for name in labels])  # so that each space is passed over once
    counts = [len(np.unique(row)) for row in next(iter(labels.values()))]
    scores = {
        (found, scored): part
        for scored, X in spaces.items()
        for found, part in zip(labels, np.split(silhouette_samples(X, stacked).mean(axis=1), len(labels)))
    }
    names = [(found, scored) for found in labels for scored in spaces]
    index = pd.MultiIndex.from_tuples(names, names=["found in", "scored in"])
    return pd.DataFrame([scores[name] for name in names], index, pd.Index(counts, name="n_clusters"))


def lengths_sentence(score: float, area: float, at_unit: float, null: float) -> str:
    """Say whether the score of two clusters is the length of the rows.

    Parameters
    ----------
    score : float
        Of two clusters of rows as they are.
    area : float
        How well the length of a row tells which of the two it is in, from `length_auc`.
    at_unit, null : float
        The score of two clusters of rows of unit length, and that of data without clusters of the same shape.

    Examples
    --------
    >>> lengths_sentence(0.05, 0.94, 0.005, 0.009)[:75]
    'The first score, 0.050 for two clusters, is the length of the rows: of two '
    """
    lengths_alone = area >= _TOLD and at_unit <= null
    return with_minus(
        f"The first score, {score:.3f} for two clusters, "
        f"{'is' if lengths_alone else 'is more than'} the length of the rows: of two rows, one from each cluster, the "
        f"longer one is in the cluster of long rows with probability {area:.2f} (chance has 0.50), and at unit length "
        f"the score is {at_unit:.3f}, where data without clusters have {null:.3f}."
    )
