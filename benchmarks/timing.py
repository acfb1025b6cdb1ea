"""What the benchmarks share: medians over repeats, and what the machine computed with."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from typing import Any

import pandas as pd
from threadpoolctl import threadpool_info


def describe_blas() -> str:
    """The BLAS library, its kernel and its number of threads, as numpy and scipy use them."""
    kinds = {
        f"{info['internal_api']} {info['version']} ({info.get('architecture', 'unknown kernel')}, "
        f"{info['num_threads']} threads)"
        for info in threadpool_info()
        if info["user_api"] == "blas"
    }
    return "BLAS: " + "; ".join(sorted(kinds))


def median_seconds(function: Callable[[], Any], repeats: int) -> float:
    """The median of some repeats, in seconds."""
    seconds = []
    for _ in range(repeats):
        started = time.perf_counter()
        function()
        seconds.append(time.perf_counter() - started)
    return statistics.median(seconds)


def show(rows: list[dict]) -> None:
    """Print rows as a table."""
    print(pd.DataFrame(rows).to_string(index=False, float_format=lambda value: f"{value:.3g}"), flush=True)
