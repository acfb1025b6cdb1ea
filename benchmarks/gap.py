"""The gap statistic on the five simulated models of Tibshirani, Walther and Hastie (2001), section 5.

python -m benchmarks.gap        50 runs of each model, with both kinds of references
python -m benchmarks.gap 10     fewer runs
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable

import numpy as np
from tqdm import tqdm

from helpers.criteria.references import gap_statistic

from .timing import show

K_VALUES = range(1, 11)
RUNS = 50


def one_cloud(rng: np.random.Generator) -> np.ndarray:
    """Model 1: 200 points, uniform in the unit square of 10 dimensions."""
    return rng.uniform(size=(200, 10))


def three_clusters(rng: np.random.Generator) -> np.ndarray:
    """Model 2: standard normal clusters of 25, 25 and 50 points around (0, 0), (0, 5) and (5, -3)."""
    return np.repeat([(0, 0), (0, 5), (5, -3)], [25, 25, 50], axis=0) + rng.standard_normal((100, 2))


def four_clusters(rng: np.random.Generator, d: int, variance: float) -> np.ndarray:
    """Models 3 and 4: four standard normal clusters of 25 or 50 points around normal centres, at least 1 apart."""
    while True:
        sizes = rng.choice([25, 50], 4)
        clusters = [rng.normal(0, np.sqrt(variance), d) + rng.standard_normal((size, d)) for size in sizes]
        if _smallest_distance(clusters) >= 1:
            return np.vstack(clusters)


def two_elongated(rng: np.random.Generator) -> np.ndarray:
    """Model 5: two clusters of 100 points along the diagonal of three dimensions, 10 apart in each of them."""
    line = np.linspace(-0.5, 0.5, 100)[:, np.newaxis] * np.ones(3)
    return np.vstack([line, line + 10]) + rng.normal(0, 0.1, (200, 3))


def _smallest_distance(clusters: list[np.ndarray]) -> float:
    pairs = [(ours, theirs) for i, ours in enumerate(clusters) for theirs in clusters[:i]]
    return min(np.linalg.norm(ours[:, np.newaxis] - theirs, axis=2).min() for ours, theirs in pairs)


# The number of clusters of each, and how it is drawn.
MODELS: dict[str, tuple[int, Callable[[np.random.Generator], np.ndarray]]] = {
    "1: one, in 10 dimensions": (1, one_cloud),
    "2: three, in 2": (3, three_clusters),
    "3: four, in 3": (4, lambda rng: four_clusters(rng, 3, 5.0)),
    "4: four, in 10": (4, lambda rng: four_clusters(rng, 10, 1.9)),
    "5: two elongated, in 3": (2, two_elongated),
}


def chosen(draw: Callable[[np.random.Generator], np.ndarray], references: str, runs: int) -> Counter:
    """How often each k is chosen over the runs of a model; every run has a seed of its own."""
    found = Counter()
    for run in tqdm(range(runs), delay=2, leave=False):
        X = draw(np.random.default_rng(run))
        gap = gap_statistic(X, K_VALUES, references=references, n_references=20, random_state=run, n_jobs=-1)
        found[gap.n_clusters] += 1
    return found


def main(runs: int) -> None:
    """Print a row for each model and kind of references."""
    rows = []
    for name, (k, draw) in MODELS.items():
        for references in ("uniform", "pca"):
            found = chosen(draw, references, runs)
            often = ", ".join(f"{k} ({times})" for k, times in found.most_common())
            rows.append({"model": name, "references": references, "true k": f"{found[k]} of {runs}", "chosen": often})
    show(rows)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else RUNS)
