"""Files that are written completely or not at all, and arrays that are mapped from files."""

from __future__ import annotations

import os
import tempfile
import typing
import uuid
from collections.abc import Callable
from pathlib import Path

import numpy as np


def write_atomically(path: Path, write: Callable[[typing.BinaryIO], None]) -> None:
    """Let `write` fill a temporary file and rename it to `path`, so that no reader sees a part of it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{uuid.uuid4().hex}.part")  # opened plainly, so that the umask decides who may read it
    try:
        with open(part, "xb") as file:
            write(file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(part, path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise


def mapped_array(shape: tuple[int, int], folder: str | Path) -> np.memmap:
    """Create an array of float32 that need not fit into memory.

    It is mapped from a file in `folder` that has no name, so its space is free again once the array is gone.
    """
    with tempfile.NamedTemporaryFile(dir=folder, prefix="array-") as file:
        if hasattr(os, "posix_fallocate"):
            # Otherwise a full disk would be noticed at a write to memory only, which kills the process.
            os.posix_fallocate(file.fileno(), 0, 4 * int(np.prod(shape)))
        return np.memmap(typing.cast(typing.BinaryIO, file), dtype=np.float32, shape=shape)
