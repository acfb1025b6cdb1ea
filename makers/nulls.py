"""Silhouette scores of data without clusters, over a grid of sizes: what the page *Your scores* draws behind scores.

python -m makers.nulls       writes book/data/nulls.json; minutes of one core

What such data score depends on the number of rows, on k, and on how the variance is spread over the axes: on the
number of features where all axes have the same, and hardly on it where the first few have most. So there are clouds
with equal variances and clouds whose variances fall off steeply, each drawn in several ways; the features of real
photographs are between them. The scores at sizes between those of the grid are interpolated in the logarithms of n, d
and k; what that costs is measured by leaving out each inner value of an axis in turn.
"""

from __future__ import annotations

import json
from itertools import product

import numpy as np

from helpers.clustering.centring import unit_rows
from helpers.clustering.silhouette import silhouette_estimate, silhouette_samples
from helpers.clustering.sweep import sweep_kmeans
from helpers.core.conventions import ROOT
from helpers.core.files import write_atomically
from helpers.core.fingerprints import library_versions, source_digest
from helpers.core.scheduling import run_tasks
from helpers.criteria.references import MAX_EXACT_SAMPLES, N_ESTIMATE_ROWS
from helpers.parameters import load_parameters
from helpers.study import Study

RESULTS = ROOT / "book" / "data" / "nulls.json"
# How many clouds of each size are drawn. The largest take most of the time and differ least: they are drawn once, and
# have the spread of those before them, which is larger than theirs.
N_SEEDS = {100: 6, 1_000: 4, 10_000: 1}
N_SAMPLES = tuple(N_SEEDS)
N_FEATURES = (2, 4, 8, 16, 64, 256, 1_024)
K_VALUES = (2, 3, 4, 6, 10, 16, 32, 64)
# The variance of axis i is i to the power of minus this.
SPECTRA = {"flat": 0.0, "steep": 1.5}
# A steep normal cloud is between a steep box and steep rows of uneven lengths.
CLOUDS = (
    *(("flat", rows) for rows in ("normal", "uneven", "box", "unit")),
    *(("steep", rows) for rows in ("uneven", "box", "unit")),
)
# Standard deviation of the logarithms of the lengths by which rows are multiplied: that of the lengths of the ImageNet
# sample's rows. With much more, single long rows become clusters, and the score jumps from draw to draw.
UNEVEN = 0.16
# Real features, whose covariance a normal cloud of so many rows has; as the network gives them, and at length 1.
N_REAL = 1_000
REAL = {"ImageNet sample": "imagenet", "solar cells": "default"}
N_DECIMALS = 4


def falling(power: float, n_features: int) -> np.ndarray:
    """Calculate the variances of the axes."""
    return np.arange(1, n_features + 1) ** -power


def draw(rows: str, variances: np.ndarray, n: int, random_state: int) -> np.ndarray:
    """Draw a cloud without clusters.

    Parameters
    ----------
    rows : {'normal', 'uneven', 'box', 'unit'}
        Normal; normal with rows multiplied by lengths that vary; uniform over a box; normal with rows of length 1.
    variances : ndarray, shape (d,)
    n : int
    random_state : int

    Returns
    -------
    ndarray of float32, shape (n, d)
    """
    rng, spread = np.random.default_rng(random_state), np.sqrt(variances).astype(np.float32)
    shape = n, len(spread)
    if rows == "box":
        return spread * rng.random(shape, dtype=np.float32)
    X = spread * rng.standard_normal(shape, dtype=np.float32)
    if rows == "uneven":
        X *= rng.lognormal(0, UNEVEN, (n, 1)).astype(np.float32)
    return unit_rows(X).astype(np.float32) if rows == "unit" else X


def scores(rows: str, variances: np.ndarray, n: int, random_state: int) -> np.ndarray:
    """Cluster a cloud at each k and score it, float64, shape (m,) (a task)."""
    X = draw(rows, variances, n, random_state)
    # Each k by itself, as somebody fits it who prints a score for each.
    fits = [sweep_kmeans(X, [k], n_init=1, random_state=random_state) for k in K_VALUES]
    labels = np.concatenate([fit.labels for fit in fits])
    if n <= MAX_EXACT_SAMPLES:
        return silhouette_samples(X, labels).mean(axis=1)
    estimates = silhouette_estimate(X, labels, n_rows=N_ESTIMATE_ROWS, random_state=random_state)
    return np.array([estimate.mean for estimate in estimates])


def real_variances(file: str, normalize: str) -> np.ndarray:
    """Calculate the variances of the features of a study along their principal axes."""
    params = load_parameters(ROOT / "params" / f"{file}.yml", normalize=normalize)
    X = Study(params).features.astype(np.float64)
    return np.linalg.svd(X - X.mean(axis=0), compute_uv=False) ** 2 / len(X)


def effective(variances: np.ndarray) -> float:
    """Calculate how many equal variances would be as concentrated (the participation ratio)."""
    return float(variances.sum() ** 2 / (variances**2).sum())


def left_out(values: np.ndarray, axis: int, places: tuple[int, ...]) -> np.ndarray:
    """Subtract from the inner values of an axis what their neighbours give by interpolation in its logarithm."""
    values, x = np.moveaxis(values, axis, -1), np.log(places)
    weight = (x[1:-1] - x[:-2]) / (x[2:] - x[:-2])
    return values[..., 1:-1] - (1 - weight) * values[..., :-2] - weight * values[..., 2:]


def interpolation_error(grid: np.ndarray) -> dict[str, dict]:
    """Measure the error of leaving out one value of an axis, for the mean scores (clouds, n, d, k).

    The root mean square is that at each inner value; since the gap is then twice as wide, interpolating in the whole
    grid is off by less.
    """
    axes = {"n": N_SAMPLES, "n_features": N_FEATURES, "k": K_VALUES}
    found = {name: left_out(grid, number, places) for number, (name, places) in enumerate(axes.items(), start=1)}
    return {
        name: {
            "root mean square": rounded(np.sqrt(np.mean(off**2, axis=(0, 1, 2)))),
            "largest": rounded(np.abs(off).max()),
        }
        for name, off in found.items()
    }


def rounded(values: np.ndarray) -> list:
    """Round to what is stored."""
    return np.round(values, N_DECIMALS).tolist()


def run_clouds(clouds: list[tuple[str, np.ndarray]], n: int) -> np.ndarray:
    """Score clouds of n rows, with a progress bar: (clouds, seeds, k)."""
    tasks = [(rows, variances, n, seed) for rows, variances in clouds for seed in range(N_SEEDS[n])]
    runs = list(run_tasks(scores, tasks, n_jobs=1, desc=f"{n:,} rows", unit="cloud"))
    return np.reshape(runs, (len(clouds), N_SEEDS[n], -1))


def grid_of(runs: list[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Summarise the scores (clouds x d, seeds, k) for each n by mean and spread over seeds, each (clouds, n, d, k)."""
    means = [part.mean(axis=1) for part in runs]
    spreads: list[np.ndarray] = []
    for part in runs:
        spreads.append(part.std(axis=1, ddof=1) if part.shape[1] > 1 else spreads[-1])
    shape = len(CLOUDS), len(N_FEATURES), len(K_VALUES)
    mean, spread = (np.stack([part.reshape(shape) for part in parts], axis=1) for parts in (means, spreads))
    return mean, spread


def measure() -> dict:
    """Measure all clouds."""
    drawn = [(rows, falling(SPECTRA[spectrum], d)) for (spectrum, rows), d in product(CLOUDS, N_FEATURES)]
    mean, spread = grid_of([run_clouds(drawn, n) for n in N_SAMPLES])
    real = list(product(REAL, ("none", "unit")))
    spectra = [real_variances(REAL[name], normalize) for name, normalize in real]
    shaped = run_clouds([("normal", variances) for variances in spectra], N_REAL).mean(axis=1)
    return {
        "n": N_SAMPLES,
        "n_features": N_FEATURES,
        "k": K_VALUES,
        "clouds": [
            {"spectrum": spectrum, "rows": rows, "score": rounded(mean[number]), "spread": rounded(spread[number])}
            for number, (spectrum, rows) in enumerate(CLOUDS)
        ],
        "n_real": N_REAL,
        "real": [
            {
                "name": name,
                "unit": normalize == "unit",
                "effective": round(effective(variances), 1),
                "score": rounded(shaped[number]),
            }
            for number, ((name, normalize), variances) in enumerate(zip(real, spectra))
        ],
        "error": interpolation_error(mean),
    }


def example() -> dict[str, str]:
    """Cluster scikit-learn's digits, and print their table as pandas writes it to a file."""
    study = Study(load_parameters(ROOT / "params" / "digits.yml"))
    columns = ["score", "positive", "negative", "mean_positive", "mean_negative"]
    table = study.table[columns].assign(inertia=study.sweep.inertia).round(N_DECIMALS)
    n, d = study.features.shape
    return {"text": table.to_csv(), "n": str(n), "n_features": str(d), "rows": "unit"}


def main() -> None:
    """Measure, and write the file that the page reads, with what it came from."""
    provenance = {
        "command": "python -m makers.nulls",
        "settings": {"clouds of each size": N_SEEDS, "n_init": 1, "spectra": SPECTRA, "uneven": UNEVEN},
        "helpers, SHA-256": source_digest(sweep_kmeans.__module__),
        "versions": library_versions(),
    }
    text = json.dumps({"provenance": provenance, "example": example(), **measure()}) + "\n"
    write_atomically(RESULTS, lambda file: file.write(text.encode()))


if __name__ == "__main__":
    main()
