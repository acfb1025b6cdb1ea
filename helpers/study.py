"""A study: from parameters to a verdict, each step computed once."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cached_property
from numbers import Integral
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from PIL import Image

from .clustering.centring import check_points
from .clustering.reduction import (
    PrincipalComponents,
    check_float32,
    count_different,
    fit_pca,
    fit_umap,
    normalize_features,
)
from .clustering.silhouette import SilhouetteDetails, silhouette_details, silhouette_table
from .clustering.sweep import KMeansSweep, count_distinct, sweep_kmeans
from .core.cache import cached, check_folder
from .core.conventions import ParameterError
from .core.groups import encode_groups
from .core.scheduling import use_scheduler
from .criteria.clusters import center_distances
from .criteria.curves import are_consecutive, k_ranges
from .criteria.halves import Halves, LinkValleys, Stability, cluster_halves, link_valleys, stability
from .criteria.references import (
    GapStatistic,
    NullSilhouettes,
    SilhouetteCeiling,
    gap_statistic,
    null_silhouettes,
    silhouette_ceiling,
)
from .criteria.table import compare_criteria, validity_indices
from .criteria.verdict import Verdict, verdict
from .images.collection import ImageSet
from .images.copies import first_of_copies
from .images.datasets import load_images, sample_images
from .images.embeddings import Embeddings, embed_images
from .parameters import Parameters

# References are many, so each is clustered from one start.
N_INIT_REFERENCES = 1
N_REFERENCES = 6
_NOTHING = "there is nothing to cluster, and at least two different images are needed"


class Study:
    """One collection of images, or of features, studied with one set of parameters.

    Nothing is computed until it is asked for, and nothing twice: each property is computed at its first use and kept,
    in the object and in the folder ``cache_dir``, where a later process finds it.

    Parameters
    ----------
    params : Parameters

    Examples
    --------
    >>> import tempfile
    >>> from helpers.parameters import Parameters
    >>> from helpers.study import Study
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     study = Study(Parameters(dataset="synthetic:blobs", normalize="none", k_max=7, cache_dir=folder))
    ...     study.verdict.n_clusters, study.answers["elbow"]
    (5, 5)
    """

    def __init__(self, params: Parameters) -> None:
        self.params = params

    @classmethod
    def from_names(cls, names: Mapping[str, Any]) -> Study:
        """Open the study that the parameters among `names` describe, such as the ``globals()`` of a notebook.

        Its work runs on the scheduler that they name, from now on.

        Raises
        ------
        ParameterError
            At a value that is not allowed, a cache that cannot be a folder, or a scheduler that cannot be used.
        """
        study = cls(Parameters.from_names(names))
        check_folder(study.params.cache_dir)
        use_scheduler(study.params.scheduler, cache_dir=study.params.cache_dir)
        return study

    @classmethod
    def of_folder(cls, path: str | Path, **parameters: Any) -> Study:
        """Study the images of a folder, a zip file or an address; subfolders name their classes.

        Parameters
        ----------
        path : path
            A relative path starts at the working directory.
        **parameters
            Others of `helpers.parameters.Parameters`, such as ``k_max``.

        Raises
        ------
        ParameterError
            If a parameter is not allowed; the folder is opened when it is first asked for.

        Examples
        --------
        >>> from helpers.study import Study
        >>> Study.of_folder("/my/photos", k_max=8).params.changed()
        {'dataset': 'folder:/my/photos', 'k_max': 8}
        """
        if not str(path):
            raise ParameterError("The path of the folder is empty; name a folder, a zip file or an address.")
        place = str(path) if "://" in str(path) else str(Path(path).expanduser().absolute())
        return cls(Parameters(dataset=f"folder:{place}", **parameters))

    @classmethod
    def of_features(
        cls,
        X: np.ndarray,
        k_values: Sequence[int] | str = range(2, 17),
        *,
        groups: np.ndarray | None = None,
        random_state: int = 0,
        cache_dir: str | Path = "_build/cache",
        **parameters: Any,
    ) -> Study:
        """Study features that are there already.

        Parameters
        ----------
        X : array-like, shape (n, d)
            Finite numbers, a row for each sample.
        k_values : sequence of int, or str
            Numbers of clusters from 2 on, in ascending order; or ``log:LOW:HIGH:COUNT``, as the parameter of that name.
        groups : array-like, shape (n,), optional
            Samples that belong together, such as pictures of one object, and are not independent: errors take them
            together, and no halving divides them.
        random_state : int
        cache_dir : path
        **parameters
            Others of `helpers.parameters.Parameters`, such as ``normalize`` and ``n_components``.

        Raises
        ------
        ParameterError
            If k_values are not ascending, X has too few different rows for them, groups are not one for each row or
            fewer than four, or a parameter is not allowed or has no place here, as those of images have.

        Examples
        --------
        >>> import tempfile
        >>> from sklearn.datasets import make_blobs
        >>> from helpers.study import Study
        >>> X, _ = make_blobs(200, 8, centers=4, cluster_std=0.5, random_state=0)
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     Study.of_features(X, range(2, 9), normalize="none", cache_dir=folder).verdict.n_clusters
        4
        """
        for name in parameters:
            if name not in _OF_FEATURES:
                raise ParameterError(
                    f"{name} has no place in a study of features; allowed are {', '.join(_OF_FEATURES)}."
                )
        given = k_values if isinstance(k_values, str) else _whole_numbers(k_values)
        study = cls(Parameters(k_values=given, random_state=random_state, cache_dir=str(cache_dir), **parameters))
        features, largest = _check_features(X), study.k_values[-1]
        if largest >= len(features):
            raise ParameterError(f"k = {largest} must be smaller than the number of rows, and X has {len(features)}.")
        if (n_distinct := count_distinct(features, largest)) < largest:
            raise ParameterError(f"k = {largest} is more than the {n_distinct} of the rows of X that differ.")
        study.embeddings = Embeddings(features, np.arange(len(features)), [])
        study.labels = None
        study.groups = encode_groups(groups, len(features))
        return study

    # --- images and points ---

    @cached_property
    def images(self) -> ImageSet:
        """The images, after a check that the network can embed them."""
        if "embeddings" in vars(self):
            raise ParameterError("A study of features has no images; open one of images with Study(Parameters(...)).")
        params = self.params
        return self._checked(
            load_images(
                params.dataset,
                n_images=params.n_images,
                random_state=params.random_state,
                pictures=params.pictures,
                groups=params.groups,
                copies=params.copies,
            )
        )

    def draw_from(self, whole: ImageSet) -> None:
        """Take the images from a collection that is open already, instead of opening it again.

        Parameters
        ----------
        whole : ImageSet
            All images of the data set.
        """
        params = self.params
        self.images = self._checked(
            sample_images(whole, params.n_images, params.random_state, params.groups, params.copies)
        )

    def _checked(self, images: ImageSet) -> ImageSet:
        params = self.params
        images.comes_with(params.backbone, params.weights, params.precision)
        if len(images) > 1 and not first_of_copies(images.contents).any():
            raise ParameterError(f"All {len(images):,} images of {params.dataset!r} are copies of one: {_NOTHING}.")
        if params.model_fields_set & _OF_K:
            params.check_images(len(images))  # here, since embedding them takes long
        return images

    @cached_property
    def embeddings(self) -> Embeddings:
        """The features of the images, with a row for each that could be read."""
        params = self.params
        embeddings = embed_images(
            self.images,
            backbone=params.backbone,
            weights=params.weights,
            precision=params.precision,
            cache_dir=params.cache_dir,
        )
        if params.model_fields_set & _OF_K:
            params.check_images(len(embeddings.kept))
        features = embeddings.features
        if len(features) > 1 and count_distinct(features, 2) == 1:
            raise ParameterError(
                f"All {len(features):,} images of {params.dataset!r} that can be read look the same to the network "
                f"{params.backbone!r}: {_NOTHING}, or another `backbone`, which tells them apart."
            )
        return embeddings

    @cached_property
    def labels(self) -> np.ndarray | None:
        """The class of each row, shape (n,), where it is known; no step of the clustering sees it."""
        labels = self.images.labels
        return None if labels is None else labels[self.embeddings.kept]

    @cached_property
    def groups(self) -> np.ndarray | None:
        """The number of the group of each row, int64, shape (n,); None where each image is by itself.

        They are no labels: they say how the images were taken, and errors and halves take those of one group together.
        """
        groups, kept = self.images.groups, self.embeddings.kept
        readable = f"groups = {self.params.groups!r}, among the images that can be read,"
        return None if groups is None else encode_groups(groups[kept], len(kept), source=readable)

    @cached_property
    def features(self) -> np.ndarray:
        """The scaled features, float32, shape (n, d), in which everything is scored."""
        with self._refusals():
            return normalize_features(self.embeddings.features, self.params.normalize)

    @cached_property
    def pca(self) -> PrincipalComponents:
        """The principal components of the features."""
        with self._refusals():
            if self.params.n_components is None:
                return fit_pca(self.features, None)  # its points are the features: no second copy in the cache
            return self._cached(fit_pca, self.features, self.params.n_components)

    @property
    def points(self) -> np.ndarray:
        """The points that are clustered, the features or their first principal components, float32, shape (n, p)."""
        return self.features if self.params.n_components is None else self.pca.points

    @cached_property
    def map_points(self) -> np.ndarray:
        """A UMAP of the points for the eye, shape (n, 2)."""
        params = self.params
        return self._cached(
            fit_umap, self.points, n_neighbors=params.n_neighbors, min_dist=params.min_dist, **self._seed
        )

    # --- clusterings ---

    @property
    def k_values(self) -> list[int]:
        """The numbers of clusters that are tried, in ascending order."""
        return self.params.tried_k

    @cached_property
    def sweep(self) -> KMeansSweep:
        """One clustering for each k.

        Images that are copies of each other count once: k-means needs k different points.
        """
        self.check_k_max()
        params = self.params
        return self._cached(
            sweep_kmeans,
            self.points,
            self.k_values,
            n_init=params.n_init,
            algorithm=params.algorithm,
            **self._seed,
            **_MANY_AT_ONCE,
        )

    def check_k_max(self) -> None:
        """Refuse a k that is larger than the number of different rows, scaled, and of different points.

        Raises
        ------
        ParameterError
            Naming the largest possible one.
        """
        params, largest = self.params, self.k_values[-1]
        n_different = count_different(self.features, params.normalize, largest)
        params.check_images(len(self.features), min(n_different, count_distinct(self.points, largest)))

    @cached_property
    def details(self) -> SilhouetteDetails:
        """The silhouettes of each clustering with the distances that they compare, shape (m, n) each."""
        return self._cached(silhouette_details, self.features, self.sweep.labels, metric=self.params.metric)

    def details_at(self, k: int) -> SilhouetteDetails:
        """Return the `details` of one k, shape (n,) each; see `labels_at`."""
        row = self._row_of(k)
        return SilhouetteDetails(**{name: values[row] for name, values in vars(self.details).items()})

    @property
    def silhouettes(self) -> np.ndarray:
        """The silhouettes of each clustering, float64, shape (m, n)."""
        return self.details.silhouette

    @cached_property
    def table(self) -> pd.DataFrame:
        """Score, mean over clusters, shares and errors, a row for each k; see `silhouette_table`."""
        return silhouette_table(self.silhouettes, self.sweep.labels, self.groups)

    def open_image(self, i: int) -> Image.Image:
        """Open the image of row `i`; see `ImageSet.open`."""
        return self.images.open(self.embeddings.kept[i])

    def labels_at(self, k: int) -> np.ndarray:
        """Return the cluster of each row at one k, shape (n,).

        Raises
        ------
        ParameterError
            If that k was not tried.
        """
        return self.sweep.labels[self._row_of(k)]

    def central_at(self, k: int) -> np.ndarray:
        """Find the row of each cluster that is nearest to its centre at one k, shape (k,).

        Raises
        ------
        ParameterError
            If that k was not tried.
        """
        labels = self.labels_at(k)
        distances = center_distances(self.points, self.sweep.centers[self._row_of(k)], labels)
        return pd.Series(distances).groupby(labels).idxmin().to_numpy()

    def _row_of(self, k: int) -> int:
        """Find the row of one k in the results of the sweep, or refuse it."""
        if k not in self.k_values:
            raise ParameterError(f"k = {k} was not tried; tried are {k_ranges(self.k_values).removeprefix('k = ')}.")
        return self.k_values.index(k)

    def sample(self, n: int) -> np.ndarray:
        """Draw at most `n` rows at random, and return their numbers in ascending order; all where there are no more."""
        drawn = np.random.default_rng(self.params.random_state).permutation(len(self.features))[:n]
        return np.sort(drawn)

    # --- references and verdict ---

    @cached_property
    def nulls(self) -> NullSilhouettes:
        """The silhouettes of structureless data of the same shape."""
        params = self.params
        return self._cached(
            null_silhouettes,
            self.features,
            self.k_values,
            n_components=params.n_components,
            n_references=N_REFERENCES,
            metric=params.metric,
            **self._references,
        )

    @cached_property
    def ceiling(self) -> SilhouetteCeiling:
        """Upper bounds of the score."""
        return self._cached(
            silhouette_ceiling, self.features, self.sweep.labels, metric=self.params.metric, **self._seed
        )

    @cached_property
    def halves(self) -> Halves:
        """Random halves of the rows, and the clusterings of each."""
        return self._cached(
            cluster_halves, self.points, self.k_values, groups=self.groups, **self._seed, **_MANY_AT_ONCE
        )

    @cached_property
    def valleys(self) -> LinkValleys:
        """Links across the borders of clusters and inside of them."""
        return self._of_halves(link_valleys)

    @cached_property
    def stability(self) -> Stability:
        """How well the clusterings of two halves agree."""
        return self._of_halves(stability)

    @cached_property
    def gap(self) -> GapStatistic:
        """The gap statistic with references along the principal axes, from k = 1 on."""
        return self._cached(
            gap_statistic,
            self.points,
            range(1, self.k_values[-1] + 1) if are_consecutive(self.k_values) else [1, *self.k_values],
            n_references=N_REFERENCES,
            **self._references,
        )

    @cached_property
    def criteria(self) -> pd.DataFrame:
        """All criteria side by side, a row for each k; see `compare_criteria`."""
        return compare_criteria(
            self.sweep,
            self.table,
            samples=self.silhouettes,
            groups=self.groups,
            nulls=self.nulls,
            ceiling=self.ceiling,
            valleys=self.valleys,
            stable=self.stability,
            gap=self.gap,
            indices=validity_indices(self.features, self.sweep.labels),
        )

    @cached_property
    def verdict(self) -> Verdict:
        """The number of clusters, its levels, and the sentences that say why."""
        return verdict(self.criteria, self.valleys)

    @property
    def answers(self) -> dict[str, int | None]:
        """The k that each criterion names, by name, and the verdict's; None where it names none."""
        return self.verdict.preferred | {"verdict": self.verdict.n_clusters}

    # --- how ---

    @contextmanager
    def _refusals(self) -> Iterator[None]:
        """Report numbers that cannot be scaled or projected as a refusal of the data set."""
        try:
            yield
        except ParameterError:
            raise
        except ValueError as error:
            raise ParameterError(f"The data set {self.params.dataset!r} cannot be studied: {error}") from None

    def _of_halves(self, function: Any) -> Any:
        given = {"unkeyed": {"halves": self.halves, "n_jobs": -1}}  # halves follow from the other arguments
        return self._cached(function, self.points, self.k_values, groups=self.groups, **self._seed, **given)

    def _cached(self, function: Any, *args: Any, **kwargs: Any) -> Any:
        return cached(function, *args, cache_dir=self.params.cache_dir, **kwargs)

    @property
    def _seed(self) -> dict[str, Any]:
        return {"random_state": self.params.random_state}

    @property
    def _references(self) -> dict[str, Any]:
        return {"n_init": N_INIT_REFERENCES, **self._seed, **_MANY_AT_ONCE}


# Whoever names one of these asks for clusterings; without them a study only opens and embeds images.
_OF_K = frozenset({"k_max", "k_values"})

# Parameters that a study of features takes, beside those of its signature.
_OF_FEATURES = ("normalize", "n_components", "n_neighbors", "min_dist", "metric", "chosen_k", "n_init", "algorithm")


def _whole_numbers(k_values: Any) -> list[Any]:
    """Make the whole numbers of a sequence, as those of NumPy, numbers of Python; others are left to be refused."""
    ks = list(k_values) if isinstance(k_values, Iterable) else [k_values]
    return [int(k) if isinstance(k, Integral) and not isinstance(k, bool) else k for k in ks]


def _check_features(X: np.ndarray) -> np.ndarray:
    """Check that features are a finite matrix, and return them in float32; those in a file stay there."""
    try:
        checked = check_points(X, dtype=[np.float32, np.float64])
        in_file = isinstance(X, np.memmap) and X.dtype == np.float32
        check_float32(checked)
        return X if in_file else np.ascontiguousarray(checked, np.float32)
    except (ValueError, TypeError) as error:
        raise ParameterError(f"X cannot be studied: {' '.join(str(error).split())}") from None


# How many runs are at work at once cannot change a result.
_MANY_AT_ONCE = {"unkeyed": {"n_jobs": -1}}
