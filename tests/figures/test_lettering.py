"""Texts from outside on figures: no mathematics, all characters, and no wider than their room."""

from __future__ import annotations

import warnings

import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib import font_manager
from PIL import Image

from helpers.figures import lettering, plots

plt.switch_backend("agg")
STIX = font_manager.findfont("STIXGeneral")
NAMES = [
    "short.png",
    "W" * 180,
    f"kind/{'long' * 40}_0012.jpg",
    "a $b$ c $\\frac{$",
    "two\nlines\x1b[1m",
    "\udcff.png",
    "_hidden",
    "",
]


@pytest.fixture(autouse=True)
def only_the_usual_fonts(monkeypatch):
    """No font is installed but Matplotlib's own, and a warning is an error."""
    monkeypatch.setattr(lettering, "_installed_fonts", lambda: [])
    lettering._tell_once.cache_clear()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.simplefilter("ignore", ResourceWarning)  # of what other tests left to the collector
        yield
    plt.close("all")


def gallery(names):
    """Draw pictures under names, and return the texts of the names."""
    figure = plots.plot_images([Image.new("RGB", (4, 4))] * len(names), names)
    figure.canvas.draw()
    return [ax.title for ax in figure.axes if ax.images]


def legend_of(names):
    """Draw a map with a legend of names, and return its texts."""
    ax = plots.plot_map(np.eye(2)[np.arange(len(names)) % 2], names, "map")
    ax.figure.canvas.draw()
    return ax.get_legend().get_texts()


def test_no_name_reaches_the_next_picture():
    boxes = [text.get_window_extent() for text in gallery(NAMES * 2)]
    assert not any(one.overlaps(other) for i, one in enumerate(boxes) for other in boxes[:i])
    assert max(box.x1 for box in boxes) <= 6 * 1.5 * plt.rcParams["figure.dpi"]


def test_a_long_name_keeps_its_beginning_and_its_end():
    short, _, long, *_ = [text.get_text() for text in gallery(NAMES)]
    assert short == "short.png"
    first, last = long.split("…")
    assert NAMES[2].startswith(first) and NAMES[2].endswith(last) and min(len(first), len(last)) > 5
    assert len(legend_of(NAMES)[-1].get_text()) < 60


def test_every_label_stands_in_the_legend():
    """Matplotlib would leave out those that begin with an underscore."""
    assert [text.get_text() for text in legend_of(["_hidden", "b", "$x$", "1", ""])] == ["", "$x$", "1", "_hidden", "b"]


def test_what_cannot_be_printed_is_marked():
    assert [text.get_text() for text in gallery(NAMES[4:6])] == ["two\ufffdlines\ufffd[1m", "\ufffd.png"]


def test_titles_are_no_mathematics():
    """Each would fail to be drawn if it were read."""
    plots.plot_map(np.eye(2), ["a", "b"], "$\\frac{$").figure.canvas.draw()
    plots.plot_clusterings([np.eye(2)], [np.array([0, 1])], ["$\\frac{$"]).canvas.draw()
    t, places = np.array([[-0.6, 0.4]]), np.array([-0.5, 0.5])
    plots.plot_border(t, np.zeros((1, 2)), places, np.array([1, 1]), "$\\frac{$").canvas.draw()


def test_a_font_that_has_the_characters_is_taken(monkeypatch, capsys):
    """Matplotlib's font of signs stands for one of another script: it has circled letters, and the usual one none."""
    monkeypatch.setattr(
        lettering, "_installed_fonts", lambda: [("Bitstream", font_manager.findfont("DejaVu Sans Mono"))]
    )
    assert lettering._fonts_for(frozenset("aⒶ"), font_manager.findfont("DejaVu Sans")) == ([], {"Ⓐ"})
    monkeypatch.setattr(lettering, "_installed_fonts", lambda: [("STIXGeneral", STIX)])
    (title,) = gallery(["aⒶ"])
    assert title.get_text() == "aⒶ" and title.get_fontfamily()[-1] == "STIXGeneral"
    assert capsys.readouterr().err == ""


def test_where_no_font_has_them_boxes_stand_for_the_characters_and_it_is_said_once(capsys):
    assert [text.get_text() for text in gallery(["鳥 1.png", "새.png"])] == ["□ 1.png", "□.png"]
    legend_of(["鳥", "b"])
    said = capsys.readouterr().err
    assert said.count("\n") == 1 and "No font that is installed here has all characters" in said
