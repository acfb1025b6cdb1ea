"""Ask every criterion about problems whose answer is known."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.metrics import adjusted_mutual_info_score

from ..study import Study
from .problems import NOISE, Problem

# Two more answers are stored: that of the verdict if it must name a k, and the k that agrees best with the true groups.
FORCED, BEST = "verdict_forced", "best"

K_VALUES = range(2, 17)
RANDOM_STATES = range(4)
N_INIT = 5


def study_problem(X: np.ndarray, n_components: int | None, random_state: int, *, cache_dir: str | Path) -> Study:
    """Study the points of a problem, scaled already, as all problems are studied."""
    return Study.of_features(
        X,
        K_VALUES,
        random_state=random_state,
        cache_dir=cache_dir,
        normalize="none",
        n_components=n_components,
        n_init=N_INIT,
    )


def answer_problem(problem: Problem, random_state: int, *, cache_dir: str | Path) -> pd.DataFrame:
    """Ask all criteria about a problem, and judge their answers by its true groups.

    Parameters
    ----------
    problem : Problem
    random_state : int
        Draws the points, and is the seed of everything random thereafter.
    cache_dir : path

    Returns
    -------
    DataFrame
        Rows of `Trials.answers`.
    """
    X, groups = problem.sample(random_state)
    study = study_problem(X, problem.n_components, random_state, cache_dir=cache_dir)
    sweep, decision = study.sweep, study.verdict
    known = groups != NOISE
    ami = {1: 0.0} | {
        int(k): adjusted_mutual_info_score(groups[known], labels[known])
        for k, labels in zip(sweep.k_values, sweep.labels)
    }
    answers = study.answers | {FORCED: decision.candidate, BEST: max(ami, key=lambda k: ami[k])}
    shortlist = " ".join(map(str, decision.shortlist))
    return pd.DataFrame(
        {
            "problem": problem.name,
            "random_state": random_state,
            "criterion": list(answers),
            "k": pd.array(list(answers.values()), dtype="Int64"),
            "ami": np.nan if problem.n_clusters == 1 else [ami[k or 1] for k in answers.values()],
            "shortlist": [shortlist if name == "verdict" else "" for name in answers],
        }
    )
