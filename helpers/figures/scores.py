"""The page for pasted scores: what they say beside those of data without clusters, and what no score says.

It reads and compares in the page, since what is pasted is not to leave it. `tests/figures/test_scores_browser` compares
its arithmetic with that of the helpers.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .frame import fill_in
from .plots import GAIN, LOSS, OTHER

SCORES_TITLE = "Paste your scores"
# As scikit-learn's example of silhouette analysis prints them.
SKLEARN_EXAMPLE = """\
For n_clusters = 2 The average silhouette_score is : 0.7049787496083262
For n_clusters = 3 The average silhouette_score is : 0.5882004012129721
For n_clusters = 4 The average silhouette_score is : 0.6505186632729437
For n_clusters = 5 The average silhouette_score is : 0.561464362648773
For n_clusters = 6 The average silhouette_score is : 0.4857596147013469
"""


def build_scores_page(nulls: Mapping[str, Any], question: Mapping[int, float]) -> str:
    """Write the page for pasted scores as one page of HTML that asks for nothing else.

    Parameters
    ----------
    nulls : mapping
        What `makers.nulls` stored: scores of data without clusters, and a table that serves as an example.
    question : mapping of int to float
        The score at each k in the question that the book began with, at which the page opens.

    Returns
    -------
    str
        The page.
    """
    lines = (f"Cluster : {k} | Silhouette score : {score!r}\n" for k, score in question.items())
    examples = {
        "question": {"title": "the question", "text": "".join(lines)},
        "scikit-learn": {
            "title": "scikit-learn's",
            "text": SKLEARN_EXAMPLE,
            "n": "500",
            "n_features": "2",
            "rows": "raw",
        },
        "digits": {"title": "digits, with inertia and samples"} | nulls["example"],
    }
    shown = {name: nulls[name] for name in ("n", "n_features", "k", "clouds", "n_real", "real", "error")}
    return fill_in(
        Path(__file__).with_suffix(".html"),
        SCORES_TITLE,
        {"nulls": shown, "examples": examples, "signs": [LOSS, GAIN, OTHER]},
    )
