"""The order and the rules of the notebooks, and the five ways to run one."""

from __future__ import annotations

import ast
import inspect
import os
import re
import shutil
import subprocess
import sys

import nbformat
import pytest
from conftest import copied_sources, run
from nbclient import NotebookClient
from papermill import inspect_notebook

from helpers.core.conventions import ROOT, ParameterError
from helpers.pages.execution import open_images, run_notebook
from helpers.pages.sources import NotebookError, check_notebook, notebook_sources, used_parameters
from helpers.parameters import Parameters
from helpers.study import Study

SOURCES = notebook_sources()
ELBOW = ROOT / "notebooks" / "elbow.ipynb"


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.stem)
def test_source_keeps_the_rules(path):
    assert check_notebook(path)


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.stem)
def test_papermill_reads_every_parameter_with_type_and_meaning(path):
    inspected = inspect_notebook(path)
    assert list(inspected) == check_notebook(path)
    for parameter in inspected.values():
        assert parameter["inferred_type_name"] not in (None, "None", "") and parameter["help"]


def reads(code):
    """Find the members of a study and the parameters that code names."""
    members, parameters = set(), set()
    for node in ast.walk(code):
        if isinstance(node, ast.Attribute):
            owner = ast.unparse(node.value)
            if owner in ("self", "study", "Study"):
                members.add(node.attr)
            elif owner in ("params", "self.params", "study.params"):
                parameters.add(node.attr)
    if "k_values" in parameters:
        parameters |= {"k_min", "k_max"}
    return members, parameters & set(Parameters.model_fields)


def parameters_read_by(code):
    """Find the parameters that code reads, itself or through the members of the study that it asks for."""
    (study,) = ast.parse(inspect.getsource(Study)).body
    methods = {node.name: reads(node) for node in study.body if isinstance(node, ast.FunctionDef)}
    members, parameters = reads(code)
    if "from_names" not in members:  # a study of features has the parameters that it is called with
        return parameters
    reached = set()
    while waiting := (members - reached) & methods.keys():
        for name in waiting:
            reached.add(name)
            members |= methods[name][0]
            parameters |= methods[name][1]
    return parameters


def code_of(path):
    """Parse the code of a notebook."""
    cells = nbformat.read(path, as_version=4).cells
    return ast.parse("\n".join(cell.source for cell in cells if cell.cell_type == "code"))


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.stem)
def test_every_parameter_of_the_cell_is_used(path):
    """A name in the parameter cell that goes nowhere would promise what the notebook does not do."""
    assert set(check_notebook(path)) <= parameters_read_by(code_of(path))


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.stem)
def test_every_parameter_that_is_read_reaches_the_notebook(path):
    """One that is read and not handed over would keep its default while the other chapters follow the reader."""
    assert parameters_read_by(code_of(path)) <= set(used_parameters(path))


def test_the_notebooks_together_use_every_parameter():
    assert {name for path in SOURCES for name in used_parameters(path)} == set(Parameters.model_fields)


# --- order ------------------------------------------------------------------------------------------------------------


def test_the_order_is_that_of_the_table_of_contents(tmp_path):
    copy = copied_sources(tmp_path)
    contents = copy / "book" / "_toc.yml"
    lines = contents.read_text(encoding="utf-8").splitlines()
    first, second = (next(line for line in lines if line.endswith(f"/{path.stem}")) for path in SOURCES[1:3])
    swapped = {first: second, second: first}
    contents.write_text("\n".join(swapped.get(line, line) for line in lines), encoding="utf-8")
    names = [path.name for path in SOURCES]
    names[1:3] = names[2:0:-1]
    assert [path.name for path in notebook_sources(copy)] == names


def test_a_notebook_that_the_table_of_contents_lacks_is_refused(tmp_path):
    copy = copied_sources(tmp_path)
    shutil.copy(ELBOW, copy / "notebooks" / "knee.ipynb")
    with pytest.raises(NotebookError, match=r"_toc.yml lacks notebooks/knee.ipynb; give it a line `- file: notebooks"):
        notebook_sources(copy)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("- file: [", "book/_toc.yml is not valid YAML in line"),
        ("", "book/_toc.yml must hold lines of the form"),
        ("- file: a", "book/_toc.yml must hold lines of the form"),
        ("chapters:\n- file: 3", "book/_toc.yml lacks notebooks/"),
    ],
)
def test_a_broken_table_of_contents_is_refused_in_one_sentence(tmp_path, content, says):
    (tmp_path / "book").mkdir()
    (tmp_path / "notebooks").mkdir()
    (tmp_path / "notebooks" / "a.ipynb").touch()
    (tmp_path / "book" / "_toc.yml").write_text(content)
    with pytest.raises(NotebookError, match=says):
        notebook_sources(tmp_path)


def test_a_notebook_that_is_not_there_is_refused(tmp_path):
    copy = copied_sources(tmp_path)
    (copy / "notebooks" / ELBOW.name).unlink()
    with pytest.raises(NotebookError, match="_toc.yml names notebooks/elbow, but there is no notebooks/elbow.ipynb"):
        notebook_sources(copy)


# --- rules ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.stem)
def test_only_the_cell_of_parameters_gives_them_values(path):
    """Whoever edits that cell and runs it again would otherwise pass on another value of the same name."""
    for cell in nbformat.read(path, as_version=4).cells:
        if cell.cell_type == "code" and "parameters" not in cell.metadata.get("tags", []):
            source = re.sub(r"(?m)^[%!].*$", "", cell.source)
            assigned = {
                node.id
                for node in ast.walk(ast.parse(source))
                if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)
            }
            assert not assigned & set(Parameters.model_fields), cell.source


def broken(tmp_path, change):
    """Copy a notebook and change it by `change`."""
    notebook = nbformat.read(ELBOW, as_version=4)
    change(notebook)
    path = tmp_path / "broken.ipynb"
    nbformat.write(notebook, path)
    return path


def cell_of_parameters(notebook):
    return next(cell for cell in notebook.cells if "parameters" in cell.metadata.get("tags", []))


def replace(old, new):
    """Make a change that replaces `old` by `new` in the cell of parameters."""

    def change(notebook):
        cell = cell_of_parameters(notebook)
        assert old in cell.source
        cell.source = cell.source.replace(old, new)

    return change


def untag(notebook):
    cell_of_parameters(notebook).metadata.tags = []


def tag_another(notebook):
    notebook.cells[0].metadata.tags = ["parameters"]


def keep_an_output(notebook):
    cell_of_parameters(notebook).outputs = [nbformat.v4.new_output("stream", text="1")]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (untag, "0 cells are tagged 'parameters'"),
        (tag_another, "2 cells are tagged 'parameters'"),
        (keep_an_output, "holds outputs"),
        (replace("k_max: int", "kmax: int"), r"names no parameter \(did you mean 'k_max'\?\)"),
        (replace("k_max: int = 16", "k_max: int = 15"), "must have the default 16"),
        (replace("k_max: int = 16", "k_max: float = 16"), "must be annotated int"),
        (replace("k_max: int = 16", "k_max: int = 16.0"), "must have the default 16"),
        (replace("k_max: int = 16", "k_max: int = k_min + 14"), "must have the form"),
        (replace("k_max: int = 16", "k_max = 16"), "must have the form"),
        (replace("  # largest number of clusters tried", ""), "must end in a comment"),
    ],
)
def test_a_broken_rule_is_refused_in_one_sentence(tmp_path, change, message):
    with pytest.raises(NotebookError, match=message) as error:
        check_notebook(broken(tmp_path, change))
    assert "broken.ipynb" in str(error.value) and "\n" not in str(error.value)


@pytest.mark.parametrize("content", ["", "not a notebook", "[]", '{"cells": 3}'])
def test_a_file_that_is_no_notebook_is_refused(tmp_path, content):
    path = tmp_path / "broken.ipynb"
    path.write_text(content)
    with pytest.raises(NotebookError, match="cannot be read as a notebook"):
        check_notebook(path)


def test_missing_notebook_is_named(tmp_path):
    with pytest.raises(NotebookError, match="There is no notebook"):
        check_notebook(tmp_path / "missing.ipynb")


def test_raising_notebook_is_refused_with_cell_and_cause(tmp_path):
    def raise_at_the_end(notebook):
        notebook.cells = [cell_of_parameters(notebook), nbformat.v4.new_code_cell("raise KeyError('why')")]

    with pytest.raises(NotebookError, match=r"broken.ipynb failed in cell 2 \(`raise KeyError\('why'\)`\): KeyError"):
        run_notebook(broken(tmp_path, raise_at_the_end), tmp_path / "out.ipynb", Parameters(dataset="digits"))
    assert (tmp_path / "out.ipynb").is_file()


def test_dying_kernel_is_reported(tmp_path):
    def die(notebook):
        notebook.cells = [cell_of_parameters(notebook), nbformat.v4.new_code_cell("import os; os._exit(1)")]

    with pytest.raises(NotebookError, match="kernel died"):
        run_notebook(broken(tmp_path, die), tmp_path / "out.ipynb", Parameters(dataset="digits"))


def test_data_are_checked_before_anything_is_executed(tmp_path):
    with pytest.raises(ParameterError, match="k_max"):
        run_notebook(ELBOW, tmp_path / "out.ipynb", Parameters(dataset="digits", n_images=10))
    assert not (tmp_path / "out.ipynb").exists()


def test_n_images_below_k_max_is_refused_before_the_images_are_read(tmp_path):
    with pytest.raises(ParameterError, match="k_max may be at most 9"):
        open_images(Parameters(dataset=f"folder:{tmp_path / 'missing'}", n_images=10), ["k_max"])


@pytest.mark.parametrize("backbone", ["efficientnet-lite0", "timm:resnet10t"])
def test_weights_that_do_not_fit_are_refused_before_anything_is_executed(tmp_path, backbone):
    (tmp_path / "broken.pth").write_bytes(b"no weights")
    parameters = Parameters(dataset="digits", n_images=20, backbone=backbone, weights=str(tmp_path / "broken.pth"))
    with pytest.raises(ParameterError, match="broken.pth"):
        open_images(parameters, ["weights"])
    open_images(parameters, ["k_max"])  # a notebook that does not use them


def test_braces_in_paths_are_no_formats(tmp_path):
    """Papermill fills parameters into the paths that it is given."""
    folder = tmp_path / "a {k_max} {0} {{b}} {c"
    folder.mkdir()

    def nothing(notebook):
        notebook.cells = [cell_of_parameters(notebook)]

    source = broken(folder, nothing)
    for _ in range(2):  # the second time in place of the first
        run_notebook(source, folder / "o {k_max}" / "out.ipynb", Parameters(dataset="digits", k_max=3))
    assert [path.name for path in tmp_path.iterdir()] == [folder.name]
    assert "k_max = 3" in (folder / "o {k_max}" / "out.ipynb").read_text(encoding="utf-8")


@pytest.mark.parametrize("content", [None, "notes", "{}"], ids=["the source", "a text", "no notebook"])
def test_only_the_result_of_an_earlier_run_is_replaced(tmp_path, content):
    output = tmp_path / "elbow.ipynb"
    output.write_text(ELBOW.read_text(encoding="utf-8") if content is None else content, encoding="utf-8")
    before = output.read_bytes()
    with pytest.raises(NotebookError, match="is there and is no result of an earlier run"):
        run_notebook(ELBOW, output, Parameters(dataset="digits"))
    assert output.read_bytes() == before


def test_k_max_does_not_bind_a_notebook_without_it(tmp_path, monkeypatch):
    executed = []
    monkeypatch.setattr("helpers.pages.execution._execute", lambda path, *rest: executed.append(path.name))
    run_notebook(
        ROOT / "notebooks" / "embeddings.ipynb", tmp_path / "out.ipynb", Parameters(dataset="digits", n_images=10)
    )
    assert executed == ["embeddings.ipynb"]


# --- five ways --------------------------------------------------------------------------------------------------------


def results(path):
    """Collect what an executed notebook shows, without its provenance and what it wrote to stderr."""
    shown = []
    for cell in nbformat.read(path, as_version=4).cells:
        if cell.cell_type == "code" and "provenance" not in cell.source:
            for output in cell.outputs:
                if output.output_type in ("display_data", "execute_result"):
                    shown.append(dict(output.data))
                elif output.get("name") == "stdout":
                    shown.append(output.text)
    assert len(shown) > 5
    return shown


def by_hand(parameters, output):
    """Do as in JupyterLab: edit the cell of parameters, and run all cells in the folder of the notebook."""
    notebook = nbformat.read(ELBOW, as_version=4)
    cell = cell_of_parameters(notebook)
    values = dict(parameters)
    cell.source = re.sub(
        r"(?m)^(\w+)(: .*?) = .*?(  #.*)$", lambda m: f"{m[1]}{m[2]} = {values[m[1]]!r}{m[3]}", cell.source
    )
    assert Parameters(**{**dict(parameters), **values_of(cell)}) == parameters
    NotebookClient(notebook, resources={"metadata": {"path": ELBOW.parent}}).execute()
    nbformat.write(notebook, output)


def values_of(cell):
    """Evaluate a cell of parameters."""
    values = {}
    exec(cell.source, values)  # its own annotated assignments, and nothing else
    return {name: value for name, value in values.items() if name in Parameters.model_fields}


def test_five_ways_lead_to_the_same_numbers(second_book, tmp_path):
    """The first made the book; the second must find it unchanged; each of the others computes all again."""
    chosen = second_book.parameters
    assert "The book is at" in "\n".join(second_book.said)
    said = run("helpers", "book", *options(chosen, Parameters.model_fields), "-o", second_book.pages.parent)
    assert "Nothing has changed since the last build." in said

    used = used_parameters(ELBOW)
    own = [chosen.model_copy(update={"cache_dir": str(tmp_path / f"cache-{way}")}) for way in range(3)]
    run("papermill", ELBOW, tmp_path / "out.ipynb", *options(own[0], used), "--no-progress-bar")
    run("helpers", "run", ELBOW, *options(own[1], used), "-o", tmp_path / "run")
    by_hand(own[2], tmp_path / "lab.ipynb")

    expected = results(second_book.stage / "notebooks" / ELBOW.name)
    for path in ("out.ipynb", "run/elbow.ipynb", "lab.ipynb"):
        assert results(tmp_path / path) == expected, path


def options(parameters, names):
    """Write those of some parameters that differ from their defaults as on a command line."""
    return [part for name, value in parameters.changed().items() if name in names for part in ("-p", name, str(value))]


# --- the commands -----------------------------------------------------------------------------------------------------


def refused(*arguments):
    """Run a command that must be refused, and return its message."""
    finished = subprocess.run(
        [sys.executable, "-m", "helpers", *map(str, arguments)], cwd=ROOT, capture_output=True, text=True
    )
    assert finished.returncode in (1, 2) and "Traceback" not in finished.stderr
    return finished.stderr.strip()


@pytest.mark.parametrize("command", [("book",), ("run", ELBOW)], ids=["book", "run"])
@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("kmax", "20", "There is no parameter 'kmax' (did you mean 'k_max'?); known are"),
        ("k_max", "many", "k_max = 'many' is not allowed: k_max takes a whole number"),
        ("k_max", "20.5", "k_max = 20.5 is not allowed"),
        ("k_min", "1", "k_min = 1 is not allowed: k_min takes a whole number, 2 or more"),
        ("k_max", "2624", "k_max may be at most 2623"),
        ("dataset", "folder:/no/such/folder", "The folder /no/such/folder of the data set"),
        ("dataset", "solarcells", "There is no data set 'solarcells' (did you mean 'solar-cells'?); allowed are"),
    ],
)
def test_wrong_parameters_are_refused_in_one_sentence(command, name, value, message):
    stderr = refused(*command, "-p", name, value)
    assert stderr.startswith("error: ") and message in stderr and "\n" not in stderr


def test_empty_folder_and_folder_of_texts_are_refused(tmp_path):
    assert re.search(r"is empty: it must hold images", refused("book", "-p", "dataset", f"folder:{tmp_path}"))
    (tmp_path / "notes.txt").write_text("no image")
    message = refused("book", "-p", "dataset", f"folder:{tmp_path}")
    assert "holds no images: none of its 1 files ends in .jpg" in message


def test_a_parameter_that_the_notebook_does_not_use_is_refused():
    message = refused("run", ROOT / "notebooks" / "embeddings.ipynb", "-p", "k_max", "5")
    assert "k_max is a parameter of none of the notebooks named; theirs are dataset" in message


def test_missing_parameter_file_is_refused():
    assert "cannot be read" in refused("book", "-f", "params/missing.yml")


def test_params_prints_every_parameter():
    printed = subprocess.run(
        [sys.executable, "-m", "helpers", "params"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout
    for name in Parameters.model_fields:
        assert f"| `{name}` |" in printed


@pytest.mark.skipif(shutil.which("make") is None, reason="make is not installed")
def test_make_hands_folders_with_spaces_and_quotes_on_unharmed(tmp_path):
    """A stand-in for Python prints its arguments."""
    stand_in = tmp_path / "python"
    stand_in.write_text("#!/bin/sh\nprintf '<%s>' \"$@\"\n")
    stand_in.chmod(0o755)
    command = [
        "make",
        "-o",
        ".venv/.ready",
        f"BIN={tmp_path}",
        "book",
        "PARAMS=my file.yml",
        "DATASET=folder:/my pics/d'or",
    ]
    # `make test` may have started this test: what it tells an inner make is left out.
    outside = {name: value for name, value in os.environ.items() if not name.startswith("MAKE") and name != "ARGS"}
    printed = subprocess.run(command, cwd=ROOT, env=outside, capture_output=True, text=True, check=True).stdout
    assert printed == "<-m><helpers><book><-f><my file.yml><-p><dataset><folder:/my pics/d'or>"


@pytest.mark.parametrize("words", [("test",), ("lab",), ("params", "more"), ("book", "--fast"), ()])
def test_unknown_words_are_refused(words):
    assert "error: " in refused(*words)


# --- what a teacher counts on -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", notebook_sources(), ids=lambda path: path.stem)
def test_a_chapter_has_goals_takeaways_and_exercises_with_executed_solutions(path):
    cells = nbformat.read(path, as_version=4).cells
    text = "\n".join(cell.source for cell in cells if cell.cell_type == "markdown")
    assert re.search(r"\*\*After this (chapter|page) you can\*\*", cells[0].source)
    assert "## Key takeaways" in text
    exercises = re.findall(r"```\{exercise\}\n:label: (\S+)", text)
    assert len(exercises) >= 3 and len(set(exercises)) == len(exercises)
    for label in exercises:
        start = next(i for i, cell in enumerate(cells) if f"{{solution-start}} {label}\n" in cell.source)
        end = next(i for i in range(start, len(cells)) if "{solution-end}" in cells[i].source)
        assert [cell.cell_type for cell in cells[start + 1 : end]].count("code") >= 1, label
