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


def name_folds(app, pagename, templatename, context, doctree):
    """The arrow that opens a part of the table of contents has no name of its own."""
    generate = context.get("generate_toctree_html")
    if generate is not None:
        named = '<summary aria-label="Pages below">'
        context["generate_toctree_html"] = lambda *args, **options: str(generate(*args, **options)).replace(
            "<summary>", named
        )


def setup(app):
    """Look at each page before it is written, after the theme has."""
    app.connect("html-page-context", mend)
    app.connect("html-page-context", name_folds, priority=900)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
