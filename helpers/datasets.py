"""Image collections: named, labelled where labels are known, and fingerprinted."""

from __future__ import annotations

import csv
import hashlib
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from .cache import digest
from .parameters import ROOT, ParameterError, nearest_name

IMAGE_ENDINGS = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff", ".gif")
DATASETS = ("solar-cells", "digits", "folder:PATH")
_SOLAR_CREDIT = (
    "Solar cells: the ELPV dataset, Deitsch et al., Solar Energy 185 (2019), Buerhop-Lutz et al., EU PVSEC (2018); "
    "CC BY-NC-SA 4.0; https://github.com/zae-bayern/elpv-dataset"
)
_DIGITS_CREDIT = (
    "Digits: optical recognition of handwritten digits, Alpaydin and Kaynak, UCI Machine Learning Repository (1998); "
    "CC BY 4.0; as shipped with scikit-learn"
)


@dataclass(frozen=True, repr=False)
class ImageSet:
    """A collection of n images.

    Attributes
    ----------
    dataset : str
        The name that `load_images` was given.
    names : list of str
        One name for each image.
    labels : ndarray of str, shape (n,), or None
        The class of each image where it is known.
    fingerprint : str
        SHA-256 over the names, labels, details and contents of all images.
    credit : str
        Whom to credit, in one line; empty for one's own images.
    read : callable
        Gives the i-th image as it is stored; `open` is this, made RGB.
    details : dict of str to ndarray of shape (n,)
        What else is known of each image.
    """

    dataset: str
    names: list[str]
    labels: np.ndarray | None
    fingerprint: str
    credit: str
    read: Callable[[int], Image.Image]
    details: dict[str, np.ndarray] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.names)

    def __repr__(self) -> str:
        labels = "no labels" if self.labels is None else f"{len(set(self.labels))} labels"
        return f"ImageSet({self.dataset!r}, {len(self)} images, {labels})"

    def open(self, i: int) -> Image.Image:
        """Image `i` as RGB, as a viewer would show it: upright, its first frame, transparency on white.

        Raises
        ------
        OSError or ValueError
            If the file is damaged, unreadable or of unreasonable size.
        """
        return _as_rgb(self.read(i))

    def take(self, indices: np.ndarray) -> ImageSet:
        """The images at `indices`, in that order, as a collection of their own."""
        return ImageSet(
            self.dataset,
            [self.names[i] for i in indices],
            None if self.labels is None else self.labels[indices],
            digest(self.fingerprint, np.asarray(indices)),
            self.credit,
            lambda i: self.read(int(indices[i])),
            {name: values[indices] for name, values in self.details.items()},
        )


def load_images(dataset: str, *, n_images: int | None = None, random_state: int = 0) -> ImageSet:
    """Open a collection of images.

    Parameters
    ----------
    dataset : str
        ``solar-cells``, ``digits``, or ``folder:PATH`` for the images below a folder, whose subfolders name their
        classes. A relative path starts at the repository.
    n_images : int, optional
        Take a random sample of this size, in the order of the collection.
    random_state : int
        Seed of the sample.

    Returns
    -------
    ImageSet

    Raises
    ------
    ParameterError
        If there is no such collection, it is empty, or it has fewer images than asked for.
    """
    kind, _, rest = dataset.partition(":")
    if dataset == "solar-cells":
        images = _solar_cells()
    elif dataset == "digits":
        images = _digits()
    elif kind == "folder":
        images = _folder(dataset, rest)
    else:
        near = nearest_name(dataset, ["solar-cells", "digits", "folder:"])
        raise ParameterError(f"There is no data set {dataset!r}{near} allowed are {', '.join(DATASETS)}.")
    return images if n_images is None else _sample(images, n_images, random_state)


def _sample(images: ImageSet, n_images: int, random_state: int) -> ImageSet:
    if n_images < 1:
        raise ParameterError(f"n_images = {n_images} is not possible: at least 1 image is needed.")
    if n_images > len(images):
        raise ParameterError(f"n_images = {n_images} is more than {images.dataset!r} has; it has {len(images)} images.")
    chosen = np.random.default_rng(random_state).choice(len(images), n_images, replace=False)
    return images.take(np.sort(chosen))


def _solar_cells() -> ImageSet:
    # The package's own loader decodes all images at once; its files are read one by one here.
    data = Path(str(resources.files("elpv_dataset") / "data"))
    with open(data / "labels.csv", encoding="utf-8") as file:
        rows = list(csv.reader(file, delimiter=" ", skipinitialspace=True))
    paths = [data / row[0] for row in rows]
    names = [path.stem for path in paths]
    labels = np.array([row[-1] for row in rows])
    details = {"defect probability": np.array([float(row[1]) for row in rows])}
    return ImageSet(
        "solar-cells",
        names,
        labels,
        digest(_files_fingerprint(names, labels, paths), *details.values()),
        _SOLAR_CREDIT,
        lambda i: Image.open(paths[i]),
        details,
    )


def _digits() -> ImageSet:
    from sklearn.datasets import load_digits

    digits = load_digits()
    # 0 is paper and 16 is ink, as in a scan of handwriting.
    pixels = np.rint(255 - digits.images * (255 / 16)).astype(np.uint8)
    labels = digits.target.astype(str)
    return ImageSet(
        "digits",
        [f"digit-{i:04d}" for i in range(len(pixels))],
        labels,
        digest(pixels, labels.tolist()),
        _DIGITS_CREDIT,
        lambda i: Image.fromarray(pixels[i]),
    )


def _folder(dataset: str, path: str) -> ImageSet:
    if not path:
        raise ParameterError(f"The data set {dataset!r} names no folder; write folder:PATH, as in folder:/my/images.")
    folder = (ROOT / os.path.expanduser(path)).resolve()
    if not folder.is_dir():
        what = "is a file, not a folder" if folder.exists() else "does not exist"
        raise ParameterError(f"The folder {folder} of the data set {dataset!r} {what}.")
    files = list(_walk(folder))
    paths = [file for file in files if file.suffix.lower() in IMAGE_ENDINGS]
    if not paths:
        raise ParameterError(
            f"The folder {folder} holds no images: none of its {len(files)} files ends in {' '.join(IMAGE_ENDINGS)}."
            if files
            else f"The folder {folder} is empty: it must hold images ({' '.join(IMAGE_ENDINGS)})."
        )
    names = [path.relative_to(folder).as_posix() for path in paths]
    labels = np.array([name.rpartition("/")[0] for name in names])
    known = labels if len(set(labels)) > 1 else None
    return ImageSet(dataset, names, known, _files_fingerprint(names, known, paths), "", lambda i: Image.open(paths[i]))


def _walk(folder: Path) -> Iterator[Path]:
    """The files below a folder in the order of their names, hidden ones left out, no folder entered twice."""
    seen: set[str] = set()
    for top, folders, files in os.walk(folder, followlinks=True):
        real = os.path.realpath(top)
        # A link back to a folder already read would go round for ever.
        folders[:] = [] if real in seen else sorted(name for name in folders if not name.startswith("."))
        if real not in seen:
            paths = (Path(top, name) for name in sorted(files) if not name.startswith("."))
            # A pipe or a device would be waited for; a link to nowhere is kept, and reported as unreadable.
            yield from (path for path in paths if path.is_file() or not path.exists())
        seen.add(real)


def _files_fingerprint(names: list[str], labels: np.ndarray | None, paths: list[Path]) -> str:
    return digest(names, None if labels is None else labels.tolist(), [_file_digest(path) for path in paths])


def _file_digest(path: Path) -> str:
    """SHA-256 of a file's content: its date could stay while it changes. An unreadable file is skipped later."""
    try:
        with open(path, "rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        return f"unreadable: {error.strerror}"


def _as_rgb(image: Image.Image) -> Image.Image:
    image = ImageOps.exif_transpose(image)
    if image.mode in ("I", "F") or image.mode.startswith("I;16"):
        # More than 8 bits a pixel: show the range that the image uses, as viewers do; `convert` would clip it.
        values = np.asarray(image, dtype=np.float64)
        low, high = values.min(), values.max()
        image = Image.fromarray(np.uint8(255 * (values - low) / max(high - low, 1e-12)))
    if image.has_transparency_data:
        white = Image.new("RGBA", image.size, "white")
        image = Image.alpha_composite(white, image.convert("RGBA"))
    return image.convert("RGB")
