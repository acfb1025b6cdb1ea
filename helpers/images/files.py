"""Image files: found below a folder or an address, and fingerprinted."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

import fsspec

from ..core.scheduling import run_tasks
from .collection import fetch, unreadable

IMAGE_ENDINGS = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff", ".gif")
_FILES_A_TASK = 64


def find_images(folder: Path) -> list[Path]:
    """List the image files below a folder, in the order of names, and the folders in it that cannot be read.

    Hidden files and folders are left out, links are followed, and no folder is entered twice.
    """
    return [path for path in walk(folder) if path.suffix.lower() in IMAGE_ENDINGS or path.is_dir()]


def walk(folder: Path) -> Iterator[Path]:
    """Yield the files below a folder, in the order of names, and then the folders that cannot be read."""
    seen: set[str] = set()
    unlisted: list[str] = []
    for top, folders, files in os.walk(folder, followlinks=True, onerror=lambda error: unlisted.append(error.filename)):
        real = os.path.realpath(top)
        # A link back to a folder that was read already would be followed for ever.
        folders[:] = [] if real in seen else sorted(name for name in folders if not name.startswith("."))
        if real not in seen:
            paths = (Path(top, name) for name in sorted(files) if not name.startswith("."))
            # A pipe or a device would be waited for; a link to nowhere is kept, and reported as unreadable.
            yield from (path for path in paths if path.is_file() or not path.exists())
        seen.add(real)
    yield from sorted(map(Path, unlisted))


def find_addresses(address: str) -> list[str]:
    """List the image files below an address that fsspec knows, such as ``s3://bucket/photos``.

    They come in the order of `find_images`; hidden files and folders are left out.
    """
    files, top = fsspec.url_to_fs(address)
    names = [path.removeprefix(top).lstrip("/") for path in _below(files, top)]
    prefix = address if address.endswith("/") else f"{address}/"
    return [f"{prefix}{name}" for name in names if Path(name).suffix.lower() in IMAGE_ENDINGS]


def _below(files: fsspec.AbstractFileSystem, folder: str) -> Iterator[str]:
    """Yield the files below a folder; fsspec's own `find` silently leaves out what it cannot list."""
    start = f"{folder.rstrip('/')}/"
    kinds = {entry["name"]: entry["type"] for entry in files.ls(folder, detail=True)}
    # Some file systems list a folder in itself.
    paths = [path for path in sorted(kinds) if path.startswith(start) and path != start]
    visible = [path for path in paths if not path.removeprefix(start).startswith(".")]
    yield from (path for path in visible if kinds[path] != "directory")
    for path in visible:
        if kinds[path] == "directory":
            yield from _below(files, path)


def file_digests(paths: Sequence[Path | str]) -> list[str]:
    """Compute the SHA-256 of the content of each file, on the workers of a cluster if there is one.

    The content counts and not the date, which could stay while a file changes. A file that cannot be read gives the
    reason instead.

    Raises
    ------
    FetchError
        If a file cannot be fetched from its address now.
    """
    parts = [(paths[start : start + _FILES_A_TASK],) for start in range(0, len(paths), _FILES_A_TASK)]
    sizes = [len(part) for (part,) in parts]
    runs = run_tasks(_file_digests, parts, desc="reading", unit="image", sizes=sizes)
    return [content for contents in runs for content in contents]


def _file_digests(paths: Sequence[Path | str]) -> list[str]:
    """Compute the digests of the files of one task."""
    return [_file_digest(path) for path in paths]


def _file_digest(path: Path | str) -> str:
    try:
        if not isinstance(path, Path):
            return hashlib.sha256(fetch(path)).hexdigest()
        with open(path, "rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        return unreadable(error)
