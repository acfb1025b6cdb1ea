"""The page of the explorer as a file: what it holds, what it refuses, and that names cannot break out of it."""

from __future__ import annotations

import base64
import io
import json
import re

import numpy as np
import pandas as pd
import pytest
from bs4 import BeautifulSoup
from matplotlib.colors import to_hex
from PIL import Image

from helpers.core import fingerprints
from helpers.figures.explorer import MAX_SAMPLES, build_explorer
from helpers.figures.plots import cluster_colors
from helpers.pages.provenance import framed_page

N, K_VALUES = 60, [2, 3, 5]
HOSTILE = [
    "</script><script>window.broken = 1</script>",
    "<img src=x onerror='window.broken = 1'>",
    "\"'&\\u003c@@vega@@",
    "\udcff",
]

CLASSES = ["cat", "<i>dog</i>", "emu"]


def example(n=N):
    """Draw the arguments of `build_explorer` for n samples at random, with labels of every cluster."""
    rng = np.random.default_rng(0)
    labels = np.stack([rng.permutation(np.arange(n) % k) for k in K_VALUES])
    silhouettes = rng.uniform(-0.4, 0.8, labels.shape)
    scores, rivals = silhouettes.mean(axis=1), (labels + 1) % np.array(K_VALUES)[:, np.newaxis]
    curves = {
        "inertia": [300.0, 200.0, 150.0],
        "score": scores,
        "null_low": scores - 0.2,
        "null_high": scores - 0.1,
        "positive": (silhouettes > 0).mean(axis=1),
        "valley": [0.5, np.nan, -0.25],
    }
    return {
        "title": "A <study> & more",
        "names": [*HOSTILE, *(f"image {i}" for i in range(len(HOSTILE), n))],
        "images": [Image.new("RGB", (32, 24), (4 * i % 256, 80, 160)) if i % 7 else None for i in range(n)],
        "map_points": rng.normal(size=(n, 2)),
        "curves": pd.DataFrame(curves, pd.Index(K_VALUES, name="n_clusters")),
        "labels": labels,
        "silhouettes": silhouettes,
        "rivals": rivals,
        "nearest": np.stack([nearest_of(*rows) for rows in zip(labels, rivals)]),
        "neighbors": (np.arange(n)[:, np.newaxis] + np.arange(1, 6)) % n,
        "classes": [CLASSES[i % 3] for i in range(n)],
        "deep": 0.25,
        "named": {"elbow": [3], "score": [2, 5], "verdict": []},
        "reason": "It opens <b>here</b>.",
    }


def nearest_of(labels, rivals):
    """Name a sample of the rival of each; of sample 1, none."""
    nearest = np.array([np.flatnonzero(labels == rival)[i % 3] for i, rival in enumerate(rivals)])
    nearest[1] = -1
    return nearest


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    """Write the page of the example."""
    return build_explorer(tmp_path_factory.mktemp("explorer") / "page.html", **example())


@pytest.fixture(scope="module")
def data(page):
    """Read the data that the page holds for its script."""
    soup = BeautifulSoup(page.read_text(encoding="utf-8"), "html.parser")
    return json.loads(soup.find("script", id="data").string)


def unpacked(text, dtype):
    """Decode numbers from base64, as the page does."""
    return np.frombuffer(base64.b64decode(text), dtype)


def test_numbers_arrive_as_they_were_given(data):
    given = example()
    for name, dtype in (("labels", "<u2"), ("rivals", "<u2"), ("nearest", "<i2"), ("silhouettes", "<f4")):
        np.testing.assert_array_equal(unpacked(data[name], dtype).reshape(3, N), given[name].astype(dtype))
    np.testing.assert_array_equal(unpacked(data["map"], "<f4").reshape(N, 2), given["map_points"].astype("<f4"))
    assert data["k"] == K_VALUES and data["curves"]["inertia"] == [300, 200, 150]
    assert data["curves"]["score"] == list(given["curves"]["score"]) and data["curves"]["valley"] == [0.5, None, -0.25]
    assert [data["classes"][j] for j in data["classOf"]] == given["classes"]
    assert data["named"] == [["elbow", [3]], ["score", [2, 5]], ["verdict", []]]


def x_scale(chart):
    """Find the scale of k in a chart."""
    (scale,) = (scale for scale in chart["scales"] if scale["name"] == "x")
    return scale


def test_k_far_apart_have_a_logarithmic_axis_and_consecutive_ones_a_plain_one(data, tmp_path):
    scale = x_scale(data["charts"]["score"])
    assert scale["type"] == "log" and scale["domain"][0] < 2 and scale["domain"][1] > 5
    given = example() | {"named": {}}
    given["curves"].index = [2, 3, 4]
    text = build_explorer(tmp_path / "page.html", **given).read_text(encoding="utf-8")
    soup = BeautifulSoup(text, "html.parser")
    plain = x_scale(json.loads(soup.find("script", id="data").string)["charts"]["score"])
    assert plain["type"] == "linear" and plain["domain"] == [1.5, 4.5]


def test_no_sample_changes_its_sign_on_the_way(tmp_path):
    given = example()
    given["silhouettes"][:] = -1e-9
    text = build_explorer(tmp_path / "page.html", **given).read_text(encoding="utf-8")
    packed = re.search(r'"silhouettes": "([^"]*)"', text)[1]
    assert (unpacked(packed, "<f4") < 0).all()


def test_clusters_have_the_colors_of_the_figures(data):
    assert data["colors"] == [to_hex(color) for color in cluster_colors(5)]
    assert data["classes"] == sorted(CLASSES)  # as on the maps of the book
    assert data["classColors"] == data["colors"][:3]


def test_each_picture_is_where_the_page_looks_for_it(data):
    (sheet,) = (Image.open(io.BytesIO(base64.b64decode(uri.partition(",")[2]))) for uri in data["sheets"])
    tile = sheet.width // data["columns"]
    places = np.array(data["places"])
    assert (places[::7] == -1).all() and sorted(places[places >= 0]) == list(range((places >= 0).sum()))
    for i in (1, 30, 59):
        row, column = divmod(data["places"][i], data["columns"])
        red = np.asarray(sheet.convert("RGB"))[row * tile + tile // 2, column * tile + tile // 2, 0]
        assert abs(int(red) - 4 * i % 256) < 12


def test_pictures_that_do_not_fit_on_a_sheet_go_on_another(tmp_path):
    n = 500
    given = {**example(n), "images": [Image.new("RGB", (8, 8))] * n}
    text = build_explorer(tmp_path / "page.html", **given).read_text(encoding="utf-8")
    assert text.count("data:image/webp;base64,") == 2


def test_the_page_is_one_file_that_asks_for_nothing(page):
    text = page.read_text(encoding="utf-8")
    soup = BeautifulSoup(text, "html.parser")
    assert [tag.get("src") for tag in soup.find_all(src=True)] == []
    assert [tag["href"] for tag in soup.find_all("link")] == ["data:,"]
    assert "@import" not in text and not re.search(r"url\(\s*[\"']?https?:", text)


def test_names_and_title_stay_text(page, data):
    text = page.read_text(encoding="utf-8")
    assert data["names"][: len(HOSTILE)] == HOSTILE
    assert "window.broken = 1</script>" not in text and "<img src=x" not in text
    soup = BeautifulSoup(text, "html.parser")
    assert soup.title.string == soup.h1.string == "A <study> & more"
    assert len(soup.find_all("script")) == 4


def test_the_frame_holds_the_whole_page(page):
    frame = BeautifulSoup(framed_page(page, 'The "explorer"').data, "html.parser").find("iframe")
    assert frame["srcdoc"] == page.read_text(encoding="utf-8")
    assert frame["title"] == 'The "explorer"'


def test_the_same_study_gives_the_same_page(page, tmp_path):
    assert build_explorer(tmp_path / "page.html", **example()).read_bytes() == page.read_bytes()


def test_one_k_and_one_place_are_enough(tmp_path):
    given = example()
    one = {name: given[name][:1] for name in ("curves", "labels", "silhouettes", "rivals", "nearest")}
    same = {"map_points": np.zeros((N, 2)), "images": iter([None] * N), "named": {}, "classes": None}
    assert build_explorer(tmp_path / "page.html", **{**given, **one, **same}).is_file()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"names": ["a"]}, r"labels has the shape \(3, 60\); .* it must be \(3, 1\)"),
        ({"map_points": np.zeros((N, 3))}, r"map_points has the shape \(60, 3\); .* it must be \(60, 2\)"),
        ({"names": []}, "0 samples do not fit"),
        ({"names": ["a"] * (MAX_SAMPLES + 1)}, f"1 to {MAX_SAMPLES} do; draw a sample"),
        ({"curves": example()["curves"][:0]}, "must be one or more"),
        ({"curves": example()["curves"].set_axis([2, 3, 3])}, r"k = \[2, 3, 3\], .*, ascending"),
        ({"labels": np.zeros((3, N))}, "labels must be whole numbers"),
        ({"labels": np.full((3, N), -1)}, "labels must be whole numbers from 0"),
        ({"rivals": np.full((3, N), 70_000)}, "rivals must be whole numbers from 0 to 65535"),
        ({"nearest": np.full((3, N), N)}, "nearest must be whole numbers from -1 to 59"),
        ({"curves": example()["curves"].assign(score=np.nan)}, "score holds a number that is not finite"),
        ({"classes": ["a"]}, r"classes has the shape \(1,\)"),
        ({"silhouettes": np.zeros((2, N))}, "silhouettes has the shape"),
        ({"images": [None] * (N - 1)}, "59 images for 60 names"),
        ({"opens_at": 4}, r"opens_at = \[4\] is not possible: the page has k = \[2, 3, 5\]"),
        ({"named": {"elbow": [2, 4]}}, r"elbow = \[2, 4\] is not possible"),
    ],
)
def test_what_does_not_fit_together_is_refused(tmp_path, change, message):
    path = tmp_path / "page.html"
    path.write_text("the last good page")
    with pytest.raises(ValueError, match=message) as error:
        build_explorer(path, **{**example(), **change})
    assert "\n" not in str(error.value)
    assert path.read_text() == "the last good page"


def test_a_change_of_the_template_makes_new_pages(monkeypatch):
    """The executed notebook holds the page, so its key must hold the template."""
    name = "helpers.figures.explorer"
    source, template = fingerprints._SOURCES[name]
    before = fingerprints.source_digest.__wrapped__()
    monkeypatch.setitem(fingerprints._SOURCES, name, [source, template + " "])
    assert fingerprints.source_digest.__wrapped__() != before
