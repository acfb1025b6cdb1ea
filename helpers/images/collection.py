"""A collection of images: names, labels where known, contents that are checked, and pictures as a viewer shows them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from PIL import Image, ImageDraw, ImageFont, ImageOps

from ..core.fingerprints import digest


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
