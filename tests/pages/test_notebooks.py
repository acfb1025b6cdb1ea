"""The order and the rules of the notebooks, and the five ways to run one."""

from __future__ import annotations

import ast
import inspect
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from contextlib import suppress
from types import SimpleNamespace

import nbformat
import numpy as np
import pandas as pd
import psutil
import pytest
from conftest import copied_sources, run
from nbclient import NotebookClient
from nbformat.sign import NotebookNotary
from papermill import inspect_notebook
from PIL import Image
from sklearn.neighbors import NearestNeighbors

from helpers.__main__ import main
from helpers.core.conventions import ROOT, ParameterError
from helpers.pages.book import build_book
from helpers.pages.execution import open_images, run_notebook
from helpers.pages.kernels import OwnKernels
from helpers.pages.sources import (
    NotebookError,
    clean_source,
    declared_parameters,
    notebook_sources,
    notebooks_left_out,
    used_parameters,
    values_in_cell,
)
from helpers.parameters import Parameters
from helpers.study import Study

SOURCES = notebook_sources()
ELBOW = ROOT / "notebooks" / "elbow.ipynb"


def test_every_notebook_is_a_chapter():
    assert notebooks_left_out() == []


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.stem)
def test_papermill_reads_every_parameter_with_type_and_meaning(path):
    inspected = inspect_notebook(path)
    assert list(inspected) == declared_parameters(path)
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
    if "tried_k" in parameters:
        parameters |= {"k_min", "k_max", "k_values"}
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
    assert set(declared_parameters(path)) <= parameters_read_by(code_of(path))


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.stem)
def test_every_parameter_that_is_read_reaches_the_notebook(path):
    """One that is read and not handed over would keep its default while the other chapters follow the reader."""
    assert parameters_read_by(code_of(path)) <= set(used_parameters(path))


def test_the_notebooks_together_use_every_parameter():
    assert {name for path in SOURCES for name in used_parameters(path)} == set(Parameters.model_fields)


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.stem)
def test_a_caption_says_what_to_see_and_a_text_alternative_what_is_there(path):
    pages = {cell.id: cell.metadata.get("mystnb", {}) for cell in nbformat.read(path, as_version=4).cells}
    words = {
        cell: (page["image"]["alt"].strip(), page.get("figure", {}).get("caption", "").strip())
        for cell, page in pages.items()
        if "alt" in page.get("image", {})
    }
    assert [cell for cell, (alt, caption) in words.items() if not caption or caption == alt] == []


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


def test_a_notebook_that_the_table_of_contents_lacks_is_left_out_and_told(tmp_path):
    """JupyterLab makes one as soon as somebody asks for a new notebook or a copy."""
    copy = copied_sources(tmp_path)
    shutil.copy(ELBOW, copy / "notebooks" / "Untitled.ipynb")
    assert [path.name for path in notebook_sources(copy)] == [path.name for path in SOURCES]
    assert notebooks_left_out(copy) == [
        "Untitled.ipynb is left out: it becomes a chapter by a line `- file: notebooks/Untitled` in book/_toc.yml."
    ]


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("- file: [", "book/_toc.yml is not valid YAML in line"),
        ("", "book/_toc.yml must hold lines of the form"),
        ("- file: a", "book/_toc.yml must hold lines of the form"),
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


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (untag, "0 cells are tagged 'parameters'"),
        (tag_another, "2 cells are tagged 'parameters'"),
        (replace("k_max: int", "kmax: int"), r"names no parameter \(did you mean 'k_max'\?\)"),
        (replace("k_max: int", "  k_max: int"), "names no parameter"),
    ],
)
def test_a_broken_rule_is_refused_in_one_sentence(tmp_path, change, message):
    with pytest.raises(NotebookError, match=message) as error:
        used_parameters(broken(tmp_path, change))
    assert "broken.ipynb" in str(error.value) and "\n" not in str(error.value)


def work_in_the_lab(path):
    """Do to a source what an afternoon in JupyterLab does: edit the cell of parameters, run all cells, save."""
    notebook = nbformat.read(path, as_version=4)
    replace("k_max: int = 16", "k_max: int = 8")(notebook)
    cell_of_parameters(notebook).source += "\n\n# tried with 12, too"
    for number, cell in enumerate(notebook.cells):
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [nbformat.v4.new_output("stream", text="1")], number + 1
            cell.metadata |= {"execution": {"shell.execute_reply": "2026-01-01"}, "scrolled": True, "collapsed": False}
    notebook.metadata.language_info |= {"version": "3.11.7"}
    notebook.metadata.kernelspec = {"display_name": "other", "language": "python", "name": "other"}
    nbformat.write(notebook, path)


def test_what_is_executed_is_the_same_after_an_afternoon_in_the_lab(tmp_path):
    path = tmp_path / ELBOW.name
    shutil.copy(ELBOW, path)
    assert clean_source(path) == ELBOW.read_text(encoding="utf-8") and values_in_cell(path) == ""
    work_in_the_lab(path)
    assert clean_source(path) == ELBOW.read_text(encoding="utf-8") and used_parameters(path) == used_parameters(ELBOW)
    assert values_in_cell(path) == (
        "elbow.ipynb: `k_max: int = 8` in its cell of parameters is for running it by hand, as in JupyterLab; here "
        "parameters come from -p and -f alone."
    )


def test_a_book_builds_from_what_the_lab_has_saved_and_says_what_it_leaves_out(tmp_path, monkeypatch):
    copy, executed, said = copied_sources(tmp_path), {}, []
    for path in notebook_sources(copy):
        if "k_max" in declared_parameters(path):
            work_in_the_lab(path)
    shutil.copy(copy / "notebooks" / ELBOW.name, copy / "notebooks" / "elbow-Copy1.ipynb")

    def execute(path, output, values, label):
        executed[path.name] = path.read_text(encoding="utf-8")
        output.parent.mkdir(exist_ok=True)
        output.write_text(executed[path.name], encoding="utf-8")

    monkeypatch.setattr("helpers.pages.execution._execute", execute)
    monkeypatch.setattr("helpers.pages.book._build_pages", lambda texts, *rest: texts)
    params = Parameters(dataset="digits", backbone="pixels", cache_dir=str(tmp_path / "cache"))
    build_book(params, build_dir=tmp_path, stage_dir=tmp_path / "stage", source_dir=copy, say=said.append)
    assert executed == {path.name: path.read_text(encoding="utf-8") for path in SOURCES}
    assert said[0].startswith("elbow-Copy1.ipynb is left out")
    assert sum("is for running it by hand" in line for line in said) == sum(
        "k_max" in declared_parameters(path) for path in SOURCES
    )


@pytest.mark.parametrize("content", ["", "not a notebook", "[]", '{"cells": 3}'])
def test_a_file_that_is_no_notebook_is_refused(tmp_path, content):
    path = tmp_path / "broken.ipynb"
    path.write_text(content)
    with pytest.raises(NotebookError, match="cannot be read as a notebook"):
        declared_parameters(path)


def test_missing_notebook_is_named(tmp_path):
    with pytest.raises(NotebookError, match="There is no notebook"):
        declared_parameters(tmp_path / "missing.ipynb")


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


def test_a_folder_that_a_camera_writes_to_ends_the_run_in_one_sentence(tmp_path):
    """The kernel opens the images again, and finds another one among them."""
    photos = tmp_path / "photos"
    photos.mkdir()
    for level in range(8):
        Image.new("L", (9, 9), level).save(photos / f"{level}.png")

    def add_a_picture(notebook):
        source = f"import shutil\nshutil.copy({str(photos / '1.png')!r}, {str(photos / 'new.png')!r})"
        ask = "from helpers.study import Study\nStudy.from_names(globals()).images"
        notebook.cells = [cell_of_parameters(notebook), *map(nbformat.v4.new_code_cell, (source, ask))]

    parameters = Parameters(dataset=f"folder:{photos}", k_max=3, cache_dir=str(tmp_path / "cache"))
    with pytest.raises(NotebookError) as error:
        run_notebook(broken(tmp_path, add_a_picture), tmp_path / "out.ipynb", parameters)
    assert str(error.value) == (
        "The file new.png has been added since this run began; run again once its folder no longer changes."
    )


def test_the_kernel_is_that_of_this_interpreter_and_what_it_did_is_trusted(tmp_path, monkeypatch):
    """A kernel of the name python3 that Jupyter would find first belongs to another Python, which does not start."""
    other = tmp_path / "jupyter" / "kernels" / "python3"
    other.mkdir(parents=True)
    spec = {"argv": ["/no/such/python", "{connection_file}"], "display_name": "other", "language": "python"}
    (other / "kernel.json").write_text(json.dumps(spec), encoding="utf-8")
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path / "jupyter"))
    monkeypatch.setenv("JUPYTER_DATA_DIR", str(tmp_path / "data"))
    assert OwnKernels().get_kernel_spec("python3").argv[0] == sys.executable
    assert list(OwnKernels().find_kernel_specs()) == ["python3"]

    def say_which(notebook):
        notebook.cells = [cell_of_parameters(notebook), nbformat.v4.new_code_cell("import sys; print(sys.executable)")]

    output = run_notebook(broken(tmp_path, say_which), tmp_path / "out.ipynb", Parameters(dataset="digits"))
    executed = nbformat.read(output, as_version=4)
    assert executed.cells[-1].outputs[0].text.strip() == sys.executable
    assert NotebookNotary().check_signature(executed)


def test_ctrl_c_says_at_once_that_it_stops_and_leaves_no_kernel(tmp_path):
    def wait(notebook):
        code = "import os, time; print(os.getpid(), file=open('{}', 'w'), flush=True); time.sleep(600)"
        notebook.cells = [
            cell_of_parameters(notebook),
            nbformat.v4.new_code_cell(code.format(tmp_path / "pid")),
        ]

    command = [sys.executable, "-m", "helpers", "run", broken(tmp_path, wait), "-p", "dataset", "digits"]
    command += ["-o", tmp_path / "out"]
    with subprocess.Popen([*map(str, command)], cwd=ROOT, stderr=subprocess.PIPE) as process:
        while not (tmp_path / "pid").exists() or not (tmp_path / "pid").read_text():
            assert process.poll() is None
            time.sleep(0.1)
        process.send_signal(signal.SIGINT)
        said = process.stderr.read().decode()
    assert process.returncode == 130 and "Traceback" not in said
    assert re.search(r"\nstopping\n(.*\n)*stopped; what was finished is kept", said)
    with suppress(psutil.NoSuchProcess):  # or it is ended, and nobody has asked how
        assert psutil.Process(int((tmp_path / "pid").read_text())).status() == psutil.STATUS_ZOMBIE


INTERRUPTED_IN_A_FINALIZER = """
import os, signal, sys, time
from helpers import __main__ as program

class Held:
    def __del__(self):
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(0.05)  # Python drops the KeyboardInterrupt that is raised here

def command(_):
    held = Held()
    del held
    time.sleep(600)

program._params = command
sys.argv[1:] = ["params"]
sys.exit(program.console())
"""


def test_a_ctrl_c_that_python_drops_stops_all_the_same():
    done = subprocess.run(
        [sys.executable, "-c", INTERRUPTED_IN_A_FINALIZER], cwd=ROOT, capture_output=True, timeout=300
    )
    assert done.returncode == 130 and done.stderr.decode().endswith("the next run goes on from there.\n")


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


def test_chance_in_the_first_chapter_does_not_count_an_image_as_its_own_neighbour():
    """Of two pairs, a random other image is of the same kind in one case of three, and an image itself always.

    Each pair is a group, so the nearest image of another group is of the other kind.
    """
    cells = nbformat.read(ROOT / "notebooks" / "embeddings.ipynb", as_version=4).cells
    (source,) = (cell.source for cell in cells if "chance =" in cell.source)
    labels = np.array(["a", "a", "b", "b"])
    shown = {
        **{
            "np": np,
            "pd": pd,
            "images": SimpleNamespace(labels=labels),
            "study": SimpleNamespace(labels=labels, groups=np.array([0, 0, 1, 1])),
        },
        "neighbors": NearestNeighbors().fit([[0.0], [1], [8], [9]]),
        "Markdown": str,
    }
    exec(source, shown)
    assert shown["chance"] == pytest.approx(1 / 3)
    assert "the same label for all 4 images; a random other image, for 33% of them." in shown["agreement"]
    assert shown["agreement"].endswith("The nearest of another group has the same label for 0.")


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
    """Do as in JupyterLab: edit the cell of parameters, also by further lines, and run all cells where they are."""
    notebook = nbformat.read(ELBOW, as_version=4)
    cell = cell_of_parameters(notebook)
    values = dict(parameters)
    cell.source = re.sub(
        r"(?m)^(\w+)(: .*?) = .*?(  #.*)$", lambda m: f"{m[1]}{m[2]} = {values[m[1]]!r}{m[3]}", cell.source
    )
    for name in parameters.changed().keys() & set(used_parameters(ELBOW)) - set(declared_parameters(ELBOW)):
        cell.source += f"\n{name} = {values[name]!r}"
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


def refused(*arguments, folder=ROOT):
    """Run a command that must be refused, and return its message."""
    finished = subprocess.run(
        [sys.executable, "-m", "helpers", *map(str, arguments)], cwd=folder, capture_output=True, text=True
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


def test_two_notebooks_of_one_name_are_refused(tmp_path, capsys):
    """Their results would be one file, and the second would replace the first."""
    shutil.copy(ELBOW, tmp_path)
    assert main(["run", str(ELBOW), str(tmp_path / ELBOW.name), "-o", str(tmp_path / "out")]) == 1
    assert capsys.readouterr().err == (
        "error: Two of the notebooks are called elbow.ipynb, and their results would be one file.\n"
    )
    assert not (tmp_path / "out").exists()


def test_images_that_the_network_cannot_tell_apart_are_refused_in_the_sentence_of_the_study(tmp_path):
    """That shows only when they are embedded, in the first chapter, which is not to blame."""
    photos = tmp_path / "photos"
    photos.mkdir()
    for kind in ("png", "bmp", "tif"):
        Image.new("RGB", (8, 8), "red").save(photos / f"1.{kind}")
    parameters = {"dataset": f"folder:{photos}", "backbone": "pixels", "cache_dir": tmp_path / "cache"}
    options = [part for name, value in parameters.items() for part in ("-p", name, value)]
    message = refused("run", ROOT / "notebooks" / "embeddings.ipynb", *options, "-o", tmp_path / "out")
    assert message.splitlines()[-1] == (
        f"error: All 3 images of 'folder:{photos}' that can be read look the same to the network 'pixels': there is "
        "nothing to cluster, and at least two different images are needed, or another `backbone`, which tells them "
        "apart."
    )


def test_missing_parameter_file_is_refused():
    assert "cannot be read" in refused("book", "-f", "params/missing.yml")


@pytest.mark.parametrize("command", [["book"], ["sync"]])
def test_outside_of_the_repository_it_is_said_what_works_and_where_the_rest_is(command, tmp_path):
    shutil.copytree(ROOT / "helpers", tmp_path / "helpers", ignore=shutil.ignore_patterns("__pycache__"))
    message = refused(*command, folder=tmp_path)
    assert message == (
        f"error: {tmp_path / 'book' / '_toc.yml'} is not here: outside of the repository the functions, `python -m "
        "helpers run NOTEBOOK` and `params` work; for the book with its chapters, prose and tables, get the repository "
        "with git clone, and run the command in it."
    )


def test_params_prints_every_parameter():
    printed = subprocess.run(
        [sys.executable, "-m", "helpers", "params"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout
    for name in Parameters.model_fields:
        assert f"| `{name}` |" in printed


@pytest.mark.skipif(shutil.which("make") is None, reason="make is not installed")
def test_the_lab_begins_at_the_repository_with_the_kernel_of_this_interpreter():
    outside = {name: value for name, value in os.environ.items() if not name.startswith("MAKE") and name != "ARGS"}
    command = ["make", "-n", "-o", ".venv/.ready", "lab"]
    printed = subprocess.run(command, cwd=ROOT, env=outside, capture_output=True, text=True, check=True).stdout
    words = printed.replace("\\\n", " ").split()
    assert words[1:3] == ["-m", "jupyterlab"] and all(word.startswith("--") for word in words[3:])
    (kernels,) = (word.partition("=")[2] for word in words if "kernel_spec_manager_class" in word)
    assert kernels == f"{OwnKernels.__module__}.{OwnKernels.__name__}"


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


@pytest.mark.parametrize(
    "path", [path for path in notebook_sources() if path.stem != "worksheet"], ids=lambda path: path.stem
)
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
