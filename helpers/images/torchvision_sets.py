"""Collections that torchvision knows how to download, as collections of images of this package."""

from __future__ import annotations

import os
import tarfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from ..core.conventions import ROOT, ParameterError, nearest_name
from ..core.fingerprints import digest
from .collection import ImageSet, read_pixels
from .files import file_digests, read_file

_CIFAR10_URL = "https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz"
_CIFAR10_MD5 = "c32a1d4ab5d03f1284b67883e8d87530"  # as on that page
_CIFAR10_CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
_CREDITS = {
    "CIFAR10": "CIFAR-10: Krizhevsky, Learning multiple layers of features from tiny images (2009)",
    "STL10": "STL-10: Coates, Lee and Ng, AISTATS (2011)",
    "Imagenette": "Imagenette: Howard (2019), a subset of ImageNet; https://github.com/fastai/imagenette",
    "FashionMNIST": "Fashion-MNIST: Xiao, Rasul and Vollgraf (2017); MIT",
}


def load_torchvision(name: str, folder: str | None) -> ImageSet:
    """Open the test images of a collection of torchvision, downloaded where they are not there yet.

    Parameters
    ----------
    name : {'CIFAR10', 'STL10', 'Imagenette', 'FashionMNIST'}
    folder : str, optional
        Where its files are or shall be; by default, beside PyTorch's own downloads.

    Raises
    ------
    ParameterError
        If there is no such collection, or it is neither there nor can be downloaded.
    """
    if name not in TORCHVISION_SETS:
        near = nearest_name(f"torchvision:{name}", list(DATA_NAMES))
        raise ParameterError(f"There is no data set 'torchvision:{name}'{near} allowed are {', '.join(DATA_NAMES)}.")
    root = ROOT / os.path.expanduser(folder) if folder else _default_folder()
    try:
        with _extracting_inside():
            return TORCHVISION_SETS[name](root)
    except (OSError, RuntimeError) as error:
        reason = " ".join(str(getattr(error, "reason", None) or error).split()).rstrip(".")
        raise ParameterError(
            f"The data set 'torchvision:{name}' is not in {root} and could not be downloaded ({reason}); put its files "
            "there in torchvision's layout, or use solar-cells, digits, imagenet-sample, synthetic:NAME or "
            "folder:PATH, which need no network."
        ) from None


def _default_folder() -> Path:
    import torch

    return Path(torch.hub.get_dir()).parent / "datasets"


@contextmanager
def _extracting_inside() -> Iterator[None]:
    """Let no archive write outside of its folder: the default only from Python 3.14 on."""
    before = vars(tarfile.TarFile).get("extraction_filter")
    tarfile.TarFile.extraction_filter = staticmethod(tarfile.data_filter)
    try:
        yield
    finally:
        tarfile.TarFile.extraction_filter = before


def _pixels(name: str, pixels: np.ndarray, labels: np.ndarray) -> ImageSet:
    names = [f"{name}-{i:05d}" for i in range(len(pixels))]
    contents = [digest(image) for image in pixels]
    return ImageSet(f"torchvision:{name}", names, labels, contents, _CREDITS[name], pixels, read_pixels)


def _cifar10(root: Path) -> ImageSet:
    """Of the binary files: torchvision's own class reads the ones that are pickles, and no pickle is loaded here."""
    from torchvision.datasets.utils import download_and_extract_archive

    path = root / "cifar-10-batches-bin" / "test_batch.bin"
    if not path.is_file():
        download_and_extract_archive(_CIFAR10_URL, str(root), md5=_CIFAR10_MD5)
    rows = np.fromfile(path, dtype=np.uint8)
    if len(rows) % 3073 or not len(rows):
        raise RuntimeError(f"{path} is damaged")
    rows = rows.reshape(-1, 3073)
    pixels = np.ascontiguousarray(rows[:, 1:].reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1))
    return _pixels("CIFAR10", pixels, np.array(_CIFAR10_CLASSES)[rows[:, 0]])


def _stl10(root: Path) -> ImageSet:
    from torchvision.datasets import STL10

    known = STL10(root, split="test", download=True)
    return _pixels(
        "STL10", np.ascontiguousarray(known.data.transpose(0, 2, 3, 1)), np.array(known.classes)[known.labels]
    )


def _fashion_mnist(root: Path) -> ImageSet:
    from torchvision.datasets import FashionMNIST

    known = FashionMNIST(root, train=False, download=True)
    return _pixels("FashionMNIST", known.data.numpy(), np.array(known.classes)[known.targets.numpy()])


def _imagenette(root: Path) -> ImageSet:
    from torchvision.datasets import Imagenette

    there = (root / "imagenette2").exists()  # it refuses to download over what is there
    known = Imagenette(root, split="val", size="full", download=not there)
    paths = [Path(path) for path, _ in known._samples]
    labels = np.array([known.classes[label][0] for _, label in known._samples])
    names = [path.stem for path in paths]
    return ImageSet(
        "torchvision:Imagenette", names, labels, file_digests(paths), _CREDITS["Imagenette"], paths, read_file
    )


TORCHVISION_SETS: dict[str, Callable[[Path], ImageSet]] = {
    "CIFAR10": _cifar10,
    "STL10": _stl10,
    "Imagenette": _imagenette,
    "FashionMNIST": _fashion_mnist,
}
DATA_NAMES = tuple(f"torchvision:{name}" for name in TORCHVISION_SETS)
