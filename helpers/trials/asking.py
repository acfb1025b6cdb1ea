"""Ask every criterion about problems whose answer is known."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.metrics import adjusted_mutual_info_score

from ..core.cache import cached
from ..study import Study
from .others import OTHERS, ask_others
from .problems import NOISE, Problem

# Two more answers are stored: that of the verdict if it must name a k, and the k that agrees best with the true groups.
FORCED, BEST = "verdict_forced", "best"

K_VALUES = range(2, 17)
# Synthetic problems are drawn with each seed. Photographs stay the same, and their classes are drawn once for each
# number of them.
RANDOM_STATES = range(1)
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


def agreement(study: Study, groups: np.ndarray) -> pd.Series:
    """Calculate the adjusted mutual information of the clustering at each k and the true groups, indexed by k.

    It is 0 for k = 1 and for no clustering, and leaves out points that belong to no group.
    """
    known = groups != NOISE
    sweep = study.sweep
    values = [adjusted_mutual_info_score(groups[known], labels[known]) for labels in sweep.labels]
    return pd.Series([0.0, *values], index=[1, *map(int, sweep.k_values)])


def ask_others_of(study: Study) -> dict[str, int | None]:
    """Ask the rules of others about a study, by their names."""
    named = cached(
        ask_others,
        study.points,
        study.k_values,
        random_state=study.params.random_state,
        cache_dir=study.params.cache_dir,
        unkeyed={"halves": study.halves},
    )
    return dict(zip(OTHERS, named.k, strict=True))


def answer_problem(problem: Problem, random_state: int, *, cache_dir: str | Path, others: bool = True) -> pd.DataFrame:
    """Ask all criteria about a problem, and judge their answers by its true groups.

    Parameters
    ----------
    problem : Problem
    random_state : int
        Draws the points, and is the seed of everything random thereafter.
    cache_dir : path
    others : bool
        Whether to ask the rules of others, too, which take longest.

    Returns
    -------
    DataFrame
        Rows of `Trials.answers`.
    """
    X, groups = problem.sample(random_state)
    study = study_problem(X, problem.n_components, random_state, cache_dir=cache_dir)
    ami, verdict = agreement(study, groups), study.verdict
    theirs = ask_others_of(study) if others else {}
    answers = study.answers | theirs | {FORCED: verdict.convenience, BEST: int(ami.idxmax())}
    levels = " ".join(map(str, verdict.levels.index))
    return pd.DataFrame(
        {
            "problem": problem.name,
            "random_state": random_state,
            "criterion": list(answers),
            "k": pd.array(list(answers.values()), dtype="Int64"),
            "ami": np.nan if problem.n_clusters == 1 else [ami[k or 1] for k in answers.values()],
            "levels": [levels if name == "verdict" else "" for name in answers],
        }
    )
