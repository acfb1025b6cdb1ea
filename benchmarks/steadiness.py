"""Does the verdict stay when the seed or the largest k changes?

python -m benchmarks.steadiness [--images FOLDER]

The same features with eight seeds, and with k_max 12, 16 and 24 where the answer lies below 12: of the collections of
photographs for reporting (in the folder, see `helpers.trials.collections`) and of what needs no photographs. How often
a k is named for clouds without groups that are drawn anew is measured by `makers.clouds`.
"""

from __future__ import annotations

from collections import Counter

import numpy as np
from joblib import Parallel, delayed
from tqdm import tqdm

from helpers.clustering.reduction import fit_pca
from helpers.criteria.halves import link_valleys
from helpers.criteria.rule import decide
from helpers.trials.problems import PROBLEMS, Problem
from makers.trials import available, take_images

from .timing import show

SEEDS, LARGEST = range(8), (12, 16, 24)
OTHERS = ("digits, network", "solar cells, mono and poly", "ImageNet sample", "8 groups", "tails, 6 groups")


def named(X: np.ndarray, k_max: int, seed: int) -> int | None:
    """The k that is named, or None."""
    return decide(link_valleys(X, range(2, k_max + 1), random_state=seed, n_jobs=1)).n_clusters


def points_of(problem: Problem) -> np.ndarray:
    """Draw the points of a problem as k-means sees them."""
    X, _ = problem.sample(0)
    return fit_pca(X, problem.n_components and min(problem.n_components, len(X) - 1)).points


def steadiness(name: str) -> dict:
    """The answers to one problem, by seed and by k_max, and the share of each that agree with the most frequent."""
    problem = PROBLEMS[name]
    points = points_of(problem)
    by_seed = [named(points, 16, seed) for seed in SEEDS]
    by_k_max = [by_seed[0] if k_max == 16 else named(points, k_max, 0) for k_max in LARGEST]
    row = {"problem": name, "true": problem.n_clusters, "by seed": " ".join(map(str, by_seed))}
    row |= {"by k_max": " ".join(map(str, by_k_max)), "same, seeds": _most(by_seed), "same, k_max": np.nan}
    if all(k is None or k < LARGEST[0] for k in by_k_max):
        row["same, k_max"] = _most(by_k_max)
    answers = [k for k in by_seed if k is not None]
    return row | {"same, where named": _most(answers) if answers else np.nan}


def _most(answers: list) -> float:
    return Counter(answers).most_common(1)[0][1] / len(answers)


if __name__ == "__main__":
    take_images()
    reporting = [p for p in PROBLEMS.values() if p.role == "reporting" and p.name == p.family and available(p)]
    names = [*(problem.name for problem in reporting), *OTHERS]
    rows = Parallel(n_jobs=-1, return_as="generator")(delayed(steadiness)(name) for name in names)
    rows = list(tqdm(rows, total=len(names), desc="problems"))
    show(rows)
    for column in ("same, seeds", "same, where named", "same, k_max"):
        print(f"{column}: {np.nanmean([row[column] for row in rows]):.1%}")
