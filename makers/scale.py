"""What a cluster gives, and what a million images and more cost: scaling, exactness, traffic, and a model of the cost.

python -m makers.scale                     everything; writes book/data/scale.json; half an hour on two processors
python -m makers.scale scaling embedding   these parts again, of sizes, scaling, errors, embedding and batches

Each figure is of this machine, with one thread a worker. The model says: exact silhouettes cost n^2, estimates and
closed forms n, and embeddings n; its constants are fitted on the smaller sizes and compared with the largest.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import time
from collections import deque
from collections.abc import Callable
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import psutil

from benchmarks.silhouettes import K_VALUES, points_and_labels
from benchmarks.timing import describe_blas, median_seconds, show
from helpers.clustering.distances import _blocks
from helpers.clustering.silhouette import SilhouetteEstimate, silhouette_estimate, silhouette_samples
from helpers.clustering.sweep import KMeansSweep, sweep_kmeans
from helpers.core import scheduling
from helpers.core.conventions import ROOT
from helpers.core.files import mapped_array
from helpers.core.fingerprints import library_versions
from helpers.core.scheduling import local_cluster, use_scheduler
from helpers.images.datasets import load_images
from helpers.images.embeddings import embed_images

RESULTS = ROOT / "book" / "data" / "scale.json"
D, N_LABELINGS, N_CLUSTERS, N_ROWS = 50, len(K_VALUES), sum(K_VALUES), 1000
EXACT = (10_000, 20_000, 30_000, 50_000, 1_000_000)
LINEAR = (10_000, 50_000, 100_000, 300_000, 1_000_000)
HELD_OUT = 1  # so many of the largest sizes the model is not fitted on
ROWS = (100, 400, 1_600)


@contextmanager
def workers(n_workers: int):
    """Start a cluster of processes with one thread each, and use it; for one, this process alone, as joblib has it."""
    with tempfile.TemporaryDirectory() as folder:
        if n_workers == 1:
            yield []
            return
        with local_cluster(n_workers) as cluster:
            use_scheduler(cluster.scheduler_address, cache_dir=folder)
            try:
                yield [nanny.pid for nanny in cluster.workers.values()]
            finally:
                use_scheduler("")


def alone(function: Callable[[], object]) -> object:
    """Call a function with its tasks one after the other, in this process."""
    from joblib import parallel_config

    with parallel_config(backend="sequential"):
        return function()


def timed(function: Callable[[], object], n_workers: int, repeats: int) -> dict:
    """Measure the median seconds of a call, and the largest memory of a worker beyond what it had.

    In MiB, without mapped files.
    """
    with workers(n_workers) as pids:
        list(scheduling.run_tasks(_warm, [(i,) for i in range(8)]))
        peak = Peak(pids or [psutil.Process().pid])
        seconds = median_seconds(function if pids else lambda: alone(function), repeats)
        return {"seconds": seconds, "MiB a worker": peak.stop()}


def _warm(i: int) -> int:
    import helpers.clustering.silhouette  # noqa: F401

    return i


class Peak:
    """The largest memory of any of some processes beyond what it had, looked at ten times a second, without files."""

    def __init__(self, pids: list[int]) -> None:
        from threading import Event, Thread

        self.processes = [psutil.Process(pid) for pid in pids]
        self.before = [self._private(process) for process in self.processes]
        self.largest, self.ended = 0.0, Event()
        self.thread = Thread(target=self._watch, daemon=True)
        self.thread.start()

    @staticmethod
    def _private(process: psutil.Process) -> int:
        memory = process.memory_info()
        return memory.rss - memory.shared

    def _watch(self) -> None:
        while not self.ended.wait(0.1):
            for process, before in zip(self.processes, self.before):
                self.largest = max(self.largest, (self._private(process) - before) / 2**20)

    def stop(self) -> float:
        self.ended.set()
        self.thread.join()
        return self.largest


def methods(X: np.ndarray, labels: np.ndarray) -> dict[str, Callable[[], object]]:
    """List the three ways to silhouettes."""
    return {
        "exact": lambda: silhouette_samples(X, labels),
        "estimate": lambda: silhouette_estimate(X, labels, n_rows=N_ROWS),
        "closed form": lambda: silhouette_samples(X, labels, metric="sqeuclidean"),
    }


def sizes() -> list[dict]:
    """Measure seconds and memory of each way at each size, on two workers."""
    rows = []
    for n in sorted({*EXACT, *LINEAR}):
        scores = None
        for way, function in methods(*points_and_labels(n, D)).items():
            if n in (EXACT if way == "exact" else LINEAR):
                found: deque = deque(maxlen=1)
                cost = timed(lambda call=function, found=found: found.append(call()), 2, 3 if n <= 50_000 else 1)
                rows.append({"way": way, "n": n, "workers": 2} | cost)
                if way == "exact":
                    scores = found[0].mean(axis=1)
                elif way == "estimate" and scores is not None:
                    rows[-1] |= deviation([found[0]], scores)
                show(rows[-1:])
    return rows


def deviation(repeats: list[list[SilhouetteEstimate]], scores: np.ndarray) -> dict:
    """Compare the error of estimates, over repeats and labelings, with the error that they state."""
    means = np.array([[estimate.mean for estimate in repeat] for repeat in repeats])
    stated = np.mean([[estimate.standard_error for estimate in repeat] for repeat in repeats])
    return {"error": float(np.sqrt(np.mean((means - scores) ** 2))), "stated": float(stated)}


def scaling() -> list[dict]:
    """Measure strong scaling, one size on one and two workers, and weak scaling, twice the work on two."""
    rows = []
    for n_workers, n, kind in ((1, 40_000, "both"), (2, 40_000, "strong"), (2, 56_569, "weak")):
        exact = methods(*points_and_labels(n, D))["exact"]
        rows.append({"scaling": kind, "workers": n_workers, "n": n} | timed(exact, n_workers, 5))
    return rows


def errors() -> list[dict]:
    """Measure how far estimates of more and more rows are off."""
    X, labels = points_and_labels(20_000, D)
    exact = silhouette_samples(X, labels).mean(axis=1)
    rows = []
    for n_rows in ROWS:
        repeats = [silhouette_estimate(X, labels, n_rows=n_rows, random_state=seed) for seed in range(10)]
        rows.append({"rows": n_rows} | deviation(repeats, exact))
    return rows


# --- bytes through the scheduler --------------------------------------------------------------------------------------


def count_bytes() -> None:
    """Count what the sockets of the scheduler take in and give out; to be run in its process."""
    from tornado.iostream import IOStream

    IOStream.counted = 0  # type: ignore[attr-defined]
    for name in ("read_from_fd", "write_to_fd"):
        setattr(IOStream, name, _counting(getattr(IOStream, name)))


def _counting(method: Callable) -> Callable:
    def counted(self, *args):
        n_bytes = method(self, *args)
        type(self).counted += n_bytes or 0
        return n_bytes

    return counted


def counted_bytes() -> int:
    """Return what was counted so far; to be run in the scheduler's process."""
    from tornado.iostream import IOStream

    return IOStream.counted  # type: ignore[attr-defined]


def embedding() -> dict:
    """Embed the solar cells by one process and by two: seconds, what results differ by, the scheduler's bytes."""
    from distributed.deploy.subprocess import SubprocessCluster

    images = load_images("solar-cells")
    with tempfile.TemporaryDirectory() as folder:
        started = time.perf_counter()
        one = alone(lambda: embed_images(images, cache_dir=f"{folder}/one"))
        seconds = time.perf_counter() - started
        options = {"nthreads": 1, "memory_limit": "0", "dashboard": False}
        with SubprocessCluster(n_workers=2, threads_per_worker=1, worker_kwargs=options) as cluster:
            use_scheduler(cluster.scheduler_address, cache_dir=folder)
            client = scheduling._cluster.client
            embed_images(images.take(range(2)), cache_dir=f"{folder}/warm")
            client.run_on_scheduler(count_bytes)
            started = time.perf_counter()
            two = embed_images(images, cache_dir=f"{folder}/two")
            seconds_of_two = time.perf_counter() - started
            traffic = client.run_on_scheduler(counted_bytes)
            sweep_of_two, silhouettes_of_two = _clustered(two.features)
            use_scheduler("")
    sweep, silhouettes = _clustered(one.features)
    files = sum(Path(path).stat().st_size for path in images.items)
    return {
        "images": len(images),
        "seconds, one process": seconds,
        "seconds, two": seconds_of_two,
        "speed-up": seconds / seconds_of_two,
        "features equal": bool(one.features.tobytes() == two.features.tobytes()),
        "labels equal": bool(np.array_equal(sweep.labels, sweep_of_two.labels)),
        "inertia off by": float(np.abs(sweep.inertia - sweep_of_two.inertia).max()),
        "silhouettes off by": float(np.abs(silhouettes - silhouettes_of_two).max()),
        "scheduler's bytes": traffic,
        "bytes of the images": files,
    }


def _clustered(features: np.ndarray) -> tuple[KMeansSweep, np.ndarray]:
    sweep = sweep_kmeans(features, K_VALUES, n_init=2)
    return sweep, silhouette_samples(features, sweep.labels)


# --- points in a file -------------------------------------------------------------------------------------------------


def batches() -> dict:
    """Run k-means over points in a file: seconds, and the memory that it takes where the points take much more."""
    n, d = 200_000, 1280
    rng = np.random.default_rng(0)
    with tempfile.TemporaryDirectory(dir=ROOT / "_build") as folder:
        X = mapped_array((n, d), folder)
        for start in range(0, n, 10_000):
            X[start : start + 10_000] = rng.standard_normal((10_000, d), dtype=np.float32)
        peak = Peak([psutil.Process().pid])
        seconds = median_seconds(lambda: sweep_kmeans(X, K_VALUES, n_init=1, n_jobs=-1, algorithm="minibatch"), 1)
        return {"n": n, "features": d, "MiB of points": X.nbytes / 2**20, "seconds": seconds, "MiB": peak.stop()}


# --- the model --------------------------------------------------------------------------------------------------------

POWERS = {"exact": 2, "estimate": 1, "closed form": 1}


def fit_model(rows: list[dict]) -> list[dict]:
    """Fit seconds x workers = fixed + slope x n^power, and measure the error on the sizes that were held out."""
    fits = []
    for way, power in POWERS.items():
        n, cost = np.array([(row["n"], row["seconds"] * row["workers"]) for row in rows if row["way"] == way]).T
        design = np.column_stack([np.ones(len(n)), n**power])
        # Relative errors count, so that the large sizes do not decide alone.
        some = slice(None, len(n) - HELD_OUT)
        fixed, slope = np.linalg.lstsq(design[some] / cost[some, np.newaxis], np.ones(len(n[some])), rcond=None)[0]
        model = design @ (fixed, slope)
        off = {
            str(int(size)): float(m / c - 1) for size, m, c in zip(n[-HELD_OUT:], model[-HELD_OUT:], cost[-HELD_OUT:])
        }
        fits.append({"way": way, "power": power, "fixed": float(fixed), "slope": float(slope), "held out": off})
    return fits


def cost(n: int, fits: list[dict], embedded: dict) -> list[dict]:
    """Estimate processor hours, memory of the notebook's process and traffic of each step for n images."""
    hours = {fit["way"]: (fit["fixed"] + fit["slope"] * float(n) ** fit["power"]) / 3600 for fit in fits}
    an_image = {name: embedded[name] / embedded["images"] for name in ("seconds, one process", "scheduler's bytes")}
    n_blocks = len(_blocks(n, N_CLUSTERS))
    # Points and their scaled copy in float32, squares; labels, codes and columns of each labeling.
    points = n * (2 * 4 * D + 8 + N_LABELINGS * (4 + 8 + 4))
    sums = n * N_CLUSTERS * 8
    steps = {
        "embedding": (n * an_image["seconds, one process"] / 3600, n * 1280 * 4, n * an_image["scheduler's bytes"]),
        "silhouettes, exact": (hours["exact"], points + sums, n_blocks * sums),
        "silhouettes, estimate": (hours["estimate"], points, n_blocks * N_ROWS * N_CLUSTERS * 8),
        "silhouettes, closed form": (hours["closed form"], points + sums, sums),
    }
    return [
        {"images": n, "step": step, "processor hours": h, "driver's GiB": memory / 2**30, "GiB moved": moved / 2**30}
        for step, (h, memory, moved) in steps.items()
    ]


PARTS = {
    "sizes": sizes,
    "scaling": scaling,
    "errors": errors,
    "embedding": embedding,
    "batches": batches,
}


def main(parts: list[str]) -> None:
    """Measure some parts, and write the file that the book reads; the others stay as they were."""
    print(describe_blas())
    results = json.loads(RESULTS.read_text(encoding="utf-8"))
    for name in parts:
        print(name)
        results[name] = PARTS[name]()
        show(results[name] if isinstance(results[name], list) else [results[name]])
    results["model"] = fit_model(results["sizes"])
    results["costs"] = [
        row for n in (1_280_000, 100_000_000) for row in cost(n, results["model"], results["embedding"])
    ]
    results["provenance"] = {"BLAS": describe_blas(), "processors": os.cpu_count(), "versions": library_versions()}
    for name in ("model", "costs"):
        show(results[name])
    RESULTS.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:] or list(PARTS))
