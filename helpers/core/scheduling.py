"""Where tasks run: in threads of this machine, or in the processes of a Dask cluster.

All tasks go through `run_tasks`, and joblib is the only layer between them and the processors: after `use_scheduler`,
tasks that otherwise run in threads run on the workers of a cluster, and give the same numbers. What the tasks of a call
have in common is never sent to them: it is written once to a folder that all workers see, and they map it into memory.
So nothing large goes through the scheduler, and a worker that dies loses only the task that it was computing.
"""

from __future__ import annotations

import gc
import logging
import multiprocessing
import os
import sys
import tempfile
import threading
import time
import uuid
import weakref
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, nullcontext, suppress
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import joblib
from joblib import Parallel, delayed, parallel_config
from threadpoolctl import ThreadpoolController
from tqdm import tqdm

from .conventions import ParameterError, resolve_path
from .fingerprints import library_versions, source_digest

if TYPE_CHECKING:
    from distributed import Client, LocalCluster

LOCAL = "local"
_SECONDS = 10  # to wait for a scheduler, and then for a worker, and for another one once all are gone


class SchedulerError(ParameterError):
    """The cluster cannot be used or was lost; the message is one sentence that gives the reason."""


# --- tasks ------------------------------------------------------------------------------------------------------------


def run_tasks(
    task: Callable[..., Any],
    arguments: Sequence[tuple],
    *,
    shared: tuple = (),
    n_jobs: int | None = -1,
    desc: str | None = None,
    unit: str = "task",
    sizes: Sequence[int] | None = None,
    n_done: int = 0,
) -> Iterator[Any]:
    """Yield the results of a task for each tuple of arguments, in order, running several tasks at once.

    Each task has one thread of BLAS and OpenMP, since the number of threads shows in the last digits. The tasks that a
    task starts run one after the other in it, without a bar: its siblings keep the other processors busy.

    Parameters
    ----------
    task : callable
        Called with `shared` and one tuple of arguments; a function of a module, so that it can be sent.
    arguments : sequence of tuple
        Small, since they are sent with each task.
    shared : tuple
        The first arguments of all calls, which may be large: workers map its arrays into memory, read-only.
    n_jobs : int, optional
        Number of threads, as in joblib; a cluster uses all its workers.
    desc : str, optional
        Label of a progress bar, which is shown if the tasks take more than two seconds.
    unit : str
        What the bar counts.
    sizes : sequence of int, optional
        Number of units in each task; 1 without it.
    n_done : int
        Number of further units, with which the bar begins.

    Yields
    ------
    object
        What the task returns.

    Raises
    ------
    SchedulerError
        If the scheduler disappears, or if a task ends the process of several workers in succession.

    Examples
    --------
    >>> list(run_tasks(divmod, [(7, 2), (9, 4)]))
    [(3, 1), (2, 1)]
    >>> list(run_tasks(pow, [(2,), (3,)], shared=(10,)))
    [100, 1000]
    """
    sizes = [1] * len(arguments) if sizes is None else sizes
    bar = tqdm(
        total=n_done + sum(sizes),
        initial=n_done,
        desc=desc,
        unit=unit,
        delay=2,
        disable=desc is None or _this_thread.in_task,
    )
    with bar, one_thread(task.__module__):
        for result, size in zip(_results(task, arguments, shared, n_jobs), sizes, strict=True):
            bar.update(size)
            yield result


@contextmanager
def one_thread(module: str) -> Iterator[None]:
    """Limit BLAS and OpenMP to one thread in a context: their number shows in the last digits of results.

    Parameters
    ----------
    module : str
        Name of a module that has imported the libraries in question.
    """
    if _this_thread.in_task:
        yield
        return
    with _blas.held(_threads(module)), _this_thread.openmp.held(_threads(module)):
        yield


class _Limit:
    """A limit of one thread that lasts until the last context that asks for it ends, in whatever order they end."""

    def __init__(self, user_api: str) -> None:
        self.user_api, self.lock = user_api, threading.Lock()
        self.n_holders, self.limiters = 0, []

    @contextmanager
    def held(self, controller: ThreadpoolController) -> Iterator[None]:
        """Limit the libraries of a controller in a context."""
        with self.lock:
            self.limiters.append(controller.limit(limits=1, user_api=self.user_api))
            self.n_holders += 1
        try:
            yield
        finally:
            with self.lock:
                self.n_holders -= 1
                while self.limiters and not self.n_holders:
                    self.limiters.pop().restore_original_limits()


class _ThisThread(threading.local):
    """The state of the running thread: whether it is at work on one of several tasks, and its limit of OpenMP."""

    def __init__(self) -> None:
        self.in_task, self.openmp = False, _Limit("openmp")


_this_thread = _ThisThread()
_blas = _Limit("blas")  # whose number of threads belongs to the whole process


def _results(task: Callable[..., Any], arguments: Sequence[tuple], shared: tuple, n_jobs: int | None) -> Iterator[Any]:
    client = _cluster.client
    if client is not None and client.status != "running":
        raise SchedulerError(_cluster.gone())
    if _this_thread.in_task or (client is None and len(arguments) == 1):
        yield from (task(*shared, *given) for given in arguments)
        return
    common = _Shared(shared)
    try:
        # Threads are the default only: `use_scheduler`, or joblib's `parallel_config`, may choose another backend.
        with _cluster.watched():
            yield from Parallel(n_jobs=n_jobs, prefer="threads", return_as="generator")(
                delayed(_call)(task, common, given) for given in arguments
            )
    except Exception as error:
        if type(error).__module__.partition(".")[0] != "distributed":
            raise
        reason = f"A task failed on the cluster: {' '.join(str(error).split())}".rstrip(".")
        raise SchedulerError(f"{reason}." if type(error).__name__ == "KilledWorker" else _cluster.gone()) from None


class _Shared:
    """Values that all tasks of a call share: used directly in threads, mapped from a file in other processes."""

    def __init__(self, values: tuple, path: str = "", remote: bool = False) -> None:
        self.values, self.path, self.remote = values, path, remote

    def __reduce__(self) -> tuple[Callable, tuple[str]]:
        if not self.path:
            # Opened plainly, so that the umask decides whose workers may read it.
            self.path = str(_cluster.folder / f"shared-{uuid.uuid4().hex}")
            weakref.finalize(self, _remove, self.path)
            with open(self.path, "xb") as file:
                joblib.dump(self.values, file)
        return _load_shared, (self.path,)


def _remove(path: str) -> None:
    with suppress(FileNotFoundError):
        os.unlink(path)


@lru_cache(maxsize=2)
def _load_shared(path: str) -> _Shared:
    return _Shared(joblib.load(path, mmap_mode="r"), path, remote=True)


def _call(task: Callable[..., Any], common: _Shared, given: tuple) -> Any:
    """Call a task in a thread or a process of its own."""
    # Not lifted again: another task may be at work in the process of a worker, and the limit of OpenMP, the only one
    # that `run_tasks` cannot set for its threads, belongs to a thread which ends with the tasks.
    _threads(task.__module__).limit(limits=1, user_api=None if common.remote else "openmp")
    # What libraries run in parallel stays in the process of a worker, too.
    with _in_task(), parallel_config(backend="sequential") if common.remote else nullcontext():
        return task(*common.values, *given)


@contextmanager
def _in_task() -> Iterator[None]:
    _this_thread.in_task = True
    try:
        yield
    finally:
        _this_thread.in_task = False


@lru_cache
def _threads(module: str) -> ThreadpoolController:
    """Look up the libraries that have threads of their own, once for each module, since one may load more of them.

    It takes 25 ms, and a small silhouette takes 2 ms.
    """
    return ThreadpoolController()


# --- the cluster ------------------------------------------------------------------------------------------------------


class _Cluster:
    """The cluster in use, if any: its client, its address, the folder that its workers see, and its exit stack."""

    def __init__(self) -> None:
        self.client: Client | None = None
        self.address, self.folder, self.leave = "", Path(tempfile.gettempdir()), ExitStack()
        self.has_workers = True

    def gone(self) -> str:
        """Say in a sentence that the scheduler is lost, or its workers are."""
        lost = "has disappeared" if self.has_workers else "has no workers any more"
        return f"The scheduler {self.address} {lost}; what was stored is kept, and the next run goes on from there."

    @contextmanager
    def watched(self) -> Iterator[None]:
        """Close the client once all workers have been gone for a while, since it would wait for others for ever."""
        if self.client is None:
            yield
            return
        done = threading.Event()
        threading.Thread(target=self._watch, args=(done,), daemon=True).start()
        try:
            yield
        finally:
            done.set()

    def _watch(self, done: threading.Event) -> None:
        seen = time.monotonic()
        while not done.wait(1) and self.client.status == "running":
            try:
                workers = self.client.scheduler_info(n_workers=-1)["workers"]
            except Exception:  # almost anything, of a scheduler that is lost, which `_results` notices
                return
            if workers:
                seen = time.monotonic()
            elif time.monotonic() - seen > _SECONDS:
                self.has_workers = False
                self.client.close()


_cluster = _Cluster()


def use_scheduler(scheduler: str, *, cache_dir: str | Path = "_build/cache") -> None:
    """Run the tasks of this process on a Dask cluster from now on, and print the address of its dashboard.

    Parameters
    ----------
    scheduler : str
        Empty for threads of this machine; ``local`` for a cluster with a process for each processor of this machine;
        or the address of a scheduler, such as ``tcp://10.0.0.1:8786``. If the cluster has one thread in all, joblib
        runs the tasks in this process.
    cache_dir : path
        Folder of stored results, which all workers must see under the same path.

    Raises
    ------
    SchedulerError
        If Dask is not installed, the scheduler cannot be reached or has no workers, or a worker cannot read and
        write the folder or has another version of a library or source that results depend on.
    """
    global _cluster
    _cluster.leave.close()
    _cluster = _Cluster()
    if not scheduler:
        return
    new = _Cluster()
    new.address = scheduler
    new.folder = resolve_path(cache_dir) / "shared"
    new.folder.mkdir(parents=True, exist_ok=True)
    with ExitStack() as leave:
        new.client = leave.enter_context(_connect(scheduler, leave))
        _check_cluster(new.client, scheduler, new.folder)
        chosen = parallel_config(backend="dask", client=new.client)
        leave.callback(chosen.unregister)
        new.leave = leave.pop_all()
    _cluster = new
    n_workers = len(new.client.scheduler_info(n_workers=-1)["workers"])
    print(f"{n_workers} workers; Dask's dashboard is at {new.client.dashboard_link}", file=sys.stderr)


def check_workers(function: Callable[..., dict[str, str]], *args: Any) -> None:
    """Refuse workers on which a function, such as one that returns versions by name, returns another value than here.

    Raises
    ------
    SchedulerError
        If there is such a worker; it names the first one and the difference. Without a cluster nothing is checked.
    """
    if _cluster.client is not None:
        _check_same(_cluster.client, function, *args)


def _connect(scheduler: str, leave: ExitStack) -> Client:
    try:
        from distributed import Client
    except ModuleNotFoundError:
        raise SchedulerError(
            f"scheduler = {scheduler!r} needs Dask, which is not installed here; install the extra scale, with "
            'python -m pip install -c constraints.txt -e ".[scale]".'
        ) from None
    # Errors are reported in one sentence, by `run_tasks`, and not by each part of Dask as well.
    for name in ("distributed", "distributed.client", "tornado", "tornado.application"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    if scheduler == LOCAL:
        if getattr(multiprocessing.current_process(), "_inheriting", False):
            sys.exit(1)  # this process is to be a worker, and imports a script that would start a cluster again
        try:
            scheduler = leave.enter_context(local_cluster(joblib.cpu_count()))
        except RuntimeError:
            raise SchedulerError(
                "The processes of scheduler = 'local' do not start: each of them imports the script that asks for "
                'them, so a script must do that below `if __name__ == "__main__":`.'
            ) from None
    try:
        # Otherwise the results of tasks would go through the scheduler.
        return Client(scheduler, timeout=_SECONDS, direct_to_workers=True)
    except (OSError, ValueError, TypeError) as error:
        reason = type(error).__name__
    # Collect the half-made client now: later its finalizer might run while Dask holds the lock it needs: a deadlock.
    gc.collect()
    raise SchedulerError(
        f"The scheduler {scheduler!r} cannot be reached ({reason}); scheduler takes nothing, 'local', or an address "
        "such as tcp://10.0.0.1:8786."
    )


def local_cluster(n_workers: int) -> LocalCluster:
    """Start a cluster of processes of this machine with one thread each, which are restarted when they die."""
    import dask
    from distributed import LocalCluster

    # Dask tells malloc to return memory to the system at once; allocating it again takes longer than the distances.
    malloc_options = {
        f"distributed.nanny.pre-spawn-environ.MALLOC_{name}_THRESHOLD_": 2**25 for name in ("TRIM", "MMAP")
    }
    with dask.config.set(malloc_options):
        return LocalCluster(
            n_workers=n_workers,
            threads_per_worker=1,
            memory_limit=0,  # mapped files would count towards it
            dashboard_address="127.0.0.1:0",
            silence_logs=logging.CRITICAL,
            env={"TQDM_DISABLE": "1"},  # no bars from within tasks
        )


def _check_cluster(client: Client, scheduler: str, folder: Path) -> None:
    try:
        client.wait_for_workers(1, timeout=_SECONDS)
    except TimeoutError:
        raise SchedulerError(f"The scheduler {scheduler!r} has no workers; start some, and try again.") from None
    _check_same(client, _versions)
    token = folder / f"token-{uuid.uuid4().hex}"
    try:
        token.touch()
        _check_same(client, _use_of, str(token))
    finally:
        token.unlink(missing_ok=True)


def _versions() -> dict[str, str]:
    return library_versions() | {"helpers SHA-256": source_digest()}


def _use_of(token: str) -> dict[str, str]:
    """Say what a process can do with the folder of a file: read that file, and write others."""
    own = f"{token}-{uuid.uuid4().hex}"
    try:
        Path(token).read_bytes()
        Path(own).touch()
        Path(own).unlink()
        use = "read and written"
    except FileNotFoundError:
        use = "missing"
    except OSError as error:
        use = f"closed ({error.strerror})"
    return {f"the folder {Path(token).parent}": use}


def _check_same(client: Client, function: Callable[..., dict[str, str]], *args: Any) -> None:
    ours = function(*args)
    for worker, theirs in _ask_workers(client, function, *args).items():
        if isinstance(theirs, Exception):
            raise SchedulerError(f"The worker {worker} cannot be used: {' '.join(str(theirs).split())[:200]}.")
        for name in ours:
            if theirs.get(name) != ours[name]:
                raise SchedulerError(
                    f"The worker {worker} has {name} {theirs.get(name)} where this process has {ours[name]}; every "
                    "worker must have the same, so that the numbers are the same."
                )


def _ask_workers(client: Client, function: Callable[..., dict[str, str]], *args: Any) -> dict[str, Any]:
    """Call a function on every worker, again where one leaves meanwhile: it may be dying, and another take its place.

    Returns, by worker, what the function returned or what it raised.
    """
    end = time.monotonic() + _SECONDS
    while True:
        answers = client.run(function, *args, on_error="return")
        lost = any(isinstance(answer, OSError) for answer in answers.values())
        if answers and (not lost or time.monotonic() > end):
            return answers
        if time.monotonic() > end:
            raise SchedulerError("No worker of the cluster is left; start some, and try again.")
        time.sleep(0.5)
