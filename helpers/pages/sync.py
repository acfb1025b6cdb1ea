"""Write what follows from the helpers: the notebooks' cells of parameters, the README's table, the pages of the API.

A notebook that is opened from a published repository, as in Colab, has a cell that installs the helpers.
"""

from __future__ import annotations

import ast
import re
from graphlib import TopologicalSorter
from pathlib import Path

from ..core.conventions import ROOT
from ..core.files import write_atomically
from ..core.fingerprints import imports_of
from ..parameters import parameter_table
from .sources import NotebookError, clean_source, notebook_sources, read_yaml, repository_url

# The wings and the modules beside them, in the order in which they import each other; figures stand beside.
WINGS = ("core", "images", "clustering", "parameters", "criteria", "study", "comparing", "trials", "figures", "pages")
_PACKAGE = Path(__file__).parents[1]
# The whole repository is cloned, since chapters read what it ships; site reads the path that pip has written.
INSTALLATION_ID = "installation"
_INSTALLATION = """\
import importlib.util, site

if importlib.util.find_spec("helpers") is None:
    !git clone -q --depth 1 {url} how-many-clusters
    %pip install -q -e "./how-many-clusters[book]"
    site.main()"""
_API_INTRODUCTION = """\
# The helpers

The computation behind the notebooks, a page for each wing of the package.
A wing imports only from wings above it, and a module only from modules above it.

| wing | what it holds |
| --- | --- |
"""


def sync(source_dir: Path = ROOT) -> list[Path]:
    """Write the files that `synced_texts` gives, and return those that changed.

    Parameters
    ----------
    source_dir : Path
        The repository.

    Raises
    ------
    NotebookError
        If a notebook cannot be read, or a line of its cell of parameters names none; nothing was written then.
    """
    texts = synced_texts(source_dir)
    changed = [path for path, text in texts.items() if not path.exists() or path.read_bytes() != text.encode()]
    for path in changed:
        write_atomically(path, lambda file, text=texts[path]: file.write(text.encode()))
    return changed


def synced_texts(source_dir: Path = ROOT) -> dict[Path, str]:
    """Compute the texts of all files that repeat something of the helpers, by path.

    Notebooks are written as `clean_source` does, with a cell that installs the helpers where ``_config.yml`` has the
    address of the published repository; in the README, the table of parameters; the pages of the API as a whole.

    Raises
    ------
    NotebookError
        If a notebook cannot be read, or a line of its cell of parameters names none.
    """
    readme, book = source_dir / "README.md", source_dir / "book"
    sources = notebook_sources(source_dir)
    url = repository_url(read_yaml(source_dir, "_config.yml"))
    return {path: _with_installation(clean_source(path), url) for path in sources} | {
        readme: _synced_readme(readme.read_text(encoding="utf-8")),
        book / "api.md": _api_overview(),
        **{book / "api" / f"{wing}.md": _api_page(wing) for wing in WINGS},
    }


# --- notebooks --------------------------------------------------------------------------------------------------------


def _with_installation(text: str, url: str) -> str:
    """Put the cell that installs the helpers where they are missing below a notebook's title; no cell without a URL."""
    import nbformat

    notebook = nbformat.reads(text, as_version=4)
    notebook.cells = [cell for cell in notebook.cells if cell.id != INSTALLATION_ID]
    if url:
        cell = nbformat.v4.new_code_cell(_INSTALLATION.format(url=url), metadata={"tags": ["remove-cell"]})
        cell.id = INSTALLATION_ID
        notebook.cells.insert(1, cell)
    return nbformat.writes(notebook) + "\n"


# --- pages ------------------------------------------------------------------------------------------------------------


def _synced_readme(text: str) -> str:
    text, n_tables = re.subn(
        r"^\| parameter \| default .*\n(\|.*\n)*", lambda _: parameter_table() + "\n", text, flags=re.M
    )
    if n_tables != 1:
        raise NotebookError(
            f"README.md has {n_tables} tables that begin with `| parameter | default`; it must have one."
        )
    return text


def _api_overview() -> str:
    return _API_INTRODUCTION + "".join(f"| {{doc}}`{wing} <api/{wing}>` | {_summary(wing)} |\n" for wing in WINGS)


def _summary(wing: str) -> str:
    """Read the first line of the docstring of a wing."""
    path = _PACKAGE / wing / "__init__.py" if (_PACKAGE / wing).is_dir() else _PACKAGE / f"{wing}.py"
    return (ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or "").partition("\n")[0]


def _api_page(wing: str) -> str:
    """Write the page of a wing, with a section for each of its modules."""
    members = _modules_in(wing)
    sections = [_section("#", wing, f"helpers.{wing}", documented=not members)]
    sections += [_section("##", name.rpartition(".")[2], name, documented=True) for name in members]
    return "\n".join(sections)


def _modules_in(wing: str) -> list[str]:
    """List the dotted names of a wing's modules; each stands after those that it imports."""
    names = sorted(f"helpers.{wing}.{path.stem}" for path in (_PACKAGE / wing).glob("[!_]*.py"))
    return list(TopologicalSorter({name: sorted(imports_of(name) & set(names)) for name in names}).static_order())


def _section(marks: str, heading: str, module: str, *, documented: bool) -> str:
    """Write the section of a module, with what is public in it, or of a package, with its docstring alone."""
    options = "   :members:\n   :exclude-members: model_config, model_post_init, __init__\n" if documented else ""
    return f"{marks} {heading}\n\n```{{eval-rst}}\n.. automodule:: {module}\n{options}```\n"
