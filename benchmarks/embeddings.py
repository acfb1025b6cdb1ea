"""Embedding the solar cells, end to end, against the usual ways to do it.

python -m benchmarks.embeddings [N]         N solar cells (default 512): images/s, ratios, deviations, labels
python -m benchmarks.embeddings N NETWORK   the same for a network of torchvision, its weights drawn at random
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
import torchvision
from sklearn.cluster import KMeans
from sklearn.metrics import adjusted_rand_score
from timm.data import create_transform, resolve_data_config
from torch.utils.data import DataLoader, Dataset

from helpers.clustering.reduction import fit_pca, normalize_features
from helpers.images.backbones import LITE0, find_weights, load_backbone
from helpers.images.collection import ImageSet
from helpers.images.datasets import load_images
from helpers.images.embeddings import embed_images

from .timing import show

REPEATS = 3


def random_weights(network: str, folder: str) -> str:
    """Write the weights of a network of torchvision, drawn at random, and return their file."""
    torch.manual_seed(0)
    path = Path(folder, f"{network}.pth")
    torch.save(torchvision.models.get_model(network, weights=None).state_dict(), path)
    return str(path)


def reference(network: str, weights: str | None) -> tuple[str, Callable[[torch.Tensor], torch.Tensor]]:
    """Name and features of the network, run eagerly; by the package that its weights come from, if it is here."""
    if network != LITE0:
        return "PyTorch", load_backbone(network, weights).features
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
    """The images with the preprocessing of the network's library, one tensor each."""

    def __init__(self, images: ImageSet, network: str, weights: str | None) -> None:
        backbone = load_backbone(network, weights)
        timm = network == LITE0
        self.images = images
        self.transform = (
            create_transform(**resolve_data_config({}, model=backbone.model)) if timm else backbone.transform
        )

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, i: int) -> torch.Tensor:
        return self.transform(self.images.open(i))


def loop(pictures: Pictures, features: Callable, batch_size: int) -> np.ndarray:
    """The usual loop: a default DataLoader, one batch after the other."""
    with torch.inference_mode():
        return torch.cat([features(batch) for batch in DataLoader(pictures, batch_size)]).numpy()


def ours(images: ImageSet, network: str, weights: str | None, precision: str) -> np.ndarray:
    """Embed into an empty store and out of it."""
    options = {"backbone": network, "weights": weights, "precision": precision}
    with tempfile.TemporaryDirectory() as cache_dir:
        return embed_images(images, cache_dir=cache_dir, **options).features


def labels(features: np.ndarray, k: int) -> np.ndarray:
    """K-means as in the book: unit length, 50 principal components."""
    points = fit_pca(normalize_features(features, "unit"), 50).points
    return KMeans(k, n_init=10, random_state=0).fit_predict(points)


def compare(n_images: int, network: str, weights: str | None) -> None:
    """Repeat all ways in turn, so that what else the machine does falls on all alike; show medians."""
    images = load_images("solar-cells", n_images=n_images)
    name, features = reference(network, weights)
    first = images.take(range(min(32, n_images)))
    pictures = Pictures(first, network, weights)
    ways: dict[str, tuple[Callable[[], np.ndarray], int]] = {
        f"{name}, one image at a time": (lambda: loop(pictures, features, 1), len(first)),
        f"{name}, usual loop, batch 32": (lambda: loop(pictures, features, 32), len(first)),
        "ours, float32": (lambda: ours(images, network, weights, "float32"), n_images),
        "ours, bfloat16": (lambda: ours(images, network, weights, "bfloat16"), n_images),
    }
    seconds: dict[str, list[float]] = {way: [] for way in ways}
    cpu: dict[str, list[float]] = {way: [] for way in ways}
    for _ in range(REPEATS):
        for way, (run, n_embedded) in ways.items():
            started, used = time.perf_counter(), time.process_time()
            run()
            seconds[way].append((time.perf_counter() - started) / n_embedded)
            cpu[way].append((time.process_time() - used) / n_embedded)
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
    precise, coarse = (ours(images, network, weights, precision) for precision in ("float32", "bfloat16"))
    exact = loop(pictures, features, 1)
    difference = np.linalg.norm(precise[: len(first)] - exact, axis=1) / np.linalg.norm(exact, axis=1)
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
        n_images, network = int(words[0]) if words else 512, words[1] if words[1:] else LITE0
        with tempfile.TemporaryDirectory() as folder:
            compare(n_images, network, random_weights(network, folder) if words[1:] else None)
