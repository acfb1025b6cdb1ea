"""Figures: they draw what they are given, where they are told to, in the colours agreed on."""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from matplotlib.patches import PathPatch
from PIL import Image

from helpers.clustering.silhouette import silhouette_table
from helpers.criteria.curves import chord_table, score_identity, score_steps
from helpers.criteria.tree import cluster_flows
from helpers.figures import plots

plt.switch_backend("agg")
RNG = np.random.default_rng(0)
LABELS = np.stack([RNG.integers(0, k, 60) for k in (2, 3, 4, 5)])
SAMPLES = RNG.uniform(-0.6, 0.8, size=LABELS.shape)
TABLE = silhouette_table(SAMPLES, LABELS)
K = list(TABLE.index)
ELBOWS = pd.Series([3, None], index=pd.Index([4, 5], name="k_max"), dtype="Int64")

NULLS = (
    pd.concat([TABLE[["score"]].assign(score_low=-0.1, score_high=0.2, kind=kind) for kind in ("uniform", "gaussian")])
    .set_index("kind", append=True)
    .swaplevel()
)
NULL_SIGNS = pd.DataFrame(
    {"positive_low": [0.7, 0.8, 0.9, 0.6] * 2, "positive_high": [0.8, 0.9, 0.95, 0.7] * 2},
    index=pd.MultiIndex.from_product([["uniform", "gaussian"], TABLE.index], names=["kind", "n_clusters"]),
)
STEPS = score_steps(TABLE)
GAP = pd.DataFrame({"gap": [0.1, 0.5, 0.4], "s": 0.05}, index=pd.Index([1, 2, 3], name="n_clusters"))

DISTANCES = pd.DataFrame({"a": [0.9, 0.8, 0.7, 0.6], "b": [1.4, 1.2, 1.0, 0.8]}, index=TABLE.index)
VALLEYS = pd.DataFrame({"valley": [0.2, 0.6, 0.3, -0.4], "valley_spread": 0.1}, index=TABLE.index)
INTERVALS = pd.DataFrame({"mean": [0.3, 0.1], "low": [0.2, 0.0], "high": [0.5, 0.2]}, index=["score", "verdict"])


def specifications(named):
    """Make the answers of some combinations, of which the k that is named may be missing, and their choices."""
    n = len(named)
    answers = pd.DataFrame(
        {"n_clusters": pd.array(named, "Int64"), "levels": [[k] if k else [] for k in named],
         "convenience": [k or 2 for k in named], "score": 0.2, "valley": [np.nan, *[0.5] * (n - 1)]},
    )  # fmt: skip
    return answers, pd.DataFrame(
        {"a": [f"${i % 2}$" for i in range(n)], "dataset": [f"{i % 3}" * 90 for i in range(n)]}
    )


AXES = {
    "explained variance": lambda ax: plots.plot_explained_variance(np.array([0.6, 0.3, 0.1]), 2, ax),
    "map": lambda ax: plots.plot_map(RNG.normal(size=(60, 2)), LABELS[1], "map", ax),
    "inertia": lambda ax: plots.plot_inertia(K, np.array([4.0, 3, 2, 1]), 3, ax),
    "inertia without elbow": lambda ax: plots.plot_inertia(K, np.array([4.0, 3, 2, 1]), None, ax),
    "chord": lambda ax: plots.plot_chord(chord_table(K, [4.0, 2, 1, 1]), 3, ax),
    "chord without elbow": lambda ax: plots.plot_chord(chord_table(K, [4.0, 3, 2, 1]), None, ax),
    "elbows": lambda ax: plots.plot_elbows(ELBOWS, ax),
    "scores": lambda ax: plots.plot_scores(TABLE, ax),
    "lines": lambda ax: plots.plot_lines({"a": [1, 2, 3, 4], "b": [4, 3, 2, 1]}, K, "value", ax),
    "knife": lambda ax: plots.plot_knife(SAMPLES[1], LABELS[1], ax),
    "signs": lambda ax: plots.plot_signs(TABLE, NULL_SIGNS, ax),
    "identity": lambda ax: plots.plot_identity(score_identity(TABLE), ax),
    "nulls": lambda ax: plots.plot_nulls(TABLE.assign(ceiling=0.9), NULLS, ax),
    "gap": lambda ax: plots.plot_gap(GAP, 2, ax),
    "gap without k": lambda ax: plots.plot_gap(GAP, None, ax),
    "score against share": lambda ax: plots.plot_score_against_share(TABLE, STEPS, ax),
    "terms": lambda ax: plots.plot_terms(STEPS, ax),
    "change": lambda ax: plots.plot_change(SAMPLES[0], SAMPLES[1], ["k = 2", "k = 3"], ax),
    "distances": lambda ax: plots.plot_distances(DISTANCES, ax),
    "valleys": lambda ax: plots.plot_valleys(VALLEYS, 0.25, 3, ax),
    "valleys, none named": lambda ax: plots.plot_valleys(VALLEYS, 0.25, None, ax),
}


@pytest.fixture(autouse=True)
def closed():
    """Close all figures before and after each test."""
    plt.close("all")
    yield
    plt.close("all")


@pytest.mark.parametrize("draw", AXES.values(), ids=AXES)
def test_draws_into_the_axes_it_is_given(draw):
    _, ax = plt.subplots()
    assert draw(ax) is ax and ax.has_data()
    assert len(plt.get_fignums()) == 1
    assert ax.get_xlabel()


@pytest.mark.parametrize("draw", AXES.values(), ids=AXES)
def test_makes_axes_where_it_is_given_none(draw):
    assert draw(None).has_data() and len(plt.get_fignums()) == 1


def test_knife_shows_the_most_negative_sample_and_the_score():
    ax = plots.plot_knife(SAMPLES[1], LABELS[1])
    assert ax.get_xlim()[0] <= SAMPLES[1].min()
    assert f"{SAMPLES[1].mean():.3f}" in ax.get_title()


def test_nulls_and_ceiling_stand_beside_the_score():
    criteria = pd.concat([pd.DataFrame({"score": np.nan}, index=[1]), TABLE.assign(ceiling=0.9)])
    ax = plots.plot_nulls(criteria, NULLS)
    lines = {line.get_label(): line.get_ydata() for line in ax.lines}
    np.testing.assert_array_equal(lines["score"], TABLE["score"])
    np.testing.assert_array_equal(lines["ceiling"], np.full(4, 0.9))
    (band,) = ax.collections
    heights = band.get_paths()[0].vertices[:, 1]
    assert (heights.min(), heights.max()) == (-0.1, 0.2) and band.get_label() == "no structure"
    assert list(ax.get_xticks()) == K
    assert "ceiling" not in {line.get_label() for line in plots.plot_nulls(TABLE, NULLS).lines}


def test_rooms_are_side_by_side_on_one_axis():
    figure = plots.plot_rooms({"here": (TABLE.assign(ceiling=0.9), NULLS), "there": (TABLE, NULLS)})
    here, there = figure.axes
    assert (here.get_title(), there.get_title()) == ("here", "there") and here.get_ylim() == there.get_ylim()
    assert here.get_legend() and not there.get_legend() and not there.get_ylabel()


def test_the_rule_is_drawn_down_to_its_answer():
    steps = [("valley?", "k = 2", "k = 3 to 16"), ("sure?", "k = 2, in 90%", "")]
    (ax,) = plots.plot_rule("k = 2 to 16", steps, "The answer: k = 2").axes
    texts = [text.get_text() for text in ax.texts if text.get_text()]
    assert texts == [
        *("k = 2 to 16", "valley?", "no", "k = 3 to 16", "yes: k = 2", "sure?", "yes: k = 2, in 90%"),
        "The answer: k = 2",
    ]


def test_questions_that_no_k_reaches_are_pale():
    steps = [("valley?", "", "k = 2 and 3"), ("sure?", "", "")]
    (ax,) = plots.plot_rule("k = 2 and 3", steps, "No clear k").axes
    edges = {t.get_text(): t.get_bbox_patch().get_edgecolor() for t in ax.texts if t.get_bbox_patch()}
    assert edges["sure?"] not in (edges["valley?"], edges["No clear k"])
    assert "yes: none" in [text.get_text() for text in ax.texts]


def test_draws_have_a_bar_for_each_k_and_the_share_that_is_needed():
    ax = plots.plot_draws(pd.Series({0: 0.1, 2: 0.9}), 0.8)
    assert [tick.get_text() for tick in ax.get_yticklabels()] == ["no k", "k = 2"]
    assert [bar.get_width() for bar in ax.patches] == [0.1, 0.9] and list(ax.lines[0].get_xdata()) == [0.8, 0.8]


def test_halves_show_two_clusterings_and_where_they_differ():
    points, first = RNG.normal(size=(4, 2)), np.array([0, 0, 1, 1])
    figure = plots.plot_halves(points, first, np.array([0, 1, 1, 1]))
    assert [ax.get_title() for ax in figure.axes] == ["by one half", "by the other half", "they differ: 25%"]
    colors = figure.axes[2].collections[0].get_facecolor()
    assert len({tuple(color) for color in colors}) == 2


def test_a_gallery_has_a_row_for_each_cluster_and_all_its_images():
    picture = Image.new("RGB", (4, 4))
    rows = [[(picture, f"{i}") for i in range(n)] for n in (6, 2)]
    figure = plots.plot_gallery(rows, ["one: $x$", "two"])
    drawn = [[ax.get_title() for ax in part.axes if ax.images] for part in figure.subfigs]
    assert drawn == [["0", "1", "2", "3", "4", "5"], ["0", "1"]]
    figure.canvas.draw()


def test_wide_has_two_panels_on_one_logarithmic_axis():
    index = pd.Index([2, 3, 8, 64], name="n_clusters")
    columns = {"score": 0.02, "null_low": -0.01, "null_high": 0.01, "valley": [0.6, -0.2, -0.8, -1.0]}
    table = pd.DataFrame(columns | {"valley_spread": 0.1}, index=index)
    drawn = table.copy()
    top, bottom = plots.plot_wide(table, 0.25).axes
    assert top.get_xscale() == bottom.get_xscale() == "log" and top.get_xlim() == bottom.get_xlim()
    np.testing.assert_array_equal(bottom.get_xticks(), [2, 3, 8, 64])
    np.testing.assert_array_equal(top.lines[0].get_ydata(), table["score"])
    np.testing.assert_array_equal(bottom.lines[0].get_ydata(), table["valley"])
    assert bottom.get_ylim()[0] < -1 and bottom.get_ylim()[1] > 1
    assert any((np.array(line.get_ydata()) == 0.25).all() for line in bottom.lines)
    pd.testing.assert_frame_equal(table, drawn)


SCALES = [2, 3, 5, 8, 13, 21, 34, 55, 89]


def test_k_far_apart_have_a_logarithmic_axis_with_bars_of_one_width():
    table = pd.DataFrame({"gain": 0.2, "loss": 0.1, "score": 0.1}, index=SCALES)
    ax = plots.plot_identity(table)
    assert ax.get_xscale() == "log" and list(ax.get_xticks()) == SCALES
    left, right = np.log([(bar.get_x(), bar.get_x() + bar.get_width()) for bar in ax.patches[: len(SCALES)]]).T
    np.testing.assert_allclose(right - left, right[0] - left[0])
    np.testing.assert_allclose((left + right) / 2, np.log(SCALES))
    assert (left[1:] > right[:-1]).all()


def test_consecutive_k_keep_a_plain_axis_and_so_has_the_elbow_for_any_k():
    assert plots.plot_identity(score_identity(TABLE)).get_xscale() == "linear"
    ax = plots.plot_inertia(SCALES, np.linspace(9, 1, len(SCALES)), None)
    ticks = list(ax.get_xticks())
    assert ax.get_xscale() == "linear" and ticks[0] == 2 and ticks[-1] == 89 and set(ticks) < set(SCALES)


@pytest.mark.parametrize(
    ("k_values", "geometric"),
    [(range(1, 17), False), ([2, 3, 5, 8, 12], True), ([10, 20, 30, 40], False), ([2, 256], False), ([4], False)],
)
def test_an_axis_is_logarithmic_where_the_k_are_more_evenly_apart_on_it(k_values, geometric):
    assert plots.is_geometric(list(k_values)) is geometric


def test_labels_of_many_k_do_not_touch():
    ax = plots.plot_lines({"a": range(2, 100)}, range(2, 100), "score")
    ax.figure.canvas.draw()
    boxes = [label.get_window_extent() for label in ax.get_xticklabels()]
    assert 5 < len(boxes) < 50
    assert all(left.x1 < right.x0 for left, right in zip(boxes, boxes[1:]))


def test_a_tree_has_a_picture_for_each_cluster_and_a_branch_for_each_flow():
    labels = np.array([[0, 0, 0, 1], [0, 1, 2, 2], [0, 1, 2, 3]]).repeat(5, axis=1)
    flows, levels = cluster_flows(labels), [2, 3, 4]
    pictures = [[Image.new("RGB", (8, 6))] * k for k in levels]
    ax = plots.plot_tree(levels, flows, pictures).axes[0]
    assert len(ax.images) == 9 and len([patch for patch in ax.patches if isinstance(patch, PathPatch)]) == len(flows)
    texts = [text.get_text() for text in ax.texts]
    assert texts == ["k = 2", "15", "5", "k = 3", "5", "5", "10", "k = 4", "5", "5", "5", "5"]
    widths = [patch.get_linewidth() for patch in ax.patches if isinstance(patch, PathPatch)]
    assert widths == sorted(widths, reverse=True)
    tops = [sorted((image.get_extent()[3], image.get_extent()[2]) for image in ax.images[start:stop])
            for start, stop in ((0, 2), (2, 5), (5, 9))]  # fmt: skip
    assert all(above[1] <= below[0] for column in tops for above, below in zip(column, column[1:]))
    ax.figure.canvas.draw()


def test_gap_marks_the_k_that_is_chosen():
    assert plots.plot_gap(GAP, 2).get_legend().get_texts()[0].get_text() == "chosen: k = 2"
    assert plots.plot_gap(GAP, None).get_legend() is None


def test_knives_side_by_side():
    figure = plots.plot_knives(SAMPLES, LABELS)
    assert [ax.get_title()[:5] for ax in figure.axes] == ["k = 2", "k = 3", "k = 4", "k = 5"]
    figure = plots.plot_knives(SAMPLES[[0] * 5], LABELS[[0] * 5])
    assert sum(ax.axison for ax in figure.axes) == 5


def test_a_cluster_keeps_its_colour():
    assert plots.cluster_colors(4) == plots.cluster_colors(16)[:4]
    assert len(set(plots.cluster_colors(40))) == 40
    figure = plots.plot_knives(SAMPLES[:2], LABELS[:2])
    colors = [[tuple(np.round(area.get_facecolor()[0], 6)) for area in ax.collections] for ax in figure.axes]
    assert colors[0] == colors[1][:2]


def test_bars_of_signs_end_at_what_is_not_positive():
    table = TABLE.assign(zero=[0, 0.1, 0, 0], positive=TABLE["positive"] - [0, 0.1, 0, 0])
    ax = plots.plot_signs(table, NULL_SIGNS)
    tops = [bar.get_y() + bar.get_height() for bar in ax.containers[-1]]
    np.testing.assert_allclose(tops, 1 - table["positive"])
    ranges = [line.get_ydata() for line in ax.lines]
    np.testing.assert_allclose(ranges, 1 - NULL_SIGNS.loc["uniform", ["positive_high", "positive_low"]])
    shown = [text.get_text() for text in ax.get_legend().get_texts()]
    assert sorted(shown) == ["negative", "range of data without clusters", "zero"]


def test_one_silhouette_has_a_line_to_each_point_and_a_bar_for_each_distance():
    points, labels = np.array([[0.0, 0], [0, 2], [3, 0], [5, 0], [9, 9]]), np.array([0, 0, 1, 1, 2])
    for b, word in (
        (4.0, "s = (b \N{MINUS SIGN} a) / b = 0.50"),
        (1.0, "s = (b \N{MINUS SIGN} a) / a = \N{MINUS SIGN}0.50"),
    ):
        plane, bars = plots.plot_one_silhouette(points, labels, 0, 1, 2.0, b).axes
        ends = [tuple(line.get_xydata()[1]) for line in plane.lines]
        assert ends == [tuple(point) for point in points[labels < 2]]
        assert [bar.get_width() for bar in bars.patches] == [2, b, abs(b - 2)]
        assert bars.patches[-1].get_x() == min(2, b) and bars.texts[-1].get_text() == word
    plane, _ = plots.plot_one_silhouette(points, labels, 0, 1, 2.0, 4.0, centres=np.array([[0, 1], [4, 0]])).axes
    dashed = [tuple(line.get_xydata()[1]) for line in plane.lines if line.get_linestyle() == "--"]
    assert dashed == [(0, 1), (4, 0)]


def test_words_beside_places_cover_neither_each_other_nor_a_place():
    table = pd.DataFrame(
        {"positive": [0.9, 0.9001, 0.9, 0.95], "score": [0.2, 0.2, 0.2002, 0.3]}, index=[10, 11, 12, 13]
    )
    ax = plots.plot_score_against_share(table, STEPS.iloc[:0])
    ax.figure.canvas.draw()
    boxes = [text.get_window_extent() for text in ax.texts]
    assert not any(box.overlaps(other) for i, box in enumerate(boxes) for other in boxes[:i])
    places = ax.transData.transform(table[["positive", "score"]])
    assert not any(box.contains(*place) for box in boxes for place in places)


def test_steps_that_disagree_are_marked():
    steps = STEPS.assign(disagree=[True, False, False])
    path = plots.plot_score_against_share(TABLE, steps)
    assert [line.get_color() == plots.LOSS for line in path.lines] == [True, False, False]
    terms = plots.plot_terms(steps)
    tops = np.zeros(len(steps))
    for bars in terms.containers:
        tops += [bar.get_height() for bar in bars]
    np.testing.assert_allclose(tops, steps["score"])


def test_knives_number_small_clusters_only_where_there_is_room():
    labels = np.repeat([0, 1, 2, 3], [96, 2, 1, 1])
    ax = plots.plot_knife(RNG.uniform(0, 1, 100), labels)
    assert [text.get_text() for text in ax.texts] == ["0", "1"]


def test_criteria_mark_what_each_prefers():
    criteria = TABLE.assign(inertia=[4.0, 3, 2, 1])
    figure = plots.plot_criteria(criteria, {"elbow": [], "score": [2], "macro": [3], "positive": [2, 4]})
    marks = [[text.get_text() for text in ax.texts] for ax in figure.axes]
    assert marks == [[], ["k = 2"], ["k = 3"], ["k = 2", "k = 4"]]


def test_a_chart_without_elbows_says_so():
    nothing = pd.Series([None, None], index=pd.Index([5, 6], name="k_max"), dtype="Int64")
    assert [text.get_text() for text in plots.plot_elbows(nothing).texts] == ["no elbow, wherever one stops"]
    assert [text.get_text() for text in plots.plot_elbows(nothing[:0]).texts] == ["too few k for a curve"]
    assert not plots.plot_elbows(ELBOWS).texts


@pytest.mark.parametrize("n", [1, 5, 13])
def test_images_under_their_titles(n):
    figure = plots.plot_images([Image.new("RGB", (4, 4))] * n, [f"image {i}" for i in range(n)])
    assert [ax.get_title() for ax in figure.axes if ax.images] == [f"image {i}" for i in range(n)]


def test_names_from_files_are_not_read_as_mathematics():
    figure = plots.plot_images([Image.new("RGB", (4, 4))], ["cost $5 \\frac{ $"])
    figure.canvas.draw()
    _, ax = plt.subplots()
    plots.plot_map(RNG.normal(size=(4, 2)), ["$a_{$", "b", "$a_{$", "b"], "map", ax)
    ax.figure.canvas.draw()


def test_valleys_mark_the_k_that_count_and_the_one_that_is_named():
    labels = [text.get_text() for text in plots.plot_valleys(VALLEYS, 0.25, 3).get_legend().get_texts()]
    assert labels == ["spread", "valley", "counts: 0.25 or more", "named: k = 3"]
    _, counting, named, *_ = plots.plot_valleys(VALLEYS, 0.25, 3).lines
    assert list(counting.get_xdata()) == [3, 4] and list(named.get_xdata()) == [3]


def test_intervals_of_two_measures_share_their_rows_and_mark_the_verdict():
    figure = plots.plot_intervals({"exact": INTERVALS, "lost": INTERVALS[::-1] + 1})
    first, second = figure.axes
    assert [tick.get_text() for tick in first.get_yticklabels()] == ["score", "verdict"]
    assert [bars.lines[0].get_color() for bars in first.containers] == [plots.GAIN, plots.LOSS]
    drawn = [[float(bars.lines[0].get_xdata()[0]) for bars in ax.containers] for ax in figure.axes]
    assert drawn == [[0.3, 0.1], [1.3, 1.1]] and (np.diff(first.get_yticks()) < 0).all()
    assert (first.get_xlabel(), second.get_xlabel()) == ("exact", "lost")


def test_a_border_is_drawn_with_the_links_that_cross_it():
    t, aside = np.array([[-0.6, -0.4], [-0.1, 0.2], [0.4, 0.7]]), np.zeros((3, 2))
    figure = plots.plot_border(t, aside, np.array([-0.5, 0, 0.5]), np.array([1, 1, 1]), "clusters 1 and 2")
    above, below = figure.axes
    links = [line for line in above.lines if len(np.unique(line.get_xdata())) == 2]
    assert [list(line.get_xdata()) for line in links if line.get_color() == plots.LOSS] == [[-0.1, 0.2]]
    assert above.get_title() == "clusters 1 and 2" and list(below.lines[0].get_ydata()) == [1, 1, 1]


def test_every_figure_is_tried_here():
    """Each plot_ function is named in this module."""
    from pathlib import Path

    here = Path(__file__).read_text(encoding="utf-8")
    assert [name for name in dir(plots) if name.startswith("plot_") and f"plots.{name}(" not in here] == []


@pytest.mark.parametrize("draw", AXES.values(), ids=AXES)
def test_what_is_drawn_is_left_alone(draw):
    samples, labels, table = SAMPLES.copy(), LABELS.copy(), TABLE.copy()
    draw(None)
    np.testing.assert_array_equal(SAMPLES, samples)
    np.testing.assert_array_equal(LABELS, labels)
    pd.testing.assert_frame_equal(TABLE, table)


def test_knife_shows_silhouettes_down_to_minus_one():
    samples, labels = np.array([-1.0, -0.95, 0.2, 0.3]), np.array([0, 0, 1, 1])
    figure = plots.plot_knives([samples, samples[::-1]], [labels, labels])
    for ax in [*figure.axes, plots.plot_knife(samples, labels)]:
        assert ax.get_xlim()[0] <= -1
        assert min(area.get_paths()[0].vertices[:, 0].min() for area in ax.collections) == -1


def test_map_and_knife_agree_on_colours():
    labels = np.repeat(np.arange(4), 5)
    knife = plots.plot_knife(np.linspace(0.1, 0.9, 20), labels)
    on_the_knife = [tuple(np.round(area.get_facecolor()[0][:3], 6)) for area in knife.collections]
    points = plots.plot_map(RNG.normal(size=(20, 2)), labels, "map").collections[0]
    on_the_map = [tuple(np.round(color[:3], 6)) for color in points.get_facecolors()]
    assert [on_the_map[5 * cluster] for cluster in range(4)] == on_the_knife
    assert len(set(on_the_knife)) == 4


def test_a_cluster_keeps_its_colour_beyond_the_tenth():
    """Figures of one page show clusterings of different k: cluster 11 of twelve is to look like cluster 11 of 16."""
    most = plots.cluster_colors(20)
    assert [k for k in range(1, 21) if plots.cluster_colors(k) != most[:k]] == []


def test_inertia_is_drawn_as_it_is():
    ax = plots.plot_inertia(K, np.array([4.0, 3, 2, 1]), 3)
    curve, elbow = ax.lines
    assert curve.get_xdata().tolist() == K and curve.get_ydata().tolist() == [4, 3, 2, 1]
    assert list(elbow.get_xdata()) == [3, 3]
    assert len(plots.plot_inertia(K, np.array([4.0, 3, 2, 1]), None).lines) == 1


def test_a_chord_joins_the_ends_and_the_elbow_is_marked():
    ax = plots.plot_chord(chord_table(K, [4.0, 2, 1, 1]), 3)
    curve, chord, mark = ax.lines
    assert list(chord.get_xdata()) == [K[0], K[-1]] and list(chord.get_ydata()) == [4, 1]
    assert list(mark.get_xdata()) == [3] and list(mark.get_ydata()) == [2]
    below = ax.collections[-1].get_segments()
    np.testing.assert_allclose(below, [[[3, 2], [3, 3]]])
    assert len(plots.plot_chord(chord_table(K, [4.0, 2, 1, 1]), None).lines) == 2


def test_rows_are_drawn_with_their_true_distances():
    pairs = pd.DataFrame(
        {"first": [4.0, 1.0], "second": [3.0, 2.0], "angle": [1.0, 0.9], "distance": 0.0, "unit_distance": 0.0},
        index=["long", "short"],
    )
    pairs["distance"] = np.sqrt(
        pairs["first"] ** 2 + pairs["second"] ** 2 - 2 * pairs["first"] * pairs["second"] * np.cos(pairs["angle"])
    )
    pairs["unit_distance"] = 2 * np.sin(pairs["angle"] / 2)
    for ax, column in zip(plots.plot_rows(pairs).axes, ("distance", "unit_distance")):
        ends = [np.column_stack(line.get_data()) for line in ax.lines if len(line.get_xdata()) == 2]
        np.testing.assert_allclose([np.linalg.norm(a - b) for a, b in ends], pairs[column])


def test_crowds_share_an_axis_of_distances_over_their_mean():
    figure = plots.plot_crowding({"noise": np.array([1.0, 3.0]), "images": np.array([10.0, 10.0])})
    assert [ax.texts[0].get_text() for ax in figure.axes] == ["noise\nspread 0.5", "images\nspread 0"]
    assert [sum(bar.get_height() for bar in ax.patches) for ax in figure.axes] == [2, 2]


def test_cells_belong_to_the_nearest_centre():
    points, centers = np.array([[0.0, 0.0], [4.0, 0.0]]), np.array([[0.0, 0.0], [4.0, 0.0]])
    clusterings = [np.array([0, 0]), np.array([0, 1])]
    figure = plots.plot_cells(points, clusterings, [np.array([[2.0, 0.0]]), centers], ["one", "two"])
    assert [ax.get_title() for ax in figure.axes] == ["one", "two", ""]
    one, two = (ax.images[0].get_array()[..., :3] for ax in figure.axes[:2])
    assert len(np.unique(one.reshape(-1, 3), axis=0)) == 1
    np.testing.assert_allclose(two[0, [0, -1]], plots.cluster_colors(2), atol=0.01)


def test_every_axis_of_values_is_labelled():
    for name, draw in AXES.items():
        assert name == "knife" or draw(None).get_ylabel(), name


def test_timings_draws_every_way_on_logarithmic_axes():
    timings = pd.DataFrame({"exact": [1.0, 4.0], "sampled": [1.0, 1.1]}, index=[1000, 2000])
    ax = plots.plot_timings(timings)
    assert (ax.get_xscale(), ax.get_yscale()) == ("log", "log")
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["exact", "sampled"]
    np.testing.assert_array_equal(ax.lines[0].get_ydata(), [1.0, 4.0])


SHARES = pd.DataFrame({"first": [0.2, 1.0, np.nan], "second": [0.0, 0.5, 1.0]}, index=["a", "b", "c"])


def test_dots_have_a_row_for_each_name_the_first_on_top():
    ax = plots.plot_dots(SHARES, "share")
    first, second = ax.lines
    np.testing.assert_array_equal(first.get_xdata(), SHARES["first"])
    assert [text.get_text() for text in ax.get_yticklabels()] == ["a", "b", "c"]
    assert (np.diff(ax.get_yticks()) < 0).all() and (first.get_ydata() > second.get_ydata()).all()


def test_lengths_are_counted_by_cluster_the_long_rows_last():
    lengths, labels = np.array([1.0, 1, 2, 5, 6, 6, 7]), np.array([1, 1, 1, 0, 0, 0, 0])
    ax = plots.plot_lengths(lengths, labels)
    short, long = (sum(bar.get_height() for bar in bars) for bars in ax.containers)
    assert (short, long) == (3, 4) and ax.get_ylabel() == "images"
    assert [text.get_text() for text in ax.get_legend().get_texts()][1] == "cluster of long rows"


def test_clusterings_side_by_side():
    points = [RNG.normal(size=(60, 2))] * 4
    figure = plots.plot_clusterings(points, [*LABELS], ["one", "two", "three", "four"])
    assert [ax.get_title() for ax in figure.axes] == ["one", "two", "three", "four", "", ""]
    colors = {tuple(color) for color in figure.axes[2].collections[0].get_facecolor()}
    assert len(colors) == 4


@pytest.mark.parametrize("named", [[2], [None], [None, 2, 2, 7], list(range(2, 16)) * 10], ids=len)
def test_each_combination_has_its_k_its_levels_and_its_choices(named):
    answers, choices = specifications(named)
    figure = plots.plot_specifications(answers, choices, 0.25)
    top, middle, below = figure.axes
    drawn = {line.get_label(): line.get_xydata() for line in top.lines}
    known = [(x, k) for x, k in enumerate(named) if k]
    for label in ("k that is named", "a level"):
        assert [tuple(place) for place in drawn.get(label, [])] == known
    rings = drawn.get("none named: convenient k", [])
    assert [tuple(place) for place in rings] == [(x, 2) for x, k in enumerate(named) if not k]
    taken = [place for line in below.lines if line.get_color() == "black" for place in line.get_xdata()]
    assert sorted(taken) == sorted([*range(len(named))] * 2)  # of each choice one value
    figure.canvas.draw()
    labels = [label.get_text() for label in below.get_yticklabels()]
    assert labels[0] == "a: $0$" and all("…" in label for label in labels if label.startswith("dataset"))
    plt.close(figure)
