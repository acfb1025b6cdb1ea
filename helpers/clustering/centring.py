"""Centring and scaling of points, so that neither an offset nor a unit costs digits."""

from __future__ import annotations

import numpy as np


def mean_and_scale(X: np.ndarray) -> tuple[np.ndarray, float]:
    """Calculate the mean of points and their largest distance from it along any feature; 1 if all points are equal.

    Parameters
    ----------
    X : ndarray, shape (n, p)

    Returns
    -------
    mean : ndarray of float64, shape (p,)
    scale : float
    """
    mean = X.mean(axis=0, dtype=np.float64)
    return mean, float(np.maximum(X.max(axis=0) - mean, mean - X.min(axis=0)).max()) or 1.0
