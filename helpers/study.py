"""The study "Which metric?": what each criterion answers to problems whose answer is known.

`python -m benchmarks.study` asks them all and writes the answers to the folder `RESULTS`; a chapter of the book reads
them. Answers are judged by the true groups, which no criterion sees.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from sklearn.metrics import adjusted_mutual_info_score

from .cache import cached
from .criteria import compare_criteria, validity_indices
from .parameters import ROOT
from .problems import NOISE, PROBLEMS, Problem
from .reduction import fit_pca
from .references import (
    GAP_REFERENCES,
    gap_choice,
    gap_statistic,
    null_silhouettes,
    silhouette_ceiling,
    stability,
)
from .silhouette import silhouette_samples, silhouette_table
from .sweep import KMeansSweep, sweep_kmeans
from .verdict import verdict

RESULTS = ROOT / "book" / "data"
# How the criteria are called on figures and in tables, the verdict last.
CRITERIA = {
    "elbow": "elbow (Kneedle)",
    "score": "silhouette score",
    "macro": "mean over clusters",
    "median": "median silhouette",
    "positive": "share of positive samples",
    "score_beyond_null": "score beyond its null",
    "gap_pca": "gap, principal axes",
    "gap_uniform": "gap, plain uniform",
    "calinski_harabasz": "Calinski-Harabasz",
    "davies_bouldin": "Davies-Bouldin",
    "stability": "stability",
    "verdict": "verdict",
}
# Two answers more are stored: of the verdict if it must name a k, and the k that agrees best with the true groups.
FORCED, BEST = "verdict_forced", "best"

K_VALUES = range(2, 17)
RANDOM_STATES = range(4)
N_INIT = 5
# Of the references and subsamples, which are many.
N_INIT_REFERENCES = 1
N_REFERENCES = 8
N_SUBSAMPLES = 8


@dataclass(frozen=True)
class Study:
    """The stored study.

    Attributes
    ----------
    answers : DataFrame
        A row for each problem, seed and criterion: ``problem``, ``random_state``, ``criterion``; ``k``, missing where
        it names none; ``ami``, the adjusted mutual information of the clustering at that k and the true groups, 0
        where it names none or one, missing where there is no structure to agree with; ``shortlist``, of the verdict.
    problems : DataFrame
        Indexed by ``problem``: ``family``, ``n_clusters`` (the true number, missing where it is not known),
        ``held_out``, ``n``, ``d``.
    provenance : dict
        Command, settings, versions and sources.
    """

    answers: pd.DataFrame
    problems: pd.DataFrame
    provenance: dict[str, Any]


# --- asking -----------------------------------------------------------------------------------------------------------


def measure_criteria(
    X: np.ndarray,
    k_values: Sequence[int],
    *,
    n_components: int | None,
    metric: str = "euclidean",
    n_init: int,
    algorithm: str = "lloyd",
    random_state: int,
    cache_dir: str | Path,
) -> tuple[KMeansSweep, pd.DataFrame]:
    """All that the criteria are read from, with the references and subsamples of the study.

    Parameters
    ----------
    X : ndarray of float32, shape (n, d)
        Features, scaled already: the space in which clusterings are scored.
    k_values : sequence of int
        Consecutive.
    n_components : int or None
        Principal components that k-means sees, as for `fit_pca`.
    metric, n_init, algorithm, random_state
        As for `silhouette_samples` and `sweep_kmeans`; references and subsamples are clustered by ``lloyd``.
    cache_dir : path
        Where the clusterings of points, references and subsamples are kept.

    Returns
    -------
    KMeansSweep, DataFrame
        The clusterings, and the table of `compare_criteria` with the gap statistic along the principal axes; in
        ``gap_uniform`` and ``s_uniform`` that along the features.
    """
    points = fit_pca(X, n_components).points
    seeded = {"random_state": random_state, "cache_dir": cache_dir}
    many_at_once = {"unkeyed": {"n_jobs": -1}}
    few = {"n_init": N_INIT_REFERENCES, **seeded, **many_at_once}
    sweep = cached(sweep_kmeans, points, k_values, n_init=n_init, algorithm=algorithm, **seeded, **many_at_once)
    gap, uniform = (
        cached(gap_statistic, points, range(1, max(k_values) + 1), references=kind, n_references=N_REFERENCES, **few)
        for kind in GAP_REFERENCES
    )
    beside = {"n_components": n_components, "n_references": N_REFERENCES, "metric": metric}
    samples = silhouette_samples(X, sweep.labels, metric=metric)
    table = compare_criteria(
        sweep,
        silhouette_table(samples, sweep.labels),
        samples=samples,
        nulls=cached(null_silhouettes, X, k_values, **beside, **few),
        ceiling=cached(silhouette_ceiling, X, sweep.labels, metric=metric, **seeded),
        stable=cached(stability, points, sweep.labels, n_subsamples=N_SUBSAMPLES, **few),
        gap=gap,
        indices=validity_indices(X, sweep.labels),
    )
    return sweep, table.join(uniform.table()[["gap", "s"]].add_suffix("_uniform"))


def read_criteria(table: pd.DataFrame) -> dict[str, int | None]:
    """The k that each of `CRITERIA` names, and `FORCED`; None where it names none.

    Parameters
    ----------
    table : DataFrame
        From `measure_criteria`.
    """
    decision = verdict(table)
    scored = table[table["score"].notna()]
    beyond = scored["score"] - scored["null_score"]
    furthest = int(beyond.idxmax())
    found = scored.loc[furthest, "score"] > scored.loc[furthest, "null_score_high"]
    answers = {
        **{name: decision.preferred[name] for name in ("elbow", "score", "macro", "positive")},
        **{name: int(scored[name].idxmax()) for name in ("median", "calinski_harabasz", "stability")},
        "davies_bouldin": int(scored["davies_bouldin"].idxmin()),
        "score_beyond_null": furthest if found else None,
        "gap_pca": gap_choice(table["gap"], table["s"]),
        "gap_uniform": gap_choice(table["gap_uniform"], table["s_uniform"]),
        "verdict": decision.n_clusters,
        FORCED: decision.candidate,
    }
    return {name: answers[name] for name in (*CRITERIA, FORCED)}


def answer_problem(problem: Problem, random_state: int, *, cache_dir: str | Path) -> pd.DataFrame:
    """Ask all criteria about a problem, and judge by its true groups what they answer.

    Parameters
    ----------
    problem : Problem
    random_state : int
        Draws the points, and is the seed of everything random thereafter.
    cache_dir : path

    Returns
    -------
    DataFrame
        Rows of `Study.answers`.
    """
    X, groups = problem.sample(random_state)
    sweep, table = measure_criteria(
        X, K_VALUES, n_components=problem.n_components, n_init=N_INIT, random_state=random_state, cache_dir=cache_dir
    )
    known = groups != NOISE
    ami = {1: 0.0} | {
        int(k): adjusted_mutual_info_score(groups[known], labels[known])
        for k, labels in zip(sweep.k_values, sweep.labels)
    }
    answers = read_criteria(table) | {BEST: max(ami, key=lambda k: ami[k])}
    shortlist = " ".join(map(str, verdict(table).shortlist))
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


# --- reading ----------------------------------------------------------------------------------------------------------


def read_study(folder: Path = RESULTS) -> Study:
    """Read the stored study; see `Study`."""
    facts = json.loads((folder / "study.json").read_text(encoding="utf-8"))
    answers = pd.read_csv(folder / "study.csv", dtype={"k": "Int64"}, keep_default_na=True)
    problems = pd.DataFrame(facts["problems"]).set_index("problem").astype({"n_clusters": "Int64"})
    return Study(answers.fillna({"shortlist": ""}), problems, facts["provenance"])


def judge_answers(study: Study) -> pd.DataFrame:
    """Hold every answer against the truth.

    Returns
    -------
    DataFrame
        The answers with the columns of their problems, and ``structured``, whether there is anything to find;
        ``abstained``, whether no k or k = 1 was answered; ``right``, the true k, or abstaining where there is no
        structure (missing where the true k is not known); ``off`` = log2(k / true k), missing where either is; and
        ``loss``, the agreement (AMI) of the best k in the sweep less that of the answer, missing without structure.
    """
    rows = study.answers.join(study.problems, on="problem")
    rows["structured"] = rows["n_clusters"].fillna(2) > 1
    rows["abstained"] = rows["k"].fillna(1) == 1
    right = (rows["k"] == rows["n_clusters"]).fillna(False).where(rows["structured"], rows["abstained"])
    rows["right"] = right.astype("boolean").where(rows["n_clusters"].notna())
    named = rows["k"].where(rows["structured"] & ~rows["abstained"])
    rows["off"] = np.log2((named / rows["n_clusters"]).to_numpy(dtype=float, na_value=np.nan))
    best = rows[rows["criterion"] == BEST].set_index(["problem", "random_state"])["ami"].rename("best_ami")
    rows = rows.join(best, on=["problem", "random_state"])
    rows["loss"] = (rows["best_ami"] - rows["ami"]).where(rows["structured"])
    return rows


def summarise_answers(judged: pd.DataFrame) -> pd.DataFrame:
    """How good each criterion is.

    Parameters
    ----------
    judged : DataFrame
        From `judge_answers`, or some of its rows.

    Returns
    -------
    DataFrame
        A row for each criterion: ``right``, over all problems; ``exact``, the share of structured problems whose k it
        names; ``abstained``, the share of those where it names none; ``distance``, the median distance from k to the
        true k where it names one, and ``off``, the mean of log2(k / true k); ``loss``, the mean loss of AMI, with an
        abstention counted as one single cluster, and ``loss_answered``, without abstentions; ``false_alarms``, the
        share of structureless problems for which it names a k.
    """
    groups = judged.groupby("criterion", sort=False)
    rows = {criterion: _summary(group) for criterion, group in groups}
    order = [name for name in (*CRITERIA, FORCED, BEST) if name in rows]
    return pd.DataFrame.from_dict({name: rows[name] for name in order}, orient="index").rename_axis("criterion")


def _summary(group: pd.DataFrame) -> dict[str, float]:
    structured, nothing = group[group["structured"]], group[~group["structured"]]
    answered = structured[~structured["abstained"]]
    return {
        "right": group["right"].mean(),
        "exact": structured["right"].mean(),
        "abstained": structured["abstained"].mean(),
        "distance": (answered["k"] - answered["n_clusters"]).abs().median(),
        "off": answered["off"].mean(),
        "loss": structured["loss"].mean(),
        "loss_answered": answered["loss"].mean(),
        "false_alarms": 1 - nothing["abstained"].mean(),
    }


def compare_losses(judged: pd.DataFrame, criterion: str, *, n_draws: int = 2000, random_state: int = 0) -> pd.DataFrame:
    """How much more agreement each other criterion loses than `criterion`, problem by problem.

    Problems, not seeds, are what the study is a sample of; so the seeds of a problem are averaged first, and the
    interval is a percentile bootstrap over problems (Efron 1979, Annals of Statistics 7, 1-26).

    Parameters
    ----------
    judged : DataFrame
        From `judge_answers`, or some of its rows.
    criterion : str
    n_draws : int
    random_state : int

    Returns
    -------
    DataFrame
        A row for each other criterion: ``difference``, the mean over problems; ``low`` and ``high``, 95% of the
        draws; ``better`` and ``worse``, the numbers of problems in which `criterion` loses less and more.
    """
    losses = judged[judged["structured"]].pivot_table("loss", "problem", "criterion")
    differences = losses.drop(columns=[criterion, BEST], errors="ignore").sub(losses[criterion], axis=0)
    draws = np.random.default_rng(random_state).integers(len(losses), size=(n_draws, len(losses)))
    low, high = np.quantile(differences.to_numpy()[draws].mean(axis=1), (0.025, 0.975), axis=0)
    columns = {
        "difference": differences.mean(),
        "low": pd.Series(low, index=differences.columns),
        "high": pd.Series(high, index=differences.columns),
        "better": (differences > 1e-9).sum(),
        "worse": (differences < -1e-9).sum(),
    }
    return pd.DataFrame(columns).rename_axis("criterion")


def mean_by_family(judged: pd.DataFrame, value: str) -> pd.DataFrame:
    """The mean of a column of `judge_answers`, a row for each family and a column for each of `CRITERIA`."""
    table = judged.assign(**{value: judged[value].astype(float)}).pivot_table(value, "family", "criterion", sort=False)
    return table[[name for name in CRITERIA if name in table]].rename(columns=CRITERIA)


def worst_answer(judged: pd.DataFrame, criterion: str, *, n_features: int = 5) -> pd.Series:
    """The answer of a criterion that loses most beyond what the others lose on the same points on average.

    Of synthetic problems with structure and few features, which can be drawn, and for which it names a k.
    """
    others = judged["criterion"].isin(CRITERIA) & (judged["criterion"] != criterion)
    usual = judged[others].groupby(["problem", "random_state"])["loss"].mean().rename("usual")
    rows = judged[(judged["criterion"] == criterion) & judged["structured"] & ~judged["abstained"]]
    synthetic = [not PROBLEMS[name].real for name in rows["problem"]]
    rows = rows[np.array(synthetic) & (rows["d"] <= n_features)]
    rows = rows.join(usual, on=["problem", "random_state"])
    return rows.loc[(rows["loss"] - rows["usual"]).idxmax()]


def study_sentences(judged: pd.DataFrame) -> dict[str, str]:
    """What the study says, in sentences made from its table, by topic.

    Parameters
    ----------
    judged : DataFrame
        From `judge_answers`. The sentences are about the problems held out; that on false alarms is about all, too.
    """
    held_out = judged[judged["held_out"]]
    summary = summarise_answers(held_out)
    single = summary.drop(index=["verdict", FORCED, BEST])
    return {
        "loss": _loss_sentence(held_out, summary, single),
        "exact": _most_sentence(
            "The true k is named most often by", single["exact"], summary.loc["verdict", "exact"], "the verdict"
        ),
        "right": _most_sentence(
            "If it also counts as right to name no k where there is no structure, the most often right is",
            single["right"],
            summary.loc["verdict", "right"],
            "the verdict",
        ),
        "abstained": _abstained_sentence(held_out, summary),
        "false_alarms": _alarm_sentence(judged),
    }


def _loss_sentence(held_out: pd.DataFrame, summary: pd.DataFrame, single: pd.DataFrame) -> str:
    best, forced = single["loss"].idxmin(), summary.loc[FORCED, "loss"]
    against = compare_losses(held_out, FORCED).loc[single.index]
    beaten, surely = int((against["difference"] > 0).sum()), int((against["low"] > 0).sum())
    return (
        f"Of the single criteria, {_name(best)} loses least, {single.loc[best, 'loss']:.3f} on average over the "
        f"problems held out; the verdict, where it must name a k, loses {forced:.3f}. That is less than {beaten} of "
        f"the {len(single)} single criteria lose, and for {surely} of them the difference is larger than the choice of "
        f"problems explains."
    )


def _most_sentence(start: str, shares: pd.Series, own: float, owner: str) -> str:
    best = shares.idxmax()
    order = "more often" if own > shares[best] else "as often" if own == shares[best] else "less often"
    return f"{start} {_name(best)}, in {shares[best]:.0%} of those held out; {owner} is {order} right, in {own:.0%}."


def _abstained_sentence(held_out: pd.DataFrame, summary: pd.DataFrame) -> str:
    rows = held_out[(held_out["criterion"] == "verdict") & held_out["structured"] & held_out["abstained"]]
    if rows.empty:
        return "The verdict names a k for every problem held out that has structure."
    return (
        f"The verdict says that there is no clear k for {summary.loc['verdict', 'abstained']:.0%} of the problems held "
        f"out that have structure (in {', '.join(sorted(set(rows['problem'])))}). If that is counted as putting all "
        f"points in one cluster, it loses {summary.loc['verdict', 'loss']:.3f}; where it does name a k, "
        f"{summary.loc['verdict', 'loss_answered']:.3f}."
    )


def _alarm_sentence(judged: pd.DataFrame) -> str:
    alarms, held_out = (
        summarise_answers(part)["false_alarms"].drop(index=[FORCED, BEST])
        for part in (judged, judged[judged["held_out"]])
    )
    always = [_name(name) for name in alarms.index[alarms == 1]]
    fewest = [_name(name) for name in held_out.index[held_out == held_out.min()]]
    rows = judged[(judged["criterion"] == "verdict") & ~judged["structured"] & ~judged["abstained"]]
    where = f" ({', '.join(sorted(set(rows['problem'])))})" if len(rows) else ""
    return (
        f"Where there is no structure, {len(always)} of the {len(alarms)} always name a k all the same: "
        f"{', '.join(always)}. The verdict does so in {alarms['verdict']:.0%} of all cases{where} and in "
        f"{held_out['verdict']:.0%} of those held out, where the fewest false alarms, {held_out.min():.0%}, are those "
        f"of {' and '.join(fewest)}."
    )


def _name(criterion: str) -> str:
    return f"“{CRITERIA[criterion]}”"
