"""The data sets that torchvision knows how to download: the test images of each."""

from __future__ import annotations

import tarfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from ..core.conventions import ParameterError, listed, resolve_path
from ..core.fingerprints import digest
from .collection import ImageSet, read_file, read_pixels
from .files import file_digests
from .registry import dataset_forms, register_dataset

_CIFAR10_URL = "https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz"
_CIFAR10_MD5 = "c32a1d4ab5d03f1284b67883e8d87530"  # as on that page
_CIFAR10_CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")


def _register(name: str, credit: str) -> Callable[[Callable[[Path], ImageSet]], Callable[[Path], ImageSet]]:
    """Register the function below, which opens ``torchvision:NAME`` in a folder, downloading what is not there."""
    dataset = f"torchvision:{name}"

    def register(open_in: Callable[[Path], ImageSet]) -> Callable[[Path], ImageSet]:
        @register_dataset(dataset, credit=credit, pictures="the files of `torchvision:NAME`", needs_network=True)
        def load(*, pictures: str | None, **_: object) -> ImageSet:
            root = resolve_path(pictures) if pictures else _default_folder()
            try:
                return open_in(root)
            except (OSError, RuntimeError, tarfile.TarError) as error:
                raise _not_there(dataset, root, error) from None

        return open_in

    return register


def _not_there(dataset: str, root: Path, error: Exception) -> ParameterError:
    reason = " ".join(str(getattr(error, "reason", None) or error).split()).rstrip(".")
    others = listed(dataset_forms(lambda kind: not kind.needs_network))
    return ParameterError(
        f"The data set {dataset!r} is not in {root} and could not be downloaded ({reason}); put its files there in "
        f"torchvision's layout, or use {others}, which need no network."
    )


def _default_folder() -> Path:
    """Return the folder beside PyTorch's own downloads."""
    import torch

    return Path(torch.hub.get_dir()).parent / "datasets"


def _download(url: str, md5: str, root: Path) -> None:
    """Download an archive and extract it into a folder, outside of which it may write nothing.

    torchvision's own function extracts with Python's default, which trusts the archive up to Python 3.13.
    """
    from torchvision.datasets.utils import download_url

    download_url(url, str(root), md5=md5)
    with tarfile.open(root / url.rpartition("/")[2]) as archive:
        archive.extractall(root, filter="data")


def _open_or_download(open_there: Callable[[], Any], url: str, md5: str, root: Path) -> Any:
    try:
        return open_there()
    except RuntimeError:  # not there, or damaged
        _download(url, md5, root)
        return open_there()


def _from_pixels(name: str, pixels: np.ndarray, labels: np.ndarray) -> ImageSet:
    names = [f"{name}-{i:05d}" for i in range(len(pixels))]
    return ImageSet(names, labels, [digest(image) for image in pixels], pixels, read_pixels)


@_register("CIFAR10", "CIFAR-10: Krizhevsky, Learning multiple layers of features from tiny images (2009)")
def _cifar10(root: Path) -> ImageSet:
    """Read the binary files: torchvision's own class reads those that are pickles, and no pickle is loaded here."""
    path = root / "cifar-10-batches-bin" / "test_batch.bin"
    if not path.is_file():
        _download(_CIFAR10_URL, _CIFAR10_MD5, root)
    rows = np.fromfile(path, dtype=np.uint8)
    if len(rows) % 3073 or not len(rows):
        raise RuntimeError(f"{path} is damaged")
    rows = rows.reshape(-1, 3073)
    pixels = np.ascontiguousarray(rows[:, 1:].reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1))
    return _from_pixels("CIFAR10", pixels, np.array(_CIFAR10_CLASSES)[rows[:, 0]])


@_register("STL10", "STL-10: Coates, Lee and Ng, AISTATS (2011)")
def _stl10(root: Path) -> ImageSet:
    from torchvision.datasets import STL10

    known = _open_or_download(partial(STL10, root, split="test"), STL10.url, STL10.tgz_md5, root)
    pixels = np.ascontiguousarray(known.data.transpose(0, 2, 3, 1))
    return _from_pixels("STL10", pixels, np.array(known.classes)[known.labels])


@_register("Imagenette", "Imagenette: Howard (2019), a subset of ImageNet; https://github.com/fastai/imagenette")
def _imagenette(root: Path) -> ImageSet:
    from torchvision.datasets import Imagenette

    known = _open_or_download(partial(Imagenette, root, split="val"), *Imagenette._ARCHIVES["full"], root)
    paths = [Path(path) for path, _ in known._samples]
    labels = np.array([known.classes[label][0] for _, label in known._samples])
    return ImageSet([path.stem for path in paths], labels, file_digests(paths), paths, read_file)


@_register("FashionMNIST", "Fashion-MNIST: Xiao, Rasul and Vollgraf (2017); MIT")
def _fashion_mnist(root: Path) -> ImageSet:
    from torchvision.datasets import FashionMNIST

    known = FashionMNIST(root, train=False, download=True)
    return _from_pixels("FashionMNIST", known.data.numpy(), np.array(known.classes)[known.targets.numpy()])
