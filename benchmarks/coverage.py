"""How honest the standard errors are: of estimates from sampled rows, and of the table of exact silhouettes.

python -m benchmarks.coverage

Estimates: how often mean +- 1.96 standard errors holds the exact score, over samples of rows; the bias in standard
errors; and the coverage of the clusters' own means. Table: the spread of the score over new samples from the same
distribution, over the standard error that `silhouette_table` gives.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from sklearn.datasets import make_blobs

from helpers.clustering.silhouette import silhouette_estimate, silhouette_samples, silhouette_table

from .timing import show


def designs() -> Iterator[tuple[str, np.ndarray, np.ndarray]]:
    """Name, points and labels: clusters as large as each other or not, and with far members."""
    for name, sizes in (
        ("balanced", [400] * 5),
        ("1,500, 490 and 10", [1500, 490, 10]),
        ("a cluster of 2 and one of 1", [1200, 797, 2, 1]),
        ("30 small and a large one", [1400] + [20] * 30),
    ):
        yield name, *make_blobs(n_samples=sizes, n_features=5, cluster_std=3.0, random_state=0)
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 4, 2000)
    yield "heavy tails", rng.standard_t(1.5, size=(2000, 5)) + 3 * np.eye(5)[labels], labels


def estimate_coverage(points: np.ndarray, labels: np.ndarray, n_rows: int, repeats: int) -> dict[str, float]:
    """Coverage of the score and of the clusters' means at 1.96 standard errors, and the bias of the score."""
    exact = silhouette_samples(points, labels)
    clusters = np.unique(labels)
    exact_means = np.array([exact[labels == cluster].mean() for cluster in clusters])
    estimates = [silhouette_estimate(points, labels, n_rows=n_rows, random_state=seed)[0] for seed in range(repeats)]
    means, errors = np.array([(estimate.mean, estimate.standard_error) for estimate in estimates]).T
    cluster_hits = [abs(e.cluster_means - exact_means) <= 1.96 * e.cluster_errors + 1e-6 for e in estimates]
    return {
        "coverage": float((abs(means - exact.mean()) <= 1.96 * errors).mean()),
        "error / spread": float(errors.mean() / means.std(ddof=1)),
        "bias / error": float((means.mean() - exact.mean()) / errors.mean()),
        "clusters' coverage": float(np.mean(cluster_hits)),
        "worst cluster's": float(np.mean(cluster_hits, axis=0).min()),
    }


def table_honesty(n_clusters: int, n_samples: int, n_features: int, width: float, repeats: int) -> dict[str, float]:
    """Spread of score and macro over new samples of one mixture, over the mean of their standard errors."""
    rng = np.random.default_rng(0)
    centers = rng.normal(size=(n_clusters, n_features))
    rows = []
    for _ in range(repeats):
        points = centers[rng.integers(0, n_clusters, n_samples)] + width * rng.normal(size=(n_samples, n_features))
        labels = ((points[:, np.newaxis] - centers) ** 2).sum(axis=2).argmin(axis=1)
        rows.append(silhouette_table(silhouette_samples(points, labels), labels).iloc[0])
    columns = {name: np.array([row[name] for row in rows], dtype=float) for name in rows[0].index}
    return {
        "score": columns["score"].std(ddof=1) / columns["standard_error"].mean(),
        "macro": columns["macro"].std(ddof=1) / columns["macro_error"].mean(),
    }


if __name__ == "__main__":
    for n_rows in (50, 200):
        print(f"estimates from {n_rows} rows of about 2,000, 400 repeats")
        show([{"design": name} | estimate_coverage(X, y, n_rows, 400) for name, X, y in designs()])
    print("spread of the score over new samples, in standard errors of the table, 400 repeats")
    settings = [(k, n, d, w) for k in (3, 10) for n in (300, 1000) for d, w in ((2, 0.3), (20, 1.0))]
    names = ("clusters", "samples", "features", "width")
    show([dict(zip(names, setting)) | table_honesty(*setting, 400) for setting in settings])
