"""What is asked on the worksheet, and what comes out: the expected answers of its key."""

from __future__ import annotations

import pandas as pd

from ..clustering.reduction import fit_pca, normalize_features
from ..clustering.silhouette import silhouette_samples
from ..clustering.sweep import sweep_kmeans
from ..criteria.curves import find_elbow
from ..criteria.table import scored_rows
from ..study import Study

# What a key says of each answer, and in which form.
ANSWERS = {
    "elbow": ("elbow, with all values of k", ".0f"),
    "early_elbow": ("elbow, with half of them", ".0f"),
    "score_k": ("k of the largest score", ".0f"),
    "score": ("the largest score", ".3f"),
    "floor": ("largest score of data without clusters, at that k", ".3f"),
    "positive_k": ("k of the most positive samples", ".0f"),
    "positive": ("share of positive samples there", ".1%"),
    "first_score": ("score at the smallest k", ".3f"),
    "first_score_otherwise": ("the same with rows as the network gives them", ".3f"),
    "valley_k": ("k of the deepest valley", ".0f"),
    "valley": ("the deepest valley", ".2f"),
    "n_clusters": ("k of the verdict", ".0f"),
}


def worksheet_answers(study: Study) -> pd.Series:
    """Compute the answers to the worksheet's questions about one collection.

    Parameters
    ----------
    study : Study

    Returns
    -------
    Series of float
        By the names in `ANSWERS`; missing where there is none, as of an elbow that Kneedle does not find.

    Examples
    --------
    >>> import tempfile
    >>> from helpers.pages.worksheet import worksheet_answers
    >>> from helpers.parameters import Parameters
    >>> from helpers.study import Study
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     answers = worksheet_answers(Study(Parameters(dataset="synthetic:blobs", k_max=7, cache_dir=folder)))
    >>> int(answers["n_clusters"])
    5
    """
    criteria, preferred = study.criteria, study.verdict.preferred
    scored, valley = scored_rows(criteria), criteria["valley"]
    best, most = preferred["score"], preferred["positive"]
    k_values = study.k_values
    half = len(k_values) // 2 + 1
    deepest = None if valley.isna().all() else int(valley.idxmax())
    return pd.Series(
        {
            "elbow": preferred["elbow"],
            "early_elbow": find_elbow(k_values[:half], study.sweep.inertia[:half]),
            "score_k": best,
            "score": scored["score"].get(best),
            "floor": scored["null_score_high"].get(best),
            "positive_k": most,
            "positive": scored["positive"].get(most),
            "first_score": scored["score"].get(k_values[0]),
            "first_score_otherwise": _first_score_otherwise(study),
            "valley_k": deepest,
            "valley": valley.max(),
            "n_clusters": study.verdict.n_clusters,
        },
        dtype=float,
    )


def _first_score_otherwise(study: Study) -> float:
    """Compute the score at the smallest k with rows as they are, or of length 1 where they are as they are already."""
    params, features = study.params, study.embeddings.features
    rows = normalize_features(features, "unit" if params.normalize == "none" else "none")
    points = fit_pca(rows, params.n_components).points
    sweep = sweep_kmeans(points, study.k_values[:1], n_init=params.n_init, random_state=params.random_state)
    return float(silhouette_samples(rows, sweep.labels, metric=params.metric).mean())
