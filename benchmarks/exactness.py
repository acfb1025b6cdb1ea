"""The largest deviation of our silhouettes from scikit-learn's, in float64, over data that break fast formulas.

python -m benchmarks.exactness

scikit-learn is given distances computed from differences: its own fast formula fails on some of these cases, and then
the column `theirs` says by how much.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from scipy.spatial.distance import cdist
from sklearn.metrics import silhouette_samples as sklearn_silhouettes

from helpers.clustering.silhouette import silhouette_samples

from .timing import show

N_SAMPLES = 1200


def nasty_cases() -> Iterator[tuple[str, np.ndarray, np.ndarray]]:
    """Name, points (more than are computed in float64 throughout) and labels."""
    rng = np.random.default_rng(0)
    points, labels = rng.normal(size=(N_SAMPLES, 20)), rng.integers(0, 5, N_SAMPLES)
    centers, pairs = rng.normal(size=(5, 20)) * 1e4, np.arange(N_SAMPLES) // 2
    repeated, outliers = points.copy(), points - points.mean(axis=0)
    repeated[::3] = repeated[0]
    outliers[:2] = [[1e21], [-1e21]]
    two_scales = np.vstack([centers[0], centers[0] + 1e-2, centers[2], centers[2] + 1e-2, centers[4]])
    wide, wide_centers = rng.normal(size=(N_SAMPLES, 1500)), rng.normal(size=(5, 1500))
    yield "noise", points, labels
    yield "float32", points.astype(np.float32), labels
    yield "integers", rng.integers(0, 3, size=(N_SAMPLES, 4)), labels
    yield "duplicates", repeated, labels
    yield "duplicates in pairs", np.repeat(points[::2], 2, axis=0), pairs
    yield "offset", points + 1e6, labels
    yield "larger offset", points + 1e9, labels
    yield "one feature of huge scale", points * np.r_[1e8, np.ones(19)], labels
    yield "one huge feature of two values", np.column_stack([1e8 * (labels % 2), points]), labels
    yield "tight clusters far apart", centers[labels] + points * 1e-3, labels
    yield "tight clusters in float32", (centers[labels] + points * 0.1).astype(np.float32), labels
    yield "clusters at two scales", two_scales[labels] + points * 1e-3, labels
    yield "norms over eight decades", points * np.logspace(0, 8, N_SAMPLES)[:, np.newaxis], labels
    yield "two outliers at 1e21", outliers, labels
    yield "small unit", points * 1e-30, labels
    yield "large unit", points * 1e25, labels
    yield "singletons", points, np.minimum(np.arange(N_SAMPLES), 40)
    yield "pairs", points, pairs
    yield "many dimensions, pairs", wide, pairs
    # Where pairs are just too far from each other to be computed again in float64.
    yield "many dimensions, pairs at the limit", wide_centers[labels] + 0.6 * wide, pairs
    yield "all equal", np.ones((N_SAMPLES, 3)), np.arange(N_SAMPLES) % 3


def exact(points: np.ndarray, labels: np.ndarray, metric: str = "euclidean") -> np.ndarray:
    """scikit-learn's silhouettes of distances that are computed from differences."""
    points = np.asarray(points, dtype=np.float64)
    return sklearn_silhouettes(cdist(points, points, metric), labels, metric="precomputed")


def deviations() -> list[dict]:
    """For each case the largest deviation of ours and of scikit-learn's from the exact silhouettes."""
    rows = []
    for name, points, labels in nasty_cases():
        expected = exact(points, labels)
        theirs = sklearn_silhouettes(np.asarray(points, dtype=np.float64), labels)
        row = {"case": name, "ours": np.abs(silhouette_samples(points, labels) - expected).max()}
        rows.append(row | {"theirs": np.abs(theirs - expected).max()})
    return rows


if __name__ == "__main__":
    table = deviations()
    show(table)
    print(f"largest deviation of ours: {max(row['ours'] for row in table):.1e}")
