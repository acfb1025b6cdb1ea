"""Results kept on disk, keyed by all they depend on.

A key is a SHA-256 over the function's name, every argument (arrays by content, image sets by their fingerprint), the
sources of all modules that the function's module reaches by imports, and the versions of the libraries. So what is
found under a key is what the function would compute. Files are NumPy archives without pickles, written to a temporary
file and renamed into place; the SHA-256 of the archive follows it, and an archive that does not agree with its digest
is computed again. Two processes that miss the same result do not both compute it: see `one_at_a_time`.
"""

from __future__ import annotations

import dataclasses
import hashlib
import io
import json
import time
import typing
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from .conventions import ParameterError, resolve_path
from .files import write_atomically
from .fingerprints import digest, library_versions, source_digest, sources_edited, to_json
from .locks import ALIVE, LOCK, one_at_a_time

_OLD_SECONDS = 3600
# Of the stored files: to be raised when they change, since this module is in the keys of those functions only whose
# modules import it.
_FORMAT = 1
_CHECKSUM_BYTES = hashlib.sha256().digest_size


def cached(
    function: Callable[..., Any],
    *args: Any,
    cache_dir: str | Path,
    unkeyed: dict[str, Any] | None = None,
    all_sources: bool = False,
    **kwargs: Any,
) -> Any:
    """Call a function of this package, or read the result of an equal call from its file.

    Parameters
    ----------
    function : callable
        A function of `helpers` whose annotated result is an array or a dataclass of arrays, lists of arrays and
        values that JSON can hold.
    *args, **kwargs
        Its arguments: arrays, objects with a `fingerprint`, and values that JSON can hold.
    cache_dir : path
        Folder of the results; a relative one starts at the repository.
    unkeyed : dict, optional
        Further keyword arguments, which cannot change the result, such as ``n_jobs`` or the text of a progress bar.
    all_sources : bool
        Let the result depend on all sources of this package, and not only on those that the function's module
        reaches by imports: for a function that starts a process which imports modules of its own.

    Returns
    -------
    object
        The function's result.

    Raises
    ------
    TypeError
        If an argument is none of these.
    ParameterError
        If the result is stored and its file cannot be read.

    Examples
    --------
    >>> import tempfile
    >>> import numpy as np
    >>> from helpers.clustering.sweep import sweep_kmeans
    >>> X = np.array([[0.0], [1.0], [9.0]])
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     for _ in range(2):  # the second is read from the file that the first has written
    ...         cached(sweep_kmeans, X, [2], cache_dir=folder, unkeyed={"n_jobs": 1}).labels
    array([[0, 0, 1]], dtype=int32)
    array([[0, 0, 1]], dtype=int32)
    """
    call = partial(function, *args, **kwargs, **(unkeyed or {}))
    module = None if all_sources else function.__module__
    if sources_edited(module):
        # A source was edited since this process read it, and which text runs here is not known: store nothing.
        return call()
    path = _path(cache_dir, function, args, kwargs, module)
    stored = _read(path)
    if stored is None:
        stored = _computed_once(path, call, function.__name__, module)
    return _from_arrays(stored, typing.get_type_hints(function)["return"])


def _computed_once(path: Path, call: Callable[[], Any], name: str, module: str | None) -> dict[str, np.ndarray]:
    """Compute and store a result, unless another process does so first, or a source is edited meanwhile."""
    with one_at_a_time(path, name):
        stored = _read(path)
        if stored is None:
            stored = _to_arrays(call())
            if not sources_edited(module):
                _write(path, stored)
    return stored


def is_cached(
    function: Callable[..., Any],
    *args: Any,
    cache_dir: str | Path,
    unkeyed: dict[str, Any] | None = None,
    **kwargs: Any,
) -> bool:
    """Tell whether `cached` would find the result of this call, undamaged."""
    module = function.__module__
    return not sources_edited(module) and _read(_path(cache_dir, function, args, kwargs, module)) is not None


def check_folder(cache_dir: str | Path) -> None:
    """Make the folder of the results, before hours are spent on what is to be stored in it.

    Raises
    ------
    ParameterError
        If there can be no such folder.
    """
    folder = resolve_path(cache_dir)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        reason = "is a file" if folder.is_file() else f"cannot be made ({error.strerror})"
        raise ParameterError(f"cache_dir = {str(cache_dir)!r} must be a folder, and {folder} {reason}.") from None


def remove_leftovers(cache_dir: str | Path, function: Callable[..., Any]) -> None:
    """Remove the files that killed processes have left beside the results of a function."""
    folder = resolve_path(cache_dir) / function.__name__
    for pattern in (".*.part", f"*{LOCK}", f"*{ALIVE}"):
        for path in folder.glob(pattern):
            # A live writer renames its part within seconds and touches its other files every few seconds, so an old
            # file is abandoned. Another process may be removing it, too.
            with suppress(FileNotFoundError):
                if time.time() - path.stat().st_mtime > _OLD_SECONDS:
                    path.unlink()


def _path(
    cache_dir: str | Path,
    function: Callable[..., Any],
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    module: str | None,
) -> Path:
    """Name the file of a result that depends on the sources which a module reaches, or on all without a module."""
    return resolve_path(cache_dir) / function.__name__ / f"{_key(function, args, kwargs, module)}.npz"


def _key(function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any], module: str | None) -> str:
    return digest(
        _FORMAT,
        f"{function.__module__}.{function.__name__}",
        source_digest(module),
        library_versions(),
        len(args),
        *args,
        *(part for name in sorted(kwargs) for part in (name, kwargs[name])),
    )


def _to_arrays(result: Any) -> dict[str, np.ndarray]:
    if isinstance(result, np.ndarray):
        return {"array": result}
    arrays = {}
    for field in dataclasses.fields(result):
        value = getattr(result, field.name)
        if isinstance(value, np.ndarray):
            arrays[field.name] = value
        elif isinstance(value, list) and value and all(isinstance(item, np.ndarray) for item in value):
            arrays |= {f"{field.name}.{position}": item for position, item in enumerate(value)}
        else:
            arrays[f"{field.name}.json"] = np.array(json.dumps(value, default=to_json))
    return arrays


def _from_arrays(arrays: dict[str, np.ndarray], result_type: type) -> Any:
    if result_type is np.ndarray:
        return arrays["array"]
    values = {}
    for field in dataclasses.fields(result_type):
        if field.name in arrays:
            values[field.name] = arrays[field.name]
        elif f"{field.name}.json" in arrays:
            values[field.name] = json.loads(str(arrays[f"{field.name}.json"]))
        else:
            members = [name for name in arrays if name.startswith(f"{field.name}.")]
            values[field.name] = [arrays[f"{field.name}.{position}"] for position in range(len(members))]
    return result_type(**values)


def _read(path: Path) -> dict[str, np.ndarray] | None:
    """Read the arrays of a file; None if there is no such file or it is damaged.

    Raises
    ------
    ParameterError
        If it is there and cannot be read: whoever may not read a result of others shall not overwrite it.
    """
    try:
        content = path.read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise ParameterError(
            f"The stored result {path} cannot be read ({error.strerror}): change the rights of its folder, or name "
            "another cache_dir."
        ) from None
    archive, checksum = content[:-_CHECKSUM_BYTES], content[-_CHECKSUM_BYTES:]
    if hashlib.sha256(archive).digest() != checksum:
        return None
    with np.load(io.BytesIO(archive), allow_pickle=False) as members:
        return {name: members[name] for name in members.files}


def _write(path: Path, arrays: dict[str, np.ndarray]) -> None:
    buffer = io.BytesIO()
    np.savez(buffer, allow_pickle=False, **arrays)
    archive = buffer.getbuffer()
    write_atomically(path, lambda file: file.writelines([archive, hashlib.sha256(archive).digest()]))
