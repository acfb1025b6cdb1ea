"""Texts from outside on the pages: a path or a name is shown letter by letter, and nothing in it is read."""

from __future__ import annotations

import pytest
import yaml
from bs4 import BeautifulSoup
from docutils.core import publish_string
from matplotlib.figure import Figure
from myst_parser.parsers.docutils_ import Parser

from helpers.core.conventions import ROOT
from helpers.images.datasets import load_images
from helpers.pages.book import _this_book
from helpers.pages.provenance import fact_table, figure_html, provenance
from helpers.parameters import Parameters

EXTENSIONS = yaml.safe_load((ROOT / "_config.yml").read_text(encoding="utf-8"))["parse"]["myst_enable_extensions"]
HOSTILE = [
    "folder:/x/<script>alert(1)</script>",
    "folder:/x/<b>&amp;&#65;",
    "folder:/x/{{a}} {{ b",
    "folder:/x/{glue}`c` {ref}`d`",
    "folder:/x/$ 6 $ and $$7$$ \\(8\\)",
    "folder:/x/**bold** _low_ `tick` ``` ~~~",
    "folder:/x/a | b |\n\n# heading\n- item\r```{note}\n\n| --- |",
    'folder:/x/it\'s "quoted" -- and ... [link](http://a) ![i](b) http://c',
]


def rendered(markdown):
    """What MyST makes of Markdown with the extensions of the book."""
    settings = {
        "myst_enable_extensions": EXTENSIONS,
        "report_level": 1,
        "halt_level": 2,  # a warning is an error, as in the build
        "embed_stylesheet": False,
    }
    html = publish_string(markdown, parser=Parser(), writer_name="html5", settings_overrides=settings).decode()
    return BeautifulSoup(html, "html.parser").find("main") or BeautifulSoup(html, "html.parser").body


def texts_of(page):
    return [cell.get_text() for cell in page.find_all("td")]


def assert_nothing_is_read(page):
    tags = {tag.name for tag in page.find_all(True)}
    assert tags <= {"main", "body", "p", "table", "tbody", "tr", "th", "td", "details", "summary"}


@pytest.mark.parametrize("dataset", HOSTILE)
def test_parameters_are_shown_as_text_on_a_page_of_markdown(dataset):
    parameters = Parameters(dataset=dataset)
    page = rendered(_this_book(parameters))
    assert texts_of(page) == [dataset, f"python -m helpers book {parameters.as_options()}"]
    assert_nothing_is_read(page)


@pytest.mark.parametrize("dataset", HOSTILE)
def test_provenance_shows_parameters_and_data_as_text(dataset):
    """The output is HTML, which no extension of Markdown reads, and MathJax leaves alone."""
    parameters = Parameters(dataset=dataset, backbone="pixels", cache_dir="<i>c</i>")
    images = load_images("digits", n_images=5)
    shown = provenance("elbow.ipynb", parameters, images)
    page = BeautifulSoup(shown.data, "html.parser")
    command, used, *_ = texts_of(page)
    assert command == f"python -m helpers run notebooks/elbow.ipynb {parameters.as_options()}"
    assert used == f"dataset = {dataset}, backbone = pixels, cache_dir = <i>c</i>"
    assert_nothing_is_read(page)
    assert not hasattr(shown, "_repr_markdown_")
    assert "mathjax_ignore" in page.table["class"]


def test_a_table_of_facts_is_one_line():
    assert fact_table({"a\nb": "c\n\nd\u2028e\udcff"}).isascii() and "\n" not in fact_table({"a\nb": "c\n\nd"})


def test_versions_are_folded_behind_their_number():
    page = BeautifulSoup(fact_table({"data": "a, b", "versions": "numpy 2.0, <b> 1, scipy 1.1"}), "html.parser")
    (fold,) = page.find_all("details")
    assert fold.summary.get_text() == "3 libraries" and fold.parent.name == "td"
    assert fold.get_text() == "3 librariesnumpy 2.0, <b> 1, scipy 1.1"


@pytest.mark.parametrize("photographs", [False, True])
def test_a_figure_for_another_page_has_its_class_its_words_and_its_caption(photographs):
    page = BeautifulSoup(
        figure_html(Figure(), "what <is> there", "what to see", photographs=photographs).data, "html.parser"
    )
    assert page.img["class"] == ["photographs" if photographs else "chart"] and page.img["alt"] == "what <is> there"
    assert page.figcaption.get_text() == "what to see"
    again = BeautifulSoup(figure_html(Figure(), "what <is> there").data, "html.parser")
    assert again.figcaption.get_text() == "what <is> there"
