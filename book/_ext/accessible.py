"""Mend what docutils, pandas and MyST-NB write that assistive technology stumbles over."""


def mend(app, pagename, templatename, context, doctree):
    """A list of citations has no list items, an empty cell is the heading of nothing, a fold bears its own words."""
    for fault, mended in (
        ('<div role="list" class="citation-list">', '<div class="citation-list">'),
        (' role="doc-biblioentry"', ""),
        ("<th></th>", "<td></td>"),
        ('<summary aria-label="Toggle hidden content">', "<summary>"),
    ):
        context["body"] = context.get("body", "").replace(fault, mended)


def setup(app):
    """Look at each page before it is written."""
    app.connect("html-page-context", mend)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
