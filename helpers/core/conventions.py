"""Conventions of all modules: where relative paths start, and the error for a mistake of the user."""

from __future__ import annotations

import difflib
from pathlib import Path

_CHECKOUT = Path(__file__).resolve().parents[2]
# Relative paths start at the repository, so that they mean the same in `make`, in papermill and in a notebook opened
# from notebooks/. A package that is installed outside of a repository resolves them from the working directory.
ROOT = _CHECKOUT if (_CHECKOUT / "pyproject.toml").is_file() else Path.cwd()


class ParameterError(ValueError):
    """A parameter was refused; the message is one sentence that names it, the reason and the allowed values."""


def nearest_name(name: str, known: list[str]) -> str:
    """Suggest the known name nearest to `name`, for the middle of a sentence; a semicolon if none is near.

    Examples
    --------
    >>> nearest_name("digts", ["digits", "flowers"])
    " (did you mean 'digits'?);"
    >>> nearest_name("digits", ["wine"])
    ';'
    """
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    return f" (did you mean {near[0]!r}?);" if near else ";"
