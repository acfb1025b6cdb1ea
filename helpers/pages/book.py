"""Build the book: execute every notebook, put them together with the prose, and render all with Jupyter Book."""

from __future__ import annotations

import base64
import html
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections import deque
from collections.abc import Callable, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, wait
from functools import partial
from importlib import metadata
from pathlib import Path
from typing import Any

import pandas as pd
import yaml

from ..core.cache import cached
from ..core.conventions import ROOT, ParameterError
from ..core.files import write_atomically
from ..core.fingerprints import digest, source_digest
from ..core.runs import one_run
from ..criteria.table import DEEP
from ..figures.playground import build_playground
from ..figures.scores import SCORES_TITLE, build_scores_page
from ..images.backbones import backbone_key
from ..images.collection import ImageSet
from ..images.weights import file_sha256
from ..parameters import Parameters, parameter_table
from .execution import begin, execute_source, open_images
from .provenance import PAGE_HEIGHT, fact_table, framed_playground, framed_text, page_versions
from .sources import (
    NotebookError,
    clean_source,
    notebook_sources,
    notebooks_left_out,
    read_yaml,
    repository_url,
    used_parameters,
    values_in_cell,
)

_KEY_FILE = "book-key.txt"
_STAGED = {"_config.yml", "CITATION.cff", "book", "notebooks"}
# Notebooks executed at once: half of the time of one is spent on one core.
_AT_ONCE = 2
_SUBJECTS = {"imagenet-sample": "ImageNet sample"}  # data sets whose names are not written as people write them
_PROMPTS_OF_CHANGES = {
    "code_prompt_show": "The parameters that this book changes",
    "code_prompt_hide": "Hide the parameters that this book changes",
}
# As `download_links` writes it, in the text of a notebook's file.
_DOWNLOAD = re.compile(r'download=\\"([\w.-]+)\\" href=\\"data:application/octet-stream;base64,([\w+/=]*)\\"')
_PHOTOGRAPHS = "plots.plot_images("  # the call by which a cell shows photographs; other figures are charts


@one_run()
def build_book(
    parameters: Parameters,
    *,
    beside: Mapping[str, Parameters] | None = None,
    build_dir: Path = ROOT / "_build",
    stage_dir: Path = ROOT / "_stage",
    source_dir: Path = ROOT,
    say: Callable[[str], None] = print,
) -> Path:
    """Execute every notebook and build the HTML book, and others of other parameters beside it.

    Notebooks whose source, parameters, data, helpers and libraries have not changed are taken from the cache. The
    books are built beside the last good ones and replace them only when nothing failed.

    Parameters
    ----------
    parameters : Parameters
    beside : mapping of str to Parameters, optional
        Further books, by the names of their folders below that of the first. Every page then has links to the same
        page of the others.
    build_dir : Path
        The book is in its folder ``html``.
    stage_dir : Path
        Folder in which prose and executed notebooks are put together.
    source_dir : Path
        The repository, with `_config.yml`, `book` and `notebooks`.
    say : callable
        Called with each step's news, a sentence at a time.

    Returns
    -------
    Path
        Path of the first page.

    Raises
    ------
    ParameterError
        If the data do not allow the parameters, or a folder of a book has a name that the first book uses itself;
        nothing was executed then.
    NotebookError
        If a notebook breaks a rule or fails, an image or another file that it reads changes meanwhile, a page has a
        warning, or a folder that would be replaced is no book's.
    """
    from filelock import FileLock, Timeout

    books = {"": parameters, **(beside or {})}
    _check_names(books, source_dir)
    _check_replaced(build_dir, stage_dir)
    used = {path: used_parameters(path) for path in notebook_sources(source_dir)}
    images = {name: open_images(chosen, Parameters.model_fields) for name, chosen in books.items()}
    for opened in images.values():
        if opened.left_out:
            say(f"{len(opened.left_out):,} files are left out, which by their names are no images that are read")
    build_dir.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(build_dir / ".lock", timeout=0):
            for remark in [*notebooks_left_out(source_dir), *filter(None, map(values_in_cell, used))]:
                say(remark)
            shipped = _shipped(source_dir)
            check = partial(_check_shipped, shipped, source_dir)
            executed = {}
            for name, chosen in books.items():
                if len(books) > 1:
                    say(f"The book about {_subject(chosen)}:")
                own = _digest_of_images(chosen, images[name])
                data = {path: digest(shipped, own if "dataset" in used[path] else None) for path in used}
                executed[name] = _execute_all(used, chosen, data, build_dir, say, check)
            return _build_pages(executed, books, source_dir, build_dir, stage_dir, say)
    except Timeout:
        raise NotebookError(
            f"Another build is running in {build_dir}; wait for it, or name another --output."
        ) from None


def _check_names(books: Mapping[str, Parameters], source_dir: Path) -> None:
    """Refuse names of folders that would fall together with the first book's own, or lie elsewhere."""
    own = {path.name for path in source_dir.iterdir()}
    for name in books:
        if name and (name in own or not re.fullmatch(r"[a-zA-Z0-9][\w-]*", name)):
            raise ParameterError(
                f"The file of parameters {name}.yml would give its book this folder; its name must be letters, digits, "
                "hyphens and underscores, and no folder of the repository."
            )


def _subject(parameters: Parameters) -> str:
    """Say in a word or two what images a book is about."""
    name = Path(parameters.dataset.rpartition(":")[2]).name
    return _SUBJECTS.get(name, name.replace("-", " "))


def _check_replaced(build_dir: Path, stage_dir: Path) -> None:
    """Refuse to replace folders that hold anything else than an earlier build, whole or in part."""
    pages = build_dir / "html"
    foreign = [pages] if _names_in(pages) and not (pages / _KEY_FILE).is_file() else []
    foreign += [stage_dir] if _names_in(stage_dir) - _STAGED else []
    if foreign:
        raise NotebookError(
            f"{foreign[0]} is there and is not of an earlier build, which alone is replaced; name another --output."
        )


def _names_in(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()} if folder.is_dir() else set()


def _digest_of_images(parameters: Parameters, images: ImageSet) -> str:
    """Compute a digest of the images, and of the network with its weights unless the images come with its features."""
    chosen = parameters.backbone, parameters.weights
    return digest(images, None if images.comes_with(*chosen, parameters.precision) else backbone_key(*chosen))


def _shipped(source_dir: Path) -> dict[str, str]:
    """Compute the SHA-256 of each of the tables and features that are shipped and that chapters read, by path."""
    folders = source_dir / "book" / "data", Path(__file__).parents[1] / "images" / "data"
    files = [path for folder in folders for path in sorted(folder.glob("*"))]
    return {"/".join(path.parts[-3:]): file_sha256(path) for path in files}


def _check_shipped(before: dict[str, str], source_dir: Path) -> None:
    """Refuse what was executed while one of the shipped files was written."""
    now = _shipped(source_dir)
    for name in sorted(before.keys() | now.keys()):
        if before.get(name) != now.get(name):
            raise NotebookError(f"The file {name} has changed since this run began; run again.")


def _execute_all(
    used: dict[Path, list[str]],
    parameters: Parameters,
    data: dict[Path, str],
    build_dir: Path,
    say: Callable[[str], None],
    check: Callable[[], None],
) -> dict[str, str]:
    """Execute the notebooks, two at once, and return the texts of their files by name, in the order of `used`.

    `data` has a digest of what each of them reads, and `check` raises where it is no longer what there is.
    """
    versions = page_versions()
    numbers = {path: f"[{number}/{len(used)}] {path.name}" for number, path in enumerate(used, start=1)}

    def execute(path: Path) -> str:
        values = {name: value for name, value in parameters.changed().items() if name in used[path]}
        scheduler = {"scheduler": values.pop("scheduler")} if "scheduler" in values else {}
        ran: list[str] = []
        text = cached(
            execute_source,
            path.name,
            clean_source(path),
            values,
            data[path],
            versions,
            cache_dir=parameters.cache_dir,
            all_sources=True,  # the kernel imports the helpers on its own, so it may run any of them
            unkeyed={
                "scheduler": scheduler,
                "label": numbers[path],
                "failed_dir": build_dir / "failed",
                "ran": ran,
                "check": check,
            },
        ).text
        if not ran:
            say(f"{numbers[path]}: unchanged")
        return text

    texts = _call_for_each(execute, [path for path in used if "dataset" in used[path]], list(used))
    return {path.name: texts[path] for path in used}


def _call_for_each(execute: Callable[[Path], str], with_images: list[Path], paths: list[Path]) -> dict[Path, str]:
    """Call a function for each notebook, two at once, in an order that keeps both threads busy.

    The first notebook with images embeds them, and the others with images find the embeddings in the cache, so they
    wait for it. Those without images fill the other thread meanwhile, and beside the last long ones. After a failure
    no other notebook begins, and the one that is running ends first.
    """
    fillers = deque(path for path in paths if path not in with_images)
    others = deque(with_images)
    first = others.popleft() if others else fillers.popleft()
    texts: dict[Path, str] = {}
    running: dict[Future, Path] = {begin(execute, first): first}
    try:
        while len(texts) < len(paths):
            while len(running) < _AT_ONCE and (ready := fillers if first in running.values() else others or fillers):
                path = ready.popleft()
                running[begin(execute, path)] = path
            for future in wait(running, return_when=FIRST_COMPLETED).done:
                texts[running.pop(future)] = future.result()
    except Exception:
        wait(running)
        raise
    return texts


def _build_pages(
    executed: dict[str, dict[str, str]],
    books: Mapping[str, Parameters],
    source_dir: Path,
    build_dir: Path,
    stage_dir: Path,
    say: Callable,
) -> Path:
    """Render the books that have changed, the first one last, and put all in place when none has failed."""
    pages, sources = build_dir / "html", source_digest()
    # Themes and extensions change pages, too: another version of any installed package makes new pages.
    installed = sorted(f"{package.name} {package.version}" for package in metadata.distributions())
    with tempfile.TemporaryDirectory(dir=build_dir, prefix="pages-") as work:
        built = {}
        for name in reversed(list(books)):
            files = _stage_files(executed[name], books[name], source_dir, _switch(books, name))
            key = digest(sorted((path, digest(text.hex())) for path, text in files.items()), sources, installed)
            key_file = pages / name / _KEY_FILE
            if key_file.is_file() and key_file.read_text(encoding="utf-8") == key:
                continue
            _write_stage(files, stage_dir)
            built[name] = _run_jupyter_book(stage_dir, Path(work, f"book-{name}"), build_dir / "jupyter-book.log")
            (built[name] / _KEY_FILE).write_text(key, encoding="utf-8")
        if not built:
            say("Nothing has changed since the last build.")
        _put_in_place(built, pages, list(books), Path(work))
    return pages / "index.html"


def _switch(books: Mapping[str, Parameters], here: str) -> dict[str, Any]:
    """Describe the links between books for the extension that writes them: what each is about, and its folder."""
    if len(books) == 1:
        return {}
    subjects = [_subject(parameters) for parameters in books.values()]
    labels = {
        folder: subject if subjects.count(subject) == 1 else f"{subject} ({folder or 'first'})"
        for folder, subject in zip(books, subjects)
    }
    return {"books": labels, "this_book": here}


def _put_in_place(built: dict[str, Path], pages: Path, names: list[str], work: Path) -> None:
    """Replace the books that were built; those that were not stay, in their folders below that of the first."""
    for name in sorted(built):  # the first, which has no name, comes first
        for other in names if not name else []:
            if other and (pages / other).is_dir():
                os.rename(pages / other, built[name] / other)
        if (pages / name).exists():
            os.rename(pages / name, work / f"previous-{name}")
        os.rename(built[name], pages / name)


def _stage_files(
    executed: dict[str, str], parameters: Parameters, source_dir: Path, switch: Mapping[str, Any] | None = None
) -> dict[str, bytes]:
    """Put the files of the stage together, by the paths of their sources in the repository."""
    prose = [path for path in (source_dir / "book").rglob("*") if path.is_file()]
    files = {path.relative_to(source_dir).as_posix(): path.read_bytes() for path in prose}
    chapters = {}
    for name, text in executed.items():
        chapters[name], downloads = downloads_apart(_for_its_page(text))
        files |= {f"book/_static/export/{download}": content for download, content in downloads.items()}
    files |= {f"notebooks/{name}": text.encode() for name, text in chapters.items()}
    files["_config.yml"] = _config(source_dir / "_config.yml", switch or {})
    files["CITATION.cff"] = (source_dir / "CITATION.cff").read_bytes()
    files |= _slides(chapters) | _explorer(chapters) | _playground() | _scores(source_dir / "book" / "data")
    files["book/_generated/parameters.md"] = parameter_table().encode()
    files["book/_generated/this_book.md"] = _this_book(parameters).encode()
    return files


def _for_its_page(text: str) -> str:
    """Give the figures of an executed notebook captions and classes, and fold the cell of parameters that were set.

    Charts and photographs get different classes, because the dark theme inverts the lightness of charts only.
    """
    notebook = json.loads(text)
    for cell in notebook["cells"]:
        page = cell["metadata"].get("mystnb", {})
        if "image" in page:
            page.setdefault("figure", {"caption": page["image"]["alt"]})
            kind = "photographs" if _PHOTOGRAPHS in "".join(cell["source"]) else "chart"
            page["image"].setdefault("classes", kind)
        if "injected-parameters" in (tags := cell["metadata"].get("tags", [])):
            tags.append("hide-input")
            cell["metadata"]["mystnb"] = _PROMPTS_OF_CHANGES
    return json.dumps(notebook, indent=1)


def downloads_apart(text: str) -> tuple[str, dict[str, bytes]]:
    """Take the files out of the links of `download_links` in an executed notebook, and let these lead beside the pages.

    Returns
    -------
    text : str
        The notebook with the other links.
    files : dict of str to bytes
        Contents by name.
    """
    files = {name: base64.b64decode(data) for name, data in _DOWNLOAD.findall(text)}
    return _DOWNLOAD.sub(r'download=\\"\1\\" href=\\"../_static/export/\1\\"', text), files


def _config(path: Path, switch: Mapping[str, Any]) -> bytes:
    """Read the configuration, and add links to other books, and to the published repository if it has an address."""
    config = read_yaml(path.parent, path.name)
    config["sphinx"]["config"]["html_context"] |= switch
    if repository_url(config):
        config["html"] |= {"use_repository_button": True, "use_edit_page_button": True, "use_issues_button": True}
        config["launch_buttons"] = {
            "binderhub_url": "https://mybinder.org",
            "colab_url": "https://colab.research.google.com",
        }
    return yaml.safe_dump(config, sort_keys=False).encode()


def _this_book(parameters: Parameters) -> str:
    """Write the parameters of this book and the command that builds it, as blocks of HTML in a page of Markdown."""
    changed = {name: str(value) for name, value in parameters.changed().items()}
    command = f"python -m helpers book {parameters.as_options()}".strip()
    about = fact_table(changed) if changed else "Every parameter is at its default."
    return f"{about}\n\nThe command that builds this very book:\n\n{fact_table({'command': command})}\n"


def _explorer(chapters: dict[str, str]) -> dict[str, bytes]:
    """Take the explorer out of its chapter's frame, as a page on its own that can be handed out."""
    outputs = [
        _joined(output.get("data", {}).get("text/html", ""))
        for cell in json.loads(chapters.get("explorer.ipynb", '{"cells": []}'))["cells"]
        for output in cell.get("outputs", [])
    ]
    found = [re.search(r'<iframe title="Explorer[^"]*"[^>]* srcdoc="([^"]*)"', output) for output in outputs]
    pages = [html.unescape(frame[1]) for frame in found if frame]
    return {"book/_static/explorer.html": pages[0].encode()} if pages else {}


def _playground() -> dict[str, bytes]:
    """Write the playground on its own, and in a frame for its page."""
    page, frame = build_playground(deep=DEEP), framed_playground("negative", PAGE_HEIGHT).data
    framed = f'<div class="full-width">{frame}</div>'
    return {"book/_static/playground.html": page.encode(), "book/_generated/playground.html": framed.encode()}


def _scores(folder: Path) -> dict[str, bytes]:
    """Write the page for pasted scores on its own and in a frame, and what was measured for it."""
    nulls = json.loads((folder / "nulls.json").read_text(encoding="utf-8"))
    question = pd.read_csv(folder / "question.csv", index_col="n_clusters")["score"]
    page = build_scores_page(nulls, question.to_dict())
    framed = f'<div class="full-width">{framed_text(page, SCORES_TITLE, PAGE_HEIGHT).data}</div>'
    return {
        "book/_static/your_scores.html": page.encode(),
        "book/_generated/your_scores.html": framed.encode(),
        "book/_generated/nulls.md": (fact_table(_measured(nulls)) + "\n").encode(),
    }


def _measured(nulls: Mapping[str, Any]) -> dict[str, str]:
    """Describe the grid of data without clusters, and the error of interpolating in it."""
    words = {"n": "rows", "n_features": "features", "k": "k"}
    sizes = {words[name]: ", ".join(f"{value:,}" for value in nulls[name]) for name in words}
    errors = {
        f"error without one value of {words[name]}": f"{min(error['root mean square']):.3f} to "
        f"{max(error['root mean square']):.3f} in the root mean square, {error['largest']:.3f} at most"
        for name, error in nulls["error"].items()
    }
    n_clouds = nulls["provenance"]["settings"]["clouds of each size"].values()
    return sizes | {"clouds of each kind, by rows": ", ".join(map(str, n_clouds))} | errors


def _slides(chapters: dict[str, str]) -> dict[str, bytes]:
    """Collect what each cell tagged ``slide`` shows, as a file of Markdown by notebook and cell, and its pictures.

    `chapters` are executed notebooks, from `_for_its_page`; the page of slides includes the files.
    """
    files = {}
    for name, text in chapters.items():
        for cell in json.loads(text)["cells"]:
            if "slide" in cell["metadata"].get("tags", []):
                files |= _slide(f"_generated/slides/{Path(name).stem}-{cell['id']}", cell)
    return files


def _joined(text: str | list[str]) -> str:
    """Join a text that a notebook's file may hold in lines."""
    return "".join(text)


def _slide(path: str, cell: dict[str, Any]) -> dict[str, bytes]:
    """Write the outputs of a cell; a picture has no caption, since the slide has a message of its own."""
    files, lines = {}, []
    image = cell["metadata"].get("mystnb", {}).get("image", {})
    for number, data in enumerate((output["data"] for output in cell["outputs"] if "data" in output), start=1):
        if "image/png" in data:
            picture = f"{path}-{number}.png"
            files[f"book/{picture}"] = base64.b64decode(_joined(data["image/png"]))
            lines += [f"```{{image}} {picture}", f":class: {image.get('classes', 'chart')}"]
            lines += [f":alt: {image.get('alt', '')}", "```", ""]
        else:
            lines += [_joined(data.get("text/markdown", data.get("text/plain", ""))), ""]
    return files | {f"book/{path}.md": "\n".join(lines).encode()}


def _write_stage(files: dict[str, bytes], stage_dir: Path) -> None:
    shutil.rmtree(stage_dir, ignore_errors=True)
    for name, content in files.items():
        path = stage_dir / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


def _run_jupyter_book(stage_dir: Path, work: Path, log: Path) -> Path:
    """Build the staged book with warnings as errors and a progress bar, and return the folder of the pages."""
    from tqdm import tqdm

    command = [sys.executable, "-c", "from jupyter_book.cli.main import main; main()", "build", str(stage_dir)]
    command += ["--config", str(stage_dir / "_config.yml"), "--toc", str(stage_dir / "book" / "_toc.yml")]
    command += ["--path-output", str(work), "-W", "-n", "--keep-going"]
    lines: list[str] = []
    with (
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process,
        tqdm(total=200, desc="pages", bar_format="{desc} |{bar:20}| {elapsed}") as bar,
    ):
        assert process.stdout is not None
        for line in process.stdout:
            line = re.sub(r"\x1b\[[0-9;]*m", "", line)  # Sphinx colours its words for Jupyter Book, asked or not
            lines.append(line)
            bar.update(max(_progress(line) - bar.n, 0))
    write_atomically(log, lambda file: file.write("".join(lines).encode()))
    if process.returncode:
        faults = [line.strip() for line in lines if re.search(r"WARNING|ERROR|CRITICAL|[Ee]rror:", line)]
        report = ["The pages did not build; the last good book is still in place.", *dict.fromkeys(faults)]
        raise NotebookError("\n".join([*report, f"The whole output of Jupyter Book is in {log}."]))
    return work / "_build" / "html"


def _progress(line: str) -> int:
    """Read the progress from a line of Sphinx: up to 100 while it reads, up to 200 while it writes, else 0."""
    found = re.search(r"(reading|writing).*\[ *(\d+)%\]", line)
    return 0 if found is None else int(found[2]) + 100 * (found[1] == "writing")


def how_to_open(page: Path) -> str:
    """Say in two lines where the book is and how to open it."""
    return f"The book is at {page}\nOpen it with: {shlex.join([sys.executable, '-m', 'webbrowser', page.as_uri()])}"
