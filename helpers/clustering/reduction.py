"""Features to points: normalising, principal components, and a map for the eye."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from tqdm import tqdm

from ..core.files import mapped_array

if TYPE_CHECKING:
    from sklearn.decomposition import IncrementalPCA

_BATCH = 4096  # rows that are in memory at once, of features in a file


@dataclass(frozen=True)
class PrincipalComponents:
    """What `fit_pca` gives.

    Attributes
    ----------
    points : ndarray of float32, shape (n, p)
        The centred features in the first p principal components.
    explained_variance_ratio : ndarray of float32, shape (min(n, d),)
        Share of the total variance that each component explains, all of them.
    """

    points: np.ndarray
    explained_variance_ratio: np.ndarray


def normalize_features(features: np.ndarray, how: str) -> np.ndarray:
    """Bring features to a common scale.

    Parameters
    ----------
    features : ndarray, shape (n, d)
    how : {'none', 'unit', 'standard'}
        Leave them; divide each row by its Euclidean norm; or give each column mean 0 and variance 1 (a constant
        column becomes 0).

    Returns
    -------
    ndarray of float32, shape (n, d)
        Mapped from a file beside that of the features where these are.

    Raises
    ------
    ValueError
        If `how` is another word, or the features are not a finite matrix.
    """
    from sklearn.preprocessing import FunctionTransformer, Normalizer, StandardScaler
    from sklearn.utils import check_array, gen_batches

    scalers = {"none": FunctionTransformer(), "unit": Normalizer(), "standard": StandardScaler()}
    if how not in scalers:
        raise ValueError(f"how = {how!r} is not allowed; allowed are 'none', 'unit' and 'standard'.")
    given = check_array(features, input_name="features")
    scaler = scalers[how]
    batches = list(gen_batches(len(given), _BATCH))
    for rows in batches if how == "standard" else []:
        scaler.partial_fit(given[rows].astype(np.float64))
    in_file = _in_file(features)
    scaled = mapped_array(given.shape, Path(features.filename).parent) if in_file else np.empty(given.shape, np.float32)
    for rows in batches:
        scaled[rows] = scaler.transform(given[rows].astype(np.float64))
    return scaled


def _in_file(features: np.ndarray) -> bool:
    """Whether features are mapped from a file; a copy of such features is in memory, and still of that type."""
    return isinstance(features, np.memmap) and features.filename is not None


def fit_pca(features: np.ndarray, n_components: int | None) -> PrincipalComponents:
    """Principal components of features.

    Parameters
    ----------
    features : ndarray, shape (n, d)
    n_components : int or None
        Components kept, at most: there are no more than min(n, d). None keeps the features themselves as points.

    Returns
    -------
    PrincipalComponents
    """
    from sklearn.decomposition import PCA
    from sklearn.utils import gen_batches
    from threadpoolctl import threadpool_limits

    # The full decomposition is exact and needs no seed; one thread, since the number of them shows in the last digits.
    with threadpool_limits(limits=1):
        pca = _pca_in_batches(features) if _in_file(features) else PCA(svd_solver="full").fit(features)
        if n_components is None:
            points = features
        else:
            batches = gen_batches(len(features), _BATCH)
            points = np.concatenate([pca.transform(features[rows])[:, :n_components] for rows in batches])
    ratio = pca.explained_variance_ratio_.astype(np.float32)
    return PrincipalComponents(np.ascontiguousarray(points, dtype=np.float32), ratio)


def _pca_in_batches(features: np.ndarray) -> IncrementalPCA:
    """All components, so that nothing is lost from batch to batch."""
    from sklearn.decomposition import IncrementalPCA
    from sklearn.utils import gen_batches

    n, d = features.shape
    pca = IncrementalPCA()
    batches = list(gen_batches(n, max(_BATCH, 4 * d), min_batch_size=min(n, d)))
    for rows in tqdm(batches, desc="PCA", unit="batch", delay=2):
        pca.partial_fit(features[rows].astype(np.float64))
    return pca


def mean_and_scale(X: np.ndarray) -> tuple[np.ndarray, float]:
    """The mean of points, and their largest distance from it along a feature: 1 if all points are equal.

    Parameters
    ----------
    X : ndarray, shape (n, p)

    Returns
    -------
    mean : ndarray of float64, shape (p,)
    scale : float
    """
    mean = X.mean(axis=0, dtype=np.float64)
    return mean, float(np.maximum(X.max(axis=0) - mean, mean - X.min(axis=0)).max()) or 1.0


def sample_distances(X: np.ndarray, *, n_pairs: int, random_state: int) -> np.ndarray:
    """Euclidean distances of random pairs of different rows.

    Parameters
    ----------
    X : ndarray, shape (n, d)
    n_pairs : int
        Pairs drawn, with replacement.
    random_state : int

    Returns
    -------
    ndarray of float64, shape (n_pairs,)
    """
    rng = np.random.default_rng(random_state)
    first = rng.integers(len(X), size=n_pairs)
    second = (first + rng.integers(1, len(X), size=n_pairs)) % len(X)
    # In parts, so that the differences of all pairs are never held at once.
    parts = zip(np.array_split(first, 20), np.array_split(second, 20))
    return np.concatenate([np.linalg.norm(X[i].astype(np.float64) - X[j], axis=1) for i, j in parts])


def components_for(explained_variance_ratio: np.ndarray, share: float) -> int:
    """The smallest number of components that together explain at least `share` of the variance."""
    reached = np.cumsum(explained_variance_ratio) >= share - 1e-12
    return int(np.argmax(reached)) + 1 if reached.any() else len(explained_variance_ratio)


def fit_umap(points: np.ndarray, *, n_neighbors: int, min_dist: float, random_state: int) -> np.ndarray:
    """A two-dimensional map that keeps neighbours together (UMAP; McInnes, Healy and Melville 2018).

    Distances and densities on the map are not those of the points: look at it, do not score in it.

    Parameters
    ----------
    points : ndarray, shape (n, p)
    n_neighbors : int
        Neighbours looked at, n - 1 at most.
    min_dist : float
        How tightly points may be packed on the map.
    random_state : int
        Seed; with it UMAP runs on one thread and is reproducible.

    Returns
    -------
    ndarray of float32, shape (n, 2)
    """
    import umap

    # UMAP's spectral start needs a few more points than dimensions; a handful of images has no such start.
    init = "spectral" if len(points) > 10 else "random"
    mapper = umap.UMAP(
        n_neighbors=min(n_neighbors, len(points) - 1),
        min_dist=min_dist,
        init=init,
        random_state=random_state,
        n_jobs=1,
    )
    return np.asarray(mapper.fit_transform(points), dtype=np.float32)
