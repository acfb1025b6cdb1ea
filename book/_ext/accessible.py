"""Mend what docutils, pandas and MyST-NB write that assistive technology or a reader stumbles over."""

import re
from itertools import zip_longest

from docutils import nodes

_TABLE = re.compile(r'<table[^>]* class="dataframe.*?</table>', re.DOTALL)
_ROW = re.compile(r"<tr.*?</tr>", re.DOTALL)
_CELL = re.compile(r"<(t[hd])([^>]*)>(.*?)</t[hd]>", re.DOTALL)
_EQUATION = re.compile(r"\b(k) = (?=[\d−-])")
_AS_THEY_ARE = (nodes.FixedTextElement, nodes.literal, nodes.math, nodes.math_block, nodes.raw)
_NUMBER = re.compile("[+\N{MINUS SIGN}\N{EN DASH}-]?[\\d\N{EN DASH}]|\N{EN DASH}?$")


def mend(app, pagename, templatename, context, doctree):
    """A list of citations has no list items, an empty cell is no heading, a fold bears its own words."""
    for fault, mended in (
        ('<div role="list" class="citation-list">', '<div class="citation-list">'),
        (' role="doc-biblioentry"', ""),
        ("<th></th>", "<td></td>"),
        ('<summary aria-label="Toggle hidden content">', "<summary>"),
    ):
        context["body"] = context.get("body", "").replace(fault, mended)
    context["body"] = re.sub("(Solution to)(<a [^>]*>) ", r"\1 \2", context["body"])
    context["body"] = _TABLE.sub(lambda table: align(table[0]), context["body"])


def align(table):
    """Mark the columns of words in a table of pandas, whose texts begin on the left as numbers end on the right.

    Columns are counted from the right, since a name that is there for several rows is missing in all but the first.
    """
    body = _ROW.findall(table.partition("</thead>")[2])
    rows = [[cell[3].strip() for cell in _CELL.finditer(row)][::-1] for row in body]
    columns = zip_longest(*rows, fillvalue="")
    words = {i for i, column in enumerate(columns) if not all(map(_NUMBER.match, column))}

    def mark(row):
        places = iter(range(len(_CELL.findall(row[0])) - 1, -1, -1))
        return _CELL.sub(lambda cell: as_words(cell) if next(places) in words else cell[0], row[0])

    def as_words(cell):
        return f'<{cell[1]}{cell[2]} class="words">{cell[3]}</{cell[1]}>'

    return _ROW.sub(mark, table)


def name_folds(app, pagename, templatename, context, doctree):
    """The arrow that opens a part of the table of contents has no name of its own."""
    generate = context.get("generate_toctree_html")
    if generate is not None:
        named = '<summary aria-label="Pages below">'
        context["generate_toctree_html"] = lambda *args, **options: str(generate(*args, **options)).replace(
            "<summary>", named
        )


def keep_together(app, doctree, docname):
    """Let no line end within k = 6."""
    for text in list(doctree.findall(nodes.Text)):
        kept = _EQUATION.sub("\\1\N{NO-BREAK SPACE}=\N{NO-BREAK SPACE}", text)
        if kept != text and not isinstance(text.parent, _AS_THEY_ARE):
            text.parent.replace(text, nodes.Text(kept))


def setup(app):
    """Look at each page before it is written, after the theme has."""
    app.connect("doctree-resolved", keep_together)
    app.connect("html-page-context", mend)
    app.connect("html-page-context", name_folds, priority=900)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
