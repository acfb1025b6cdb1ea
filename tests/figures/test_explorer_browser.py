"""The explorer in a browser: pointing, clicking and typing show in every view."""

from __future__ import annotations

import io

import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_hex
from test_explorer import HOSTILE, K_VALUES, N, example

from helpers.figures.explorer import build_explorer
from helpers.figures.plots import cluster_colors
from helpers.pages.provenance import framed_page
from helpers.pages.tables import READING, csv_bytes

# What the views hold, as Vega has it.
VIEWS = """() => {
  const { views } = window.explorer;
  const rows = (view, name) => view.data(name).map((row) => ({ ...row }));
  return {
    k: rows(views.inertia, "now")[0].k, score: rows(views.score, "now")[0].value,
    knife: rows(views.knife, "samples"), map: rows(views.map, "samples"), clusters: rows(views.knife, "clusters"),
    marked: ["knife", "map"].map((id) => rows(views[id], "marked")[0].i), ink: views.map.signal("ink"),
  };
}"""
# Where a sample is drawn, in the coordinates of the window.
PLACE = """([id, i]) => {
  const view = window.explorer.views[id], row = view.data("samples").find((row) => row.i === i);
  const box = view.container().querySelector("canvas").getBoundingClientRect(), [left, top] = view.origin();
  const [x, y] = id === "map" ? [row.u, row.v] : [row.s / 2, row.middle];
  return [box.left + left + view.scale("x")(x), box.top + top + view.scale("y")(y)];
}"""


# What would have to be scrolled to be seen in whole.
SCROLLS = """() => [...document.querySelectorAll('html, body, body *')].filter((e) =>
  e.scrollHeight > e.clientHeight + 1 && e.clientHeight && (e === document.documentElement ||
    ["auto", "scroll"].includes(getComputedStyle(e).overflowY))).map((e) => e.id || e.tagName)"""


@pytest.fixture(scope="module")
def study():
    """Make the numbers of the example, with a sample that lies apart on the map."""
    given = example()
    given["map_points"][40] = [6, 6]
    return {**given, "silhouettes": given["silhouettes"].astype(np.float32)}


@pytest.fixture(scope="module")
def path(study, tmp_path_factory):
    """Write the page of the study."""
    return build_explorer(tmp_path_factory.mktemp("explorer") / "page.html", **study)


def test_it_opens_at_the_k_that_it_is_given(tab, study, tmp_path):
    page = tab(build_explorer(tmp_path / "page.html", **study, opens_at=3).as_uri())
    page.wait_for_function("window.explorer")
    assert page.locator("#k-value").inner_text() == "3" and page.locator("#k").input_value() == "1"
    assert page.locator("#reason").inner_text() == "It opens <b>here</b>."


def test_for_a_lesson_it_opens_at_a_k_without_any_answer(tab, study, tmp_path):
    file = build_explorer(tmp_path / "page.html", **study, opens_at=3)
    page = tab(f"{file.as_uri()}#k=5&lesson")
    page.wait_for_function("window.explorer")
    assert page.locator("#k-value").inner_text() == "5"
    for name in ("reason", "named", "band", "valley"):
        assert not page.locator(f"#{name}").is_visible()
    assert "here" not in page.locator("body").inner_text()
    assert "area" not in page.evaluate("data.charts.score.marks.map((mark) => mark.type)")
    assert page.locator("[value='labels'], #only-label").evaluate_all("all => all.every((e) => !e.offsetParent)")
    page = tab(f"{file.as_uri()}#lesson")
    page.wait_for_function("window.explorer")
    assert page.locator("#k-value").inner_text() == str(K_VALUES[0])


@pytest.fixture
def page(tab, path):
    """Open the explorer and wait until it is ready."""
    page = tab(path.as_uri())
    page.wait_for_function("window.explorer")
    return page


def facts(page):
    """Read what the page says of the sample under the pointer."""
    return [page.locator(f"#{name}").inner_text() for name in ("name", "label", "silhouette", "cluster", "rival")]


def expected_facts(study, row, i):
    silhouette = f"{study['silhouettes'][row, i]:.3f}".replace("-", "−")
    clusters = [str(study[name][row, i]) for name in ("labels", "rivals")]
    return [study["names"][i], study["classes"][i], silhouette, *clusters]


def tiles(page, row):
    """List the samples of a row of pictures."""
    return [
        int(i) for i in page.locator(".row").nth(row).locator(".tile").evaluate_all("all => all.map(t => t.dataset.i)")
    ]


def settle(page):
    """Wait until the requested frame is drawn."""
    page.evaluate("() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")


def point(page, view, i):
    page.mouse.move(*page.evaluate(PLACE, [view, i]))
    settle(page)


def test_the_slider_moves_every_view(page, study):
    page.locator("#k").press("End")
    settle(page)
    views, labels = page.evaluate(VIEWS), study["labels"][2]
    assert views["k"] == K_VALUES[2] and views["score"] == pytest.approx(study["curves"]["score"][5])
    assert [cluster["cluster"] for cluster in views["clusters"]] == list(range(5))
    for name in ("knife", "map"):
        colors = {row["i"]: row["color"] for row in views[name]}
        assert len(colors) == N
        assert all((colors[i] == colors[0]) == (labels[i] == labels[0]) for i in range(N))
    assert page.locator("#k-value").inner_text() == "5"
    assert page.locator(".row").count() == 5
    members = np.flatnonzero(labels == 3)
    ends = members[np.argsort(study["silhouettes"][2, members])[[-1, 0]]]
    assert len(tiles(page, 3)) >= 3 and [tiles(page, 3)[0], tiles(page, 3)[-1]] == list(ends)
    assert page.locator("#score-now").inner_text() == f"{study['curves']['score'][5]:.3f}"
    assert page.locator("#positive-now").inner_text() == f"{study['curves']['positive'][5]:.1%}"
    assert page.locator("#valley-now").inner_text() == "−0.25"


def test_a_valley_that_is_not_known_is_said_to_be(page):
    page.locator("#k").press("ArrowRight")
    settle(page)
    assert page.locator("#valley-now").inner_text() == "unknown"


def test_the_score_is_drawn_above_the_band_of_structureless_data(page, study):
    """The area holds the ends of the band, as given."""
    drawn = page.evaluate(
        """() => {
          const source = Object.entries(window.explorer.views.score.getState({ data: () => true }).data);
          return source.flatMap(([, rows]) => rows).filter((row) => "null_low" in row && "k" in row)
            .map((row) => [row.k, row.null_low, row.null_high]);
        }"""
    )
    bands = study["curves"][["null_low", "null_high"]].to_records().tolist()
    for k, low, high in bands:
        assert [k, pytest.approx(low), pytest.approx(high)] in drawn


def test_a_button_goes_to_each_k_that_a_criterion_names(page):
    named = page.locator("#named")
    assert named.get_by_role("button").all_inner_texts() == ["3", "2", "5"]
    assert "verdict: none" in named.inner_text()
    for label, k in (("elbow", 3), ("score", 5), ("score", 2)):
        button = named.get_by_role("button", name=f"{label}: k = {k}")
        button.click()
        settle(page)
        assert page.locator("#k-value").inner_text() == str(k) and button.get_attribute("aria-pressed") == "true"
        assert named.locator("[aria-pressed=true]").count() == 1


def test_labels_and_silhouettes_colour_the_map_and_not_the_knife(page, study):
    knife = page.evaluate(VIEWS)["knife"]
    page.get_by_label("labels").check()
    views = page.evaluate(VIEWS)
    colors = {row["i"]: row["color"] for row in views["map"]}
    assert {(study["classes"][i], color) for i, color in colors.items()} == {
        (name, to_hex(color)) for name, color in zip(sorted(set(study["classes"])), cluster_colors(3))
    }
    assert views["knife"] == knife
    assert page.locator("#legend > span").all_text_contents() == sorted(set(study["classes"]))
    page.get_by_label("silhouettes", exact=True).check()
    colors = {row["i"]: row["color"] for row in page.evaluate(VIEWS)["map"]}
    s = study["silhouettes"][0]
    blue_beyond_red = {i: int(c[4:-1].split(",")[2]) > int(c[4:-1].split(",")[0]) for i, c in colors.items()}
    assert all(blue_beyond_red[i] for i in np.flatnonzero(s > 0.1))
    assert not any(blue_beyond_red[i] for i in np.flatnonzero(s < -0.1))


def test_without_labels_none_are_offered(tab, study, tmp_path):
    page = tab(build_explorer(tmp_path / "page.html", **{**study, "classes": None}).as_uri())
    page.wait_for_function("window.explorer")
    assert page.get_by_role("radio").count() == 2 and page.locator("#label").is_hidden()


def test_beside_an_image_is_the_nearest_of_its_rival(page, study):
    for i in (40, 51):
        point(page, "knife", i)
        other = page.locator("#other")
        assert other.get_attribute("data-i") == str(study["nearest"][0, i])
        assert study["names"][study["nearest"][0, i]] in other.get_attribute("aria-label")
    point(page, "knife", 1)  # of its rival none is shown
    assert page.locator("#other").inner_text() == "none is shown"


def test_knife_is_sorted_within_clusters(page, study):
    rows = sorted(page.evaluate(VIEWS)["knife"], key=lambda row: row["from"])
    order = np.lexsort((study["silhouettes"][0], study["labels"][0]))
    assert [row["i"] for row in rows] == list(order)
    assert rows[0]["from"] == 0 and rows[-1]["to"] >= 1


@pytest.mark.parametrize("view", ["knife", "map"])
def test_pointing_at_a_sample_marks_it_everywhere(page, study, view):
    for i in (40, int(np.argmin(study["silhouettes"][0]))):
        point(page, view, i)
        assert page.evaluate(VIEWS)["marked"] == [i, i]
        assert facts(page) == expected_facts(study, 0, i)
        assert page.locator("#picture").get_attribute("data-i") == str(i)
    marked = page.locator(".row .tile.marked").evaluate_all("all => all.map(t => Number(t.dataset.i))")
    assert marked in ([i], [])  # no row of pictures shows all samples


def test_pointing_at_a_picture_marks_it_everywhere(page, study):
    i = tiles(page, 1)[2]
    page.locator(f".row .tile[data-i='{i}']").hover()
    settle(page)
    assert page.evaluate(VIEWS)["marked"] == [i, i]
    assert facts(page) == expected_facts(study, 0, i)
    assert page.locator(".row .tile.marked").get_attribute("data-i") == str(i)


def test_the_picture_of_a_sample_is_its_own(page, study):
    """Pixels are compared, and not only the data that they are drawn from."""
    from PIL import Image

    for i in (40, 51):
        point(page, "knife", i)
        shot = Image.open(io.BytesIO(page.locator("#picture").screenshot())).convert("RGB")
        assert np.abs(np.subtract(shot.getpixel((48, 48)), study["images"][i].getpixel((0, 0)))).max() < 20
    point(page, "knife", 14)  # one without a picture
    assert page.locator("#picture").inner_text() == study["names"][14]


def test_a_click_on_a_cluster_shows_its_best_borderline_and_worst(page, study):
    page.locator("#clusters button", has_text="1").click()
    s, members = study["silhouettes"][0], np.flatnonzero(study["labels"][0] == 1)
    assert page.locator(".row h3").all_inner_texts() == ["best", "borderline, nearest to zero", "worst"]
    many = len(tiles(page, 0))
    assert many >= 5
    assert tiles(page, 0) == list(members[np.argsort(-s[members])][:many])
    assert tiles(page, 1) == list(members[np.argsort(abs(s[members]))][:many])
    assert tiles(page, 2) == list(members[np.argsort(s[members])][:many])
    assert page.locator("#clusters button[aria-pressed=true]").inner_text() == "1"
    colors = {row["i"]: row["color"] for row in page.evaluate(VIEWS)["map"]}
    assert {i for i in range(N) if colors[i] == colors[members[0]]} == set(members)
    assert len(set(colors.values())) == 2  # its own, and one for all others
    page.locator("#clusters button", has_text="all").click()
    assert page.locator(".row").count() == 2


@pytest.mark.parametrize("view", ["knife", "map"])
def test_a_click_on_a_sample_shows_its_cluster(page, study, view):
    page.mouse.click(*page.evaluate(PLACE, [view, 40]))
    settle(page)
    assert page.locator("#clusters button[aria-pressed=true]").inner_text() == str(study["labels"][0, 40])
    assert page.evaluate(VIEWS)["marked"] == [40, 40]


def test_a_click_on_a_curve_chooses_k(page):
    box = page.locator("#score canvas").bounding_box()
    page.mouse.click(box["x"] + box["width"] - 20, box["y"] + 40)
    settle(page)
    assert page.locator("#k-value").inner_text() == str(K_VALUES[-1]) and page.locator("#k").input_value() == "2"


def test_the_switch_leaves_negative_samples_only(page, study):
    page.locator("#negative").check()
    negative = set(np.flatnonzero(study["silhouettes"][0] < 0).tolist())
    views = page.evaluate(VIEWS)
    assert {row["i"] for row in views["knife"]} == {row["i"] for row in views["map"]} == negative
    assert {i for row in range(2) for i in tiles(page, row)} <= negative
    assert set(views["marked"]) <= negative
    page.locator("#negative").uncheck()
    assert len(page.evaluate(VIEWS)["map"]) == N


def test_everything_can_be_done_from_the_keyboard(page, study):
    def tab_to(selector):
        for _ in range(20):
            page.keyboard.press("Tab")
            if page.evaluate("selector => document.activeElement.matches(selector)", selector):
                return
        pytest.fail(f"{selector} is out of reach of the key Tab")

    tab_to("#k")
    page.keyboard.press("ArrowRight")
    settle(page)
    assert page.locator("#k-value").inner_text() == "3"
    order = np.lexsort((study["silhouettes"][1], study["labels"][1])).tolist()
    tab_to("#negative")
    page.keyboard.press("Space")
    page.keyboard.press("Space")
    tab_to("#knife")
    before = page.evaluate(VIEWS)["marked"][0]
    page.keyboard.press("ArrowDown")
    after = page.evaluate(VIEWS)["marked"][0]
    assert order.index(after) == order.index(before) - 1
    page.keyboard.press("Enter")
    assert page.locator("#clusters button[aria-pressed=true]").inner_text() == str(study["labels"][1, after])
    tab_to("[data-cluster='0']")
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.dataset.cluster") == "0"
    best = page.evaluate(VIEWS)["marked"][0]
    assert best == tiles(page, 0)[0]
    tab_to("#previous")
    page.keyboard.press("Enter")
    assert page.evaluate(VIEWS)["marked"][0] == order[order.index(best) - 1]


def test_keys_reach_every_sample(page):
    page.locator("#map").focus()
    seen = set()
    for _ in range(N):
        seen.add(page.evaluate(VIEWS)["marked"][0])
        page.keyboard.press("ArrowLeft")
    assert seen == set(range(N))


def test_names_are_shown_as_text(page, study):
    for i in range(len(HOSTILE) - 1):
        point(page, "knife", i)
        assert page.locator("#name").text_content() == HOSTILE[i]
    assert page.evaluate("window.broken") is None


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_accessible_and_legible_in_both_themes(tab, path, scheme):
    from axe_playwright_python.sync_playwright import Axe

    page = tab(path.as_uri(), color_scheme=scheme)
    page.wait_for_function("window.explorer")
    page.locator("#clusters button", has_text="1").click()
    found = Axe().run(page).response["violations"]
    assert [fault for fault in found if fault["impact"] in ("serious", "critical")] == []
    ink = [int(part) for part in page.evaluate(VIEWS)["ink"][4:-1].split(",")]
    assert (min(ink) > 200) if scheme == "dark" else (max(ink) < 60)


@pytest.mark.parametrize("height", [670, 760, 1000])
def test_three_panes_fit_the_window_with_nothing_to_scroll(tab, study, tmp_path, height):
    """At each k, and with a cluster chosen: as one pane grows, the pictures shrink."""
    size = {"width": 940, "height": height}
    page = tab(build_explorer(tmp_path / "page.html", **many_clusters(study)).as_uri(), viewport=size)
    page.wait_for_function("window.explorer")
    tops = [page.locator(pane).bounding_box()["y"] for pane in ("main > :nth-child(1)", "main > :nth-child(3)")]
    assert tops[0] == tops[1]
    for key in ("Home", "End"):
        page.locator("#k").press(key)
        for cluster in ("all", "1"):
            page.locator(f"[data-cluster='{cluster}']").click()
            settle(page)
            assert page.evaluate(SCROLLS) == []


def many_clusters(study):
    """Give the study sixteen clusters in the place of its five."""
    labels = study["labels"].copy()
    labels[2] = np.arange(N) % 16
    return {
        **study,
        "labels": labels,
        "curves": study["curves"].set_axis([2, 3, 16]),
        "named": {"elbow": [3], "silhouette score": [2], "mean over clusters": [3], "verdict": []},
    }


def test_fits_a_phone_and_its_finger(tab, path, study):
    page = tab(path.as_uri(), viewport={"width": 390, "height": 844}, has_touch=True)
    page.wait_for_function("window.explorer")
    assert page.evaluate("document.documentElement.scrollWidth") == 390
    for control in page.locator("header input, .steps button").all():
        assert control.is_visible()
    assert page.evaluate(SCROLLS) in ([], ["HTML"])  # the window, and no pane in it
    page.locator("#map").scroll_into_view_if_needed()
    page.evaluate("document.querySelector('#map').scrollIntoView({ block: 'center' })")
    page.touchscreen.tap(*page.evaluate(PLACE, ["map", 40]))
    settle(page)
    assert facts(page) == expected_facts(study, 0, 40)
    assert page.locator("#picture").is_visible()


@pytest.fixture
def frame(tab, path, tmp_path):
    """Open a page with a theme of its own around the explorer in its frame."""
    around = tmp_path / "around.html"
    html = framed_page(path, "explorer").data.encode("utf-8", "xmlcharrefreplace")
    around.write_bytes(
        b'<!doctype html><html lang="en" data-theme="dark"><meta charset="utf-8"><title>x</title>'
        b'<style>[data-theme="dark"] { background: #14181e }</style>' + html
    )
    page = tab(around.as_uri(), color_scheme="light")
    page.frames[1].wait_for_function("window.explorer")
    return page, page.frames[1]


def test_in_a_frame_it_follows_the_theme_around_it(frame):
    page, inside = frame
    assert inside.evaluate(VIEWS)["ink"] == "rgb(232, 234, 237)"
    page.evaluate("document.documentElement.dataset.theme = 'light'")
    inside.wait_for_function("window.explorer.views.map.signal('ink') === 'rgb(27, 31, 36)'")


def test_in_the_dark_no_pixel_at_its_edge_is_pale(frame):
    from PIL import Image

    page, _ = frame
    shot = np.asarray(Image.open(io.BytesIO(page.locator("iframe").screenshot())).convert("L"))
    edges = np.concatenate([shot[:6].ravel(), shot[-6:].ravel(), shot[:, :6].ravel(), shot[:, -6:].ravel()])
    assert edges.max() < 160


def test_on_a_phone_the_frame_is_as_high_as_its_content(frame):
    page, inside = frame
    usual = page.locator("iframe").bounding_box()["height"]
    page.set_viewport_size({"width": 390, "height": 844})
    inside.wait_for_function("innerHeight >= document.body.scrollHeight && innerWidth < 400")
    inside.locator("[data-cluster='1']").click()
    inside.wait_for_function("Math.abs(innerHeight - document.body.getBoundingClientRect().height) <= 1")
    assert page.locator("iframe").bounding_box()["height"] > 1200
    page.set_viewport_size({"width": 1100, "height": 900})
    page.wait_for_function("usual => document.querySelector('iframe').offsetHeight === usual", arg=usual)


def test_from_a_frame_it_opens_on_its_own_and_is_saved(frame, path, tmp_path):
    page, inside = frame
    with page.expect_popup() as opened:
        inside.locator("#open").click()
    opened.value.wait_for_function("window.explorer")
    assert opened.value.locator("#open").is_hidden()
    with page.expect_download() as saved:
        inside.locator("#save").click()
    assert saved.value.suggested_filename == "explorer.html"
    saved.value.save_as(tmp_path / "saved.html")
    assert (tmp_path / "saved.html").read_bytes() == path.read_bytes()


# --- what a person takes away -----------------------------------------------------------------------------------------


def downloaded(page, button, folder):
    """Press a button, and give the file that it offers."""
    with page.expect_download() as offered:
        page.locator(button).click()
    path = folder / offered.value.suggested_filename
    offered.value.save_as(path)
    return path


def read(path):
    """Read a table as README.md of an export says."""
    given = {}
    exec(READING.replace('"clusters.csv"', repr(str(path))), given)
    return given["table"]


def test_the_table_is_what_is_on_the_screen(page, study, tmp_path):
    s, labels = study["silhouettes"][0], study["labels"][0]
    path = downloaded(page, "#csv", tmp_path)
    table = read(path)
    assert path.name == "explorer-k2.csv" and (table["k"] == 2).all()
    assert table["image"].tolist() == [*study["names"][:3], "\N{REPLACEMENT CHARACTER}", *study["names"][4:]]
    assert table["label"].tolist() == study["classes"] and table["cluster"].tolist() == labels.tolist()
    assert (table["silhouette"].to_numpy(np.float32) == s).all()
    assert table["rival"].tolist() == study["rivals"][0].tolist()
    page.locator("[data-cluster='1']").click()
    page.locator("#negative").check()
    page.locator("#only-label").select_option("cat")
    path = downloaded(page, "#csv", tmp_path)
    expected = [i for i in range(N) if labels[i] == 1 and s[i] < 0 and study["classes"][i] == "cat"]
    assert path.name == "explorer-k2-cluster1-negative.csv" and 0 < len(expected) < 20
    assert read(path)["image"].tolist() == [study["names"][i] for i in expected]


def test_names_that_a_spreadsheet_would_compute_are_texts(tab, study, tmp_path):
    names = ["=1+1", " =2", "'quoted", '+"a", b', "-c\nd", "@x", "＝1", "\ttab", *study["names"][8:]]
    page = tab(build_explorer(tmp_path / "page.html", **{**study, "names": names}).as_uri())
    page.wait_for_function("window.explorer")
    path = downloaded(page, "#csv", tmp_path)
    assert read(path)["image"].tolist() == names
    raw = pd.read_csv(path, dtype=str, keep_default_na=False)["image"]
    assert raw[:8].str.startswith("'").all() and not raw[8:].str.startswith("'").any()
    # The same rule as in the tables of an export.
    ours = pd.read_csv(io.BytesIO(csv_bytes(pd.DataFrame({"image": names}))), dtype=str, keep_default_na=False)
    assert ours["image"].tolist() == raw.tolist()


def test_a_name_is_kept_in_the_page_that_is_saved_and_in_the_table(tab, page, study, tmp_path):
    hostile = "</script><b>=cats</b>"
    page.locator("[data-cluster='1']").click()
    page.get_by_label("name", exact=True).fill(hostile)
    assert f"cluster 1 ({hostile})" in page.locator("#about").inner_text()
    page.locator("#k").press("End")
    page.locator("[data-cluster='1']").click()
    assert page.get_by_label("name", exact=True).input_value() == ""  # at another k it is another cluster
    page.get_by_label("name", exact=True).fill("dogs")
    saved = downloaded(page, "#save", tmp_path)
    again = tab(saved.as_uri())
    again.wait_for_function("window.explorer")
    assert again.evaluate("window.broken") is None
    again.get_by_role("button", name=f"cluster 1 ({hostile})").click()
    assert again.get_by_label("name", exact=True).input_value() == hostile
    table = read(downloaded(again, "#csv", tmp_path))
    assert set(table["name"]) == {hostile} and set(table["cluster"]) == {1}
    again.get_by_label("name", exact=True).fill("")
    once_more = downloaded(again, "#save", tmp_path).read_text(encoding="utf-8")
    assert '<script type="application/json" id="names">{"2":{},"5":{"1":"dogs"}}</script>' in once_more


def test_only_one_label_is_shown(page, study):
    page.locator("#only-label").select_option("<i>dog</i>")
    dogs = {i for i in range(N) if study["classes"][i] == "<i>dog</i>"}
    views = page.evaluate(VIEWS)
    assert {row["i"] for row in views["knife"]} == {row["i"] for row in views["map"]} == dogs
    assert {i for row in range(2) for i in tiles(page, row)} <= dogs and set(views["marked"]) <= dogs
    page.locator("#only-label").select_option("all")
    assert len(page.evaluate(VIEWS)["map"]) == N


def test_images_like_one_are_its_nearest(page, study):
    point(page, "knife", 40)
    page.locator("#like").click()
    assert tiles(page, 0) == study["neighbors"][40].tolist() and page.locator(".row").count() == 1
    assert study["names"][40] in page.locator("#about").inner_text()
    page.locator(".row .tile").nth(1).hover()
    assert page.locator(".row").count() == 1  # pointing at one of them does not change them
    page.locator("[data-cluster='all']").click()
    assert page.locator(".row").count() == 2


def test_the_chapter_of_the_book_holds_the_explorer_of_its_run(tab, fast_book):
    page = tab((fast_book.pages / "notebooks" / "explorer.html").as_uri())
    inside = page.frame_locator("iframe")
    inside.locator("#rows .tile").first.wait_for()
    inside.locator("#k").press("End")
    inside.locator("#k-value", has_text=str(fast_book.parameters.k_max)).wait_for()
    assert f"of {fast_book.parameters.n_images} samples negative" in inside.locator("#numbers").inner_text()
    assert inside.locator("#clusters button").count() == fast_book.parameters.k_max + 1
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    alone = fast_book.pages / "_static" / "explorer.html"
    assert alone.read_text(encoding="utf-8") == page.locator("iframe").first.get_attribute("srcdoc")
