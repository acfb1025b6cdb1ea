"""Collections that a file of one's own lists: a table of paths and labels, or features that were computed elsewhere."""

from __future__ import annotations

import csv
import io
import stat
import zipfile
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

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
    names = [value if isinstance(value, str) else "" for value in images]
    if not names:
        raise ParameterError(f"The table {file} has a line of names and no rows.")
    return file, Listing(names, _labels(_find(columns, _LABELS)))


def _separated(file: Path) -> dict[str, list[str]]:
    """Read separated values; a row that is too short has empty texts at its end."""
    try:
        text = file.read_text(encoding="utf-8-sig", errors="strict")
        separator = max(",;\t", key=text.partition("\n")[0].count)
        rows = [row for row in csv.reader(io.StringIO(text, newline=""), delimiter=separator) if row]
    except UnicodeDecodeError:
        raise ParameterError(f"The table {file} is no text in UTF-8.") from None
    except csv.Error as error:
        raise ParameterError(f"The table {file} cannot be read as separated values: {error}.") from None
    heads = rows[0] if rows else []
    return {head: [row[i] if i < len(row) else "" for row in rows[1:]] for i, head in enumerate(heads)}


def _parquet(file: Path) -> dict[str, Sequence[Any]]:
    import pandas as pd

    try:
        table = pd.read_parquet(file)
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


def _labels(values: Sequence[Any] | None) -> np.ndarray | None:
    labels = (
        None
        if values is None
        else np.array(["" if value is None or value != value else str(value) for value in values])
    )
    return labels if labels is not None and len(set(labels)) > 1 else None


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
    return file, Listing(numbered if names is None else [str(name) for name in names], _labels(labels), X)


def _arrays(file: Path) -> dict[str, np.ndarray]:
    try:
        loaded = np.load(file, allow_pickle=False)
        if isinstance(loaded, np.ndarray):
            return {"features": loaded}
        with loaded:
            return {name: np.atleast_1d(loaded[name]) for name in loaded.files}
    except (OSError, ValueError, EOFError, KeyError, zipfile.BadZipFile) as error:
        pickled = "pickle" in str(error)
        reason = "it holds Python objects, which are not loaded" if pickled else _reason(error)
        raise ParameterError(f"The features in {file} cannot be read: {reason}.") from None


def _matrix(arrays: Mapping[str, Any], file: Path) -> np.ndarray:
    """Find the matrix of features among arrays or columns, and check that it is one of finite numbers."""
    found = _find(arrays, _FEATURES)
    matrices = [array for array in arrays.values() if np.ndim(array) == 2] if found is None else [found]
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
        X = np.ascontiguousarray(values, dtype=np.float32)
    if (bad := ~np.isfinite(X).all(axis=1)).any():
        raise ParameterError(
            f"The features in {file} are not finite, or too large for float32, in {bad.sum():,} of {len(X):,} rows, "
            f"the first of them row {bad.argmax()}."
        )
    return X


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
