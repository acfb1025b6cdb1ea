"""Image collections by name, and collections of features whose truth is known."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import os
from collections.abc import Sequence
from importlib import resources
from pathlib import Path

import numpy as np

from ..core.conventions import ROOT, ParameterError, nearest_name
from ..core.fingerprints import digest
from .collection import ChangedImageError, ImageSet, draw_tile, read_pixels
from .files import IMAGE_ENDINGS, file_digests, find_addresses, find_images, read_file, walk
from .torchvision_sets import TORCHVISION_SETS, load_torchvision

SYNTHETIC = ("blobs", "null", "varying-norm")
DATASETS = (
    "solar-cells",
    "digits",
    "imagenet-sample",
    *(f"synthetic:{name}" for name in SYNTHETIC),
    *(f"torchvision:{name}" for name in TORCHVISION_SETS),
    "folder:PATH",
)
_SOLAR_CREDIT = (
    "Solar cells: the ELPV dataset, Deitsch et al., Solar Energy 185 (2019), Buerhop-Lutz et al., EU PVSEC (2018); "
    "CC BY-NC-SA 4.0; https://github.com/zae-bayern/elpv-dataset"
)
_DIGITS_CREDIT = (
    "Digits: optical recognition of handwritten digits, Alpaydin and Kaynak, UCI Machine Learning Repository (1998); "
    "CC BY 4.0; as shipped with scikit-learn"
)
_IMAGENET_CREDIT = (
    "ImageNet sample: one photograph of each class of ImageNet-1k, Deng et al., CVPR (2009), as chosen in "
    "https://github.com/EliSchwartz/imagenet-sample-images; features only, the photographs belong to their authors"
)
_SYNTHETIC_CREDIT = "Synthetic features, drawn at random by helpers/datasets.py"
_N_SYNTHETIC = 1000
# The network, its weights and the arithmetic of the shipped features: the defaults.
FEATURES_FROM = ("efficientnet-lite0", None, "float32")


def load_images(
    dataset: str, *, n_images: int | None = None, random_state: int = 0, pictures: str | None = None
) -> ImageSet:
    """Open a collection of images.

    Parameters
    ----------
    dataset : str
        ``solar-cells``, ``digits``, ``imagenet-sample``, ``synthetic:NAME``, ``torchvision:NAME``, or ``folder:PATH``
        for the images below a folder, whose subfolders name their classes. A relative path starts at the repository;
        an address such as ``s3://bucket/photos`` is one that fsspec knows.
    n_images : int, optional
        Take a random sample of this size, in the order of the collection, in which each class has its share.
    random_state : int
        Seed of the sample, and of what is synthetic.
    pictures : str, optional
        Folder of the photographs of ``imagenet-sample``, or of what torchvision downloads.

    Returns
    -------
    ImageSet
        ``imagenet-sample`` and the synthetic ones come with features; where there is no picture, `open` draws the
        name.

    Raises
    ------
    ParameterError
        If there is no such collection, it is not here, it is empty, or it has fewer images than asked for.
    """
    kind, _, rest = dataset.partition(":")
    if pictures is not None and kind not in ("imagenet-sample", "torchvision"):
        raise ParameterError(f"pictures = {pictures!r} is for imagenet-sample and torchvision:NAME, not {dataset!r}.")
    if dataset == "solar-cells":
        images = _solar_cells()
    elif dataset == "digits":
        images = _digits()
    elif dataset == "imagenet-sample":
        images = _imagenet_sample(pictures)
    elif kind == "folder":
        images = _folder(dataset, rest)
    elif kind == "torchvision":
        images = load_torchvision(rest, pictures)
    elif kind == "synthetic":
        images = _synthetic(dataset, random_state)
    else:
        raise ParameterError(_unknown(dataset, DATASETS))
    return images if n_images is None else _sample(images, n_images, random_state)


def comes_with(images: ImageSet, backbone: str, weights: str | None, precision: str) -> bool:
    """Whether images come with the features that are asked for.

    Raises
    ------
    ParameterError
        If others are asked for and there are no pictures to compute them from.
    """
    if images.features is None:
        return False
    if (backbone, weights, precision) == FEATURES_FROM:
        return True
    if not images.has_pictures:
        where = (
            " name the folder of its pictures with the parameter pictures, or" if "imagenet" in images.dataset else ""
        )
        raise ParameterError(
            f"The data set {images.dataset!r} comes as features, without pictures to compute others from:{where} leave "
            "backbone, weights and precision at their defaults."
        )
    return False


def load_features(name: str, *, random_state: int = 0) -> tuple[np.ndarray, np.ndarray | None]:
    """Load a collection that comes as features.

    Parameters
    ----------
    name : str
        ``imagenet-sample``: those of EfficientNet-Lite0, d = 1,280. ``synthetic:blobs``: five well separated Gaussian
        balls, d = 64. ``synthetic:null``: one Gaussian ball, d = 64. ``synthetic:varying-norm``: one cloud without
        clusters made to look like the features of a network, d = 512: Gaussian with variances that fall off, and rows
        whose lengths vary by a log-normal factor.
    random_state : int
        Seed of the synthetic ones.

    Returns
    -------
    X : ndarray of float32, shape (n, d)
        n = 1,000.
    labels : ndarray of str, shape (n,), or None
        The cluster each row was drawn from; None for ``imagenet-sample``, which has one image of each class.

    Raises
    ------
    ParameterError
        If there is no such collection, or the shipped features are damaged.
    """
    if name == "imagenet-sample":
        return _shipped()[0], None
    kind, _, which = name.partition(":")
    if kind != "synthetic" or which not in SYNTHETIC:
        raise ParameterError(_unknown(name, ("imagenet-sample", *(f"synthetic:{known}" for known in SYNTHETIC))))
    rng = np.random.default_rng(random_state)
    labels = np.zeros(_N_SYNTHETIC, dtype=np.int64)
    if which == "varying-norm":
        spread = np.arange(1, 513) ** -0.375  # variances that fall off as those of network features roughly do
        X = rng.standard_normal((_N_SYNTHETIC, 512)) * spread * rng.lognormal(0, 0.35, (_N_SYNTHETIC, 1))
    else:
        X = rng.standard_normal((_N_SYNTHETIC, 64))
        if which == "blobs":
            labels = np.arange(_N_SYNTHETIC) % 5
            X += rng.standard_normal((5, 64))[labels] * 2
    return X.astype(np.float32), labels.astype(str)


def _unknown(name: str, known: Sequence[str]) -> str:
    near = nearest_name(name, [entry.replace("PATH", "") for entry in known])
    return f"There is no data set {name!r}{near} allowed are {', '.join(known)}."


# --- samples ----------------------------------------------------------------------------------------------------------


def _sample(images: ImageSet, n_images: int, random_state: int) -> ImageSet:
    if n_images < 1:
        raise ParameterError(f"n_images = {n_images} is not possible: at least 1 image is needed.")
    if n_images > len(images):
        raise ParameterError(f"n_images = {n_images} is more than {images.dataset!r} has; it has {len(images)} images.")
    rng = np.random.default_rng(random_state)
    if images.labels is None:
        return images.take(np.sort(rng.choice(len(images), n_images, replace=False)))
    _, classes, sizes = np.unique(images.labels, return_inverse=True, return_counts=True)
    shares = _shares(sizes, n_images)
    chosen = [rng.choice(np.flatnonzero(classes == c), share, replace=False) for c, share in enumerate(shares)]
    return images.take(np.sort(np.concatenate(chosen)))


def _shares(sizes: np.ndarray, n: int) -> np.ndarray:
    """`n` split in proportion to `sizes`, by largest remainders, in whole numbers."""
    exact = sizes * n / sizes.sum()
    shares = np.floor(exact).astype(np.int64)
    largest = np.argsort(shares - exact, kind="stable")
    shares[largest[: n - shares.sum()]] += 1
    return shares


# --- collections ------------------------------------------------------------------------------------------------------


def _solar_cells() -> ImageSet:
    # The package's own loader decodes all images at once; its files are read one by one here.
    data = Path(str(resources.files("elpv_dataset") / "data"))
    with open(data / "labels.csv", encoding="utf-8") as file:
        rows = list(csv.reader(file, delimiter=" ", skipinitialspace=True))
    paths = [data / row[0] for row in rows]
    return ImageSet(
        "solar-cells",
        [path.stem for path in paths],
        np.array([row[-1] for row in rows]),
        file_digests(paths),
        _SOLAR_CREDIT,
        paths,
        read_file,
        {"defect probability": np.array([float(row[1]) for row in rows])},
    )


def _digits() -> ImageSet:
    from sklearn.datasets import load_digits

    digits = load_digits()
    # 0 is paper and 16 is ink, as in a scan of handwriting.
    pixels = np.rint(255 - digits.images * (255 / 16)).astype(np.uint8)
    return ImageSet(
        "digits",
        [f"digit-{i:04d}" for i in range(len(pixels))],
        digits.target.astype(str),
        [digest(image) for image in pixels],
        _DIGITS_CREDIT,
        pixels,
        read_pixels,
    )


def _folder(dataset: str, path: str) -> ImageSet:
    path = path.removeprefix("file://").removeprefix("local://")
    if not path:
        raise ParameterError(f"The data set {dataset!r} names no folder; write folder:PATH, as in folder:/my/images.")
    if "://" in path:
        return _address(dataset, path)
    folder = _existing_folder(path, f"of the data set {dataset!r}")
    paths = find_images(folder)
    if not paths:
        n_files = sum(1 for _ in walk(folder))
        raise ParameterError(
            f"The folder {folder} holds no images: none of its {n_files} files ends in {' '.join(IMAGE_ENDINGS)}."
            if n_files
            else f"The folder {folder} is empty: it must hold images ({' '.join(IMAGE_ENDINGS)})."
        )
    return _files(dataset, [path.relative_to(folder).as_posix() for path in paths], paths)


def _address(dataset: str, address: str) -> ImageSet:
    kind, _, rest = address.partition("://")
    if ":" in rest.partition("@")[0] and "@" in rest.partition("/")[0]:
        raise ParameterError(
            f"The {kind}:// address of the data set has a password in it, which the book would print; leave it to the "
            "settings of the package that reads such addresses."
        )
    if "::" in address.partition("[")[0]:
        raise ParameterError(f"The address {address} is a chain of addresses; give one, such as s3://bucket/photos.")
    address = f"{kind}://{rest.rstrip('/')}"
    try:
        paths = find_addresses(address)
    except FileNotFoundError:
        paths = []
    except Exception as error:  # file systems raise almost anything
        reason = " ".join(str(error).split()).rstrip(".") or type(error).__name__
        raise ParameterError(f"The address {address} of the data set cannot be read: {reason}.") from None
    if not paths:
        raise ParameterError(f"The address {address} does not exist or holds no images ({' '.join(IMAGE_ENDINGS)}).")
    try:
        return _files(dataset, [path.removeprefix(address).lstrip("/") for path in paths], paths)
    except ChangedImageError as error:
        raise ParameterError(str(error)) from None


def _files(dataset: str, names: list[str], paths: Sequence[Path | str]) -> ImageSet:
    """A collection of files whose names begin with their class, if there is more than one."""
    labels = np.array([name.rpartition("/")[0] for name in names])
    known = labels if len(set(labels)) > 1 else None
    return ImageSet(dataset, names, known, file_digests(paths), "", paths, read_file)


def _existing_folder(path: str, whose: str) -> Path:
    folder = (ROOT / os.path.expanduser(path)).resolve()
    if not folder.is_dir():
        what = "is a file, not a folder" if folder.exists() else "does not exist"
        raise ParameterError(f"The folder {folder} {whose} {what}.")
    if not os.access(folder, os.R_OK | os.X_OK):
        raise ParameterError(f"The folder {folder} {whose} may not be read.")
    return folder


def _synthetic(dataset: str, random_state: int) -> ImageSet:
    X, labels = load_features(dataset, random_state=random_state)
    names = [f"row-{i:04d}" for i in range(len(X))]
    return ImageSet(dataset, names, labels, [digest(row) for row in X], _SYNTHETIC_CREDIT, names, draw_tile, features=X)


# --- the shipped features ---------------------------------------------------------------------------------------------


def _shipped() -> tuple[np.ndarray, dict]:
    """The features of imagenet-sample, checked, and what is known of them."""
    data = resources.files("helpers.images") / "data"
    about = json.loads((data / "imagenet-sample.json").read_text(encoding="utf-8"))
    content = (data / "imagenet-sample.npy").read_bytes()
    if hashlib.sha256(content).hexdigest() != about["features_sha256"]:
        raise ParameterError("The shipped features of imagenet-sample are damaged; install the package again.")
    return np.load(io.BytesIO(content), allow_pickle=False).astype(np.float32), about


def _imagenet_sample(pictures: str | None) -> ImageSet:
    X, about = _shipped()
    names = about["names"]
    if pictures is None:
        tiles = [name.partition("_")[2].replace("_", " ") for name in names]
        contents = [digest(row) for row in X]
        return ImageSet("imagenet-sample", names, None, contents, _IMAGENET_CREDIT, tiles, draw_tile, features=X)
    folder = _existing_folder(pictures, "of the pictures of imagenet-sample")
    paths = [folder / f"{name}.jpg" for name in names]
    missing = [path.name for path in paths if not path.is_file()]
    if missing:
        raise ParameterError(
            f"The folder {folder} lacks {len(missing)} of the 1,000 pictures of imagenet-sample, such as {missing[0]}."
        )
    contents = file_digests(paths)
    # Other photographs than those of the shipped features are embedded like any.
    own = X if digest(contents) == about["pictures_digest"] else None
    return ImageSet("imagenet-sample", names, None, contents, _IMAGENET_CREDIT, paths, read_file, features=own)
