"""Draw the synthetic clouds for reporting ten times each, ask the verdict about each draw, and store its answers.

python -m makers.clouds

It writes ``clouds.csv``, a row for each cloud and seed; what was computed before is taken from _build/trials.
"""

from __future__ import annotations

import pandas as pd
from joblib import Parallel, delayed
from tqdm import tqdm

from helpers.criteria.rule import decide
from helpers.trials.asking import study_problem
from helpers.trials.judging import RESULTS, clouds_sentence, read_clouds
from helpers.trials.problems import PROBLEMS

from .trials import CACHE, write_table

RANDOM_STATES = range(10)


def answer(name: str, random_state: int) -> dict:
    """Ask the verdict about a cloud that is drawn, clustered and halved with one seed."""
    problem = PROBLEMS[name]
    X, _ = problem.sample(random_state)
    study = study_problem(X, problem.n_components, random_state, cache_dir=CACHE)
    return {"problem": name, "random_state": random_state, "k": decide(study.valleys).n_clusters}


if __name__ == "__main__":
    clouds = [p.name for p in PROBLEMS.values() if p.role == "reporting" and p.n_clusters == 1 and not p.needs]
    tasks = [(name, random_state) for name in clouds for random_state in RANDOM_STATES]
    answers = Parallel(n_jobs=-1, return_as="generator")(delayed(answer)(*task) for task in tasks)
    table = pd.DataFrame(tqdm(answers, total=len(tasks), desc="clouds", unit="draw")).astype({"k": "Int64"})
    write_table(table, RESULTS / "clouds.csv", n_decimals=0)
    print(clouds_sentence(read_clouds()))
