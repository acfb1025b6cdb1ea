"""Rebuild the trials "Which metric?": ask every criterion about every problem, and store the answers.

python -m makers.trials --images FOLDER     with the collections of photographs in this folder
python -m makers.trials                     without
python -m makers.trials show                print the tables of the stored trials

What was computed before is taken from _build/trials, so it can be stopped and resumed. Problems made from photographs
that are not on this machine are left out, and named; `helpers.trials.collections` says where each collection is from.
"""

from __future__ import annotations

import io
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path

import pandas as pd
from joblib import Parallel, delayed
from tqdm import tqdm

from benchmarks.timing import show
from helpers.core.conventions import ROOT, ParameterError
from helpers.core.files import write_atomically
from helpers.core.fingerprints import library_versions, source_digest
from helpers.criteria.halves import N_HALVINGS
from helpers.study import N_INIT_REFERENCES, N_REFERENCES
from helpers.trials.asking import FORCED, K_VALUES, N_INIT, RANDOM_STATES, answer_problem
from helpers.trials.collections import COLLECTIONS, IMAGES, TO_CHOOSE_BY
from helpers.trials.judging import (
    RESULTS,
    Trials,
    compare_answers,
    judge_answers,
    part,
    read_trials,
    summarise_answers,
    trial_sentences,
)
from helpers.trials.problems import APART, CHOOSING, PROBLEMS, Problem

CACHE = ROOT / "_build" / "trials"
ANSWER_COLUMNS = ["problem", "random_state", "criterion", "k", "ami", "levels"]


def take_images() -> None:
    """Take the folder of the collections from the command line."""
    if sys.argv[1:2] == ["--images"]:
        os.environ[IMAGES] = str(Path(sys.argv[2]).resolve())


def available(problem: Problem) -> bool:
    """Tell whether what a problem is made from is here, and compute the features of photographs, once."""
    try:
        problem.sample(0)
    except ParameterError as error:
        print(f"left out: {problem.name} ({error})")
        return False
    return True


def answer(name: str, random_state: int) -> pd.DataFrame:
    """Ask all criteria about one problem with one seed."""
    return answer_problem(PROBLEMS[name], random_state, cache_dir=CACHE)


def ask_all(problems: list[Problem], random_states: Sequence[int]) -> pd.DataFrame:
    """Ask about all problems, those of photographs with one seed, in parallel processes of one thread each."""
    # By name, since a recipe may hold functions that cannot be sent to a process; what is reported first.
    order = sorted(problems, key=lambda problem: ("reporting", "apart", "choosing").index(problem.role))
    tasks = [(problem.name, seed) for seed in random_states for problem in order if not (seed and problem.needs)]
    answers = Parallel(n_jobs=-1, return_as="generator")(delayed(answer)(*task) for task in tasks)
    table = pd.concat(tqdm(answers, total=len(tasks), desc="trials", unit="problem"), ignore_index=True)
    table["problem"] = pd.Categorical(table["problem"], [problem.name for problem in problems])
    return table.sort_values(["problem", "random_state"], kind="stable")


def describe(problem: Problem) -> dict:
    """Describe a problem for the file of results."""
    X, _ = problem.sample(0)
    return {
        "problem": problem.name,
        "family": problem.family,
        "n_clusters": problem.n_clusters,
        "role": problem.role,
        "photographs": problem.family in COLLECTIONS,
        "n": len(X),
        "d": X.shape[1],
    }


def write_trials(answers: pd.DataFrame, problems: list[Problem], folder: Path = RESULTS) -> None:
    """Write ``trials.csv``, the answers, and ``trials.json``, the problems and where the answers come from."""
    settings = {
        "k_values": [K_VALUES.start, K_VALUES.stop - 1],
        "random_states": sorted(int(seed) for seed in answers["random_state"].unique()),
        "n_init": N_INIT,
        "n_init_references": N_INIT_REFERENCES,
        "n_references": N_REFERENCES,
        "n_halvings": N_HALVINGS,
        "chosen_on": [*CHOOSING, *TO_CHOOSE_BY],
        "told_apart": [*APART, *(name for name, collection in COLLECTIONS.items() if collection.near_duplicates)],
    }
    provenance = {
        "command": "python -m makers.trials",
        "settings": settings,
        "versions": library_versions(),
        "helpers": f"SHA-256 {source_digest('helpers.trials.judging')}",
    }
    facts = {"provenance": provenance, "problems": [describe(problem) for problem in problems]}
    text = json.dumps(facts, indent=1, ensure_ascii=False) + "\n"
    write_table(answers[ANSWER_COLUMNS], folder / "trials.csv", n_decimals=4)
    write_atomically(folder / "trials.json", lambda file: file.write(text.encode()))


def write_table(table: pd.DataFrame, path: Path, *, n_decimals: int) -> None:
    """Write a table that the book ships, with as many decimals, and the same bytes on every machine."""
    text = io.StringIO()
    table.to_csv(text, index=False, float_format=f"%.{n_decimals}f", lineterminator="\n")
    write_atomically(path, lambda file: file.write(text.getvalue().encode()))


def print_trials(trials: Trials) -> None:
    """Print how good each criterion is, for choosing and for reporting, on photographs and on the rest."""
    judged = judge_answers(trials)
    for role in ("choosing", "reporting"):
        for photographs in (True, False):
            rows = part(judged, role, photographs=photographs)
            words = f"{role}, {'photographs' if photographs else 'others'}"
            print(f"\n{words}: {rows['problem'].nunique()} problems of {rows['family'].nunique()} families")
            show(summarise_answers(rows).reset_index().to_dict("records"))
    photographs = part(judged, "reporting", photographs=True)
    for measure, criterion in (("exact", "verdict"), ("loss", FORCED)):
        print(f"\n{measure} of the others less that of {criterion}, photographs for reporting")
        show(compare_answers(photographs, measure, criterion).reset_index().to_dict("records"))
    print(*trial_sentences(judged).values(), sep="\n")


if __name__ == "__main__":
    if sys.argv[1:] != ["show"]:
        take_images()
        here = [problem for problem in PROBLEMS.values() if available(problem)]
        write_trials(ask_all(here, RANDOM_STATES), here)
    print_trials(read_trials())
