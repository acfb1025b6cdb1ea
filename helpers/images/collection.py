"""A collection of images: names, labels where known, and pictures read as a viewer would show them.

Everything that decides the pixels of a picture is in this module. So the keys of stored features, which follow the
imports of `embeddings`, hold it, and not how a collection was found.
"""

from __future__ import annotations

import hashlib
import io
import lzma
import os
import zipfile
import zlib
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

import fsspec
import numpy as np
from PIL import Image, ImageDraw, ImageFont, ImageOps

from ..core.conventions import ParameterError
from ..core.fingerprints import digest

# The formats of the endings by which image files are found. Another format under such a name would start decoders that
# nobody asked for, Ghostscript too.
_FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "TIFF", "GIF", "AVIF", "JPEG2000")
# Pillow loads its decoders at the first use, and two threads that do so at once find only some of them.
Image.init()
_MAX_FILE_BYTES = 2**30
# What stands where a picture of measured values has none: a number that its file names, or one of those in use.
_NO_DATA_TAG = 42113  # of GDAL, in TIFF
_NO_DATA_VALUES = (-9999, -99999, -32768)
_NO_VALUE = 1e30  # and beyond


class CollectionError(RuntimeError):
    """A collection cannot be read to its end; the message names the image and the reason, and the run must end."""


class ChangedImageError(CollectionError):
    """An image is not what it was when its collection was opened, or its run began."""

    @classmethod
    def of(cls, name: str, what: str) -> ChangedImageError:
        """Say in a sentence what happened to an image."""
        return cls(f"The file {name} {what} since this run began; run again once its folder no longer changes.")


class ChangedContentError(Exception):
    """What a reader says of an image whose content is another one; `ImageSet.open` adds the image's name."""


class FetchError(CollectionError):
    """An image could not be fetched from its address, and may be later."""


@dataclass(frozen=True, repr=False)
class ImageSet:
    """A collection of n images; it can be pickled.

    Attributes
    ----------
    names : list of str
        One name for each image.
    labels : ndarray of str, shape (n,), or None
        The class of each image where it is known.
    contents : list of str
        The SHA-256 of each image's file or pixels, or the reason why there is none.
    items : sequence
        What `read` needs to know of each image, such as its path.
    read : callable
        Returns an image as it is stored, given its item and its content; `open` converts it to RGB.
    details : dict of str to ndarray of shape (n,)
        What else is known of each image.
    features : ndarray of float32, shape (n, d), or None
        The features of a collection that comes with them.
    features_from : tuple of (str, str or None, str), or None
        The backbone, weights and precision for which a study takes these features.
    dataset : str
        The name that `load_images` was given.
    credit : str
        Whom to credit, in one line; empty for one's own images.
    takes_pictures : bool
        Whether `load_images` can be told a folder of pictures of this data set.
    groups : ndarray of int64, shape (n,), or None
        The number of the group of each image, where images belong together and are not independent; None where each is
        by itself.
    group : str
        What a group is called.
    left_out : list of str
        Names of the files that were found beside the images and are not read, since their endings are no images'.
    """

    names: list[str]
    labels: np.ndarray | None
    contents: list[str]
    items: Sequence[Any]
    read: Callable[[Any, str], Image.Image]
    details: dict[str, np.ndarray] = field(default_factory=dict)
    features: np.ndarray | None = None
    features_from: tuple[str, str | None, str] | None = None
    dataset: str = ""
    credit: str = ""
    takes_pictures: bool = False
    groups: np.ndarray | None = None
    group: str = "group"
    left_out: list[str] = field(default_factory=list)

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
        """SHA-256 over the names, labels, details, features and contents of all images, and the names left out."""
        labels = None if self.labels is None else self.labels.tolist()
        details = [part for name in sorted(self.details) for part in (name, self.details[name])]
        return digest(self.names, labels, self.contents, *details, self.features, *filter(None, [self.left_out]))

    def comes_with(self, backbone: str, weights: str | None, precision: str) -> bool:
        """Tell whether the collection comes with the features of a network, so that none need be computed.

        Raises
        ------
        ParameterError
            If it comes with others and has no pictures to compute these from.
        """
        if self.features is None:
            return False
        if (backbone, weights, precision) == self.features_from:
            return True
        if not self.has_pictures:
            other_way = (
                " name the folder of its pictures with the parameter pictures, or" if self.takes_pictures else ""
            )
            raise ParameterError(
                f"The data set {self.dataset!r} comes as features, without pictures to compute others from:{other_way} "
                "leave backbone, weights and precision at their defaults."
            )
        return False

    def open(self, i: int) -> Image.Image:
        """Open image `i` as RGB, as a viewer would show it: upright, its first frame, transparency on white.

        Raises
        ------
        OSError or ValueError
            If the file is damaged, unreadable or of unreasonable size.
        CollectionError
            If the file has changed since the collection was opened, or cannot be fetched now.
        """
        try:
            return as_rgb(self.read(self.items[i], self.contents[i]))
        except ChangedContentError as change:
            raise ChangedImageError.of(self.names[i], str(change)) from None

    def take(self, indices: Sequence[int] | np.ndarray) -> ImageSet:
        """Select the images at `indices`, in that order, as a collection of their own, with no files beside it."""
        rows = np.asarray(indices, dtype=np.int64)
        return replace(
            self,
            names=[self.names[i] for i in rows],
            labels=None if self.labels is None else self.labels[rows],
            contents=[self.contents[i] for i in rows],
            items=[self.items[i] for i in rows],
            details={name: values[rows] for name, values in self.details.items()},
            features=None if self.features is None else self.features[rows],
            groups=None if self.groups is None else self.groups[rows],
            left_out=[],
        )


# --- readers ----------------------------------------------------------------------------------------------------------


def read_pixels(pixels: np.ndarray, content: str) -> Image.Image:
    """Make a picture of an array of bytes."""
    return Image.fromarray(pixels)


@dataclass(frozen=True)
class Member:
    """A file in a zip file of this machine."""

    archive: Path
    name: str


def read_file(path: Path | Member | str, content: str) -> Image.Image:
    """Open the picture of a file, if its content is still the one of which `content` is the SHA-256.

    Raises
    ------
    OSError or ValueError
        If the file cannot be read, as when its collection was opened, or is larger than 1 GiB.
    ChangedContentError
        If it has changed.
    FetchError
        If it cannot be fetched now.
    """
    try:
        data = _read(path)
    except OSError as error:
        if unreadable(error) != content:
            raise ChangedContentError(f"has become unreadable ({error.strerror})") from None
        raise
    if hashlib.sha256(data).hexdigest() != content:
        raise ChangedContentError("has changed")
    return Image.open(io.BytesIO(data), formats=_FORMATS)


def unreadable(error: OSError) -> str:
    """Return the text that stands for the content of a file that cannot be read."""
    return f"unreadable: {error.strerror}"


def _read(path: Path | Member | str) -> bytes:
    """Read a file of this machine, unpack one from a zip file, or fetch one from its address."""
    if isinstance(path, Member):
        return unpack(path)
    if not isinstance(path, Path):
        return fetch(path)
    with open(path, "rb") as file:
        if os.fstat(file.fileno()).st_size > _MAX_FILE_BYTES:
            raise ValueError("the file is larger than 1 GiB")
        return file.read()


def unpack(member: Member) -> bytes:
    """Unpack a file from a zip file, into memory.

    Raises
    ------
    OSError
        If it is not there, is damaged, or is larger than 1 GiB.
    """
    about = os.stat(member.archive)
    archive = _opened(member.archive, (about.st_ino, about.st_size, about.st_mtime_ns))
    try:
        info = archive.getinfo(member.name)
        if info.file_size > _MAX_FILE_BYTES:  # no more than this is unpacked, whatever there is
            raise OSError(0, "the file is larger than 1 GiB")
        return archive.read(info)
    except (KeyError, EOFError, RuntimeError, ValueError, zipfile.BadZipFile, zlib.error, lzma.LZMAError):
        raise OSError(0, "it is damaged in the zip file, or not there") from None


@lru_cache(maxsize=1)
def _opened(archive: Path, state: tuple[int, ...]) -> zipfile.ZipFile:
    """Open a zip file in one state, once for all of its files, since its list of them may be long."""
    return zipfile.ZipFile(archive)


def fetch(address: str) -> bytes:
    """Fetch the content of a file at an address, whole, since not every server gives parts.

    Raises
    ------
    OSError
        If there is no such file, or it may not be read.
    FetchError
        At anything else, which is not the image's fault: a network that fails, a package that a worker lacks.
    """
    try:
        files, name = fsspec.url_to_fs(address)
        return files.cat_file(name)
    except (FileNotFoundError, PermissionError) as error:
        raise OSError(0, type(error).__name__) from None
    except Exception as error:  # file systems raise almost anything
        raise FetchError(
            f"The image {Path(address).name} cannot be fetched: {type(error).__name__}; try again later."
        ) from None


def draw_tile(text: str, content: str = "") -> Image.Image:
    """Draw a tile with a text on it, a word a line, for an image whose picture is not here."""
    lines = "\n".join(text.split())
    tile = Image.new("RGB", (224, 224), "#e8e8e8")
    draw = ImageDraw.Draw(tile)
    left, top, right, bottom = draw.multiline_textbbox((0, 0), lines, ImageFont.load_default(40))
    size = 40 * min(1, 200 / max(right - left, bottom - top, 1))
    draw.multiline_text((112, 112), lines, "#202020", ImageFont.load_default(size), anchor="mm", align="center")
    return tile


def as_rgb(image: Image.Image) -> Image.Image:
    """Convert an image to what a viewer would show: upright, its first frame, transparency on white, RGB."""
    no_data = getattr(image, "tag_v2", {}).get(_NO_DATA_TAG)
    image = ImageOps.exif_transpose(image)
    if image.mode in ("I", "F") or image.mode.startswith("I;16"):
        image = Image.fromarray(_eight_bits(np.asarray(image, dtype=np.float32), no_data))
    if image.has_transparency_data:
        white = Image.new("RGBA", image.size, "white")
        image = Image.alpha_composite(white, image.convert("RGBA"))
    return image.convert("RGB")


def _eight_bits(values: np.ndarray, no_data: object) -> np.ndarray:
    """Show the range of values that an image uses, as viewers do; `convert` would clip it.

    A pixel without a value is black and takes no part in the range: next to 1e38, all others would be equal.
    """
    missing = ~(np.abs(values) < _NO_VALUE) | np.isin(values, _NO_DATA_VALUES)
    with suppress(TypeError, ValueError):  # the tag is a text that anybody may have written
        missing |= np.isin(values, np.float32(no_data))
    used = values[~missing] if not missing.all() else np.zeros(1)
    low, high = used.min(), used.max()
    return np.uint8(255 * ((np.where(missing, low, values) - low) / max(high - low, 1e-12)))
