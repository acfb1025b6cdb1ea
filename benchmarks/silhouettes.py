"""Silhouettes of 15 labelings at once, against scikit-learn's loop and against one matrix product.

python -m benchmarks.silhouettes            sizes at which scikit-learn can be waited for
python -m benchmarks.silhouettes large      50,000 points exactly; a million by estimate and closed form
"""

from __future__ import annotations

import resource
import sys
import time
from collections.abc import Callable
from functools import partial

import numpy as np
from sklearn.metrics import silhouette_samples as sklearn_silhouettes

from helpers.clustering.silhouette import SilhouetteEstimate, silhouette_estimate, silhouette_samples

from .timing import describe_blas, median_seconds, show

K_VALUES = range(2, 17)


def points_and_labels(n: int, d: int) -> tuple[np.ndarray, np.ndarray]:
    """Gaussian points in float32, and for each k labels that a little of the geometry is in."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((n, d), dtype=np.float32)
    labels = [(X[:, :4] @ rng.standard_normal((4, k))).argmax(axis=1) for k in K_VALUES]
    return X, np.stack(labels).astype(np.int32)


def against_peers(n: int, d: int) -> dict:
    """One size: ours, scikit-learn's loop over k, and one float32 product of the points with themselves."""
    X, labels = points_and_labels(n, d)
    silhouette_samples(X[:2000], labels[:, :2000])  # warm up
    ours = median_seconds(lambda: silhouette_samples(X, labels), 5)
    product = median_seconds(lambda: X @ X.T, 5)
    theirs: list[np.ndarray] = []
    loop = median_seconds(lambda: theirs.extend(sklearn_silhouettes(X, row) for row in labels), 1)
    deviation = max(np.abs(a - b).max() for a, b in zip(silhouette_samples(X, labels), theirs))
    return {
        "n": n,
        "d": d,
        "ours (s)": ours,
        "scikit-learn (s)": loop,
        "X @ X.T (s)": product,
        "loop / ours": loop / ours,
        "product / ours": product / ours,
        "deviation": deviation,
    }


def peak_gib() -> float:
    """The largest memory that this process has held so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


def measured(what: str, function: Callable[[], object]) -> dict:
    """One run: seconds on the clock and of the processors, and the peak of memory beyond what was there before."""
    before, cpu, clock = peak_gib(), time.process_time(), time.perf_counter()
    function()
    return {
        "what": what,
        "seconds": time.perf_counter() - clock,
        "CPU seconds": time.process_time() - cpu,
        "beyond the input (MiB)": 1024 * (peak_gib() - before),
        "peak (GiB)": peak_gib(),
    }


def large() -> None:
    """Sizes beyond scikit-learn's patience, the one that needs the least memory first."""
    X, labels = points_and_labels(50_000, 50)
    rows = [measured("exact, n = 50,000", lambda: silhouette_samples(X, labels))]
    show(rows)
    X, labels = points_and_labels(1_000_000, 50)
    estimates: list[SilhouetteEstimate] = []
    rows = [measured("estimate, 1,000 rows", lambda: estimates.extend(silhouette_estimate(X, labels, n_rows=1000)))]
    for metric in ("sqeuclidean", "cosine"):
        closed_form = partial(silhouette_samples, X, labels, metric=metric)
        rows.append(measured(f"closed form, {metric}", closed_form))
    show(rows)
    show([{"k": k, "score": e.mean, "standard error": e.standard_error} for k, e in zip(K_VALUES, estimates)])


if __name__ == "__main__":
    print(describe_blas())
    if sys.argv[1:] == ["large"]:
        large()
    else:
        show([against_peers(6_000, 1_280), against_peers(10_000, 50)])
