"""The playground in a browser: its arithmetic against the helpers', its keys, its theme, and what it asks for."""

from __future__ import annotations

import numpy as np
import pytest
from conftest import violations

from helpers.clustering.silhouette import silhouette_details, silhouette_table
from helpers.clustering.sweep import sweep_kmeans
from helpers.criteria.curves import find_elbow
from helpers.criteria.halves import Halves, link_valleys, stability
from helpers.criteria.table import DEEP
from helpers.figures.playground import PRESETS, build_playground
from helpers.pages.provenance import framed_playground

N_STATES, K_VALUES = 100, [2, 3, 4]
SETTLED = "() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))"
# What the page computes for each state.
COMPUTED = """states => states.map(({ points, labels, k, ks, falling, halves }) => {
  const page = window.playground, { s, a, b, rival } = page.silhouettes(page.allDistances(points), labels, k);
  for (const half of halves) Object.assign(half, { points: half.rows.map((row) => points[row]) });
  for (const half of halves) half.links = page.linked(half.points);
  return {
    ...page.summary(s, labels, k), inertia: page.inertia(points, labels, page.means(points, labels, k)),
    s: [...s], a: [...a], b: [...b], rival: [...rival], elbow: page.elbow(ks, falling),
    halves: [2, 3, 4].map((k) => page.fromHalves(halves, k)),
  };
})"""
# What is shown, as numbers.
SHOWN = """() => {
  const { state, derive } = window.playground, { now } = derive();
  return {
    points: state.points, labels: [...state.run.labels], k: state.k, hand: state.hand, score: now.score,
    inertia: now.inertia, valley: now.valley, stability: now.stability, s: [...now.s],
    rows: state.halves.map((half) => half.rows), centers: state.halves.map((half) => half.centers[state.k]),
    fits: Object.values(state.fits).map((fit) => fit.inertia),
  };
}"""


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    """Write the page."""
    path = tmp_path_factory.mktemp("playground") / "page.html"
    path.write_text(build_playground(deep=DEEP), encoding="utf-8")
    return path


@pytest.fixture
def open_at(tab, path):
    """Give a function that opens the page at a fragment, and waits until it is drawn."""

    def open_at(fragment="", **options):
        page = tab(path.as_uri() + fragment, **options)
        page.wait_for_selector("#plane svg")
        return page

    return open_at


def shown(page):
    """Read what the page shows, once it is drawn."""
    page.evaluate(SETTLED)
    return page.evaluate(SHOWN)


# --- arithmetic -------------------------------------------------------------------------------------------------------


def random_state(seed):
    """Draw points, clusters, a falling curve and a halving; some have clusters of one, and points that are equal."""
    rng = np.random.default_rng(seed)
    n, k = int(rng.integers(12, 50)), int(rng.integers(2, 9))
    points = rng.normal(size=(n, 2)) * [2, 1] + rng.integers(-2, 3, size=(n, 1))
    labels = rng.permutation(np.arange(n) % k)
    if seed % 4 == 1:
        labels = np.where(np.arange(n) < k - 1, np.arange(n) + 1, 0)
    if seed % 4 == 2:
        points[n // 2 :] = points[: n - n // 2]
        points[n // 2 :] += 1e-3 * (np.arange(n - n // 2) % 2)[:, np.newaxis]
    ks = list(range(2, 2 + int(rng.integers(3, 8))))
    falling = np.sort(rng.uniform(0, 100, len(ks)) ** rng.uniform(0.3, 3))[::-1]
    order = rng.permutation(n)
    rows = [np.sort(order[: n // 2]), np.sort(order[n // 2 :])]
    centers = [
        np.vstack([rng.permutation(points[half])[:k] + rng.normal(size=(k, 2)) / 9 for k in K_VALUES]) for half in rows
    ]
    return points, labels, k, ks, falling, Halves(np.array(K_VALUES), rows, centers)


def for_the_page(points, labels, k, ks, falling, halves):
    """Write a state as the page takes it."""
    return {
        "points": points.tolist(),
        "labels": labels.tolist(),
        "k": k,
        "ks": ks,
        "falling": falling.tolist(),
        "halves": [
            {"rows": rows.tolist(), "centers": {str(len(c)): c.tolist() for c in halves.centers_for(half)}}
            for half, rows in enumerate(halves.rows)
        ],
    }


def by_helpers(points, labels, k, ks, falling, halves):
    """Compute with the helpers what the page computes."""
    details = silhouette_details(points, labels)
    table = silhouette_table(details.silhouette, labels).iloc[0]
    centers = np.stack([points[labels == cluster].mean(axis=0) for cluster in range(k)])
    return {
        **table[["score", "macro", "positive"]],
        "inertia": ((points - centers[labels]) ** 2).sum(),
        "s": details.silhouette,
        "a": details.own,
        "b": details.rival_distance,
        "elbow": find_elbow(ks, falling),
        "valley": link_valleys(points, K_VALUES, halves=halves, n_jobs=1).table()["valley"],
        "stability": stability(points, K_VALUES, halves=halves, n_jobs=1).table()["stability"],
    }


def test_its_arithmetic_is_that_of_the_helpers(open_at):
    states = [random_state(seed) for seed in range(N_STATES)]
    computed = open_at().evaluate(COMPUTED, [for_the_page(*state) for state in states])
    elbows = valleys = 0
    for state, page in zip(states, computed, strict=True):
        expected = by_helpers(*state)
        assert page["elbow"] == expected.pop("elbow")
        elbows += page["elbow"] is not None
        page |= {name: [at[name] for at in page["halves"]] for name in ("valley", "stability")}
        for name, values in expected.items():  # None becomes not a number
            np.testing.assert_allclose(np.array(page[name], dtype=float), values, rtol=1e-12, atol=1e-9, err_msg=name)
        valleys += expected["valley"].notna().sum()
    assert 20 < elbows < N_STATES < valleys


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_shows_the_numbers_of_its_points(open_at, name):
    """The clusterings are as good as those of the helpers, and after a drag everything is that of the points moved."""
    page = open_at(f"#{name}")
    now = shown(page)
    np.testing.assert_array_equal(now["points"], PRESETS[name].points)
    assert (now["fits"][:2] <= sweep_kmeans(PRESETS[name].points, [2, 3], n_init=2).inertia * (1 + 1e-9)).all()
    x, y = page.evaluate("() => { const b = document.querySelector('#plane > svg > circle').getBoundingClientRect();"
                         " return [b.x + b.width / 2, b.y + b.height / 2]; }")  # fmt: skip
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x + 30, y - 20, steps=3)
    page.evaluate(SETTLED)
    page.mouse.up()
    then = shown(page)
    assert then["points"][now["hand"]] != now["points"][now["hand"]] and then["hand"] == now["hand"]
    points, labels = np.array(then["points"]), np.array(then["labels"])
    details = silhouette_details(points, labels)
    np.testing.assert_allclose(then["s"], details.silhouette, atol=1e-9)
    halves = Halves(
        np.array([then["k"]]), [np.array(rows) for rows in then["rows"]], [np.array(c) for c in then["centers"]]
    )
    valley = link_valleys(points, [then["k"]], halves=halves, n_jobs=1).table()["valley"][then["k"]]
    again = stability(points, [then["k"]], halves=halves, n_jobs=1).table()["stability"][then["k"]]
    np.testing.assert_allclose([then["valley"], then["stability"]], [valley, again], atol=1e-9)


# --- by keyboard ------------------------------------------------------------------------------------------------------


def test_a_preset_can_be_done_by_keyboard_alone(open_at):
    page = open_at("#stable-ring")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.id") == "start"
    page.keyboard.press("Home")
    assert shown(page)["k"] == 2 and page.locator("#start").input_value() == "negative"
    while page.evaluate("document.activeElement.id") != "plane":
        page.keyboard.press("Tab")
    before = shown(page)
    assert before["s"][before["hand"]] < 0
    page.keyboard.press("Enter")
    for _ in range(12):
        page.keyboard.press("ArrowLeft")
    page.keyboard.press("Enter")
    after = shown(page)
    assert after["points"][before["hand"]][0] < before["points"][before["hand"]][0] - 1
    assert after["s"][before["hand"]] > 0.1
    assert "silhouette 0." in page.locator("#said").inner_text()
    page.keyboard.press("ArrowRight")  # let go, an arrow chooses another point
    assert shown(page)["hand"] != before["hand"] and shown(page)["points"] == after["points"]
    page.keyboard.press("a")
    assert len(shown(page)["points"]) == len(before["points"]) + 1
    page.keyboard.press("Delete")
    page.keyboard.press("Delete")
    assert len(shown(page)["points"]) == len(before["points"]) - 1
    for _ in range(4):
        page.keyboard.press("Control+z")
    assert shown(page)["points"] == before["points"]


def test_every_point_can_be_reached_by_key(open_at):
    page = open_at("#negative")
    page.locator("#plane").focus()
    reached = set()
    for _ in range(len(PRESETS["negative"].points)):
        page.keyboard.press("PageUp")
        reached.add(page.evaluate("window.playground.state.hand"))
    assert reached == set(range(len(PRESETS["negative"].points)))


def test_k_means_goes_step_by_step_to_its_end(open_at):
    page = open_at("#groups")
    page.locator("#restart").click()
    assert page.evaluate("window.playground.state.run.labels") is None
    inertia = []
    for _ in range(60):
        page.locator("#assign").click()
        if "at its end" in page.locator("#said").inner_text():
            break
        page.locator("#move").click()
        inertia.append(shown(page)["inertia"])
    assert "at its end" in page.locator("#said").inner_text()
    assert all(after <= before + 1e-9 for before, after in zip(inertia, inertia[1:]))
    page.locator("#end").click()
    np.testing.assert_allclose(shown(page)["inertia"], inertia[-1])
    assert shown(page)["inertia"] >= shown(page)["fits"][1] - 1e-9  # no start is better than the best that is known


def test_at_one_length_the_clusters_stay_until_k_means_goes_on(open_at):
    page = open_at("#only-length")
    before = shown(page)
    page.get_by_role("button", name="Lengths to 1").click()
    held = shown(page)
    assert held["labels"] == before["labels"] and abs(held["score"]) < 0.05 < 0.6 < before["score"]
    np.testing.assert_allclose(np.linalg.norm(held["points"], axis=1), 1)
    cut = "all => all.filter(e => Math.abs(e.clientHeight - e.parentElement.clientHeight) > 1).length"
    assert page.eval_on_selector_all(".chart > svg, #knife > svg, #plane > svg", cut) == 0
    page.get_by_role("button", name="To its end").click()
    assert shown(page)["score"] > 0.5 and shown(page)["valley"] < DEEP


# --- at home everywhere -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_is_accessible(open_at, scheme):
    page = open_at("#score-down", color_scheme=scheme)
    page.locator("#links").check()
    page.locator("#borders").check()
    page.evaluate(SETTLED)
    assert violations(page) == []


@pytest.mark.parametrize("start", [*PRESETS, "sheet"])
def test_it_fits_a_phone(open_at, start):
    page = open_at(f"#{start}", viewport={"width": 390, "height": 844}, has_touch=True)
    assert page.evaluate("document.documentElement.scrollWidth") == 390


@pytest.mark.parametrize("start", [*PRESETS, "groups-3"])
def test_in_a_chapter_nothing_is_scrolled(open_at, start):
    """The frame of a chapter is 35 rem high, and as wide as the page at 1280."""
    page = open_at(f"#{start}", viewport={"width": 934, "height": 558})
    assert page.evaluate("document.documentElement.scrollHeight") == 558
    assert page.locator("#plane").bounding_box()["height"] > 300


def test_in_a_frame_it_follows_the_theme_and_opens_on_its_own(tab, tmp_path):
    around = tmp_path / "around.html"
    around.write_text(
        '<!doctype html><html lang="en" data-theme="dark"><meta charset="utf-8"><title>x</title>'
        + framed_playground("stable-ring").data,
        encoding="utf-8",
    )
    page = tab(around.as_uri(), color_scheme="light")
    inside = page.frames[1]
    inside.wait_for_selector("#plane svg")
    assert inside.locator("#start").input_value() == "stable-ring"
    assert inside.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(20, 24, 30)"
    page.evaluate("document.documentElement.dataset.theme = 'light'")
    inside.wait_for_function("getComputedStyle(document.body).backgroundColor === 'rgb(255, 255, 255)'")
    with page.expect_popup() as opened:
        inside.locator("#open").click()
    opened.value.wait_for_selector("#plane svg")
    assert opened.value.url.endswith("#stable-ring") and opened.value.locator(".links").is_hidden()


def test_without_scripts_it_says_what_is_to_be_seen(browser, path):
    page = browser.new_page(java_script_enabled=False)
    page.goto(path.as_uri())
    assert PRESETS["negative"].seen in page.inner_text("body")
    assert page.locator("header").is_hidden() and page.locator("main").is_hidden()
    page.close()
