"""The trials "Which metric?": what each criterion answers to problems whose answer is known.

`python -m makers.trials` asks them all and writes the answers to the folder `RESULTS`; a chapter of the book reads
them. Answers are judged by the true groups, which no criterion sees.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ..core.conventions import ROOT
from ..criteria.table import CRITERIA
from .asking import BEST, FORCED
from .problems import PROBLEMS

RESULTS = ROOT / "book" / "data"
# Display names of the criteria on figures and in tables, the verdict last.
LABELS = {**{name: criterion.label for name, criterion in CRITERIA.items()}, "verdict": "verdict"}


@dataclass(frozen=True)
class Trials:
    """The stored trials.

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


# --- reading ----------------------------------------------------------------------------------------------------------


def read_trials(folder: Path = RESULTS) -> Trials:
    """Read the stored trials."""
    facts = json.loads((folder / "trials.json").read_text(encoding="utf-8"))
    answers = pd.read_csv(folder / "trials.csv", dtype={"k": "Int64"}, keep_default_na=True)
    problems = pd.DataFrame(facts["problems"]).set_index("problem").astype({"n_clusters": "Int64"})
    return Trials(answers.fillna({"shortlist": ""}), problems, facts["provenance"])


def judge_answers(trials: Trials) -> pd.DataFrame:
    """Compare every answer with the truth.

    Returns
    -------
    DataFrame
        The answers with the columns of their problems, and ``structured``, whether there is anything to find;
        ``abstained``, whether no k or k = 1 was answered; ``right``, the true k, or abstaining where there is no
        structure (missing where the true k is not known); ``off`` = log2(k / true k), missing where either is; and
        ``loss``, the agreement (AMI) of the best k in the sweep less that of the answer, missing without structure.
    """
    rows = trials.answers.join(trials.problems, on="problem")
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
    """Summarise how good each criterion is.

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
    order = [name for name in (*LABELS, FORCED, BEST) if name in rows]
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
    """Compute how much more agreement each other criterion loses than `criterion`, problem by problem.

    The trials are a sample of problems and not of seeds. So the seeds of a problem are averaged first, and the interval
    is a percentile bootstrap over problems (Efron 1979, Annals of Statistics 7, 1-26).

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
    """Compute the mean of a column of `judge_answers`, a row for each family and a column for each of `LABELS`."""
    table = judged.assign(**{value: judged[value].astype(float)}).pivot_table(value, "family", "criterion", sort=False)
    return table[[name for name in LABELS if name in table]].rename(columns=LABELS)


def worst_answer(judged: pd.DataFrame, criterion: str, *, n_features: int = 5) -> pd.Series:
    """Find the answer with which a criterion loses most, compared with the mean loss of the others on the same points.

    Only synthetic problems with structure and few features count, which can be drawn, and for which it names a k.
    """
    others = judged["criterion"].isin(LABELS) & (judged["criterion"] != criterion)
    usual = judged[others].groupby(["problem", "random_state"])["loss"].mean().rename("usual")
    rows = judged[(judged["criterion"] == criterion) & judged["structured"] & ~judged["abstained"]]
    synthetic = [not PROBLEMS[name].real for name in rows["problem"]]
    rows = rows[np.array(synthetic) & (rows["d"] <= n_features)]
    rows = rows.join(usual, on=["problem", "random_state"])
    return rows.loc[(rows["loss"] - rows["usual"]).idxmax()]


def trial_sentences(judged: pd.DataFrame) -> dict[str, str]:
    """Say what the trials show, in sentences made from their table, by topic.

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
    return f"“{LABELS[criterion]}”"
