"""A collection of images: names, labels where known, contents that are checked, and pictures as a viewer shows them."""

from __future__ import annotations

import hashlib
import io
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import fsspec
import numpy as np
from PIL import Image, ImageDraw, ImageFont, ImageOps
from tqdm import tqdm

from .cache import digest
from .scheduling import run_tasks

IMAGE_ENDINGS = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff", ".gif")
# What those endings mean. Another format under such a name would start decoders that nobody asked for, Ghostscript too.
_FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "TIFF", "GIF")
# Pillow loads its decoders at the first use, and two threads that do so at once find only some of them.
Image.init()
_LARGEST_FILE = 2**30
_FILES_A_TASK = 64
_UNREADABLE = "unreadable: "


class ChangedImageError(RuntimeError):
    """An image is not what it was when its collection was opened; the message names it."""


@dataclass(frozen=True, repr=False)
class ImageSet:
    """A collection of n images; it can be pickled.

    Attributes
    ----------
    dataset : str
        The name that `load_images` was given.
    names : list of str
        One name for each image.
    labels : ndarray of str, shape (n,), or None
        The class of each image where it is known.
    contents : list of str
        The SHA-256 of each image's file or pixels, or the reason why there is none.
    credit : str
        Whom to credit, in one line; empty for one's own images.
    items : sequence
        What `read` needs to know of each image, such as its path.
    read : callable
        Gives an image as it is stored, from its item and its content; `open` is this, made RGB.
    details : dict of str to ndarray of shape (n,)
        What else is known of each image.
    features : ndarray of float32, shape (n, d), or None
        The features of a collection that comes with them.
    """

    dataset: str
    names: list[str]
    labels: np.ndarray | None
    contents: list[str]
    credit: str
    items: Sequence[Any]
    read: Callable[[Any, str], Image.Image]
    details: dict[str, np.ndarray] = field(default_factory=dict)
    features: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.names)

    def __repr__(self) -> str:
        labels = "no labels" if self.labels is None else f"{len(set(self.labels))} labels"
        return f"ImageSet({self.dataset!r}, {len(self)} images, {labels})"

    @property
    def has_pictures(self) -> bool:
        """Whether `open` shows pictures, and not tiles with names on them."""
        return self.read is not draw_tile

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 over the names, labels, details, features and contents of all images."""
        labels = None if self.labels is None else self.labels.tolist()
        details = [part for name in sorted(self.details) for part in (name, self.details[name])]
        return digest(self.names, labels, self.contents, *details, self.features)

    def open(self, i: int) -> Image.Image:
        """Image `i` as RGB, as a viewer would show it: upright, its first frame, transparency on white.

        Raises
        ------
        OSError or ValueError
            If the file is damaged, unreadable or of unreasonable size.
        ChangedImageError
            If the file is another than when the collection was opened.
        """
        return as_rgb(self.read(self.items[i], self.contents[i]))

    def take(self, indices: Sequence[int] | np.ndarray) -> ImageSet:
        """The images at `indices`, in that order, as a collection of their own."""
        rows = np.asarray(indices, dtype=np.int64)
        return ImageSet(
            self.dataset,
            [self.names[i] for i in rows],
            None if self.labels is None else self.labels[rows],
            [self.contents[i] for i in rows],
            self.credit,
            [self.items[i] for i in rows],
            self.read,
            {name: values[rows] for name, values in self.details.items()},
            None if self.features is None else self.features[rows],
        )


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
    found: list[str] = []
    with tqdm(total=len(paths), desc="reading", unit="image", delay=2) as bar:
        for contents in run_tasks(_file_digests, parts):
            found += contents
            bar.update(len(contents))
    return found


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


def read_pixels(pixels: np.ndarray, content: str) -> Image.Image:
    """The picture of an array of bytes."""
    return Image.fromarray(pixels)


# --- pictures ---------------------------------------------------------------------------------------------------------


def as_rgb(image: Image.Image) -> Image.Image:
    """An image as a viewer would show it: upright, its first frame, transparency on white, all bits in view."""
    image = ImageOps.exif_transpose(image)
    if image.mode in ("I", "F") or image.mode.startswith("I;16"):
        # More than 8 bits a pixel: show the range that the image uses, as viewers do; `convert` would clip it.
        values = np.nan_to_num(np.asarray(image, dtype=np.float32), posinf=0, neginf=0)
        low, high = values.min(), values.max()
        image = Image.fromarray(np.uint8(255 * ((values - low) / max(high - low, 1e-12))))
    if image.has_transparency_data:
        white = Image.new("RGBA", image.size, "white")
        image = Image.alpha_composite(white, image.convert("RGBA"))
    return image.convert("RGB")


def draw_tile(text: str, content: str = "") -> Image.Image:
    """A tile with a text on it, a word a line, for an image whose picture is not here."""
    lines = "\n".join(text.split())
    tile = Image.new("RGB", (224, 224), "#e8e8e8")
    draw = ImageDraw.Draw(tile)
    left, top, right, bottom = draw.multiline_textbbox((0, 0), lines, ImageFont.load_default(40))
    size = 40 * min(1, 200 / max(right - left, bottom - top, 1))
    draw.multiline_text((112, 112), lines, "#202020", ImageFont.load_default(size), anchor="mm", align="center")
    return tile
