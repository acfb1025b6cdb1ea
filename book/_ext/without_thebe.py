"""Take out sphinx_thebe, which Jupyter Book always loads.

It writes the address of a content delivery network into every page, twice, which is an error in the browser's console;
this book runs its notebooks where they are, not in a page.
"""


def setup(app):
    """Disconnect what sphinx_thebe has connected, and drop its style sheet; it is loaded before."""
    for event, listeners in app.events.listeners.items():
        app.events.listeners[event] = [
            listener for listener in listeners if listener.handler.__module__ != "sphinx_thebe"
        ]
    app.registry.css_files[:] = [file for file in app.registry.css_files if "thebe" not in file[0]]
    return {"parallel_read_safe": True, "parallel_write_safe": True}
