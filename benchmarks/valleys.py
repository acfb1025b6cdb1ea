"""The cost of `link_valleys`: seconds of two threads and memory, by the number of points.

python -m benchmarks.valleys [N ...]

Points of 50 features in groups, k from 2 to 16, all halvings; each size in a process of its own.
"""

from __future__ import annotations

import resource
import subprocess
import sys
import time

import numpy as np

from helpers.criteria.halves import link_valleys

from .timing import show

SIZES = (2_624, 20_000, 200_000)


def measure(n: int) -> None:
    """Print seconds, seconds of processor time, and MiB beyond those before."""
    rng = np.random.default_rng(0)
    X = (2 * rng.standard_normal((20, 50))[rng.integers(20, size=n)] + rng.standard_normal((n, 50))).astype(np.float32)
    link_valleys(X[:500], [2, 3], n_jobs=-1)  # imports and threads
    before, cpu, started = _mib(), time.process_time(), time.perf_counter()
    link_valleys(X, range(2, 17), n_jobs=-1)
    print(time.perf_counter() - started, time.process_time() - cpu, _mib() - before)


def _mib() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    if sys.argv[1:2] == ["--one"]:
        measure(int(sys.argv[2]))
    else:
        rows = []
        for n in map(int, sys.argv[1:] or SIZES):
            command = [sys.executable, "-m", "benchmarks.valleys", "--one", str(n)]
            out = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
            rows.append({"n": n, "seconds": float(out[0]), "processor": float(out[1]), "MiB": float(out[2])})
        show(rows)
