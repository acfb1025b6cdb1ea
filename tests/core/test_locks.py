"""Two that miss the same result: one computes it and the other waits, unless the first is gone or stopped."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time

import numpy as np
import pytest
from filelock import FileLock, Timeout

from helpers.core import cache, locks
from helpers.core.cache import cached, remove_leftovers
from helpers.core.conventions import ROOT

# Computes a result in a while of which it tells the beginning and the end, and which ends when a file is there.
PROGRAM = """
import signal, sys, time
from pathlib import Path
import numpy as np
from helpers.core import cache, locks

signal.signal(signal.SIGINT, signal.default_int_handler)  # which background jobs of a shell ignore
folder = Path(sys.argv[1])
locks._PULSE_SECONDS, locks._SILENCE_SECONDS, locks._PATIENCE_SECONDS = 0.1, float(sys.argv[2]), 0.2

def slow() -> np.ndarray:
    print("computing", flush=True)
    while not (folder / "end").exists():
        time.sleep(0.01)
    return np.arange(3)

slow.__module__ = "helpers.clustering.reduction"
print("begins", flush=True)
print(cache.cached(slow, cache_dir=folder).tolist(), flush=True)
"""
RESULT = "[0, 1, 2]"


@pytest.fixture
def start(tmp_path):
    """Starts a process of PROGRAM and waits for a line of it; ends all of them after the test."""
    processes = []

    def start(until, silence=60):
        command = [sys.executable, "-c", PROGRAM, str(tmp_path), str(silence)]
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        processes.append(subprocess.Popen(command, cwd=ROOT, text=True, **pipes))
        for line in processes[-1].stdout:
            if line.strip() == until:
                return processes[-1]
        pytest.fail(processes[-1].stderr.read())

    yield start
    for process in processes:
        process.kill()
        process.communicate()


def finish(process):
    """The lines of a process after those that were read, and what it said on standard error."""
    out, error = process.communicate(timeout=60)
    assert process.returncode == 0, error
    return out.split("\n")[:-1], error


def wait_for_message(process):
    assert process.stderr.readline() == "waiting for another process that is computing slow\n"


def left_in(folder):
    return sorted(path.suffix for path in (folder / "slow").iterdir())


def test_two_processes_compute_a_result_once_and_both_get_it(start, tmp_path):
    first = start("computing")
    second = start("begins")
    wait_for_message(second)
    (tmp_path / "end").touch()
    assert finish(first) == ([RESULT], "")
    assert finish(second) == ([RESULT], "")  # it has not computed, and has said once what it waits for
    assert left_in(tmp_path) == [".npz"]


@pytest.mark.parametrize("sent", [signal.SIGKILL, signal.SIGINT])
def test_a_process_that_dies_is_followed_at_once(start, tmp_path, sent):
    first, second = start("computing"), start("begins")
    wait_for_message(second)
    first.send_signal(sent)
    first.wait()
    (tmp_path / "end").touch()
    assert finish(second) == (["computing", RESULT], "")
    assert left_in(tmp_path) == [".npz"]


def test_a_process_that_is_stopped_is_noticed(start, tmp_path):
    first = start("computing")
    first.send_signal(signal.SIGSTOP)
    (tmp_path / "end").touch()
    assert finish(start("begins", silence=0.5))[0] == ["computing", RESULT]
    first.send_signal(signal.SIGCONT)  # and what it goes on to write is the same
    assert finish(first) == ([RESULT], "")
    assert left_in(tmp_path) == [".npz"]


def test_a_process_that_lives_is_waited_for_longer_than_a_silence(start, tmp_path):
    first, second = start("computing"), start("begins", silence=0.5)
    wait_for_message(second)
    time.sleep(1.5)
    (tmp_path / "end").touch()
    assert finish(first)[0] == finish(second)[0] == [RESULT]


def test_an_interrupted_wait_leaves_the_other_at_work(start, tmp_path):
    first, second = start("computing"), start("begins")
    wait_for_message(second)
    second.send_signal(signal.SIGINT)
    assert "KeyboardInterrupt" in second.communicate()[1]
    assert left_in(tmp_path) == [".alive", ".lock"]
    (tmp_path / "end").touch()
    assert finish(first) == ([RESULT], "")
    assert left_in(tmp_path) == [".npz"]


def slow_in(calls, seconds):
    def slow() -> np.ndarray:
        calls.append(threading.get_ident())
        time.sleep(seconds)
        return np.arange(3)

    slow.__module__ = "helpers.clustering.reduction"
    return slow


def test_threads_of_a_process_compute_a_result_once(tmp_path):
    calls, results = [], []
    slow = slow_in(calls, 0.3)
    threads = [
        threading.Thread(target=lambda: results.append(cached(slow, cache_dir=tmp_path).tolist())) for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(calls) == 1 and results == [[0, 1, 2]] * 4


def test_the_same_wait_is_told_once_a_minute(tmp_path, monkeypatch, capsys):
    """As for the chunks of an embedding, one after the other."""
    monkeypatch.setattr(locks, "_PATIENCE_SECONDS", 0)
    monkeypatch.setattr(locks, "_SILENCE_SECONDS", 0.3)
    monkeypatch.setattr(locks, "_last_message", {})

    def wait(name, what):
        held = FileLock(tmp_path / f"{name}.lock")
        with held, locks.one_at_a_time(tmp_path / f"{name}.npz", what):
            return capsys.readouterr().err

    assert wait("1", "chunks") == "waiting for another process that is computing chunks\n"
    assert wait("2", "chunks") == ""
    assert wait("3", "others") == "waiting for another process that is computing others\n"
    monkeypatch.setattr(locks, "_QUIET_SECONDS", 0)
    assert "computing chunks" in wait("4", "chunks")


@pytest.mark.parametrize("error", [ValueError("no result"), KeyboardInterrupt()])
def test_an_error_leaves_no_lock(tmp_path, error):
    path = tmp_path / "result.npz"
    for _ in range(2):
        with pytest.raises(type(error)), locks.one_at_a_time(path, "it"):
            assert path.with_suffix(".lock").exists()
            with pytest.raises(Timeout):
                FileLock(path.with_suffix(".lock"), timeout=0).acquire()
            raise error
    assert not list(tmp_path.iterdir()) and threading.active_count() < 50


@pytest.mark.parametrize("error", [PermissionError("no rights"), OSError("no locks"), NotImplementedError("no locks")])
def test_without_locks_results_are_computed_and_stored(tmp_path, monkeypatch, error):
    def refuse(*args, **kwargs):
        raise error

    monkeypatch.setattr(locks.FileLock, "acquire", refuse)
    calls = []
    for _ in range(2):
        assert cached(slow_in(calls, 0), cache_dir=tmp_path).tolist() == [0, 1, 2]
    assert len(calls) == 1


def test_a_folder_that_cannot_be_made_is_no_lock(tmp_path):
    (tmp_path / "file").touch()
    with locks.one_at_a_time(tmp_path / "file" / "result.npz", "it"):
        assert os.listdir(tmp_path) == ["file"]


def test_nothing_is_locked_for_a_result_that_is_there(tmp_path, monkeypatch):
    slow = slow_in([], 0)
    cached(slow, cache_dir=tmp_path)
    monkeypatch.setattr(cache, "one_at_a_time", lambda *args: pytest.fail("locked"))
    cached(slow, cache_dir=tmp_path)


def test_what_killed_processes_left_is_removed_and_what_live_ones_need_is_not(tmp_path):
    folder = tmp_path / "slow"
    folder.mkdir()
    for age, name in ((7200, "old"), (60, "new")):
        for file in (f".{name}.part", f"{name}.lock", f"{name}.alive", f"{name}.npz"):
            (folder / file).touch()
            os.utime(folder / file, (time.time() - age, time.time() - age))
    remove_leftovers(tmp_path, slow_in([], 0))
    assert sorted(os.listdir(folder)) == [".new.part", "new.alive", "new.lock", "new.npz", "old.npz"]


def test_the_lock_of_a_long_computation_stays_young(tmp_path, monkeypatch):
    monkeypatch.setattr(locks, "_PULSE_SECONDS", 0.05)
    with locks.one_at_a_time(tmp_path / "slow" / "result.npz", "it"):
        lock = tmp_path / "slow" / "result.lock"
        os.utime(lock, (0, 0))
        deadline = time.monotonic() + 20
        while lock.stat().st_mtime == 0 and time.monotonic() < deadline:
            time.sleep(0.01)
        remove_leftovers(tmp_path, slow_in([], 0))
        assert lock.exists()
