"""Ask the criteria about the photographs for reporting with the features of other networks, and store the answers.

python -m makers.networks --images FOLDER

It writes ``networks.csv``, as ``trials.csv`` with a column for the network. The rules of others are left out, since
they take longest; what was computed before is taken from _build/trials.
"""

from __future__ import annotations

from itertools import product

import pandas as pd
from joblib import Parallel, delayed
from tqdm import tqdm

from benchmarks.timing import show
from helpers.images.backbones import LITE0
from helpers.trials.asking import BEST, answer_problem
from helpers.trials.collections import COLLECTIONS
from helpers.trials.judging import RESULTS, read_networks, summarise_answers
from helpers.trials.problems import PROBLEMS, with_backbone

from .trials import ANSWER_COLUMNS, CACHE, available, take_images, write_table

# Those that need no download.
NETWORKS = (LITE0, "efficientnet-lite1", "efficientnet-lite2", "pixels")


def answer(network: str, name: str) -> pd.DataFrame:
    """Ask about one problem with the features of one network."""
    problem = with_backbone(PROBLEMS[name], network)
    answers = answer_problem(problem, 0, cache_dir=CACHE, others=False)
    answers.insert(0, "network", network)
    return answers


def answer_collection(network: str, family: str) -> pd.DataFrame:
    """Ask about all problems made from one collection, whose images are embedded once."""
    names = [problem.name for problem in PROBLEMS.values() if problem.family == family]
    return pd.concat([answer(network, name) for name in names])


if __name__ == "__main__":
    take_images()
    families = [name for name, collection in COLLECTIONS.items() if collection.role == "reporting"]
    tasks = list(product(NETWORKS, [name for name in families if available(PROBLEMS[name])]))
    tables = Parallel(n_jobs=-1, return_as="generator")(delayed(answer_collection)(*task) for task in tasks)
    table = pd.concat(tqdm(tables, total=len(tasks), desc="networks", unit="collection"))
    write_table(table[["network", *ANSWER_COLUMNS]], RESULTS / "networks.csv", n_decimals=4)
    for network, rows in read_networks().groupby("network", sort=False):
        print(f"\n{network}: best AMI {rows.loc[rows['criterion'] == BEST, 'ami'].mean():.3f}")
        show(summarise_answers(rows).reset_index().to_dict("records"))
