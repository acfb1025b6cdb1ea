"""Copies and near-duplicates: one image that counts several times makes clusters look tighter and errors smaller."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from sklearn.neighbors import NearestNeighbors

from .collection import ImageSet, unreadable

# Two images are near-duplicates if they are nearer to each other than this share of the usual distance to the nearest
# other image.
NEAR = 0.1
_RULE = f"at most {NEAR:.0%} as far apart as neighbours are"


def first_of_copies(contents: Sequence[str]) -> np.ndarray:
    """Find for each image the first one with the same content, to the byte.

    Images that cannot be read are copies of none.

    Parameters
    ----------
    contents : sequence of str, length n
        As in `ImageSet.contents`.

    Returns
    -------
    ndarray of int64, shape (n,)
        An image that is no copy has its own index.

    Examples
    --------
    >>> first_of_copies(["a1", "b2", "a1", "unreadable: gone", "unreadable: gone"]).tolist()
    [0, 1, 0, 3, 4]
    """
    first: dict[str, int] = {}
    no_content = unreadable(OSError(0, ""))
    return np.array([i if it.startswith(no_content) else first.setdefault(it, i) for i, it in enumerate(contents)], int)


def drop_copies(images: ImageSet) -> ImageSet:
    """Leave the first of the images that are copies of each other, in the order of the collection."""
    first = first_of_copies(images.contents)
    kept = np.flatnonzero(first == np.arange(len(first)))
    return images if len(kept) == len(images) else replace(images.take(kept), left_out=images.left_out)


@dataclass(frozen=True)
class Likeness:
    """Which of n images are the same, nearly the same, and like no other.

    Attributes
    ----------
    copies : ndarray of int64, shape (c, 2)
        Each copy with the first image of its content.
    near : ndarray of int64, shape (p, 2)
        Pairs of other images that are nearly the same, see `near_duplicates`.
    alone : ndarray of int64
        The images that are no copies, the farthest from its nearest first.
    """

    copies: np.ndarray
    near: np.ndarray
    alone: np.ndarray


def compare_images(contents: Sequence[str], features: np.ndarray) -> Likeness:
    """Find copies by content, and near-duplicates and lonely images by the cosine distance to the nearest other image.

    Parameters
    ----------
    contents : sequence of str, length n
        As in `ImageSet.contents`.
    features : ndarray, shape (n, d)

    Examples
    --------
    >>> X = np.array([[1, 0], [1, 0], [0, 1], [0.5, 1], [1, 1.001], [1, 1]])
    >>> like = compare_images(["a", "a", "b", "c", "d", "e"], X)
    >>> like.copies.tolist(), like.near.tolist(), like.alone[:1].tolist()
    ([[1, 0]], [[4, 5]], [0])
    """
    first = first_of_copies(contents)
    own = np.flatnonzero(first == np.arange(len(first)))
    copied = np.flatnonzero(first != np.arange(len(first)))
    copies = np.stack([copied, first[copied]], axis=1)
    if len(own) < 2:
        return Likeness(copies, np.empty((0, 2), dtype=np.int64), own)
    neighbors = NearestNeighbors(metric="cosine").fit(features[own])
    distances, nearest = (found[:, 0] for found in neighbors.kneighbors(n_neighbors=1))
    return Likeness(copies, own[near_duplicates(distances, nearest)], own[np.argsort(-distances, kind="stable")])


def near_duplicates(distances: np.ndarray, nearest: np.ndarray) -> np.ndarray:
    """Find the pairs of images that are much nearer to each other than images usually are to their nearest.

    A pair counts if one is the nearest of the other and their distance is at most `NEAR` times the median distance of
    an image to its nearest.

    Parameters
    ----------
    distances : ndarray, shape (n,)
        Of each image to the nearest other one.
    nearest : ndarray of int, shape (n,)
        That image.

    Returns
    -------
    ndarray of int64, shape (p, 2)
        The nearest pair first, each with the smaller index first.

    Examples
    --------
    >>> near_duplicates(np.array([0.01, 0.01, 0.4, 0.4, 0.6]), np.array([1, 0, 3, 2, 2])).tolist()
    [[0, 1]]
    """
    near = np.flatnonzero(distances <= NEAR * np.median(distances))
    by_distance = near[np.argsort(distances[near], kind="stable")]
    pairs = {(min(i, nearest[i]), max(i, nearest[i])): None for i in by_distance}
    return np.array(list(pairs), dtype=np.int64).reshape(-1, 2)


def copies_sentence(n_copies: int, n_near: int, *, dropped: bool = False) -> str:
    """Say how many images are copies of others, and how many pairs are near-duplicates.

    Examples
    --------
    >>> copies_sentence(0, 1)
    'No image is a copy of another, and one pair is nearly the same (at most 10% as far apart as neighbours are).'
    >>> copies_sentence(2, 0).partition(" (")[0]
    '2 images are copies of others, to the byte, and no two others are nearly the same'
    """
    copies = "No image is a copy of another" if not dropped else "Copies are left out here"
    if n_copies:
        many = "s are copies of others" if n_copies > 1 else " is a copy of another"
        copies = f"{n_copies:,} image{many}, to the byte"
    pairs = {0: f"no two {'others ' if n_copies else ''}are", 1: "one pair is"}.get(n_near, f"{n_near:,} pairs are")
    return f"{copies}, and {pairs} nearly the same ({_RULE})."
