"""The sources of the notebooks: their order, and the rules that they keep."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from ..core.conventions import ROOT, did_you_mean, in_repository
from ..parameters import Parameters, with_companions

if TYPE_CHECKING:
    from nbformat import NotebookNode


class NotebookError(RuntimeError):
    """A notebook breaks a rule or failed, or the book did not build; the message says which, where and why."""


# --- order ------------------------------------------------------------------------------------------------------------


def notebook_sources(source_dir: Path = ROOT) -> list[Path]:
    """List the notebooks of the book in the order of its table of contents.

    Parameters
    ----------
    source_dir : Path
        The repository, with ``book/_toc.yml`` and ``notebooks``.

    Raises
    ------
    ParameterError
        If the table of contents is not there, as outside of the repository.
    NotebookError
        If the table of contents cannot be read, or names a notebook that is not there.

    Examples
    --------
    >>> from helpers.pages.sources import notebook_sources
    >>> [path.name for path in notebook_sources()][:2]
    ['question.ipynb', 'embeddings.ipynb']
    """
    names = [name for name in page_names(source_dir) if name.startswith("notebooks/")]
    paths = [source_dir / f"{name}.ipynb" for name in names]
    for name, path in zip(names, paths):
        if not path.is_file():
            raise NotebookError(f"book/_toc.yml names {name}, but there is no {name}.ipynb.")
    return paths


def page_names(source_dir: Path = ROOT) -> list[str]:
    """List all pages in the order of the table of contents, the first page first.

    Raises
    ------
    ParameterError, NotebookError
        As `notebook_sources`.
    """
    contents = read_yaml(source_dir, "book/_toc.yml")
    return [str(contents["root"]), *_files_in(contents)]


def notebooks_left_out(source_dir: Path = ROOT) -> list[str]:
    """Say in a sentence each which notebooks are no chapters, as a new one or a copy that JupyterLab makes."""
    present = {path for path in (source_dir / "notebooks").glob("*.ipynb") if not path.name.startswith(".")}
    return [
        f"{path.name} is left out: it becomes a chapter by a line `- file: notebooks/{path.stem}` in book/_toc.yml."
        for path in sorted(present - set(notebook_sources(source_dir)))
    ]


def read_yaml(source_dir: Path, name: str) -> dict[str, Any]:
    """Read a file of the book's sources that holds a mapping in YAML.

    Raises
    ------
    ParameterError
        If it is not there, as outside of the repository.
    NotebookError
        If it cannot be read as one, with the line.
    """
    path = in_repository(source_dir / name)
    try:
        contents = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, ValueError) as error:  # text that is no UTF-8 is a ValueError
        mark = getattr(error, "problem_mark", None)
        where = f" in line {mark.line + 1}" if mark else ""
        raise NotebookError(f"{name} is not valid YAML{where}.") from None
    if not isinstance(contents, dict):
        raise NotebookError(f"{name} must hold lines of the form `name: value`.")
    return contents


def repository_url(config: Mapping[str, Any]) -> str:
    """Read the address of the published repository from the configuration of the book; empty where it has none."""
    return str((config.get("repository") or {}).get("url") or "").removesuffix("/")


def _files_in(contents: Any) -> Iterator[str]:
    """Yield the files that a table of contents names, at any depth, in order."""
    if isinstance(contents, list):
        for entry in contents:
            yield from _files_in(entry)
    elif isinstance(contents, dict):
        for key, value in contents.items():
            if key == "file":
                yield str(value)
            yield from _files_in(value)


# --- rules ------------------------------------------------------------------------------------------------------------


def used_parameters(path: Path) -> list[str]:
    """List the parameters that a notebook uses: those that its cell declares, and those that go along with them.

    Raises
    ------
    NotebookError
        If the notebook cannot be read, or its cell of parameters breaks a rule; see `declared_parameters`.
    """
    return with_companions(declared_parameters(path))


def declared_parameters(path: Path) -> list[str]:
    """List the parameters that a notebook declares, one a line of the one cell that is tagged ``parameters``.

    Raises
    ------
    NotebookError
        If the notebook cannot be read, has no such cell or several, or a line begins with the name of no parameter.
    """
    return list(_declared_lines(path, read_notebook(path)))


def clean_source(path: Path) -> str:
    """Write a notebook as sources are kept and as they are executed, whatever JupyterLab has saved into it.

    That is without outputs and what else a run leaves behind, with the lines of `parameter_line` in its cell of
    parameters, its own name in the call of `provenance`, and in the form of nbformat, so that saving it changes only
    what was edited.

    Raises
    ------
    NotebookError
        As `declared_parameters`.
    """
    import nbformat

    notebook = read_notebook(path)
    declared = "\n".join(map(parameter_line, _declared_lines(path, notebook)))
    parameter_cell(path, notebook).source = declared
    for cell in notebook.cells:
        for name in _LEFT_BY_RUNS & cell.metadata.keys():
            del cell.metadata[name]
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
            cell.source = re.sub(r'(?<=\bprovenance\()"[^"]*"', f'"{path.name}"', cell.source)
    # JupyterLab writes the kernel that it used here, and its version.
    notebook.metadata.kernelspec = {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"}
    notebook.metadata.language_info = {"name": "python"}
    return nbformat.writes(notebook) + "\n"


_LEFT_BY_RUNS = {"collapsed", "execution", "scrolled"}


def values_in_cell(path: Path) -> str:
    """Say in a sentence which values in the cell of parameters of a notebook are not the defaults; empty if none.

    They hold where the notebook is run by hand, as in JupyterLab, and nowhere else: all chapters of a book have one
    set of parameters.

    Raises
    ------
    NotebookError
        As `declared_parameters`.
    """
    lines = _declared_lines(path, read_notebook(path))
    edited = [_code(line) for name, line in lines.items() if _code(line) != _code(parameter_line(name))]
    if not edited:
        return ""
    return (
        f"{path.name}: `{'`, `'.join(edited)}` in its cell of parameters is for running it by hand, as in JupyterLab; "
        "here parameters come from -p and -f alone."
    )


def _code(line: str) -> str:
    """Take the comment from a line of code, if it is one."""
    try:
        return ast.unparse(ast.parse(line))
    except SyntaxError:
        return line


def read_notebook(path: Path) -> NotebookNode:
    """Read a notebook.

    Raises
    ------
    NotebookError
        If it is not there or cannot be read.
    """
    import nbformat

    try:
        return nbformat.read(path, as_version=4)
    except FileNotFoundError:
        raise NotebookError(f"There is no notebook {path}.") from None
    except Exception as error:  # nbformat raises its own kinds, json's and os's
        reason = str(error).strip().splitlines() or [type(error).__name__]
        raise NotebookError(f"{path} cannot be read as a notebook: {reason[0]}.") from None


def parameter_cell(path: Path, notebook: NotebookNode) -> NotebookNode:
    """Find the one cell of a notebook that is tagged ``parameters``.

    Raises
    ------
    NotebookError
        If there is none, or more than one.
    """
    tagged = [cell for cell in notebook.cells if "parameters" in cell.metadata.get("tags", [])]
    if len(tagged) != 1:
        raise NotebookError(f"{path.name}: {len(tagged)} cells are tagged 'parameters'; there must be exactly one.")
    return tagged[0]


def _declared_lines(path: Path, notebook: NotebookNode) -> dict[str, str]:
    """Split a cell of parameters into its lines, by the names that they begin with."""
    declared = {}
    lines = parameter_cell(path, notebook).source.splitlines()
    for line in (line for line in lines if line.strip() and not line.startswith("#")):
        name = (re.match(r"\w*", line) or [""])[0]
        if name not in Parameters.model_fields:
            known = list(Parameters.model_fields)
            raise NotebookError(
                f"{path.name}: the parameter line {line!r} names no parameter{did_you_mean(name, known)}; known are "
                f"{', '.join(known)}."
            )
        declared[name] = line
    return declared


def parameter_line(name: str) -> str:
    """Write the line that declares a parameter in a notebook; the title of its field is the short comment.

    Examples
    --------
    >>> from helpers.pages.sources import parameter_line
    >>> parameter_line("k_max")
    'k_max: int = 16  # largest number of clusters tried'
    """
    field = Parameters.model_fields[name]
    annotation = _annotation_in_cell(name)
    # Optional is not imported in a notebook, so its annotation is a text.
    annotation = f'"{annotation}"' if "[" in annotation else annotation
    default = json.dumps(field.default) if isinstance(field.default, str) else repr(field.default)
    return f"{name}: {annotation} = {default}  # {field.title or field.description}"


def _annotation_in_cell(name: str) -> str:
    """Write the annotation of a parameter in a form that papermill can read: it knows no ``|`` and no ``Literal``."""
    text = str(Parameters.__annotations__[name])
    if text.startswith("Literal"):
        return "str"
    base, _, none = text.partition(" | ")
    return f"Optional[{base}]" if none else base
