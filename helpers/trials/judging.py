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

from ..core.conventions import ROOT, in_repository, listed, with_minus
from ..criteria.table import CRITERIA
from .asking import BEST, FORCED, K_VALUES
from .others import OTHERS
from .problems import PROBLEMS

RESULTS = ROOT / "book" / "data"
# Display names of the criteria on figures and in tables, the verdict last.
LABELS = {name: rule.label for name, rule in (CRITERIA | OTHERS).items()} | {"verdict": "verdict"}
_N_DRAWS = 2000


@dataclass(frozen=True)
class Trials:
    """The stored trials.

    Attributes
    ----------
    answers : DataFrame
        A row for each problem, seed and criterion: ``problem``, ``random_state``, ``criterion``; ``k``, missing where
        it names none; ``ami``, the adjusted mutual information of the clustering at that k and the true groups, 0
        where it names none or one, missing where there is no structure to agree with; ``levels``, of the verdict.
    problems : DataFrame
        Indexed by ``problem``: ``family``, ``n_clusters`` (the true number, missing where it is not known), ``role``,
        ``photographs``, ``n``, ``d``.
    provenance : dict
        Command, settings, versions and sources.
    """

    answers: pd.DataFrame
    problems: pd.DataFrame
    provenance: dict[str, Any]


# --- reading ----------------------------------------------------------------------------------------------------------


def read_trials(folder: Path = RESULTS) -> Trials:
    """Read the stored trials."""
    facts = json.loads(in_repository(folder / "trials.json").read_text(encoding="utf-8"))
    answers = pd.read_csv(folder / "trials.csv", dtype={"k": "Int64"}, keep_default_na=True)
    problems = pd.DataFrame(facts["problems"]).set_index("problem").astype({"n_clusters": "Int64"})
    return Trials(answers.fillna({"levels": ""}), problems, facts["provenance"])


def read_constants(folder: Path = RESULTS) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Read what `makers.constants` stored: answers for choices of constants, and valleys for numbers of points."""
    return pd.read_csv(in_repository(folder / "constants.csv")), pd.read_csv(folder / "constants_by_n.csv")


def read_networks(folder: Path = RESULTS) -> pd.DataFrame:
    """Read what `makers.networks` stored, as rows of `judge_answers` with the column ``network``."""
    answers = pd.read_csv(in_repository(folder / "networks.csv"), dtype={"k": "Int64"}).fillna({"levels": ""})
    problems = read_trials(folder).problems
    judged = [judge_answers(Trials(rows, problems, {})) for _, rows in answers.groupby("network", sort=False)]
    return pd.concat(judged, ignore_index=True)


def read_clouds(folder: Path = RESULTS) -> pd.DataFrame:
    """Read what `makers.clouds` stored: the k of the verdict, or none, for each ``problem`` and ``random_state``."""
    return pd.read_csv(in_repository(folder / "clouds.csv"), dtype={"k": "Int64"})


def judge_answers(trials: Trials) -> pd.DataFrame:
    """Compare every answer with the truth.

    Returns
    -------
    DataFrame
        The answers with the columns of their problems, and ``structured``, whether there is anything to find;
        ``abstained``, whether no k or k = 1 was answered; ``right``, the true k, or abstaining where there is no
        structure (missing where the true k is not known). Where there are groups and a k was named, and else missing:
        ``exact``, the true k; ``within_one`` and ``within_fifth``, a k at most one, or a fifth of the true k, away
        from it; ``off`` = log2(k / true k). And ``loss``, the agreement (AMI) of the best k in the sweep less that of
        the answer, missing without groups; ``loss_named``, the same where a k was named.
    """
    rows = trials.answers.join(trials.problems, on="problem")
    rows["structured"] = rows["n_clusters"].fillna(2) > 1
    rows["abstained"] = rows["k"].fillna(1) == 1
    right = (rows["k"] == rows["n_clusters"]).fillna(False).where(rows["structured"], rows["abstained"])
    rows["right"] = right.astype("boolean").where(rows["n_clusters"].notna())
    true, named = rows["n_clusters"].astype(float), rows["structured"] & ~rows["abstained"]
    k = rows["k"].astype(float).where(named & true.notna())
    for measure, away in (("exact", 0 * true), ("within_one", 0 * true + 1), ("within_fifth", true / 5)):
        rows[measure] = ((k - true).abs() <= away).astype(float).where(k.notna())
    rows["off"] = np.log2(k / true)
    best = rows[rows["criterion"] == BEST].set_index(["problem", "random_state"])["ami"].rename("best_ami")
    rows = rows.join(best, on=["problem", "random_state"])
    rows["loss"] = (rows["best_ami"] - rows["ami"]).where(rows["structured"])
    rows["loss_named"] = rows["loss"].where(named)
    return rows


def part(judged: pd.DataFrame, role: str, *, photographs: bool | None = None) -> pd.DataFrame:
    """Select the answers to problems of one role: all of them, or those of photographs, or all others."""
    chosen = judged["role"] == role
    return judged[chosen if photographs is None else chosen & (judged["photographs"] == photographs)]


def summarise_answers(judged: pd.DataFrame) -> pd.DataFrame:
    """Summarise how good each criterion is.

    Each number is the mean over families of the means of their problems, so that a collection counts once, however
    many of its classes were drawn.

    Parameters
    ----------
    judged : DataFrame
        From `judge_answers`, or some of its rows.

    Returns
    -------
    DataFrame
        A row for each criterion: where there are groups, ``abstained``, the share of problems without an answer, and of
        the others ``exact``, ``within_one``, ``within_fifth``, ``off`` and ``loss_named``; ``loss``, with an abstention
        counted as one single cluster; ``false_alarms``, the share of problems without groups for which it names a k.
    """
    rows = judged.assign(
        abstained=judged["abstained"].astype(float).where(judged["structured"]),
        false_alarms=1 - judged["abstained"].astype(float).where(~judged["structured"]),
    )
    families = rows.groupby(["criterion", "family"], sort=False)[list(_SUMMARY)].mean()
    table = families.groupby("criterion", sort=False).mean()
    return table.loc[[name for name in (*LABELS, FORCED, BEST) if name in table.index]]


_SUMMARY = ("abstained", "exact", "within_one", "within_fifth", "off", "loss_named", "loss", "false_alarms")


def intervals(judged: pd.DataFrame, measure: str) -> pd.DataFrame:
    """Calculate the mean of a measure over families, and its bootstrap interval over families.

    Draws of the classes of one collection are not independent of each other. So the interval is a percentile bootstrap
    over families (Efron 1979, Annals of Statistics 7, 1-26). Of a few families it is somewhat too narrow.

    Returns
    -------
    DataFrame
        A row for each criterion: ``mean``; ``low`` and ``high``, 95% of the draws; ``families``, their number.
    """
    means = judged.groupby(["family", "criterion"], sort=False)[measure].mean().unstack()
    return _bootstrap(means[[name for name in (*LABELS, FORCED, BEST) if name in means]])


def compare_answers(judged: pd.DataFrame, measure: str, criterion: str) -> pd.DataFrame:
    """Compare a measure of all others with that of one criterion, on the problems in which both have it.

    Parameters
    ----------
    judged : DataFrame
        From `judge_answers`, or some of its rows.
    measure : str
        Such as ``exact`` or ``loss_named``.
    criterion : str

    Returns
    -------
    DataFrame
        A row for each other criterion: ``mean``, its measure less that of `criterion`, on average over families;
        ``low`` and ``high``, as in `intervals`; ``families``, in how many both have answers; ``theirs``, its measure
        on these problems.
    """
    values = judged.pivot_table(measure, ["family", "problem", "random_state"], "criterion", sort=False)
    theirs = values.drop(columns=[criterion, BEST], errors="ignore").where(values[criterion].notna(), axis=0)
    means = theirs.sub(values[criterion], axis=0).groupby("family", sort=False).mean()
    means = means[[name for name in (*LABELS, FORCED) if name in means]]
    return _bootstrap(means).assign(theirs=theirs.groupby("family", sort=False).mean().mean())


def _bootstrap(means: pd.DataFrame) -> pd.DataFrame:
    """Average each column over the families that have it, with the interval of a bootstrap over families."""
    rows = {}
    for name, column in means.items():
        values = column.dropna().to_numpy()
        drawn = np.random.default_rng(0).integers(len(values), size=(_N_DRAWS, len(values))) if len(values) else []
        low, high = np.quantile(values[drawn].mean(axis=1), (0.025, 0.975)) if len(values) else (np.nan, np.nan)
        rows[name] = {"mean": column.mean(), "low": low, "high": high, "families": len(values)}
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("criterion").astype({"families": int})


def mean_by_family(judged: pd.DataFrame, value: str) -> pd.DataFrame:
    """Compute the mean of a column of `judge_answers`, a row for each family and a column for each of `LABELS`."""
    table = judged.assign(**{value: judged[value].astype(float)}).pivot_table(value, "family", "criterion", sort=False)
    return table[[name for name in LABELS if name in table]].rename(columns=LABELS)


def rights_by_kind(judged: pd.DataFrame) -> pd.DataFrame:
    """Average the shares of right answers to three kinds of problems over the families of each.

    Parameters
    ----------
    judged : DataFrame
        From `judge_answers`, or some of its rows.

    Returns
    -------
    DataFrame
        A row for each of `LABELS`, that with most right answers about photographs first, and a column for each kind:
        drawn groups, photographs, and those in which there is nothing to find.
    """
    known = judged[judged["n_clusters"].notna()]
    kinds = {
        "drawn groups": known[known["structured"] & ~known["photographs"]],
        "photographs": known[known["structured"] & known["photographs"]],
        "nothing to find": known[~known["structured"]],
    }
    table = pd.DataFrame({kind: mean_by_family(rows, "right").mean() for kind, rows in kinds.items() if len(rows)})
    return table.reindex([label for label in LABELS.values() if label in table.index]).sort_values(
        "photographs", ascending=False, kind="stable"
    )


def summarise_networks(judged: pd.DataFrame) -> pd.DataFrame:
    """Summarise how good the verdict and the score are with the features of each network.

    Parameters
    ----------
    judged : DataFrame
        From `read_networks`.

    Returns
    -------
    DataFrame
        Two rows for each ``network``, that of the ``verdict`` and that of the ``score``: ``best``, the agreement (AMI)
        that the best k reaches; ``named``, the share of problems for which a k is named; of these ``exact`` and
        ``within_fifth``; and ``loss``, the agreement lost, for the verdict with its convenient k where it names none.
    """
    rows = {}
    for network, answers in judged.groupby("network", sort=False):
        table = summarise_answers(answers)
        best = answers[answers["criterion"] == BEST].groupby("family")["ami"].mean().mean()
        for criterion, loses in (("verdict", FORCED), ("score", "score")):
            rows[network, LABELS[criterion]] = {
                "best": best,
                "named": 1 - table.loc[criterion, "abstained"],
                **table.loc[criterion, ["exact", "within_fifth"]],
                "loss": table.loc[loses, "loss"],
            }
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis(index=["network", "asked"])


def networks_sentence(table: pd.DataFrame) -> str:
    """Say how much depends on the network, and whether verdict and score keep their order, from `summarise_networks`.

    Examples
    --------
    >>> index = pd.MultiIndex.from_product([["a", "b"], ["verdict", "silhouette score"]])
    >>> print(networks_sentence(pd.DataFrame({"best": [0.6, 0.6, 0.2, 0.2], "loss": [0.1, 0.2, 0.1, 0.05]}, index)))
    At the best k the clusters agree with the classes by 0.60 of AMI with the features of a, and by 0.20 with those of
    b: a difference of 0.40 between networks. What the verdict's k loses, if it must name one, and what the score's k
    loses differ by 0.10 at most; the verdict's loses less with 1 of 2 networks.
    """
    best = table["best"].groupby(level=0, sort=False).first()
    verdict, score = (table["loss"].xs(LABELS[name], level=1) for name in ("verdict", "score"))
    apart = (verdict - score).abs().max()
    return (
        f"At the best k the clusters agree with the classes by {best.max():.2f} of AMI with the features of "
        f"{best.idxmax()}, and by {best.min():.2f} with those of {best.idxmin()}: a difference of "
        f"{best.max() - best.min():.2f} between networks. What the verdict's k loses, if it must name one, and what "
        f"the score's k loses differ by {apart:.2f} at most; the verdict's loses less with "
        f"{int((verdict < score).sum())} of {len(best)} networks."
    )


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
        From `judge_answers`. The sentences are about the problems for reporting.
    """
    photographs, reporting = part(judged, "reporting", photographs=True), judged[judged["role"] == "reporting"]
    return {
        "score_or_samples": _score_or_samples(photographs),
        "elbow": _elbow_sentence(judged),
        "exact": _exact_sentence(photographs),
        "loss": _loss_sentence(photographs),
        "false_alarms": _alarm_sentence(reporting),
        "short": _short_sentence(photographs, reporting),
    }


def _short_sentence(photographs: pd.DataFrame, reporting: pd.DataFrame) -> str:
    """Say in three sentences how often the verdict names a k, is right, and is fooled, and the others beside it."""
    own = intervals(photographs, "exact").loc["verdict"]
    summary = summarise_answers(photographs)
    named, lost = 1 - summary.loc["verdict", "abstained"], summary["loss"]
    theirs = compare_answers(photographs, "exact", "verdict")["theirs"]
    fooled, n_clouds = _fooled(reporting)
    return (
        f"On photographs with known classes it names a k for {named:.0%} of the problems, and in {own['mean']:.0%} of "
        f"these it names the number of classes ({own['low']:.0%} to {own['high']:.0%}, since the collections are few); "
        f"on the same problems the score names it in {theirs['score']:.0%} and the number of positive samples in "
        f"{theirs['positive']:.0%}. Where a k must be taken, the agreement with the classes (AMI) is "
        f"{lost[FORCED]:.2f} below the best at the k of the verdict, {lost['score']:.2f} at that of the score, and "
        f"{lost['positive']:.2f} at that of the samples. Where there is nothing to find, the verdict named a k for "
        f"{len(fooled)} of {n_clouds} clouds of points, and the score for {len(_fooled(reporting, 'score')[0])}."
    )


def clouds_sentence(clouds: pd.DataFrame) -> str:
    """Say how often the verdict names a k for clouds of points without groups that are drawn again and again.

    Parameters
    ----------
    clouds : DataFrame
        From `read_clouds`.
    """
    named = clouds["k"].notna().groupby(clouds["problem"]).agg(["mean", "sum", "size"])
    worst = named.sort_values("sum", ascending=False, kind="stable").iloc[0]
    most = f", most often for “{worst.name}” ({worst['sum']:.0f} of {worst['size']:.0f})" if worst["sum"] else ""
    return (
        f"For the {len(named)} synthetic ones of these clouds, drawn {named['size'].iloc[0]} times each, it names a k "
        f"in {named['mean'].mean():.0%} of the draws{most}."
    )


def _fooled(reporting: pd.DataFrame, criterion: str = "verdict") -> tuple[list[str], int]:
    """List the problems without groups for which a criterion names a k, and count all of them."""
    nothing = reporting[(reporting["criterion"] == criterion) & ~reporting["structured"]]
    return sorted(set(nothing.loc[~nothing["abstained"], "problem"])), nothing["problem"].nunique()


def _score_or_samples(photographs: pd.DataFrame) -> str:
    table = summarise_answers(photographs)
    score, samples = table.loc["score"], table.loc["positive"]
    lead = compare_answers(photographs, "exact", "positive").loc["score"]
    return (
        f"On {photographs['problem'].nunique()} problems made from {photographs['family'].nunique()} collections of "
        f"photographs with known classes, the k of the largest silhouette score is the number of classes in "
        f"{score['exact']:.0%} of the cases, and the k with most positive samples in {samples['exact']:.0%}: a "
        f"difference of {_points(lead)}. The clusters at the first agree with the classes by {score['loss']:.2f} of "
        f"adjusted mutual information less than those at the best k, and at the second by {samples['loss']:.2f} less."
    )


def _elbow_sentence(judged: pd.DataFrame) -> str:
    whole = judged[judged["photographs"] & judged["structured"] & (judged["problem"] == judged["family"])]
    elbows = whole.loc[whole["criterion"] == "elbow", ["k", "n_clusters"]].dropna()
    return (
        f"On {len(elbows)} whole collections of photographs, of {elbows['n_clusters'].min()} to "
        f"{elbows['n_clusters'].max()} classes, with k from {min(K_VALUES)} to {max(K_VALUES)} the elbow is between "
        f"{elbows['k'].min()} and {elbows['k'].max()}."
    )


def _points(row: pd.Series) -> str:
    """Write a difference between two shares, a row of `compare_answers`, with its interval."""
    points = (round(100 * row[name]) for name in ("mean", "low", "high"))
    mean, low, high = (f"{value:+d}" if value else "0" for value in points)
    return with_minus(f"{mean} points, 95% interval {low} to {high}")


def _exact_sentence(photographs: pd.DataFrame) -> str:
    own = intervals(photographs, "exact").loc["verdict"]
    named = 1 - summarise_answers(photographs).loc["verdict", "abstained"]
    ahead = compare_answers(photographs, "exact", "verdict").drop(index=FORCED, errors="ignore")
    best = ahead.loc[ahead["mean"].idxmax()]
    behind, surely = int((ahead["mean"] < 0).sum()), int((ahead["high"] < 0).sum())
    return (
        f"The verdict names a k for {named:.0%} of the problems. Of these it is the number of classes in "
        f"{own['mean']:.0%} (95% bootstrap interval over {own['families']:.0f} collections {own['low']:.0%} to "
        f"{own['high']:.0%}). Where both name a k, {behind} of the {len(ahead)} others are right less often than the "
        f"verdict, {surely} of them by an interval without zero. Most ahead of it is {_name(best.name)}: "
        f"where both name a k it is right in {best['theirs']:.0%} and the verdict in "
        f"{best['theirs'] - best['mean']:.0%} ({_points(best)}, "
        f"{best['families']:.0f} collections)."
    )


def _loss_sentence(photographs: pd.DataFrame) -> str:
    table = summarise_answers(photographs)["loss"].drop(index=["verdict", BEST], errors="ignore")
    forced, single = table[FORCED], table.drop(index=FORCED)
    best = single.idxmin()
    against = compare_answers(photographs, "loss", FORCED).drop(index="verdict")
    return (
        f"Where a k must be taken, the verdict's loses {forced:.2f} of agreement with the classes on average, with "
        f"its convenient k where it names none. The least loss of the others is that of {_name(best)}, "
        f"{single[best]:.2f}, where a rule that names none is charged a single cluster. "
        f"{int((against['low'] > 0).sum())} of the {len(single)} lose more by an interval without zero."
    )


def _alarm_sentence(reporting: pd.DataFrame) -> str:
    alarms = summarise_answers(reporting)["false_alarms"].drop(index=[FORCED, BEST])
    always = list(alarms.index[alarms == 1])
    known = [name for name in ("score", "positive", "elbow") if name in always]
    told = f", among them {_names(known)}" if known and len(always) > 4 else f": {_names(always)}" if always else ""
    fooled, n_clouds = _fooled(reporting)
    where = f"; it is fooled by “{'”, “'.join(fooled)}”" if fooled else ""
    return (
        f"Where there are no groups, {len(always)} of the {len(alarms)} always name a k all the same"
        f"{told}. The verdict does so for {len(fooled)} of {n_clouds} clouds "
        f"({alarms['verdict']:.0%} if each family counts once){where}."
    )


def _name(criterion: str) -> str:
    return f"“{LABELS[criterion]}”"


def _names(criteria: list[str]) -> str:
    return listed(map(_name, criteria), " and ")
