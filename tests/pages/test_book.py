"""The built book: what it holds follows from the run, it needs no network, and a failure leaves the last good one."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import tempfile
import time
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from threading import Event

import nbformat
import numpy as np
import pandas as pd
import pytest
import yaml
from bs4 import BeautifulSoup
from conftest import build, copied_sources
from docutils.core import publish_doctree
from PIL import Image

from helpers.clustering.reduction import fit_pca
from helpers.core.cache import cached
from helpers.core.conventions import ROOT, ParameterError
from helpers.criteria.table import equal_k
from helpers.images.backbones import _kind_of
from helpers.images.collection import ChangedImageError
from helpers.images.datasets import load_images
from helpers.pages.book import _call_for_each, _for_its_page, _slides, build_book
from helpers.pages.sources import NotebookError, notebook_sources, used_parameters
from helpers.parameters import Parameters
from helpers.study import Study
from helpers.trials.judging import clouds_sentence, judge_answers, read_clouds, read_trials, trial_sentences

CHAPTERS = [path.stem for path in notebook_sources()]


def first(uses: bool, parameter: str) -> str:
    """Name the first notebook that uses a parameter, or that does not."""
    return next(path.name for path in notebook_sources() if (parameter in used_parameters(path)) == uses)


@pytest.fixture(params=["fast_book", "second_book"])
def book(request):
    """Take each of the two small books in turn."""
    return request.getfixturevalue(request.param)


def text_of(page) -> str:
    """Extract the words of a page, with white space folded."""
    article = BeautifulSoup(page.read_text(encoding="utf-8"), "html.parser").find("article")
    return " ".join(article.get_text(" ").split())


def pages_of(book):
    """Yield all pages with their parsed text, without the templates among the static files of the theme."""
    for page in book.pages.rglob("*.html"):
        if "_static" not in page.parts:
            yield page, BeautifulSoup(page.read_text(encoding="utf-8"), "html.parser")


def computed(parameters: Parameters):
    """Compute the criteria of a study and their verdict here, and not by its notebooks."""
    return _computed(parameters.model_dump_json())  # parameters may hold lists, which are no keys


@lru_cache
def _computed(written: str):
    parameters = Parameters(**json.loads(written))
    features = Study(parameters).embeddings.features
    chosen = parameters.model_dump(include={"normalize", "n_components", "metric", "n_init", "random_state"})
    with tempfile.TemporaryDirectory() as folder:
        study = Study.of_features(features, parameters.tried_k, cache_dir=folder, **chosen)
        return study.criteria, study.verdict


def test_every_chapter_is_built(book):
    for chapter in CHAPTERS:
        assert (book.pages / "notebooks" / f"{chapter}.html").is_file()
    assert "book/intro.html" in (book.pages / "index.html").read_text(encoding="utf-8")


def test_first_page_holds_the_numbers_and_the_verdict_of_the_run(book):
    criteria, decision = computed(book.parameters)
    text = text_of(book.pages / "book" / "intro.html")
    for topic in ("conclusion", "strength", "elbow", "disagreement"):
        assert " ".join(decision.sentences[topic].split()) in text.replace("’", "'")
    score, positive = (", ".join(map(str, equal_k(criteria)[name])) for name in ("score", "positive"))
    assert f"silhouette score (mean over images) {score} {criteria['score'].max():.3f}" in text
    assert f"{positive} {criteria['positive'].max():.1%}" in text


def test_numbers_and_verdict_change_with_the_parameters(book, choices):
    """A book tells the numbers of its own run, which differ from those of the other."""
    (other,) = (parameters for parameters in choices.values() if parameters != book.parameters)
    (ours, own_verdict), (theirs, their_verdict) = computed(book.parameters), computed(other)
    text = text_of(book.pages / "book" / "intro.html").replace("’", "'")
    score, their_score = (f"{criteria['score'].max():.3f}" for criteria in (ours, theirs))
    for pattern, own, foreign in (
        (r"made from (\d+) images", str(book.parameters.n_images), str(other.n_images)),
        (r"silhouette score is largest at k = \d+, ([\d.]+),", score, their_score),
        (r"mean over images\) \d+ ([\d.]+)", score, their_score),
    ):
        assert re.search(pattern, text)[1] == own != foreign
    for topic in ("conclusion", "strength", "elbow"):
        own, foreign = (" ".join(found.sentences[topic].split()) for found in (own_verdict, their_verdict))
        assert own in text and foreign not in text


def number(text: str) -> float:
    """Read a number of a readable table."""
    if text == "\N{EN DASH}":
        return np.nan
    return float(text.replace("\N{MINUS SIGN}", "-").replace(",", "").rstrip("%")) / (100 if "%" in text else 1)


@pytest.mark.parametrize(
    ("first", "shown", "atol"),
    [
        ("floor", ["null_score_high", "score", "ceiling", "macro", "positive"], 6e-4),
        ("inertia", ["inertia", "valley", "stability", "strength", "gap"], [0.06, 6e-3, 6e-3, 6e-3, 6e-4]),
    ],
)
def test_tables_of_the_verdict_are_those_of_the_run(book, first, shown, atol):
    page = BeautifulSoup((book.pages / "notebooks" / "verdict.html").read_text("utf-8"), "html.parser")
    (table,) = (table for table in page.find_all("table") if table.find("thead") and first in table.thead.get_text())
    rows = table.find("tbody").find_all("tr")
    cells = np.array([[number(cell.get_text()) for cell in row.find_all(["th", "td"])] for row in rows])
    criteria, _ = computed(book.parameters)
    expected = criteria[shown].loc[cells[:, 0].astype(int)].to_numpy()
    assert len(cells) == (criteria["score"].notna().sum() if first == "floor" else len(criteria))
    assert (np.isnan(cells[:, 1:]) == np.isnan(expected)).all()
    assert (np.nan_to_num(np.abs(cells[:, 1:] - expected)) <= atol).all()


def test_study_chapter_says_what_the_stored_study_says(book):
    page = {"short": "book/intro"}
    sentences = trial_sentences(judge_answers(read_trials())) | {"clouds": clouds_sentence(read_clouds())}
    for topic, sentence in sentences.items():
        text = text_of(book.pages / f"{page.get(topic, 'notebooks/which_metric')}.html").replace("’", "'")
        assert " ".join(sentence.split()) in text.replace(" ”", "”")


def test_each_chapter_ends_with_its_provenance(book):
    images = load_images(
        book.parameters.dataset, n_images=book.parameters.n_images, random_state=book.parameters.random_state
    )
    for path in notebook_sources():
        used = {name: value for name, value in book.parameters if name in used_parameters(path)}
        text = text_of(book.pages / "notebooks" / f"{path.stem}.html")
        assert f"python -m helpers run notebooks/{path.name} {Parameters(**used).as_options()}" in text
        assert images.fingerprint[:16] in text or "dataset" not in used
        assert "scikit-learn" in text and "since the kernel started" in text


def test_pages_load_nothing_from_the_network(book):
    for page, soup in pages_of(book):
        loaded = [tag.get("src") for tag in soup.find_all(src=True)]
        loaded += [tag["href"] for tag in soup.find_all("link", href=True)]
        assert [address for address in loaded if re.match(r"(https?:)?//", address)] == [], page
        assert not re.search(r"https?://[^\"' ]*(cdn|unpkg|jsdelivr|googleapis)", page.read_text(encoding="utf-8")), (
            page
        )


def test_style_sheets_load_nothing_from_the_network(book):
    for sheet in book.pages.rglob("*.css"):
        text = sheet.read_text(encoding="utf-8")
        assert not re.search(r"(url\(|@import)\s*[\"']?(https?:)?//", text), sheet


def test_mathematics_is_bundled(book):
    page = (book.pages / "notebooks" / "silhouette_score.html").read_text(encoding="utf-8")
    source = re.search(r'src="([^"]*mathjax[^"]*)"', page)[1]
    assert (book.pages / "notebooks" / source.split("?")[0]).resolve().is_file()
    fonts = list((book.pages / "_static" / "mathjax").rglob("*.woff"))
    assert fonts, "MathJax would ask the network for its fonts"


def test_local_references_exist(book):
    soups = {page.resolve(): soup for page, soup in pages_of(book)}
    anchors = {page: {tag["id"] for tag in soup.find_all(id=True)} for page, soup in soups.items()}
    for page, soup in soups.items():
        addresses = [tag["src"] for tag in soup.find_all(src=True)] + [tag["href"] for tag in soup.find_all(href=True)]
        for address in addresses:
            path = address.split("#")[0].split("?")[0]
            if path and not re.match(r"[a-z]+:", path):
                assert (page.parent / path).exists(), f"{page}: {address}"
        for address in (tag["href"] for tag in soup.find_all("a", href=True)):
            path, _, anchor = address.partition("#")
            target = (page.parent / path).resolve() if path else page
            if anchor and target in anchors:
                assert anchor in anchors[target], f"{page}: {address}"


def test_figures_have_text_alternatives(book):
    for page in (book.pages / "notebooks").glob("*.html"):
        article = BeautifulSoup(page.read_text(encoding="utf-8"), "html.parser").find("article")
        for figure in article.find_all("img"):
            assert len(figure.get("alt", "")) > 20, f"{page.name}: {figure.get('src')}"
            assert figure.find_parent("figure").find("figcaption"), f"{page.name}: {figure.get('src')}"
            assert {"chart", "photographs"} & set(figure["class"]), f"{page.name}: {figure.get('src')}"


def executed_notebook(*cells):
    """Write an executed notebook: a title, and cells that each have shown a picture."""
    shown = nbformat.v4.new_output("display_data", {"image/png": "aGVsbG8="})
    code = [nbformat.v4.new_code_cell(source, metadata=metadata, outputs=[shown]) for source, metadata in cells]
    return nbformat.writes(nbformat.v4.new_notebook(cells=[nbformat.v4.new_markdown_cell("# The elbow"), *code]))


def test_captions_are_those_of_the_cell_or_its_text_alternative():
    pages = [{"image": {"alt": "A curve."}}, {"image": {"alt": "A curve."}, "figure": {"caption": "It falls."}}]
    text = executed_notebook(*(("plot()", {"mystnb": page}) for page in pages))
    cells = nbformat.reads(_for_its_page(text), as_version=4).cells[1:]
    assert [cell.metadata.mystnb.figure.caption for cell in cells] == ["A curve.", "It falls."]


def test_parameters_that_were_set_are_a_fold_and_the_code_stays():
    text = executed_notebook(("k_max = 6", {"tags": ["injected-parameters"]}), ("1", {"tags": ["parameters"]}))
    _, injected, other = nbformat.reads(_for_its_page(text), as_version=4).cells
    assert injected.metadata.tags == ["injected-parameters", "hide-input"] and injected.source == "k_max = 6"
    assert "this book changes" in injected.metadata.mystnb.code_prompt_show
    assert other.metadata == {"tags": ["parameters"]}


def test_what_a_slide_shows_is_a_file_with_its_picture_and_its_text_alternative():
    page = {"image": {"alt": "A curve."}, "figure": {"caption": "It falls."}}
    cells = [(code, {"tags": ["slide"], "mystnb": page}) for code in ("plot()", "plots.plot_images(x)")]
    notebook = nbformat.reads(_for_its_page(executed_notebook(*cells, ("1", {}))), as_version=4)
    for number, cell in enumerate(notebook.cells):
        cell.id = f"cell-{number}"
    files = _slides({"elbow.ipynb": nbformat.writes(notebook)})
    assert files.pop("book/_generated/slides/elbow-cell-1-1.png") == b"hello"
    lines = files["book/_generated/slides/elbow-cell-1.md"].decode().splitlines()
    assert lines == ["```{image} _generated/slides/elbow-cell-1-1.png", ":class: chart", ":alt: A curve.", "```"]
    assert ":class: photographs" in files["book/_generated/slides/elbow-cell-2.md"].decode()
    assert len(files) == 3


def test_figures_and_exercises_are_numbered_by_chapter(book):
    """Of chapters, by their number, of appendices, by a letter; of the question, which comes first, by nothing."""
    prefixes = {}
    chapters = [chapter for chapter in CHAPTERS if chapter != "worksheet"]  # which is of the kit
    for chapter in chapters:
        page = (book.pages / "notebooks" / f"{chapter}.html").read_text(encoding="utf-8")
        numbers = re.findall(r'class="caption-number">\s*(?:Fig\.|Exercise) ([\w.]+)', page)
        assert len(numbers) > 1
        (prefixes[chapter],) = {number.rpartition(".")[0] for number in numbers}
    first, *others = prefixes.values()
    n_chapters = len(chapters) - 4  # without the question and three appendices
    assert first == "" and others == [*map(str, range(1, n_chapters + 1)), "A", "B", "C"]


def test_no_buttons_while_the_address_is_not_decided(book):
    page = (book.pages / "notebooks" / "elbow.html").read_text(encoding="utf-8")
    assert "mybinder" not in page and "colab" not in page.lower() and "/edit/" not in page


def test_one_line_sets_the_published_address(tmp_path, fast_book):
    copy = copied_sources(tmp_path)
    config = (copy / "_config.yml").read_text(encoding="utf-8")
    (copy / "_config.yml").write_text(config.replace('url: ""', "url: https://github.com/someone/how-many-clusters", 1))
    book = build(tmp_path / "out", fast_book.parameters, copy)
    page = (book.pages / "notebooks" / "elbow.html").read_text(encoding="utf-8")
    for link in (
        "mybinder.org/v2/gh/someone/how-many-clusters/main?urlpath=tree/notebooks/elbow.ipynb",
        "colab.research.google.com/github/someone/how-many-clusters/blob/main/notebooks/elbow.ipynb",
        "github.com/someone/how-many-clusters/edit/main/notebooks/elbow.ipynb",
    ):
        assert link in page


def test_parameter_page_lists_every_parameter_and_the_command(book):
    text = text_of(book.pages / "book" / "parameters.html")
    for name in Parameters.model_fields:
        assert name in text
    assert book.parameters.as_options() in text


def test_second_build_says_that_nothing_changed(fast_book, monkeypatch):
    def refuse(*args, **kwargs):
        raise AssertionError("executed or rendered again")

    monkeypatch.setattr("helpers.pages.execution._execute", refuse)
    monkeypatch.setattr("helpers.pages.book._run_jupyter_book", refuse)
    again = build(fast_book.pages.parent, fast_book.parameters)
    assert again.said[-1] == "Nothing has changed since the last build."


@pytest.mark.parametrize(
    "change",
    [
        lambda monkeypatch: monkeypatch.setattr("helpers.pages.book.page_versions", lambda: {"sphinx": "0"}),
        lambda monkeypatch: monkeypatch.setattr("helpers.core.cache.library_versions", lambda: {"numpy": "0"}),
        lambda monkeypatch: monkeypatch.setattr("helpers.core.cache.source_digest", lambda module: "edited"),
    ],
    ids=["page library", "computing library", "helpers' source"],
)
def test_executed_notebooks_are_not_served_after_a_change(fast_book, monkeypatch, change):
    change(monkeypatch)
    executed = []

    def execute(path, output, values, label):
        executed.append(path.name)
        raise NotebookError("far enough")

    monkeypatch.setattr("helpers.pages.execution._execute", execute)
    with pytest.raises(NotebookError, match="far enough"):
        build(fast_book.pages.parent, fast_book.parameters)
    # Two at once: the one that embeds, and one that needs no images.
    assert executed and set(executed) <= {first(True, "dataset"), first(False, "dataset")}


def test_only_notebooks_with_a_changed_parameter_are_executed(fast_book, tmp_path, monkeypatch):
    executed = []

    def execute(path, output, values, label):
        executed.append(path.name)
        raise NotebookError("far enough")

    monkeypatch.setattr("helpers.pages.execution._execute", execute)
    changed = Parameters(**{**dict(fast_book.parameters), "k_max": 5})
    with pytest.raises(NotebookError):
        build(tmp_path, changed)
    # The first that uses k_max, and perhaps one that was begun beside it; those without k_max came from the cache.
    assert first(True, "k_max") in executed
    assert all("k_max" in used_parameters(ROOT / "notebooks" / name) for name in executed)


def test_notebooks_without_images_do_not_wait_for_the_embeddings():
    """They run beside the notebook that embeds, and the others with images after it, before the remaining ones."""
    paths = [Path(name) for name in ("words", "embeds", "images", "numbers", "more images")]
    begun, others_began = [], Event()

    def execute(path):
        begun.append(path.name)
        if path.name == "embeds":
            assert others_began.wait(60)
            time.sleep(0.2)  # the others end first, and the rest must still begin
        elif path.name == "numbers":
            others_began.set()
        return path.name.upper()

    texts = _call_for_each(execute, [paths[1], paths[2], paths[4]], paths)
    assert texts == {path: path.name.upper() for path in paths}
    assert begun[:3] == ["embeds", "words", "numbers"] and sorted(begun[3:]) == ["images", "more images"]


def test_no_notebook_begins_after_a_failure():
    begun = []

    def execute(path):
        begun.append(path.name)
        raise NotebookError(path.name)

    paths = [Path(str(number)) for number in range(5)]
    with pytest.raises(NotebookError):
        _call_for_each(execute, paths[:3], paths)
    assert set(begun) <= {"0", "3"}


def break_cell(path, source):
    """Put a cell that fails at the end of a notebook."""
    notebook = nbformat.read(path, as_version=4)
    notebook.cells.append(nbformat.v4.new_code_cell(source))
    nbformat.write(notebook, path)


def test_failing_notebook_is_named_and_leaves_the_last_good_book(fast_book, tmp_path):
    copy = copied_sources(tmp_path)
    break_cell(copy / "notebooks" / "elbow.ipynb", "1 / 0")
    before = {path: path.stat().st_mtime_ns for path in fast_book.pages.rglob("*") if path.is_file()}
    with pytest.raises(NotebookError, match=r"elbow.ipynb failed in cell \d+ \(`1 / 0`\): ZeroDivisionError"):
        build(fast_book.pages.parent, fast_book.parameters, copy)
    assert {path: path.stat().st_mtime_ns for path in fast_book.pages.rglob("*") if path.is_file()} == before
    failed = nbformat.read(fast_book.pages.parent / "failed" / "elbow.ipynb", as_version=4)
    assert any(output.output_type == "error" for output in failed.cells[-1].outputs)


def test_warnings_and_missing_numbers_fail_the_build_and_leave_the_last_good_book(fast_book, tmp_path):
    copy = copied_sources(tmp_path)
    intro = copy / "book" / "intro.md"
    text = intro.read_text(encoding="utf-8").replace("::best_score:.3f", "::no_such_number:.3f")
    intro.write_text(text + "\n{doc}`nowhere`\n", encoding="utf-8")
    key = (fast_book.pages / "book-key.txt").read_text(encoding="utf-8")
    with pytest.raises(NotebookError, match=r"(?s)no_such_number.*nowhere|nowhere.*no_such_number"):
        build(fast_book.pages.parent, fast_book.parameters, copy)
    assert (fast_book.pages / "book-key.txt").read_text(encoding="utf-8") == key


def test_impossible_data_is_refused_before_anything_is_executed(tmp_path, monkeypatch):
    monkeypatch.setattr("helpers.pages.execution._execute", lambda *args: pytest.fail("executed"))
    with pytest.raises(ParameterError, match="k_max may be at most 9"):
        build_book(Parameters(dataset="digits", n_images=10), build_dir=tmp_path, stage_dir=tmp_path / "stage")


def build_without_kernels(folder, parameters, monkeypatch, execute, source_dir=ROOT):
    """Build a book whose chapters are executed by a function, and return the names of those that were."""
    executed = []

    def pretend(path, output, values, label):
        executed.append(path.name)
        output.parent.mkdir(parents=True)
        output.write_text(execute(path.name, values))

    monkeypatch.setattr("helpers.pages.execution._execute", pretend)
    monkeypatch.setattr("helpers.pages.book._build_pages", lambda *args: folder)
    build_book(parameters, build_dir=folder, stage_dir=folder / "stage", source_dir=source_dir, say=str)
    return executed


def test_no_chapter_is_stored_under_the_key_of_other_images(tmp_path, monkeypatch):
    """A folder that changes during a build, and is then restored, must find no chapter about what it was meanwhile."""
    photos, late = tmp_path / "photos", tmp_path / "photos" / "late.png"
    photos.mkdir()
    for level in range(8):
        Image.new("L", (9, 9), level).save(photos / f"{level}.png")
    parameters = Parameters(dataset=f"folder:{photos}", k_max=3, cache_dir=str(tmp_path / "cache"))
    with_images = [path.name for path in notebook_sources() if "dataset" in used_parameters(path)]

    def execute(name, values):
        """Open the images as a kernel does; when the first chapter ends, a picture arrives."""
        try:
            n_images = len(Study(Parameters(**values)).images) if name in with_images else 0
        except ChangedImageError as error:
            raise NotebookError(str(error)) from None
        if name == with_images[0]:
            shutil.copy(photos / "1.png", late)
        return f"about {n_images} images"

    with pytest.raises(NotebookError, match="^The file late.png has been added since this run began; run again once"):
        build_without_kernels(tmp_path, parameters, monkeypatch, execute)
    late.unlink()
    again = build_without_kernels(tmp_path, parameters, monkeypatch, lambda name, values: "")
    assert set(again) >= set(with_images[1:]) and with_images[0] not in again


def test_no_chapter_is_stored_under_the_key_of_other_tables(tmp_path, monkeypatch):
    copy = copied_sources(tmp_path)
    table = copy / "book" / "data" / "question.csv"
    before = table.read_bytes()
    parameters = Parameters(dataset="digits", backbone="pixels", cache_dir=str(tmp_path / "cache"))

    def execute(name, values):
        table.write_bytes(before + b"\n")
        return ""

    with pytest.raises(NotebookError, match="^The file book/data/question.csv has changed since this run began; run"):
        build_without_kernels(tmp_path / "out", parameters, monkeypatch, execute, copy)
    table.write_bytes(before)
    again = build_without_kernels(tmp_path / "out", parameters, monkeypatch, lambda name, values: "", copy)
    assert set(again) == {path.name for path in notebook_sources()}


def test_chapters_depend_on_the_weights_of_a_network_that_the_parameters_only_name(tmp_path, monkeypatch):
    """Those of torchvision lie in a folder of PyTorch's, where another file may take their place."""
    parameters = Parameters(dataset="digits", backbone="resnet18", cache_dir=str(tmp_path / "cache"))
    weights = tmp_path / "checkpoints" / "resnet18.pth"
    weights.parent.mkdir()
    monkeypatch.setattr(
        "helpers.images.backbones._kind_of", lambda name: replace(_kind_of(name), default_weights=lambda _: weights)
    )
    for content in (b"some", b"others"):
        weights.write_bytes(content)
        executed = build_without_kernels(tmp_path, parameters, monkeypatch, lambda name, values: "")
        assert {path.name for path in notebook_sources() if "dataset" in used_parameters(path)} <= set(executed)
    assert not build_without_kernels(tmp_path, parameters, monkeypatch, lambda name, values: "")


@pytest.fixture
def drawn(monkeypatch):
    """Build books without kernels and without Sphinx: a page has the words of its configuration. List what is built."""
    built = []

    def render(stage, work, log):
        context = yaml.safe_load((stage / "_config.yml").read_text("utf-8"))["sphinx"]["config"]["html_context"]
        folder = context.get("this_book", "")
        built.append(folder)
        (work / "html").mkdir(parents=True)
        (work / "html" / "index.html").write_text(json.dumps(context))
        return work / "html"

    executed = {"elbow.ipynb": executed_notebook()}
    monkeypatch.setattr("helpers.pages.book._execute_all", lambda *_: executed)
    monkeypatch.setattr("helpers.pages.book._run_jupyter_book", render)
    return built


def several(folder, **beside):
    """Build a book about digits, and others beside it."""
    parameters = Parameters(dataset="digits", n_images=20, k_max=3)
    build_book(parameters, beside=beside, build_dir=folder, stage_dir=folder / "stage", say=lambda _: None)
    return {path.parent.relative_to(folder).as_posix() for path in folder.rglob("index.html")}


ANOTHER = Parameters(dataset="imagenet-sample", n_images=20, k_max=3)


def test_books_lie_beside_each_other_and_know_of_each_other(tmp_path, drawn):
    assert several(tmp_path, photos=ANOTHER) == {"html", "html/photos"}
    for folder, here in (("html", ""), ("html/photos", "photos")):
        context = json.loads((tmp_path / folder / "index.html").read_text())
        assert context["books"] == {"": "digits", "photos": "ImageNet sample"} and context["this_book"] == here


def test_only_books_that_have_changed_are_rendered_and_the_others_stay(tmp_path, drawn):
    several(tmp_path, photos=ANOTHER)
    several(tmp_path, photos=ANOTHER)
    assert drawn == ["photos", ""]
    several(tmp_path, photos=Parameters(dataset="imagenet-sample", n_images=25, k_max=3))
    assert drawn[2:] == ["photos"]
    shutil.rmtree(tmp_path / "html" / "photos")
    assert several(tmp_path, photos=ANOTHER) == {"html", "html/photos"}
    assert drawn[3:] == ["photos"]


def test_a_book_by_itself_has_no_links_and_leaves_no_other_book(tmp_path, drawn):
    several(tmp_path, photos=ANOTHER)
    assert several(tmp_path) == {"html"}
    assert "books" not in json.loads((tmp_path / "html" / "index.html").read_text())


def test_a_failure_of_one_book_leaves_the_last_good_ones(tmp_path, drawn, monkeypatch):
    several(tmp_path, photos=ANOTHER)
    before = {path: path.read_text() for path in tmp_path.rglob("index.html")}

    def fail(stage, work, log):
        raise NotebookError("no pages")

    monkeypatch.setattr("helpers.pages.book._run_jupyter_book", fail)
    with pytest.raises(NotebookError, match="no pages"):
        several(tmp_path, photos=ANOTHER, others=ANOTHER)
    assert {path: path.read_text() for path in tmp_path.rglob("index.html")} == before


@pytest.mark.parametrize("name", ["notebooks", "_static", "..", "a b"])
def test_a_book_has_a_folder_of_its_own(tmp_path, name):
    with pytest.raises(ParameterError, match="would give its book this folder"):
        several(tmp_path, **{name: ANOTHER})


@pytest.mark.parametrize("here", ["", "photos", "digits"])
@pytest.mark.parametrize("page", ["index", "book/intro", "book/api/core"])
def test_links_lead_to_the_same_page_of_the_other_books(monkeypatch, here, page):
    monkeypatch.syspath_prepend(ROOT / "book" / "_ext")
    from books import link

    books = {"": "cells", "photos": "a & b", "digits": "digits"}
    context = {"body": "<h1>T</h1>", "books": books, "this_book": here}
    link(None, page, "page.html", context, None)
    row = BeautifulSoup(context["body"], "html.parser").nav
    assert [entry.get_text() for entry in row.find_all("li")] == ["cells", "a & b", "digits"]
    assert row.find(attrs={"aria-current": "page"}).get_text() == books[here]
    at = Path("/html", here, page).parent
    targets = [os.path.normpath(at / entry["href"]) for entry in row.find_all("a")]
    assert targets == [f"{Path('/html', folder, page)}.html" for folder in books if folder != here]


def test_a_page_of_a_single_book_is_left_alone(monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "book" / "_ext")
    from books import link

    context = {"body": "<h1>T</h1>"}
    link(None, "book/intro", "page.html", context, None)
    assert context == {"body": "<h1>T</h1>"}


def test_no_line_ends_between_k_and_its_number(monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "book" / "_ext")
    from accessible import keep_together

    page = publish_doctree("At *k = 6*, and k = 12; ``k = 3``::\n\n  k = 4\n")
    keep_together(None, page, "page")
    assert page.astext() == "At k\xa0=\xa06, and k\xa0=\xa012; k = 3:\n\nk = 4"


def test_words_begin_on_the_left_of_a_column_and_numbers_end_on_its_right(monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "book" / "_ext")
    from accessible import align

    cloud = pd.MultiIndex.from_tuples([("ring", 2), ("ring", 3), ("box", 2)], names=["cloud", "k"])
    table = pd.DataFrame(
        {"valley": ["0.20", "\N{EN DASH}", "\N{MINUS SIGN}1.5 (0 to 2)"], "counts": ["no", "2", ""]}, cloud
    )
    html = BeautifulSoup(align(table.to_html()), "html.parser")
    rows = [[cell.get("class") == ["words"] for cell in row.find_all(["th", "td"])] for row in html.tbody("tr")]
    assert rows == [[True, False, False, True], [False, False, True], [True, False, False, True]]
    assert html.tbody.get_text(" ", strip=True) == BeautifulSoup(table.to_html(), "html.parser").tbody.get_text(
        " ", strip=True
    )


@pytest.mark.parametrize("name", ["html", "stage"])
def test_only_an_earlier_build_is_replaced(tmp_path, name):
    """A folder of this name may be somebody's own."""
    own = tmp_path / name / "own.txt"
    own.parent.mkdir()
    own.write_text("mine")
    with pytest.raises(NotebookError, match=f"{name} is there and is not of an earlier build"):
        build_book(Parameters(dataset="digits"), build_dir=tmp_path, stage_dir=tmp_path / "stage")
    assert own.read_text() == "mine"


def test_stage_mirrors_the_repository(fast_book):
    staged = {path.relative_to(fast_book.stage).as_posix() for path in fast_book.stage.rglob("*") if path.is_file()}
    tracked = subprocess.run(["git", "ls-files", "book", "notebooks"], cwd=ROOT, capture_output=True, text=True).stdout
    assert set(tracked.split()) <= staged


def without_fences(text):
    """Take blocks of code out of Markdown, and fences of directives, which look like the marks of code in a line."""
    lines, opened = [], []
    for line in text.splitlines():
        fence = re.match(r"(?:`{3,}|:{3,})(.*)", line)
        if fence and fence[1] and "code" not in opened:
            opened.append("directive" if fence[1].startswith("{") else "code")
        elif fence and opened:
            opened.pop()
        elif fence:
            opened.append("code")
        elif "code" not in opened:
            lines.append(line)
    return "\n".join(lines)


def test_no_number_of_the_run_is_typed_into_the_prose():
    """Words between glued numbers may hold years, k = 0, thresholds of the field; never a score or a share."""
    for path in [*(ROOT / "book").glob("*.md"), *notebook_sources()]:
        text = path.read_text(encoding="utf-8")
        prose = (
            text
            if path.suffix == ".md"
            else "\n".join(
                "".join(cell["source"]) for cell in json.loads(text)["cells"] if cell["cell_type"] == "markdown"
            )
        )
        prose = re.sub(
            r"````?\{(?:exercise|dropdown|solution)\}.*?\n````?(?=\n|$)|:::\{quiz\}.*?\n:::|\{solution-start\}.*?\{solution-end\}",
            "",
            prose,
            flags=re.DOTALL,
        )
        prose = without_fences(prose)
        prose = re.sub(r"\{glue:[^}]*\}`[^`]*`|\$[^$]*\$|`[^`]*`", "", prose)
        allowed = {"0.25", "0.50", "0.70", "0.01", "0.8"}  # Kaufman and Rousseeuw's bands, and an example
        assert set(re.findall(r"\b0\.\d+|\b\d+(?:\.\d+)?\s?%", prose)) - allowed == set(), path.name
        assert not re.search(r"\bk = [1-9]|\b[1-9]\d* (?:clusters|images)\b", prose), path.name


def test_a_damaged_stored_notebook_is_executed_again(tmp_path):
    values = np.arange(3.0)[:, np.newaxis]
    cached(fit_pca, values, None, cache_dir=tmp_path)
    (stored,) = tmp_path.rglob("*.npz")
    stored.write_bytes(stored.read_bytes()[:-30])
    assert cached(fit_pca, values, None, cache_dir=tmp_path).points.shape == (3, 1)
