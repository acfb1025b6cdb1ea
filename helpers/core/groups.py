"""Samples that belong together: pictures of one object, of one burst or of one video are not independent.

A group is no label. Labels say what the images show, and no step of the clustering sees them; groups say how they were
taken, and errors and halves take those of one group together.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from .conventions import ParameterError

# With fewer there are hardly two ways to halve them, and no error to speak of.
FEWEST_GROUPS = 4


def encode_groups(
    groups: np.ndarray | None, n: int, *, source: str = "groups", fewest: int = FEWEST_GROUPS
) -> np.ndarray | None:
    """Number the groups of samples from 0, in the order in which they appear.

    Parameters
    ----------
    groups : array-like, shape (n,), or None
        The group of each sample: numbers or texts.
    n : int
        The number of samples.
    source : str
        What made the groups, for the messages.
    fewest : int
        The least number of groups.

    Returns
    -------
    ndarray of int64, shape (n,), or None
        None if there are no groups, or each has one sample.

    Raises
    ------
    ParameterError
        If there is not one group for each sample, one is missing, or there are fewer than `fewest`.

    Examples
    --------
    >>> encode_groups(["b", "a", "b", "c", "d"], 5).tolist(), encode_groups([5, 7, 6, 8], 4)
    ([0, 1, 0, 2, 3], None)
    """
    if groups is None:
        return None
    masked, groups = np.ma.getmaskarray(groups), np.asarray(groups)
    if groups.shape != (n,):
        shape = f"the shape {groups.shape}" if groups.ndim != 1 else f"{len(groups):,} entries"
        raise ParameterError(f"{source} has {shape}, and must have one entry for each of the {n:,} samples.")
    try:
        codes, names = pd.factorize(groups)
    except TypeError:
        raise ParameterError(f"{source} must be numbers or texts.") from None
    if (missing := masked | (codes < 0)).any():
        raise ParameterError(f"{source} leaves {missing.sum():,} of {n:,} samples without a group.")
    if len(names) == n:
        return None
    if len(names) < fewest:
        raise ParameterError(
            f"{source} makes {len(names)} group{'s' * (len(names) > 1)} of {n:,} samples, and errors and halves need "
            f"at least {fewest}."
        )
    return codes.astype(np.int64)
