"""The answer of each combination, and how much each choice moves it."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations as pairs_of
from typing import Any

import numpy as np
import pandas as pd
from sklearn.metrics import adjusted_rand_score

from ..clustering.sweep import count_distinct
from ..core.cache import cached
from ..core.conventions import ParameterError, resolve_path
from ..core.fingerprints import digest
from ..core.scheduling import SchedulerError, run_tasks
from ..criteria.rule import convenient_k, decide
from ..images.collection import ImageSet
from ..images.datasets import load_images
from ..images.embeddings import Embeddings
from ..images.registry import find_dataset
from ..parameters import Parameters
from ..study import Study
from .combinations import Combination

# Clusterings of different images are compared on those that both have, if these are not fewer.
FEWEST_IN_COMMON = 20
_OF_NETWORK = ("backbone", "weights", "precision")
_OF_COLLECTION = ("dataset", "pictures", "groups", "copies")
_OF_IMAGES = {*_OF_COLLECTION, *_OF_NETWORK, "n_images", "random_state", "cache_dir"}
_OF_ANSWER = ("normalize", "n_components", "metric", "n_init", "algorithm", "random_state")


@dataclass(frozen=True)
class Answer:
    """The answer of a study.

    Attributes
    ----------
    n_clusters : int or None
        The k that the rule names, see `helpers.criteria.rule.decide`; None for "no clear k".
    levels : list of int
        The k that count.
    convenience : int
        The k that is named, or else the convenient one; what follows is of its clustering.
    score, valley, positive : float
        Its silhouette score, its valley and its share of positive samples.
    labels : ndarray of int32, shape (n,)
        Its clusters.
    seconds : float
        How long it took, with what was stored then.
    """

    n_clusters: int | None
    levels: list[int]
    convenience: int
    score: float
    valley: float
    positive: float
    labels: np.ndarray
    seconds: float


@dataclass(frozen=True)
class Rows:
    """The features of some images, as one network gives them.

    Attributes
    ----------
    features : ndarray of float32, shape (n, d)
    groups : ndarray of int64, shape (n,), or None
    images : ndarray of uint64, shape (n,)
        A number made of the content of each image.
    fingerprint : str
        That of the collection.
    """

    features: np.ndarray
    groups: np.ndarray | None
    images: np.ndarray
    fingerprint: str


@dataclass(frozen=True)
class Comparison:
    """The answers of several combinations.

    Attributes
    ----------
    answered : list of (Combination, Rows, Answer)
        In the order of their answers: by the k that is named, none first, and then by the valley.
    failed : list of (Combination, str)
        Those without an answer, with the sentence that says why.
    """

    answered: list[tuple[Combination, Rows, Answer]]
    failed: list[tuple[Combination, str]]

    @property
    def choices(self) -> pd.DataFrame:
        """What was chosen, as texts: a row for each answer, in order, and a column for each choice."""
        return pd.DataFrame([combination.choices for combination, _, _ in self.answered], dtype=object)

    @property
    def answers(self) -> pd.DataFrame:
        """Tabulate the answers.

        A row for each, in the order of `answered`: ``n_clusters``, missing where none is named; the lists ``levels``;
        ``convenience``, ``score``, ``valley`` and ``positive``; the number of ``images``, the fingerprint of their
        collection in ``data``, and ``seconds``.
        """
        rows = [
            {
                "n_clusters": answer.n_clusters,
                **{name: getattr(answer, name) for name in ("levels", "convenience", "score", "valley", "positive")},
                "images": len(rows.features),
                "data": rows.fingerprint[:16],
                "seconds": answer.seconds,
            }
            for _, rows, answer in self.answered
        ]
        return pd.DataFrame(rows, columns=_COLUMNS).astype({"n_clusters": "Int64"})


_COLUMNS = ["n_clusters", "levels", "convenience", "score", "valley", "positive", "images", "data", "seconds"]


def compare(combinations: Sequence[Combination], *, within: Study | None = None) -> Comparison:
    """Compute the answer of each combination, several at once; what is stored is not computed again.

    Images are opened and embedded once for all combinations that share them.

    Parameters
    ----------
    combinations : sequence of Combination
    within : Study, optional
        Take the images of combinations of its data set from those of this study, instead of opening them, and where the
        network is the same its features, too.

    Returns
    -------
    Comparison

    Raises
    ------
    SchedulerError
        If the cluster is lost.
    CollectionError
        If an image changes meanwhile, or cannot be fetched.

    Examples
    --------
    >>> import tempfile
    >>> from helpers.comparing.answers import compare
    >>> from helpers.comparing.combinations import combine
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     base = {"dataset": "synthetic:blobs", "n_images": 120, "n_components": 5, "k_max": 7, "cache_dir": folder}
    ...     comparison = compare(combine({"": base}, {"normalize": ["none", "standard"]}))
    >>> comparison.answers["n_clusters"].tolist()
    [5, 5]
    """
    rows, outcomes = _open_all(combinations, within)
    at_work = [number for number, outcome in enumerate(outcomes) if isinstance(outcome, Rows)]
    position = {id(one): place for place, one in enumerate(rows)}
    arguments = [
        (position[id(outcomes[number])], _values(combinations[number].params), _cache_of(combinations[number].params))
        for number in at_work
    ]
    shared = ([(one.features, one.groups, isinstance(one.features, np.memmap)) for one in rows],)
    results = run_tasks(_answer_of, arguments, shared=shared, desc="combinations", unit="combination")
    found = dict(zip(at_work, results))
    answered, failed = [], []
    for number, combination in enumerate(combinations):
        result = found.get(number, outcomes[number])
        if isinstance(result, str):
            failed.append((combination, result))
        else:
            answered.append((combination, outcomes[number], result))
    return Comparison(sorted(answered, key=_place), failed)


def _place(row: tuple[Combination, Rows, Answer]) -> tuple[float, float]:
    _, _, answer = row
    return answer.n_clusters or 0, -np.inf if np.isnan(answer.valley) else answer.valley


def _values(params: Parameters) -> dict[str, Any]:
    return {"k_values": params.tried_k, **{name: getattr(params, name) for name in _OF_ANSWER}}


def _cache_of(params: Parameters) -> str:
    """Write the whole path of the cache, since a worker's repository may be elsewhere."""
    return str(resolve_path(params.cache_dir))


# --- images -----------------------------------------------------------------------------------------------------------


def _open_all(combinations: Sequence[Combination], within: Study | None) -> tuple[list[Rows], list[Rows | str]]:
    """Open and embed all images that the combinations name, and give each its rows, or the sentence that refuses it."""
    wholes: dict[tuple, ImageSet] = {}
    opened: dict[Parameters, Rows | str] = {}
    outcomes: list[Rows | str] = []
    for combination in combinations:
        params = combination.params
        try:
            source = _source_of(params)
            if source not in opened:
                opened[source] = _or_sentence(_open, source, wholes, within)
            outcomes.append(_or_sentence(_check_rows, opened[source], params))
        except ParameterError as error:  # an unknown data set
            outcomes.append(str(error))
    return [one for one in opened.values() if isinstance(one, Rows)], outcomes


def _or_sentence(function: Any, *args: Any) -> Any:
    """Call a function, and return the sentence of what it refuses; a cluster that is lost is no fault of its."""
    try:
        return function(*args)
    except SchedulerError:
        raise
    except ParameterError as error:
        return str(error)


def _source_of(params: Parameters) -> Parameters:
    """Take the parameters on which the features depend, equal for all combinations that have them in common."""
    kind = find_dataset(params.dataset)
    chosen = _OF_IMAGES if kind.drawn or params.n_images is not None else _OF_IMAGES - {"random_state"}
    return Parameters(**params.model_dump(include=chosen))


def _check_rows(rows: Rows | str, params: Parameters) -> Rows | str:
    if isinstance(rows, Rows):
        params.check_images(len(rows.features), count_distinct(rows.features, params.tried_k[-1]))
    return rows


def _open(source: Parameters, wholes: dict[tuple, ImageSet], within: Study | None) -> Rows:
    """Open and embed images; `wholes` keeps whole data sets, of which others may take a sample."""
    study = Study(source)
    inside = within is not None and _agree(within.params, source, _OF_COLLECTION)
    study.draw_from(within.images if inside else _whole(source, wholes))
    if inside and _agree(within.params, source, _OF_NETWORK):
        study.embeddings = _features_within(study.images, within)
    images, kept = study.images, study.embeddings.kept
    contents = np.array([_number(images.contents[i]) for i in kept], dtype=np.uint64)
    return Rows(study.embeddings.features, study.groups, contents, images.fingerprint)


def _agree(one: Parameters, other: Parameters, names: Sequence[str]) -> bool:
    return all(getattr(one, name) == getattr(other, name) for name in names)


def _whole(source: Parameters, wholes: dict[tuple, ImageSet]) -> ImageSet:
    seed = source.random_state if find_dataset(source.dataset).drawn else 0
    key = source.dataset, source.pictures, seed
    if key not in wholes:
        wholes[key] = load_images(source.dataset, pictures=source.pictures, random_state=seed)
    return wholes[key]


def _features_within(images: ImageSet, within: Study) -> Embeddings:
    """Take the features of images from a study that has them."""
    of_all = within.embeddings
    row_of = {within.images.contents[i]: row for row, i in enumerate(of_all.kept)}
    rows = [row_of.get(content) for content in images.contents]
    kept = [i for i, row in enumerate(rows) if row is not None]
    return Embeddings(of_all.features[[rows[i] for i in kept]], np.array(kept, dtype=np.int64), [])


def _number(content: str) -> int:
    return int(digest(content)[:16], 16)


# --- answers ----------------------------------------------------------------------------------------------------------


def _answer_of(data: Sequence[tuple], place: int, values: dict[str, Any], cache_dir: str) -> Answer | str:
    features, groups, in_file = data[place]
    if isinstance(features, np.memmap) and not in_file:
        features = np.array(features)  # mapped for this worker alone, and features in a file are reduced in another way
    return _or_sentence(_stored_answer, features, groups, values, cache_dir)


def _stored_answer(features: np.ndarray, groups: np.ndarray | None, values: dict[str, Any], cache_dir: str) -> Answer:
    return cached(find_answer, features, groups, values, cache_dir=cache_dir, unkeyed={"cache_dir": cache_dir})


def find_answer(
    features: np.ndarray, groups: np.ndarray | None, values: Mapping[str, Any], cache_dir: str = "_build/cache"
) -> Answer:
    """Find the answer for some features: that of `Study.verdict`, without the criteria that have no vote.

    Parameters
    ----------
    features : ndarray of float32, shape (n, d)
    groups : ndarray of int64, shape (n,), or None
    values : mapping
        The other arguments of `Study.of_features`.
    cache_dir : path
    """
    began = time.monotonic()
    study = Study.of_features(features, groups=groups, cache_dir=cache_dir, **values)
    decision, table = decide(study.valleys), study.table
    if decision.usual is None:  # the convenient k is then the one farthest beyond its null
        table = table.assign(null_score=study.nulls.table()["score"].groupby(level="n_clusters").max())
    k = decision.n_clusters or convenient_k(table, decision)
    return Answer(
        decision.n_clusters,
        decision.levels.index.tolist(),
        k,
        float(table.loc[k, "score"]),
        float(decision.valleys.loc[k, "valley"]),
        float(table.loc[k, "positive"]),
        study.labels_at(k),
        time.monotonic() - began,
    )


# --- what moves them --------------------------------------------------------------------------------------------------


def cluster_agreement(first: tuple[Rows, Answer], second: tuple[Rows, Answer]) -> float:
    """Compare two clusterings by the adjusted Rand index, each at its own k, on the images that both have.

    Copies of an image count once where the images are not the same. NaN if there are fewer in common than
    `FEWEST_IN_COMMON`.
    """
    (ours, own), (theirs, other) = first, second
    if np.array_equal(ours.images, theirs.images):
        return float(adjusted_rand_score(own.labels, other.labels))
    common, own_rows, other_rows = np.intersect1d(ours.images, theirs.images, return_indices=True)
    if len(common) < FEWEST_IN_COMMON:
        return np.nan
    return float(adjusted_rand_score(own.labels[own_rows], other.labels[other_rows]))


def matched_pairs(comparison: Comparison, choice: str) -> Iterator[tuple[int, int]]:
    """Yield the numbers of answers that differ in one choice alone, in pairs."""
    alike: dict[tuple, list[int]] = {}
    for number, (combination, _, _) in enumerate(comparison.answered):
        others = tuple((name, value) for name, value in combination.choices.items() if name != choice)
        alike.setdefault(others, []).append(number)
    for numbers in alike.values():
        yield from pairs_of(numbers, 2)


def moves(comparison: Comparison) -> pd.DataFrame:
    """Measure how much each choice moves the answer, from the pairs of combinations that differ in it alone.

    Returns
    -------
    DataFrame
        Indexed by ``choice``, those first that move the clusters most: the number of ``pairs``; the share of them with
        the ``same_answer``, which may be that none is named; and the mean ``agreement`` of their clusters, over the
        pairs of which it can be told.
    """
    rows = {}
    for choice in comparison.choices.columns:
        pairs = [
            [comparison.answered[number][1:] for number in pair] for pair in matched_pairs(comparison, str(choice))
        ]
        if pairs:
            same = [first[1].n_clusters == second[1].n_clusters for first, second in pairs]
            agreements = pd.Series([cluster_agreement(first, second) for first, second in pairs])
            rows[choice] = {"pairs": len(pairs), "same_answer": np.mean(same), "agreement": agreements.mean()}
    table = pd.DataFrame.from_dict(rows, orient="index", columns=["pairs", "same_answer", "agreement"])
    return table.astype({"pairs": int}).rename_axis("choice").sort_values("agreement", kind="stable")
