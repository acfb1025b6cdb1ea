"""Features to points: normalisation, principal components, and a map to look at."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from tqdm import tqdm

from ..core.files import mapped_array
from .centring import check_points, in_units, mean_and_scale, median_and_usual, unit_of, unit_rows, units_of
from .sweep import count_distinct

if TYPE_CHECKING:
    from sklearn.decomposition import IncrementalPCA

# Of the largest number of features; float32 goes from 1e-38 to 3e38.
_FLOAT32_RANGE = 1e-30, 1e34
# Values this many times farther out than others usually are cost these their digits in float32, and in float64.
_FAR_FLOAT32, _FAR_FLOAT64 = 1e4, 1e12
_BATCH = 4096  # rows that are in memory at once, of features in a file
# Two rows of one direction, divided by their lengths in float32, are less than this apart.
_ROUNDING = 2**-21


@dataclass(frozen=True)
class PrincipalComponents:
    """The result of `fit_pca`.

    Attributes
    ----------
    points : ndarray of float32, shape (n, p)
        The centred features in the first p principal components; where few values are very much larger than all others,
        their origin is at the median of the features instead of the mean.
    explained_variance_ratio : ndarray of float32, shape (min(n, d),)
        Share of the total variance that each of all components explains.
    """

    points: np.ndarray
    explained_variance_ratio: np.ndarray


def normalize_features(features: np.ndarray, how: str) -> np.ndarray:
    """Scale features, by rows or by columns.

    Parameters
    ----------
    features : ndarray, shape (n, d)
    how : {'none', 'unit', 'standard'}
        Leave them unchanged; divide each row by its Euclidean norm; or give each column mean 0 and variance 1 (a
        constant column becomes 0).

    Returns
    -------
    ndarray of float32, shape (n, d)
        If the features are mapped from a file, so is the result, from a file in the same folder.

    Raises
    ------
    ValueError
        If `how` is not one of these, the features are not a finite matrix, or, with 'none', `check_float32` refuses
        them.

    Examples
    --------
    >>> import numpy as np
    >>> normalize_features(np.array([[3.0, 4.0], [0.0, 2.0]]), "unit")
    array([[0.6, 0.8],
           [0. , 1. ]], dtype=float32)
    """
    from sklearn.preprocessing import StandardScaler
    from sklearn.utils import gen_batches

    if how not in ("none", "unit", "standard"):
        raise ValueError(f"how = {how!r} is not allowed; allowed are 'none', 'unit' and 'standard'.")
    given = check_points(features, input_name="features")
    # Columns in units, since the variances of very large or small values leave the range of numbers.
    units = units_of(np.maximum(given.max(axis=0), -given.min(axis=0)))
    scaler = StandardScaler()
    batches = list(gen_batches(len(given), _BATCH))
    for rows in batches if how == "standard" else []:
        scaler.partial_fit(given[rows].astype(np.float64) / units)
    if how == "none":
        check_float32(given)
    scale = {"none": np.asarray, "unit": unit_rows, "standard": lambda rows: scaler.transform(rows / units)}[how]
    in_file = _in_file(features)
    scaled = mapped_array(given.shape, Path(features.filename).parent) if in_file else np.empty(given.shape, np.float32)
    for rows in batches:
        scaled[rows] = scale(given[rows].astype(np.float64))
    return scaled


def count_different(scaled: np.ndarray, how: str, enough: int) -> int:
    """Count the rows that differ by more than the rounding of `normalize_features`; see `count_distinct`.

    Parameters
    ----------
    scaled : ndarray of float32, shape (n, d)
        The result of `normalize_features`.
    how : {'none', 'unit', 'standard'}
    enough : int

    Examples
    --------
    >>> import numpy as np
    >>> rows = normalize_features(np.outer(np.arange(1, 9), [0.1, 0.2, 0.3]).astype(np.float32), "unit")
    >>> len(np.unique(rows, axis=0)) > 1, count_different(rows, "unit", 8)
    (True, 1)
    """
    return count_distinct(scaled, enough, _ROUNDING if how == "unit" else 0.0)


def check_float32(X: np.ndarray) -> None:
    """Refuse numbers for which the range of float32, with room for sums, is too small.

    Raises
    ------
    ValueError
        If one is too large, or all are so small that they lose digits.
    """
    largest, (low, high) = max(float(X.max()), -float(X.min())), _FLOAT32_RANGE
    if largest > high or 0 < largest < low:
        raise ValueError(f"The features reach {largest:.2g}, which must be from {low:g} to {high:g}: rescale them.")


def _in_file(features: np.ndarray) -> bool:
    """Tell whether features are mapped from a file; a copy of such features is in memory, yet of the same type."""
    return isinstance(features, np.memmap) and features.filename is not None


def fit_pca(features: np.ndarray, n_components: int | None) -> PrincipalComponents:
    """Project features on their principal components.

    Parameters
    ----------
    features : ndarray, shape (n, d)
    n_components : int or None
        Largest number of components kept; there are min(n, d). With None the points are the features themselves.

    Returns
    -------
    PrincipalComponents

    Raises
    ------
    ValueError
        If few values are so much larger than all others that these would have no digits left.

    Examples
    --------
    >>> import numpy as np
    >>> pca = fit_pca(np.array([[0.0, 0.0], [3.0, 4.0], [6.0, 8.0]]), 1)
    >>> np.abs(pca.points).ravel().round(3).tolist(), pca.explained_variance_ratio.round(3).tolist()
    ([5.0, 0.0, 5.0], [1.0, 0.0])
    """
    from sklearn.decomposition import PCA
    from sklearn.utils import gen_batches
    from threadpoolctl import threadpool_limits

    # The full decomposition is exact and needs no seed. One thread, since their number shows in the last digits.
    origin, unit = _origin_and_unit(features)
    with threadpool_limits(limits=1):
        if _in_file(features):
            pca = _pca_in_batches(features, origin, unit)
        else:
            pca = PCA(svd_solver="full").fit((features - origin) / unit)
        if n_components is None:
            points = features
        else:
            batches = [(features[rows] - origin) / unit for rows in gen_batches(len(features), _BATCH)]
            points = np.concatenate([pca.transform(batch)[:, :n_components] for batch in batches])
            if origin.any():  # the mean of the components is far from most points, so that float32 would lose theirs
                points -= pca.transform(np.zeros((1, len(origin))))[:, :n_components]
            points = points * unit
    ratio = pca.explained_variance_ratio_.astype(np.float32)
    return PrincipalComponents(np.ascontiguousarray(points, dtype=np.float32), ratio)


def _origin_and_unit(features: np.ndarray) -> tuple[np.ndarray, float]:
    """Find what to subtract from features and what to divide them by, so that few far values cost others no digits.

    Returns
    -------
    origin : ndarray, shape (d,)
        Zeros of the features' type, or in float64 the median.
    unit : float
        A power of two, since the variances of very large or small values leave the range of numbers.
    """
    scale = mean_and_scale(features)[1]
    median, usual = median_and_usual(features)
    if 0 < _FAR_FLOAT64 * usual < scale:
        raise ValueError(
            f"The features reach {scale:.2g} from their centre and half of them {usual:.2g} or less, which leaves "
            "principal components no digits for these: leave out the far rows, or rescale them."
        )
    far = 0 < _FAR_FLOAT32 * usual < scale
    return median if far else np.zeros(features.shape[1], dtype=features.dtype), unit_of(scale)


def _pca_in_batches(features: np.ndarray, origin: np.ndarray, unit: float) -> IncrementalPCA:
    """Fit principal components batch by batch. All components are kept, so that no batch loses variance."""
    from sklearn.decomposition import IncrementalPCA
    from sklearn.utils import gen_batches

    n, d = features.shape
    pca = IncrementalPCA()
    batches = list(gen_batches(n, max(_BATCH, 4 * d), min_batch_size=min(n, d)))
    for rows in tqdm(batches, desc="PCA", unit="batch", delay=2):
        pca.partial_fit((features[rows].astype(np.float64) - origin) / unit)
    return pca


def sample_distances(X: np.ndarray, *, n_pairs: int, random_state: int) -> np.ndarray:
    """Calculate the Euclidean distances of random pairs of different rows.

    Parameters
    ----------
    X : ndarray, shape (n, d)
    n_pairs : int
        Number of pairs, drawn with replacement.
    random_state : int

    Returns
    -------
    ndarray of float64, shape (n_pairs,)
    """
    rng = np.random.default_rng(random_state)
    first = rng.integers(len(X), size=n_pairs)
    second = (first + rng.integers(1, len(X), size=n_pairs)) % len(X)
    # In parts, since the differences of all pairs might not fit into memory.
    parts = zip(np.array_split(first, 20), np.array_split(second, 20))
    return np.concatenate([np.linalg.norm(X[i].astype(np.float64) - X[j], axis=1) for i, j in parts])


def components_for(explained_variance_ratio: np.ndarray, share: float) -> int:
    """Find the smallest number of components that together explain at least `share` of the variance.

    Examples
    --------
    >>> import numpy as np
    >>> components_for(np.array([0.6, 0.3, 0.1]), 0.9)
    2
    """
    reached = np.cumsum(explained_variance_ratio) >= share - 1e-12
    return int(np.argmax(reached)) + 1 if reached.any() else len(explained_variance_ratio)


def fit_umap(points: np.ndarray, *, n_neighbors: int, min_dist: float, random_state: int) -> np.ndarray:
    """Draw points on a two-dimensional map that keeps neighbours together (UMAP; McInnes, Healy and Melville 2018).

    Distances and densities on the map are not those of the points: it is for looking at, not for scoring.

    Parameters
    ----------
    points : ndarray, shape (n, p)
    n_neighbors : int
        Neighbours of each point that the map tries to keep together; n - 1 if there are fewer.
    min_dist : float
        How tightly points may be packed on the map.
    random_state : int
        Seed. UMAP runs on one thread, so that it is reproducible.

    Returns
    -------
    ndarray of float32, shape (n, 2)
    """
    import umap

    points, _, _ = in_units(points)  # since it computes in float32, where squares of 1e20 or 1e-30 have no place
    # UMAP's spectral start needs some more points than dimensions, which very small collections do not have.
    init = "spectral" if len(points) > 10 else "random"
    mapper = umap.UMAP(
        n_neighbors=min(n_neighbors, len(points) - 1),
        min_dist=min_dist,
        init=init,
        random_state=random_state,
        n_jobs=1,
    )
    return np.asarray(mapper.fit_transform(points), dtype=np.float32)
