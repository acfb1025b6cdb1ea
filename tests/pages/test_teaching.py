"""The teacher's kit: its material is complete, follows the run, and works in a browser without a server."""

from __future__ import annotations

import ast
import builtins
import json
import re
import types

import matplotlib
import nbformat
import numpy as np
import pytest
from bs4 import BeautifulSoup
from test_book import computed, text_of

from helpers.__main__ import main
from helpers.core.conventions import ROOT, ParameterError
from helpers.figures.playground import PRESETS
from helpers.pages import printing
from helpers.pages.handouts import _outside, write_handouts
from helpers.pages.sources import NotebookError, notebook_sources
from helpers.pages.worksheet import ANSWERS, worksheet_answers
from helpers.parameters import Parameters
from helpers.study import Study

BOOK = ROOT / "book"
SOURCES = {path.stem: path.read_text(encoding="utf-8") for path in notebook_sources()}
EXERCISES = {label for text in SOURCES.values() for label in re.findall(r":label: (exercise-[\w-]+)", text)}
TEACHING = (BOOK / "teaching.md").read_text(encoding="utf-8")
SLIDES = (BOOK / "slides.md").read_text(encoding="utf-8")


# --- slides -----------------------------------------------------------------------------------------------------------


def test_every_slide_that_a_chapter_makes_is_shown_once():
    made = {
        f"{name}-{cell['id']}"
        for name, text in SOURCES.items()
        for cell in json.loads(text)["cells"]
        if "slide" in cell["metadata"].get("tags", [])
    }
    shown = re.findall(r"_generated/slides/([\w-]+)\.md", SLIDES)
    assert sorted(shown) == sorted(made)


def test_every_slide_has_a_message_of_its_own_and_notes():
    slides = re.split(r"(?m)^## ", SLIDES)[1:]
    assert len(slides) > 15
    assert len({slide.splitlines()[0] for slide in slides}) == len(slides)
    for slide in slides:
        assert slide.count(":class: notes") == 1, slide.splitlines()[0]
        assert slide.count("{include}") <= 2


# --- plans ------------------------------------------------------------------------------------------------------------


def plans():
    """Read the tables of minutes."""
    tables = re.findall(r"(?m)^\| minutes \| what \| with \|\n\| --- .*\n((?:\|.*\n)+)", TEACHING)
    return [
        [(int(row[1]), int(row[2]), row[3]) for row in re.finditer(r"\| (\d+) to (\d+) \| (.*) \|", table)]
        for table in tables
    ]


def test_minutes_add_up_to_ninety_with_a_buffer_at_the_end():
    found = plans()
    assert len(found) == 4
    for plan in found:
        assert plan[0][0] == 0 and plan[-1][1] == 90
        assert [end for _, end, _ in plan[:-1]] == [start for start, _, _ in plan[1:]]
        assert all(start < end for start, end, _ in plan)
        assert plan[-1][2].startswith("Buffer")


def test_the_null_comes_before_the_second_vote_and_nothing_needs_python():
    (rows,) = ([what for _, _, what in plan] for plan in plans()[:1])
    null, vote = (next(i for i, what in enumerate(rows) if word in what) for word in ("The null", "Second vote"))
    assert null < vote
    needs = dict(re.findall(r"\{ref\}`(exercise-[\w-]+)` \| [^|]* \| (\w+) \|", TEACHING))
    assert {needs[name] for row in rows for name in re.findall(r"`(exercise-[\w-]+)`", row)} <= {
        "worksheet", "paper", "explorer", "playground", "page"
    }  # fmt: skip
    assert not re.search(r"/notebooks/(?!explorer|worksheet)", " ".join(rows))


def test_the_exercises_of_a_slot_fit_into_it():
    takes = {name: int(minutes) for name, minutes in re.findall(r"(?m)^\| \{ref\}`([\w-]+)` \|.*\| (\d+) \|", TEACHING)}
    for plan in plans():
        for start, end, what in plan:
            assert sum(takes[name] for name in re.findall(r"\{ref\}`([\w-]+)`", what)) <= end - start, what


def test_the_slides_of_the_plan_are_all_slides_in_order():
    named = [
        number
        for _, _, what in plans()[0]
        for first, last in re.findall(r"slides? (\d+)(?: (?:to|and) (\d+))?", what)
        for number in range(int(first), int(last or first) + 1)
    ]
    assert named == list(range(1, len(re.findall(r"(?m)^## ", SLIDES)) + 1))


def test_the_minutes_in_the_notes_are_those_of_the_plan():
    slides = re.split(r"(?m)^## ", SLIDES)[1:]
    for start, end, what in plans()[0]:
        for first, last in re.findall(r"slides? (\d+)(?: (?:to|and) (\d+))?", what):
            for slide in slides[int(first) - 1 : int(last or first)]:
                assert re.search(rf":class: notes\nMinutes {start} to {end}[.,]", slide), slide.splitlines()[0]


def test_nothing_names_the_answer_before_the_second_vote():
    """The plan has the verdict after the vote, and students get no link that tells it."""
    order = [slide.splitlines()[0] for slide in re.split(r"(?m)^## ", SLIDES)[1:]]
    vote = order.index("The second vote")
    assert order[vote + 1 : vote + 3] == ["And the one who asked?", "The verdict"]
    before = SLIDES[: SLIDES.index("## The second vote")]
    assert not re.search(r"verdict-|verdict_(?!disagreement)|cell-valley", before)
    assert "worksheet_key" not in SOURCES["worksheet"]
    assert "#k={best_k}&amp;lesson" in SOURCES["worksheet"] and "{glue:} lesson_explorer" in TEACHING


def test_every_preset_that_is_linked_is_one_of_the_playground():
    linked = re.findall(r"_static/playground\.html#([\w-]+)", TEACHING + SLIDES)
    assert linked and set(linked) <= PRESETS.keys()


def test_every_exercise_has_its_minutes_and_its_difficulty_once():
    rows = re.findall(r"(?m)^\| \{ref\}`(exercise-[\w-]+)` \| .* \| \w+ \| \d+ \| (?:easy|medium|hard) \|$", TEACHING)
    assert sorted(rows) == sorted(EXERCISES)


def test_the_tables_tell_what_needs_python():
    without, python = TEACHING.split(":::{dropdown} With Python")
    needs = [set(re.findall(r"\{ref\}`exercise-[\w-]+` \| [^|]* \| (\w+) \| \d+", part)) for part in (without, python)]
    assert "Python" not in needs[0] and needs[1] == {"Python"}


# --- quiz -------------------------------------------------------------------------------------------------------------


def test_the_quiz_has_twenty_questions_with_one_right_answer_each_and_a_reason_for_all():
    text = (BOOK / "quiz.md").read_text(encoding="utf-8")
    questions = re.findall(r"(?s):::\{quiz\} (.*?)\n:right: (\d)\n(.*?)\n:::", text)
    assert len(questions) == text.count("{quiz}") == 20
    for question, right, body in questions:
        answers = re.findall(r"(?m)^- (.+)\n\n  (.+)$", body)
        assert len(answers) == body.count("\n- ") == 3, question
        assert answers[int(right) - 1][1][:3] in ("Yes", "All", "Not"), question
        assert sum(why.startswith("Yes") for _, why in answers) <= 1, question
    assert {right for _, right, _ in questions} == {"1", "2", "3"}


# --- worksheet and key ------------------------------------------------------------------------------------------------


def test_every_task_has_a_place_to_write_and_a_solution_in_the_key():
    tasks = re.findall(
        r"(?s)````\{exercise\}\\n\",\n    \":label: (exercise-worksheet-\w+).*?\n   \]", SOURCES["worksheet"]
    )
    cells = [
        "".join(cell["source"])
        for cell in json.loads(SOURCES["worksheet"])["cells"]
        if "{exercise}" in "".join(cell["source"])
    ]
    assert len(cells) == len(tasks) == 10
    assert all("```{write}" in cell for cell in cells)
    key = (BOOK / "worksheet_key.md").read_text(encoding="utf-8")
    assert re.findall(r"\{solution\} (exercise-[\w-]+)", key) == tasks


def test_ten_silhouettes_of_the_key_do_what_is_asked():
    given, answer = np.array([0.5] * 5 + [-0.05] * 5), np.full(10, 0.05)
    assert (answer > 0).sum() > (given > 0).sum() and answer.mean() < given.mean()
    assert "0.5 five times and −0.05 five times" in SOURCES["worksheet"]
    key = (BOOK / "worksheet_key.md").read_text(encoding="utf-8")
    assert f"the score of the ten is {given.mean():.3f}, with five positive" in key


def test_answers_are_those_of_the_study(cache_dir):
    study = Study(Parameters(dataset="synthetic:blobs", normalize="none", k_max=7, cache_dir=cache_dir))
    answers = worksheet_answers(study)
    assert list(answers.index) == list(ANSWERS)
    assert answers["n_clusters"] == answers["elbow"] == answers["score_k"] == 5
    assert answers["score"] == study.table["score"].max() > answers["floor"]
    assert answers["positive"] == study.table["positive"].max()
    assert answers["first_score"] == study.table["score"][2] != answers["first_score_otherwise"]


def test_the_stored_answers_are_those_of_the_code(cache_dir):
    """The scores of two clusters of the ImageNet sample, which need no other k."""
    stored = json.loads((BOOK / "data" / "worksheet.json").read_text(encoding="utf-8"))
    assert set(stored["answers"]) == {"solar cells", "digits", "ImageNet sample"}
    assert all(set(answers) == set(ANSWERS) for answers in stored["answers"].values())
    expected = stored["answers"]["ImageNet sample"]
    study = Study(Parameters(dataset="imagenet-sample", k_max=2, n_init=3, cache_dir=cache_dir))
    assert study.table["score"][2] == pytest.approx(expected["first_score"], abs=1e-3)
    assert stored["provenance"]["images, SHA-256"]["ImageNet sample"] == study.images.fingerprint


# --- handouts ---------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def handouts(tmp_path_factory):
    """Write the notebooks of a course about a few digits."""
    folder = tmp_path_factory.mktemp("handouts")
    options = (
        ("dataset", "digits"),
        ("backbone", "pixels"),
        ("n_images", "120"),
        ("k_max", "5"),
        ("n_components", "10"),
        ("n_init", "2"),
    )
    given = [word for name, value in options for word in ("-p", name, value)]
    assert main(["students", "-o", str(folder), *given]) == 0
    return folder


def test_handouts_have_every_exercise_and_no_solution(handouts):
    texts = {path.stem: path.read_text(encoding="utf-8") for path in handouts.glob("*.ipynb")}
    assert texts.keys() == SOURCES.keys()
    everything = "".join(texts.values())
    assert "solution-start" not in everything and "solution-end" not in everything and "```{dropdown}" not in everything
    assert {label for text in texts.values() for label in re.findall(r":label: (exercise-[\w-]+)", text)} == EXERCISES
    assert "worksheet_answers" not in everything
    for path in handouts.glob("*.ipynb"):
        nbformat.validate(nbformat.read(path, as_version=4))


def code_cells(path):
    """Read the code of a notebook, cell by cell."""
    return [cell.source for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "code"]


@pytest.mark.parametrize("name", SOURCES)
def test_no_cell_of_a_handout_needs_a_name_that_only_a_solution_had(handouts, name):
    known = {*dir(builtins), "display"}
    for code in code_cells(handouts / f"{name}.ipynb"):
        tree = ast.parse(code)
        names = [node for node in ast.walk(tree) if isinstance(node, ast.Name)]
        bound = {node.id for node in names if not isinstance(node.ctx, ast.Load)}
        bound |= {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}
        bound |= {node.arg for node in ast.walk(tree) if isinstance(node, ast.arg)}
        bound |= {
            (alias.asname or alias.name).partition(".")[0]
            for node in ast.walk(tree)
            if isinstance(node, (ast.Import, ast.ImportFrom))
            for alias in node.names
        }
        known |= bound
        assert {node.id for node in names if isinstance(node.ctx, ast.Load)} <= known, code


def test_a_handout_runs_from_its_folder_with_the_parameters_of_the_course(handouts, monkeypatch, cache_dir):
    monkeypatch.chdir(handouts)
    matplotlib.use("agg")
    main_ = types.ModuleType("__main__")
    main_.display = print
    for code in code_cells(handouts / "score_versus_samples.ipynb")[:-1]:  # the last prints where numbers come from
        exec(code, vars(main_))
        if "dataset" in vars(main_):
            main_.cache_dir = cache_dir
    assert main_.study.params.dataset == "digits" and len(main_.study.silhouettes[0]) == 120
    assert main_.study.params.n_init == 2 and main_.identity.shape[0] == 4


def test_an_earlier_handout_is_not_written_over(handouts):
    """Somebody may have answered in it."""
    before = (handouts / "elbow.ipynb").read_bytes()
    with pytest.raises(NotebookError, match="is there already"):
        write_handouts(handouts, Parameters())
    assert (handouts / "elbow.ipynb").read_bytes() == before


@pytest.mark.parametrize(
    ("text", "inside", "left"),
    [
        ("before\n```{solution-start} x\n:class: dropdown\n```\nsecret", False, ("before", True, True)),
        ("secret\n```{solution-end}\n```\nafter", True, ("after", False, False)),
        ("```{code}\nx\n```", False, ("```{code}\nx\n```", False, False)),
        ("```{dropdown} Why?\nBecause.\n```", False, ("**Why?**", False, False)),
    ],
)
def test_what_is_outside_of_solutions(text, inside, left):
    assert _outside(text, inside) == left


# --- PDF --------------------------------------------------------------------------------------------------------------


@pytest.fixture
def small_book(tmp_path):
    """Write two pages that link to each other, with a picture and a place of the same name."""
    (tmp_path / "notebooks").mkdir()
    for name, other in (("a", "b"), ("b", "a")):
        (tmp_path / "notebooks" / f"{name}.html").write_text(
            "<html><head><link href='../_static/x.css'></head><body><nav>no</nav><article>"
            f"<h1>Page {name}</h1><p id='top'>text <a href='{other}.html#top'>to</a> <a href='#top'>here</a>"
            f"<a href='c.html'>out</a><a href='https://x.org/{name}.html'>far</a><img src='../_images/{name}.png'></p>"
            "<script>run()</script></article></body></html>"
        )
    return tmp_path


def test_joined_pages_lead_to_each_other(small_book):
    page = BeautifulSoup(printing.join_pages(small_book, ["notebooks/a", "notebooks/b"]), "html.parser")
    articles = page.find_all("article")
    assert [article.h1.get_text() for article in articles] == ["Page a", "Page b"]
    places = [tag["id"] for tag in page.find_all(id=True)]
    assert len(places) == len(set(places)) == 4
    first = [link["href"] for link in articles[0].find_all("a")]
    assert first[0] == "#" + articles[1].p["id"] and first[1] == "#" + articles[0].p["id"]
    assert first[2:] == ["notebooks/c.html", "https://x.org/a.html"]
    assert [image["src"] for image in page.find_all("img")] == ["_images/a.png", "_images/b.png"]
    assert page.head.link["href"] == "_static/x.css" and not page.find_all("script")


def test_without_a_browser_one_sentence_says_so(small_book, monkeypatch, capsys):
    monkeypatch.setattr(printing.shutil, "which", lambda name: None)
    assert main(["pdf", "notebooks/a", "-b", str(small_book), "-o", str(small_book)]) == 2
    said = capsys.readouterr().err
    assert said.startswith("error: Neither Chromium nor Chrome was found here") and said.count("\n") == 1


def test_a_page_that_is_not_there_is_refused(small_book, monkeypatch):
    monkeypatch.setattr(printing.shutil, "which", lambda name: name)
    with pytest.raises(ParameterError, match="no page notebooks/z"):
        printing.print_pages(small_book, ["notebooks/z"], small_book / "z.pdf")


def test_pages_are_printed_by_a_browser(small_book, browser):
    """With the text of both pages; no file of ours stays in the book."""
    pdf = printing.print_pages(small_book, ["notebooks/a", "notebooks/b"], small_book / "out" / "ab.pdf")
    assert pdf.read_bytes().startswith(b"%PDF") and pdf.stat().st_size > 2000
    assert not list(small_book.glob(".print-*"))


# --- in a browser -----------------------------------------------------------------------------------------------------


@pytest.fixture
def page(browser, fast_book):
    """Open a fresh page of the fast book."""
    page = browser.new_page(viewport={"width": 1280, "height": 800})
    page.open = lambda name: page.goto((fast_book.pages / f"{name}.html").as_uri())
    yield page
    page.close()


def test_slides_move_with_the_arrow_keys_and_have_numbers(page):
    page.open("book/slides")
    sections = page.locator("article section > section")
    n_slides = sections.count()
    assert n_slides == len(re.findall(r"(?m)^## ", SLIDES))
    page.get_by_role("button", name="Present").click()
    assert [sections.nth(i).is_visible() for i in range(3)] == [True, False, False]
    assert not page.locator(".bd-sidebar-primary").is_visible()
    page.keyboard.press("ArrowRight")
    assert [sections.nth(i).is_visible() for i in range(3)] == [False, True, False]
    number = "e => getComputedStyle(e, '::after').content"
    assert page.locator("section.shown").evaluate(number) == f'"2 / {n_slides}"'
    notes = page.locator("section.shown .notes")
    assert not notes.is_visible()
    page.keyboard.press("n")
    assert notes.is_visible()
    page.keyboard.press("End")
    assert sections.nth(n_slides - 1).is_visible()
    page.keyboard.press("ArrowRight")
    assert sections.nth(n_slides - 1).is_visible()
    page.keyboard.press("Home")
    page.keyboard.press("ArrowLeft")
    assert sections.nth(0).is_visible()
    page.keyboard.press("f")
    page.wait_for_function("() => document.fullscreenElement")
    page.keyboard.press("f")
    page.wait_for_function("() => !document.fullscreenElement")
    page.keyboard.press("Escape")
    assert sections.nth(1).is_visible() and page.locator(".bd-sidebar-primary").is_visible()


def test_each_slide_fits_a_projector(page):
    page.open("book/slides")
    page.get_by_role("button", name="Present").click()
    for _ in range(page.locator("article section > section").count()):
        shown = page.locator("section.shown")
        box = shown.bounding_box()
        assert box["y"] + box["height"] <= 801, shown.locator("h2").inner_text()
        page.keyboard.press("ArrowRight")


def test_the_quiz_tells_by_keyboard_what_is_right(page):
    page.open("book/quiz")
    first = page.locator("fieldset.quiz").first
    right = first.get_attribute("data-right")
    first.locator("input").first.focus()
    page.keyboard.press("Space")
    told = first.get_by_role("status")
    assert "a is " in told.inner_text()
    for letter in "bc":
        page.keyboard.press("ArrowDown")
        assert f"{letter} is {'right' if letter == right else 'wrong'}." in told.inner_text()
    assert "of 20 questions" in page.locator(".quiz-count").inner_text()
    assert page.locator(".quiz-count").inner_text().startswith(f"{int(right == 'c')} right of 1 answered")


def test_the_quiz_can_be_read_without_scripts(browser, fast_book):
    page = browser.new_page(java_script_enabled=False)
    page.goto((fast_book.pages / "book" / "quiz.html").as_uri())
    assert page.locator("fieldset.quiz").count() == 20
    fold = page.locator("fieldset.quiz details").first
    assert not fold.locator(".reason").first.is_visible()
    fold.locator("summary").click()
    assert fold.locator(".reason").count() == 3 and fold.locator(".reason").first.is_visible()
    page.close()


def test_what_is_typed_into_the_worksheet_has_a_name(page):
    page.open("notebooks/worksheet")
    fields = page.get_by_role("textbox")
    assert fields.count() > 15
    page.get_by_role("textbox", name="I take k =").fill("7")


@pytest.fixture(params=["fast_book", "second_book"])
def book(request):
    """Take each of the two small books in turn."""
    return request.getfixturevalue(request.param)


def test_the_kit_follows_the_data_set(book):
    """Key, sample answers and slides of a book have what was computed for its images."""
    criteria, decision = computed(book.parameters)
    score, answer = (
        f"the images score {criteria['score'].max():.3f}",
        " ".join(decision.sentences["conclusion"].split()),
    )
    for page, words in (
        ("worksheet_key", (score, answer)),
        ("assessment", (score, answer)),
        ("slides", (answer,)),
    ):
        text = text_of(book.pages / "book" / f"{page}.html").replace("\N{RIGHT SINGLE QUOTATION MARK}", "'")
        assert [word for word in words if word not in text] == []


def test_stored_answers_are_shown_beside_those_of_the_run(fast_book):
    page = BeautifulSoup((fast_book.pages / "book" / "worksheet_key.html").read_text("utf-8"), "html.parser")
    head, *rows = page.find("table").find_all("tr")
    assert [cell.get_text().strip() for cell in head.find_all("th")][-4:] == [
        "these images", "solar cells", "digits", "ImageNet sample"
    ]  # fmt: skip
    cells = [[cell.get_text().strip() for cell in row.find_all(["th", "td"])] for row in rows]
    shown = {words: of_solar_cells for words, _, of_solar_cells, *_ in (row for row in cells if len(row) == 5)}
    stored = json.loads((BOOK / "data" / "worksheet.json").read_text(encoding="utf-8"))["answers"]["solar cells"]
    assert shown["the largest score"] == f"{stored['score']:.3f}"
    assert set(shown) >= {words for words, _ in ANSWERS.values()}
