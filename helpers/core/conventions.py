"""What every module agrees on: where relative paths start, and how a mistake of a user is told."""

from __future__ import annotations

import difflib
from pathlib import Path

_CHECKOUT = Path(__file__).resolve().parents[2]
# A relative path means the same in `make`, in papermill and in a notebook opened from notebooks/: it starts at the
# repository. A copy of the package installed outside of it has no repository, and starts where it is run.
ROOT = _CHECKOUT if (_CHECKOUT / "pyproject.toml").is_file() else Path.cwd()


class ParameterError(ValueError):
    """A parameter was refused; the message is one sentence that says which, why and what is allowed."""


def nearest_name(name: str, known: list[str]) -> str:
    """A part of a sentence that suggests the known name nearest to `name`, or no more than a semicolon."""
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    return f" (did you mean {near[0]!r}?);" if near else ";"
