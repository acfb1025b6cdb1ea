"""The sources of the notebooks: their order, and the rules that they keep."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from ..core.conventions import ROOT, did_you_mean
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
    NotebookError
        If the table of contents cannot be read, lacks a notebook, or names one that is not there.

    Examples
    --------
    >>> from helpers.pages.sources import notebook_sources
    >>> [path.name for path in notebook_sources()][:2]
    ['question.ipynb', 'embeddings.ipynb']
    """
    contents = read_yaml(source_dir, "book/_toc.yml")
    names = [name.removeprefix("notebooks/") for name in _files_in(contents) if name.startswith("notebooks/")]
    present = {path.stem for path in (source_dir / "notebooks").glob("*.ipynb") if not path.name.startswith(".")}
    for name in sorted(present - set(names)):
        raise NotebookError(f"book/_toc.yml lacks notebooks/{name}.ipynb; give it a line `- file: notebooks/{name}`.")
    for name in names:
        if name not in present:
            raise NotebookError(f"book/_toc.yml names notebooks/{name}, but there is no notebooks/{name}.ipynb.")
    return [source_dir / "notebooks" / f"{name}.ipynb" for name in names]


def read_yaml(source_dir: Path, name: str) -> dict[str, Any]:
    """Read a file of the book's sources that holds a mapping in YAML.

    Raises
    ------
    NotebookError
        If it cannot be read as one, with the line.
    """
    try:
        contents = yaml.safe_load((source_dir / name).read_text(encoding="utf-8"))
    except (yaml.YAMLError, ValueError) as error:  # text that is no UTF-8 is a ValueError
        mark = getattr(error, "problem_mark", None)
        where = f" in line {mark.line + 1}" if mark else ""
        raise NotebookError(f"{name} is not valid YAML{where}.") from None
    if not isinstance(contents, dict):
        raise NotebookError(f"{name} must hold lines of the form `name: value`.")
    return contents


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
        If the notebook breaks a rule; see `check_notebook`.
    """
    return with_companions(check_notebook(path))


def check_notebook(path: Path) -> list[str]:
    """Check that a notebook's source keeps the rules of the house.

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
    notebook = read_notebook(path)
    for number, cell in enumerate(notebook.cells, start=1):
        if cell.get("outputs") or cell.get("execution_count"):
            raise NotebookError(f"{path.name}: cell {number} holds outputs; clear them, sources are kept without.")
    return [_check_parameter(path, line) for line in parameter_cell(path, notebook).source.splitlines()]


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
    check_name(path, line, name)
    field = Parameters.model_fields[name]
    annotation = annotation_in_cell(name)
    if ast.unparse(statement.annotation).strip("'\"") != annotation:
        raise NotebookError(f"{form} must be annotated {annotation}, as in helpers/parameters.py.")
    if type(default) is not type(field.default) or default != field.default:
        raise NotebookError(f"{form} must have the default {field.default!r}, as in helpers/parameters.py.")
    if "#" not in line:
        raise NotebookError(f"{form} must end in a comment that says what it means.")
    return name


def check_name(path: Path, line: str, name: str) -> None:
    """Refuse a line of a parameter cell whose name is that of no parameter."""
    if name not in Parameters.model_fields:
        known = list(Parameters.model_fields)
        raise NotebookError(
            f"{path.name}: the parameter line {line!r} names no parameter{did_you_mean(name, known)}; known are "
            f"{', '.join(known)}."
        )


def annotation_in_cell(name: str) -> str:
    """Write the annotation of a parameter in a form that papermill can read: it knows no ``|`` and no ``Literal``.

    Examples
    --------
    >>> from helpers.pages.sources import annotation_in_cell
    >>> annotation_in_cell("n_images"), annotation_in_cell("metric")
    ('Optional[int]', 'str')
    """
    text = str(Parameters.__annotations__[name])
    if text.startswith("Literal"):
        return "str"
    base, _, none = text.partition(" | ")
    return f"Optional[{base}]" if none else base
