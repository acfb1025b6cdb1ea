"""One function for each figure; they draw finished numbers, and compute only where to put them."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import count
from textwrap import fill

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import PathPatch, Rectangle
from matplotlib.path import Path as MplPath
from matplotlib.ticker import PercentFormatter
from PIL import Image, ImageOps

from ..core.conventions import with_minus
from .lettering import show_as_it_is

# The first colours of seaborn's colour-blind-safe palette, by their meaning.
GAIN, LOSS, OTHER = "#0173b2", "#d55e00", "#029e73"
_GREY = "#6b6b6b"
_BRANCH = 0.4  # inches from one cluster of a tree to the next below it
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
            "figure.figsize": (7.2, 3.6),
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


def is_geometric(k_values: Sequence[int]) -> bool:
    """Tell whether values of k are more evenly apart on a logarithmic axis than on a plain one.

    Examples
    --------
    >>> from helpers.figures.plots import is_geometric
    >>> is_geometric(range(2, 17)), is_geometric([2, 4, 8, 15]), is_geometric([5, 9])
    (False, True, False)
    """
    steps, ratios = np.diff(k_values), np.diff(np.log(k_values))
    return len(steps) > 1 and bool(ratios.std() / ratios.mean() < steps.std() / steps.mean())


def _mark_k(ax: Axes, k_values: Sequence[int], *, even: bool = False) -> None:
    """Label the axis of k, on a logarithmic scale where that suits the k and `even` does not forbid it."""
    logarithmic = is_geometric(k_values) and not even
    if logarithmic:
        ax.set_xscale("log")
        ax.minorticks_off()
    width = 72 * ax.get_position().width * ax.figure.get_figwidth()
    ticks = _ticks_apart(k_values, width, logarithmic=logarithmic)
    ax.set_xticks(ticks, [str(k) for k in ticks])
    ax.set_xlabel("number of clusters k")


def _ticks_apart(k_values: Sequence[int], width: float, *, logarithmic: bool) -> list[int]:
    """Choose k whose labels have room beside each other on an axis of a width in points; first and last among them."""
    first, *others = k_values
    if not others:
        return [first]
    last = others.pop()
    place = dict(zip(k_values, np.log(k_values) if logarithmic else map(float, k_values)))
    scale, room = width / (place[last] - place[first]), 5 + 7 * len(str(last))
    chosen = [first]
    for k in others:
        if min(place[k] - place[chosen[-1]], place[last] - place[k]) * scale >= room:
            chosen.append(k)
    return [*chosen, last]


def _slots(k_values: Sequence[int], share: float = 0.8) -> tuple[np.ndarray, np.ndarray]:
    """Calculate left ends and widths of bars at each k that take a share of the room between neighbours, as drawn."""
    k = np.asarray(k_values, dtype=float)
    if is_geometric(k_values):
        reach = (k[1:] / k[:-1]).min() ** (share / 2)
        return k / reach, k * reach - k / reach
    width = np.full(len(k), share * np.diff(k).min(initial=k[-1] - k[0] or 1))
    return k - width / 2, width


def _legend_above(ax: Axes, n_columns: int = 4) -> None:
    """Put the legend above the axes, in rows."""
    ax.legend(
        loc="lower left", bbox_to_anchor=(0, 1), ncols=n_columns, borderaxespad=0.2, handlelength=1.4,
        columnspacing=1.2, handletextpad=0.5,
    )  # fmt: skip


def plot_rows(pairs: pd.DataFrame) -> Figure:
    """Draw two long and two short rows from the origin, as they are and divided by their lengths.

    `pairs` is from `helpers.clustering.lengths.length_pairs`. Each pair is drawn in the plane that it spans, where
    lengths, angle and distance are the true ones.
    """
    figure, axes = plt.subplots(1, 2, figsize=(7.2, 3.3), layout="constrained")
    as_they_are = pairs[["first", "second", "distance"]].to_numpy()
    divided = np.column_stack([np.ones((len(pairs), 2)), pairs["unit_distance"]])
    titles = ("as they are", "divided by their lengths")
    for ax, rows, title in zip(axes, (as_they_are, divided), titles):
        for (name, angle), (*lengths, distance), color, side in zip(
            pairs["angle"].items(), rows, (LOSS, GAIN), (1, -1)
        ):
            directions = np.pi / 2 + angle / 2 * np.array([1, -1])
            x, y = lengths * np.cos(directions), lengths * np.sin(directions)
            for end in zip(x, y):
                ax.annotate("", end, (0, 0), arrowprops={"arrowstyle": "-|>", "color": color, "shrinkB": 0, "lw": 1.8})
            ax.plot(x, y, "--", color=color, linewidth=1.4)
            ax.annotate(f"{name}: {distance:.3g}", (x[1], y[1]), xytext=(7, 8 * side), textcoords="offset points",
                        ha="left", va="center", color=color)  # fmt: skip
        ax.plot(0, 0, "o", color=_GREY)
        ax.set_title(title)
        ax.set_aspect("equal")
        ax.margins(0.12)
        ax.set_axis_off()
    return figure


def plot_crowding(distances: dict[str, np.ndarray]) -> Figure:
    """Draw histograms of distances over their mean, one below the other on one axis; the last is set off.

    Beside the name of each is its spread, the standard deviation over the mean. Very few of the largest distances are
    not shown.
    """
    ratios = {name: values / max(values.mean(), 1e-12) for name, values in distances.items()}
    figure, axes = plt.subplots(
        len(ratios), 1, figsize=(7.2, 0.9 * len(ratios) + 0.7), sharex=True, layout="constrained"
    )
    bins = np.linspace(0, max(2, *(np.quantile(values, 0.999) for values in ratios.values())), 101)
    for ax, (name, values) in zip(axes, ratios.items()):
        ax.hist(values, bins, color=GAIN if ax is axes[-1] else "#b9bfc6", linewidth=0)
        words = f"{name}\nspread {values.std():.2g}"
        ax.text(1, 0.6, words, ha="right", va="center", transform=ax.transAxes)
        ax.axvline(1, color=LOSS, linestyle="--", linewidth=1)
        ax.set_yticks([])
        ax.grid(False, axis="y")
        sns.despine(ax=ax, left=True)
    axes[-1].set_xlabel("distance, divided by the mean distance")
    return figure


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
    ax.xaxis.set_major_formatter("{x:,.0f}")
    ax.yaxis.set_major_formatter("{x:.0%}")
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
    """Draw inertia against k, and mark the elbow if there is one, on the plain axis on which Kneedle seeks it."""
    ax = _axes(ax)
    ax.plot(k_values, inertia, "o-", color=GAIN)
    if elbow is not None:
        ax.axvline(elbow, color=LOSS, linestyle="--", label=f"elbow at k = {elbow}")
        ax.legend()
    ax.set(ylabel="inertia", ylim=(0, 1.05 * np.max(inertia)))
    ax.yaxis.set_major_formatter("{x:,g}")
    _mark_k(ax, k_values, even=True)
    return ax


def plot_chord(table: pd.DataFrame, elbow: int | None, ax: Axes | None = None) -> Axes:
    """Draw inertia against k with its chord, and how far it is below it, from `chord_table`."""
    ax = plot_inertia(list(table.index), table["inertia"], None, ax)
    ends = table["chord"].iloc[[0, -1]]
    ax.plot(ends.index, ends, "--", color=_GREY, label="from the first point to the last")
    ax.vlines(table.index, table["inertia"], table["chord"], color="#b9bfc6", linewidth=1.2, zorder=1)
    if elbow is not None:
        inertia, chord = table.loc[elbow, ["inertia", "chord"]]
        ax.vlines(elbow, inertia, chord, color=LOSS, linewidth=3, label=f"below it at the elbow, k = {elbow}")
        ax.plot(elbow, inertia, "o", color=LOSS, markersize=10)
    ax.legend()
    return ax


def plot_cells(
    points: np.ndarray, labels: Sequence[np.ndarray], centers: Sequence[np.ndarray], titles: Sequence[str]
) -> Figure:
    """Draw k-means clusterings of points (n, 2), three in a row, with the centres and their cells."""
    n_rows = -(-len(labels) // 3)
    figure, axes = plt.subplots(n_rows, 3, figsize=(7.2, 2.6 * n_rows), squeeze=False, layout="constrained")
    (left, bottom), (right, top) = (points.min(axis=0) - 0.7, points.max(axis=0) + 0.7)
    places = np.stack(np.meshgrid(np.linspace(left, right, 240), np.linspace(bottom, top, 240)), axis=-1)
    for ax, clusters, means, title in zip(axes.flat, labels, centers, titles):
        colors = np.array(cluster_colors(len(means)))
        nearest = np.linalg.norm(places[:, :, np.newaxis] - means, axis=-1).argmin(axis=-1)
        ax.imshow(colors[nearest], extent=(left, right, bottom, top), origin="lower", alpha=0.22, aspect="equal")
        ax.scatter(points[:, 0], points[:, 1], s=7, c=colors[clusters], linewidth=0)
        ax.plot(means[:, 0], means[:, 1], "X", color="black", markersize=8, markeredgecolor="white")
        ax.set_title(title, fontsize="small")
        ax.set(xticks=[], yticks=[])
        ax.grid(False)
    for ax in axes.flat[len(labels) :]:
        ax.set_axis_off()
    return figure


def plot_elbows(elbows: pd.Series, ax: Axes | None = None) -> Axes:
    """Draw the elbow that is found if the sweep stops at each k, or say that none is found at any."""
    ax = _axes(ax)
    found = elbows.dropna()
    ax.plot(found.index, found.astype(int), "o-", color=GAIN)
    if len(elbows):
        _mark_k(ax, elbows.index)
    ax.set(xlabel="largest k tried", ylabel="elbow")
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


def plot_one_silhouette(
    points: np.ndarray,
    labels: np.ndarray,
    chosen: int,
    rival: int,
    a: float,
    b: float,
    centres: np.ndarray | None = None,
) -> Figure:
    """Draw one point in the plane with lines to its own cluster and to its rival, and below what they come to.

    Parameters
    ----------
    points : ndarray, shape (n, 2)
    labels : ndarray of int, shape (n,)
        The clusters, from 0.
    chosen : int
        The row of the point.
    rival : int
        The label of its rival.
    a, b : float
        Its mean distances to the own cluster and to the rival.
    centres : ndarray, shape (k, 2), optional
        If given, dashed lines lead to those of the two clusters.
    """
    figure, (plane, bars) = plt.subplots(2, 1, figsize=(7.2, 4.9), height_ratios=(2.1, 1), layout="constrained")
    colors = cluster_colors(int(labels.max()) + 1)
    own = int(labels[chosen])
    for cluster, color in enumerate(colors):
        members = points[labels == cluster]
        if cluster in (own, rival):
            for member in members:
                plane.plot(*np.array([points[chosen], member]).T, color=color, linewidth=0.9, alpha=0.7, zorder=1)
        plane.scatter(*members.T, s=36, color=color, linewidth=0, zorder=2)
        words = {own: "its own cluster", rival: "its rival"}.get(cluster, "another cluster")
        plane.annotate(words, (members[:, 0].mean(), members[:, 1].max()), xytext=(0, 9), textcoords="offset points",
                       ha="center", fontsize="small")  # fmt: skip
    for cluster in () if centres is None else (own, rival):
        plane.plot(*np.array([points[chosen], centres[cluster]]).T, "--", color="black", linewidth=1.6, zorder=3)
        plane.plot(*centres[cluster], "X", color="black", markersize=10, markeredgecolor="white", zorder=4)
    plane.scatter(*points[chosen], s=150, color=colors[own], edgecolor="black", linewidth=2, zorder=5)
    plane.set_aspect("equal", adjustable="datalim")
    plane.set_axis_off()
    _draw_comparison(bars, a, b, colors[own], colors[rival])
    return figure


def _draw_comparison(ax: Axes, a: float, b: float, own: tuple, rival: tuple) -> None:
    """Draw the two distances of a silhouette as bars, and the silhouette as what the longer has beyond the shorter."""
    low, high = sorted((a, b))
    ax.barh([2, 1], [a, b], color=[own, rival], height=0.7, linewidth=0)
    ax.barh(0, high - low, left=low, color=OTHER if b > a else LOSS, height=0.7, linewidth=0)
    value = with_minus(f"{(b - a) / high:.2f}")
    words = (f"a = {a:.2f}", f"b = {b:.2f}", f"s = (b \N{MINUS SIGN} a) / {'b' if b > a else 'a'} = {value}")
    for y, end, text in zip((2, 1, 0), (a, b, high), words):
        ax.annotate(text, (end, y), xytext=(6, 0), textcoords="offset points", va="center", fontsize="small")
    names = ["difference", "to the rival", "to its own"]
    ax.set_yticks([0, 1, 2], names)
    ax.set(xlabel="mean distance", xlim=(0, 1.45 * high))
    ax.grid(False, axis="y")


def plot_knife(samples: np.ndarray, labels: np.ndarray, ax: Axes | None = None) -> Axes:
    """Draw the silhouettes of all samples, sorted within their clusters: Rousseeuw's (1987) silhouette plot."""
    ax = _axes(ax)
    gap = max(1, len(samples) // max(100, 4 * int(labels.max() + 1)))
    base, written = 0, -np.inf
    for cluster, color in enumerate(cluster_colors(int(labels.max()) + 1)):
        widths = np.sort(samples[labels == cluster])
        ax.fill_betweenx(np.arange(base, base + len(widths)), 0, widths, color=color, linewidth=0, step="mid")
        middle = base + len(widths) / 2
        if middle - written > len(samples) / 18:  # numbers of small clusters would cover each other
            ax.text(-0.01, middle, str(cluster), ha="right", va="center", fontsize="small",
                    transform=ax.get_yaxis_transform())  # fmt: skip
            written = middle
        base += len(widths) + gap
    ax.axvline(samples.mean(), color="black", linestyle="--", linewidth=1)
    ax.axvline(0, color=_GREY, linewidth=1)
    ax.set(title=f"k = {labels.max() + 1}, score {samples.mean():.3f}", xlabel="silhouette", yticks=[])
    ax.grid(False, axis="y")
    return ax


def plot_knives(samples: Sequence[np.ndarray], labels: Sequence[np.ndarray]) -> Figure:
    """Draw knife plots side by side on one scale, up to three in a row."""
    n_columns = 2 if len(samples) == 4 else min(len(samples), 3)
    n_rows = -(-len(samples) // n_columns)
    figure, axes = plt.subplots(
        n_rows, n_columns, figsize=(4.5 if n_columns == 1 else 7.2, 3.0 * n_rows), squeeze=False, sharex=True
    )
    for ax, *clustering in zip(axes.flat, samples, labels):
        plot_knife(*clustering, ax)
    for ax in axes.flat[len(samples) :]:
        ax.set_axis_off()
    for ax in axes[:-1].flat:
        ax.set_xlabel("")
    for ax in axes[:, 0]:
        ax.set_ylabel("images, by cluster", labelpad=18)
    figure.tight_layout()
    return figure


def plot_signs(table: pd.DataFrame, nulls: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """Draw the shares of negative and of zero samples against k, and the range of structureless data.

    `nulls` is from `NullSilhouettes.table`; the range is that of the samples that are not positive, over all kinds.
    """
    ax = _axes(ax)
    left, width = _slots(table.index)
    bars = {"width": width, "align": "edge", "linewidth": 0}
    ax.bar(left, table["negative"], color=LOSS, label="negative", **bars)
    if table["zero"].any():
        ax.bar(left, table["zero"], bottom=table["negative"], color="#bbbbbb", label="zero", **bars)
    by_k = nulls.groupby(level="n_clusters")
    low, high = 1 - by_k["positive_high"].max(), 1 - by_k["positive_low"].min()
    for k in low.index:
        ax.plot([k, k], [low[k], high[k]], color="black", linewidth=2, marker="_", markersize=7,
                label="range of data without clusters" if k == low.index[0] else None)  # fmt: skip
    ax.set(ylabel="share of samples", ylim=(0, None))
    ax.yaxis.set_major_formatter(PercentFormatter(1, symbol="%"))
    _legend_above(ax)
    _mark_k(ax, table.index)
    return ax


def plot_identity(identity: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """Draw what positive samples add to the score and negative ones take from it, and the score, for each k."""
    ax = _axes(ax)
    left, width = _slots(identity.index)
    bars = {"width": width, "align": "edge", "linewidth": 0}
    ax.bar(left, identity["gain"], color=GAIN, label="given by positive ones", **bars)
    ax.bar(left, -identity["loss"], color=LOSS, label="taken by negative ones", **bars)
    ax.plot(identity.index, identity["score"], "o-", color="black", label="score")
    ax.axhline(0, color=_GREY, linewidth=1)
    ax.set(ylabel="part of the mean silhouette")
    _legend_above(ax)
    _mark_k(ax, identity.index)
    return ax


def plot_distances(distances: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """Draw the mean distances to the own cluster, ``a``, and to the nearest rival, ``b``, against k."""
    ax = _axes(ax)
    ax.plot(distances.index, distances["b"], "s-", color=LOSS, label="b, to the rival")
    ax.plot(distances.index, distances["a"], "o-", color=GAIN, label="a, to the own cluster")
    ax.set(ylabel="mean distance")
    _legend_above(ax)
    _mark_k(ax, distances.index)
    return ax


def plot_score_against_share(table: pd.DataFrame, steps: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """Draw the path of k in the plane of share of positive samples and score, and mark the steps that disagree.

    `steps` is from `helpers.criteria.curves.score_steps`.
    """
    ax = _axes(ax)
    for (k_from, k_to), disagree in steps["disagree"].items():
        ends = table.loc[[k_from, k_to]]
        color, width = (LOSS, 2.5) if disagree else ("#bbbbbb", 1)
        ax.plot(ends["positive"], ends["score"], "-", color=color, linewidth=width)
    ax.scatter(table["positive"], table["score"], color=GAIN, zorder=3)
    ax.set(xlabel="share of positive samples", ylabel="score")
    ax.xaxis.set_major_formatter(PercentFormatter(1, symbol="%"))
    ax.margins(0.1)
    _write_beside(ax, table[["positive", "score"]].to_numpy(), [str(k) for k in table.index])
    return ax


def _write_beside(ax: Axes, places: np.ndarray, words: Sequence[str]) -> None:
    """Write a word beside each place (n, 2), where it covers no place and no other word, if there is room."""
    points = 72 / ax.figure.dpi
    at = ax.transData.transform(places) * points
    angles = np.deg2rad(np.arange(45, 405, 30))
    offsets = np.concatenate([radius * np.column_stack([np.cos(angles), np.sin(angles)]) for radius in (11, 17, 24)])
    taken = list(at)
    for place, spot, word in zip(places, at, words):
        apart = np.abs((spot + offsets)[:, np.newaxis] - np.array(taken)) / (5 + 5 * len(word), 12)
        covered = (1 - apart.max(axis=2)).clip(0).sum(axis=1)
        best = offsets[(covered + 0.001 * np.arange(len(offsets))).argmin()]
        taken.append(spot + best)
        ax.annotate(word, place, xytext=best, textcoords="offset points", ha="center", va="center", fontsize="small",
                    zorder=4)  # fmt: skip


def plot_terms(steps: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """Draw the four terms of the change of the score from each k to the next, and mark the steps that disagree.

    `steps` is from `helpers.criteria.curves.score_steps`.
    """
    ax = _axes(ax)
    k = steps.index.get_level_values("k_to")
    left, width = _slots(k)
    up, down = np.zeros(len(steps)), np.zeros(len(steps))
    for name, label, color in (
        ("share_positive", "share of positive ones, p", "#7fb8dc"),
        ("size_positive", "how positive they are", GAIN),
        ("share_negative", "share of negative ones, q", "#f2b48a"),
        ("size_negative", "how negative they are", LOSS),
    ):
        term = steps[name].to_numpy()
        ax.bar(left, term, width, np.where(term > 0, up, down), align="edge", color=color, label=label, linewidth=0)
        up, down = up + term.clip(0), down + term.clip(None, 0)
    ax.plot(k, steps["score"], "o", color="black", markersize=5, label="change of the score")
    for start, wide in np.column_stack(_slots(k, 1.0))[steps["disagree"].to_numpy()]:
        ax.axvspan(start, start + wide, color="#d9d9d9", zorder=0, linewidth=0)
    ax.axhline(0, color=_GREY, linewidth=1)
    _legend_above(ax, n_columns=2)
    _mark_k(ax, k)
    ax.set(xlabel="step that ends at k", ylabel="change")
    return ax


def plot_change(before: np.ndarray, after: np.ndarray, names: tuple[str, str], ax: Axes | None = None) -> Axes:
    """Draw the silhouettes of the same samples in two clusterings as outlines, with a dashed line at each mean."""
    ax = _axes(ax)
    bins = np.histogram_bin_edges([*before, *after], bins=30)
    for values, name, color in zip((before, after), names, (GAIN, LOSS)):
        ax.hist(values, bins=bins, histtype="step", color=color, linewidth=2, label=name)
        ax.axvline(values.mean(), color=color, linestyle="--", linewidth=1.2)
    ax.axvline(0, color=_GREY, linewidth=1)
    ax.set(xlabel="silhouette", ylabel="number of images")
    _legend_above(ax)
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
    figure, axes = plt.subplots(1, len(rooms), figsize=(7.2, 3.7), sharey=True, squeeze=False, layout="constrained")
    for ax, (name, tables) in zip(axes.flat, rooms.items()):
        plot_nulls(*tables, ax)
        ax.set_title(name, parse_math=False, pad=30)
    for ax in axes.flat[1:]:
        ax.set_ylabel("")
        ax.get_legend().remove()
    return figure


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
        2, 1, figsize=(7.2, 4.7), sharex=True, height_ratios=(3, 2), layout="constrained"
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
    below.yaxis.set_major_formatter("{x:,.0f}")
    for ax in (above, below):
        ax.axvline(0, color=LOSS, linewidth=1.2)
        for centre in (-0.5, 0.5):
            ax.axvline(centre, color=_GREY, linewidth=1, linestyle=":")
    below.set_xticks([-0.5, 0, 0.5], ["centre", "border", "centre"])
    return figure


def plot_wide(table: pd.DataFrame, deep: float) -> Figure:
    """Draw score and valley, one below the other, against k that are far apart.

    `table` is from `wide_criteria`, and `deep` the least valley that counts. Beside the score is the range of
    structureless data, around the valley one standard deviation over halvings.
    """
    figure, (top, bottom) = plt.subplots(2, 1, figsize=(7.2, 4.3), sharex=True, layout="constrained")
    top.plot(table.index, table["score"], "o-", color=GAIN, label="score")
    top.fill_between(table.index, table["null_low"], table["null_high"], color=LOSS, alpha=0.4, linewidth=1.5,
                     label="no structure")  # fmt: skip
    top.set_ylabel("silhouette score")
    top.legend()
    valley, spread = table["valley"], table["valley_spread"]
    bottom.plot(table.index, valley, "s-", color=OTHER)
    bottom.fill_between(table.index, valley - spread, valley + spread, color=OTHER, alpha=0.2, linewidth=0)
    bottom.set(ylabel="valley", ylim=(-1.05, 1.15))
    bottom.axhline(deep, color=OTHER, linestyle="--", linewidth=1)
    for height, words, va in (
        (1, "islands", "top"), (deep, "a k counts from here up", "bottom"), (0, "borders as crowded as insides", "top"),
    ):  # fmt: skip
        away = 3 if va == "bottom" else -3
        bottom.annotate(words, (1, height), xycoords=bottom.get_yaxis_transform(), xytext=(-4, away),
                        textcoords="offset points", ha="right", va=va, fontsize="small", color=_GREY)  # fmt: skip
    for ax in (top, bottom):
        ax.axhline(0, color=_GREY, linewidth=1)
    _mark_k(bottom, table.index)
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
    figure, axes = plt.subplots(1, 3, figsize=(7.2, 2.6), layout="constrained")
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
        ax.set(xticks=[], yticks=[])
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
    figure, ax = plt.subplots(figsize=(5.8, 0.74 * len(rows)), layout="constrained")
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
        "positive": ("positive", "positive\nsamples"),
    }
    figure, axes = plt.subplots(len(names), 1, figsize=(7.2, 5.3), sharex=True, layout="constrained")
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


def plot_specifications(answers: pd.DataFrame, choices: pd.DataFrame, deep: float) -> Figure:
    """Draw the answers of several combinations side by side, in their order, and below them what was chosen.

    Parameters
    ----------
    answers : DataFrame
        Of a `helpers.comparing.answers.Comparison`.
    choices : DataFrame of str
        What was chosen, of the same rows.
    deep : float
        The least valley that counts.
    """
    rows = [(name, value) for name in choices for value in sorted(set(choices[name]), key=_by_number)]
    heights = [2.1, 1.5, 0.27 * max(len(rows), 1) + 0.1]
    figure, (top, middle, below) = plt.subplots(
        3, 1, figsize=(7.2, sum(heights) + 0.9), height_ratios=heights, sharex=True, layout="constrained"
    )
    _draw_answers(top, answers)
    x, size = np.arange(len(answers)), _mark_size(len(answers))
    middle.plot(x, answers["valley"], "s", color=LOSS, markersize=size, label="valley")
    middle.plot(x, answers["score"], "o", color=GAIN, markersize=size, label="score")
    middle.axhline(deep, color=LOSS, linestyle="--", linewidth=1, label=f"a valley that counts: {deep:g}")
    middle.set_ylabel("at this k")
    _legend_above(middle)
    _draw_choices(below, choices, rows)
    for ax in (top, middle, below):
        ax.grid(False, axis="x")
        ax.set(xticks=[], xlim=(-0.7, len(answers) - 0.3))
    for ax in (top, middle):
        ax.get_legend().set_in_layout(False)  # or the axes would become as narrow as it makes them
        ax.set_title(" ")  # room for it
    return figure


def _by_number(text: str) -> tuple[bool, float, str]:
    """Put texts of numbers in their order, before all others."""
    try:
        return False, float(text), text
    except ValueError:
        return True, 0.0, text


def _mark_size(n: int) -> float:
    return float(np.clip(140 / max(n, 1), 2, 7))


def _draw_answers(ax: Axes, answers: pd.DataFrame) -> None:
    """Draw the k that each combination names or, in a ring, takes for convenience, and its levels as dashes."""
    x, size, named = np.arange(len(answers)), _mark_size(len(answers)), answers["n_clusters"].notna().to_numpy()
    k = answers["convenience"].to_numpy()
    levels = [(place, level) for place, ks in enumerate(answers["levels"]) for level in ks]
    if levels:
        ax.plot(*zip(*levels), "_", color=_GREY, markersize=size + 3, label="a level")
    if named.any():
        ax.plot(x[named], k[named], "o", color=GAIN, markersize=size + 1, label="k that is named")
    if not named.all():
        ax.plot(
            x[~named], k[~named], "o", markerfacecolor="none", markeredgecolor=LOSS, markersize=size + 1,
            label="none named: convenient k",
        )  # fmt: skip
    ax.set_ylabel("k")
    ax.yaxis.get_major_locator().set_params(integer=True)
    ax.margins(y=0.15)
    _legend_above(ax)


def _draw_choices(ax: Axes, choices: pd.DataFrame, rows: list[tuple[str, str]]) -> None:
    """Draw a row of dots for each value of each choice, filled where it was taken."""
    size = _mark_size(len(choices))
    for y, (name, value) in enumerate(rows):
        taken = (choices[name] == value).to_numpy()
        x = np.arange(len(choices))
        ax.plot(x, np.full(len(x), y), "o", color="#d5d9de", markersize=size / 2, zorder=1)
        ax.plot(x[taken], np.full(taken.sum(), y), "o", color="black", markersize=size, zorder=2)
        if y and rows[y - 1][0] != name:
            ax.axhline(y - 0.5, color="#b9bfc6", linewidth=0.8)
    ax.set(ylim=(len(rows) - 0.5, -0.5), xlabel="combinations, in the order of their answers")
    ax.set_yticks(range(len(rows)), [f"{name}: {value}" for name, value in rows], fontsize="small")
    labels = ax.get_yticklabels()
    for label in labels:
        show_as_it_is(label, _LEGEND_WIDTH)
    ax.set_yticks(range(len(rows)), [label.get_text() for label in labels])  # kept where they are drawn again
    ax.grid(False)


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
        _show_image(ax, image, title)
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
            _show_image(ax, image, title)
    return figure


def plot_tree(k_values: Sequence[int], flows: pd.DataFrame, pictures: Sequence[Sequence[Image.Image]]) -> Figure:
    """Draw clusterings of two levels or more side by side, and which images go from which cluster to which.

    Parameters
    ----------
    k_values : sequence of int
        The number of clusters of each level, the coarsest first.
    flows : DataFrame
        From `helpers.criteria.tree.cluster_flows`, of these levels.
    pictures : sequence of sequences of images
        A picture for each cluster of each level.
    """
    places = [_BRANCH * at for at in _tree_places(flows, k_values)]
    sides = [min(0.7, _least_step(at) - (0.03 if at is places[-1] else 0.15)) for at in places]
    top = min(at.min() - side / 2 for at, side in zip(places, sides)) - 0.35
    bottom = max(at.max() + side / 2 for at, side in zip(places, sides)) + 0.2
    figure = plt.figure(figsize=(7.2, bottom - top))
    ax = figure.add_axes((0, 0, 1, 1))
    ax.set_axis_off()
    x = np.linspace(0.5, 6.45, len(k_values))
    _draw_branches(ax, flows, x, places, sides)
    for level, (k, at, side) in enumerate(zip(k_values, places, sides)):
        last = level == len(k_values) - 1
        sizes = _sizes_of(flows, level - last, "target" if last else "source")
        ax.text(x[level], top + 0.22, f"k = {k}", ha="center", color=_ON_ANY_PAGE, fontweight="bold")
        for y, size, color, picture in zip(at, sizes, cluster_colors(k), pictures[level]):
            box = x[level] - side / 2, x[level] + side / 2, y + side / 2, y - side / 2
            ax.imshow(ImageOps.fit(picture, (96, 96), Image.Resampling.BOX), extent=box, zorder=3)
            ax.add_patch(Rectangle((box[0], box[3]), side, side, fill=False, edgecolor=color, linewidth=2, zorder=4))
            words = {"ha": "left", "va": "center"} if last else {"ha": "center", "va": "top"}
            spot = (box[1] + 0.06, y) if last else (x[level], box[2] + 0.03)
            ax.text(*spot, f"{size:,}", fontsize="x-small", color=_ON_ANY_PAGE, zorder=5, **words)
    ax.set(xlim=(0, 7.2), ylim=(bottom, top), aspect="equal")
    return figure


def _sizes_of(flows: pd.DataFrame, level: int, end: str) -> np.ndarray:
    """Count the images of each cluster at one end of the flows of a level."""
    return flows[flows["level"] == level].groupby(end)["size"].sum().to_numpy()


def _least_step(places: np.ndarray) -> float:
    """Calculate how far apart the two nearest places are, infinite for one place."""
    return float(np.diff(np.sort(places)).min(initial=np.inf))


def _tree_places(flows: pd.DataFrame, k_values: Sequence[int]) -> list[np.ndarray]:
    """Number places from above for the clusters of each level, each in the middle of those that mostly come from it."""
    most = flows.loc[flows.groupby(["level", "target"])["size"].idxmax()]
    children = most.groupby(["level", "source"])["target"].agg(list).to_dict()
    places, free = [np.zeros(k) for k in k_values], count()

    def place(level: int, cluster: int) -> float:
        below = [place(level + 1, child) for child in children.get((level, cluster), [])]
        places[level][cluster] = (below[0] + below[-1]) / 2 if below else next(free)
        return places[level][cluster]

    for cluster in range(k_values[0]):
        place(0, cluster)
    return places


def _draw_branches(
    ax: Axes, flows: pd.DataFrame, x: np.ndarray, places: Sequence[np.ndarray], sides: Sequence[float]
) -> None:
    """Draw each flow as a curve in the colour of where it comes from, as wide as it has images, the widest first."""
    n = flows.loc[flows["level"] == 0, "size"].sum()
    for row in flows.sort_values("size", ascending=False).itertuples():
        start = x[row.level] + sides[row.level] / 2, places[row.level][row.source]
        end = x[row.level + 1] - sides[row.level + 1] / 2, places[row.level + 1][row.target]
        middle = (start[0] + end[0]) / 2
        curve = MplPath([start, (middle, start[1]), (middle, end[1]), end], [1, 4, 4, 4])
        color = cluster_colors(row.source + 1)[-1]
        width = 0.4 + 20 * row.size / n
        ax.add_patch(PathPatch(curve, fill=False, edgecolor=color, alpha=0.75, linewidth=width, capstyle="butt"))


def _show_image(ax: Axes, image: Image.Image, title: str) -> None:
    ax.imshow(image)
    heading = ax.set_title(title, fontsize="small", fontweight="normal", color=_ON_ANY_PAGE)
    show_as_it_is(heading, _PICTURE_WIDTH - 0.1)
