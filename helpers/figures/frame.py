"""What the pages have in common that a reader can try: their look, their theme, and how data get into them safely."""

from __future__ import annotations

import html
import json
import re
from pathlib import Path
from typing import Any

from matplotlib.colors import to_hex

from .plots import cluster_colors


def fill_in(template: Path, title: str, data: dict[str, Any], **parts: str) -> str:
    """Fill a template of HTML in: each ``@@name@@`` in it is replaced by the part of that name.

    Parameters
    ----------
    template : Path
    title : str
        Any text; it is shown as text.
    data : dict
        Of what JSON can hold, in which any text stays text.
    **parts : str
        Further parts, which are put in as they are. ``style`` and ``script`` are those of `frame.html`.

    Returns
    -------
    str
        The page.
    """
    common = Path(__file__).with_suffix(".html").read_text(encoding="utf-8")
    own = {name: re.search(rf"<{name}>\n(.*)\n</{name}>", common, re.DOTALL)[1] for name in ("style", "script")}
    # Of the characters that JSON may hold, only `<` can end a script element or open a comment in it.
    own |= {"title": html.escape(title), "data": json.dumps(data).replace("<", "\\u003c"), **parts}
    text = template.read_text(encoding="utf-8")
    return re.sub(rf"@@({'|'.join(own)})@@", lambda found: own[found[1]], text)


def hex_colors(n_colors: int) -> list[str]:
    """Write the colours of clusters as browsers read them.

    Examples
    --------
    >>> hex_colors(2)
    ['#0173b2', '#de8f05']
    """
    return [to_hex(color) for color in cluster_colors(n_colors)]
