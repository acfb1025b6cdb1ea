"""Fixtures and helpers that several test modules share: small books, built once."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from helpers.core.conventions import ROOT
from helpers.images.datasets import load_images
from helpers.pages.book import build_book
from helpers.parameters import Parameters, load_parameters


@dataclass(frozen=True)
class Book:
    """A built book: its parameters, its pages, and its stage with the executed notebooks."""

    parameters: Parameters
    pages: Path
    stage: Path
    said: list[str]


def build(folder: Path, parameters: Parameters, source_dir: Path = ROOT) -> Book:
    """Build a book in a folder of its own."""
    said: list[str] = []
    build_book(parameters, build_dir=folder, stage_dir=folder / "stage", source_dir=source_dir, say=said.append)
    return Book(parameters, folder / "html", folder / "stage", said)


def copied_sources(folder: Path) -> Path:
    """Copy what a book is made from, for breaking it."""
    copy = folder / "sources"
    for name in ("book", "notebooks"):
        shutil.copytree(ROOT / name, copy / name, ignore=shutil.ignore_patterns(".*", "__pycache__"))
    for name in ("_config.yml", "CITATION.cff", "README.md"):
        shutil.copy(ROOT / name, copy)
    return copy


def pytest_configure():
    """Give each test process one thread of BLAS and OpenMP: more would compete for the same processors.

    Processes started from here inherit it; with ``-n 0`` only those that the tests start do.
    """
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        os.environ.setdefault(name, "1")


@pytest.hookimpl(tryfirst=True)  # xdist reads the marks in a hook of this name
def pytest_collection_modifyitems(items):
    """Keep the tests of a book in one process, so that the book is built once."""
    for item in items:
        chosen = item.callspec.params.get("book") if hasattr(item, "callspec") else None
        for book in ("fast_book", "second_book"):
            if book == chosen or book in item.fixturenames:
                item.add_marker(pytest.mark.xdist_group(book))


@pytest.fixture(scope="session")
def cache_dir(tmp_path_factory) -> str:
    """Give this process a cache of its own, so that no result of an earlier session is taken for a new one."""
    return str(tmp_path_factory.mktemp("cache"))


@pytest.fixture(scope="session")
def own_images(tmp_path_factory) -> Path:
    """Write photographs to files, in a folder with a space in its name."""
    folder = tmp_path_factory.mktemp("own images")
    images = load_images("solar-cells", n_images=160, random_state=1)
    for i in range(len(images)):
        images.open(i).save(folder / f"{images.names[i]}.png")
    return folder


@pytest.fixture(scope="session")
def choices(cache_dir, own_images) -> dict[str, Parameters]:
    """Load the parameters of the two small books: other images, other choices."""
    fast, second = (ROOT / "params" / name for name in ("fast.yml", "second.yml"))
    return {
        "fast": load_parameters(fast, cache_dir=cache_dir),
        "second": load_parameters(second, dataset=f"folder:{own_images}", cache_dir=cache_dir),
    }


@pytest.fixture(scope="session")
def fast_book(tmp_path_factory, choices) -> Book:
    """Build the book of params/fast.yml."""
    return build(tmp_path_factory.mktemp("fast"), choices["fast"])


def run(*command) -> str:
    """Run a module of Python from the repository as a person would, and return its output."""
    finished = subprocess.run([sys.executable, "-m", *map(str, command)], cwd=ROOT, capture_output=True, text=True)
    assert finished.returncode == 0, finished.stderr[-2000:]
    return finished.stdout


@pytest.fixture(scope="session")
def second_book(tmp_path_factory, choices) -> Book:
    """Build the book of params/second.yml about a folder of images, by the command."""
    folder = tmp_path_factory.mktemp("second")
    (folder / "mine.yml").write_text(yaml.safe_dump(choices["second"].changed()), encoding="utf-8")
    said = run("helpers", "book", "-f", folder / "mine.yml", "-o", folder)
    return Book(choices["second"], folder / "html", folder / "stage", said.splitlines())


@pytest.fixture(scope="session")
def browser():
    """Start Chromium, driven by Playwright; without them tests are skipped, but fail where CI asks for them."""
    program = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    try:
        from playwright.sync_api import sync_playwright
    except ModuleNotFoundError:
        program = None
    if program is None:
        (pytest.fail if os.environ.get("CI") else pytest.skip)("Chromium or the package playwright is not installed.")
    quiet = ("background-networking", "component-update", "gpu", "quic", "sync")
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(
            executable_path=program,
            args=["--no-sandbox", "--no-first-run", *(f"--disable-{feature}" for feature in quiet)],
        )
        yield chromium
        chromium.close()


@pytest.fixture
def tab(browser):
    """Give a function that opens a page and watches it: no error, and no request that leaves the machine."""
    wrong, requests, contexts = [], [], []

    def open_page(address, **options):
        contexts.append(browser.new_context(**{"viewport": {"width": 1100, "height": 900}, **options}))
        page = contexts[-1].new_page()
        page.on("console", lambda message: wrong.append(message.text) if message.type in ("error", "warning") else None)
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.on("request", lambda request: requests.append(request.url))
        page.goto(address)
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert wrong == []
    assert (
        requests
        and [address for address in requests if not address.startswith(("file:", "data:", "blob:", "about:"))] == []
    )


def violations(page) -> list[str]:
    """List the accessibility faults that axe calls serious or critical."""
    from axe_playwright_python.sync_playwright import Axe

    # Preloading style sheets is for the rules on media; from the disk it would fail, and say so in the console.
    found = Axe().run(page, options={"resultTypes": ["violations"], "preload": False}).response["violations"]
    return [
        f"{fault['id']}: {node['html'][:160]} {node['failureSummary']}"
        for fault in found
        if fault["impact"] in ("serious", "critical")
        for node in fault["nodes"]
    ]
