"""What repeats something of the helpers agrees with them, and `sync` changes nothing else."""

from __future__ import annotations

import json
import re

import nbformat
import pytest
from conftest import copied_sources
from IPython.core.interactiveshell import InteractiveShell

from helpers.core.conventions import ROOT
from helpers.pages.sources import NotebookError, declared_parameters, notebook_sources, parameter_line, read_yaml
from helpers.pages.sync import WINGS, sync, synced_texts
from helpers.parameters import Parameters, parameter_table

NAME = "elbow.ipynb"
LINE = json.dumps(parameter_line("k_max"))[1:-1]


@pytest.fixture
def sources(tmp_path):
    """Copy the sources, in sync."""
    copy = copied_sources(tmp_path)
    sync(copy)
    return copy


def test_notebooks_readme_and_api_pages_agree_with_the_helpers():
    behind = [path.name for path, text in synced_texts().items() if path.read_bytes() != text.encode()]
    assert behind == [], "run `python -m helpers sync`"


@pytest.mark.parametrize("path", notebook_sources(), ids=lambda path: path.stem)
def test_saving_a_notebook_unchanged_changes_no_byte(path, tmp_path):
    nbformat.write(nbformat.read(path, as_version=4), tmp_path / path.name)
    assert (tmp_path / path.name).read_bytes() == path.read_bytes(), "run `python -m helpers sync`"


def test_what_is_in_sync_is_not_written(sources):
    assert sync(sources) == []


@pytest.mark.parametrize(
    "line", ["k_max: int = 15  # another", "k_max=16", "k_max: float = 16.0  # largest number of clusters tried"]
)
def test_only_the_cell_of_parameters_is_written(sources, line):
    """Every other byte stays, that of an edited title, too."""
    path = sources / "notebooks" / NAME
    text = path.read_text(encoding="utf-8")
    edited = text.replace("# The elbow", "# L\u00e9 coude  ", 1)
    assert edited != text and edited.count(LINE) == 1
    path.write_text(edited.replace(LINE, line), encoding="utf-8")
    assert sync(sources) == [path]
    assert path.read_bytes() == edited.encode()
    assert "k_max" in declared_parameters(path)


def test_the_names_of_a_cell_stay_the_choice_of_the_notebook(sources):
    path = sources / "notebooks" / NAME
    notebook = nbformat.read(path, as_version=4)
    (cell,) = (cell for cell in notebook.cells if "parameters" in cell.metadata.get("tags", []))
    cell.source = "min_dist\nk_max"
    nbformat.write(notebook, path)
    sync(sources)
    assert declared_parameters(path) == ["min_dist", "k_max"]


def test_a_notebook_in_another_form_is_brought_into_that_of_nbformat(sources):
    path = sources / "notebooks" / NAME
    canonical = path.read_bytes()
    path.write_text(json.dumps(json.loads(canonical), indent=2), encoding="utf-8")
    sync(sources)
    assert path.read_bytes() == canonical


def test_where_the_repository_has_an_address_each_notebook_installs_the_helpers_if_they_are_missing(sources):
    """As in Colab; here they are there, so the cell does nothing."""
    before, config = synced_texts(sources), sources / "_config.yml"
    text = config.read_text(encoding="utf-8")
    assert text.count('url: ""') == 1
    config.write_text(text.replace('url: ""', "url: https://example.org/ours/"), encoding="utf-8")
    assert set(sync(sources)) == set(notebook_sources(sources))
    shell = InteractiveShell()
    for path in notebook_sources(sources):
        cell = nbformat.read(path, as_version=4).cells[1]
        assert "git clone -q --depth 1 https://example.org/ours how-many-clusters" in cell.source
        assert cell.metadata["tags"] == ["remove-cell"]
        assert shell.run_cell(cell.source).success
    config.write_text(text, encoding="utf-8")
    sync(sources)
    assert {path: path.read_text(encoding="utf-8") for path in before} == before


def test_what_jupyterlab_adds_is_taken_out(sources):
    """Seen in JupyterLab 4.6: opening, running and saving a notebook changes this, and nothing else."""
    path = sources / "notebooks" / NAME
    before = path.read_bytes()
    notebook = nbformat.read(path, as_version=4)
    notebook.metadata.language_info |= {"codemirror_mode": {"name": "ipython", "version": 3}, "version": "3.11.7"}
    notebook.cells[-1].outputs = [nbformat.v4.new_output("stream", text="1")]
    nbformat.write(notebook, path)
    assert path.read_bytes() != before and sync(sources) == [path]
    assert path.read_bytes() == before


def test_a_renamed_notebook_names_itself(sources):
    path = (sources / "notebooks" / NAME).rename(sources / "notebooks" / "knee.ipynb")
    contents = sources / "book" / "_toc.yml"
    contents.write_text(contents.read_text("utf-8").replace("notebooks/elbow", "notebooks/knee"), encoding="utf-8")
    before = path.read_text(encoding="utf-8")
    assert sync(sources) == [path]
    assert path.read_text(encoding="utf-8") == before.replace("elbow.ipynb", "knee.ipynb")


def test_a_line_that_names_no_parameter_is_refused_and_nothing_is_written(sources):
    path = sources / "notebooks" / NAME
    path.write_text(path.read_text(encoding="utf-8").replace("k_max: int", "kmax: int"), encoding="utf-8")
    (sources / "README.md").write_text("| parameter | default |\n| old |\n", encoding="utf-8")
    with pytest.raises(NotebookError, match=r"elbow.ipynb.*'kmax: int.*names no parameter \(did you mean 'k_max'\?\)"):
        sync(sources)
    assert "| old |" in (sources / "README.md").read_text(encoding="utf-8")


def test_the_table_of_the_readme_is_written_where_it_stands(sources):
    readme = sources / "README.md"
    text = readme.read_text(encoding="utf-8")
    assert text.count(parameter_table()) == 1
    readme.write_text(text.replace("largest number of clusters", "biggest number of clusters"), encoding="utf-8")
    assert sync(sources) == [readme]
    assert readme.read_text(encoding="utf-8") == text


def test_the_api_pages_have_every_module_once_after_those_that_it_imports():
    pages = [(ROOT / "book" / "api" / f"{wing}.md").read_text(encoding="utf-8") for wing in WINGS]
    named = [line.split()[-1] for page in pages for line in page.splitlines() if line.startswith(".. automodule::")]
    files = (path.relative_to(ROOT).with_suffix("") for path in (ROOT / "helpers").rglob("*.py"))
    modules = {".".join(path.parts).removesuffix(".__init__") for path in files} - {"helpers", "helpers.__main__"}
    assert sorted(named) == sorted(modules)
    assert named.index("helpers.clustering.distances") < named.index("helpers.clustering.silhouette")


def test_each_wing_is_a_page_of_the_book_and_nothing_else_is():
    entries = [chapter for part in read_yaml(ROOT, "book/_toc.yml")["parts"] for chapter in part["chapters"]]
    (api,) = (entry for entry in entries if entry["file"] == "book/api")
    assert [section["file"] for section in api["sections"]] == [f"book/api/{wing}" for wing in WINGS]
    assert {path.stem for path in (ROOT / "book" / "api").iterdir()} == set(WINGS)
    overview = (ROOT / "book" / "api.md").read_text(encoding="utf-8")
    assert re.findall(r"<api/(\w+)>` \| \S+ ", overview) == list(WINGS)


def test_a_page_of_the_api_that_is_missing_is_written(sources):
    page = sources / "book" / "api" / "study.md"
    text = page.read_bytes()
    page.unlink()
    assert sync(sources) == [page] and page.read_bytes() == text


def test_every_parameter_has_a_comment_that_fits_a_line():
    for name in Parameters.model_fields:
        assert len(parameter_line(name)) <= 88, name
