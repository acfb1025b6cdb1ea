"""A sweep with all its silhouettes, against the loop that the question comes from: fit and score anew for each k.

python -m benchmarks.sweep            solar cells: all features, and 50 principal components
python -m benchmarks.sweep large      20,000 points; minutes, most of them scikit-learn's
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator

import numpy as np
from sklearn.cluster import KMeans
from sklearn.datasets import make_blobs
from sklearn.metrics import silhouette_samples as sklearn_silhouettes
from sklearn.metrics import silhouette_score

from helpers.clustering.reduction import fit_pca
from helpers.clustering.silhouette import silhouette_samples
from helpers.clustering.sweep import KMeansSweep, sweep_kmeans
from helpers.images.datasets import load_images
from helpers.images.embeddings import embed_images

from .timing import describe_blas, median_seconds, show

K_VALUES = range(2, 17)


def solar_cells() -> Iterator[tuple[str, np.ndarray]]:
    """The features that the book is about."""
    features = embed_images(load_images("solar-cells")).features
    yield "solar cells", features
    yield "their 50 components", fit_pca(features, 50).points


def synthetic() -> Iterator[tuple[str, np.ndarray]]:
    """Ten overlapping blobs."""
    yield "blobs", make_blobs(20_000, n_features=50, centers=10, cluster_std=5, random_state=0)[0].astype(np.float32)


def ask(X: np.ndarray) -> np.ndarray:
    """The question's loop; its inertias are scikit-learn's best of ten."""
    inertia = []
    for k in K_VALUES:
        inertia.append(KMeans(k, n_init=10, random_state=0).fit(X).inertia_)
        labels = KMeans(k, n_init=10, random_state=0).fit_predict(X)
        silhouette_score(X, labels)
        sklearn_silhouettes(X, labels)
    return np.array(inertia)


def answer(X: np.ndarray, n_jobs: int) -> KMeansSweep:
    """Ours."""
    sweep = sweep_kmeans(X, K_VALUES, n_jobs=n_jobs)
    silhouette_samples(X, sweep.labels)
    return sweep


def compare(name: str, X: np.ndarray) -> None:
    """Print seconds and their ratios, then inertia over scikit-learn's for each k."""
    answer(X[:500], 1)  # warm up
    theirs: list[np.ndarray] = []
    loop = median_seconds(lambda: theirs.append(ask(X)), 1)
    rows = []
    for n_jobs in (1, os.cpu_count() or 1):
        ours = median_seconds(lambda n_jobs=n_jobs: answer(X, n_jobs), 3)
        size = {"points": name, "n": len(X), "d": X.shape[1], "jobs": n_jobs}
        rows.append(size | {"ours (s)": ours, "loop (s)": loop, "loop / ours": loop / ours})
    show(rows)
    ratios = answer(X, 1).inertia / theirs[0]
    print("inertia, ours / scikit-learn: " + ", ".join(f"{k}: {ratio:.4f}" for k, ratio in zip(K_VALUES, ratios)))


if __name__ == "__main__":
    print(describe_blas())
    print("load of the machine: " + ", ".join(f"{load:.1f}" for load in os.getloadavg()), flush=True)
    for name, X in synthetic() if sys.argv[1:] == ["large"] else solar_cells():
        compare(name, X)
