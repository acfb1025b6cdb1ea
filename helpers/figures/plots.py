"""One function for each figure; they draw finished numbers, and compute only where to put them."""

from __future__ import annotations

from collections.abc import Sequence
from textwrap import fill

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from PIL import Image

from .lettering import show_as_it_is

# The first colours of seaborn's colour-blind-safe palette, by their meaning.
GAIN, LOSS, OTHER = "#0173b2", "#d55e00", "#029e73"
_GREY = "#6b6b6b"
_PICTURE_WIDTH, _LEGEND_WIDTH = 1.5, 2.0  # inches that a picture and the text of a legend may take
_ON_ANY_PAGE = "#767c83"  # a grey with about the same contrast to white and to the dark theme


def set_style() -> None:
    """Use one style for all figures: dark ink on a transparent background.

    A light page shows through. On a dark page the style sheet of the book inverts the lightness of charts and keeps
    their hues; photographs are not changed, and their titles can be read on both.
    """
    sns.set_theme(context="notebook", style="whitegrid", palette="colorblind")
    plt.rcParams.update(
        {
            "figure.figsize": (7.2, 4.2),
            "figure.facecolor": "none",
            "axes.facecolor": "none",
            "savefig.facecolor": "none",
            "figure.dpi": 110,
            "savefig.bbox": "tight",
            "axes.titlesize": "medium",
            "axes.titleweight": "bold",
            "grid.color": "#e6e6e6",
            "legend.frameon": False,
        }
    )


def cluster_colors(n_clusters: int) -> list[tuple[float, float, float]]:
    """Choose a colour for each cluster, the same for the same cluster on every figure.

    The first ten are safe for colour-blind readers; no palette has more, so figures also show the clusters' numbers.

    Returns
    -------
    list of tuple
        Red, green and blue of each cluster, from 0 to 1.

    Examples
    --------
    >>> from helpers.figures.plots import cluster_colors
    >>> cluster_colors(3) == cluster_colors(12)[:3]
    True
    """
    safe = sns.color_palette("colorblind", 10)
    # Steps of the golden ratio around the circle of hues: a colour does not depend on the number of those after it.
    more = [sns.husl_palette(1, h=(0.05 + 0.618034 * i) % 1, l=0.55)[0] for i in range(n_clusters - 10)]
    return [*safe, *more][:n_clusters]


def _axes(ax: Axes | None) -> Axes:
    return plt.subplots()[1] if ax is None else ax


def _mark_k(ax: Axes, k_values: Sequence[int]) -> None:
    ax.set_xticks(list(k_values))
    ax.set_xlabel("number of clusters k")


def plot_distribution(values: np.ndarray, label: str, ax: Axes | None = None) -> Axes:
    """Draw a histogram of `values`, with their mean."""
    ax = _axes(ax)
    sns.histplot(x=values, ax=ax, color=GAIN, edgecolor="white")
    ax.axvline(values.mean(), color=LOSS, linestyle="--", label=f"mean {values.mean():.3g}")
    ax.set(xlabel=label, ylabel="count", xlim=(min(0, values.min()), None))
    ax.legend()
    return ax


def plot_explained_variance(explained_variance_ratio: np.ndarray, kept: int, ax: Axes | None = None) -> Axes:
    """Draw the variance that the first components explain together, and mark the number kept."""
    ax = _axes(ax)
    share = np.cumsum(explained_variance_ratio)
    ax.plot(np.arange(1, len(share) + 1), share, color=GAIN)
    ax.axvline(kept, color=LOSS, linestyle="--", label=f"{kept} kept: {share[kept - 1]:.0%}")
    ax.set(xlabel="number of principal components", ylabel="explained variance", ylim=(0, 1.02), xscale="log")
    ax.legend(loc="lower right")
    return ax


def plot_map(points: np.ndarray, labels: Sequence, title: str, ax: Axes | None = None) -> Axes:
    """Draw the points of a two-dimensional map, coloured by label, with a legend for up to 12 labels."""
    ax = _axes(ax)
    names = sorted(set(labels))
    palette = dict(zip(names, cluster_colors(len(names))))
    sns.scatterplot(
        x=points[:, 0], y=points[:, 1], hue=list(labels), hue_order=names, palette=palette,
        s=12, linewidth=0, alpha=0.7, legend=False, ax=ax,
    )  # fmt: skip
    if 1 < len(names) <= 12:
        dots = [ax.scatter([], [], s=24, linewidth=0, color=palette[name]) for name in names]
        # Matplotlib leaves out labels that begin with an underscore, so the texts are put in afterwards.
        legend = ax.legend(dots, ["label"] * len(dots), loc="upper left", bbox_to_anchor=(1, 1))
        for text, name in zip(legend.get_texts(), names):
            text.set_text(name)
            show_as_it_is(text, _LEGEND_WIDTH)
    ax.set_title(title, parse_math=False)
    ax.set(xlabel="UMAP 1", ylabel="UMAP 2", xticks=[], yticks=[])
    return ax


def plot_inertia(k_values: Sequence[int], inertia: np.ndarray, elbow: int | None, ax: Axes | None = None) -> Axes:
    """Draw inertia against k, and mark the elbow if there is one."""
    ax = _axes(ax)
    ax.plot(k_values, inertia, "o-", color=GAIN)
    if elbow is not None:
        ax.axvline(elbow, color=LOSS, linestyle="--", label=f"elbow at k = {elbow}")
        ax.legend()
    ax.set(ylabel="inertia", ylim=(0, 1.05 * np.max(inertia)))
    _mark_k(ax, k_values)
    return ax


def plot_elbows(elbows: pd.Series, ax: Axes | None = None) -> Axes:
    """Draw the elbow that is found if the sweep stops at each k, or say that none is found at any."""
    ax = _axes(ax)
    found = elbows.dropna()
    ax.plot(found.index, found.astype(int), "o-", color=GAIN)
    ax.set(xlabel="largest k tried", ylabel="elbow", xticks=list(elbows.index))
    ax.yaxis.get_major_locator().set_params(integer=True)
    if found.empty:
        words = "no elbow, wherever one stops" if len(elbows) else "too few k for a curve"
        ax.text(0.5, 0.5, words, ha="center", va="center", color=_GREY, transform=ax.transAxes)
        ax.set_yticks([])
    return ax


def plot_scores(table: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """Draw score (micro) and mean over clusters (macro) against k, with two standard errors of each."""
    ax = _axes(ax)
    for name, error, label, style, color in (
        ("score", "standard_error", "score (micro)", "o-", GAIN),
        ("macro", "macro_error", "macro", "s-", LOSS),
    ):
        ax.plot(table.index, table[name], style, color=color, label=label)
        ax.fill_between(
            table.index, table[name] - 2 * table[error], table[name] + 2 * table[error], color=color, alpha=0.15
        )
    ax.axhline(0, color=_GREY, linewidth=1)
    ax.set(ylabel="mean silhouette")
    ax.legend()
    _mark_k(ax, table.index)
    return ax


def plot_lines(lines: dict[str, Sequence[float]], k_values: Sequence[int], ylabel: str, ax: Axes | None = None) -> Axes:
    """Draw up to three named lines against k."""
    ax = _axes(ax)
    for (name, values), color, style in zip(lines.items(), (GAIN, LOSS, OTHER), ("o-", "s-", "^-")):
        ax.plot(k_values, values, style, color=color, label=name)
    ax.axhline(0, color=_GREY, linewidth=1)
    ax.set(ylabel=ylabel)
    ax.legend()
    _mark_k(ax, k_values)
    return ax


def plot_knife(samples: np.ndarray, labels: np.ndarray, ax: Axes | None = None) -> Axes:
    """Draw the silhouettes of all samples, sorted within their clusters: Rousseeuw's (1987) silhouette plot."""
    ax = _axes(ax)
    gap = max(1, len(samples) // 100)
    base = 0
    for cluster, color in enumerate(cluster_colors(int(labels.max()) + 1)):
        widths = np.sort(samples[labels == cluster])
        ax.fill_betweenx(np.arange(base, base + len(widths)), 0, widths, color=color, linewidth=0, step="mid")
        ax.text(-0.01, base + len(widths) / 2, str(cluster), ha="right", va="center", fontsize="small",
                transform=ax.get_yaxis_transform())  # fmt: skip
        base += len(widths) + gap
    ax.axvline(samples.mean(), color="black", linestyle="--", linewidth=1)
    ax.axvline(0, color=_GREY, linewidth=1)
    ax.set(title=f"k = {labels.max() + 1}, score {samples.mean():.3f}", xlabel="silhouette", yticks=[])
    ax.grid(False, axis="y")
    return ax


def plot_knives(samples: Sequence[np.ndarray], labels: Sequence[np.ndarray]) -> Figure:
    """Draw knife plots side by side on one scale, up to four in a row."""
    n_columns = min(len(samples), 4)
    n_rows = -(-len(samples) // n_columns)
    figure, axes = plt.subplots(
        n_rows, n_columns, figsize=(max(2.6 * n_columns, 4.5), 4.6 * n_rows), squeeze=False, sharex=True
    )
    for ax, *clustering in zip(axes.flat, samples, labels):
        plot_knife(*clustering, ax)
    for ax in axes.flat[len(samples) :]:
        ax.set_axis_off()
    axes[0, 0].set_ylabel("samples, by cluster", labelpad=18)
    figure.tight_layout()
    return figure


def plot_signs(table: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """Draw the shares of positive, zero and negative samples against k, stacked."""
    ax = _axes(ax)
    below = np.zeros(len(table))
    for name, color in (("positive", GAIN), ("zero", "#cccccc"), ("negative", LOSS)):
        ax.bar(table.index, table[name], bottom=below, color=color, label=name, linewidth=0)
        below += table[name].to_numpy()
    ax.set(ylabel="share of samples", ylim=(0, 1))
    ax.legend(loc="upper left", bbox_to_anchor=(1, 1))
    _mark_k(ax, table.index)
    return ax


def plot_identity(identity: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """Draw what positive samples add to the score and negative ones take from it, and the score, for each k."""
    ax = _axes(ax)
    ax.bar(identity.index, identity["gain"], color=GAIN, label="given by positive samples", linewidth=0)
    ax.bar(identity.index, -identity["loss"], color=LOSS, label="taken by negative samples", linewidth=0)
    ax.plot(identity.index, identity["score"], "o-", color="black", label="score")
    ax.axhline(0, color=_GREY, linewidth=1)
    ax.set(ylabel="part of the mean silhouette")
    ax.legend(loc="upper left", bbox_to_anchor=(1, 1))
    _mark_k(ax, identity.index)
    return ax


def plot_distances(distances: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """Draw the mean distances to the own cluster, ``a``, and to the nearest rival, ``b``, against k."""
    ax = _axes(ax)
    ax.plot(distances.index, distances["b"], "s-", color=LOSS, label="b, to the rival")
    ax.plot(distances.index, distances["a"], "o-", color=GAIN, label="a, to the own cluster")
    ax.set(ylabel="mean distance")
    ax.legend(loc="upper left", bbox_to_anchor=(1, 1))
    _mark_k(ax, distances.index)
    return ax


def plot_score_against_share(table: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """Draw the path of k in the plane of score and share of positive samples."""
    ax = _axes(ax)
    ax.plot(table["positive"], table["score"], "-", color="#bbbbbb", linewidth=1)
    ax.scatter(table["positive"], table["score"], color=GAIN, zorder=2)
    for k, row in table.iterrows():
        ax.annotate(str(k), (row["positive"], row["score"]), xytext=(4, 4), textcoords="offset points")
    ax.set(xlabel="share of positive samples", ylabel="score")
    return ax


def plot_nulls(criteria: pd.DataFrame, nulls: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """Draw the score between its floor, the range of all structureless data, and its ceiling, if that is known.

    `criteria` is from `compare_criteria` and `nulls` from `NullSilhouettes.table`.
    """
    ax = _axes(ax)
    scored = criteria[criteria["score"].notna()]
    if "ceiling" in scored:
        ax.plot(scored.index, scored["ceiling"], "^-", color=OTHER, label="ceiling")
    ax.plot(scored.index, scored["score"], "o-", color=GAIN, label="score")
    by_k = nulls.groupby(level="n_clusters")
    ax.fill_between(scored.index, by_k["score_low"].min(), by_k["score_high"].max(), color=LOSS, alpha=0.45,
                    linewidth=2, label="no structure")  # fmt: skip
    ax.axhline(0, color=_GREY, linewidth=1)
    ax.set(ylabel="silhouette score")
    _legend_above(ax)
    _mark_k(ax, scored.index)
    return ax


def plot_rooms(rooms: dict[str, tuple[pd.DataFrame, pd.DataFrame]]) -> Figure:
    """Draw `plot_nulls` for several data sets by their names, side by side on one axis of scores."""
    figure, axes = plt.subplots(1, len(rooms), figsize=(7.2, 4.2), sharey=True, squeeze=False, layout="constrained")
    for ax, (name, tables) in zip(axes.flat, rooms.items()):
        plot_nulls(*tables, ax)
        ax.set_title(name, parse_math=False, pad=30)
        ax.set_xticks(ax.get_xticks()[:: -(-len(ax.get_xticks()) // 8)])
    for ax in axes.flat[1:]:
        ax.set_ylabel("")
        ax.get_legend().remove()
    return figure


def _legend_above(ax: Axes) -> None:
    """Put the legend above the axes, in a row."""
    ax.legend(
        loc="lower left", bbox_to_anchor=(0, 1), ncol=4, borderaxespad=0.2, handlelength=1.4, columnspacing=1.2,
        handletextpad=0.5,
    )  # fmt: skip


def plot_valleys(valleys: pd.DataFrame, deep: float, named: int | None, ax: Axes | None = None) -> Axes:
    """Draw the valley against k with its spread over halvings, and mark the k that count and the one that is named.

    `valleys` is from `LinkValleys.table`, and `deep` the least valley that counts.
    """
    ax = _axes(ax)
    k, valley, spread = valleys.index, valleys["valley"], valleys["valley_spread"]
    ax.fill_between(k, valley - spread, valley + spread, color=GAIN, alpha=0.15, linewidth=0, label="spread")
    ax.plot(k, valley, "o-", color=GAIN, markerfacecolor="white", label="valley")
    counts = valleys[valley >= deep]
    ax.plot(counts.index, counts["valley"], "o", color=GAIN, label=f"counts: {deep:g} or more")
    if named is not None:
        ax.plot(named, valley[named], "o", color=LOSS, markersize=11, label=f"named: k = {named}")
    ax.axhline(deep, color=OTHER, linestyle="--", linewidth=1)
    ax.axhline(0, color=_GREY, linewidth=1)
    ax.set(ylabel="valley", ylim=(min(-0.5, max(-2.0, (valley - spread).min())) - 0.05, 1.05))
    _legend_above(ax)
    _mark_k(ax, k)
    return ax


def plot_border(t: np.ndarray, aside: np.ndarray, places: np.ndarray, counts: np.ndarray, title: str) -> Figure:
    """Draw two clusters with their links, and below how many links cross each place on the line of their centres.

    The arguments are those of `helpers.criteria.halves.BorderProfile`.
    """
    figure, (above, below) = plt.subplots(
        2, 1, figsize=(7.2, 5.4), sharex=True, height_ratios=(3, 2), layout="constrained"
    )
    crossing = (t[:, 0] < 0) != (t[:, 1] < 0)
    for chosen, color, width in ((~crossing, "#b9bfc6", 0.4), (crossing, LOSS, 1.0)):
        above.plot(t[chosen].T, aside[chosen].T, color=color, linewidth=width, zorder=1 + width)
    ends, rows = np.unique(np.column_stack([t.ravel(), aside.ravel()]), axis=0).T
    above.scatter(ends, rows, s=7, c=np.where(ends < 0, GAIN, OTHER), linewidth=0, zorder=3)
    above.set_title(title, parse_math=False)
    above.set(ylabel="across the line", yticks=[])
    below.plot(places, counts, color=GAIN)
    below.set(xlabel="place on the line of centres", ylabel="links that cross", ylim=(0, None), xlim=(-1, 1))
    for ax in (above, below):
        ax.axvline(0, color=LOSS, linewidth=1.2)
        for centre in (-0.5, 0.5):
            ax.axvline(centre, color=_GREY, linewidth=1, linestyle=":")
    below.set_xticks([-0.5, 0, 0.5], ["centre", "border", "centre"])
    return figure


def plot_wide(table: pd.DataFrame) -> Figure:
    """Draw score and valley, one below the other, against k on a logarithmic axis.

    `table` is from `wide_criteria`. Beside the score is the range of structureless data, around the valley one standard
    deviation over halvings.
    """
    figure, (top, bottom) = plt.subplots(2, 1, figsize=(7.2, 6.2), sharex=True, layout="constrained")
    top.plot(table.index, table["score"], "o-", color=GAIN, label="score")
    top.fill_between(table.index, table["null_low"], table["null_high"], color=LOSS, alpha=0.4, linewidth=1.5,
                     label="no structure")  # fmt: skip
    top.set_ylabel("silhouette score")
    top.legend()
    valley, spread = table["valley"], table["valley_spread"]
    bottom.plot(table.index, valley, "s-", color=OTHER)
    bottom.fill_between(table.index, valley - spread, valley + spread, color=OTHER, alpha=0.2, linewidth=0)
    bottom.set(ylabel="valley", ylim=(-1.05, 1.15))
    for height, words in ((1, "islands"), (0, "no emptier than inside")):
        bottom.annotate(words, (1, height), xycoords=bottom.get_yaxis_transform(), xytext=(-4, -3),
                        textcoords="offset points", ha="right", va="top", fontsize="small", color=_GREY)  # fmt: skip
    for ax in (top, bottom):
        ax.axhline(0, color=_GREY, linewidth=1)
    bottom.set_xscale("log", base=2)
    bottom.minorticks_off()
    _mark_k(bottom, [k for k in table.index if np.log2(k) % 1 == 0])
    bottom.xaxis.set_major_formatter("{x:.0f}")
    return figure


def plot_gap(gap: pd.DataFrame, n_clusters: int | None, ax: Axes | None = None) -> Axes:
    """Draw the gap against k with standard errors, from `GapStatistic.table`, and mark the k that its rule chooses."""
    ax = _axes(ax)
    ax.errorbar(gap.index, gap["gap"], yerr=gap["s"], fmt="o-", color=GAIN, capsize=3)
    if n_clusters is not None:
        ax.axvline(n_clusters, color=LOSS, linestyle="--", label=f"chosen: k = {n_clusters}")
        ax.legend()
    ax.set(ylabel="gap")
    _mark_k(ax, gap.index)
    return ax


def plot_halves(points: np.ndarray, first: np.ndarray, second: np.ndarray) -> Figure:
    """Draw two clusterings of the same points (n, 2), one above the other, and beside them where they differ.

    Equal numbers are taken for equal clusters.
    """
    figure, axes = plt.subplots(1, 3, figsize=(6.4, 2.7), layout="constrained")
    colors = np.array(cluster_colors(int(max(first.max(), second.max())) + 1))
    differ = first != second
    drawn = {
        "by one half": colors[first],
        "by the other half": colors[second],
        f"they differ: {differ.mean():.0%}": np.where(differ, LOSS, "#c9ced3"),
    }
    for ax, (title, color) in zip(axes, drawn.items()):
        order = np.argsort(differ, kind="stable")  # those that differ on top
        ax.scatter(*points[order].T, s=4, c=color[order], linewidth=0)
        ax.set_title(title)
        ax.set_axis_off()
    return figure


def plot_draws(draws: pd.Series, sure: float, ax: Axes | None = None) -> Axes:
    """Draw how often other draws of the halvings name each k, 0 standing for none, and the share that is needed."""
    ax = plt.subplots(figsize=(7.2, 0.42 * len(draws) + 1.3))[1] if ax is None else ax
    names = ["no k" if k == 0 else f"k = {k}" for k in draws.index]
    bars = ax.barh(
        names, draws.to_numpy(), height=0.6, color=[_GREY if k == 0 else GAIN for k in draws.index], linewidth=0
    )
    ax.bar_label(bars, [f"{share:.0%}" for share in draws], padding=3)
    ax.axvline(sure, color=LOSS, linestyle="--", label=f"needed: {sure:.0%}")
    ax.set(xlabel="share of the draws", xlim=(0, 1.1))
    ax.xaxis.set_major_formatter("{x:.0%}")
    ax.invert_yaxis()
    ax.grid(False, axis="y")
    _legend_above(ax)
    return ax


def plot_rule(start: str, steps: Sequence[tuple[str, str, str]], end: str) -> Figure:
    """Draw the rule as a flow chart: from the top down, with what each question keeps below it and what it drops aside.

    `steps` are questions, each with the k that stay and those that leave; an empty text stands for none of them. Where
    none stays, the questions after it are pale.
    """
    rows = [start, *(question for question, _, _ in steps), end]
    figure, ax = plt.subplots(figsize=(5.8, 0.88 * len(rows)), layout="constrained")
    ax.set(xlim=(0, 10), ylim=(-len(rows) + 0.5, 0.5))
    ax.set_axis_off()
    reached = True
    for row, text in enumerate(rows):
        last = row == len(rows) - 1
        alive = reached or last
        color = LOSS if last else GAIN if row else _GREY
        _box(ax, (3, -row), text, color if alive else "#c9ced3", bold=last or not row)
        if 0 < row < len(rows) - 1:
            _, stay, leave = steps[row - 1]
            if leave and alive:
                _arrow(ax, (6, -row), (6.8, -row), "no")
                ax.text(6.9, -row, fill(leave, 20), va="center", fontsize="small", color=_GREY)
            words = f"yes: {stay or 'none'}" if reached else ""
            reached = reached and bool(stay)
        if not last:
            _arrow(ax, (3, -row - 0.32), (3, -row - 0.68), words if row else "", pale=not reached)
    return figure


def _box(ax: Axes, place: tuple[float, float], text: str, color: str, *, bold: bool) -> None:
    ax.text(
        *place, text, ha="center", va="center", fontsize="medium", fontweight="bold" if bold else "normal",
        color="black" if color != "#c9ced3" else "#8c949c",
        bbox={"boxstyle": "round,pad=0.55", "facecolor": "none", "edgecolor": color, "linewidth": 1.8},
    )  # fmt: skip


def _arrow(ax: Axes, start: tuple[float, float], end: tuple[float, float], words: str, *, pale: bool = False) -> None:
    style = {"arrowstyle": "-|>", "color": "#c9ced3" if pale else "black", "linewidth": 1.2}
    ax.annotate("", end, start, arrowprops=style)
    down = start[0] == end[0]
    x, y = (start[0] + 0.15, (start[1] + end[1]) / 2) if down else ((start[0] + end[0]) / 2, start[1] + 0.08)
    ax.text(x, y, words, fontsize="small", ha="left" if down else "center", va="center" if down else "bottom")


def plot_criteria(criteria: pd.DataFrame, preferred: dict[str, list[int]]) -> Figure:
    """Draw the criteria against k, one below the other, and mark the k that each prefers, or finds equally good.

    `preferred` is from `helpers.criteria.table.equal_k`.
    """
    names = {
        "inertia": ("elbow", "inertia"),
        "score": ("score", "score"),
        "macro": ("macro", "mean over\nclusters"),
        "positive": ("positive", "share of\npositive samples"),
    }
    figure, axes = plt.subplots(len(names), 1, figsize=(7.2, 7.6), sharex=True, layout="constrained")
    for ax, (column, (criterion, label)) in zip(axes, names.items()):
        ax.plot(criteria.index, criteria[column], "o-", color=GAIN, markersize=4)
        for k in preferred[criterion]:
            place = (k, criteria.loc[k, column])
            ax.plot(*place, "o", color=LOSS, markersize=10)
            ax.annotate(f"k = {k}", place, xytext=(6, 5), textcoords="offset points", color=LOSS, fontsize="small")
        ax.margins(y=0.2)
        ax.set_ylabel(label)
    _mark_k(axes[-1], criteria.index)
    return figure


def plot_timings(timings: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """Draw seconds against size on logarithmic axes, a line for each column."""
    ax = _axes(ax)
    for name, color, style in zip(timings.columns, (GAIN, LOSS, OTHER), ("o-", "s-", "^-")):
        ax.plot(timings.index, timings[name], style, color=color, label=name)
    ax.set(xscale="log", yscale="log", xlabel="number of images", ylabel="seconds")
    ax.legend()
    return ax


def plot_heatmap(table: pd.DataFrame, label: str, ax: Axes | None = None) -> Axes:
    """Draw a table of numbers from 0 to 1 as colours, each with its number; a missing one is grey."""
    ax = plt.subplots(figsize=(9.6, 0.36 * len(table) + 2))[1] if ax is None else ax
    ax.set_facecolor("#dddddd")
    sns.heatmap(
        table, vmin=0, vmax=1, cmap="cividis", annot=True, fmt=".2f", annot_kws={"fontsize": "x-small"},
        cbar_kws={"label": label}, ax=ax,
    )  # fmt: skip
    ax.set(xlabel="criterion", ylabel=table.index.name)
    ax.tick_params(axis="x", rotation=60)
    plt.setp(ax.get_xticklabels(), ha="right", rotation_mode="anchor")
    return ax


def plot_losses(losses: pd.DataFrame, label: str, ax: Axes | None = None) -> Axes:
    """Draw the losses of each criterion as dots and their mean as a bar, sorted by mean with the smallest on top."""
    ax = plt.subplots(figsize=(7.2, 0.36 * losses.shape[1] + 1))[1] if ax is None else ax
    order = losses.mean().sort_values().index
    long = losses[order].melt(var_name="criterion", value_name="loss")
    sns.barplot(long, x="loss", y="criterion", color="#9ec9e2", errorbar=None, ax=ax)
    sns.stripplot(long, x="loss", y="criterion", color=GAIN, size=3, alpha=0.5, jitter=0.3, ax=ax)
    ax.set(xlabel=label, ylabel="")
    return ax


def plot_intervals(intervals: pd.DataFrame, label: str, ax: Axes | None = None) -> Axes:
    """Draw the mean of each row with its interval, from `helpers.trials.judging.intervals`, the best on top."""
    rows = intervals.sort_values("mean")
    ax = plt.subplots(figsize=(7.2, 0.6 + 0.28 * len(rows)))[1] if ax is None else ax
    errors = np.abs(rows[["low", "high"]].to_numpy().T - rows["mean"].to_numpy())
    colors = [LOSS if name == "verdict" else GAIN for name in rows.index]
    for y, color in enumerate(colors):
        ax.errorbar(rows["mean"].iloc[y], y, xerr=errors[:, [y]], fmt="o", color=color, capsize=3)
    ax.set_yticks(range(len(rows)), rows.index)
    ax.set(xlabel=label, xlim=(0, None))
    ax.xaxis.set_major_formatter("{x:.0%}")
    return ax


def plot_shares(shares: pd.DataFrame, label: str, ax: Axes | None = None) -> Axes:
    """Draw up to three shares side by side, a group of bars for each row of a table."""
    ax = plt.subplots(figsize=(7.2, 0.42 * len(shares) + 1.2))[1] if ax is None else ax
    shares[::-1].plot.barh(ax=ax, color=[LOSS, GAIN, OTHER][: shares.shape[1]], width=0.8, linewidth=0)
    ax.set(xlabel=label, ylabel="", xlim=(0, 1))
    ax.legend(loc="upper left", bbox_to_anchor=(1, 1))
    ax.grid(False, axis="y")
    return ax


def plot_clusterings(points: Sequence[np.ndarray], labels: Sequence[np.ndarray], titles: Sequence[str]) -> Figure:
    """Draw clusterings of points (n, 2) side by side, three in a row, each under its title."""
    n_rows = -(-len(points) // 3)
    figure, axes = plt.subplots(n_rows, 3, figsize=(8.4, 2.7 * n_rows), squeeze=False, layout="constrained")
    for ax in axes.flat:
        ax.set_axis_off()
    for ax, positions, clusters, title in zip(axes.flat, points, labels, titles):
        colors = np.array(cluster_colors(int(clusters.max()) + 1))
        ax.scatter(positions[:, 0], positions[:, 1], s=6, c=colors[clusters], linewidth=0)
        ax.set_title(title, fontsize="small", parse_math=False)
        ax.set_aspect("equal", adjustable="datalim")
    return figure


def plot_images(images: Sequence[Image.Image], titles: Sequence[str], n_columns: int = 6) -> Figure:
    """Draw images in a grid, each under its title."""
    n_columns = min(n_columns, max(len(images), 1))
    n_rows = -(-len(images) // n_columns)
    figure, axes = plt.subplots(
        n_rows, n_columns, figsize=(_PICTURE_WIDTH * n_columns, 1.85 * n_rows), squeeze=False, layout="constrained"
    )
    for ax in axes.flat:
        ax.set_axis_off()
    for ax, image, title in zip(axes.flat, images, titles):
        ax.imshow(image)
        show_as_it_is(
            ax.set_title(title, fontsize="small", fontweight="normal", color=_ON_ANY_PAGE), _PICTURE_WIDTH - 0.1
        )
    return figure


def plot_gallery(rows: Sequence[Sequence[tuple[Image.Image, str]]], names: Sequence[str]) -> Figure:
    """Draw a row of images for each cluster, each image under its title and each row under its name."""
    n_columns = max(len(row) for row in rows)
    figure = plt.figure(figsize=(_PICTURE_WIDTH * max(n_columns, 3), 2.0 * len(rows)), layout="constrained")
    for part, row, name in zip(figure.subfigures(len(rows), 1, squeeze=False).flat, rows, names):
        heading = part.suptitle(name, x=0.01, ha="left", fontsize="medium", fontweight="bold", color=_ON_ANY_PAGE)
        show_as_it_is(heading, _PICTURE_WIDTH * max(n_columns, 3) - 0.2)
        axes = part.subplots(1, n_columns, squeeze=False)[0]
        for ax in axes:
            ax.set_axis_off()
        for ax, (image, title) in zip(axes, row):
            ax.imshow(image)
            show_as_it_is(ax.set_title(title, fontsize="small", fontweight="normal", color=_ON_ANY_PAGE), 1.4)
    return figure
