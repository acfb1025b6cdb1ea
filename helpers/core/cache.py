"""Results kept on disk, keyed by all they depend on.

A key is a SHA-256 over the function's name, every argument (arrays by content, image sets by their fingerprint), the
source of the function's module and of all that stand before it on the road, and the versions of the libraries. So
what is found under a key is what the function would compute. Files are NumPy archives without pickles, written beside
their place and renamed into it; behind the archive stands its SHA-256, and what does not agree with it is computed
again.
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
from pathlib import Path
from typing import Any

import numpy as np

from .conventions import ROOT
from .files import write_atomically
from .fingerprints import digest, library_versions, source_digest, sources_edited, to_json

_OLD_SECONDS = 3600
_FORMAT = 1  # of the stored files; this module is in no key but its own
_CHECKSUM_BYTES = hashlib.sha256().digest_size


def cached(
    function: Callable[..., Any],
    *args: Any,
    cache_dir: str | Path,
    unkeyed: dict[str, Any] | None = None,
    **kwargs: Any,
) -> Any:
    """Call a function of this package, or take what an equal call gave before.

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
        Further keyword arguments, which cannot change the result: how many jobs, what a progress bar says.

    Returns
    -------
    The function's result.
    """
    if sources_edited(function.__module__):
        # A source was edited since this process read it, and which text runs here is not known: store nothing.
        return function(*args, **kwargs, **(unkeyed or {}))
    path = _path(cache_dir, function, args, kwargs)
    stored = _read(path)
    if stored is None:
        stored = _to_arrays(function(*args, **kwargs, **(unkeyed or {})))
        _write(path, stored)
    return _from_arrays(stored, typing.get_type_hints(function)["return"])


def is_cached(
    function: Callable[..., Any],
    *args: Any,
    cache_dir: str | Path,
    unkeyed: dict[str, Any] | None = None,
    **kwargs: Any,
) -> bool:
    """Whether `cached` would find the result of this call, undamaged."""
    return not sources_edited(function.__module__) and _read(_path(cache_dir, function, args, kwargs)) is not None


def remove_leftovers(cache_dir: str | Path, function: Callable[..., Any]) -> None:
    """Remove what processes that were killed while writing results of a function have left there."""
    for part in (ROOT / cache_dir / function.__name__).glob(".*.part"):
        # A part lives for moments; an old one is nobody's. Another process may remove it, too.
        with suppress(FileNotFoundError):
            if time.time() - part.stat().st_mtime > _OLD_SECONDS:
                part.unlink()


def _path(cache_dir: str | Path, function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Path:
    return ROOT / cache_dir / function.__name__ / f"{_key(function, args, kwargs)}.npz"


def _key(function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> str:
    return digest(
        _FORMAT,
        f"{function.__module__}.{function.__name__}",
        source_digest(function.__module__),
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
    """The arrays of a file, or None where there is none or it is damaged."""
    try:
        content = path.read_bytes()
    except OSError:
        return None
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
