"""Embedding the solar cells, end to end, against the usual ways to do it.

python -m benchmarks.embeddings [N]         N solar cells (default 512): images/s, ratios, deviations, labels
python -m benchmarks.embeddings accuracy    how many of the shipped features are classified rightly
python -m benchmarks.embeddings memory N    the peak of memory while N links to solar cells are embedded

The reference package is efficientnet-lite-pytorch (pip install efficientnet-lite-pytorch); without it, the network of
timm is run eagerly in its place, and the table says so.
"""

from __future__ import annotations

import importlib.util
import resource
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import psutil
import torch
from sklearn.cluster import KMeans
from sklearn.metrics import adjusted_rand_score
from timm.data import create_transform, resolve_data_config
from torch.utils.data import DataLoader, Dataset

from helpers.clustering.reduction import fit_pca, normalize_features
from helpers.images.backbones import find_weights, load_backbone
from helpers.images.collection import ImageSet
from helpers.images.datasets import load_images
from helpers.images.embeddings import embed_images

from .timing import show

REPEATS = 3


def reference() -> tuple[str, Callable[[torch.Tensor], torch.Tensor]]:
    """Name and features of the network, run eagerly by the package that its weights come from."""
    if importlib.util.find_spec("efficientnet_lite_pytorch"):
        from efficientnet_lite_pytorch import EfficientNet

        package = EfficientNet.from_pretrained(
            "efficientnet-lite0", weights_path=str(find_weights("efficientnet-lite0"))
        )
        package.eval()
        return "efficientnet-lite-pytorch", lambda batch: package.extract_features(batch).mean(dim=(2, 3))
    model = load_backbone("efficientnet-lite0").model
    return "timm", lambda batch: model.forward_head(model.forward_features(batch), pre_logits=True)


class Pictures(Dataset):
    """The images with the preprocessing of timm, one tensor each."""

    def __init__(self, images: ImageSet) -> None:
        model = load_backbone("efficientnet-lite0").model
        self.images, self.transform = images, create_transform(**resolve_data_config({}, model=model))

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, i: int) -> torch.Tensor:
        return self.transform(self.images.open(i))


def loop(images: ImageSet, features: Callable, batch_size: int) -> np.ndarray:
    """The usual loop: a default DataLoader, one batch after the other."""
    with torch.inference_mode():
        return torch.cat([features(batch) for batch in DataLoader(Pictures(images), batch_size)]).numpy()


def ours(images: ImageSet, precision: str) -> np.ndarray:
    """Into an empty store and out of it."""
    with tempfile.TemporaryDirectory() as cache_dir:
        return embed_images(images, precision=precision, cache_dir=cache_dir).features


def labels(features: np.ndarray, k: int) -> np.ndarray:
    """K-means as in the book: unit length, 50 principal components."""
    points = fit_pca(normalize_features(features, "unit"), 50).points
    return KMeans(k, n_init=10, random_state=0).fit_predict(points)


def compare(n_images: int) -> None:
    """Interleaved repeats, so that what else the machine does falls on all alike; medians."""
    images = load_images("solar-cells", n_images=n_images)
    name, features = reference()
    few = images.take(range(min(32, n_images)))
    ways: dict[str, tuple[Callable[[ImageSet], np.ndarray], ImageSet]] = {
        f"{name}, one image at a time": (lambda some: loop(some, features, 1), few),
        f"{name}, usual loop, batch 32": (lambda some: loop(some, features, 32), few),
        "ours, float32": (lambda some: ours(some, "float32"), images),
        "ours, bfloat16": (lambda some: ours(some, "bfloat16"), images),
    }
    seconds: dict[str, list[float]] = {way: [] for way in ways}
    cpu: dict[str, list[float]] = {way: [] for way in ways}
    for _ in range(REPEATS):
        for way, (run, some) in ways.items():
            started, used = time.perf_counter(), time.process_time()
            run(some)
            seconds[way].append((time.perf_counter() - started) / len(some))
            cpu[way].append((time.process_time() - used) / len(some))
    eager, usual = (float(np.median(seconds[way])) for way in list(ways)[:2])
    rows = []
    for way in ways:
        each = float(np.median(seconds[way]))
        rows.append(
            {
                "way": way,
                "images/s": 1 / each,
                "against eager": eager / each,
                "against loop": usual / each,
                "CPU ms/image": 1000 * float(np.median(cpu[way])),
            }
        )
    show(rows)
    precise, coarse = ours(images, "float32"), ours(images, "bfloat16")
    exact = loop(few, features, 1)
    difference = np.linalg.norm(precise[: len(few)] - exact, axis=1) / np.linalg.norm(exact, axis=1)
    rounding = np.linalg.norm(coarse - precise, axis=1) / np.linalg.norm(precise, axis=1)
    print(f"largest relative difference of float32: {difference.max():.1e}; of bfloat16: {rounding.max():.1e}")
    show([{"k": k, "ARI": adjusted_rand_score(labels(precise, k), labels(coarse, k))} for k in (2, 4, 8, 16)])


def accuracy() -> None:
    """The network's own classifier on the shipped features."""
    classifier = load_backbone("efficientnet-lite0").model.get_classifier()
    with torch.inference_mode():
        named = classifier(torch.from_numpy(load_images("imagenet-sample").features)).argmax(dim=1).numpy()
    right = named == np.arange(1000)
    show([{"top-1 of 1,000": right.mean(), "of every third": right[::3].mean()}])


def memory(n_images: int) -> None:
    """Resident memory at every tenth of the way, and its peak."""
    solar = load_images("solar-cells")
    with tempfile.TemporaryDirectory() as folder:
        for i in range(n_images):
            Path(folder, f"{i:06d}.png").symlink_to(solar.items[i % len(solar)])
        images = load_images(f"folder:{folder}")
        sizes, done = [], threading.Event()

        def watch() -> None:
            while not done.wait(0.5):
                sizes.append(psutil.Process().memory_info().rss / 2**20)

        watcher = threading.Thread(target=watch)
        watcher.start()
        try:
            result = embed_images(images, cache_dir=Path(folder, "cache"), precision="bfloat16")
        finally:
            done.set()
            watcher.join()
    tenths = np.linspace(0, len(sizes) - 1, 11).astype(int)
    print("resident MiB at each tenth of the time:", ", ".join(f"{sizes[i]:.0f}" for i in tenths))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"peak {peak:.0f} MiB, of which the features are {result.features.nbytes / 2**20:.0f} MiB")


if __name__ == "__main__":
    words = sys.argv[1:]
    if words[:1] == ["accuracy"]:
        accuracy()
    elif words[:1] == ["memory"]:
        memory(int(words[1]))
    else:
        compare(int(words[0]) if words else 512)
