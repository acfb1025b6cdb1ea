"""Conventions of every module: where relative paths start, and how a user's mistake is reported."""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Iterable
from pathlib import Path

_CHECKOUT = Path(__file__).resolve().parents[2]
# Relative paths start at the repository, so that they mean the same in `make`, in papermill and in a notebook opened
# from notebooks/. A package that is installed outside of a repository resolves them from the working directory.
ROOT = _CHECKOUT if (_CHECKOUT / "pyproject.toml").is_file() else Path.cwd()


class ParameterError(ValueError):
    """A parameter was refused; the message is one sentence that names it, the reason and the allowed values."""


def resolve_path(path: str | Path) -> Path:
    """Return the absolute path of what a user wrote: ``~`` is the home folder, a relative path starts at `ROOT`."""
    return (ROOT / os.path.expanduser(path)).resolve()


def in_repository(path: Path) -> Path:
    """Return the path of a file of the repository, which an installed package comes without.

    Raises
    ------
    ParameterError
        If it is not there.
    """
    if not path.exists():
        raise ParameterError(
            f"{path} is not here: outside of the repository the functions, `python -m helpers run NOTEBOOK` and "
            "`params` work; for the book with its chapters, prose and tables, get the repository with git clone, and "
            "run the command in it."
        )
    return path


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Suggest the known name nearest to `name`, in parentheses after a space; give nothing where none is near.

    Examples
    --------
    >>> did_you_mean("kmax", ["k_min", "k_max"])
    " (did you mean 'k_max'?)"
    >>> did_you_mean("qqq", ["k_min", "k_max"])
    ''
    """
    near = difflib.get_close_matches(name, list(known), n=1, cutoff=0.5)
    return f" (did you mean {near[0]!r}?)" if near else ""


def listed(items: Iterable[str], last: str = " or ") -> str:
    """Join items by commas, and the last one by `last`.

    Examples
    --------
    >>> listed(["a", "b", "c"]), listed(["a", "b", "c"], ", and "), listed(["a"])
    ('a, b or c', 'a, b, and c', 'a')
    """
    *others, end = items
    return f"{', '.join(others)}{last}{end}" if others else end


def with_minus(text: str) -> str:
    """Write the negative numbers of a text with a true minus sign.

    Examples
    --------
    >>> with_minus("Calinski-Harabasz: -0.5")
    'Calinski-Harabasz: −0.5'
    """
    return re.sub(r"-(?=\d)", "\N{MINUS SIGN}", text)
