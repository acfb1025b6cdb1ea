"""Notebooks to hand out: without solutions, with a place for answers, and with the parameters of a course."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..core.conventions import ROOT
from ..core.files import write_atomically
from ..parameters import Parameters
from .sources import NotebookError, clean_source, notebook_sources, parameter_cell, parameter_line, used_parameters
from .sync import INSTALLATION_ID

if TYPE_CHECKING:
    from nbformat import NotebookNode

_START, _END = "```{solution-start}", "```{solution-end}"
# A question with its answer in a fold, which JupyterLab would show at once.
_QUESTION = re.compile(r"^```\{dropdown\} (.*)\n(?:.*\n)*?```$", re.M)


def write_handouts(folder: Path, parameters: Parameters, source_dir: Path = ROOT) -> list[Path]:
    """Write all notebooks without their solutions into a folder, and return their paths.

    They run where they are, in any environment that has the helpers.

    Parameters
    ----------
    folder : Path
    parameters : Parameters
        Written into the cells of parameters.
    source_dir : Path
        The repository.

    Raises
    ------
    NotebookError
        If a notebook cannot be read, or one of that name is in the folder, since somebody may have worked in it;
        nothing was written then.
    """
    import nbformat

    texts = {}
    for path in notebook_sources(source_dir):
        notebook = nbformat.reads(clean_source(path), as_version=4)
        parameter_cell(path, notebook).source = _parameter_lines(path, notebook, parameters)
        notebook.cells = _without_solutions(notebook.cells)
        texts[folder / path.name] = nbformat.writes(notebook) + "\n"
    for path in texts:
        if path.exists():
            raise NotebookError(f"{path} is there already, and may hold somebody's answers; name another --output.")
    for path, text in texts.items():
        write_atomically(path, lambda file, text=text: file.write(text.encode()))
    return list(texts)


def _parameter_lines(path: Path, notebook: NotebookNode, parameters: Parameters) -> str:
    """Write the cell of parameters with the values of a course; those without a line of their own get one if set."""
    lines = {re.match(r"\w+", line)[0]: line for line in parameter_cell(path, notebook).source.splitlines()}
    for name, value in parameters.changed().items():
        if name in used_parameters(path):
            lines[name] = _with_value(parameter_line(name), value)
    return "\n".join(lines.values())


def _with_value(line: str, value: Any) -> str:
    """Give the line of a parameter another value."""
    declared, _, comment = line.partition("  # ")
    text = json.dumps(value) if isinstance(value, str) else repr(value)
    return f"{declared.partition(' = ')[0]} = {text}  # {comment}"


def _without_solutions(cells: list[NotebookNode]) -> list[NotebookNode]:
    """Take out what lies between the marks of solutions, and cells that only serve other pages; leave room to answer.

    Solutions may begin and end within a cell of Markdown.
    """
    kept: list[NotebookNode] = []
    inside = False
    for cell in cells:
        if cell.cell_type == "markdown":
            cell.source, begins, inside = _outside(cell.source, inside)
            kept += [cell] if cell.source else []
            kept += _place_for_an_answer(cell.id) if begins else []
        elif not inside and (cell.id == INSTALLATION_ID or "remove-cell" not in cell.metadata.get("tags", [])):
            kept.append(cell)
    return kept


def _outside(text: str, inside: bool) -> tuple[str, bool, bool]:
    """Return what of a Markdown text is in no solution, whether one begins in it, and whether its end is in one."""
    lines, begins, ending = [], False, False
    for line in _QUESTION.sub(r"**\1**", text).splitlines():
        if line.startswith(_START):
            inside = begins = True
        elif line.startswith(_END):
            ending = True
        elif ending and line == "```":
            inside = ending = False
        elif not inside:
            lines.append(line)
    return "\n".join(lines).strip(), begins, inside


def _place_for_an_answer(name: str) -> list[NotebookNode]:
    from nbformat.v4 import new_code_cell, new_markdown_cell

    return [new_markdown_cell("*Your answer:*", id=f"answer-{name}"), new_code_cell("", id=f"code-{name}")]
