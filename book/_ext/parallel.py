"""Let Sphinx read and write with two processes, for which Jupyter Book's command line has no option.

The pages are the same, byte for byte, as with one process.
"""

# These do not declare whether documents may be read in several processes, and Sphinx takes that for no. They may: the
# first numbers sections after all is read, the second names and copies a script, the third acts in LaTeX only.
_UNDECLARED = ("sphinx_multitoc_numbering", "sphinx-mathjax-offline", "sphinx_jupyterbook_latex")


def allow(app, env, docnames):
    """Use two processes."""
    for name in _UNDECLARED:
        if name in app.extensions:
            app.extensions[name].parallel_read_safe = True
    app.parallel = 2


def setup(app):
    """Wait until documents are to be read, since Jupyter Book loads the first extension after all others."""
    app.connect("env-before-read-docs", allow)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
