"""What a run reads: its processes, such as the kernels of a book's chapters, hold each other to it.

A book is made by many processes that open the same inputs, minutes apart. Results are stored under what the first of
them found, so each of the others must find the same.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from .files import write_atomically
from .fingerprints import digest

_VARIABLE = "HOW_MANY_CLUSTERS_RUN"  # the folder of the run, which the processes that it starts inherit


@contextmanager
def one_run() -> Iterator[None]:
    """Take what this process and those that it starts do in the context for one run; in a run, for a part of it."""
    if _VARIABLE in os.environ:
        yield
        return
    with tempfile.TemporaryDirectory(prefix="run-") as folder:
        os.environ[_VARIABLE] = folder
        try:
            yield
        finally:
            del os.environ[_VARIABLE]


def first_found(what: list[Any], found: Any) -> Any:
    """Return what this run found first where it looked for something; outside of a run, what was found now.

    Parameters
    ----------
    what : list
        What was looked for, in values that JSON can hold.
    found : object
        What is there now, in such values.

    Examples
    --------
    >>> with one_run():
    ...     first_found(["the weather"], "sun"), first_found(["the weather"], "rain")
    ('sun', 'sun')
    """
    if _VARIABLE not in os.environ:
        return found
    path = Path(os.environ[_VARIABLE], f"{digest(*what)}.json")
    if not path.exists():
        write_atomically(path, lambda file: file.write(json.dumps(found).encode()))
        return found
    return json.loads(path.read_bytes())
