"""Pages of the built book as PDF, printed by a browser that is installed here."""

from __future__ import annotations

import os
import posixpath
import re
import shutil
import subprocess
import tempfile
import uuid
from pathlib import Path
from typing import TYPE_CHECKING

from ..core.conventions import ParameterError
from .sources import NotebookError

if TYPE_CHECKING:
    from bs4 import BeautifulSoup, Tag

_BROWSERS = (
    "chromium",
    "chromium-browser",
    "google-chrome",
    "google-chrome-stable",
    "chrome",
    "msedge",
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
    "/Applications/Chromium.app/Contents/MacOS/Chromium",
)
_LONGEST = 600  # seconds
_REFERS = ("aria-controls", "aria-describedby", "aria-labelledby", "for")


def find_browser() -> str:
    """Find a browser that prints without a window.

    Raises
    ------
    ParameterError
        If there is none.
    """
    found = next(filter(None, map(shutil.which, _BROWSERS)), None)
    if found is None:
        raise ParameterError(
            "Neither Chromium nor Chrome was found here, one of which prints the PDF; install one, or open the page in "
            "any browser and print it there."
        )
    return found


def print_pages(pages: Path, names: list[str], output: Path) -> Path:
    """Print pages of a built book into one PDF, in their order.

    Parameters
    ----------
    pages : Path
        The folder of the book, such as ``_build/html``.
    names : list of str
        Pages as the table of contents names them, such as ``notebooks/worksheet``.
    output : Path
        The file, which is replaced.

    Raises
    ------
    ParameterError
        If there is no browser, or no such page.
    NotebookError
        If the browser prints nothing.
    """
    browser = find_browser()
    missing = [name for name in names if not (pages / f"{name}.html").is_file()]
    if missing:
        raise ParameterError(
            f"There is no page {missing[0]} in {pages}; build the book first, and name pages as in book/_toc.yml, "
            "such as notebooks/worksheet."
        )
    joined = pages / f".print-{uuid.uuid4().hex}.html"  # here, since its style sheets and pictures are beside it
    try:
        joined.write_text(join_pages(pages, names), encoding="utf-8")
        _print(browser, joined, output)
    finally:
        joined.unlink(missing_ok=True)
    return output


def join_pages(pages: Path, names: list[str]) -> str:
    """Join the articles of pages into one page for the book's folder; links among them lead from one to the other."""
    from bs4 import BeautifulSoup

    soups = {name: BeautifulSoup((pages / f"{name}.html").read_text("utf-8"), "html.parser") for name in names}
    shell = BeautifulSoup((pages / f"{names[0]}.html").read_text("utf-8"), "html.parser")
    _relocate(shell.head, names[0])
    shell.body.clear()  # what is beside the articles, even if it is hidden, would begin a sheet of its own
    place = shell.body
    for kind in ("bd-main", "bd-content", "bd-article-container"):  # for the theme's rules
        place.append(shell.new_tag("div", attrs={"class": kind}))
        place = place.div
    place.extend(_article(soup, name, names) for name, soup in soups.items())
    shell.html["data-theme"] = shell.html["data-mode"] = "light"
    return str(shell)


def _article(soup: BeautifulSoup, name: str, names: list[str]) -> Tag:
    """Take the article out of a page, with names of its own for its places."""
    article = soup.find("article")
    for script in article.find_all("script"):
        script.decompose()
    _relocate(article, name)
    for tag in article.find_all(True):
        if tag.get("id"):
            tag["id"] = _place(name, tag["id"])
        for refers in _REFERS:
            if tag.get(refers):
                tag[refers] = " ".join(_place(name, one) for one in tag[refers].split())
    for link in article.find_all("a", href=True):
        link["href"] = _within(link["href"], name, names)
    article["id"] = _place(name, "")
    article["class"] = [*article.get("class", []), "printed"]
    return article


def _place(name: str, anchor: str) -> str:
    """Name a place of a page among those of all pages."""
    return f"{re.sub(r'[^a-z0-9]', '-', name.lower())}--{anchor}"


def _relocate(element: Tag, name: str) -> None:
    """Let relative addresses start at the folder of the book instead of the folder of a page."""
    for attribute in ("src", "href"):
        for tag in element.find_all(attrs={attribute: True}):
            address = tag[attribute]
            if not re.match(r"[a-z]+:|#|//|$", address):
                tag[attribute] = posixpath.normpath(posixpath.join(posixpath.dirname(name), address))


def _within(address: str, name: str, names: list[str]) -> str:
    """Turn a link to one of the pages into one to its place; others stay as they are."""
    path, hash_, anchor = address.partition("#")
    page = name if not path else path.removesuffix(".html")
    return f"#{_place(page, anchor)}" if page in names and (hash_ or path) else address


def _print(browser: str, page: Path, output: Path) -> None:
    """Let a browser print a page."""
    output.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as profile:
        printed = Path(profile, "printed.pdf")
        command = [browser, "--headless", "--disable-gpu", f"--user-data-dir={profile}", f"--print-to-pdf={printed}"]
        command += ["--no-pdf-header-footer", "--generate-pdf-document-outline", "--virtual-time-budget=120000"]
        if hasattr(os, "geteuid") and os.geteuid() == 0:
            command.append("--no-sandbox")  # which the system's administrator cannot have
        try:
            subprocess.run([*command, page.resolve().as_uri()], capture_output=True, timeout=_LONGEST)
        except subprocess.TimeoutExpired:
            raise NotebookError(f"{browser} did not print within {_LONGEST} seconds; try fewer pages.") from None
        if not printed.is_file():
            raise NotebookError(f"{browser} printed nothing; open the page in a browser and print it there.")
        shutil.copyfile(printed, output)
