"""The rule of the verdict: a pure function of the valleys between clusters.

Its constants are here and in `helpers.criteria.table.DEEP`, to be argued with. `helpers.criteria.verdict` puts its
decision into words.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from .halves import LinkValleys
from .table import DEEP

# Of the k that count the finest is named whose valley is at least this share of the deepest.
NEARLY = 0.8
# Nor may it fall further below the deepest than `CUT` clusters that do not count take from the mean over clusters.
# A needless cut through one of many islands makes two of these.
CUT = 2
# A k is named only if this share of other draws of the halvings name it, too.
SURE = 0.8
N_DRAWS = 400


@dataclass(frozen=True)
class Decision:
    """A decision of the rule.

    Attributes
    ----------
    n_clusters : int or None
        The k that is named, or None for "no clear k".
    valleys : DataFrame
        The valleys of each k: ``valley``, ``valley_spread`` and ``links``, see `LinkValleys.table`.
    draws : Series
        How often each k is named by other draws of the halvings, as shares, indexed by k; 0 stands for none.
    """

    n_clusters: int | None
    valleys: pd.DataFrame
    draws: pd.Series

    @property
    def levels(self) -> pd.DataFrame:
        """The rows of the k that count; there are none where none does."""
        return self.valleys[self.valleys["valley"] >= DEEP]

    @property
    def usual(self) -> int | None:
        """The k that the draws name most often; None if most often they name none."""
        return int(self.draws.idxmax()) or None

    @property
    def between(self) -> tuple[int, int] | None:
        """The least and the largest k that one draw in twenty or more names; None if there is no such k."""
        named = self.draws.index[(self.draws >= 0.05) & (self.draws.index > 0)]
        return (int(named.min()), int(named.max())) if len(named) else None


def decide(valleys: LinkValleys) -> Decision:
    """Decide whether there is a clear number of clusters, and which.

    1. A k counts if its valley is at least `DEEP`: across the borders of its clusters run that much fewer links between
       neighbours than inside them. All of these are told, as levels.
    2. If none counts, there is no clear k.
    3. Of those that count, the finest is named whose valley is at least `NEARLY` of the deepest, and with many clusters
       1 - `CUT` (1 - `DEEP`) / k of it: the valley is a mean over clusters, from which two needless ones that do not
       count take that much.

    Other halvings give other valleys. So the halvings are drawn again, with replacement (Efron 1979, Annals of
    Statistics 7, 1-26), and a k is named only if `SURE` of the draws name it, too. That measures the chance of the
    halving, and not that of other images.

    Nothing here needs a null, a ceiling or a label, and no other criterion votes. The constants were chosen on the
    problems of `helpers.trials` that are declared for it; the trials report the others.

    Parameters
    ----------
    valleys : LinkValleys

    Examples
    --------
    >>> import numpy as np
    >>> from helpers.criteria.halves import link_valleys
    >>> X = np.random.default_rng(0).normal(size=(300, 2)) + np.repeat([[0, 0], [9, 0], [0, 9]], 100, axis=0)
    >>> decision = decide(link_valleys(X, range(2, 9)))
    >>> decision.n_clusters, decision.levels.index.tolist()
    (3, [2, 3, 4])
    """
    table, draws = valleys.table(), redraw(valleys)
    return Decision(_if_sure(named_level(table["valley"]), draws), table, draws)


def sure_level(valleys: LinkValleys, *, deep: float = DEEP, nearly: float = NEARLY) -> int | None:
    """Name the k of `named_level` if enough redraws of the halvings name it, too; None otherwise."""
    constants = {"deep": deep, "nearly": nearly}
    return _if_sure(named_level(valleys.table()["valley"], **constants), redraw(valleys, **constants))


def _if_sure(named: int | None, draws: pd.Series) -> int | None:
    return named if named and draws.get(named, 0.0) >= SURE else None


def redraw(valleys: LinkValleys, *, deep: float = DEEP, nearly: float = NEARLY) -> pd.Series:
    """Draw the halvings again, with replacement, and count how often each k is named.

    Returns
    -------
    Series
        Shares of `N_DRAWS` draws, indexed by k; 0 stands for none.
    """
    by_halving = valleys.by_halving.to_numpy()
    drawn = np.random.default_rng(0).integers(len(by_halving), size=(N_DRAWS, len(by_halving)))
    named = _named(by_halving[drawn].mean(axis=1), valleys.k_values, deep, nearly)
    return pd.Series(named).value_counts(normalize=True).sort_index()


def named_level(valley: pd.Series, *, deep: float = DEEP, nearly: float = NEARLY) -> int | None:
    """Name the finest k, the index of the valleys, that is nearly as deep as the deepest; None if none counts.

    See `decide`; `nearly` is the share for few clusters.

    Examples
    --------
    >>> import pandas as pd
    >>> named_level(pd.Series({2: 0.6, 3: 0.55, 4: 0.3})), named_level(pd.Series({2: 0.1, 3: -0.2}))
    (3, None)
    """
    return int(_named(valley.to_numpy()[np.newaxis], valley.index.to_numpy(), deep, nearly)[0]) or None


def nearly_deepest(valley: pd.Series) -> list[int]:
    """List the k that count and are nearly as deep as the deepest, of which the rule names the finest.

    Examples
    --------
    >>> import pandas as pd
    >>> nearly_deepest(pd.Series({2: 0.6, 3: 0.55, 4: 0.3})), nearly_deepest(pd.Series({2: 0.1, 3: -0.2}))
    ([2, 3], [])
    """
    near = _nearly_deepest(valley.to_numpy()[np.newaxis], valley.index.to_numpy(), DEEP, NEARLY)
    return valley.index[near[0]].tolist()


def _named(valley: np.ndarray, k_values: np.ndarray, deep: float, nearly: float) -> np.ndarray:
    """Name a k, or 0 for none, for each row of valleys (r, m), some of which may be missing."""
    return np.where(_nearly_deepest(valley, k_values, deep, nearly), k_values, 0).max(axis=1)


def _nearly_deepest(valley: np.ndarray, k_values: np.ndarray, deep: float, nearly: float) -> np.ndarray:
    """Tell for each row of valleys (r, m) which k count and are nearly as deep as the deepest."""
    valley = np.where(np.isnan(valley), -np.inf, valley)
    share = np.maximum(nearly, 1 - CUT * (1 - deep) / k_values)
    return valley >= np.maximum(deep, share * valley.max(axis=1, keepdims=True))


def convenient_k(table: pd.DataFrame, decision: Decision) -> int:
    """Give a k for whoever must take one where none is named: a convenience, and no finding.

    It is the k that the draws of the halvings name most often; where that is none, the one whose score lies farthest
    beyond its null, which loses least agreement on the problems that are declared for choosing; and without a null,
    the one of the largest score.

    Parameters
    ----------
    table : DataFrame
        From `compare_criteria`, without k = 1.
    decision : Decision
    """
    if decision.usual is not None:
        return decision.usual
    return int((table["score"] - table.get("null_score", 0.0)).idxmax())
