"""Image files: found below a folder, in a zip file or at an address, and fingerprinted."""

from __future__ import annotations

import hashlib
import os
import re
import stat
import zipfile
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import fsspec

from ..core.conventions import ParameterError, listed
from ..core.scheduling import run_tasks
from .collection import Member, fetch, unpack, unreadable

IMAGE_ENDINGS = (
    *(".jpg", ".jpeg", ".jfif", ".png", ".webp", ".bmp", ".tif", ".tiff", ".gif"),
    *(".avif", ".jp2", ".j2k", ".jpx"),
)
_FILES_A_TASK = 64
_MOST_KINDS = 8  # that a sentence lists
# Of a zip file, since few bytes can unpack to very many. Photographs hardly shrink in it.
_MOST_MEMBERS = 1_000_000
_MOST_TIMES_LARGER = 100
_ALWAYS_ALLOWED_BYTES = 2**30
_PACKED_AS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA)


@dataclass(frozen=True)
class Found:
    """What is below a folder, in a zip file or at an address.

    Attributes
    ----------
    names : list of str
        Of the images, from there, with ``/`` between their parts.
    places : list
        What `read_file` needs to know of each.
    left_out : list of str
        The names of the other files.
    """

    names: list[str]
    places: list[Path | Member | str]
    left_out: list[str]


def _sorted_out(files: Iterable[tuple[str, Path | Member | str]]) -> Found:
    """Sort names and places of files into images and others, by the endings of their names."""
    found = Found([], [], [])
    for name, place in files:
        if Path(name).suffix.lower() in IMAGE_ENDINGS:
            found.names.append(name)
            found.places.append(place)
        else:
            found.left_out.append(name)
    return found


def count_kinds(names: Iterable[str]) -> str:
    """Count files by the endings of their names, the most frequent first.

    Examples
    --------
    >>> count_kinds(["1.HEIC", "2.heic", "README", "a.txt"])
    '2 .heic, 1 without an ending and 1 .txt'
    """
    kinds = Counter(Path(name).suffix.lower() or "without an ending" for name in names).most_common()
    others = sum(n for _, n in kinds[_MOST_KINDS:])
    return listed([f"{n:,} {kind}" for kind, n in kinds[:_MOST_KINDS]] + [f"{others:,} others"] * bool(others), " and ")


# --- folders ----------------------------------------------------------------------------------------------------------


def find_images(folder: Path) -> Found:
    """List the image files below a folder, in the order of names, and what in it may not be looked at.

    Hidden files and folders are left out, links are followed, and no folder is entered twice.
    """
    closed: list[Path] = []
    found = _sorted_out((path.relative_to(folder).as_posix(), path) for path in _walk(folder, closed))
    # What it is cannot be seen, so that it may hold images: it is listed as one that cannot be read.
    found.names.extend(path.relative_to(folder).as_posix() for path in sorted(closed))
    found.places.extend(sorted(closed))
    return found


def _walk(folder: Path, closed: list[Path]) -> Iterator[Path]:
    """Yield the files below a folder, in the order of names, and add to a list what may not be looked at."""
    seen: set[str] = set()
    for top, folders, files in os.walk(
        folder, followlinks=True, onerror=lambda error: closed.append(Path(error.filename))
    ):
        real = os.path.realpath(top)
        # A link back to a folder that was read already would be followed for ever.
        folders[:] = [] if real in seen else sorted(name for name in folders if not name.startswith("."))
        if real not in seen:
            for path in (Path(top, name) for name in sorted(files) if not name.startswith(".")):
                try:
                    regular = stat.S_ISREG(os.stat(path).st_mode)
                except PermissionError:  # a link into a folder that may not be entered
                    closed.append(path)
                except OSError:  # a link to nowhere is kept, and reported as unreadable
                    yield path
                else:
                    if regular:  # a pipe or a device would be waited for
                        yield path
        seen.add(real)


# --- zip files --------------------------------------------------------------------------------------------------------


def find_members(archive: Path) -> Found:
    """List the image files in a zip file, in the order of `find_images`; nothing is unpacked to the disk.

    Raises
    ------
    ParameterError
        If it is no zip file, is encrypted or packed in a way that Python does not know, has a path that leads out of
        it, or unpacks to very much more than it is.
    """
    try:
        with zipfile.ZipFile(archive) as file:
            infos = {info.filename: info for info in file.infolist() if not info.is_dir()}
    except (zipfile.BadZipFile, NotImplementedError, ValueError, EOFError) as error:
        raise _refused(archive, f"cannot be read ({error})") from None
    except OSError as error:
        raise _refused(archive, f"cannot be read ({error.strerror})") from None
    found = _sorted_out(
        (name, Member(archive, name)) for name in sorted(infos, key=_levels) if not re.search(r"(^|/)\.(?!\./)", name)
    )
    _check_members(archive, [infos[name] for name in found.names])
    return found


def _levels(name: str) -> list[tuple[bool, str]]:
    """Split a path so that it sorts as a walk does: the files of a folder before its folders."""
    *folders, file = name.split("/")
    return [*((True, folder) for folder in folders), (False, file)]


def _check_members(archive: Path, images: list[zipfile.ZipInfo]) -> None:
    """Refuse images in a zip file that cannot be unpacked, or should not be."""
    for info in images:
        if info.flag_bits & 1:
            raise _refused(archive, f"is encrypted, at least its member {info.filename!r}")
        if info.compress_type not in _PACKED_AS:
            raise _refused(archive, f"has the member {info.filename!r} packed by a method that Python does not know")
        if re.match(r"[/\\]|[A-Za-z]:", info.filename) or ".." in re.split(r"[/\\]", info.filename):
            raise _refused(archive, f"has a member whose path leads out of it, {info.filename!r}")
    if len(images) > _MOST_MEMBERS:
        raise _refused(archive, f"holds {len(images):,} images, more than the {_MOST_MEMBERS:,} that are read from one")
    unpacked, packed = sum(info.file_size for info in images), archive.stat().st_size
    if unpacked > max(_MOST_TIMES_LARGER * packed, _ALWAYS_ALLOWED_BYTES):
        raise _refused(
            archive, f"would unpack to {unpacked / 2**30:,.1f} GiB, {unpacked // packed:,} times its own size"
        )


def _refused(archive: Path, reason: str) -> ParameterError:
    return ParameterError(
        f"The zip file {archive} of the data set {reason}; unpack it with another program, and name the folder."
    )


# --- addresses --------------------------------------------------------------------------------------------------------


def find_addresses(address: str) -> Found:
    """List the image files below an address that fsspec knows, such as ``s3://bucket/photos``.

    They come in the order of `find_images`; hidden files and folders are left out.
    """
    files, top = fsspec.url_to_fs(address)
    names = [path.removeprefix(top).lstrip("/") for path in _below(files, top)]
    prefix = address if address.endswith("/") else f"{address}/"
    return _sorted_out((name, f"{prefix}{name}") for name in names)


def _below(files: fsspec.AbstractFileSystem, folder: str) -> Iterator[str]:
    """Yield the files below a folder; fsspec's own `find` silently leaves out what it cannot list."""
    start = f"{folder.rstrip('/')}/" if folder else ""  # some file systems call their root nothing
    kinds = {entry["name"]: entry["type"] for entry in files.ls(folder, detail=True)}
    # Some file systems list a folder in itself.
    paths = [path for path in sorted(kinds) if path.startswith(start) and path != start]
    visible = [path for path in paths if not path.removeprefix(start).startswith(".")]
    yield from (path for path in visible if kinds[path] != "directory")
    for path in visible:
        if kinds[path] == "directory":
            yield from _below(files, path)


# --- contents ---------------------------------------------------------------------------------------------------------


def file_digests(paths: Sequence[Path | Member | str]) -> list[str]:
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


def _file_digests(paths: Sequence[Path | Member | str]) -> list[str]:
    """Compute the digests of the files of one task."""
    return [_file_digest(path) for path in paths]


def _file_digest(path: Path | Member | str) -> str:
    try:
        if isinstance(path, Member):
            return hashlib.sha256(unpack(path)).hexdigest()
        if not isinstance(path, Path):
            return hashlib.sha256(fetch(path)).hexdigest()
        with open(path, "rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        return unreadable(error)
