"""The playground as a file, and its presets: what each claims is true of its points, by the helpers."""

from __future__ import annotations

import json
import re

import numpy as np
import pytest
from bs4 import BeautifulSoup
from sklearn.metrics import pairwise_distances_argmin

from helpers.clustering.centring import unit_rows
from helpers.clustering.lengths import length_auc
from helpers.clustering.silhouette import silhouette_samples, silhouette_table
from helpers.clustering.sweep import sweep_kmeans
from helpers.core import fingerprints
from helpers.core.conventions import ROOT
from helpers.criteria.curves import extreme_k, find_elbow
from helpers.criteria.halves import cluster_halves, link_valleys, stability
from helpers.criteria.table import DEEP
from helpers.figures.playground import PRESETS, build_playground
from helpers.pages.book import _playground
from helpers.pages.provenance import framed_playground

K_VALUES = list(range(2, 9))


@pytest.fixture(scope="module")
def page():
    """Write the page."""
    return build_playground(deep=DEEP)


def swept(name, k_values):
    """Cluster the points of a preset, and tabulate the silhouettes."""
    sweep = sweep_kmeans(PRESETS[name].points, k_values)
    samples = silhouette_samples(PRESETS[name].points, sweep.labels)
    return sweep, samples, silhouette_table(samples, sweep.labels)


# --- the claims -------------------------------------------------------------------------------------------------------


def test_the_point_in_hand_is_negative_and_nearest_to_its_own_centre():
    preset = PRESETS["negative"]
    sweep, samples, _ = swept("negative", [preset.n_clusters])
    nearest = pairwise_distances_argmin(preset.points, sweep.centers[0])
    assert nearest[preset.in_hand] == sweep.labels[0, preset.in_hand]
    assert samples[0, preset.in_hand] == samples.min() < -0.05


def test_the_score_falls_and_more_samples_are_positive():
    table = swept("score-down", [2, 3])[2]
    assert PRESETS["score-down"].n_clusters == 2 and "from 2 to 3" in PRESETS["score-down"].attempt
    assert table.loc[3, "score"] < table.loc[2, "score"] - 0.05
    assert table.loc[3, "positive"] == 1 > table.loc[2, "positive"]
    assert table.loc[2, "negative"] > 0.02  # more than one point


def test_two_clusters_are_only_length():
    points = PRESETS["only-length"].points
    sweep, _, table = swept("only-length", K_VALUES)
    assert extreme_k(table["score"]) == [PRESETS["only-length"].n_clusters] == [2]
    assert length_auc(points, sweep.labels[0]) > 0.999
    unit = unit_rows(points)
    assert abs(silhouette_samples(unit, sweep.labels[0]).mean()) < 0.05
    assert link_valleys(unit, [2, 3, 4], n_halvings=2).table()["valley"].max() < DEEP


def test_nothing_has_an_elbow_and_no_valley():
    points = PRESETS["elbow-of-nothing"].points
    assert (
        find_elbow(K_VALUES, swept("elbow-of-nothing", K_VALUES)[0].inertia) == PRESETS["elbow-of-nothing"].n_clusters
    )
    assert link_valleys(points, [2, 3, 4, 5], n_halvings=2).table()["valley"].max() < DEEP / 2


def test_a_ring_is_stable_and_has_no_valley():
    preset = PRESETS["stable-ring"]
    k_values = [2, 3, 4]
    halves = cluster_halves(preset.points, k_values, n_halvings=4)
    again = stability(preset.points, k_values, halves=halves).table()["stability"]
    assert extreme_k(again) == [preset.n_clusters] and again[preset.n_clusters] > 0.9 > again[3] + 0.2
    assert link_valleys(preset.points, k_values, halves=halves).table()["valley"].max() < DEEP


# --- the page ---------------------------------------------------------------------------------------------------------


def test_the_points_arrive_as_they_are(page):
    data = json.loads(BeautifulSoup(page, "html.parser").find("script", id="data").string)
    assert [preset["id"] for preset in data["presets"]] == list(PRESETS) and data["deep"] == DEEP
    for told, preset in zip(data["presets"], PRESETS.values()):
        np.testing.assert_array_equal(told["points"], preset.points)
        left, bottom, width, height = preset.view
        assert ((preset.points > [left, bottom]) & (preset.points < [left + width, bottom + height])).all()
        assert 0 <= preset.in_hand < len(preset.points)


def test_the_page_is_one_small_file_that_asks_for_nothing(page):
    soup = BeautifulSoup(page, "html.parser")
    assert [tag.get("src") for tag in soup.find_all(src=True)] == []
    assert [tag["href"] for tag in soup.find_all("link")] == ["data:,"]
    assert "@@" not in page and "@import" not in page and not re.search(r"https?:|fetch\(|XMLHttpRequest", page)
    assert len(page.encode()) < 100_000


def test_no_number_is_told_in_words_but_k():
    """The page shows the numbers of its points, which move; its words hold for all of them."""
    for preset in PRESETS.values():
        numbers = set(re.findall(r"\d+", f"{preset.attempt} {preset.seen}".replace("Lengths to 1", "")))
        assert numbers <= {str(k) for k in K_VALUES}


def test_an_unknown_preset_is_refused():
    with pytest.raises(ValueError, match="opens_at = 'elbow' is no preset of the playground: negative, "):
        build_playground(deep=DEEP, opens_at="elbow")


def test_without_scripts_a_frame_still_says_what_is_to_be_seen():
    for name, preset in PRESETS.items():
        frame = BeautifulSoup(framed_playground(name).data, "html.parser").find("iframe")
        assert preset.title in frame["title"]
        assert preset.seen in BeautifulSoup(frame["srcdoc"], "html.parser").body.find("noscript").text


def test_its_page_in_the_book_names_every_preset():
    text = (ROOT / "book" / "playground.md").read_text(encoding="utf-8")
    linked = re.findall(r'"\.\./_static/playground\.html#([a-z-]+)">([^<]*)<', text)
    assert linked == [(name, preset.title) for name, preset in PRESETS.items()]
    assert {"book/_static/playground.html", "book/_generated/playground.html"} == _playground().keys()


def test_the_chapters_open_presets_that_there_are():
    opened = {}
    for path in (ROOT / "notebooks").glob("*.ipynb"):
        for name in re.findall(r'framed_playground\(\\"([a-z-]+)\\"\)', path.read_text(encoding="utf-8")):
            opened[path.stem] = name
    assert set(opened.values()) <= set(PRESETS) and len(opened) >= 4


@pytest.mark.parametrize("name", ["helpers.figures.playground", "helpers.figures.frame"])
def test_a_change_of_a_template_makes_new_pages(name):
    assert len(fingerprints._SOURCES[name]) == 2  # the module, and the page beside it
