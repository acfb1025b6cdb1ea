"""Images to features: what a network computes from each image just before it names a class.

Features are stored in chunks of a fixed number of images, each a file of the cache under a key made of the contents of
its images, the network with its weights, the arithmetic, the code and the libraries' versions. A chunk is written as
soon as it is done: a run that was stopped goes on with the next chunk, two runs at once write the same files, and of a
damaged file only its own chunk is computed again.
"""

from __future__ import annotations

import errno
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np

from ..core.cache import cached, is_cached, remove_leftovers
from ..core.conventions import resolve_path
from ..core.files import mapped_array
from ..core.scheduling import check_workers, run_tasks
from .backbones import LITE0, Backbone, backbone_key, find_weights, load_backbone
from .collection import CollectionError, ImageSet
from .engine import arithmetic
from .weights import ChangedWeightsError, EmbeddingError

CHUNK_SIZE = 64
_MAX_BYTES_IN_MEMORY = 2**32
_DEVICES = ("cpu", "cuda", "mps")


@dataclass(frozen=True)
class Embeddings:
    """The features of a collection of images.

    Attributes
    ----------
    features : ndarray of float32, shape (n, d)
        One row for each image that could be read; mapped from a file of the cache's folder beyond 4 GiB.
    kept : ndarray of int64, shape (n,)
        The index in the collection of each row's image.
    skipped : list of [str, str]
        Name and reason of each image that could not be read.
    """

    features: np.ndarray
    kept: np.ndarray
    skipped: list[list[str]]


@dataclass(frozen=True)
class Chunk:
    """The features of consecutive images, as stored; `reasons` holds an empty text for each that could be read."""

    features: np.ndarray
    reasons: list[str]


def embed_images(
    images: ImageSet,
    *,
    backbone: str = LITE0,
    weights: str | None = None,
    batch_size: int = 4,
    precision: str = "float32",
    cache_dir: str | Path = "_build/cache",
) -> Embeddings:
    """Compute the features of images, or take them from where they are stored.

    Parameters
    ----------
    images : ImageSet
        n images; a collection that comes with the features asked for is not embedded again.
    backbone : str
        The network; each EfficientNet-Lite gives d = 1,280 features, the average over the picture of its last layer
        before the classifier.
    weights : path, optional
        File of the network's weights; by default the shipped ones, or those that its library downloads.
    batch_size : int
        Images that go through the network at once; their number shows in the last digits.
    precision : {'float32', 'bfloat16'}
        Arithmetic of the network.
    cache_dir : path
        Folder of stored results.

    Returns
    -------
    Embeddings
        An image that cannot be read is left out and listed with its reason. The features of an image do not depend
        on the other images. If all features are stored, they are taken from there, whichever device computed them.

    Raises
    ------
    EmbeddingError
        If no image can be read, the network or its weights are not here, or the disk is full.
    CollectionError
        If a file is changed while it waits for its turn, or cannot be fetched from its address.

    Examples
    --------
    >>> import tempfile
    >>> from helpers.images.datasets import load_images
    >>> from helpers.images.embeddings import embed_images
    >>> images = load_images("digits", n_images=20)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     embeddings = embed_images(images, backbone="pixels", cache_dir=folder)
    >>> embeddings.features.shape, embeddings.skipped
    ((20, 1024), [])
    """
    if len(images) == 0:
        raise EmbeddingError("There are no images to embed.")
    if images.comes_with(backbone, weights, precision):
        return Embeddings(images.features, np.arange(len(images)), [])
    key = {"network": backbone_key(backbone, weights), "batch_size": batch_size}
    # Whole paths, since a worker's repository may be elsewhere.
    weights, cache_dir = weights and str(find_weights(backbone, weights)), str(resolve_path(cache_dir))
    starts = range(0, len(images), CHUNK_SIZE)
    chunks = [images.take(range(start, min(start + CHUNK_SIZE, len(images)))) for start in starts]

    def calls(device: str) -> list[dict[str, Any]]:
        used = {**key, "device": device, "precision": arithmetic(precision) if device == "cpu" else precision}
        return [chunk_call(chunk, backbone, weights, used, cache_dir) for chunk in chunks]

    # If all chunks of one device are stored, PyTorch need not be loaded to find out which device is here, which saves
    # a chapter seconds.
    for stored in map(calls, _DEVICES):
        if all(is_cached(embed_chunk, **call) for call in stored):
            return _collect(images, stored, cache_dir)
    missing = calls(_device())
    _compute_missing(missing, cache_dir)
    return _collect(images, missing, cache_dir)


# --- chunks -----------------------------------------------------------------------------------------------------------


def chunk_call(
    images: ImageSet, backbone: str, weights: str | None, key: dict[str, Any], cache_dir: str
) -> dict[str, Any]:
    """Collect the arguments with which `cached` computes a chunk, or finds it; they can be pickled and sent."""
    return {
        "contents": images.contents,
        "key": key,
        "cache_dir": cache_dir,
        "unkeyed": {"images": images, "backbone": backbone, "weights": weights},
    }


def embed_chunk(
    contents: list[str], key: dict[str, Any], images: ImageSet, backbone: str, weights: str | None
) -> Chunk:
    """Compute the features of the images of a chunk; `contents` and `key` hold all that they depend on."""
    with _LOADING:
        network = _loaded(backbone, weights, **key)
    size = key["batch_size"]
    batches = [range(start, min(start + size, len(images))) for start in range(0, len(images), size)]
    parts = [_embed_batch(network, images, batch, key) for batch in batches]
    features = [part.features for part in parts if part.features.size]
    return Chunk(
        np.concatenate(features) if features else np.empty((0, 0), dtype=np.float32),
        [reason for part in parts for reason in part.reasons],
    )


def _embed_batch(network: Backbone, images: ImageSet, batch: range, key: dict[str, Any]) -> Chunk:
    """Compute the features of a batch, filled up with zeros: so no digit shows how many others are in it."""
    import torch

    tensors, reasons = {}, []
    for row, i in enumerate(batch):
        try:
            tensors[row] = network.prepare(images.open(i))
            reasons.append("")
        except CollectionError:
            raise
        except Exception as error:  # decoders raise almost anything at a damaged file
            reasons.append(_reason(error))
    if not tensors:
        return Chunk(np.empty((0, 0), dtype=np.float32), reasons)
    first = next(iter(tensors.values()))
    layout = torch.channels_last if first.dim() == 3 else torch.contiguous_format
    pixels = torch.zeros((key["batch_size"], *first.shape), dtype=first.dtype).to(memory_format=layout)
    for row, tensor in tensors.items():
        pixels[row] = tensor
    with torch.inference_mode():
        features = network.features(pixels).float().cpu().numpy()
    return Chunk(features[list(tensors)], reasons)


_LOADING = Lock()


@lru_cache(maxsize=1)
def _loaded(backbone: str, weights: str | None, network: str, batch_size: int, precision: str, device: str) -> Backbone:
    """Load a network, once in a process, and refuse it if its weights are no longer those in the key."""
    loaded = load_backbone(backbone, weights)
    if backbone_key(backbone, weights) != network:
        raise ChangedWeightsError.of(backbone, find_weights(backbone, weights))
    return loaded.ready(batch_size, precision, device)


def _device() -> str:
    """Name the device on which networks run: a GPU where there is one."""
    import torch

    if torch.cuda.is_available():
        return "cuda"
    return "mps" if torch.backends.mps.is_available() else "cpu"


def _reason(error: Exception) -> str:
    """Say why an image could not be read, without the path or the object that decoders add to it.

    The name of the image stands beside the reason, and folders are private.
    """
    text = re.sub(r"\s*:?\s*('.*'|<.*>)$", "", getattr(error, "strerror", None) or str(error), flags=re.DOTALL)
    return " ".join(text.split()) or type(error).__name__


# --- all chunks -------------------------------------------------------------------------------------------------------


def _compute_missing(calls: list[dict[str, Any]], cache_dir: str) -> None:
    """Compute and store the chunks that are not stored, or are damaged."""
    missing = [(call,) for call in calls if not is_cached(embed_chunk, **call)]
    sizes = [len(call["contents"]) for (call,) in missing]
    n_there = sum(len(call["contents"]) for call in calls) - sum(sizes)
    remove_leftovers(cache_dir, embed_chunk)
    first = calls[0]
    check_workers(_network, first["unkeyed"]["backbone"], first["unkeyed"]["weights"], first["key"]["precision"])
    with _full_disk(cache_dir), _one_thread_a_batch():
        for _ in run_tasks(_compute_one, missing, desc="embedding", unit="image", sizes=sizes, n_done=n_there):
            pass


@contextmanager
def _full_disk(cache_dir: str) -> Iterator[None]:
    """Turn the system's error at a full disk into one sentence."""
    try:
        yield
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        raise EmbeddingError(
            f"The disk of the cache {cache_dir} is full; what was embedded is kept, and with more room the next "
            "run goes on from there."
        ) from None


def _network(backbone: str, weights: str | None, precision: str) -> dict[str, str]:
    """Name what the workers of a cluster must agree on."""
    return {
        f"the weights of {backbone}": backbone_key(backbone, weights),
        "the device": _device(),
        "the arithmetic": arithmetic(precision) if _device() == "cpu" else precision,
    }


def _compute_one(call: dict[str, Any]) -> None:
    """Compute one chunk into the cache and forget it: features are neither held nor sent."""
    import torch

    torch.set_num_threads(1)  # it is so already, except on a cluster's worker
    cached(embed_chunk, **call)


@contextmanager
def _one_thread_a_batch() -> Iterator[None]:
    """Run batches in parallel on one thread each: the threads within a batch would show in the last digits."""
    import torch

    n_threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(n_threads)


def _collect(images: ImageSet, calls: list[dict[str, Any]], cache_dir: str) -> Embeddings:
    """Read all chunks into one array."""
    features = np.empty((0, 0), dtype=np.float32)
    kept, skipped = [], []
    for call in calls:
        chunk = cached(embed_chunk, **call)
        if chunk.features.size and not features.size:
            features = _empty_features(len(images), chunk.features.shape[1], cache_dir)
        start = len(kept) + len(skipped)
        good = [start + row for row, reason in enumerate(chunk.reasons) if not reason]
        features[len(kept) : len(kept) + len(good)] = chunk.features[: len(good)]
        kept += good
        skipped += [[images.names[start + row], reason] for row, reason in enumerate(chunk.reasons) if reason]
    if not kept:
        name, reason = skipped[0]
        raise EmbeddingError(f"None of the {len(images)} images could be read; the first, {name}: {reason}.")
    return Embeddings(features[: len(kept)], np.array(kept, dtype=np.int64), skipped)


def _empty_features(n: int, d: int, cache_dir: str) -> np.ndarray:
    """Allocate an array for features: in memory, or in a file where they might not fit into it."""
    if n * d * np.dtype(np.float32).itemsize <= _MAX_BYTES_IN_MEMORY:
        return np.empty((n, d), dtype=np.float32)
    with _full_disk(cache_dir):
        return mapped_array((n, d), cache_dir)
