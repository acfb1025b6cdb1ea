"""Collections that a file of one's own lists: a table of paths and labels, or features that were computed elsewhere."""

from __future__ import annotations

import csv
import io
import re
import stat
import zipfile
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ..core.conventions import ParameterError, listed, resolve_path

TABLE_ENDINGS = (".csv", ".tsv", ".parquet")
FEATURE_ENDINGS = (".npy", ".npz", ".parquet")
# Names of columns and arrays, in small letters; of several that are there the first counts.
_IMAGES = ("image", "path", "file", "filename", "file_name", "filepath", "images", "paths", "files", "names", "name")
_LABELS = ("label", "class", "category", "labels")
_FEATURES = ("features", "embeddings", "embedding", "x")


@dataclass(frozen=True)
class Listing:
    """What a file lists, a row for each image.

    Attributes
    ----------
    names : list of str
    labels : ndarray of str, shape (n,), or None
        None where the file has none, or the same for all.
    features : ndarray of float32, shape (n, d), or None
    """

    names: list[str]
    labels: np.ndarray | None
    features: np.ndarray | None = None


# --- tables -----------------------------------------------------------------------------------------------------------


def read_listing(path: str) -> tuple[Path, Listing]:
    """Read a table of paths and labels.

    Parameters
    ----------
    path : str
        A file of this machine: comma-separated values with a line of names, in UTF-8, also with semicolons or tabs, or
        Parquet.

    Returns
    -------
    file : Path
    listing : Listing
        The names are the paths as the table has them.

    Raises
    ------
    ParameterError
        If there is no such file, it is no such table, or no column is named as one of paths is.
    """
    file = _existing_file(path, "table", TABLE_ENDINGS)
    columns = _parquet(file) if file.suffix.lower() == ".parquet" else _separated(file)
    images = _find(columns, _IMAGES)
    if images is None:
        raise ParameterError(
            f"The table {file} has no column of paths, which is called {listed(_IMAGES[:4])}; its columns are "
            f"{listed(map(repr, columns), ' and ') if columns else 'none'}."
        )
    names = [_text(value, file) for value in images]
    if not names:
        raise ParameterError(f"The table {file} has a line of names and no rows.")
    return file, Listing(names, _labels(_find(columns, _LABELS), file))


def _separated(file: Path) -> dict[str, list[str]]:
    """Read separated values into columns; a row that is too short has empty texts at its end."""
    separator, rows = _rows(file)
    heads = rows[0][1] if rows else []
    for line, row in rows:
        if any(row[len(heads) :]):
            raise ParameterError(
                f"The table {file} has {len(row)} cells in line {line} and {len(heads)} names of columns; put a cell "
                f"in which there is a {separator!r} in quotation marks."
            )
    names = [head.strip().lower() for head in heads]
    if twice := [name for name in (*_IMAGES, *_LABELS) if names.count(name) > 1]:
        raise ParameterError(f"The table {file} has {names.count(twice[0])} columns {twice[0]!r}; leave one.")
    return {head: [row[i] if i < len(row) else "" for _, row in rows[1:]] for i, head in enumerate(heads)}


def _rows(file: Path) -> tuple[str, list[tuple[int, list[str]]]]:
    """Read the separator and the rows that are not empty, each with the number of the line where it ends."""
    try:
        text = file.read_text(encoding="utf-8-sig", errors="strict")
    except UnicodeDecodeError:
        raise ParameterError(f"The table {file} is no text in UTF-8.") from None
    first, _, rest = text.partition("\n")
    told = re.fullmatch(r"sep=(.)\s*", first)  # a line that Excel knows
    separator = told[1] if told else max(",;\t", key=first.count)
    lines = csv.reader(
        io.StringIO(rest if told else text, newline=""), delimiter=separator, skipinitialspace=True, strict=True
    )
    try:
        return separator, [(lines.line_num + bool(told), row) for row in lines if row]
    except csv.Error as error:
        line = lines.line_num + bool(told)
        raise ParameterError(f"The table {file} cannot be read as separated values: {error}, in line {line}.") from None


def _parquet(file: Path) -> dict[str, Sequence[Any]]:
    try:
        table = pd.read_parquet(file, dtype_backend="numpy_nullable")  # a missing number leaves the others whole
    except ImportError:
        raise ParameterError(
            f"The file {file} is read with the package pyarrow, which is not installed here; install it with "
            "`python -m pip install pyarrow`, or write the file in another format."
        ) from None
    except Exception as error:  # libraries of Parquet raise almost anything at a damaged file
        raise ParameterError(f"The file {file} cannot be read as Parquet: {_reason(error)}.") from None
    return {str(name): table[name].tolist() for name in table}


def _find(columns: Mapping[str, Any], names: Sequence[str]) -> Any | None:
    """Find the first of the columns of these names, whatever their letters' case."""
    known = {name.strip().lower(): column for name, column in reversed(columns.items())}
    return next((known[name] for name in names if name in known), None)


def _labels(values: Sequence[Any] | None, file: Path) -> np.ndarray | None:
    """Write labels as texts, and take those that are all alike for none."""
    if values is None:
        return None
    labels = np.array([_text(value, file) for value in values])
    return labels if len(set(labels)) > 1 else None


def _text(value: Any, file: Path) -> str:
    """Write a name or label, a text or a number, as a text; what is missing is an empty one."""
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    if not np.isscalar(value) and np.ndim(value):
        raise ParameterError(f"A name or label in {file} is a list; it must be a text or a number.")
    if pd.isna(value):
        return ""
    return f"{value:.0f}" if isinstance(value, float) and value.is_integer() else str(value)


def place_of(name: str, file: Path) -> Path:
    """Find the file that a row of a table names, from the folder of the table.

    What may never end, such as a pipe or a device, is not opened: its place is one where nothing can be.
    """
    path = Path(name.replace("\0", "\N{REPLACEMENT CHARACTER}"))
    with suppress(RuntimeError):  # the home of nobody
        path = path.expanduser()
    path = file.parent / path
    with suppress(OSError):
        kind = path.stat().st_mode
        if not stat.S_ISREG(kind) and not stat.S_ISDIR(kind):
            return file / "nothing"
    return path


# --- features ---------------------------------------------------------------------------------------------------------


def read_features(path: str) -> tuple[Path, Listing]:
    """Read features that were computed elsewhere, and names and labels where the file has them.

    Parameters
    ----------
    path : str
        A file of this machine: ``.npy``, a matrix; ``.npz``, with an array ``features`` or only one matrix, and perhaps
        arrays ``images`` and ``labels``; or Parquet, with a column ``features`` of lists, and perhaps columns ``image``
        and ``label``. Nothing in it that would have to be unpickled is loaded.

    Returns
    -------
    file : Path
    listing : Listing
        Where the file has no names, the rows are numbered.

    Raises
    ------
    ParameterError
        If there is no such file, or it holds no finite matrix, or names or labels that are not one for each row.
    """
    file = _existing_file(path, "file of features", FEATURE_ENDINGS)
    arrays = _parquet(file) if file.suffix.lower() == ".parquet" else _arrays(file)
    X = _matrix(arrays, file)
    names, labels = _find(arrays, _IMAGES), _find(arrays, _LABELS)
    for what, values in (("names", names), ("labels", labels)):
        if values is not None and len(values) != len(X):
            raise ParameterError(f"{file} has {len(X):,} rows of features and {len(values):,} {what}.")
    numbered = [f"row-{i:0{max(4, len(str(len(X) - 1)))}d}" for i in range(len(X))]
    return file, Listing(numbered if names is None else [_text(name, file) for name in names], _labels(labels, file), X)


def _arrays(file: Path) -> dict[str, np.ndarray]:
    try:
        with open(file, "rb") as opened:
            if not opened.read(6).startswith((b"\x93NUMPY", b"PK")):
                raise ValueError("it is no file of NumPy")
        # A matrix stays in its file until it is checked: one that says it is larger than the file is refused.
        loaded = np.load(file, allow_pickle=False, mmap_mode="r" if file.suffix.lower() == ".npy" else None)
        if isinstance(loaded, np.ndarray):
            return {"features": loaded}
        with loaded:
            return {name: np.atleast_1d(loaded[name]) for name in loaded.files}
    except (OSError, ValueError, EOFError, KeyError, MemoryError, OverflowError, zipfile.BadZipFile) as error:
        pickled = "pickle" in str(error) or "Python objects" in str(error)
        reason = "it holds Python objects, which are not loaded" if pickled else _reason(error)
        raise ParameterError(f"The features in {file} cannot be read: {reason}.") from None


def _matrix(arrays: Mapping[str, Any], file: Path) -> np.ndarray:
    """Find the matrix of features among arrays or columns, and check that it is one of finite numbers."""
    found = _find(arrays, _FEATURES)
    matrices = [array for array in arrays.values() if _is_matrix(array)] if found is None else [found]
    if len(matrices) != 1:
        raise ParameterError(
            f"{file} has no features, which are called {_FEATURES[0]!r}; it has "
            f"{listed(map(repr, arrays), ' and ') if arrays else 'nothing'}."
        )
    try:
        values = np.asarray(matrices[0] if isinstance(matrices[0], np.ndarray) else np.stack(matrices[0]))
    except (ValueError, TypeError):
        raise ParameterError(f"The features in {file} are not of one length.") from None
    if values.ndim != 2 or not values.size or values.dtype.kind not in "fiu":
        raise ParameterError(
            f"The features in {file} must be numbers in rows, one row for each image; they have the shape "
            f"{values.shape} and the type {values.dtype}."
        )
    with np.errstate(over="ignore"):
        X = np.array(values, dtype=np.float32, order="C")  # in memory
    if (bad := ~np.isfinite(X).all(axis=1)).any():
        raise ParameterError(
            f"The features in {file} are not finite, or too large for float32, in {bad.sum():,} of {len(X):,} rows, "
            f"the first of them row {bad.argmax()}."
        )
    return X


def _is_matrix(values: Any) -> bool:
    """Tell whether an array has two axes, or a column holds lists or arrays."""
    if isinstance(values, np.ndarray):
        return values.ndim == 2
    return len(values) > 0 and isinstance(values[0], (list, np.ndarray))


# --- files ------------------------------------------------------------------------------------------------------------


def _existing_file(path: str, what: str, endings: Sequence[str]) -> Path:
    if "://" in path:
        raise ParameterError(f"The {what} {path} is an address; it must be a file of this machine.")
    file = resolve_path(path)
    if not path or not file.is_file():
        raise ParameterError(f"The {what} {path or 'of no name'} is no file that is here.")
    if file.suffix.lower() not in endings:
        raise ParameterError(f"The {what} {file} must end in {listed(endings)}.")
    return file


def _reason(error: Exception) -> str:
    return " ".join(str(error).split()).rstrip(".") or type(error).__name__
