"""Files that are computed by one process at a time, the others waiting for it."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Event, Thread

from filelock import BaseFileLock, FileLock, Timeout

LOCK, ALIVE = ".lock", ".alive"  # endings of the files that stand beside a file while it is computed

_PATIENCE_SECONDS = 2  # of waiting, before it is worth a message
_QUIET_SECONDS = 60  # between two messages of the same words, as for many small files in succession
_PULSE_SECONDS = 5  # between two signs of life
_SILENCE_SECONDS = 30  # without a sign of life, until the holder of a lock is taken for stopped
_POLL_SECONDS = 0.1


@contextmanager
def one_at_a_time(path: Path, what: str) -> Iterator[None]:
    """Wait until no other process or thread is in this context for the same path.

    The operating system takes the lock from a process that dies. One that is stopped keeps it, but no longer touches
    the file that shows that it is alive: after half a minute without a sign of life, and where the file system has no
    locks, the context is entered without the lock. So it saves work, and keeps no two processes apart for certain:
    what is written in it must be written atomically, and looked for again first.

    Parameters
    ----------
    path : Path
        The file that is computed in the context. The lock stands beside it, only while it is held.
    what : str
        What is computed, for the message on standard error that tells what a wait is for.
    """
    lock, alive = FileLock(path.with_suffix(LOCK)), path.with_suffix(ALIVE)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        held = _acquire(lock, alive, what)
    except (OSError, NotImplementedError):  # no right to write there, or a file system without locks
        held = False
    if not held:
        yield
        return
    try:
        with _pulse(Path(lock.lock_file), alive):
            yield
    finally:
        lock.release()


def _acquire(lock: BaseFileLock, alive: Path, what: str) -> bool:
    """Wait for a lock; False if its holder gives no sign of life."""
    began = heard = time.monotonic()
    last_sign, told = _last_sign(alive), False
    while True:
        with suppress(Timeout):
            lock.acquire(timeout=_POLL_SECONDS, poll_interval=_POLL_SECONDS / 2)
            return True
        now = time.monotonic()
        if not told and now - began > _PATIENCE_SECONDS:
            _tell(what, now)
            told = True
        sign = _last_sign(alive)
        if sign != last_sign:
            last_sign, heard = sign, now
        if now - heard > _SILENCE_SECONDS:
            return False


_last_message: dict[str, float] = {}  # time of the last message about each function


def _tell(what: str, now: float) -> None:
    if now - _last_message.get(what, -_QUIET_SECONDS) >= _QUIET_SECONDS:
        _last_message[what] = now
        print(f"waiting for another process that is computing {what}", file=sys.stderr, flush=True)


def _last_sign(alive: Path) -> int | None:
    try:
        return alive.stat().st_mtime_ns
    except OSError:
        return None


@contextmanager
def _pulse(lock_file: Path, alive: Path) -> Iterator[None]:
    """Touch a file every few seconds, from a thread that is stopped when the process is; then remove it and the lock's.

    The file of the lock does not serve for this, since some versions of filelock let a process that waits touch it. It
    is touched to look as young as it is, and removed by its holder: a process that waits for a removed file gets its
    lock, and looks for the result first.
    """
    done = Event()

    def beat() -> None:
        while True:
            with suppress(OSError):
                alive.touch()
                lock_file.touch()
            if done.wait(_PULSE_SECONDS):
                return

    thread = Thread(target=beat, name="pulse", daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()
        for file in (alive, lock_file):
            with suppress(OSError):
                file.unlink()
