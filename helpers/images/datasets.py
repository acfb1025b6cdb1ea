"""Image collections by name, and collections of features whose truth is known."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import os
import re
import stat
import zipfile
from collections.abc import Callable
from dataclasses import replace
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np

from ..core.conventions import ParameterError, listed, resolve_path
from ..core.fingerprints import digest
from ..core.runs import first_found
from . import torchvision_sets  # noqa: F401, since it registers data sets
from .collection import ChangedImageError, FetchError, ImageSet, draw_tile, read_file, read_pixels
from .copies import drop_copies
from .files import IMAGE_ENDINGS, Found, count_kinds, file_digests, find_addresses, find_images, find_members
from .groups import group_images
from .listings import FEATURE_ENDINGS, TABLE_ENDINGS, place_of, read_features, read_listing
from .registry import dataset_forms, find_dataset, register_dataset

# The network, its weights and the arithmetic of the shipped features: the defaults.
FEATURES_FROM = ("efficientnet-lite0", None, "float32")
_N_SYNTHETIC = 1000
# 44 modules of mostly 60 cells; the data set keeps their order and does not say where one ends. The kind of module
# changes at multiples of 60 at first, and later also elsewhere, so some blocks hold cells of two modules. Blocks do not
# begin anew there, since the kind is a label.
_CELLS_OF_A_BLOCK = 60
# File systems whose addresses look as if: github://owner:repository@branch, git://repository:branch@file.
_WITHOUT_PASSWORDS = ("github", "git")


def load_images(
    dataset: str,
    *,
    n_images: int | None = None,
    random_state: int = 0,
    pictures: str | None = None,
    groups: str | None = None,
    copies: str = "keep",
) -> ImageSet:
    """Open a collection of images.

    Parameters
    ----------
    dataset : str
        ``solar-cells``, ``digits``, ``imagenet-sample``, ``synthetic:NAME``, ``torchvision:NAME``, or ``folder:PATH``
        for the images below a folder or in a zip file, whose subfolders name their classes. A relative path starts at
        the repository; an address such as ``s3://bucket/photos`` is one that fsspec knows. ``table:PATH`` lists paths
        and labels, see `read_listing`, and ``features:PATH`` holds features, see `read_features`.
    n_images : int, optional
        Take a random sample of this size, in the order of the collection, in which each class has its share.
    random_state : int
        Seed of the sample, and of what is synthetic.
    pictures : str, optional
        Folder of the photographs of ``imagenet-sample`` or of ``features:PATH``, or of what torchvision downloads.
    groups : str, optional
        Which images belong together: ``none``, ``folder`` or a regular expression, see `group_images`; by default the
        groups that the collection comes with. Those of ``solar-cells`` are blocks of 60 consecutive cells, about as
        many as a module has, until a source for the modules is found.
    copies : {'keep', 'drop'}
        Whether images of the same content are kept, or only the first of them; the sample is drawn from what is left.

    Returns
    -------
    ImageSet
        ``imagenet-sample`` and the synthetic ones come with features; where there is no picture, `open` draws the
        name.

    Raises
    ------
    ParameterError
        If there is no such collection, it is not here, it is empty, or it has fewer images than asked for; or as
        `group_images`.
    CollectionError
        If it is not what it was when this run first opened it, naming the file that changed.

    Examples
    --------
    >>> from helpers.images.datasets import load_images
    >>> images = load_images("digits", n_images=100)
    >>> images
    ImageSet('digits', 100 images, 10 labels)
    >>> images.names[0], str(images.labels[0]), images.open(0).size
    ('digit-0001', '1', (8, 8))
    """
    kind = find_dataset(dataset)
    if pictures is not None and not kind.pictures:
        places = listed(dataset_forms(lambda kind: kind.pictures), " and ")
        raise ParameterError(f"pictures = {pictures!r} is for {places}, not {dataset!r}.")
    images = kind.load(argument=dataset.partition(":")[2], pictures=pictures, random_state=random_state)
    images = replace(images, dataset=dataset, credit=kind.credit, takes_pictures=bool(kind.pictures))
    images = _as_first_found(images, [dataset, pictures, random_state])
    return sample_images(images, n_images, random_state, groups, copies)


def _as_first_found(images: ImageSet, opened: list[Any]) -> ImageSet:
    """Refuse a collection whose images are not those that this run found when it first opened it.

    Files that are no images come and go, such as those of a sync client. They change no result, and all chapters list
    those that the run found first.
    """
    now = dict(zip(images.names, images.contents))
    first = first_found(
        ["images", *opened], {"fingerprint": images.fingerprint, "contents": now, "left_out": images.left_out}
    )
    images = replace(images, left_out=first["left_out"])
    if first["fingerprint"] == images.fingerprint:
        return images
    before = first["contents"]
    for name in sorted(before.keys() | now.keys()):
        if before.get(name) != now.get(name):
            gone, added = name not in now, name not in before
            raise ChangedImageError.of(name, "has gone" if gone else "has been added" if added else "has changed")
    raise ChangedImageError(f"The data set {images.dataset!r} has changed since this run began; run again.")


def load_features(name: str, *, random_state: int = 0) -> tuple[np.ndarray, np.ndarray | None]:
    """Load a collection that comes as features.

    Parameters
    ----------
    name : str
        ``imagenet-sample``: those of EfficientNet-Lite0, d = 1,280. ``synthetic:blobs``: five well separated Gaussian
        balls, d = 64. ``synthetic:null``: one Gaussian ball, d = 64. ``synthetic:varying-norm``: one cloud without
        clusters, d = 512: Gaussian with variances that fall off roughly as those of a network's features do, and rows
        whose lengths vary by a log-normal factor, more than twice as much as those of ``imagenet-sample``.
        ``features:PATH``: those in a file, see `read_features`.
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

    Examples
    --------
    >>> from helpers.images.datasets import load_features
    >>> X, labels = load_features("synthetic:blobs")
    >>> X.shape, len(set(labels))
    ((1000, 64), 5)
    """
    find_dataset(name, comes_as_features=True)
    images = load_images(name, random_state=random_state)
    assert images.features is not None
    return images.features, images.labels


# --- installed and shipped --------------------------------------------------------------------------------------------


@register_dataset(
    "solar-cells",
    credit="Solar cells: the ELPV dataset, Deitsch et al., Solar Energy 185 (2019), Buerhop-Lutz et al., EU PVSEC "
    "(2018); CC BY-NC-SA 4.0; https://github.com/zae-bayern/elpv-dataset; it does not say which cells are of one "
    "module, so blocks of 60 consecutive cells are its groups until a source for the modules is found",
)
def _solar_cells(**_: object) -> ImageSet:
    # The package's own loader decodes all images at once; its files are read one by one here.
    data = Path(str(resources.files("elpv_dataset") / "data"))
    with open(data / "labels.csv", encoding="utf-8") as file:
        rows = list(csv.reader(file, delimiter=" ", skipinitialspace=True))
    paths = [data / row[0] for row in rows]
    return ImageSet(
        [path.stem for path in paths],
        np.array([row[-1] for row in rows]),
        file_digests(paths),
        paths,
        read_file,
        {"defect probability": np.array([float(row[1]) for row in rows])},
        groups=np.arange(len(rows)) // _CELLS_OF_A_BLOCK,
        group=f"block of {_CELLS_OF_A_BLOCK} consecutive cells (about a module)",
    )


@register_dataset(
    "digits",
    credit="Digits: optical recognition of handwritten digits, Alpaydin and Kaynak, UCI Machine Learning Repository "
    "(1998); CC BY 4.0; as shipped with scikit-learn",
)
def _digits(**_: object) -> ImageSet:
    from sklearn.datasets import load_digits

    digits = load_digits()
    # 0 is paper and 16 is ink, as in a scan of handwriting.
    pixels = np.rint(255 - digits.images * (255 / 16)).astype(np.uint8)
    names = [f"digit-{i:04d}" for i in range(len(pixels))]
    return ImageSet(names, digits.target.astype(str), [digest(image) for image in pixels], pixels, read_pixels)


@register_dataset(
    "imagenet-sample",
    credit="ImageNet sample: one photograph of each class of ImageNet-1k, Deng et al., CVPR (2009), as chosen in "
    "https://github.com/EliSchwartz/imagenet-sample-images; features only, the photographs belong to their authors",
    pictures="the photographs of `imagenet-sample`, whose features are shipped without them",
    comes_as_features=True,
)
def _imagenet_sample(*, pictures: str | None, **_: object) -> ImageSet:
    X, about = _shipped_features()
    names = about["names"]
    if pictures is None:
        tiles = [name.partition("_")[2].replace("_", " ") for name in names]
        contents = [digest(row) for row in X]
        return ImageSet(names, None, contents, tiles, draw_tile, features=X, features_from=FEATURES_FROM)
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
    return ImageSet(names, None, contents, paths, read_file, features=own, features_from=FEATURES_FROM)


def _shipped_features() -> tuple[np.ndarray, dict]:
    """Read the features of imagenet-sample, check them, and add what is known of them."""
    data = resources.files("helpers.images") / "data"
    about = json.loads((data / "imagenet-sample.json").read_text(encoding="utf-8"))
    content = (data / "imagenet-sample.npy").read_bytes()
    if hashlib.sha256(content).hexdigest() != about["features_sha256"]:
        raise ParameterError("The shipped features of imagenet-sample are damaged; install the package again.")
    return np.load(io.BytesIO(content), allow_pickle=False).astype(np.float32), about


# --- synthetic --------------------------------------------------------------------------------------------------------


def _register_synthetic(name: str) -> Callable[[Callable], Callable]:
    """Register the function below, which draws rows and the cluster of each, as ``synthetic:NAME``."""

    def register(draw: Callable[[np.random.Generator], tuple[np.ndarray, np.ndarray]]) -> Callable:
        @register_dataset(
            f"synthetic:{name}",
            credit="Synthetic features, drawn at random by helpers/images/datasets.py",
            comes_as_features=True,
            features_are="drawn at random",
            drawn=True,
        )
        def load(*, random_state: int, **_: object) -> ImageSet:
            X, clusters = draw(np.random.default_rng(random_state))
            X, labels = X.astype(np.float32), clusters.astype(str)
            names = [f"row-{i:04d}" for i in range(len(X))]
            contents = [digest(row) for row in X]
            return ImageSet(names, labels, contents, names, draw_tile, features=X, features_from=FEATURES_FROM)

        return draw

    return register


@_register_synthetic("blobs")
def _blobs(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    X = rng.standard_normal((_N_SYNTHETIC, 64))
    clusters = np.arange(_N_SYNTHETIC) % 5
    return X + rng.standard_normal((5, 64))[clusters] * 2, clusters


@_register_synthetic("null")
def _null(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    return rng.standard_normal((_N_SYNTHETIC, 64)), np.zeros(_N_SYNTHETIC, dtype=np.int64)


@_register_synthetic("varying-norm")
def _varying_norm(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    spread = np.arange(1, 513) ** -0.375  # variances that fall off as those of network features roughly do
    X = rng.standard_normal((_N_SYNTHETIC, 512)) * spread * rng.lognormal(0, 0.35, (_N_SYNTHETIC, 1))
    return X, np.zeros(_N_SYNTHETIC, dtype=np.int64)


# --- one's own --------------------------------------------------------------------------------------------------------


@register_dataset("folder:", credit="", placeholder="PATH")
def _folder(*, argument: str, **_: object) -> ImageSet:
    dataset = f"folder:{argument}"
    path = _without_scheme(argument)
    if not path:
        raise ParameterError(f"The data set {dataset!r} names no folder; write folder:PATH, as in folder:/my/images.")
    if "://" in path:
        return _address(path)
    place = resolve_path(path)
    if os.path.isfile(place) and (place.suffix.lower() == ".zip" or zipfile.is_zipfile(place)):
        return _files(find_members(place), f"The zip file {place}")
    folder = _existing_folder(path, f"of the data set {dataset!r}")
    return _files(find_images(folder), f"The folder {folder}")


@register_dataset("table:", credit="", placeholder="PATH", endings=TABLE_ENDINGS)
def _table(*, argument: str, **_: object) -> ImageSet:
    file, listing = read_listing(argument)
    places = [place_of(name, file) for name in listing.names]
    names = [name if name.strip() else f"row {row}" for row, name in enumerate(listing.names, start=1)]
    return ImageSet(names, listing.labels, file_digests(places), places, read_file)


@register_dataset(
    "features:",
    credit="",
    placeholder="PATH",
    endings=FEATURE_ENDINGS,
    pictures="the images that `features:PATH` names",
    comes_as_features=True,
    features_are="from a file",
)
def _features(*, argument: str, pictures: str | None, **_: object) -> ImageSet:
    file, listing = read_features(argument)
    about = {"features": listing.features, "features_from": FEATURES_FROM}
    names, labels = listing.names, listing.labels
    if pictures is None:
        return ImageSet(names, labels, [digest(row) for row in listing.features], names, draw_tile, **about)
    folder = _existing_folder(pictures, f"of the pictures of {file}")
    places = [folder / name for name in names]
    missing = [name for name, place in zip(names, places) if not place.is_file()]
    if missing:
        raise ParameterError(
            f"The folder {folder} lacks {len(missing):,} of the {len(names):,} images that {file} names, such as "
            f"{missing[0]!r}."
        )
    return ImageSet(names, labels, file_digests(places), places, read_file, **about)


def _without_scheme(path: str) -> str:
    """Take what names this machine off the front of a path, and leave other addresses as they are."""
    local = "file|local" if "::" in path else "file|local|zip"
    return re.sub(rf"^(?:{local}):(?://(?:localhost(?=/))?|(?=/))", "", path)


def _address(address: str) -> ImageSet:
    kind, _, rest = address.partition("://")
    # Where a file system has other parts in these places, it takes no password there.
    if kind not in _WITHOUT_PASSWORDS and ":" in rest.partition("@")[0] and "@" in rest.partition("/")[0]:
        raise ParameterError(
            f"The {kind}:// address of the data set has a password in it, which the book would print; leave it to the "
            "settings of the package that reads such addresses."
        )
    if "::" in address.partition("[")[0]:
        raise ParameterError(
            f"The address {address} is a chain of addresses; give one, such as s3://bucket/photos, or the path of a "
            "zip file, as in folder:photos.zip."
        )
    address = f"{kind}://{rest.rstrip('/')}"
    hint = "; a zip file is read from this machine only" if address.lower().endswith(".zip") else ""
    try:
        return _files(find_addresses(address), f"The address {address}")
    except (ParameterError, FetchError) as error:
        raise ParameterError(str(error)) from None
    except FileNotFoundError:
        raise ParameterError(
            f"The address {address} does not exist or holds no images ({' '.join(IMAGE_ENDINGS)}){hint}."
        ) from None
    except Exception as error:  # file systems raise almost anything
        reason = " ".join(str(error).split()).rstrip(".") or type(error).__name__
        raise ParameterError(f"The address {address} of the data set cannot be read: {reason}{hint}.") from None


def _files(found: Found, where: str) -> ImageSet:
    """Make a collection of the files found somewhere; their names begin with their class, if there is more than one."""
    if not found.names:
        n_files, endings = len(found.left_out), " ".join(IMAGE_ENDINGS)
        if not n_files:
            raise ParameterError(f"{where} is empty: it must hold images ({endings}).")
        kinds = count_kinds(found.left_out)
        raise ParameterError(f"{where} holds no images: none of its {n_files} files ends in {endings}; it has {kinds}.")
    labels = np.array([name.rpartition("/")[0] for name in found.names])
    known = labels if len(set(labels)) > 1 else None
    contents = file_digests(found.places)
    return ImageSet(found.names, known, contents, found.places, read_file, left_out=found.left_out)


def folder_of(dataset: str) -> Path | None:
    """Find the folder of this machine whose images a data set is; None where it is none."""
    name, _, path = dataset.partition(":")
    path = _without_scheme(path)
    if name != "folder" or not path or "://" in path or not resolve_path(path).is_dir():
        return None
    return resolve_path(path)


def _existing_folder(path: str, owner: str) -> Path:
    folder = resolve_path(path)
    try:
        is_folder = stat.S_ISDIR(os.stat(folder).st_mode)
    except PermissionError:
        raise ParameterError(f"The folder {folder} {owner} may not be read.") from None
    except (OSError, ValueError):
        # Of one slash, it would be a folder of that name.
        address = re.match(r"[a-z][a-z0-9+.-]+:/", path)
        hint = f"; an address has two slashes, as in {address[0]}/" if address else ""
        raise ParameterError(f"The folder {folder} {owner} does not exist{hint}.") from None
    if not is_folder:
        raise ParameterError(f"The folder {folder} {owner} is a file, not a folder or a zip file of images.")
    if not os.access(folder, os.R_OK | os.X_OK):
        raise ParameterError(f"The folder {folder} {owner} may not be read.")
    return folder


# --- samples ----------------------------------------------------------------------------------------------------------


def sample_images(
    images: ImageSet, n_images: int | None, random_state: int, groups: str | None, copies: str
) -> ImageSet:
    """Leave copies out of an open collection, draw a sample and group it; the parameters are those of `load_images`.

    Raises
    ------
    ParameterError
        If the collection has fewer images than asked for; or as `group_images`.
    """
    if copies == "drop":
        images = drop_copies(images)
    if n_images is not None:
        images = replace(_sample(images, n_images, random_state), left_out=images.left_out)
    return group_images(images, groups)


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
    """Split `n` in proportion to `sizes` into whole numbers, by largest remainders."""
    exact = sizes * n / sizes.sum()
    shares = np.floor(exact).astype(np.int64)
    largest = np.argsort(shares - exact, kind="stable")
    shares[largest[: n - shares.sum()]] += 1
    return shares
