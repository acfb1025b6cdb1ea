"""What a notebook says beside its figures: tables with numbers as people write them, and what is seen on the images."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pandas as pd

from ..parameters import PLACES

if TYPE_CHECKING:
    from IPython.display import Markdown

    from ..study import Study

# Of the images that the default parameters name. What is written about them is shown with them alone.
DEFAULT_IMAGES = "8c4b170f86e842ef560bfbef28930c22fc28b80a0b40988215b7d53eed6d1537"
_MISSING = "\N{EN DASH}"
pd.set_option("display.html.use_mathjax", False)  # names and labels are no formulas


def readable(table: pd.DataFrame | pd.Series, formats: str | dict[str, str] = ".3f") -> pd.DataFrame:
    """Write the numbers of a table as people write them.

    Parameters
    ----------
    table : DataFrame or Series
    formats : str or dict of str to str
        The format specification of all numbers with a fraction, such as ``".2f"`` or ``".1%"``; or those of some
        columns, by name, where the others get three decimals. Whole numbers get commas.

    Returns
    -------
    DataFrame
        Texts, with a true minus sign, a dash for what is missing, and blanks for underscores in the names of columns.
        The number of clusters is headed k.

    Examples
    --------
    >>> import pandas as pd
    >>> from helpers.pages.readings import readable
    >>> table = pd.DataFrame({"score": [0.1234, -0.00001], "share_negative": [0.5, None]}, index=[2, 3])
    >>> print(readable(table.rename_axis("n_clusters"), {"share_negative": ".0%"}).to_string())
    k  score share negative
    2  0.123            50%
    3  0.000              –
    """
    table = table.to_frame() if isinstance(table, pd.Series) else table
    chosen = {} if isinstance(formats, str) else formats
    usual = formats if isinstance(formats, str) else ".3f"
    written = pd.DataFrame(
        {name: [_number(value, chosen.get(name, usual)) for value in table[name]] for name in table}, index=table.index
    )
    written.columns = table.columns.map(lambda name: str(name).replace("_", " "))
    written = written.rename_axis(index={"n_clusters": "k"})
    if written.index.nlevels > 1:
        return written
    # As the name of the columns it is in their row, and takes none of its own.
    return written.rename_axis(index=None, columns=written.index.name)


def folded(title: str, table: pd.DataFrame) -> Markdown:
    """Show a table under its title when a reader asks for it.

    Parameters
    ----------
    title : str
    table : DataFrame
        Of texts, from `readable`.
    """
    from IPython.display import Markdown

    head = [table.columns.name or table.index.name, *table.columns]
    rows = [head, ["---:"] * (table.shape[1] + 1), *table.reset_index().to_numpy()]
    lines = [f"| {' | '.join(str(cell).replace('|', chr(92) + '|') for cell in row)} |" for row in rows]
    return Markdown("\n".join([f":::{{dropdown}} {title}", *lines, ":::"]))


def _number(value: Any, spec: str) -> str:
    """Write one value of a table."""
    if pd.isna(value):
        return _MISSING
    if isinstance(value, str) or pd.api.types.is_bool(value):
        return str(value)
    text = format(value, ",") if pd.api.types.is_integer(value) else format(value, spec)
    negative = text.startswith("-") and any(digit in text for digit in "123456789")
    return text.replace("-", "\N{MINUS SIGN}", 1) if negative else text.removeprefix("-")


def seen_here(study: Study, text: str) -> Markdown | None:
    """Show a note that was written about the images of the default parameters, with these images and parameters alone.

    Parameters
    ----------
    study : Study
    text : str
        Markdown. It may be wrong of any other images, so it is left out there.
    """
    from IPython.display import Markdown

    changed = study.params.changed().keys() - PLACES
    if changed or study.images.fingerprint != DEFAULT_IMAGES:
        return None
    return Markdown(f":::{{admonition}} What we see here\n:class: seen-here\n{text}\n:::")
