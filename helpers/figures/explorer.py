"""The explorer: a page on which a reader can try k, clusters and images, without a kernel and without a network.

The charts are written with Altair and compiled to Vega here, so that the browser only draws them. Measured for the
choice with a knife plot and a map of 2,624 samples, ten loads each in Chromium on one busy machine: a page with Vega
weighed 0.9 MB and was loaded after 0.8 s (median), one with Bokeh 1.4 MB and 1.0 s, and a change of k took 0.1 s in
both; Plotly weighs 4.8 MB before the first image. Vega also names its charts to screen readers, and takes colours from
signals, by which they follow the theme. The page around the charts is plain HTML, in `explorer.html`, because keyboards
and screen readers know its slider and buttons.
"""

from __future__ import annotations

import base64
import functools
import io
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import altair as alt
import numpy as np
import pandas as pd
from PIL import Image, ImageOps

from ..core.files import write_atomically
from .frame import fill_in, hex_colors
from .plots import GAIN, LOSS, OTHER, is_geometric

MAX_SAMPLES = 4000  # a knife plot cannot show more, and a slider cannot move more smoothly
_PIXELS = 24_000_000  # of all thumbnails together, some megabytes
_MAX_TILE, _MIN_TILE = 96, 24
_SHEET_SIDE = 2048  # the size of texture that every graphics card supports
_QUALITY = 60
_MOST_CLUSTERS = np.iinfo(np.uint16).max


def build_explorer(
    path: Path,
    *,
    title: str,
    names: Sequence[str],
    images: Iterable[Image.Image | None],
    map_points: np.ndarray,
    curves: pd.DataFrame,
    labels: np.ndarray,
    silhouettes: np.ndarray,
    rivals: np.ndarray,
    nearest: np.ndarray,
    neighbors: np.ndarray,
    classes: Sequence[str] | None = None,
    deep: float | None = None,
    named: Mapping[str, Sequence[int]] | None = None,
    opens_at: int | None = None,
    reason: str = "",
) -> Path:
    """Write the explorer of n images and m clusterings as one HTML file.

    Only positions are computed here: the page shows the numbers that it is given.

    Parameters
    ----------
    path : Path
        Path of the file, which is replaced only when the new one is complete.
    title : str
    names : sequence of str, length n
        Up to `MAX_SAMPLES` names of any characters; the page shows them as text.
    images : iterable of RGB images, length n
        Iterated once; None stands for a sample without a picture, and the page shows its name.
    map_points : ndarray, shape (n, 2)
        Positions of the samples on the map.
    curves : DataFrame
        Indexed by k, ascending, with m rows: ``inertia``, ``score``, the range ``null_low`` to ``null_high`` of the
        scores of structureless data, ``positive``, the share of positive samples, and ``valley``, which may be missing.
        They are of all samples, and differ from those of `silhouettes` if not all are shown.
    labels : ndarray of int, shape (m, n)
        Clusters, counted from 0.
    silhouettes : ndarray, shape (m, n)
    rivals : ndarray of int, shape (m, n)
        The nearest other cluster of each sample.
    nearest : ndarray of int, shape (m, n)
        The nearest sample of that cluster, counted from 0; -1 where none is shown.
    neighbors : ndarray of int, shape (n, q)
        The samples nearest to each, the nearest first, counted from 0.
    classes : sequence of str, length n, optional
        What the samples are known to show, as a second colouring of the map.
    deep : float, optional
        The least valley that counts.
    named : mapping of str to sequence of int, optional
        The k that each criterion names, by its label, and those that it finds as good; an empty sequence for none.
    opens_at : int, optional
        The k that the page shows first; by default the smallest.
    reason : str
        A sentence that says why.

    Returns
    -------
    Path
        `path`.

    Raises
    ------
    ValueError
        If the shapes disagree, a number is not finite or a label negative, there are too many samples, or a k is named
        that the page does not have.
    """
    ks, n, named = list(curves.index), len(names), dict(named or {})
    _check_size(n, ks)
    for name, values in (("labels", labels), ("silhouettes", silhouettes), ("rivals", rivals), ("nearest", nearest)):
        _check(name, np.asarray(values), (len(ks), n))
    _check("map_points", map_points, (n, 2))
    _check("neighbors", np.asarray(neighbors), (n, np.shape(neighbors)[-1]))
    for column in ("inertia", "score", "null_low", "null_high", "positive"):
        _check(column, curves[column].to_numpy(), (len(ks),))
    if classes is not None:
        _check("classes", np.zeros(len(classes)), (n,))
    _check_named({"opens_at": [] if opens_at is None else [opens_at], **named}, ks)
    data = {
        "names": list(names),
        "k": [int(k) for k in ks],
        "first": 0 if opens_at is None else ks.index(opens_at),
        "reason": reason,
        "named": [[label, [int(k) for k in values]] for label, values in named.items()],
        "deep": deep,
        "curves": {name: [float(v) if np.isfinite(v) else None for v in curves[name]] for name in _CURVES},
        "colors": hex_colors(int(max(np.max(labels), np.max(rivals))) + 1),
        "signs": [LOSS, GAIN],
        "labels": _packed(labels, "<u2"),
        "rivals": _packed(rivals, "<u2"),
        "nearest": _packed(nearest, "<i2"),
        "neighbors": _packed(neighbors, "<i2"),
        "silhouettes": _packed(silhouettes, "<f4"),
        "map": _packed(map_points, "<f4"),
        **_classes(classes),
        **_sprites(images, n),
        "charts": {
            **{column: _curve(curves, column, curve, deep) for column, curve in _CURVES.items()},
            "knife": _knife(np.asarray(silhouettes)),
            "map": _map(np.asarray(map_points)),
        },
    }
    page = fill_in(Path(__file__).with_name("explorer.html"), title, data, vega=_vega())
    # A file name can hold bytes that are not text; JSON holds them as escapes, and a title as references.
    write_atomically(path, lambda file: file.write(page.encode("utf-8", "xmlcharrefreplace")))
    return path


def _check_size(n_samples: int, k_values: Sequence[int]) -> None:
    if not 0 < n_samples <= MAX_SAMPLES:
        raise ValueError(f"{n_samples} samples do not fit on one page: 1 to {MAX_SAMPLES} do; draw a sample of them.")
    if len(k_values) == 0 or any(after <= before for before, after in zip(k_values, k_values[1:])):
        raise ValueError(f"k = {k_values}, the index of curves, must be one or more whole numbers, ascending.")


def _check_named(named: Mapping[str, Sequence[int]], k_values: Sequence[int]) -> None:
    for name, values in named.items():
        if not set(values) <= set(k_values):
            raise ValueError(f"{name} = {list(values)} is not possible: the page has k = {k_values}.")


def _check(name: str, values: np.ndarray, shape: tuple[int, ...]) -> None:
    if np.shape(values) != shape:
        raise ValueError(f"{name} has the shape {np.shape(values)}; with these names and curves it must be {shape}.")
    if not np.isfinite(values).all():
        raise ValueError(f"{name} holds a number that is not finite.")
    whole = {
        "labels": (0, _MOST_CLUSTERS),
        "rivals": (0, _MOST_CLUSTERS),
        "nearest": (-1, shape[-1] - 1),
        "neighbors": (0, shape[0] - 1),
    }
    if name in whole:
        least, largest = whole[name]
        if values.dtype.kind not in "iu" or values.min() < least or values.max() > largest:
            raise ValueError(f"{name} must be whole numbers from {least} to {largest}.")


def _packed(values: np.ndarray, dtype: str) -> str:
    """Encode the numbers of an array as base64, row by row: a quarter of the length of their digits."""
    return base64.b64encode(np.ascontiguousarray(values, dtype=dtype).tobytes()).decode()


def _classes(classes: Sequence[str] | None) -> dict[str, Any]:
    """Number the classes in the order of their names, and colour them as `helpers.figures.plots.plot_map` does."""
    if classes is None:
        return {"classes": None}
    names, numbers = np.unique(np.asarray(classes, dtype=str), return_inverse=True)
    return {"classes": names.tolist(), "classOf": numbers.tolist(), "classColors": hex_colors(len(names))}


# --- thumbnails -------------------------------------------------------------------------------------------------------


def _sprites(images: Iterable[Image.Image | None], n_samples: int) -> dict[str, Any]:
    """Put the images side by side on sheets, and number the place of each, with -1 for none."""
    tile = int(np.clip(np.sqrt(_PIXELS / n_samples), _MIN_TILE, _MAX_TILE))
    columns = _SHEET_SIDE // tile
    sheets: list[Image.Image] = []
    places: list[int] = []
    placed = 0
    for image in images:
        if image is None:
            places.append(-1)
            continue
        position = placed % columns**2
        if position == 0:
            sheets.append(Image.new("RGB", (columns * tile, columns * tile)))
        # BOX averages large images and keeps the pixels of tiny ones.
        thumbnail = ImageOps.fit(image, (tile, tile), Image.Resampling.BOX)
        sheets[-1].paste(thumbnail, (position % columns * tile, position // columns * tile))
        places.append(placed)
        placed += 1
    if len(places) != n_samples:
        raise ValueError(f"There are {len(places)} images for {n_samples} names; each name needs one, or None.")
    return {"columns": columns, "places": places, "sheets": [_data_uri(sheet) for sheet in sheets]}


def _data_uri(sheet: Image.Image) -> str:
    buffer = io.BytesIO()
    sheet.save(buffer, format="webp", quality=_QUALITY)
    return f"data:image/webp;base64,{base64.b64encode(buffer.getvalue()).decode()}"


# --- charts -----------------------------------------------------------------------------------------------------------
# The page fills their data sets `samples`, `marked`, `clusters` and `now`, including colours and positions, and the
# signals `ink` and `faint`, which are the colours of the theme.


@dataclass(frozen=True)
class _Curve:
    """A curve over k: its title, the format of its axis, its band, and values that its axis must show."""

    title: str
    format: str
    band: tuple[str, str] | None = None
    shows: tuple[float, ...] = ()


_CURVES = {
    "inertia": _Curve("inertia", "~s", shows=(0,)),
    "score": _Curve("silhouette score", "~g", ("null_low", "null_high")),
    "positive": _Curve("share of positive samples", "~%"),
    "valley": _Curve("valley", "~g", shows=(0,)),
}


def _curve(curves: pd.DataFrame, column: str, curve: _Curve, deep: float | None) -> dict[str, Any]:
    least = [] if deep is None or column != "valley" else [deep]
    drawn = curves[[column, *(curve.band or ())]].to_numpy(dtype=float)
    seen = [*drawn[np.isfinite(drawn)], *curve.shows, *least]
    low, high = min(seen), max(seen)
    margin = 0.08 * (high - low) or 0.1
    k_scale, k_axis = _k_axis(curves.index)
    y_scale = alt.Scale(domain=[float(low) if low == 0 else float(low - margin), float(high + margin)], nice=False)
    x = alt.X("k:Q", title=None, scale=k_scale, axis=k_axis)
    y = alt.Y("value:Q", title=None, scale=y_scale, axis=alt.Axis(tickCount=4, format=curve.format))
    table = curves.rename_axis("k").reset_index().rename(columns={column: "value"})
    rows = alt.Data(values=json.loads(table[["k", "value", *(curve.band or ())]].to_json(orient="records")))
    now, layers = alt.Chart(alt.NamedData("now")), []
    if curve.band:
        low_end, high_end = curve.band
        layers.append(alt.Chart(rows).mark_area(color=LOSS, opacity=0.4).encode(x=x, y=f"{low_end}:Q", y2=high_end))
    for value in least:
        rule = alt.Chart(alt.Data(values=[{"value": value}]))
        layers.append(rule.mark_rule(color=OTHER, strokeDash=[4, 3]).encode(y=y))
    layers += [
        alt.Chart(rows).mark_line(point={"color": GAIN, "size": 30}, color=GAIN).encode(x=x, y=y),
        now.mark_rule(strokeDash=[4, 3], color=alt.expr("ink")).encode(x="k:Q"),
        now.mark_point(size=130, strokeWidth=2, color=alt.expr("ink")).encode(x="k:Q", y="value:Q"),
    ]
    words = f"Line of the {curve.title} against the number of clusters, the chosen one marked."
    return _compile(alt.layer(*layers), words, left=40)


def _k_axis(k_values: Sequence[int]) -> tuple[alt.Scale, alt.Axis]:
    """Make scale and axis of k, logarithmic where that suits the k."""
    first, last = int(k_values[0]), int(k_values[-1])
    if is_geometric(k_values):
        ticks = [int(k) for k in k_values]
        scale = alt.Scale(type="log", domain=[first / 1.1, last * 1.1], nice=False)
        return scale, alt.Axis(format="d", grid=False, values=ticks, labelOverlap="greedy")
    scale = alt.Scale(domain=[first - 0.5, last + 0.5], nice=False)
    return scale, alt.Axis(format="d", tickMinStep=1, grid=False, tickCount=8)


def _knife(silhouettes: np.ndarray) -> dict[str, Any]:
    scale = alt.Scale(domain=[min(0.0, float(silhouettes.min())), max(0.0, float(silhouettes.max()))], nice=True)
    x = alt.X("s:Q", title=None, scale=scale, axis=alt.Axis(tickCount=5))
    y = alt.Y("from:Q", title="samples, by cluster", scale=alt.Scale(domain=[0, 1]), axis=None)
    clusters = alt.Chart(alt.NamedData("clusters"))
    marked = alt.Chart(alt.NamedData("marked"))
    layers = (
        alt.Chart(alt.NamedData("samples"))
        .mark_rect(opacity=1)
        .encode(x=x, x2=alt.datum(0), y=y, y2="to", color=alt.Color("color:N", scale=None)),
        alt.Chart(alt.Data(values=[{"s": 0}])).mark_rule(color=alt.expr("ink")).encode(x="s:Q"),
        alt.Chart(alt.NamedData("now")).mark_rule(strokeDash=[4, 3], color=alt.expr("ink")).encode(x="score:Q"),
        clusters.mark_text(align="right", color=alt.expr("ink")).encode(
            x=alt.value(-5), y="middle:Q", text="cluster:N"
        ),
        marked.mark_rule(color=alt.expr("ink")).encode(y="middle:Q"),
        marked.mark_point(size=60, filled=True, opacity=1, color=alt.expr("ink")).encode(x="s:Q", y="middle:Q"),
    )
    return _compile(
        alt.layer(*layers), "Knife plot: the silhouettes of all samples, sorted within their clusters.", left=26
    )


def _map(points: np.ndarray) -> dict[str, Any]:
    margin = 0.03 * np.ptp(points, axis=0) + 1e-6
    low, high = (points.min(axis=0) - margin).tolist(), (points.max(axis=0) + margin).tolist()
    x = alt.X("u:Q", axis=None, scale=alt.Scale(domain=[low[0], high[0]], zero=False))
    y = alt.Y("v:Q", axis=None, scale=alt.Scale(domain=[low[1], high[1]], zero=False))
    size = float(np.clip(40_000 / len(points), 14, 60))
    marked = alt.Chart(alt.NamedData("marked"))
    layers = (
        alt.Chart(alt.NamedData("samples"))
        .mark_circle(size=size, opacity=0.85)
        .encode(x=x, y=y, color=alt.Color("color:N", scale=None)),
        marked.mark_point(size=220, strokeWidth=2.5, color=alt.expr("ink"), opacity=1).encode(x="u:Q", y="v:Q"),
    )
    return _compile(alt.layer(*layers), "UMAP map of the samples.", left=6, bottom=6)


def _compile(chart: alt.LayerChart, description: str, *, left: int, bottom: int = 22) -> dict[str, Any]:
    """Compile a chart to Vega, which the page can draw without Altair."""
    room = {
        "left": left,
        "right": 12,
        "top": 6,
        "bottom": bottom,
    }  # fixed, so that no plot moves when its labels change
    ink, faint = alt.expr("ink"), alt.expr("faint")
    chart = (
        chart.properties(description=description, background="transparent", padding=room, autosize="none")
        .add_params(alt.param(name="ink", value="black"), alt.param(name="faint", value="silver"))
        .configure_axis(
            labelColor=ink,
            titleColor=ink,
            tickColor=faint,
            domainColor=faint,
            gridColor=faint,
            labelFontSize=11,
        )
        .configure_view(stroke=None)
    )
    return chart.to_dict(format="vega")


# --- page -------------------------------------------------------------------------------------------------------------


@functools.cache
def _vega() -> str:
    """Bundle Vega as JavaScript that loads nothing else."""
    import vl_convert

    return vl_convert.javascript_bundle("window.vegaEmbed = vegaEmbed;").replace("</script", "<\\/script")
