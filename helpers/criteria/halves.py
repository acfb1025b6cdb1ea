"""What one half of the samples says about the other: valleys between clusters, and clusterings that are found again.

K-means always finds borders, and it seeks the gaps of the very sample that it is given. So the samples are halved at
random, each half is clustered by itself, and the borders of one are looked at in the other: is it emptier there than
inside the clusters (`link_valleys`), and would the other half have drawn them, too (`stability`,
`prediction_strength`)?
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from sklearn.metrics import adjusted_rand_score, pairwise_distances_argmin
from sklearn.metrics.cluster import contingency_matrix
from sklearn.neighbors import NearestNeighbors

from ..clustering.centring import check_points, mean_and_scale
from ..clustering.sweep import sweep_kmeans
from ..core.groups import encode_groups
from ..core.scheduling import run_tasks

N_HALVINGS = 8
# A halving draws at most this many samples: of more, the links of a sample say the same, and cost what few cost.
MOST_SAMPLES = 20_000
# Places on the line between two centres, which lie at -1/2 and 1/2: around the border, and inside the clusters.
BORDER = (-0.05, 0.0, 0.05)
INSIDE = (0.3, 0.4, 0.5)
# Two clusters are adjacent if the centre of one is the runner-up of this share of the points of the other.
ADJACENT = 0.25
# Points whose neighbours in other groups are sought at once.
ROWS_AT_ONCE = 1000
# With one there is no other half.
FEWEST_TO_HALVE = 2
# Fewer links than this inside all clusters together say nothing.
FEWEST_LINKS = 5
# A cluster counts as at least so much, so that one of few links cannot outweigh all others.
SHALLOWEST = -1.0


@dataclass(frozen=True)
class Halves:
    """Random halves of the samples, and the k-means clusterings of each.

    Attributes
    ----------
    k_values : ndarray of int64, shape (m,)
    rows : list of ndarray of int64
        The samples of each half; halves 0 and 1 are those of the first halving, 2 and 3 of the second, and so on.
    centers : list of ndarray of float64, shape (sum of k_values, p)
        For each half the centres for all k, one k after the other; not a number for a k that a half is too small for.
    groups : ndarray of int64, shape (n,), or None
        The number of the group of each sample of all, if samples belong together.
    """

    k_values: np.ndarray
    rows: list[np.ndarray]
    centers: list[np.ndarray]
    groups: np.ndarray | None = None

    def centers_for(self, half: int) -> list[np.ndarray]:
        """Split the centres of a half by k, a list of m arrays of shape (k, p)."""
        return np.split(self.centers[half], np.cumsum(self.k_values)[:-1])

    def groups_of(self, half: int) -> np.ndarray | None:
        """Take the groups of the samples of a half, if samples belong together."""
        return None if self.groups is None else self.groups[self.rows[half]]

    def other(self, half: int) -> int:
        """Number the other half of the same halving."""
        return half ^ 1


@dataclass(frozen=True)
class LinkValleys:
    """How much emptier the borders of clusters are than their insides, each array of shape (n_halvings, m).

    Attributes
    ----------
    k_values : ndarray of int64, shape (m,)
    valley : ndarray of float64
        The mean over clusters, and over both directions of a halving; not a number where there are no links.
    links : ndarray of float64
        Links across a place inside of the emptier of two adjacent clusters, summed over all pairs and both directions.
    """

    k_values: np.ndarray
    valley: np.ndarray
    links: np.ndarray

    @property
    def by_halving(self) -> pd.DataFrame:
        """The valleys that each halving finds, a row for each halving and a column for each k.

        A k is missing altogether if one halving has too few links for it.
        """
        enough = ((self.links >= FEWEST_LINKS) & ~np.isnan(self.valley)).all(axis=0)
        columns = pd.Index(self.k_values, name="n_clusters")
        return pd.DataFrame(np.where(enough, self.valley, np.nan), columns=columns)

    def table(self) -> pd.DataFrame:
        """Tabulate ``valley``, the mean over halvings, ``valley_spread``, their standard deviation, and ``links``.

        ``links`` are the links inside that a halving rests on. A row for each k, missing as in `by_halving`.
        """
        found = self.by_halving
        return pd.DataFrame({"valley": found.mean(), "valley_spread": found.std(), "links": self.links.mean(axis=0)})


@dataclass(frozen=True)
class Stability:
    """How well the clusterings of two halves agree, each array of shape (n_halvings, m).

    Attributes
    ----------
    k_values : ndarray of int64, shape (m,)
    ari : ndarray of float64
        Adjusted Rand index of a half's own clustering and of that by the centres of the other half, the mean of both
        directions.
    strength : ndarray of float64
        Prediction strength, likewise; not a number where a half has no cluster of two, so that nothing is predicted.
    """

    k_values: np.ndarray
    ari: np.ndarray
    strength: np.ndarray

    def table(self) -> pd.DataFrame:
        """Tabulate ``stability`` and ``spread``, mean and deviation of `ari` over halvings, and ``strength``.

        Each is missing for a k at which one halving has none.
        """
        ari, strength = (
            pd.DataFrame(values, columns=pd.Index(self.k_values, name="n_clusters"))
            for values in (self.ari, self.strength)
        )
        columns = {"stability": ari.mean(skipna=False), "spread": ari.std(skipna=False)}
        return pd.DataFrame(columns | {"strength": strength.mean(skipna=False)})


# --- halving ----------------------------------------------------------------------------------------------------------


def cluster_halves(
    X: np.ndarray,
    k_values: Sequence[int],
    *,
    groups: np.ndarray | None = None,
    n_halvings: int = N_HALVINGS,
    n_init: int = 1,
    random_state: int = 0,
    n_jobs: int | None = None,
) -> Halves:
    """Halve the samples at random several times, and cluster each half with k-means for each k.

    Parameters
    ----------
    X : array-like, shape (n, p)
        What k-means sees.
    k_values : sequence of int, length m
    groups : array-like, shape (n,), optional
        Samples that belong together, such as pictures of one object: they are never divided between the halves.
    n_halvings : int
    n_init : int
        Restarts of k-means.
    random_state : int
    n_jobs : int, optional
        Number of halves that are clustered at once; it does not change the result.

    Returns
    -------
    Halves

    Raises
    ------
    ValueError
        If X is refused by `sweep_kmeans`, a k is less than 1, there is no halving, or groups are refused by
        `helpers.core.groups.encode_groups`, of which there must be two.
    """
    X = check_points(X, dtype=[np.float64, np.float32], ensure_min_samples=2)
    ks = list(k_values)
    if not ks or min(ks) < 1 or n_halvings < 1:
        raise ValueError(
            f"k_values = {ks} with n_halvings = {n_halvings} are not possible: at least one of each, and k from 1."
        )
    rng = np.random.default_rng(random_state)
    codes = encode_groups(groups, len(X), fewest=FEWEST_TO_HALVE)
    rows = [half for _ in range(n_halvings) for half in _halve(len(X), codes, rng)]
    tasks = [(half, ks, n_init, random_state) for half in rows]
    runs = run_tasks(_centers, tasks, shared=(X,), n_jobs=n_jobs, desc="halves", unit="half")
    return Halves(np.array(ks, dtype=np.int64), rows, list(runs), codes)


def _with_halves(
    X: np.ndarray, k_values: Sequence[int], halves: Halves | None, **options: Any
) -> tuple[np.ndarray, Halves]:
    """Check X, and cluster its halves with some options unless they are there already, which must be for these k."""
    if halves is None:
        halves = cluster_halves(X, k_values, **options)
    elif list(halves.k_values) != list(k_values):
        raise ValueError(f"halves of k_values = {halves.k_values.tolist()} do not fit k_values = {list(k_values)}.")
    return check_points(X, dtype=[np.float64, np.float32]), halves


def _halve(n: int, codes: np.ndarray | None, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Draw two halves of the rows, or of `MOST_SAMPLES` of them, that share no group."""
    if codes is None:
        drawn = rng.permutation(n)[:MOST_SAMPLES]
        middle = len(drawn) // 2
        return np.sort(drawn[:middle]), np.sort(drawn[middle:])
    place = rng.permutation(codes.max() + 1)[codes]
    drawn = np.lexsort((rng.random(n), place))  # one group after the other, each in random order
    ends = np.flatnonzero(np.diff(place[drawn])) + 1  # where a group ends and the next begins
    middle = ends[np.abs(ends - n / 2).argmin()]
    most = n if n <= MOST_SAMPLES else MOST_SAMPLES // 2
    return np.sort(drawn[:middle][:most]), np.sort(drawn[middle:][:most])


def _centers(X: np.ndarray, rows: np.ndarray, ks: list[int], n_init: int, random_state: int) -> np.ndarray:
    """Cluster a half for each k that it has enough distinct points for, and stack the centres of all k (a task)."""
    half = X[rows]
    most = len(np.unique(half, axis=0)) if len(half) else 0
    possible = [k for k in ks if k <= most]
    centers = sweep_kmeans(half, possible, n_init=n_init, random_state=random_state).centers if possible else []
    found = dict(zip(possible, centers))
    return np.vstack([found.get(k, np.full((k, X.shape[1]), np.nan)) for k in ks])


# --- valleys ----------------------------------------------------------------------------------------------------------


def link_valleys(
    X: np.ndarray,
    k_values: Sequence[int],
    *,
    n_neighbors: int = 10,
    groups: np.ndarray | None = None,
    n_halvings: int = N_HALVINGS,
    random_state: int = 0,
    n_jobs: int | None = None,
    halves: Halves | None = None,
) -> LinkValleys:
    """Compare the borders between neighbouring clusters with their insides, by links between nearest neighbours.

    Each sample of a half is joined to its nearest neighbours in that half. K-means with k clusters on the *other* half
    draws the borders. Two clusters i and j are adjacent if one centre is the runner-up of at least a quarter of the
    points of the other. Each link with both ends in them is put on the line of the two centres, at ::

        t = (x - (c_i + c_j) / 2) . (c_j - c_i) / |c_j - c_i|^2

    so that the border is at t = 0 and the centres are at -1/2 and 1/2. With N(t) the number of links whose ends lie on
    different sides of t, ::

        border = mean of N(-0.05), N(0), N(0.05)
        inside = min(mean of N(-0.3), N(-0.4), N(-0.5); mean of N(0.3), N(0.4), N(0.5))
        valley of a cluster = 1 - sum of border / sum of inside, over the clusters adjacent to it, and at least -1

    and the valley of k is the mean over its clusters and over halvings, each taken in both directions. At 1 no sample
    has a neighbour across a border, and the clusters are islands. At 0 the borders are like any other place. Below 0
    they run through the thick of the cloud, as they do where k-means cuts one that has no clusters. Each cluster has
    one voice: if all links were pooled, one needless cut through one of many islands would hardly be seen.

    It compares a border with the inside of the same clusters, along the data. So shape, tails, lengths and dimension
    act on both sides of the ratio, which they do not in a comparison of scores with those of structureless references.
    The samples at the border are not those that k-means saw, since its borders seek the gaps of its sample. A true
    cluster of 20 samples or fewer is not seen: a half holds fewer of it than a sample has links, and the rest of them
    lead elsewhere.

    Where samples belong together, a sample is joined to its nearest neighbours of *other* groups. The pictures of one
    burst are each other's nearest neighbours, and would make an island of any cluster that holds whole bursts. Then
    a true cluster made of fewer than about eight groups may not be seen.

    Its relatives measure density at a border, too: the saddle between density peaks (Rodriguez and Laio 2014, Science
    344, 1492-1496), the density separation of DBCV (Moulavi et al. 2014, SIAM Data Mining, 839-847), the projection on
    the line of two centres of G-means (Hamerly and Elkan 2003, NIPS 16) and of dip-means (Kalogeratos and Likas 2012,
    NIPS 25), and the cut of a graph of neighbours that spectral clustering makes small (von Luxburg 2007, Statistics
    and Computing 17, 395-416). New, as far as is known here, are the ratio of links across to links inside the same two
    clusters, and that the borders come from the other half.

    Parameters
    ----------
    X : array-like, shape (n, p)
        What k-means sees.
    k_values : sequence of int, length m
        Numbers of clusters from 2 on.
    n_neighbors : int
        Links from each sample; fewer where a half has fewer samples of other groups.
    groups, n_halvings, random_state, n_jobs
        As for `cluster_halves`. Of more than 20,000 samples each halving draws 20,000.
    halves : Halves, optional
        From `cluster_halves` with the same X, k_values, groups and random_state, if they are there already.

    Returns
    -------
    LinkValleys

    Raises
    ------
    ValueError
        If a k is less than 2, n_neighbors less than 1, the halves are of other k_values, or X is refused by
        `cluster_halves`.

    Examples
    --------
    >>> import numpy as np
    >>> X = np.random.default_rng(0).normal(size=(300, 2)) + np.repeat([[0, 0], [9, 0], [0, 9]], 100, axis=0)
    >>> link_valleys(X, [2, 3, 4]).table()["valley"].round(1).to_dict()
    {2: 0.9, 3: 1.0, 4: 0.4}
    """
    if min(k_values, default=0) < 2 or n_neighbors < 1:
        raise ValueError(
            f"k_values = {list(k_values)} with n_neighbors = {n_neighbors} are not possible: a border needs k = 2 or "
            f"more, and links at least 1 neighbour."
        )
    options = {"groups": groups, "n_halvings": n_halvings, "random_state": random_state, "n_jobs": n_jobs}
    X, halves = _with_halves(X, k_values, halves, **options)
    tasks = [(half,) for half in range(len(halves.rows))]
    shared = X, mean_and_scale(X)[0], halves, n_neighbors
    runs = run_tasks(_count_links, tasks, shared=shared, n_jobs=n_jobs, desc="valleys", unit="half")
    both = np.stack(list(runs)).reshape(-1, 2, 2, len(halves.k_values))
    return LinkValleys(halves.k_values, both[:, :, 0].mean(axis=1), both[:, :, 1].sum(axis=1))


def _count_links(X: np.ndarray, mean: np.ndarray, halves: Halves, n_neighbors: int, half: int) -> np.ndarray:
    """Compare the borders that the other half draws with the insides, by the links of the points of a half (a task).

    Returns
    -------
    ndarray of float64, shape (2, m)
        Valley, and links inside, for each k.
    """
    points = X[halves.rows[half]] - mean  # since an offset would cost distances their digits
    links = _links(points, n_neighbors, halves.groups_of(half))
    drawn = halves.centers_for(halves.other(half))
    return np.array([_valley_and_links(points, links, centers - mean) for centers in drawn]).T


def _links(points: np.ndarray, n_neighbors: int, groups: np.ndarray | None = None) -> np.ndarray:
    """Join each point to its nearest neighbours; give each link once, as the rows (2,) of its ends."""
    if len(points) < 2:
        return np.empty((0, 2), dtype=np.int64)
    if groups is not None:
        return _links_between(points, n_neighbors, groups)
    n_neighbors = min(n_neighbors, len(points) - 1)
    nearest = NearestNeighbors(n_neighbors=n_neighbors).fit(points).kneighbors(return_distance=False)
    ends = np.column_stack([np.repeat(np.arange(len(points)), n_neighbors), nearest.ravel()])
    return np.unique(np.sort(ends, axis=1), axis=0)


def _links_between(points: np.ndarray, n_neighbors: int, groups: np.ndarray) -> np.ndarray:
    """Join each point to its nearest neighbours in other groups, as `_links` does."""
    sizes = np.bincount(groups)[groups]
    found = NearestNeighbors().fit(points)
    ends = []
    # A few points at a time, small groups first: for a large group many neighbours are asked for, and memory is finite.
    for rows in np.array_split(np.argsort(sizes, kind="stable"), -(-len(points) // ROWS_AT_ONCE)):
        n_asked = min(n_neighbors + sizes[rows].max(), len(points))  # the point itself and its group drop out
        nearest = found.kneighbors(points[rows], n_asked, return_distance=False)
        other = groups[nearest] != groups[rows, np.newaxis]
        row, column = np.nonzero(other & (other.cumsum(axis=1) <= n_neighbors))
        ends.append(np.column_stack([rows[row], nearest[row, column]]))
    return np.unique(np.sort(np.concatenate(ends), axis=1), axis=0)


def _valley_and_links(points: np.ndarray, links: np.ndarray, centers: np.ndarray) -> tuple[float, float]:
    """Calculate the mean over clusters of their valleys, and sum the links inside over all pairs of clusters."""
    if np.isnan(centers).any():
        return np.nan, np.nan
    border, inside = np.zeros((2, len(centers)))
    for pair, _, t in _lines(points, links, centers):
        across, left, right = (_crossings(t, places) for places in (BORDER, -np.array(INSIDE), INSIDE))
        border[pair] += across
        inside[pair] += min(left, right)
    linked = border + inside > 0
    if not linked.any():
        return np.nan, 0.0
    with np.errstate(divide="ignore"):  # a cluster with links across its borders alone
        valley = 1 - border[linked] / inside[linked]
    return float(np.maximum(valley, SHALLOWEST).mean()), inside.sum() / 2


def _lines(
    points: np.ndarray, links: np.ndarray, centers: np.ndarray
) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Yield for each pair of adjacent clusters their numbers, their links and the places t of the links' ends."""
    products, squares = points @ centers.T, (centers**2).sum(axis=1)
    first, second = np.argsort(squares / 2 - products, axis=1, kind="stable")[:, :2].T
    starts, ends = first[links].T
    for i, j in _adjacent(first, second, len(centers)):
        own = links[((starts == i) | (starts == j)) & ((ends == i) | (ends == j))]
        length = squares[i] + squares[j] - 2 * centers[i] @ centers[j]
        t = (products[:, j] - products[:, i] - (squares[j] - squares[i]) / 2) / length
        yield np.array([i, j]), own, t[own]


def _adjacent(first: np.ndarray, second: np.ndarray, k: int) -> np.ndarray:
    """List the pairs i < j of clusters of which one is the runner-up of enough points of the other, (pairs, 2)."""
    rivals = np.bincount(first * k + second, minlength=k * k).reshape(k, k)
    near = (rivals > 0) & (rivals >= ADJACENT * rivals.sum(axis=1, keepdims=True))
    return np.argwhere(np.triu(near | near.T, 1))


def _crossings(t: np.ndarray, places: Sequence[float]) -> float:
    """Count the links, rows (2,) of `t`, whose ends lie on different sides of a place, on average over places."""
    low, high = np.minimum(*t.T), np.maximum(*t.T)
    return float(np.mean([np.count_nonzero((low < place) & (place <= high)) for place in places]))


@dataclass(frozen=True)
class BorderProfile:
    """The links of two adjacent clusters along the line of their centres, for a picture.

    Attributes
    ----------
    t, aside : ndarray of float64, shape (l, 2)
        Where the two ends of each link lie: along the line, with the border at 0 and the centres at -1/2 and 1/2, and
        across it, in the direction in which the points spread most.
    places, counts : ndarray of float64, shape (q,)
        Places t, and how many links cross each.
    """

    t: np.ndarray
    aside: np.ndarray
    places: np.ndarray
    counts: np.ndarray

    @property
    def valley(self) -> float:
        """The valley of this one border."""
        inside = min(_crossings(self.t, -np.array(INSIDE)), _crossings(self.t, INSIDE))
        return 1 - _crossings(self.t, BORDER) / inside if inside else np.nan


def border_profile(X: np.ndarray, halves: Halves, k: int, *, n_neighbors: int = 10) -> BorderProfile | None:
    """Lay out the links of the two adjacent clusters that have most of them, in the first half at one k.

    It is None where the half is too small for k, or no two clusters have links.

    Parameters
    ----------
    X : array-like, shape (n, p)
        What k-means sees.
    halves : Halves
        From `cluster_halves` with the same X.
    k : int
        One of its k_values.
    n_neighbors : int
    """
    X = check_points(X, dtype=[np.float64, np.float32])
    mean = mean_and_scale(X)[0]
    points = X[halves.rows[0]] - mean
    centers = halves.centers_for(1)[halves.k_values.tolist().index(k)] - mean
    all_links = _links(points, n_neighbors, halves.groups_of(0))
    lines = [] if np.isnan(centers).any() else [line for line in _lines(points, all_links, centers) if len(line[1])]
    if not lines:
        return None
    (i, j), links, t = max(lines, key=lambda line: len(line[1]))
    line = centers[j] - centers[i]
    rest = points[np.unique(links)]
    rest = rest - np.outer(rest @ line, line) / (line @ line)
    widest = np.linalg.svd(rest - rest.mean(axis=0), full_matrices=False)[2][0]
    places = np.linspace(-1, 1, 81)
    counts = np.array([_crossings(t, [place]) for place in places])
    return BorderProfile(t, (points @ widest)[links], places, counts)


# --- clusterings that are found again ---------------------------------------------------------------------------------


def stability(
    X: np.ndarray,
    k_values: Sequence[int],
    *,
    groups: np.ndarray | None = None,
    n_halvings: int = N_HALVINGS,
    random_state: int = 0,
    n_jobs: int | None = None,
    halves: Halves | None = None,
) -> Stability:
    """Compare the clustering of each half with that which the other half draws in it.

    After Ben-Hur, Elisseeff and Guyon (2002), A stability based method for discovering structure in clustered data,
    Pacific Symposium on Biocomputing, 6-17, and Lange, Roth, Braun and Buhmann (2004), Stability-based validation of
    clustering solutions, Neural Computation 16, 1299-1323; the agreement is the adjusted Rand index of Hubert and
    Arabie (1985). Halves share no sample; overlapping subsamples would agree for that reason alone. Prediction strength
    is that of Tibshirani and Walther (2005), Cluster validation by prediction strength, Journal of Computational and
    Graphical Statistics 14, 511-528: the share of pairs of one cluster that the other half, too, puts into one, in the
    cluster in which it is least. A clustering that changes with the sample says nothing about the population; one that
    stays may still be the stable cut of a cloud without clusters.

    Parameters
    ----------
    X : array-like, shape (n, p)
        What k-means sees.
    k_values : sequence of int, length m
    groups, n_halvings, random_state, n_jobs, halves
        As for `link_valleys`.

    Returns
    -------
    Stability

    Raises
    ------
    ValueError
        If X or k_values are refused by `cluster_halves`.

    Examples
    --------
    >>> import numpy as np
    >>> X = np.random.default_rng(0).normal(size=(300, 2)) + np.repeat([[0, 0], [9, 0], [0, 9]], 100, axis=0)
    >>> stability(X, [3, 5]).table()["stability"].gt(0.95).to_dict()
    {3: True, 5: False}
    """
    options = {"groups": groups, "n_halvings": n_halvings, "random_state": random_state, "n_jobs": n_jobs}
    X, halves = _with_halves(X, k_values, halves, **options)
    tasks = [(half,) for half in range(len(halves.rows))]
    runs = run_tasks(_agreement, tasks, shared=(X, halves), n_jobs=n_jobs, desc="stability", unit="half")
    shape = -1, 2, 2, len(halves.k_values)
    ari, strength = np.stack(list(runs)).reshape(shape).mean(axis=1).swapaxes(0, 1)
    return Stability(halves.k_values, ari, strength)


def _agreement(X: np.ndarray, halves: Halves, half: int) -> np.ndarray:
    """Compare the labels of a half by its own centres and by those of the other half (a task).

    Returns
    -------
    ndarray of float64, shape (2, m)
        Adjusted Rand index and prediction strength, for each k.
    """
    points, other = X[halves.rows[half]], halves.other(half)
    values = []
    for own, theirs in zip(halves.centers_for(half), halves.centers_for(other)):
        if np.isnan(own).any() or np.isnan(theirs).any():
            values.append((np.nan, np.nan))
            continue
        labels, drawn = (pairwise_distances_argmin(points, centers) for centers in (own, theirs))
        values.append((adjusted_rand_score(labels, drawn), _prediction_strength(labels, drawn)))
    return np.array(values).T


def _prediction_strength(labels: np.ndarray, drawn: np.ndarray) -> float:
    """Calculate the least share, over clusters of two or more, of pairs that the drawn labels put together, too.

    It is not a number where no cluster has two.
    """
    together = contingency_matrix(labels, drawn)
    sizes = together.sum(axis=1)
    pairs, shared = sizes * (sizes - 1), (together * (together - 1)).sum(axis=1)
    return float((shared[pairs > 0] / pairs[pairs > 0]).min()) if pairs.any() else np.nan
