"""The page of a comparison, and notebooks executed with each combination."""

from __future__ import annotations

import csv
from urllib.parse import unquote

import nbformat
import pandas as pd
import pytest
from bs4 import BeautifulSoup

from helpers.__main__ import main
from helpers.comparing.combinations import combine
from helpers.core.conventions import ROOT
from helpers.pages.comparison import _csv, run_name

ELBOW = ROOT / "notebooks" / "elbow.ipynb"
CHOSEN = {"dataset": "digits", "backbone": "pixels", "n_images": 80, "n_components": 8, "k_max": 4, "n_init": 2}


MANY = ",".join(map(str, range(2, 25)))


@pytest.fixture
def given(cache_dir):
    """The options of a small study."""
    values = CHOSEN | {"cache_dir": cache_dir}
    return [part for name, value in values.items() for part in ("-p", name, str(value))]


def refused(capsys, *arguments):
    """Run a command that must be refused, and return its message."""
    assert main([*map(str, arguments)]) in (1, 2)
    return capsys.readouterr().err


def test_a_page_shows_the_answers_the_moves_and_what_failed(given, tmp_path, capsys):
    options = ["--vary", "normalize=none,unit", "--vary", "random_state=0,1"]
    odd = tmp_path / "=<b>odd.yml"
    odd.write_text("dataset: digits\n")
    (tmp_path / "four.yml").write_text("dataset: folder:/no/such/<i>folder\n")
    given = [part for name, value in zip(given[1::3], given[2::3]) if name != "dataset" for part in ("-p", name, value)]
    command = ["compare", odd, tmp_path / "four.yml", *given, *options, "-o", tmp_path / "out"]
    assert main([*map(str, command)]) == 0
    printed = capsys.readouterr().out
    assert (
        "the scaling and the seed (4 more could not be computed)" in printed
        and str(tmp_path / "out" / "compare.html") in printed
    )
    text = (tmp_path / "out" / "compare.html").read_text(encoding="utf-8")
    page = BeautifulSoup(text, "html.parser")
    assert [head.get_text() for head in page.find_all("h2")][:3] == [
        "How much each choice moves the answer", "The combinations", "Without an answer",
    ]  # fmt: skip
    assert page.find("b").get_text() in printed  # the sentence
    assert page.find("i") is None and "=<b>odd.yml" in page.get_text() and "/no/such/<i>folder" in page.get_text()
    assert not page.find_all(["script", "link"]) and page.img["src"].startswith("data:") and len(page.img["alt"]) > 20
    rows = page.find_all("table")[1].tbody.find_all("tr")
    assert len(rows) == 4

    table = pd.read_csv(tmp_path / "out" / "compare.csv")
    assert set(table["convenience"].dropna()) <= {2, 3, 4}
    assert len(table) == 8 and table["n_clusters"].notna().sum() <= 4 == table["failure"].notna().sum()
    assert sorted(table["file"].unique()) == sorted([str(odd), str(tmp_path / "four.yml")])
    assert sorted(table["normalize"].unique()) == ["none", "unit"]
    assert main([*map(str, command)]) == 0  # in place of the earlier one


def test_all_fail_and_there_is_a_page_that_says_so(given, tmp_path, capsys):
    assert main(["compare", *given, "-p", "n_images", "4", "--vary", "normalize=none,unit", "-o", str(tmp_path)]) == 1
    assert "None of the 2 combinations could be computed" in capsys.readouterr().out
    page = BeautifulSoup((tmp_path / "compare.html").read_text(encoding="utf-8"), "html.parser")
    assert "k_max may be at most 3" in page.find("table").get_text() and page.find("img") is None
    assert pd.read_csv(tmp_path / "compare.csv")["failure"].notna().all()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--vary", "kmax=3,4"], "There is no parameter 'kmax' (did you mean 'k_max'?)"),
        (["--vary", "k_max=3", "-p", "k_max", "4"], "k_max is both set by -p and varied"),
        (["--vary", "scheduler=,local"], "scheduler cannot be varied"),
        (["no.yml"], "no.yml cannot be read"),
        (["a.yml", "a.yml"], "The file a.yml is there twice."),
        (["--vary", f"random_state={MANY}", "--vary", f"k_max={MANY}"], "529 combinations, and at most 500"),
    ],
)
def test_what_cannot_be_compared_is_refused_before_anything_runs(arguments, message, tmp_path, capsys):
    said = refused(capsys, "compare", *arguments, "-o", tmp_path / "out")
    assert said.startswith("error: ") and message in said and said.count("\n") == 1
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("name", ["compare.html", "compare.csv"])
def test_only_an_earlier_page_is_replaced(name, given, tmp_path, capsys):
    (tmp_path / name).write_text("mine")
    assert f"{name} is there and is not of an earlier run" in refused(capsys, "compare", *given, "-o", tmp_path)
    assert (tmp_path / name).read_text() == "mine" and len(list(tmp_path.iterdir())) == 1


def test_no_text_of_the_table_is_a_formula(given):
    class Failed:
        answered, failed = [], [(combine({"=1+1": {}, "b": {"k_max": 3}}, {})[0], "-why")]
        answers, choices = pd.DataFrame({"levels": []}), pd.DataFrame()

    head, row = csv.reader(_csv(Failed).decode("utf-8-sig").splitlines())
    assert dict(zip(head, row)) == {"levels": "", "file": "'=1+1", "failure": "'-why"}


# --- notebooks --------------------------------------------------------------------------------------------------------


def test_names_of_runs_are_safe_and_different():
    assert run_name(ELBOW, {"normalize": "none", "k_max": "8"}) == "elbow--normalize-none--k_max-8.ipynb"
    names = [
        run_name(ELBOW, {"dataset": value}) for value in ("folder:/a/b", "folder:/a_b", "folder:../a b", "x" * 999)
    ]
    assert len(set(names)) == 4 and all(len(name) < 160 for name in names)
    assert all(set(name) <= set("abcdefghijklmnopqrstuvwxyz0123456789_.-") for name in names)


def test_a_notebook_is_executed_with_each_combination_and_a_page_lists_them(given, tmp_path, capsys):
    """A short notebook stands for the chapters; one of its runs fails, and the others are there."""
    notebook = nbformat.read(ELBOW, as_version=4)
    notebook.cells = [cell for cell in notebook.cells if "parameters" in cell.metadata.get("tags", [])]
    notebook.cells.append(nbformat.v4.new_code_cell("assert k_max != 3, '<b>three</b>'\nprint('k_max is', k_max)"))
    source = tmp_path / "short.ipynb"
    nbformat.write(notebook, source)
    given = [part for name, value in zip(given[1::3], given[2::3]) if name != "k_max" for part in ("-p", name, value)]
    command = ["run", str(source), *given, "--vary", "k_max=3,4", "-o", str(tmp_path / "out")]
    assert main(command) == 1
    assert "1 of 2 runs failed" in capsys.readouterr().out
    page = BeautifulSoup((tmp_path / "out" / "index.html").read_text(encoding="utf-8"), "html.parser")
    rows = page.tbody.find_all("tr")
    assert [row.td.get_text() for row in rows] == ["3", "4"] and page.find("b") is None
    assert "AssertionError: <b>three</b>" in rows[0].get_text() and "failed" not in rows[1].get_text()
    assert all(row.find_all("td")[1].get_text().startswith(("k = ", "no clear k")) for row in rows)
    names = [unquote(link["href"]) for link in page.find_all("a")]
    assert names == ["short--k_max-3.ipynb", "short--k_max-4.ipynb"]
    executed = nbformat.read(tmp_path / "out" / names[1], as_version=4)
    assert executed.cells[-1].outputs[0].text == "k_max is 4\n"


def test_a_varied_parameter_that_the_notebook_does_not_use_is_refused(tmp_path, capsys):
    embeddings = ROOT / "notebooks" / "embeddings.ipynb"
    said = refused(capsys, "run", embeddings, "--vary", "k_max=3,4", "-o", tmp_path / "out")
    assert "k_max is a parameter of none of the notebooks named" in said and not (tmp_path / "out").exists()
