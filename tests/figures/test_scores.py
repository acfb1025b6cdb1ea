"""The page for pasted scores as a file, and the stored scores of data without clusters behind it."""

from __future__ import annotations

import json
import re

import numpy as np
import pandas as pd
import pytest
from bs4 import BeautifulSoup

from helpers.core.conventions import ROOT
from helpers.figures.scores import build_scores_page
from helpers.pages.book import _scores
from makers import nulls as maker

NULLS = json.loads(maker.RESULTS.read_text(encoding="utf-8"))
AXES = maker.N_SAMPLES, maker.N_FEATURES, maker.K_VALUES
GRID = {(cloud["spectrum"], cloud["rows"]): np.array(cloud["score"]) for cloud in NULLS["clouds"]}


@pytest.fixture(scope="module")
def page():
    """Write the page."""
    return build_scores_page(NULLS, {2: 0.5, 3: -0.25})


# --- data without clusters --------------------------------------------------------------------------------------------


def test_the_grid_is_the_one_that_the_maker_measures():
    assert (NULLS["n"], NULLS["n_features"], NULLS["k"]) == tuple(map(list, AXES))
    shape = tuple(map(len, AXES))
    assert list(GRID) == list(maker.CLOUDS)
    for cloud in NULLS["clouds"]:
        assert np.shape(cloud["score"]) == np.shape(cloud["spread"]) == shape
        assert np.abs(cloud["score"]).max() < 1 and np.min(cloud["spread"]) >= 0 and np.max(cloud["spread"]) < 0.1
    for cloud in NULLS["real"]:
        assert len(cloud["score"]) == len(maker.K_VALUES) and 1 < cloud["effective"] < 1280


@pytest.mark.parametrize(("spectrum", "rows"), [("flat", "uneven"), ("steep", "box"), ("steep", "unit")])
def test_a_cell_of_the_grid_can_be_measured_again(spectrum, rows):
    n, d = maker.N_SAMPLES[0], maker.N_FEATURES[2]
    variances = maker.falling(maker.SPECTRA[spectrum], d)
    runs = np.array([maker.scores(rows, variances, n, seed) for seed in range(maker.N_SEEDS[n])])
    np.testing.assert_allclose(runs.mean(axis=0), GRID[spectrum, rows][0, 2], atol=6e-5)


def test_the_stored_error_is_that_of_the_stored_grid():
    grid = np.array(list(GRID.values()))
    for name, error in maker.interpolation_error(grid).items():
        for kind, value in error.items():
            np.testing.assert_allclose(value, NULLS["error"][name][kind], atol=2e-4)


def test_what_is_straight_in_the_logarithm_is_interpolated_without_error():
    values = np.log(maker.N_FEATURES)[:, np.newaxis] * [1.0, -2.0]
    np.testing.assert_allclose(maker.left_out(values, 0, maker.N_FEATURES), 0, atol=1e-12)


def test_what_the_page_says_of_the_clouds_is_true_of_them():
    """With many features, a score is larger where few axes vary most, and at a large k smaller with unequal lengths."""
    many = slice(4, None)
    for rows in ("uneven", "box", "unit"):
        assert (GRID["steep", rows] > GRID["flat", rows])[:, many, :5].all()
    assert (GRID["flat", "uneven"] < GRID["flat", "unit"])[1:, many, 5:].all()


def test_real_features_are_between_the_ends_of_the_band():
    wide = maker.N_FEATURES.index(8)
    for cloud in NULLS["real"]:
        allowed = [grid[1, wide:] for (_, rows), grid in GRID.items() if (rows == "unit") == cloud["unit"]]
        low, high = np.min(allowed, axis=(0, 1)), np.max(allowed, axis=(0, 1))
        assert (low <= cloud["score"]).all() and (cloud["score"] <= high).all(), cloud["name"]


def test_the_effective_number_of_equal_variances_is_their_number():
    assert maker.effective(np.full(7, 3.0)) == pytest.approx(7)


def test_the_example_of_the_digits_adds_up():
    """Score = gain of the positive samples less what the negative ones take."""
    lines = NULLS["example"]["text"].splitlines()
    names, rows = lines[0].split(","), np.array([line.split(",") for line in lines[1:]], dtype=float)
    table = pd.DataFrame(rows, columns=names)
    sums = table["positive"] * table["mean_positive"] + table["negative"] * table["mean_negative"]
    np.testing.assert_allclose(sums, table["score"], atol=2e-4)
    assert (table["inertia"].diff().dropna() < 0).all()


# --- the page ---------------------------------------------------------------------------------------------------------


def test_the_page_is_one_small_file_that_asks_for_nothing(page):
    soup = BeautifulSoup(page, "html.parser")
    assert [tag.get("src") for tag in soup.find_all(src=True)] == []
    assert [tag["href"] for tag in soup.find_all("link")] == ["data:,"]
    assert "@@" not in page and "@import" not in page and not re.search(r"https?:|fetch\(|XMLHttpRequest", page)
    assert len(page.encode()) < 150_000


def test_it_opens_at_the_question_as_python_printed_it(page):
    data = json.loads(BeautifulSoup(page, "html.parser").find("script", id="data").string)
    assert next(iter(data["examples"])) == "question"
    expected = "Cluster : 2 | Silhouette score : 0.5\nCluster : 3 | Silhouette score : -0.25\n"
    assert data["examples"]["question"]["text"] == expected


def test_a_book_has_it_on_its_own_in_a_frame_and_with_what_was_measured():
    files = _scores(ROOT / "book" / "data")
    assert files.keys() == {
        "book/_static/your_scores.html", "book/_generated/your_scores.html", "book/_generated/nulls.md"
    }  # fmt: skip
    facts = files["book/_generated/nulls.md"].decode()
    for name in ("n", "n_features", "k"):
        assert f"{NULLS['error'][name]['largest']:.3f} at most" in facts
    framed = BeautifulSoup(files["book/_generated/your_scores.html"].decode(), "html.parser").find("iframe")
    assert framed["title"] and framed["srcdoc"].encode() == files["book/_static/your_scores.html"]


def test_the_front_page_and_the_chapters_order_lead_to_it():
    assert ":link: your_scores" in (ROOT / "book" / "intro.md").read_text(encoding="utf-8")
    assert "file: book/your_scores" in (ROOT / "book" / "_toc.yml").read_text(encoding="utf-8")
    assert "file: _generated/your_scores.html" in (ROOT / "book" / "your_scores.md").read_text(encoding="utf-8")
