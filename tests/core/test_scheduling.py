"""A cluster of real processes: the same numbers as one machine, also when workers die, or one sentence."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from PIL import Image
from threadpoolctl import threadpool_info, threadpool_limits

from helpers.clustering import distances
from helpers.clustering.silhouette import silhouette_estimate, silhouette_samples
from helpers.clustering.sweep import sweep_kmeans
from helpers.core import scheduling
from helpers.core.conventions import ROOT, ParameterError
from helpers.core.scheduling import SchedulerError, check_workers, run_tasks, use_scheduler
from helpers.criteria.halves import link_valleys, stability
from helpers.criteria.references import gap_statistic, null_silhouettes
from helpers.images import collection, embeddings, files
from helpers.images.datasets import _files, load_images
from helpers.images.embeddings import embed_images
from helpers.images.files import Found

distributed = pytest.importorskip("distributed")

RNG = np.random.default_rng(0)
CENTERS = RNG.normal(size=(6, 8)) * 3
POINTS = (CENTERS[RNG.integers(0, 6, 3000)] + RNG.normal(size=(3000, 8))).astype(np.float32)
LABELS = np.stack([np.arange(3000) % k for k in (2, 5, 9)])


@pytest.fixture(scope="module")
def cluster():
    """Two worker processes, which are started again when they die."""
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, memory_limit=0, dashboard_address=None, silence_logs=50
    ) as cluster:
        yield cluster


@pytest.fixture
def on_cluster(cluster, tmp_path):
    """Calls a function on the cluster, and leaves it before the next test."""

    def call(function):
        use_scheduler(cluster.scheduler_address, cache_dir=tmp_path)
        try:
            return function()
        finally:
            use_scheduler("")

    yield call


def kill_workers(cluster, times, monkeypatch, module):
    """Let a worker be killed after each of the first results of a module's tasks; the list returned names them."""
    killed = []

    def killing(*args, **kwargs):
        for result in run_tasks(*args, **kwargs):
            yield result
            pids = [nanny.pid for nanny in cluster.workers.values() if nanny.pid]
            if len(killed) < times and pids:
                killed.append(pids[len(killed) % len(pids)])
                os.kill(killed[-1], signal.SIGKILL)

    monkeypatch.setattr(module, "run_tasks", killing)
    return killed


# --- threads and bars -------------------------------------------------------------------------------------------------

# Says how many threads the libraries have in tasks that run at once, alone, and within a task, and after them.
THREADS = """
import sys, threading
import numpy, scipy.linalg, sklearn.cluster, torch
from threadpoolctl import threadpool_info
from helpers.core import scheduling

def threads(i):
    return threading.get_ident(), [library["num_threads"] for library in threadpool_info()]

def nested(i):
    return list(scheduling.run_tasks(threads, [(0,), (1,)]))

def told(results):
    results = list(results)
    print(sorted({n for _, counts in results for n in counts}), threading.get_ident() in dict(results))

told([threads(0)])
told(scheduling.run_tasks(threads, [(i,) for i in range(20)], n_jobs=2))
told(scheduling.run_tasks(threads, [(i,) for i in range(20)], n_jobs=1))
told(scheduling.run_tasks(threads, [(0,)]))
told(result for part in scheduling.run_tasks(nested, [(0,), (1,)], n_jobs=2) for result in part)
with scheduling.one_thread("sklearn"):
    told([threads(0)])
tasks = scheduling.run_tasks(threads, [(i,) for i in range(4)], n_jobs=2)
next(tasks)
tasks.close()
told([threads(0)])
"""


def test_each_task_has_one_thread_and_the_process_has_its_own_again():
    environment = os.environ | {"OMP_NUM_THREADS": "3", "OPENBLAS_NUM_THREADS": "3", "OMP_DYNAMIC": "FALSE"}
    command = [sys.executable, "-c", THREADS]
    finished = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert finished.returncode == 0, finished.stderr[-2000:]
    before, *tasks, after = finished.stdout.splitlines()
    assert tasks == ["[1] False", "[1] True", "[1] True", "[1] False", "[1] True"]
    assert before == after and "3]" in before


class Bar:
    """Stands in for tqdm and keeps what it was told."""

    shown: list = []

    def __init__(self, *, total, initial, desc, unit, delay, disable):
        self.total, self.n, self.name = total, initial, (desc, unit)
        self.steps = []
        if not disable:
            Bar.shown.append(self)

    def __enter__(self):
        return self

    def __exit__(self, *error):
        pass

    def update(self, n):
        self.n += n
        self.steps.append(n)


@pytest.fixture
def bars(monkeypatch):
    """The bars that were shown."""
    monkeypatch.setattr(Bar, "shown", [])
    monkeypatch.setattr(scheduling, "tqdm", Bar)
    return Bar.shown


def squares_of(numbers):
    return [square for square in run_tasks(pow, [(number, 2) for number in numbers], desc="squares")]


def test_tasks_show_one_bar_and_those_within_them_none(bars):
    assert list(run_tasks(squares_of, [([1, 2],), ([3, 4],)], desc="outer", unit="part")) == [[1, 4], [9, 16]]
    (bar,) = bars
    assert (bar.name, bar.total, bar.n) == (("outer", "part"), 2, 2)
    assert squares_of([5]) == [25] and bars[1].total == 1
    list(run_tasks(pow, [(1, 2), (2, 2)]))  # without a name
    assert len(bars) == 2


def test_a_bar_counts_units_of_tasks_that_have_sizes(bars):
    list(run_tasks(pow, [(1, 2), (2, 2)], desc="powers", unit="image", sizes=[64, 10], n_done=128))
    (bar,) = bars
    assert (bar.total, bar.n, bar.steps) == (202, 202, [64, 10])


def test_the_bar_of_an_embedding_counts_all_images_and_begins_with_those_that_are_stored(bars, tmp_path, monkeypatch):
    monkeypatch.setattr(embeddings, "CHUNK_SIZE", 5)
    images = load_images("digits", n_images=12)
    options = {"backbone": "pixels", "cache_dir": tmp_path}
    embed_images(images.take(range(10)), **options)
    embed_images(images, **options)
    assert [(bar.name, bar.total, bar.n, bar.steps) for bar in bars] == [
        (("embedding", "image"), 10, 10, [5, 5]),
        (("embedding", "image"), 12, 12, [2]),
    ]


def test_no_task_is_no_result():
    assert list(run_tasks(pow, [], desc="none")) == []


# --- the same numbers -------------------------------------------------------------------------------------------------


def where_am_i(X, i):
    return X[i], type(X), os.getpid()


def test_tasks_run_elsewhere_and_map_what_they_share(on_cluster, tmp_path):
    results = on_cluster(lambda: list(run_tasks(where_am_i, [(i,) for i in range(20)], shared=(POINTS[:, 0],))))
    values, types, pids = zip(*results)
    np.testing.assert_array_equal(values, POINTS[:20, 0])
    assert set(types) == {np.memmap} and os.getpid() not in pids
    assert not list((tmp_path / "shared").iterdir())  # and what was shared is gone


@pytest.mark.parametrize("algorithm", ["lloyd", "minibatch"])
def test_sweep_is_equal(on_cluster, algorithm):
    def sweep():
        return sweep_kmeans(POINTS, [2, 4, 6, 9], n_init=3, algorithm=algorithm)

    here, there = sweep(), on_cluster(sweep)
    np.testing.assert_array_equal(here.labels, there.labels)
    np.testing.assert_array_equal(here.inertia, there.inertia)
    for ours, theirs in zip(here.centers, there.centers):
        np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize("metric", ["euclidean", "sqeuclidean", "cosine"])
def test_silhouettes_and_estimates_are_equal(on_cluster, metric):
    def silhouettes():
        estimates = silhouette_estimate(POINTS, LABELS, n_rows=300, metric=metric)
        return silhouette_samples(POINTS, LABELS, metric=metric), [estimate.mean for estimate in estimates]

    (here, estimates_here), (there, estimates_there) = silhouettes(), on_cluster(silhouettes)
    np.testing.assert_allclose(there, here, rtol=0, atol=1e-12)
    np.testing.assert_allclose(estimates_there, estimates_here, rtol=0, atol=1e-12)


def test_given_distances_are_equal(on_cluster):
    given = np.linalg.norm(POINTS[:1100, np.newaxis] - POINTS[:1100], axis=2)

    def silhouettes():
        return silhouette_samples(given, LABELS[:, :1100], metric="precomputed")

    np.testing.assert_allclose(on_cluster(silhouettes), silhouettes(), rtol=0, atol=1e-12)


def test_references_are_equal(on_cluster):
    X = POINTS[:300]

    def references():
        nulls = null_silhouettes(X, [2, 3], n_references=2)
        gap = gap_statistic(X, [1, 2, 3], n_references=3)
        valleys = link_valleys(X, [2, 3], n_halvings=2, groups=np.arange(300) // 2)
        found = stability(X, [2, 3], n_halvings=2)
        return (
            *(nulls.score, nulls.positive, gap.expected, gap.log_w),
            *(valleys.valley, valleys.links, found.ari, found.strength),
        )

    for ours, theirs in zip(references(), on_cluster(references)):
        np.testing.assert_allclose(theirs, ours, rtol=0, atol=1e-12)


def test_overlapping_tasks_leave_the_threads_as_they_were():
    """The limit lasts until the last of them ends, in whatever order they end."""

    def counts():
        return {library["prefix"]: library["num_threads"] for library in threadpool_info()}

    with threadpool_limits(limits=2):
        before = counts()
        first, second = (run_tasks(divmod, [(7, 2), (9, 4)]) for _ in range(2))
        next(first), next(second)
        list(first)
        assert set(counts().values()) == {1}
        list(second)
        assert counts() == before and 2 in before.values()


def test_workers_read_the_images_and_take_their_fingerprints(on_cluster, tmp_path, monkeypatch):
    for i in range(3):
        Image.new("RGB", (40, 40), (80 * i, 0, 0)).save(tmp_path / f"{i}.png")
    addresses = [f"file://{tmp_path}/{i}.png" for i in range(3)]
    options = {"backbone": "pixels", "cache_dir": tmp_path / "cache"}
    images = _files(Found(["0", "1", "2"], addresses, []), "here")
    here = embed_images(images, **options | {"cache_dir": tmp_path / "here"})
    for module, name in ((files, "_file_digest"), (collection, "_read")):
        monkeypatch.setattr(module, name, lambda *args: pytest.fail("read in the notebook's process"))
    there, features = on_cluster(
        lambda: (_files(Found(["0", "1", "2"], addresses, []), "here"), embed_images(images, **options))
    )
    assert there.fingerprint == images.fingerprint and features.features.tobytes() == here.features.tobytes()


# --- workers that die -------------------------------------------------------------------------------------------------


def test_embedding_outlives_three_killed_workers_and_is_equal_bit_for_bit(cluster, on_cluster, tmp_path, monkeypatch):
    monkeypatch.setattr(embeddings, "CHUNK_SIZE", 5)
    images = load_images("digits", n_images=40)
    here = embed_images(images, cache_dir=tmp_path / "here")
    killed = kill_workers(cluster, 3, monkeypatch, embeddings)
    there = on_cluster(lambda: embed_images(images, cache_dir=tmp_path / "there"))
    assert len(killed) == 3
    assert here.features.tobytes() == there.features.tobytes() and here.kept.tolist() == there.kept.tolist()
    monkeypatch.setattr(embeddings, "run_tasks", lambda *args, **kwargs: pytest.fail("computed again"))
    assert embed_images(images, cache_dir=tmp_path / "there").features.tobytes() == here.features.tobytes()


def test_silhouettes_outlive_three_killed_workers(cluster, on_cluster, monkeypatch):
    here = silhouette_samples(POINTS, LABELS)
    killed = kill_workers(cluster, 3, monkeypatch, distances)
    there = on_cluster(lambda: silhouette_samples(POINTS, LABELS))
    assert len(killed) == 3
    np.testing.assert_allclose(there, here, rtol=0, atol=1e-12)


def test_a_worker_that_dies_when_it_is_asked_is_not_refused_since_another_takes_its_place(on_cluster, tmp_path):
    on_cluster(lambda: check_workers(die_once, os.getpid(), tmp_path / "died"))
    assert (tmp_path / "died").exists()


def die_once(survivor, died):
    if os.getpid() != survivor and not died.exists():
        died.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return {}


def test_an_error_of_a_task_arrives_as_it_is(on_cluster):
    with pytest.raises(ZeroDivisionError):
        on_cluster(lambda: list(run_tasks(divmod, [(1, 1), (1, 0)])))


# --- refused ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def start(tmp_path):
    """Starts a scheduler or a worker as a process of its own, as on a cluster, and ends all of them."""
    processes = []

    def start(kind, *options, folder=ROOT):
        command = [sys.executable, "-m", f"distributed.cli.dask_{kind}", *options]
        environment = os.environ | {"DASK_DISTRIBUTED__COMM__RETRY__COUNT": "0"}
        processes.append(
            subprocess.Popen(command, cwd=folder, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        )
        return processes[-1]

    yield start
    for process in processes:
        process.kill()
        process.wait()
        process.stderr.close()


@pytest.fixture
def scheduler(start):
    """A scheduler without workers: its process and its address."""
    process = start("scheduler", "--host", "127.0.0.1", "--port", "0", "--no-dashboard", "--no-jupyter")
    address = next(word for line in process.stderr for word in line.decode().split() if word.startswith("tcp://"))
    return process, address


def start_worker(start, address, folder=ROOT):
    return start(
        "worker", address, "--no-nanny", "--nthreads", "2", "--no-dashboard", "--memory-limit", "0", folder=folder
    )


def test_a_scheduler_that_disappears_is_one_sentence(start, scheduler, tmp_path):
    process, address = scheduler
    start_worker(start, address)
    use_scheduler(address, cache_dir=tmp_path)
    try:
        with pytest.raises(SchedulerError, match=rf"^The scheduler {address} has disappeared;[^.]*\.$"):
            for _ in run_tasks(time.sleep, [(0.05,)] * 50):
                process.kill()
        with pytest.raises(SchedulerError, match="has disappeared"):
            silhouette_samples(POINTS, LABELS)
    finally:
        use_scheduler("")
    assert silhouette_samples(POINTS[:50], LABELS[0, :50]).shape == (50,)  # on this machine again


def test_a_scheduler_without_workers_is_refused(scheduler, monkeypatch, tmp_path):
    monkeypatch.setattr(scheduling, "_SECONDS", 1)
    with pytest.raises(SchedulerError, match="has no workers"):
        use_scheduler(scheduler[1], cache_dir=tmp_path)


def test_workers_with_other_sources_are_refused(start, scheduler, tmp_path):
    shutil.copytree(ROOT / "helpers", tmp_path / "helpers")
    with open(tmp_path / "helpers" / "clustering" / "sweep.py", "a", encoding="utf-8") as file:
        file.write("# another version\n")
    start_worker(start, scheduler[1], folder=tmp_path)
    with pytest.raises(
        SchedulerError, match=r"^The worker tcp://\S+ has helpers SHA-256 \w+ where this process has \w+;"
    ):
        use_scheduler(scheduler[1], cache_dir=tmp_path)


def test_workers_with_other_weights_are_refused(on_cluster, monkeypatch, tmp_path):
    """What a worker finds under the name of the weights is not what this process found."""

    def refused():
        monkeypatch.setenv("PLACE", "here")
        check_workers(_environment)

    with pytest.raises(SchedulerError, match="has the place None where this process has here; every worker must"):
        on_cluster(refused)


def _environment():
    return {"the place": os.environ.get("PLACE")}


def test_workers_that_do_not_see_the_folder_are_refused(on_cluster, monkeypatch, tmp_path):
    """The file is taken away after this process has seen it."""
    token = tmp_path / "token"

    def refused():
        token.touch()
        check_workers(_used_once, str(token))

    with pytest.raises(SchedulerError, match=rf"the folder {tmp_path} missing where this process has read and written"):
        on_cluster(refused)


def _used_once(token):
    use = scheduling._use_of(token)
    if use[f"the folder {os.path.dirname(token)}"] == "read and written":
        os.unlink(token)
    return use


@pytest.mark.parametrize("right", ["read_bytes", "touch"])
def test_a_folder_that_may_only_be_looked_at_is_told(right, monkeypatch, tmp_path):
    """What a worker of another user would say; whoever runs the tests may be allowed everything."""
    (tmp_path / "token").touch()
    assert scheduling._use_of(str(tmp_path / "token")) == {f"the folder {tmp_path}": "read and written"}
    assert [path.name for path in tmp_path.iterdir()] == ["token"]

    def refuse(self):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(scheduling.Path, right, refuse)
    assert scheduling._use_of(str(tmp_path / "token")) == {f"the folder {tmp_path}": "closed (Permission denied)"}


def test_the_umask_decides_who_may_read_what_tasks_share(monkeypatch, tmp_path):
    monkeypatch.setattr(scheduling._cluster, "folder", tmp_path)
    before = os.umask(0o027)
    try:
        shared = scheduling._Shared((np.arange(3),))
        path = shared.__reduce__()[1][0]
        assert os.stat(path).st_mode & 0o777 == 0o640
    finally:
        os.umask(before)
    del shared
    assert not os.path.exists(path)


def test_a_cluster_whose_workers_are_gone_is_one_sentence(start, scheduler, monkeypatch, tmp_path):
    address = scheduler[1]
    worker = start_worker(start, address)
    use_scheduler(address, cache_dir=tmp_path)
    monkeypatch.setattr(scheduling, "_SECONDS", 1)
    try:
        with pytest.raises(SchedulerError, match=rf"^The scheduler {address} has no workers any more;[^.]*\.$"):
            for _ in run_tasks(time.sleep, [(0.05,)] * 50):
                worker.kill()
    finally:
        use_scheduler("")


@pytest.mark.parametrize("address", ["tcp://127.0.0.1:1", "nowhere", "tcp://", "127.0.0.1:x", "xyz://1.2.3.4:5"])
def test_a_scheduler_that_cannot_be_reached_is_refused(address, monkeypatch, tmp_path):
    monkeypatch.setattr(scheduling, "_SECONDS", 1)
    with pytest.raises(SchedulerError, match=rf"^The scheduler '{address}' cannot be reached \(\w+\); scheduler takes"):
        use_scheduler(address, cache_dir=tmp_path)
    assert issubclass(SchedulerError, ParameterError)  # which the command line shows as a sentence


def test_without_dask_a_scheduler_is_refused(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(SchedulerError, match=r"'local' needs Dask, which is not installed here; .*\[scale\]"):
        use_scheduler("local", cache_dir=tmp_path)
    use_scheduler("")  # and the empty one is not


def test_a_script_without_a_main_guard_is_one_sentence_and_not_started_again_and_again(tmp_path):
    script = tmp_path / "script.py"
    script.write_text(
        "from helpers.core.scheduling import SchedulerError, use_scheduler\n"
        "try:\n"
        f"    use_scheduler('local', cache_dir={str(tmp_path)!r})\n"
        "except SchedulerError as error:\n"
        "    print(error)\n",
        encoding="utf-8",
    )
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    finished = subprocess.run([sys.executable, script], env=environment, capture_output=True, text=True)
    assert re.fullmatch(
        r"The processes of scheduler = 'local' do not start: .* below `if __name__ == .*\n", finished.stdout
    )


def test_local_is_a_cluster_of_this_machine(tmp_path, capsys):
    use_scheduler("local", cache_dir=tmp_path)
    try:
        pids = {pid for _, _, pid in run_tasks(where_am_i, [(i,) for i in range(4)], shared=(np.arange(4),))}
    finally:
        use_scheduler("")
    assert os.getpid() not in pids
    assert "dashboard is at http://127.0.0.1:" in capsys.readouterr().err
