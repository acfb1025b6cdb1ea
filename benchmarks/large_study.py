"""What a study of many points costs on one machine and on a cluster of two workers: seconds, and memory of a process.

python -m benchmarks.large_study [N]     200,000 points unless told otherwise

The same points, in groups, through `Study.of_features`, in this process with two threads and on two worker processes
with one thread each. Memory is the most that any process held beyond what it had at the beginning, without mapped
files. Both tables of criteria are compared.
"""

from __future__ import annotations

import sys
import tempfile
import time

import numpy as np
import psutil

from helpers.study import Study
from makers.scale import Peak, workers

from .timing import show

N, D, K_VALUES = 200_000, 50, range(2, 9)


def points(n: int) -> np.ndarray:
    """Draw five groups that overlap a little."""
    rng = np.random.default_rng(0)
    return (rng.normal(size=(5, D))[rng.integers(0, 5, n)] * 1.5 + rng.normal(size=(n, D))).astype(np.float32)


def measure(X: np.ndarray, n_workers: int) -> tuple[dict, Study]:
    """Study the points from nothing, with no workers or with some."""
    with tempfile.TemporaryDirectory() as folder, workers(n_workers) as pids:
        given = {"normalize": "none", "n_components": None, "cache_dir": folder}
        _ = Study.of_features(X[:1000], K_VALUES, **given).verdict  # imports what is needed, and is not counted
        ours, theirs = Peak([psutil.Process().pid]), Peak(pids) if pids else None
        started = time.perf_counter()
        study = Study.of_features(X, K_VALUES, **given)
        verdict = study.verdict
        row = {"workers": len(pids), "seconds": time.perf_counter() - started, "k": verdict.n_clusters}
        row |= {"MiB of this process": ours.stop(), "MiB of a worker": theirs.stop() if theirs else np.nan}
    return row, study


if __name__ == "__main__":
    X = points(int(sys.argv[1]) if len(sys.argv) > 1 else N)
    print(f"{X.shape[0]:,} points of {X.shape[1]} features, {X.nbytes / 2**20:.0f} MiB")
    (here, one), (there, two) = measure(X, 1), measure(X, 2)
    show([here, there])
    difference = (one.criteria - two.criteria).abs().max().max()
    print(f"largest difference of any criterion at any k: {difference:.1e}")
