"""Link each page to the same page of the books about other images that were built with it."""

from html import escape


def link(app, pagename, templatename, context, doctree):
    """Put a row of links on top of the page, relative, so that they work from the disk, too."""
    books, here = context.get("books", {}), context.get("this_book", "")
    if not books or not context.get("body"):
        return
    root = "../" * (pagename.count("/") + bool(here))
    entries = [
        f'<strong aria-current="page">{escape(subject)}</strong>'
        if folder == here
        else f'<a href="{root}{folder}{"/" if folder else ""}{pagename}.html">{escape(subject)}</a>'
        for folder, subject in books.items()
    ]
    row = "".join(f"<li>{entry}</li>" for entry in entries)
    switch = f'<nav class="books" aria-label="This page about other images"><p>This book about</p><ul>{row}</ul></nav>'
    context["body"] = switch + context["body"]


def setup(app):
    """Look at each page before it is written."""
    app.connect("html-page-context", link)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
