"""Notebooks and the book: checked, executed with papermill, built with Jupyter Book.

The one module that knows that notebooks exist. What a notebook itself calls from here is `provenance`.
"""

from __future__ import annotations

import ast
import base64
import hashlib
import html
import io
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from .backbones import backbone_credit, backbone_key
from .cache import cached, digest, library_versions, source_digest, write_atomically
from .datasets import load_study_images
from .images import ImageSet
from .parameters import ROOT, ParameterError, Parameters, nearest_name, parameter_table
from .scheduling import LOCAL, use_scheduler

if TYPE_CHECKING:
    from IPython.display import HTML, Markdown
    from matplotlib.figure import Figure
    from nbformat import NotebookNode

# The tools that draw, execute and render: a page depends on them, and the computation does not.
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
_KEY_FILE = "book-key.txt"
# Notebooks executed at once: half of what one does runs on one core.
_AT_ONCE = 2
_PHOTOGRAPHS = "plots.plot_images("  # what a cell calls to show them; the other figures are charts


class NotebookError(RuntimeError):
    """A notebook breaks a rule or failed, or the book did not build; the message says which, where and why."""


@dataclass(frozen=True)
class ExecutedNotebook:
    """An executed notebook as the text of its file."""

    text: str


# --- checking ---------------------------------------------------------------------------------------------------------


def notebook_sources(folder: Path = ROOT / "notebooks") -> list[Path]:
    """The notebooks of the book, in the order in which they are read."""
    return sorted(path for path in folder.glob("*.ipynb") if not path.name.startswith("."))


def check_notebook(path: Path) -> list[str]:
    """Hold a notebook's source against the rules of the house.

    A source has no outputs or execution counts, and one cell tagged ``parameters`` whose names, annotations and
    defaults are those of `Parameters`, each with a comment.

    Parameters
    ----------
    path : Path

    Returns
    -------
    list of str
        The names of its parameters.

    Raises
    ------
    NotebookError
        At the first broken rule.
    """
    notebook = _read_notebook(path)
    for number, cell in enumerate(notebook.cells, start=1):
        if cell.get("outputs") or cell.get("execution_count"):
            raise NotebookError(f"{path.name}: cell {number} holds outputs; clear them, sources are kept without.")
    tagged = [cell for cell in notebook.cells if "parameters" in cell.metadata.get("tags", [])]
    if len(tagged) != 1:
        raise NotebookError(f"{path.name}: {len(tagged)} cells are tagged 'parameters'; there must be exactly one.")
    return [_check_parameter(path, line) for line in tagged[0].source.splitlines()]


def _read_notebook(path: Path) -> NotebookNode:
    import nbformat

    try:
        return nbformat.read(path, as_version=4)
    except FileNotFoundError:
        raise NotebookError(f"There is no notebook {path}.") from None
    except Exception as error:  # nbformat raises its own kinds, json's and os's
        reason = str(error).strip().splitlines() or [type(error).__name__]
        raise NotebookError(f"{path} cannot be read as a notebook: {reason[0]}.") from None


def _check_parameter(path: Path, line: str) -> str:
    """Check a line ``name: annotation = default  # comment`` of a parameter cell and return the name."""
    form = f"{path.name}: the parameter line {line!r}"
    try:
        statement = ast.parse(line).body[0]
        if not (isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name)):
            raise ValueError("another kind of statement")
        name, default = statement.target.id, ast.literal_eval(statement.value)  # type: ignore[arg-type]
    except (SyntaxError, IndexError, ValueError, TypeError):
        raise NotebookError(f"{form} must have the form `name: type = value  # meaning`.") from None
    if name not in Parameters.model_fields:
        known = list(Parameters.model_fields)
        raise NotebookError(f"{form} names no parameter{nearest_name(name, known)} known are {', '.join(known)}.")
    field = Parameters.model_fields[name]
    annotation = _annotation(name)
    if ast.unparse(statement.annotation).strip("'\"") != annotation:
        raise NotebookError(f"{form} must be annotated {annotation}, as in helpers/parameters.py.")
    if type(default) is not type(field.default) or default != field.default:
        raise NotebookError(f"{form} must have the default {field.default!r}, as in helpers/parameters.py.")
    if "#" not in line:
        raise NotebookError(f"{form} must end in a comment that says what it means.")
    return name


def _annotation(name: str) -> str:
    """The annotation of a field in a form that papermill can read: it knows no ``|`` and no ``Literal``."""
    text = str(Parameters.__annotations__[name])
    if text.startswith("Literal"):
        return "str"
    base, _, none = text.partition(" | ")
    return f"Optional[{base}]" if none else base


# --- running ----------------------------------------------------------------------------------------------------------


def run_notebook(path: Path, output: Path, parameters: Parameters, *, label: str = "") -> Path:
    """Check a notebook and its parameters strictly, execute it with papermill, and write the result.

    Parameters
    ----------
    path : Path
        The source.
    output : Path
        Where the executed notebook goes. It is written after each cell, so a failed run can be looked at.
    parameters : Parameters
        Those that the notebook declares are given to it.
    label : str
        What the progress bar calls it.

    Returns
    -------
    Path
        `output`.

    Raises
    ------
    ParameterError
        If the data set cannot be opened or is too small for the parameters; nothing was executed then.
    NotebookError
        If the source breaks a rule or a cell fails.
    """
    names = check_notebook(path)
    open_images(parameters, names)
    values = {name: value for name, value in parameters.changed().items() if name in names}
    return _execute(path, output, values, label or path.name)


def open_images(parameters: Parameters, names: Iterable[str]) -> ImageSet:
    """Open the data set of a study and check, before anything is executed, that it can carry what `names` it uses.

    Of the parameters `names`; among them the scheduler, which must be there.
    """
    if "scheduler" in names and parameters.scheduler != LOCAL:
        # Each notebook uses it from a process of its own; here it is only tried.
        use_scheduler(parameters.scheduler, cache_dir=parameters.cache_dir)
        use_scheduler("")
    images = load_study_images(parameters)
    if "k_max" in names:
        parameters.check_images(len(images))
    return images


def check_used(names: Iterable[str], paths: Iterable[Path]) -> None:
    """Refuse a parameter that none of the notebooks has."""
    declared = {name for path in paths for name in check_notebook(path)}
    for name in names:
        if name not in declared:
            known = ", ".join(known for known in Parameters.model_fields if known in declared)
            raise ParameterError(f"{name} is a parameter of none of the notebooks named; theirs are {known}.")


def _execute(path: Path, output: Path, values: dict[str, Any], label: str) -> Path:
    import papermill
    from nbclient.exceptions import DeadKernelError

    output.parent.mkdir(parents=True, exist_ok=True)
    try:
        papermill.execute_notebook(
            path,
            output,
            parameters=values,
            kernel_name="python3",
            cwd=ROOT,
            stderr_file=sys.stderr,  # the progress of long cells
            extra_arguments=["--log-level=40"],  # without the kernel's remarks between the progress bars
            progress_bar={"desc": label, "bar_format": "{desc}: cell {n_fmt} of {total_fmt} |{bar:20}| {elapsed}"},
        )
    except papermill.PapermillExecutionError as error:
        line = next((line for line in error.source.splitlines() if line.strip()), "")
        # Counted as in the source, which has no cell of injected parameters.
        number = error.cell_index + 1 - bool(values)
        cause = f"{error.ename}: {error.evalue}".rstrip(". :")
        raise NotebookError(
            f"{path.name} failed in cell {number} (`{line}`): {cause}. What it had done is in {output}."
        ) from None
    except DeadKernelError:
        raise NotebookError(f"{path.name} failed: its kernel died, perhaps for want of memory.") from None
    return output


def execute_source(
    name: str,
    source: str,
    values: dict[str, Any],
    data: str,
    versions: dict[str, str],
    *,
    scheduler: dict[str, str],
    label: str,
    failed_dir: Path,
    ran: list[str],
) -> ExecutedNotebook:
    """Execute the text of a notebook; `cached` keeps the result, keyed by the text, the values and the data.

    `data` is a digest of the images, of the weights and of the tables that chapters read.

    `scheduler` is further values, and not in the key, since the results are the same wherever they are computed.
    `ran` is told the name, so that the caller knows what was executed and what was found.
    """
    ran.append(name)
    with tempfile.TemporaryDirectory() as folder:
        path, output = Path(folder, name), Path(folder, "out", name)
        path.write_text(source, encoding="utf-8")
        try:
            _execute(path, output, values | scheduler, label)
        except NotebookError as error:
            kept = failed_dir / name
            failed_dir.mkdir(parents=True, exist_ok=True)
            if output.exists():
                shutil.copyfile(output, kept)
            raise NotebookError(str(error).replace(str(output), str(kept))) from None
        return ExecutedNotebook(output.read_text(encoding="utf-8"))


# --- provenance -------------------------------------------------------------------------------------------------------


def provenance(notebook: str, parameters: Parameters, images: ImageSet | str, n_skipped: int = 0) -> Markdown:
    """Where the numbers of a notebook come from, as a table for its end.

    Parameters
    ----------
    notebook : str
        The file name of the notebook.
    parameters : Parameters
        As the notebook was given them.
    images : ImageSet or str
        The images, or in words what else the numbers are about.
    n_skipped : int
        Images that could not be read.

    Returns
    -------
    Markdown
        Command, parameters, data, versions and run time.
    """
    import psutil
    from IPython.display import Markdown

    command = f"python -m helpers run notebooks/{notebook} {parameters.as_options()}".strip()
    versions = library_versions() | page_versions()
    seconds = time.time() - psutil.Process().create_time()
    used = {name: value for name, value in parameters if name in parameters.model_fields_set}
    rows = {
        "command": f"`{command}`",
        "parameters": ", ".join(f"{name} = {value}" for name, value in used.items()),
        "data": images if isinstance(images, str) else _described(images, n_skipped),
        "code": _revision(),
        "versions": ", ".join(f"{name} {version}" for name, version in versions.items()),
        "run time": f"{seconds:.0f} s since the kernel started",
    }
    if not isinstance(images, str):
        rows["credit"] = f"{images.credit or 'Images: your own'}. {backbone_credit(parameters.backbone)}"
    lines = [f"| {name} | {text.replace('|', chr(92) + '|')} |" for name, text in rows.items()]
    return Markdown("\n".join(["| | |", "| --- | --- |", *lines]))


def _described(images: ImageSet, n_skipped: int) -> str:
    return f"{images.dataset}: {len(images)} images, {n_skipped} skipped, SHA-256 {images.fingerprint[:16]}…"


def figure_html(figure: Figure, alt: str) -> HTML:
    """A chart with a text alternative that is its caption, too, for gluing on another page.

    There myst-nb would give a glued figure no text alternative, and no file where the cell of origin is hidden.
    """
    from IPython.display import HTML

    buffer = io.BytesIO()
    figure.savefig(buffer, format="png")
    data = base64.b64encode(buffer.getvalue()).decode()
    words = html.escape(alt)
    image = f'<img class="chart" src="data:image/png;base64,{data}" alt="{words}">'
    return HTML(f"<figure>{image}<figcaption><p>{words}</p></figcaption></figure>")


def framed_page(path: Path, title: str) -> HTML:
    """A self-contained page in a frame, text and all, so that it travels inside the executed notebook."""
    from IPython.display import HTML

    page, title = html.escape(path.read_text(encoding="utf-8")), html.escape(title)
    style = "border: 1px solid #88888880; height: 88vh; min-height: 32rem; width: 100%"
    # What begins with a frame IPython takes for a mistake, hence the line before it.
    return HTML(f'\n<iframe title="{title}" style="{style}" srcdoc="{page}"></iframe>')


def page_versions() -> dict[str, str]:
    """The versions of the tools that draw and render."""
    return {name: metadata.version(name) for name in _PAGE_LIBRARIES}


def _revision() -> str:
    """The commit of the checkout and a digest of the helpers' sources, which also tells uncommitted changes apart."""
    sources = f"helpers SHA-256 {source_digest('notebooks')[:16]}…"
    if not shutil.which("git"):
        return sources
    git = subprocess.run(
        ["git", "-C", str(ROOT), "describe", "--always", "--dirty", "--abbrev=12"], capture_output=True, text=True
    )
    return f"commit {git.stdout.strip()}, {sources}" if git.returncode == 0 else sources


# --- the book ---------------------------------------------------------------------------------------------------------


def build_book(
    parameters: Parameters,
    *,
    build_dir: Path = ROOT / "_build",
    stage_dir: Path = ROOT / "_stage",
    source_dir: Path = ROOT,
    say: Callable[[str], None] = print,
) -> Path:
    """Execute every notebook and build the HTML book.

    Notebooks whose source, parameters, data, helpers and libraries have not changed are taken from the cache. The
    book is built beside the last good one and replaces it only when nothing failed.

    Parameters
    ----------
    parameters : Parameters
    build_dir : Path
        The book is in its folder ``html``.
    stage_dir : Path
        Where prose and executed notebooks are put together.
    source_dir : Path
        The repository, with `_config.yml`, `book` and `notebooks`.
    say : callable
        Told what is going on, a sentence at a time.

    Returns
    -------
    Path
        The first page.

    Raises
    ------
    ParameterError
        If the data cannot carry the parameters; nothing was executed then.
    NotebookError
        If a notebook breaks a rule or fails, or a page has a warning.
    """
    from filelock import FileLock, Timeout

    sources = notebook_sources(source_dir / "notebooks")
    declared = {path: check_notebook(path) for path in sources}
    images = open_images(parameters, Parameters.model_fields)
    build_dir.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(build_dir / ".lock", timeout=0):
            data = _read_by_chapters(parameters, images, source_dir)
            executed = _execute_all(declared, parameters, data, build_dir, say)
            return _build_pages(executed, parameters, source_dir, build_dir, stage_dir, say)
    except Timeout:
        raise NotebookError(
            f"Another build is at work in {build_dir}; wait for it, or name another --output."
        ) from None


def _read_by_chapters(parameters: Parameters, images: ImageSet, source_dir: Path) -> str:
    """A digest of the images, of the weights from a file, and of the tables and features that chapters read."""
    files = [*sorted((source_dir / "book" / "data").glob("*")), *sorted(Path(__file__).with_name("data").glob("*.npy"))]
    tables = [(path.name, hashlib.sha256(path.read_bytes()).hexdigest()) for path in files]
    weights = backbone_key(parameters.backbone, parameters.weights) if parameters.weights else None
    return digest(images, tables, weights)


def _execute_all(
    declared: dict[Path, list[str]], parameters: Parameters, data: str, build_dir: Path, say: Callable
) -> dict[str, str]:
    """The texts of the executed notebooks, by file name; some are executed at once."""
    versions = page_versions()

    def execute(number: int, path: Path) -> str:
        values = {name: value for name, value in parameters.changed().items() if name in declared[path]}
        scheduler = {"scheduler": values.pop("scheduler")} if "scheduler" in values else {}
        ran: list[str] = []
        text = cached(
            execute_source,
            path.name,
            path.read_text(encoding="utf-8"),
            values,
            data,
            versions,
            cache_dir=parameters.cache_dir,
            unkeyed={
                "scheduler": scheduler,
                "label": f"[{number}/{len(declared)}] {path.name}",
                "failed_dir": build_dir / "failed",
                "ran": ran,
            },
        ).text
        if not ran:
            say(f"[{number}/{len(declared)}] {path.name}: unchanged")
        return text

    numbered = list(enumerate(declared, start=1))
    # The first notebook that needs the images embeds them; the others then find the embeddings in the cache.
    embeds = next((number for number, path in numbered if "dataset" in declared[path]), 0)
    texts: list[str] = []
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        for some in (numbered[:embeds], numbered[embeds:]):
            started = [pool.submit(execute, *each) for each in some]
            try:
                texts += [future.result() for future in started]
            except BaseException:
                pool.shutdown(wait=False, cancel_futures=True)  # what is being executed ends, and nothing else begins
                raise
    return dict(zip((path.name for path in declared), texts))


def _build_pages(
    executed: dict[str, str], parameters: Parameters, source_dir: Path, build_dir: Path, stage_dir: Path, say: Callable
) -> Path:
    files = _stage_files(executed, parameters, source_dir)
    # Themes and extensions show on a page, too: any other version of anything installed makes new pages.
    installed = sorted(f"{package.name} {package.version}" for package in metadata.distributions())
    key = digest(
        sorted((name, digest(text.hex())) for name, text in files.items()), source_digest("notebooks"), installed
    )
    pages = build_dir / "html"
    key_file = pages / _KEY_FILE
    if key_file.is_file() and key_file.read_text(encoding="utf-8") == key:
        say("Nothing has changed since the last build.")
        return pages / "index.html"
    _write_stage(files, stage_dir)
    with tempfile.TemporaryDirectory(dir=build_dir, prefix="pages-") as work:
        built = _run_jupyter_book(stage_dir, Path(work), build_dir / "jupyter-book.log")
        (built / _KEY_FILE).write_text(key, encoding="utf-8")
        if pages.exists():
            os.rename(pages, Path(work, "previous"))
        os.rename(built, pages)
    return pages / "index.html"


def _stage_files(executed: dict[str, str], parameters: Parameters, source_dir: Path) -> dict[str, bytes]:
    """The files of the stage, at the paths of their sources in the repository."""
    prose = [path for path in (source_dir / "book").rglob("*") if path.is_file()]
    files = {path.relative_to(source_dir).as_posix(): path.read_bytes() for path in prose}
    files |= {f"notebooks/{name}": _with_captions(text).encode() for name, text in executed.items()}
    files["_config.yml"] = _config(source_dir / "_config.yml")
    files["CITATION.cff"] = (source_dir / "CITATION.cff").read_bytes()
    files |= _slides(executed)
    files["book/_generated/parameters.md"] = parameter_table().encode()
    files["book/_generated/this_book.md"] = _this_book(parameters).encode()
    return files


def _with_captions(text: str) -> str:
    """An executed notebook whose figures have their text alternatives as captions, too.

    Charts are told from photographs, because the dark theme turns their lightness around.
    """
    notebook = json.loads(text)
    for cell in notebook["cells"]:
        page = cell["metadata"].get("mystnb", {})
        if "image" in page:
            page.setdefault("figure", {"caption": page["image"]["alt"]})
            kind = "photographs" if _PHOTOGRAPHS in "".join(cell["source"]) else "chart"
            page["image"].setdefault("classes", kind)
    return json.dumps(notebook, indent=1)


def _config(path: Path) -> bytes:
    """The configuration, with buttons that lead to the published repository only where one is set."""
    config = yaml.safe_load(path.read_text(encoding="utf-8"))
    if config["repository"]["url"]:
        config["html"] |= {"use_repository_button": True, "use_edit_page_button": True, "use_issues_button": True}
        config["launch_buttons"] = {
            "binderhub_url": "https://mybinder.org",
            "colab_url": "https://colab.research.google.com",
        }
    return yaml.safe_dump(config, sort_keys=False).encode()


def _this_book(parameters: Parameters) -> str:
    changed = [f"- `{name}`: `{value}`" for name, value in parameters.changed().items()]
    command = f"python -m helpers book {parameters.as_options()}".strip()
    about = "\n".join(changed) if changed else "Every parameter is at its default."
    return f"{about}\n\nThe command that builds this very book:\n\n```text\n{command}\n```\n"


def _slides(executed: dict[str, str]) -> dict[str, bytes]:
    """What the cells tagged ``slide`` show, a section for each notebook, as Markdown and the pictures that it names."""
    import nbformat

    files, lines = {}, []
    for name, text in executed.items():
        cells = nbformat.reads(text, as_version=4).cells
        outputs = [
            (cell.metadata.get("mystnb", {}).get("image", {}).get("alt", ""), output.data)
            for cell in cells
            if "slide" in cell.metadata.get("tags", [])
            for output in cell.outputs
            if "data" in output
        ]
        if outputs:
            lines += [f"## {cells[0].source.splitlines()[0].lstrip('# ')}", ""]
        for number, (alt, data) in enumerate(outputs, start=1):
            picture = f"{Path(name).stem}-{number}.png"
            if "image/png" in data:
                files[f"book/_generated/{picture}"] = base64.b64decode(data["image/png"])
                lines += [f"```{{image}} _generated/{picture}", ":class: chart", f":alt: {alt}", "```", ""]
            else:
                lines += [data.get("text/markdown", data.get("text/plain", "")), ""]
    return {**files, "book/_generated/slides.md": "\n".join(lines).encode()}


def _write_stage(files: dict[str, bytes], stage_dir: Path) -> None:
    shutil.rmtree(stage_dir, ignore_errors=True)
    for name, content in files.items():
        path = stage_dir / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


def _run_jupyter_book(stage_dir: Path, work: Path, log: Path) -> Path:
    """Build the staged book with warnings as errors, showing how far it is, and return the folder of the pages."""
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
        raise NotebookError("\n".join([*report, f"All that Jupyter Book said is in {log}."]))
    return work / "_build" / "html"


def _progress(line: str) -> int:
    """How far a line of Sphinx says that it is, of 100 for reading and 100 for writing."""
    found = re.search(r"(reading|writing).*\[ *(\d+)%\]", line)
    return 0 if found is None else int(found[2]) + 100 * (found[1] == "writing")


def how_to_open(page: Path) -> str:
    """Where the book is and how to open it, in two lines."""
    return f"The book is at {page}\nOpen it with: {shlex.join([sys.executable, '-m', 'webbrowser', page.as_uri()])}"
