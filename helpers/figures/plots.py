"""One function for each figure; they draw finished numbers, and compute only where to put them."""

from __future__ import annotations

from collections.abc import Sequence

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


def plot_lengths(lengths: np.ndarray, labels: np.ndarray, ax: Axes | None = None) -> Axes:
    """Draw how many rows of each of two clusters are how long, the cluster of the longer rows last."""
    ax = plt.subplots(figsize=(7.2, 2.6))[1] if ax is None else ax
    short, long = sorted((lengths[labels == cluster] for cluster in (0, 1)), key=np.mean)
    edges = np.histogram_bin_edges(lengths, bins=40)
    for rows, color, name in ((short, GAIN, "cluster of short rows"), (long, LOSS, "cluster of long rows")):
        ax.hist(rows, edges, color=color, alpha=0.65, linewidth=0, label=name)
    ax.set(xlabel="length of the row of features", ylabel="images")
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
    """Draw the score, its ceiling, and the scores of structureless data of each kind: their mean and their range.

    `criteria` is from `compare_criteria` and `nulls` from `NullSilhouettes.table`.
    """
    ax = _axes(ax)
    scored = criteria[criteria["score"].notna()]
    ax.plot(scored.index, scored["score"], "o-", color=GAIN, label="score")
    for (kind, table), style in zip(nulls.groupby(level="kind", sort=False), ("-", "--", ":")):
        table = table.droplevel("kind")
        ax.plot(table.index, table["score"], style, color=LOSS, label=f"{kind}, no structure")
        ax.fill_between(table.index, table["score_low"], table["score_high"], color=LOSS, alpha=0.15, linewidth=0)
    if "ceiling" in scored:
        ax.plot(scored.index, scored["ceiling"], "^-", color=OTHER, label="ceiling")
    ax.axhline(0, color=_GREY, linewidth=1)
    ax.set(ylabel="mean silhouette")
    ax.legend(loc="upper left", bbox_to_anchor=(1, 1))
    _mark_k(ax, scored.index)
    return ax


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
    ax.set(ylabel="valley", ylim=(min(-0.5, max(-2.0, valley.min())) - 0.05, 1.05))
    ax.legend(loc="upper left", bbox_to_anchor=(1, 1))
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
    figure, (top, bottom) = plt.subplots(2, 1, figsize=(7.2, 5.2), sharex=True, layout="constrained")
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
    ax.set_xticks(timings.index, [f"{n:,}" for n in timings.index])
    ax.minorticks_off()
    ax.yaxis.set_major_formatter("{x:g}")
    ax.legend()
    return ax


def plot_dots(table: pd.DataFrame, label: str, ax: Axes | None = None) -> Axes:
    """Draw up to three shares in each row of a table as dots, the first row on top; a missing one is left out."""
    ax = plt.subplots(figsize=(7.2, 0.26 * len(table) + 1.1))[1] if ax is None else ax
    y = np.arange(len(table))[::-1]
    # Equal ones lie one above the other.
    for name, color, marker, up in zip(table, (OTHER, GAIN, LOSS), "^os", (0.22, 0, -0.22)):
        ax.plot(table[name], y + up, marker, color=color, markersize=6, label=name)
    ax.set_yticks(y, table.index, fontsize=11.5)
    ax.set(xlabel=label, ylabel="", xlim=(-0.03, 1.03))
    ax.xaxis.set_major_formatter("{x:.0%}")
    ax.legend(loc="lower center", bbox_to_anchor=(0.5, 1), ncols=table.shape[1], columnspacing=1, handletextpad=0.2)
    return ax


def plot_intervals(panels: dict[str, pd.DataFrame]) -> Figure:
    """Draw means with their intervals, a panel for each measure and a row for each name, the first row on top.

    `panels` are up to two tables of `helpers.trials.judging.intervals` by measure. The rows are those of the first.
    """
    rows = next(iter(panels.values())).index
    figure, axes = plt.subplots(
        1, len(panels), figsize=(7.2, 0.9 + 0.24 * len(rows)), squeeze=False, sharey=True, layout="constrained"
    )
    places = np.arange(len(rows))[::-1]
    for ax, (label, table) in zip(axes.flat, panels.items()):
        table = table.reindex(rows)
        errors = np.abs(table[["low", "high"]].to_numpy().T - table["mean"].to_numpy())
        for row, (name, y) in enumerate(zip(rows, places)):
            color = LOSS if name.startswith("verdict") else GAIN
            ax.errorbar(table["mean"].iloc[row], y, xerr=errors[:, [row]], fmt="o", color=color, capsize=3)
        ax.set(xlabel=label, xlim=(0, None))
        ax.grid(False, axis="y")
    axes[0, 0].set_yticks(places, rows, fontsize=11.5)
    return figure


def plot_clusterings(points: Sequence[np.ndarray], labels: Sequence[np.ndarray], titles: Sequence[str]) -> Figure:
    """Draw clusterings of points (n, 2) side by side, three in a row, each under its title."""
    n_rows = -(-len(points) // 3)
    figure, axes = plt.subplots(n_rows, 3, figsize=(7.2, 2.1 * n_rows), squeeze=False, layout="constrained")
    for ax in axes.flat:
        ax.set_axis_off()
    for ax, positions, clusters, title in zip(axes.flat, points, labels, titles):
        colors = np.array(cluster_colors(int(clusters.max()) + 1))
        ax.scatter(positions[:, 0], positions[:, 1], s=4, c=colors[clusters], linewidth=0)
        ax.set_title(title, fontsize=9, parse_math=False)
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
