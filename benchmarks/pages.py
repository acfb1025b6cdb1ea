"""Weight and load time of every page of the built book in Chromium, and the addresses outside that it links to.

python -m benchmarks.pages [FOLDER]         default: _build/html
"""

from __future__ import annotations

import shutil
import statistics
import sys
from pathlib import Path

from playwright.sync_api import Browser, sync_playwright

from helpers.core.conventions import ROOT

from .timing import show

REPEATS = 3


def measure(browser: Browser, path: Path) -> tuple[dict, list[str]]:
    """What a page loads, how long until it is loaded (a fresh browser profile each time), and its links outside."""
    times = []
    for _ in range(REPEATS):
        context = browser.new_context(viewport={"width": 1280, "height": 900})
        page = context.new_page()
        weights: list[int] = []
        page.on("requestfinished", lambda request, weights=weights: weights.append(size(request.url)))
        page.goto(path.as_uri(), wait_until="load")
        times.append(page.evaluate("performance.getEntriesByType('navigation')[0].loadEventEnd"))
        outside = page.eval_on_selector_all("a[href^=http]", "links => links.map(link => link.href)")
        context.close()
    row = {"page": path.stem, "files": len(weights), "kB": sum(weights) / 1000, "ms": statistics.median(times)}
    return row, outside


def size(address: str) -> int:
    """The bytes behind an address on the disk."""
    path = Path(address.removeprefix("file://").partition("?")[0])
    return path.stat().st_size if address.startswith("file:") else 0


def main() -> None:
    """Measure and print."""
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "_build" / "html"
    # The theme keeps templates among its static files, and the book's index.html leads on to the first page.
    found = sorted(path for path in folder.rglob("*.html") if "_static" not in path.parts)
    pages = [path for path in found if path != folder / "index.html"]
    if not pages:
        sys.exit(f"error: there is no book in {folder}; build it with `make book`.")
    rows, links = [], set()
    with sync_playwright() as playwright:
        program = shutil.which("chromium") or shutil.which("google-chrome")
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox", "--disable-gpu"])
        for path in pages:
            row, outside = measure(browser, path)
            rows.append(row)
            links |= set(outside)
        browser.close()
    show(rows)
    print("\nLinks outside, not followed:", *sorted(links), sep="\n  ")


if __name__ == "__main__":
    main()
