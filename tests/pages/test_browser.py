"""The built book as a reader has it: every page in Chromium, in both themes, on a desktop and on a phone."""

from __future__ import annotations

import io
import os
import subprocess
import sys
import threading
import urllib.parse
import urllib.request
from dataclasses import dataclass, field
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import nbformat
import numpy as np
import pytest
from conftest import violations
from PIL import Image

from helpers.core.conventions import ROOT
from helpers.pages.sources import _files_in, notebook_sources, read_yaml

TOC = read_yaml(ROOT, "book/_toc.yml")
PAGES = [TOC["root"], *_files_in(TOC), "genindex", "search"]
NOTEBOOKS = [path.stem for path in notebook_sources()]
SCHEMES = ("light", "dark")
DESKTOP, PHONE = {"width": 1280, "height": 900}, {"width": 390, "height": 844}
LOCAL = ("file:", "data:", "blob:")
HEAVIEST = 12e6  # bytes of a page with all that it loads; generous, for a page with thousands of small pictures

BROKEN_IMAGES = "images => images.filter(i => i.getAttribute('src') && !i.naturalWidth).map(i => i.src)"
# A rendered formula is one that takes room; what MathJax cannot read it marks.
FORMULAS = """formulas => formulas.map(f => {
    const drawn = f.querySelector('mjx-container, .MathJax, .MathJax_Display');
    return Boolean(drawn && drawn.getBoundingClientRect().width && !f.querySelector('merror, mjx-merror, .merror'));
})"""
OVERFLOW = """() => {
    const width = document.documentElement.clientWidth;
    if (document.documentElement.scrollWidth <= width) return [];
    return [...document.querySelectorAll('article *')]
        .filter(e => e.getBoundingClientRect().right > width + 1).slice(0, 5).map(e => e.outerHTML.slice(0, 120));
}"""

# Folds and hidden solutions hold code and tables, too.
UNFOLD = """() => {
    document.documentElement.dataset.code = 'shown';
    document.querySelectorAll('article details').forEach(fold => { fold.open = true; });
    document.querySelectorAll('article .toggle-hidden').forEach(e => e.classList.remove('toggle-hidden'));
}"""
# Elements that are wider than what shows them, or than their column. A shadow says that there is more to scroll to.
CUT = """(elements, shadowIsEnough) => elements.filter(e => {
    if (!e.getClientRects().length) return false;
    const article = e.closest('article');
    let box = e;
    while (box !== article && getComputedStyle(box).overflowX === 'visible') box = box.parentElement;
    if (box === article) {
        const column = article.getBoundingClientRect().right - parseFloat(getComputedStyle(article).paddingRight);
        return e.getBoundingClientRect().right > column + 1;
    }
    const shadow = getComputedStyle(box).backgroundImage.includes('gradient');
    return box.scrollWidth > box.clientWidth + 1 && !(shadowIsEnough && shadow);
}).map(e => e.innerText.slice(0, 120))"""


@dataclass
class Visit:
    """Observations on a page."""

    errors: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)
    broken: list[str] = field(default_factory=list)
    formulas: list[bool] = field(default_factory=list)
    violations: dict[str, list[str]] = field(default_factory=dict)
    overflow: list[str] = field(default_factory=list)
    cut_tables: list[str] = field(default_factory=list)
    cut_code: list[str] = field(default_factory=list)
    cut_on_a_phone: list[str] = field(default_factory=list)


def look_at(browser, path) -> Visit:
    """Open a page from the disk, look at it in both themes, and make the window as narrow as a phone."""
    seen = Visit()
    page = browser.new_page(viewport=DESKTOP, color_scheme="light")
    page.on("console", lambda message: seen.errors.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: seen.errors.append(str(error)))
    page.on("request", lambda request: seen.requests.append(request.url))
    page.goto(path.as_uri(), wait_until="load")
    if page.locator("article .math").count():
        page.wait_for_function("() => window.MathJax && document.querySelector('mjx-container, .MathJax')")
    seen.broken = page.eval_on_selector_all("article img", BROKEN_IMAGES)
    seen.formulas = page.eval_on_selector_all("article .math", FORMULAS)
    page.add_style_tag(content="* { transition: none !important }")  # no colours half-way from one theme to the other
    for scheme in SCHEMES:
        page.emulate_media(color_scheme=scheme)
        page.wait_for_function("theme => document.documentElement.dataset.theme === theme", arg=scheme)
        seen.violations[scheme] = violations(page)
    page.evaluate(UNFOLD)
    seen.cut_tables = page.eval_on_selector_all("article table", CUT, False)
    seen.cut_code = page.eval_on_selector_all("article pre", CUT, False)
    page.set_viewport_size(PHONE)
    seen.overflow = page.evaluate(OVERFLOW)
    seen.cut_on_a_phone = page.eval_on_selector_all("article :is(table, pre)", CUT, True)
    page.close()
    return seen


@pytest.fixture(scope="module")
def visit(browser, fast_book):
    """Look at a page, once for all tests."""
    visits: dict[str, Visit] = {}

    def once(name: str) -> Visit:
        if name not in visits:
            visits[name] = look_at(browser, fast_book.pages / f"{name}.html")
        return visits[name]

    return once


@pytest.fixture(scope="module")
def server(fast_book):
    """Serve the book from this machine, and give its address."""

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *args):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(fast_book.pages))) as running:
        threading.Thread(target=running.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{running.server_port}"
        running.shutdown()


@pytest.fixture
def page(browser):
    """Open a fresh page of desktop width."""
    page = browser.new_page(viewport=DESKTOP, color_scheme="light")
    yield page
    page.close()


@pytest.mark.parametrize("name", PAGES)
def test_page_loads_without_errors_and_no_request_leaves_the_machine(visit, name):
    seen = visit(name)
    assert seen.errors == []
    assert [address for address in seen.requests if not address.startswith(LOCAL)] == []
    assert seen.broken == []
    files = [Path(urllib.request.url2pathname(urllib.parse.urlsplit(address).path)) for address in seen.requests
             if address.startswith("file:")]  # fmt: skip
    assert 50_000 < sum(file.stat().st_size for file in set(files)) < HEAVIEST  # style sheets and scripts are seen


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("name", PAGES)
def test_page_is_accessible(visit, name, scheme):
    assert visit(name).violations[scheme] == []


@pytest.mark.parametrize("name", PAGES)
def test_page_fits_a_phone(visit, name):
    assert visit(name).overflow == []


@pytest.mark.parametrize("name", PAGES)
def test_no_table_and_no_code_is_cut(visit, name):
    seen = visit(name)
    assert seen.cut_tables == []
    assert seen.cut_code == []


@pytest.mark.parametrize("name", PAGES)
def test_what_is_wider_than_a_phone_says_so(visit, name):
    assert visit(name).cut_on_a_phone == []


def test_a_cut_is_found_that_is_there(page, fast_book):
    """A line of 79 characters fits, a longer one and a table of many columns do not, and without shadow never."""
    page.goto((fast_book.pages / "book" / "citing.html").as_uri())
    for width, cut in ((79, 0), (120, 1)):
        code = f"<div class='highlight'><pre>{'x' * width}</pre></div>"
        page.evaluate("text => { document.querySelector('article').innerHTML = text }", code)
        assert len(page.eval_on_selector_all("article pre", CUT, False)) == cut
        assert page.eval_on_selector_all("article pre", CUT, True) == []
    row = "<td>0.12345</td>" * 30
    for style, cut in (("", 0), ("background: none", 1)):
        table = f"<div class='pst-scrollable-table-container' style='{style}'><table>{row}</table></div>"
        page.evaluate("text => { document.querySelector('article').innerHTML = text }", table)
        assert len(page.eval_on_selector_all("article table", CUT, False)) == 1
        assert len(page.eval_on_selector_all("article table", CUT, True)) == cut


FOLDS = ".cell details.above-input"


def test_all_code_is_seen_on_request_and_on_the_next_page_too(page, fast_book):
    """Without asking, only the parameters have their fold."""
    parameters = ":is(.tag_parameters, .tag_injected-parameters)"
    for name in ("elbow", "verdict"):
        page.goto((fast_book.pages / "notebooks" / f"{name}.html").as_uri())
        button, folds = page.get_by_role("button", name="All code"), page.locator(FOLDS)
        assert folds.count() > page.locator(f"{parameters} > details").count() == 2
        if name == "elbow":
            assert button.get_attribute("aria-pressed") == "false"
            assert page.locator(f"{FOLDS}:visible").count() == 2
            assert page.locator(f"{parameters} > details:visible").count() == 2
            button.focus()
            page.keyboard.press("Enter")
        assert button.get_attribute("aria-pressed") == "true"
        # Those in solutions are seen where a solution is opened.
        outside = page.locator(f"{FOLDS}:not(.solution *)")
        assert page.locator(f"{FOLDS}:visible").count() == outside.count() < folds.count()
        assert page.locator(f"{FOLDS}[open]").count() == folds.count() - 2
    button.click()
    assert button.get_attribute("aria-pressed") == "false"
    assert page.locator(f"{FOLDS}:visible").count() == 2


def test_folds_are_there_without_scripts(browser, fast_book):
    page = browser.new_page(java_script_enabled=False)
    page.goto((fast_book.pages / "notebooks" / "elbow.html").as_uri())
    assert page.locator(f"{FOLDS}:visible").count() == page.locator(FOLDS).count() > 2
    page.close()


def test_the_name_of_a_fold_is_what_it_says(page, fast_book):
    page.goto((fast_book.pages / "notebooks" / "elbow.html").as_uri())
    assert page.locator("article summary[aria-label]").count() == 0
    fold = page.locator(".tag_parameters > details")
    assert fold.get_by_text("Change the parameters").is_visible()
    fold.locator("summary").click()
    assert fold.get_by_text("Hide the parameters").is_visible() and not fold.get_by_text("Change the").is_visible()


def test_mathematics_is_rendered(visit):
    formulas = {name: visit(name).formulas for name in PAGES}
    assert [name for name, drawn in formulas.items() if not all(drawn)] == []
    assert formulas["notebooks/silhouette_score"] and formulas["notebooks/score_versus_samples"]


def test_axe_finds_a_fault_that_is_there(page, fast_book):
    page.goto((fast_book.pages / "book" / "intro.html").as_uri())
    page.evaluate("document.querySelector('article').insertAdjacentHTML('beforeend', '<img src=\"x.png\">')")
    assert any(fault.startswith("image-alt") for fault in violations(page))


@pytest.mark.parametrize("over", ["file", "http"])
def test_search_finds_a_term(page, fast_book, server, over):
    address = server if over == "http" else fast_book.pages.as_uri()
    page.goto(f"{address}/search.html?q=Kneedle")
    results = page.locator("#search-results li a")
    results.first.wait_for(timeout=10_000)
    titles = " ".join(results.all_inner_texts())
    assert "elbow" in titles.lower()
    results.filter(has_text="elbow").first.click()
    page.wait_for_url("**/notebooks/elbow.html*")
    page.goto(f"{address}/search.html?q=zygomorphic")
    page.get_by_text("did not match any documents").wait_for(timeout=10_000)


def test_the_reader_can_change_the_theme(page, fast_book):
    page.goto((fast_book.pages / "book" / "intro.html").as_uri())
    themes = set()
    for _ in range(3):
        page.locator(".theme-switch-button:visible").first.click()
        themes.add(page.evaluate("document.documentElement.dataset.theme"))
    assert themes == {"light", "dark"}


@pytest.mark.parametrize("scheme", SCHEMES)
def test_charts_have_no_panel_and_legible_ink(page, fast_book, scheme):
    """The corner of a chart is the page's background, and its ink stands out from it."""
    page.emulate_media(color_scheme=scheme)
    page.goto((fast_book.pages / "notebooks" / "elbow.html").as_uri())
    chart = page.locator("img.chart").first
    pixels = np.asarray(Image.open(io.BytesIO(chart.screenshot())).convert("L"), dtype=int)
    background = page.evaluate("getComputedStyle(document.body).backgroundColor")
    expected = sum(map(int, background[background.index("(") + 1 : -1].split(",")[:3])) / 3
    assert abs(pixels[2, 2] - expected) < 6
    assert np.abs(pixels - expected).max() > 180


def test_photographs_are_not_turned_into_negatives(page, fast_book):
    page.emulate_media(color_scheme="dark")
    page.goto((fast_book.pages / "notebooks" / "silhouette_samples.html").as_uri())
    filters = "images => images.map(i => getComputedStyle(i).filter)"
    assert set(page.eval_on_selector_all("img.photographs", filters)) == {"none"}
    assert all("invert" in value for value in page.eval_on_selector_all("img.chart", filters))


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_notebook_can_be_downloaded_from_its_page(page, server, tmp_path, name):
    page.goto(f"{server}/notebooks/{name}.html")
    page.locator(".dropdown-download-buttons > button").click()
    with page.expect_download() as download:
        page.locator(".btn-download-source-button").click()
    download.value.save_as(tmp_path / f"{name}.ipynb")
    notebook = nbformat.read(tmp_path / f"{name}.ipynb", as_version=4)
    nbformat.validate(notebook)
    source = nbformat.read(ROOT / "notebooks" / f"{name}.ipynb", as_version=4)
    cells = [cell.source for cell in notebook.cells if "injected-parameters" not in cell.metadata.get("tags", [])]
    assert cells == [cell.source for cell in source.cells]


def test_downloaded_notebook_runs(fast_book, tmp_path):
    """From another folder, with the parameters that it was downloaded with: the same sentences as on its page."""
    downloaded = fast_book.pages / "_sources" / "notebooks" / "elbow.ipynb"
    output = tmp_path / "out.ipynb"
    subprocess.run(
        [sys.executable, "-m", "papermill", downloaded, output, "--no-progress-bar", "--cwd", tmp_path],
        env=os.environ | {"PYTHONPATH": str(ROOT)}, check=True, capture_output=True,
    )  # fmt: skip
    assert sentences(output) == sentences(downloaded) != []


def sentences(path) -> list[str]:
    """Collect the sentences of a notebook, without its last cell, which holds the run time."""
    outputs = [output for cell in nbformat.read(path, as_version=4).cells[:-1] for output in cell.get("outputs", [])]
    return [output.data["text/markdown"] for output in outputs if "text/markdown" in output.get("data", {})]
