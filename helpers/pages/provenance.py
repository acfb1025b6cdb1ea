"""What a notebook calls to show something on its page: where its numbers come from, a figure, another page."""

from __future__ import annotations

import base64
import html
import io
import shutil
import subprocess
import time
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

from ..core.conventions import ROOT
from ..core.fingerprints import library_versions, source_digest
from ..criteria.table import DEEP
from ..figures.playground import PRESETS, build_playground
from ..images.backbones import backbone_credit
from ..images.collection import ImageSet
from ..images.registry import find_dataset
from ..parameters import Parameters

if TYPE_CHECKING:
    from IPython.display import HTML
    from matplotlib.figure import Figure

# Height of a frame that holds a page of several panes, as style sheets have it.
PAGE_HEIGHT = "clamp(42rem, 88vh, 60rem)"
# The classes by which MathJax leaves a text alone.
_AS_IT_IS = "tex2jax_ignore mathjax_ignore"
# The tools that draw, execute and render: pages depend on them, numbers do not.
_PAGE_LIBRARIES = (
    "altair",
    "ipykernel",
    "jupyter-book",
    "matplotlib",
    "myst-nb",
    "nbformat",
    "papermill",
    "seaborn",
    "sphinx",
    "vl-convert-python",
)


def provenance(notebook: str, parameters: Parameters, images: ImageSet | str, n_skipped: int = 0) -> HTML:
    """Write where the numbers of a notebook come from, as a table for its end.

    Parameters
    ----------
    notebook : str
        The file name of the notebook. `python -m helpers sync` writes it into the notebook, because papermill and
        nbclient do not tell it to the kernels that they start.
    parameters : Parameters
        The parameters of this run.
    images : ImageSet or str
        The images, or words that say what else the numbers are about.
    n_skipped : int
        Number of images that could not be read.

    Returns
    -------
    HTML
        A table of command, parameters, data, versions and run time.
    """
    import psutil
    from IPython.display import HTML

    command = f"python -m helpers run notebooks/{notebook} {parameters.as_options()}".strip()
    versions = library_versions() | page_versions()
    seconds = time.time() - psutil.Process().create_time()
    used = {name: value for name, value in parameters if name in parameters.model_fields_set}
    rows = {
        "command": command,
        "parameters": ", ".join(f"{name} = {value}" for name, value in used.items()),
        "data": images if isinstance(images, str) else _described(images, n_skipped),
        "code": _revision(),
        "versions": ", ".join(f"{name} {version}" for name, version in versions.items()),
        "run time": f"{seconds:.0f} s since the kernel started",
    }
    if not isinstance(images, str):
        own = "" if find_dataset(parameters.dataset).features_are else f" {backbone_credit(parameters.backbone)}"
        rows["credit"] = f"{images.credit or 'Images: your own'}.{own}"
    return HTML(fact_table(rows))


def plain_text(text: str) -> HTML:
    """Show a paragraph as it is, since names of files may hold anything that Markdown or HTML would read."""
    from IPython.display import HTML

    return HTML(f'<p class="{_AS_IT_IS}">{_as_text(text)}</p>')


def fact_table(facts: dict[str, str]) -> str:
    """Write facts as a table of HTML with a row for each, in which every text is shown as it is; long ones are folded.

    Paths and parameters may hold anything that Markdown, its extensions, mathematics or HTML would read. The table is
    one line, so that it can stand in a page of Markdown, too.

    Parameters
    ----------
    facts : dict of str to str
    """
    folds = {
        "versions": f"{facts.get('versions', '').count(', ') + 1} libraries",
        "credit": "of the images and the network",
    }
    cells = {name: _folded(folds[name], text) if name in folds else _as_text(text) for name, text in facts.items()}
    rows = [f'<tr><th scope="row">{_as_text(name)}</th><td>{cell}</td></tr>' for name, cell in cells.items()]
    return f'<table class="facts {_AS_IT_IS}"><tbody>{"".join(rows)}</tbody></table>'


def _folded(summary: str, text: str) -> str:
    """Write a text of which only the summary is seen until it is opened."""
    return f"<details><summary>{summary}</summary>{_as_text(text)}</details>"


def _as_text(text: str) -> str:
    """Write a text in HTML so that it is shown as it is, in one line."""
    return "".join(letter if letter.isprintable() else f"&#{ord(letter)};" for letter in html.escape(text))


def _described(images: ImageSet, n_skipped: int) -> str:
    """Describe images in a line."""
    return f"{images.dataset}: {len(images):,} images, {n_skipped:,} skipped, SHA-256 {images.fingerprint[:16]}…"


def figure_html(figure: Figure, alt: str, caption: str | None = None, *, photographs: bool = False) -> HTML:
    """Turn a figure into HTML with a text alternative and a caption, for gluing on another page.

    myst-nb gives a figure that is glued on another page no text alternative, and no file if its cell is hidden.

    Parameters
    ----------
    figure : Figure
    alt : str
        The text alternative: what is there.
    caption : str, optional
        What is to be seen; by default the text alternative.
    photographs : bool
        Whether it shows photographs, which the dark theme leaves as they are, and not a chart.
    """
    from IPython.display import HTML

    buffer = io.BytesIO()
    figure.savefig(buffer, format="png")
    data = base64.b64encode(buffer.getvalue()).decode()
    kind, words = "photographs" if photographs else "chart", html.escape(alt if caption is None else caption)
    image = f'<img class="{kind}" src="data:image/png;base64,{data}" alt="{html.escape(alt)}">'
    return HTML(f"<figure>{image}<figcaption><p>{words}</p></figcaption></figure>")


def download_links(files: Mapping[str, bytes]) -> HTML:
    """Write links that hold files, so that a page offers them wherever it is opened.

    In a book, the build puts the files beside the pages, see `helpers.pages.book.downloads_apart`.

    Parameters
    ----------
    files : mapping of str to bytes
        Contents by name; a name has letters, digits, dots, hyphens and underscores.
    """
    from IPython.display import HTML

    links = []
    for name, content in files.items():
        data, size = base64.b64encode(content).decode(), f"{max(1, round(len(content) / 1000)):,} kB"
        links.append(f'<a download="{name}" href="data:application/octet-stream;base64,{data}">{name}</a> ({size})')
    return HTML(f'<p class="downloads">{" · ".join(links)}</p>')


def framed_page(path: Path, title: str) -> HTML:
    """Put a self-contained page into a frame that holds its whole text, so that it is part of the executed notebook.

    Parameters
    ----------
    path : Path
        The page, a file of HTML.
    title : str
        Name of the frame, for screen readers.
    """
    return framed_text(path.read_text(encoding="utf-8"), title, PAGE_HEIGHT)


def framed_playground(preset: str, height: str = "35rem") -> HTML:
    """Put the playground into a frame, open at one of its presets.

    Parameters
    ----------
    preset : str
        A name in `helpers.figures.playground.PRESETS`.
    height : str
        Height of the frame, as style sheets have it.

    Raises
    ------
    ValueError
        If there is no such preset.
    """
    page = build_playground(deep=DEEP, opens_at=preset)
    return framed_text(page, f"Playground: {PRESETS[preset].title}", height)


def framed_text(page: str, title: str, height: str) -> HTML:
    """Put the text of a self-contained page of HTML into a frame.

    Parameters
    ----------
    page : str
    title : str
        Name of the frame, for screen readers.
    height : str
        Height of the frame, as style sheets have it.
    """
    from IPython.display import HTML

    style = f"border: 1px solid #88888880; box-sizing: border-box; height: {height}; width: 100%"
    # IPython warns of HTML that begins with a frame, hence the line before it.
    return HTML(f'\n<iframe title="{html.escape(title)}" style="{style}" srcdoc="{html.escape(page)}"></iframe>')


def page_versions() -> dict[str, str]:
    """Look up the versions of the tools that draw, execute and render."""
    return {name: metadata.version(name) for name in _PAGE_LIBRARIES}


def _revision() -> str:
    """Name the commit of the checkout, and a digest of the helpers' sources, which shows uncommitted changes."""
    sources = f"helpers SHA-256 {source_digest()[:16]}…"
    if not shutil.which("git"):
        return sources
    git = subprocess.run(
        ["git", "-C", str(ROOT), "describe", "--always", "--dirty", "--abbrev=12"], capture_output=True, text=True
    )
    return f"commit {git.stdout.strip()}, {sources}" if git.returncode == 0 else sources
