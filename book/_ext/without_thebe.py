"""Take out sphinx_thebe, which Jupyter Book always loads.

It writes the address of a content delivery network into every page, twice, which is an error in the browser's console;
this book runs its notebooks where they are, not in a page.
"""


def setup(app):
    """Disconnect what sphinx_thebe has connected; it is loaded before."""
    for event, listeners in app.events.listeners.items():
        app.events.listeners[event] = [
            listener for listener in listeners if listener.handler.__module__ != "sphinx_thebe"
        ]
    return {"parallel_read_safe": True, "parallel_write_safe": True}
