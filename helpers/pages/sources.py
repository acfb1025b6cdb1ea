"""The sources of the notebooks: found, and held against the rules of the house."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import TYPE_CHECKING

from ..core.conventions import ROOT, did_you_mean
from ..parameters import Parameters

if TYPE_CHECKING:
    from nbformat import NotebookNode


class NotebookError(RuntimeError):
    """A notebook breaks a rule or failed, or the book did not build; the message says which, where and why."""


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
        raise NotebookError(f"{form} names no parameter{did_you_mean(name, known)}; known are {', '.join(known)}.")
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
