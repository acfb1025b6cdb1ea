"""Clustering problems whose answer is known, on which the criteria are tried.

A problem is a recipe for points with their true groups. Synthetic ones draw fresh points for each seed; of a large
table each seed draws other rows, and of a collection of photographs other classes. The families are split into those on
which the rule of the verdict was chosen and those on which it is reported. `CHOOSING` names the former, and was written
down before the rule was chosen; it holds every kind of data that the verdict's own tests use or that was looked at
before, so that nothing of the rest was seen while the rule was made. Many groups came to it after a first round, when
the valley of all links together was found to hide one needless cut among more than ten groups. Families whose truth is
not certain are told apart and enter no average.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from pathlib import Path

import numpy as np
from scipy.stats import norm, rankdata
from sklearn.datasets import load_breast_cancer, load_digits, load_iris, load_wine, make_circles, make_moons

from ..clustering.reduction import normalize_features
from ..images.backbones import LITE0
from ..images.datasets import load_images
from ..images.embeddings import embed_images
from .collections import COLLECTIONS

# Of collections of photographs, `helpers.trials.collections.TO_CHOOSE_BY` says it.
CHOOSING = (
    "count",
    "many groups",
    "overlap",
    "unequal sizes",
    "noise points",
    "no structure",
    "closed curves",
    "copies without groups, choosing",
    "iris and digits",
    "wine and cancer",
    "embeddings",
)
# One class of photographs can hold several groups, and a class of a nested problem, too.
APART = ("single classes", "nested")
# Rows or images drawn from a large data set, so that the trials take minutes and not hours.
N_DRAWN = 800
# The largest number of classes that is drawn from a collection, and the components that k-means sees of photographs.
MOST_CLASSES, N_COMPONENTS = 10, 50
# The label of points that belong to no group; agreement is computed without them.
NOISE = -1


@dataclass(frozen=True)
class Problem:
    """Points whose groups are known.

    Attributes
    ----------
    name : str
    family : str
        Problems of one family have one role.
    n_clusters : int or None
        The true number of groups: 1 where there is no structure, None where the groups are known and k-means cannot be
        asked for their number.
    make : callable
        Gives, for a random generator, points of shape (n, d) and their true groups (n,), `NOISE` for points of none.
    n_components : int or None
        Principal components that k-means sees, as for `fit_pca`.
    needs : str
        The data set or collection of images that it is made from, or empty; it can be made where they are.
    """

    name: str
    family: str
    n_clusters: int | None
    make: Callable[[np.random.Generator], tuple[np.ndarray, np.ndarray]]
    n_components: int | None = None
    needs: str = ""

    @property
    def real(self) -> bool:
        """Whether the points were measured, and not drawn from a distribution."""
        return bool(self.needs) or self.family in ("iris and digits", "wine and cancer")

    @property
    def role(self) -> str:
        """Whether it is for ``choosing`` the rule, for ``reporting`` how good it is, or to be told ``apart``."""
        if self.family in COLLECTIONS:
            return COLLECTIONS[self.family].role
        return "apart" if self.family in APART else "choosing" if self.family in CHOOSING else "reporting"

    def sample(self, random_state: int) -> tuple[np.ndarray, np.ndarray]:
        """Draw the points (n, d), float32, and their true groups (n,) for a seed."""
        X, groups = self.make(np.random.default_rng([random_state, *self.name.encode()]))
        return np.ascontiguousarray(X, dtype=np.float32), np.asarray(groups)


# --- recipes ----------------------------------------------------------------------------------------------------------


def spaced_centers(rng: np.random.Generator, k: int, d: int, distance: float) -> np.ndarray:
    """Draw centres (k, d) whose nearest two are `distance` apart: the most spacious of 20 Gaussian draws, scaled."""
    draws = rng.standard_normal((20, k, d))
    gaps = np.linalg.norm(draws[:, :, np.newaxis] - draws[:, np.newaxis], axis=-1)
    nearest = (gaps + np.where(np.eye(k), np.inf, 0)).min(axis=(1, 2))
    return draws[nearest.argmax()] * (distance / nearest.max())


def gaussian_groups(
    rng: np.random.Generator, sizes: Sequence[int], d: int, distance: float, spreads: Sequence[float] | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Draw round Gaussian groups of standard deviation 1, or `spreads`, whose nearest centres are `distance` apart."""
    groups = np.repeat(np.arange(len(sizes)), sizes)
    scale = np.ones(len(sizes)) if spreads is None else np.asarray(spreads)
    noise = rng.standard_normal((len(groups), d)) * scale[groups, np.newaxis]
    return spaced_centers(rng, len(sizes), d, distance)[groups] + noise, groups


def noisy_groups(rng: np.random.Generator, share: float) -> tuple[np.ndarray, np.ndarray]:
    """Draw four groups in the plane, and a share of points strewn evenly over the box around them."""
    X, groups = gaussian_groups(rng, [120] * 4, 2, 8)
    strewn = rng.uniform(X.min(axis=0), X.max(axis=0), size=(int(share * len(X)), 2))
    return np.vstack([X, strewn]), np.concatenate([groups, np.full(len(strewn), NOISE)])


def stretched_groups(rng: np.random.Generator, k: int, d: int, distance: float, stretch: float):
    """Draw Gaussian groups, each stretched in a direction of its own."""
    X, groups = gaussian_groups(rng, [480 // k] * k, d, distance)
    axes = rng.standard_normal((k, d))
    axes /= np.linalg.norm(axes, axis=1, keepdims=True)
    along = rng.standard_normal(len(X)) * np.sqrt(stretch**2 - 1)
    return X + along[:, np.newaxis] * axes[groups], groups


def parallel_groups(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Draw two groups side by side along the diagonal of a cube: longer than their gap, which exceeds their width."""
    line = np.linspace(-1, 1, 200)[:, np.newaxis] * np.ones(3)
    aside = np.array([2.0, -2.0, 0.0])
    return np.vstack([line, line + aside]) + 0.15 * rng.standard_normal((400, 3)), np.repeat([0, 1], 200)


def heavy_tailed_groups(rng: np.random.Generator, k: int, d: int, distance: float, freedom: float):
    """Draw groups of multivariate t distribution: most points are near, some far away."""
    groups = np.repeat(np.arange(k), 480 // k)
    return spaced_centers(rng, k, d, distance)[groups] + student(rng, len(groups), d, freedom), groups


def student(rng: np.random.Generator, n: int, d: int, freedom: float) -> np.ndarray:
    """Draw points (n, d) of a multivariate t distribution."""
    return rng.standard_normal((n, d)) / np.sqrt(rng.chisquare(freedom, size=(n, 1)) / freedom)


def directed_groups(rng: np.random.Generator, k: int, d: int, angle: float, norm_spread: float, how: str):
    """Draw groups of similar direction whose points have very different norms, as features of a network can have."""
    groups = np.repeat(np.arange(k), 480 // k)
    X = spaced_centers(rng, k, d, 1.0)
    X = (X / np.linalg.norm(X, axis=1, keepdims=True))[groups] + angle * rng.standard_normal((480, d)) / np.sqrt(d)
    X *= np.exp(norm_spread * rng.standard_normal((480, 1)))
    return normalize_features(X, how), groups


def nested_groups(rng: np.random.Generator, within: float, between: float) -> tuple[np.ndarray, np.ndarray]:
    """Draw three groups of three groups each; the truth is the nine."""
    outer = spaced_centers(rng, 3, 5, between)
    centers = np.vstack([center + spaced_centers(rng, 3, 5, within) for center in outer])
    groups = np.repeat(np.arange(9), 55)
    return centers[groups] + rng.standard_normal((len(groups), 5)), groups


def nothing(points: Callable[[np.random.Generator], np.ndarray], rng: np.random.Generator):
    """Draw points of one distribution, all in one group."""
    X = points(rng)
    return X, np.zeros(len(X), dtype=int)


def varying_norms(rng: np.random.Generator, d: int, how: str) -> np.ndarray:
    """Draw Gaussian directions without groups, of very different norms."""
    return normalize_features(rng.standard_normal((500, d)) * np.exp(0.5 * rng.standard_normal((500, 1))), how)


def decaying_spectrum(rng: np.random.Generator, how: str) -> np.ndarray:
    """Draw rectified Gaussian features with decaying variances, positive and correlated like those of a network."""
    loadings = rng.standard_normal((200, 200)) / np.sqrt(np.arange(1, 201))[:, np.newaxis]
    return normalize_features(np.maximum(rng.standard_normal((500, 200)) @ loadings + 1, 0), how)


def ring(rng: np.random.Generator, n: int = 500) -> np.ndarray:
    """Draw a closed band: nothing in it is a group, and every cut looks as good as another."""
    angle = rng.uniform(0, 2 * np.pi, n)
    return (5 + 0.5 * rng.standard_normal((n, 1))) * np.column_stack([np.cos(angle), np.sin(angle)])


def sheet(rng: np.random.Generator, d: int, bend: float) -> np.ndarray:
    """Draw a square sheet in d dimensions, bent along its length by `bend` half turns, with a little noise."""
    length, width = rng.uniform(-1, 1, (2, 600))
    X = 0.05 * rng.standard_normal((600, d))
    X[:, :3] += np.column_stack([*_bent(length, bend), width])
    return X


def arc(rng: np.random.Generator, d: int, bend: float) -> np.ndarray:
    """Draw a line in d dimensions, bent by `bend` half turns, with a little noise."""
    X = 0.05 * rng.standard_normal((500, d))
    X[:, :2] += np.column_stack(_bent(rng.uniform(-1, 1, 500), bend))
    return X


def s_curve(rng: np.random.Generator, width: float) -> np.ndarray:
    """Draw a sheet of some width that is bent like an S, with a little noise."""
    angle = rng.uniform(-1.5, 1.5, 600) * np.pi
    X = np.column_stack([np.sin(angle), width * rng.uniform(-1, 1, 600), np.sign(angle) * (np.cos(angle) - 1)])
    return X + 0.05 * rng.standard_normal((600, 3))


def _bent(length: np.ndarray, bend: float) -> tuple[np.ndarray, np.ndarray]:
    """Bend a straight line into an arc of as many half turns."""
    if bend == 0:
        return length, np.zeros_like(length)
    angle, radius = length * bend * np.pi / 2, 2 / (bend * np.pi)
    return radius * np.sin(angle), radius * np.cos(angle)


def rectified(rng: np.random.Generator, n_inputs: int, n_layers: int, how: str) -> np.ndarray:
    """Send Gaussian inputs through a network of random rectified layers."""
    X = rng.standard_normal((600, n_inputs))
    for _ in range(n_layers):
        X = np.maximum(X @ rng.standard_normal((X.shape[1], 256)) * np.sqrt(2 / X.shape[1]), 0)
    return normalize_features(X.astype(np.float32), how)


def log_normal(rng: np.random.Generator, d: int, sigma: float, how: str) -> np.ndarray:
    """Draw features whose logarithms are normal, with half of their variance in common."""
    logs = (rng.standard_normal((600, 1)) + rng.standard_normal((600, d))) * sigma / np.sqrt(2)
    return normalize_features(np.exp(logs).astype(np.float32), how)


def copula(rng: np.random.Generator, X: np.ndarray) -> np.ndarray:
    """Draw points with the margins of X and about its rank correlations, and nothing else of it."""
    scores = norm.ppf((rankdata(X, axis=0) - 0.5) / len(X))
    drawn = rng.standard_normal((len(X), len(X))) @ scores
    return np.take_along_axis(np.sort(X, axis=0), drawn.argsort(axis=0).argsort(axis=0), axis=0)


def shipped(load: Callable, how: str, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Load a data set that scikit-learn ships, or `N_DRAWN` of its rows at random."""
    X, groups = load(return_X_y=True)
    return drawn(rng, normalize_features(X, how), groups)


def drawn(rng: np.random.Generator, X: np.ndarray, groups: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Draw `N_DRAWN` of the rows, or take all of them if they are fewer."""
    rows = np.sort(rng.permutation(len(X))[:N_DRAWN])
    return X[rows], groups[rows]


def embedded(
    dataset: str,
    rng: np.random.Generator,
    group_of: Callable[[str, str], str] = lambda name, label: label,
) -> tuple[np.ndarray, np.ndarray]:
    """Compute features of `N_DRAWN` images, scaled to unit length; the same for every seed."""
    images = load_images(dataset, n_images=N_DRAWN)
    embeddings = embed_images(images)
    labels = [""] * len(images) if images.labels is None else images.labels
    groups = np.array([group_of(images.names[i], labels[i]) for i in embeddings.kept])
    return normalize_features(embeddings.features, "unit"), groups


@lru_cache(maxsize=2)
def collection_features(name: str, backbone: str) -> tuple[np.ndarray, np.ndarray]:
    """Compute the features (n, d) of all images of a collection, and their classes."""
    images = load_images(f"folder:{COLLECTIONS[name].find()}")
    embeddings = embed_images(images, backbone=backbone)
    assert images.labels is not None
    return embeddings.features, images.labels[embeddings.kept]


def photographs(
    name: str, rng: np.random.Generator, n_classes: int, backbone: str = LITE0
) -> tuple[np.ndarray, np.ndarray]:
    """Draw some classes of a collection, and take their features, scaled to unit length."""
    X, groups = collection_features(name, backbone)
    rows = np.isin(groups, rng.choice(np.unique(groups), n_classes, replace=False))
    return normalize_features(X[rows], "unit"), groups[rows]


def with_backbone(problem: Problem, backbone: str) -> Problem:
    """Make a problem of photographs, the same classes drawn, with the features of another network."""
    return replace(problem, make=partial(problem.make, backbone=backbone))


def without_groups(name: str, rng: np.random.Generator, copy: Callable) -> np.ndarray:
    """Draw a copy of the features of a collection that has no groups."""
    return normalize_features(copy(rng, collection_features(name, LITE0)[0]).astype(np.float32), "unit")


def wordnet_kind(name: str, label: str) -> str:
    """Tell animal, artifact or other from the WordNet id that a file name starts with.

    WordNet 3.0 numbers its nouns by lexicographer file: animals lie before 2,670,000 and artifacts before 4,700,000.
    """
    offset = int(Path(name).name[1:9])
    return "animal" if offset < 2_670_000 else "artifact" if offset < 4_700_000 else "other"


# --- the problems -----------------------------------------------------------------------------------------------------


def _round() -> list[Problem]:
    groups = gaussian_groups
    equal = [(k, [480 // k] * k) for k in (2, 3, 5, 8, 12)]
    return [
        *(Problem(f"{k} groups", "count", k, partial(groups, sizes=s, d=10, distance=7)) for k, s in equal),
        *(
            Problem(f"{k} groups, {d} dimensions", "many groups", k, partial(groups, sizes=[n] * k, d=d, distance=gap))
            for k, d, n, gap in ((10, 2, 100, 7), (12, 20, 40, 8), (15, 5, 40, 7), (15, 50, 40, 10))
        ),
        *(
            Problem(f"groups {gap:g} apart", "overlap", 4, partial(groups, sizes=[120] * 4, d=4, distance=gap))
            for gap in (3, 4, 5)
        ),
        Problem("two sizes", "unequal sizes", 2, partial(groups, sizes=[400, 40], d=5, distance=7)),
        Problem("three sizes", "unequal sizes", 3, partial(groups, sizes=[360, 90, 30], d=5, distance=7)),
        Problem("five sizes", "unequal sizes", 5, partial(groups, sizes=[240, 120, 60, 40, 20], d=5, distance=8)),
        *(
            Problem(f"{d} dimensions", "dimension", 5, partial(groups, sizes=[96] * 5, d=d, distance=gap), keep)
            for d, gap, keep in ((2, 6, None), (16, 7, None), (128, 9, None), (512, 12, 50))
        ),
        *(
            Problem(f"{share:.0%} noise", "noise points", 4, partial(noisy_groups, share=share))
            for share in (0.05, 0.15, 0.3)
        ),
    ]


def _other() -> list[Problem]:
    return [
        Problem(
            "spreads 1 to 3",
            "unequal spread",
            3,
            partial(gaussian_groups, sizes=[160] * 3, d=4, distance=10, spreads=[1, 2, 3]),
        ),
        Problem(
            "spreads 1 to 5",
            "unequal spread",
            5,
            partial(gaussian_groups, sizes=[96] * 5, d=8, distance=16, spreads=[1, 2, 3, 4, 5]),
        ),
        Problem("stretched 3 times", "elongated", 4, partial(stretched_groups, k=4, d=3, distance=9, stretch=3)),
        Problem("stretched 5 times", "elongated", 3, partial(stretched_groups, k=3, d=8, distance=12, stretch=5)),
        Problem("two parallel", "elongated", 2, parallel_groups),
        Problem("tails, 3 groups", "heavy tails", 3, partial(heavy_tailed_groups, k=3, d=4, distance=9, freedom=3)),
        Problem("tails, 6 groups", "heavy tails", 6, partial(heavy_tailed_groups, k=6, d=10, distance=10, freedom=3)),
        *(
            Problem(
                f"directions, norms {words}",
                "norm spread",
                6,
                partial(directed_groups, k=6, d=64, angle=0.8, norm_spread=spread, how=how),
            )
            for words, spread, how in (("alike", 0.1, "none"), ("unlike", 0.5, "none"), ("scaled", 0.5, "unit"))
        ),
        Problem("three of three, near", "nested", 9, partial(nested_groups, within=5, between=14)),
        Problem("three of three, far", "nested", 9, partial(nested_groups, within=6, between=30)),
    ]


def _structureless() -> list[Problem]:
    def problem(name, family, points, n_components=None):
        return Problem(name, family, 1, partial(nothing, points), n_components)

    known, new = "no structure", "no structure, other"
    return [
        problem("uniform square", known, lambda rng: rng.uniform(size=(500, 2))),
        problem("Gaussian, 2 dimensions", known, lambda rng: rng.standard_normal((500, 2))),
        problem("Gaussian, 50 dimensions", known, lambda rng: rng.standard_normal((500, 50))),
        problem("tails, 2 dimensions", known, lambda rng: student(rng, 500, 2, 3)),
        problem("norms unlike", known, partial(varying_norms, d=512, how="none")),
        problem("norms unlike, 50 components", known, partial(varying_norms, d=512, how="none"), 50),
        problem("norms scaled, 50 components", known, partial(varying_norms, d=512, how="unit"), 50),
        problem("skewed", new, lambda rng: rng.exponential(size=(500, 5))),
        problem("like a network's", new, partial(decaying_spectrum, how="unit"), 50),
        problem("ring", "closed curves", ring),
        problem("long box", new, lambda rng: rng.uniform(size=(500, 3)) * [6, 2, 1]),
        problem("tails, 20 dimensions", new, lambda rng: student(rng, 500, 20, 4)),
        problem("flat sheet", "sheets and arcs", partial(sheet, d=10, bend=0)),
        problem("sheet, a quarter turn", "sheets and arcs", partial(sheet, d=10, bend=0.5)),
        problem("sheet, half a turn", "sheets and arcs", partial(sheet, d=10, bend=1)),
        problem("arc, half a turn", "sheets and arcs", partial(arc, d=10, bend=1)),
        problem("arc, three quarters of a turn", "sheets and arcs", partial(arc, d=3, bend=1.5)),
        problem("S curve, narrow", "sheets and arcs", partial(s_curve, width=0.3)),
        problem("S curve, wide", "sheets and arcs", partial(s_curve, width=2)),
        *(
            problem(f"{words}, {how}", "rectified networks", partial(rectified, n_inputs=d, n_layers=m, how=how), 50)
            for words, d, m in (("5 inputs, 1 layer", 5, 1), ("20 inputs, 2 layers", 20, 2), ("50 inputs, 4", 50, 4))
            for how in ("none", "unit")
        ),
        problem("log-normal, 5", "skewed and bounded", partial(log_normal, d=5, sigma=1, how="none")),
        problem("log-normal, 100, unit", "skewed and bounded", partial(log_normal, d=100, sigma=1, how="unit"), 50),
        problem("simplex, 4 corners", "skewed and bounded", lambda rng: rng.dirichlet(np.ones(4), 600)),
        problem("simplex, 20 corners", "skewed and bounded", lambda rng: rng.dirichlet(np.ones(20), 600)),
        problem("cube, 10 dimensions", "skewed and bounded", lambda rng: rng.uniform(size=(600, 10))),
    ]


def _curved() -> list[Problem]:
    def make(recipe, rng, **options):
        return recipe(n_samples=480, random_state=int(rng.integers(2**31)), **options)

    return [
        Problem("moons", "curved", 2, lambda rng: make(make_moons, rng, noise=0.08)),
        Problem("circles", "curved", 2, lambda rng: make(make_circles, rng, noise=0.05, factor=0.4)),
    ]


def _real() -> list[Problem]:
    embeddings, imagenet = "embeddings", "imagenet-sample"
    return [
        Problem("iris", "iris and digits", 3, partial(shipped, load_iris, "none")),
        Problem("iris, standardised", "iris and digits", 3, partial(shipped, load_iris, "standard")),
        Problem("digits", "iris and digits", 10, partial(shipped, load_digits, "none")),
        Problem("digits, standardised", "iris and digits", 10, partial(shipped, load_digits, "standard")),
        Problem("wine", "wine and cancer", 3, partial(shipped, load_wine, "standard")),
        Problem("breast cancer", "wine and cancer", 2, partial(shipped, load_breast_cancer, "standard")),
        Problem("digits, network", embeddings, 10, partial(embedded, "digits"), 50, "digits"),
        Problem("solar cells, mono and poly", embeddings, 2, partial(embedded, "solar-cells"), 50, "solar-cells"),
        Problem("ImageNet sample", embeddings, None, partial(embedded, imagenet, group_of=wordnet_kind), 50, imagenet),
    ]


def _photographs() -> list[Problem]:
    """List each collection as a whole, and with 2 to 10 of its classes drawn."""
    problems = []
    for name, collection in COLLECTIONS.items():
        whole = collection.n_classes
        for k in (*range(2, min(MOST_CLASSES + 1, whole)), whole):
            title = name if k == whole else f"{name}, {k} of {whole}"
            problems.append(Problem(title, name, k, partial(photographs, name, n_classes=k), N_COMPONENTS, name))
    return problems


def _copies() -> list[Problem]:
    """List clouds made from the features of each collection, and single classes of it."""
    problems = []
    for name, collection in COLLECTIONS.items():
        if collection.near_duplicates:
            continue
        family = f"copies without groups, {collection.role}"
        for title, copy in (("copula", copula), ("columns permuted", lambda rng, X: rng.permuted(X, axis=0))):
            make = partial(nothing, partial(without_groups, name, copy=copy))
            problems.append(Problem(f"{name}, {title}", family, 1, make, N_COMPONENTS, name))
        make = partial(photographs, name, n_classes=1)
        problems.append(Problem(f"{name}, one class", "single classes", 1, make, N_COMPONENTS, name))
    return problems


PROBLEMS: dict[str, Problem] = {
    problem.name: problem
    for part in (_round, _other, _structureless, _curved, _real, _photographs, _copies)
    for problem in part()
}
