"""Image files: found below a folder or an address, fingerprinted, and read."""

from __future__ import annotations

import hashlib
import io
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

import fsspec
from PIL import Image

from ..core.scheduling import run_tasks
from .collection import ChangedImageError

IMAGE_ENDINGS = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff", ".gif")
# What those endings mean. Another format under such a name would start decoders that nobody asked for, Ghostscript too.
_FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "TIFF", "GIF")
# Pillow loads its decoders at the first use, and two threads that do so at once find only some of them.
Image.init()
_LARGEST_FILE = 2**30
_FILES_A_TASK = 64
_UNREADABLE = "unreadable: "


# --- files ------------------------------------------------------------------------------------------------------------


def find_images(folder: Path) -> list[Path]:
    """The image files below a folder in the order of their names, and the folders in it that cannot be read.

    Hidden files and folders are left out, links are followed, and no folder is entered twice.
    """
    return [path for path in walk(folder) if path.suffix.lower() in IMAGE_ENDINGS or path.is_dir()]


def walk(folder: Path) -> Iterator[Path]:
    """The files below a folder in the order of their names, and the folders that cannot be read."""
    seen: set[str] = set()
    closed: list[Path] = []
    for top, folders, files in os.walk(folder, followlinks=True, onerror=lambda error: closed.append(error.filename)):
        real = os.path.realpath(top)
        # A link back to a folder already read would go round for ever.
        folders[:] = [] if real in seen else sorted(name for name in folders if not name.startswith("."))
        if real not in seen:
            paths = (Path(top, name) for name in sorted(files) if not name.startswith("."))
            # A pipe or a device would be waited for; a link to nowhere is kept, and reported as unreadable.
            yield from (path for path in paths if path.is_file() or not path.exists())
        seen.add(real)
    yield from sorted(map(Path, closed))


def find_addresses(address: str) -> list[str]:
    """The image files below an address that fsspec knows, such as ``s3://bucket/photos``, in `find_images`'s order.

    Hidden files and folders are left out.
    """
    files, top = fsspec.url_to_fs(address)
    names = [path.removeprefix(top).lstrip("/") for path in _below(files, top)]
    prefix = address if address.endswith("/") else f"{address}/"
    return [f"{prefix}{name}" for name in names if Path(name).suffix.lower() in IMAGE_ENDINGS]


def _below(files: fsspec.AbstractFileSystem, folder: str) -> Iterator[str]:
    """The files below a folder; fsspec's own `find` leaves out without a word what it cannot list."""
    start = f"{folder.rstrip('/')}/"
    kinds = {entry["name"]: entry["type"] for entry in files.ls(folder, detail=True)}
    # Some file systems list a folder in itself.
    paths = [path for path in sorted(kinds) if path.startswith(start) and path != start]
    shown = [path for path in paths if not path.removeprefix(start).startswith(".")]
    yield from (path for path in shown if kinds[path] != "directory")
    for path in shown:
        if kinds[path] == "directory":
            yield from _below(files, path)


def file_digests(paths: Sequence[Path | str]) -> list[str]:
    """SHA-256 of the content of each file: its date could stay while it changes. Unreadable ones give the reason.

    The workers of a cluster read them, if there is one.
    """
    parts = [(paths[start : start + _FILES_A_TASK],) for start in range(0, len(paths), _FILES_A_TASK)]
    sizes = [len(part) for (part,) in parts]
    runs = run_tasks(_file_digests, parts, desc="reading", unit="image", sizes=sizes)
    return [content for contents in runs for content in contents]


def _file_digests(paths: Sequence[Path | str]) -> list[str]:
    """A task: the digests of a few files."""
    return [_file_digest(path) for path in paths]


def _file_digest(path: Path | str) -> str:
    try:
        if not isinstance(path, Path):
            return hashlib.sha256(_fetch(path)).hexdigest()
        with open(path, "rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        return f"{_UNREADABLE}{error.strerror}"


def read_file(path: Path | str, content: str) -> Image.Image:
    """The picture of a file whose content is still that of `content`."""
    name = Path(path).name
    try:
        data = _read(path)
    except OSError as error:
        if f"{_UNREADABLE}{error.strerror}" != content:
            raise ChangedImageError(f"The image {name} can no longer be read: {error.strerror}.") from None
        raise
    if hashlib.sha256(data).hexdigest() != content:
        raise ChangedImageError(f"The image {name} has changed since its collection was opened.")
    return Image.open(io.BytesIO(data), formats=_FORMATS)


def _read(path: Path | str) -> bytes:
    """The content of a file of this machine, or of one at an address."""
    if not isinstance(path, Path):
        return _fetch(path)
    with open(path, "rb") as file:
        if os.fstat(file.fileno()).st_size > _LARGEST_FILE:
            raise ValueError("the file is larger than 1 GiB")
        return file.read()


def _fetch(address: str) -> bytes:
    """The content of a file at an address, whole, since not every server gives parts.

    Raises
    ------
    OSError
        If there is no such file, or it may not be read.
    ChangedImageError
        At anything else, which is not the image's fault: a network that stumbles, a package that a worker lacks.
    """
    try:
        files, name = fsspec.url_to_fs(address)
        return files.cat_file(name)
    except (FileNotFoundError, PermissionError) as error:
        raise OSError(0, type(error).__name__) from None
    except Exception as error:  # file systems raise almost anything
        raise ChangedImageError(
            f"The image {Path(address).name} cannot be fetched: {type(error).__name__}; try again when it can."
        ) from None
