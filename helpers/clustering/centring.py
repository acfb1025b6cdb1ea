"""Checking, centring and scaling of points, so that neither an offset nor a unit costs digits.

Units are powers of two, so that dividing by one changes no digit.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.utils import check_array

# Points from which a median is taken.
_SAMPLE = 1000
# A mean this many times farther from the median than points usually are was drawn away by a few of them.
_FAR = 1e4
# An offset of this many times the scale would cost the products of a covariance four digits.
_FAR_OFFSET = 100
# The squares of a smaller scale come near the smallest numbers, and lose digits.
_SMALL_SQUARE = 1e-290


def check_points(X: Any, **options: Any) -> np.ndarray:
    """Check points as scikit-learn's `check_array` does, which drops the mask of a masked array, and refuse such a one.

    Parameters
    ----------
    X : array-like
    **options
        Of `check_array`; `input_name` is the name in messages.

    Raises
    ------
    ValueError
        If values are masked, or `check_array` refuses X.
    """
    name = options.setdefault("input_name", "X")
    if np.ma.is_masked(X):
        raise ValueError(f"{name} has {np.ma.count_masked(X):,} masked values: fill them, or leave out their rows.")
    return check_array(X, **options)


def mean_and_scale(X: np.ndarray) -> tuple[np.ndarray, float]:
    """Calculate a centre of points and their largest distance from it along any feature; 1 if all points are equal.

    The centre is the mean. Where a few far points draw the mean away from all others, whose differences would lose
    digits by it, it is the median instead.

    Parameters
    ----------
    X : ndarray, shape (n, p)

    Returns
    -------
    mean : ndarray of float64, shape (p,)
    scale : float

    Raises
    ------
    ValueError
        If a distance is larger than the largest number.

    Examples
    --------
    >>> import numpy as np
    >>> mean_and_scale(np.array([[1.0], [2.0], [6.0]])), mean_and_scale(np.array([[1.0], [2.0], [3.0], [1e20]]))
    ((array([3.]), 3.0), (array([2.5]), 1e+20))
    """
    with np.errstate(over="ignore", invalid="ignore"):
        mean = X.mean(axis=0, dtype=np.float64)
        median, usual = median_and_usual(X)
        if not np.abs(mean - median).max() <= _FAR * usual:
            mean = median
        scale = float(np.maximum(X.max(axis=0) - mean, mean - X.min(axis=0)).max())
    if not np.isfinite(scale):
        raise ValueError("X spans more than the largest number: rescale it.")
    return mean, scale or 1.0


def median_and_usual(X: np.ndarray) -> tuple[np.ndarray, float]:
    """Calculate the median of some of the points, float64, shape (p,), and how far from it those usually are.

    The distance is the largest along any feature, and the median over the points that are not at the median itself; 0
    if all of them are.

    Examples
    --------
    >>> import numpy as np
    >>> median_and_usual(np.array([[1.0], [2.0], [3.0], [1e20]]))
    (array([2.5]), 1.0)
    """
    sample = np.asarray(X[:: -(-len(X) // _SAMPLE)], dtype=np.float64)
    median = np.median(sample, axis=0)
    distances = np.abs(sample - median).max(axis=1)
    apart = distances[distances > 0]
    return median, float(np.median(apart)) if len(apart) else 0.0


def check_squares(scale: float, size: int) -> None:
    """Refuse points whose squared distances would leave the range of numbers.

    Parameters
    ----------
    scale : float
        From `mean_and_scale`.
    size : int
        Number of values whose squares are added.

    Raises
    ------
    ValueError
    """
    with np.errstate(over="ignore", under="ignore"):
        square = np.float64(scale) ** 2
        if not (np.isfinite(square * size) and square >= _SMALL_SQUARE):
            raise ValueError(
                f"X reaches {scale:.2g} from its centre, and the squares of that leave the range of numbers: rescale "
                "it."
            )


def units_of(scales: np.ndarray) -> np.ndarray:
    """Find for each positive number the largest power of two that is not larger, in float64."""
    return np.ldexp(1.0, np.frexp(np.asarray(scales, dtype=np.float64))[1] - 1)


def unit_of(scale: float) -> float:
    """Find the largest power of two that is not larger than a positive number.

    Examples
    --------
    >>> unit_of(1.0), unit_of(7.9), unit_of(0.3)
    (1.0, 4.0, 0.25)
    """
    return float(units_of(scale))


def in_units(X: np.ndarray) -> tuple[np.ndarray, np.ndarray, float]:
    """Divide points by a unit of about their scale, and subtract an offset that would cost digits.

    Parameters
    ----------
    X : ndarray of float64, shape (n, p)

    Returns
    -------
    points : ndarray of float64, shape (n, p)
        (X - offset) / unit.
    offset : ndarray of float64, shape (p,)
        Zeros where the points are not far from the origin.
    unit : float
        A power of two.

    Raises
    ------
    ValueError
        As `mean_and_scale`.
    """
    mean, scale = mean_and_scale(X)
    offset = mean if np.abs(mean).max() > _FAR_OFFSET * scale else np.zeros_like(mean)
    unit = unit_of(scale)
    return (X - offset) / unit, offset, unit


# --- rows -------------------------------------------------------------------------------------------------------------


def row_norms(X: np.ndarray) -> np.ndarray:
    """Calculate the Euclidean length of each row, float64, shape (n,), without squares that leave the range of numbers.

    Examples
    --------
    >>> import numpy as np
    >>> row_norms(np.array([[3e200, 4e200], [3e-200, 4e-200], [0.0, 0.0]]))
    array([5.e+200, 5.e-200, 0.e+000])
    """
    units = _row_units(X)
    return np.linalg.norm(X / units[:, np.newaxis], axis=1) * units


def unit_rows(X: np.ndarray) -> np.ndarray:
    """Divide each row by its Euclidean length, in float64; a row of zeros has no direction, and stays.

    Examples
    --------
    >>> import numpy as np
    >>> unit_rows(np.array([[3e200, 4e200], [3e-200, 4e-200], [0.0, 0.0]]))
    array([[0.6, 0.8],
           [0.6, 0.8],
           [0. , 0. ]])
    """
    rows = X / _row_units(X)[:, np.newaxis]
    lengths = np.sqrt(np.einsum("ij,ij->i", rows, rows))
    return rows / np.where(lengths > 0, lengths, 1)[:, np.newaxis]


def _row_units(X: np.ndarray) -> np.ndarray:
    """Find for each row the power of two just below its largest value, in float64."""
    return units_of(np.abs(X).max(axis=1))
