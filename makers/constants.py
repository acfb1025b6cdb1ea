"""Try the constants of the rule on the problems that are declared for choosing them, and store the table.

python -m makers.constants [--images FOLDER]

It writes ``constants.csv``, a row for each number of neighbours and pair of thresholds, and ``constants_by_n.csv``, the
valleys of groups and of clouds without groups from 100 to 20,000 points. What was computed before is taken from
_build/trials. Collections of photographs that are not in the folder are left out, and named.
"""

from __future__ import annotations

from itertools import product

import numpy as np
import pandas as pd
from joblib import Parallel, delayed
from tqdm import tqdm

from benchmarks.timing import show
from helpers.criteria.halves import LinkValleys, cluster_halves, link_valleys
from helpers.criteria.rule import sure_level
from helpers.trials.asking import K_VALUES, agreement, study_problem
from helpers.trials.judging import RESULTS
from helpers.trials.problems import PROBLEMS, gaussian_groups, ring

from .trials import CACHE, available, take_images, write_table

N_NEIGHBORS, DEEP, NEARLY = (5, 10, 20), (0.2, 0.25, 1 / 3), (0.75, 0.8, 0.85, 0.9)
SIZES = (100, 300, 1_000, 5_000, 20_000)
# What is drawn in growing numbers, and the true k.
GROWING = {
    "5 groups, 7 apart": (5, lambda rng, n: gaussian_groups(rng, [n // 5] * 5, 10, 7)[0]),
    "5 groups, 4 apart": (5, lambda rng, n: gaussian_groups(rng, [n // 5] * 5, 10, 4)[0]),
    "Gaussian, 2 dimensions": (1, lambda rng, n: rng.standard_normal((n, 2))),
    "Gaussian, 50 dimensions": (1, lambda rng, n: rng.standard_normal((n, 50))),
    "square": (1, lambda rng, n: rng.uniform(size=(n, 2))),
    "ring": (1, lambda rng, n: ring(rng, n)),
}


def valleys_of(name: str) -> tuple[dict[int, LinkValleys], pd.Series]:
    """Measure the valleys of one problem with each number of neighbours, and the agreement at each k."""
    problem = PROBLEMS[name]
    X, groups = problem.sample(0)
    study = study_problem(X, problem.n_components, 0, cache_dir=CACHE)
    found = {n: link_valleys(study.points, K_VALUES, n_neighbors=n, halves=study.halves) for n in N_NEIGHBORS}
    return found, agreement(study, groups)


def growing(name: str, n: int) -> dict:
    """Measure the valleys of points drawn in one number, at the true k and wherever they are deepest."""
    true, draw = GROWING[name]
    X = draw(np.random.default_rng([n, *name.encode()]), n).astype(np.float32)
    row, ks = {"points": name, "n": n}, range(2, 9)
    halves = cluster_halves(X, ks, n_halvings=4)
    for n_neighbors in N_NEIGHBORS:
        valley = link_valleys(X, ks, n_neighbors=n_neighbors, halves=halves).table()["valley"]
        row |= {f"deepest, {n_neighbors}": valley.max(), f"at true k, {n_neighbors}": valley.get(true, np.nan)}
    return row


def judge(found: dict[str, tuple[dict[int, LinkValleys], pd.Series]]) -> list[dict]:
    """Tabulate how good the rule is with each choice of constants: means over problems."""
    rows = []
    for n, deep, nearly in product(N_NEIGHBORS, DEEP, NEARLY):
        answers = []
        for name, (valleys, ami) in found.items():
            k, true = sure_level(valleys[n], deep=deep, nearly=nearly), PROBLEMS[name].n_clusters
            lost = ami.max() - ami[k] if k else np.nan
            answers.append({"named": k is not None, "exact": k == true, "lost": lost, "true": true})
        judged = pd.DataFrame(answers)
        groups, clouds = judged[judged["true"] > 1], judged[judged["true"] == 1]
        row = {"neighbors": n, "deep": deep, "nearly": nearly, "false_alarms": clouds["named"].mean()}
        row |= {"abstained": 1 - groups["named"].mean(), "exact": groups.loc[groups["named"], "exact"].mean()}
        rows.append(row | {"ami_lost": groups["lost"].mean()})
    return rows


def store(name: str, rows: list[dict]) -> None:
    """Write a table, and show it."""
    show(rows)
    write_table(pd.DataFrame(rows), RESULTS / f"{name}.csv", n_decimals=3)


if __name__ == "__main__":
    take_images()
    chosen = [problem.name for problem in PROBLEMS.values() if problem.role == "choosing" and problem.n_clusters]
    names = [name for name in chosen if available(PROBLEMS[name])]
    tables = Parallel(n_jobs=-1, return_as="generator")(delayed(valleys_of)(name) for name in names)
    store("constants", judge(dict(zip(names, tqdm(tables, total=len(names), desc="problems")))))
    sizes = Parallel(n_jobs=-1)(delayed(growing)(name, n) for name in GROWING for n in SIZES)
    store("constants_by_n", sizes)
