"""Standard errors of means and of sums of ratios, and what they take to be independent."""

from __future__ import annotations

import numpy as np


def standard_error(parts: np.ndarray, groups: np.ndarray | None = None) -> np.ndarray:
    """Calculate the standard error of an estimate from the parts that samples have in its deviation.

    An estimate that is no plain sum is linearised: the part of sample i is what the estimate would change by, to first
    order, if i had weight 1 more, over n; of a mean it is (s_i - mean) / n. Samples of one group are not independent of
    each other, but groups are; so parts are summed by group,

        error = sqrt(G / (G - 1) * sum over groups of (sum of the parts in the group)^2)

    for G groups: that of a ratio of sums over groups of unequal sizes (Cochran 1977, Sampling Techniques, section 6.4
    and chapter 9A), and the cluster-robust error of Liang and Zeger (1986), Biometrika 73, 13-22. Where each sample is
    its own group, it is the usual error, for a mean the standard deviation over sqrt(n). With few groups, below forty
    or so, it is somewhat too small (Cameron, Gelbach and Miller 2008, Review of Economics and Statistics 90, 414-427).

    Parameters
    ----------
    parts : ndarray, shape (n,) or (m, n)
        Of one estimate or of m; the parts of each sum to 0.
    groups : ndarray of int, shape (n,), optional
        As from `encode_groups`.

    Returns
    -------
    ndarray of float64, shape () or (m,)

    Examples
    --------
    >>> import numpy as np
    >>> values = np.array([1.0, 1, 3, 3, 5, 5, 7, 7])  # four values, each twice
    >>> parts = (values - values.mean()) / len(values)
    >>> round(float(standard_error(parts)), 3), round(float(standard_error(parts, np.arange(8) // 2)), 3)
    (0.845, 1.291)
    """
    if groups is not None:
        parts = np.apply_along_axis(lambda row: np.bincount(groups, row), -1, parts)
    n = parts.shape[-1]
    return np.sqrt((parts**2).sum(axis=-1) * n / (n - 1))


def errors_sentence(groups: np.ndarray | None, group: str = "group") -> str:
    """Say in a sentence what errors take to be independent.

    Parameters
    ----------
    groups : ndarray, shape (n,), or None
        The group of each image; None where each is by itself.
    group : str
        What a group is called.

    Examples
    --------
    >>> errors_sentence([0, 0, 1, 1, 1, 2, 3], "folder")
    'These errors take the images of one folder together, in 4 groups of 1 to 3 images, and only groups as independent.'
    """
    if groups is None:
        return (
            "These errors hold if your images were taken independently, and not several of one object, burst or video; "
            "if they were not, the parameter `groups` says which belong together."
        )
    sizes = np.unique(groups, return_counts=True)[1]
    low, high = f"{sizes.min():,}", f"{sizes.max():,}"
    of = low if low == high else f"{low} to {high}"
    return (
        f"These errors take the images of one {group} together, in {len(sizes):,} groups of {of} images, and only "
        "groups as independent."
    )
