"""scikit-learn's own tests of silhouettes, run with our function in the place of its own.

Three tests in its module cannot apply: those of Calinski-Harabasz and of Davies-Bouldin test other functions, and
`test_silhouette_reduce` tests a private function of scikit-learn that ours does not have.
"""

from __future__ import annotations

import inspect
import itertools

import numpy as np
import pytest
from sklearn.utils import check_random_state, check_X_y

from helpers.clustering.silhouette import silhouette_samples

theirs = pytest.importorskip(
    "sklearn.metrics.cluster.tests.test_unsupervised", reason="this scikit-learn ships without its tests"
)
NOT_OURS = {
    "test_calinski_harabasz_score": "another criterion",
    "test_davies_bouldin_score": "another criterion",
    "test_silhouette_reduce": "a private function of scikit-learn",
}
TESTS = {name: test for name, test in vars(theirs).items() if name.startswith("test_") and callable(test)}


def mean_silhouette(X, labels, *, metric="euclidean", sample_size=None, random_state=None, **kwds):
    """scikit-learn's silhouette_score over our silhouettes: it draws the rows, we score them."""
    if sample_size is not None:
        X, labels = check_X_y(X, labels, accept_sparse=["csc", "csr"])
        rows = check_random_state(random_state).permutation(X.shape[0])[:sample_size]
        X, labels = (X[rows].T[rows].T if metric == "precomputed" else X[rows]), labels[rows]
    return float(np.mean(silhouette_samples(X, labels, metric=metric, **kwds)))


def arguments(test) -> list[dict]:
    """The arguments that the marks of a test give it, one set for each run."""
    sets = []
    for mark in getattr(test, "pytestmark", []):
        if mark.name == "parametrize":
            names = [name.strip() for name in mark.args[0].split(",")]
            values = [value if len(names) > 1 else (value,) for value in mark.args[1]]
            sets.append([dict(zip(names, value)) for value in values])
    return [{name: value for part in parts for name, value in part.items()} for parts in itertools.product(*sets)]


RUNS = [(name, each) for name in TESTS.keys() - NOT_OURS.keys() for each in arguments(TESTS[name])]
RUNS.sort(key=lambda run: (run[0], str(run[1])))


@pytest.mark.parametrize(("name", "given"), RUNS, ids=[f"{name}-{number}" for number, (name, _) in enumerate(RUNS)])
def test_of_scikit_learn(name, given, monkeypatch):
    monkeypatch.setattr(theirs, "silhouette_samples", silhouette_samples)
    monkeypatch.setattr(theirs, "silhouette_score", mean_silhouette)
    assert "silhouette" in inspect.getsource(TESTS[name])
    TESTS[name](**given)


def test_all_that_apply_are_run():
    """Whatever test of silhouettes scikit-learn adds is run or refused by name here."""
    assert NOT_OURS.keys() <= TESTS.keys()
    assert {name for name, _ in RUNS} >= {"test_silhouette", "test_cluster_size_1", "test_silhouette_nonzero_diag"}
    assert len(RUNS) >= 30
