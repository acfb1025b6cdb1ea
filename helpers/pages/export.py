"""Take a study home: tables, verdict, figures and features in a folder, and the images in a folder for each cluster."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from tqdm import tqdm

from ..core.conventions import ParameterError
from ..core.files import write_atomically
from ..core.locks import one_at_a_time
from ..core.runs import one_run
from ..criteria.clusters import best_middle_worst, cluster_names
from ..criteria.table import DEEP, equal_k, scored_rows
from ..criteria.tree import cluster_flows, tree_levels
from ..figures import plots
from ..images.collection import ChangedImageError, CollectionError, ImageSet, Member, fetch, unpack
from ..images.weights import EmbeddingError
from ..parameters import Parameters
from ..study import Study
from .sources import NotebookError
from .tables import N_REPRESENTATIVES, READING, image_table, k_to_take, take_home

COPIES = {"file": "the images", "link": "links to the images"}
_MANIFEST = "manifest.json"
_MADE_BY = "python -m helpers export"
_README = """\
# What was exported

{sentence}

| file | what is in it |
| --- | --- |
| `clusters.csv` | each image, and for k = {k}: its cluster, its silhouette, the nearest other cluster (its rival), and its distance to the centre |
| `criteria.csv` | what every criterion says at each k |
| `representatives.csv` | images to label by hand at k = {shown}: those that cover the clusters best, each with the number of images that it stands for, and some from the middle and from the border of each cluster |
| `verdict.json` | the verdict with its levels and sentences, what moves with chance, parameters, fingerprint of the images, versions |
| `features.npz` | `features`, the space in which silhouettes are measured; `points`, what k-means saw; `images`, and `labels` where they are known |
| `figures/` | the main figures, as SVG and PNG |
{copies}| `manifest.json` | the digest of each file, by which a later export knows that nobody has changed it |

A text in a table that a spreadsheet would take for a formula has an apostrophe in front, and so has one that begins with an apostrophe.
This reads a table without a loss:

```python
{reading}```

{credit}
"""  # noqa: E501
# Names that Windows keeps for devices, and characters that some file system refuses.
_RESERVED = re.compile(r"(?i)(con|prn|aux|nul|com\d|lpt\d)(\.|$)")
_REFUSED = re.compile(r'[<>:"/\\|?*\x00-\x1f\x7f]')
_LONGEST_NAME = 120


@one_run()
def export_study(
    parameters: Parameters, folder: Path, *, copy: str | None = None, n_representatives: int = N_REPRESENTATIVES
) -> str:
    """Compute a study, or take it from the cache, and write what one takes home into a folder.

    The folder is put in place when all of it is there.

    Parameters
    ----------
    parameters : Parameters
    folder : Path
        A new folder, an empty one, or an earlier export in which nobody has changed or added a file.
    copy : {'file', 'link'}, optional
        Put the images, or links to them, into a folder for each cluster, at the k of the verdict or a convenient one.
        Images that are no files, such as the digits, become files of PNG.
    n_representatives : int
        Number of images to label by hand that cover the clusters.

    Returns
    -------
    str
        A sentence that says what is where.

    Raises
    ------
    ParameterError
        If the data do not allow the parameters, or there are no pictures to copy, or no files to link to.
    NotebookError
        If the folder is there and is no earlier export, or images change or cannot be read.
    """
    folder = folder.resolve()
    work = folder.parent / f".{folder.name}.export"
    with _failures(), one_at_a_time(work, f"an export to {folder}"):
        _clear(work, folder)
        _check_replaced(folder)
        study = Study.from_names(dict(parameters))
        _check_copy(study.images, copy)
        work.mkdir(parents=True)
        try:
            _write_all(study, work / "new", copy, n_representatives)
            _check_replaced(folder)
            _put_in_place(work / "new", folder, work / "previous")
        finally:
            _clear(work, folder)
    copies = f" The folder clusters in it has {COPIES[copy]} at k = {study.verdict.convenience}." if copy else ""
    return f"{_sentence(study)} It is in {folder}, and README.md there says what is what.{copies}"


def _clear(work: Path, folder: Path) -> None:
    """Remove the parts of an export that did not end, and put an earlier export back that it had moved away."""
    if (work / "previous").exists() and not folder.exists():
        os.rename(work / "previous", folder)
    if work.exists():
        for part in ("new", "previous"):
            shutil.rmtree(work / part, ignore_errors=True)
        work.rmdir()


def _put_in_place(new: Path, folder: Path, previous: Path) -> None:
    """Put a new folder in the place of another, which comes back if that does not succeed."""
    if not folder.exists():
        os.rename(new, folder)
        return
    os.rename(folder, previous)
    try:
        os.rename(new, folder)
    except BaseException:
        if not folder.exists():
            os.rename(previous, folder)
        raise


@one_run()
def told_verdict(parameters: Parameters) -> str:
    """Compute a study, or take it from the cache, and say in sentences how many clusters there are.

    Raises
    ------
    ParameterError
        If the data do not allow the parameters.
    NotebookError
        If images change or cannot be read.
    """
    with _failures():
        study = Study.from_names(dict(parameters))
        sentences, n_images = study.verdict.sentences, len(study.embeddings.kept)
    told = [
        sentences[topic] for topic in ("conclusion", "levels", "missing", "draws", "strength") if topic in sentences
    ]
    return "\n".join([f"{n_images:,} images of {parameters.dataset!r}.", *told])


@contextmanager
def _failures() -> Iterator[None]:
    """Report what fails at the images as what fails in a run."""
    try:
        yield
    except (CollectionError, EmbeddingError) as error:
        raise NotebookError(str(error)) from None


def _sentence(study: Study) -> str:
    ks, n_images = k_to_take(study), len(study.embeddings.kept)
    return f"The clusters of {n_images:,} images of {study.params.dataset!r} at k = {', '.join(map(str, ks))}."


# --- the folder -------------------------------------------------------------------------------------------------------


def _check_replaced(folder: Path) -> None:
    """Refuse to replace a folder that holds anything but an earlier export as it was written."""
    if Path.cwd().is_relative_to(folder):
        raise NotebookError(f"{folder} is where you are, and would be replaced; name a folder in it as --output.")
    if not folder.exists() or (folder.is_dir() and not any(folder.iterdir())):
        return
    known = _known_contents(folder)
    if known is None:
        raise NotebookError(
            f"{folder} is there and is no earlier export, which alone is replaced; name another --output."
        )
    for name, content in _contents(folder).items():
        if known.get(name) != content:
            done = "has changed" if name in known else "was added"
            raise NotebookError(f"{folder} is an earlier export in which {name} {done}; name another --output.")


def _known_contents(folder: Path) -> dict[str, str] | None:
    """Read which files an earlier export wrote, and what was in them; None where the folder is none."""
    try:
        manifest = json.loads((folder / _MANIFEST).read_text(encoding="utf-8"))
        known = manifest["files"] if manifest["made_by"] == _MADE_BY else None
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None
    return known if isinstance(known, dict) else None


def _contents(folder: Path) -> dict[str, str]:
    """Compute the digest of each file below a folder, or where it leads, by its path; the manifest is left out."""
    paths = [path for path in sorted(folder.rglob("*")) if path.is_symlink() or path.is_file()]
    return {path.relative_to(folder).as_posix(): _content(path) for path in paths if path != folder / _MANIFEST}


def _content(path: Path) -> str:
    if path.is_symlink():
        return f"link to {os.readlink(path)}"
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _write_all(study: Study, folder: Path, copy: str | None, n_representatives: int) -> None:
    files = take_home(study, n_representatives)
    for name, content in files.items():
        write_atomically(folder / name, lambda file, content=content: file.write(content))
    write_atomically(folder / "features.npz", lambda file: np.savez(file, allow_pickle=False, **_arrays(study)))
    for name, figure in _figures(study):
        for ending in ("svg", "png"):
            _save(figure, folder / "figures" / f"{name}.{ending}")
        plots.plt.close(figure)
    if copy:
        _copy_images(study, folder / "clusters", copy)
    write_atomically(folder / "README.md", lambda file: file.write(_readme(study, copy).encode()))
    manifest = {"made_by": _MADE_BY, "files": _contents(folder)}
    write_atomically(folder / _MANIFEST, lambda file: file.write(json.dumps(manifest, indent=1).encode()))


def _readme(study: Study, copy: str | None) -> str:
    k = study.verdict.convenience
    return _README.format(
        sentence=_sentence(study),
        k=", ".join(map(str, k_to_take(study))),
        shown=k,
        copies=f"| `clusters/` | {COPIES[copy]}, in a folder for each cluster at k = {k} |\n" if copy else "",
        reading=READING,
        credit=study.images.credit,
    )


def _arrays(study: Study) -> dict[str, Any]:
    """Collect the features with the names and labels of their rows; none of the arrays holds objects."""
    named = {f"{name}s": np.array(values.tolist(), dtype=str) for name, values in image_table(study).items()}
    points = {} if study.params.n_components is None else {"points": study.points}
    return {"features": study.features, **points, **named}


# --- figures ----------------------------------------------------------------------------------------------------------


def _figures(study: Study) -> Iterator[tuple[str, Figure]]:
    """Draw the main figures, each with the name of its file."""
    plots.set_style()
    criteria, k = study.criteria, study.verdict.convenience
    rows = [study.k_values.index(k) for k in k_to_take(study)]
    labels = study.labels_at(k)
    yield "criteria", plots.plot_criteria(scored_rows(criteria), equal_k(criteria))
    yield "valleys", _new_axes(plots.plot_valleys, study.valleys.table(), DEEP, study.verdict.n_clusters)
    yield "silhouettes", plots.plot_knives(study.silhouettes[rows], study.sweep.labels[rows])
    yield "map", _new_axes(plots.plot_map, study.map_points, labels.tolist(), f"The clusters at k = {k}")
    if study.images.has_pictures:
        silhouette, names = study.silhouettes[study.k_values.index(k)], cluster_names(labels, study.labels)
        gallery = [
            [(study.open_image(i), f"{silhouette[i]:.2f}") for i in best_middle_worst(silhouette, labels, cluster)]
            for cluster in names.index
        ]
        yield "clusters", plots.plot_gallery(gallery, list(names))
        levels = tree_levels(study.k_values, list(study.verdict.levels.index), k)
        if len(levels) > 1:
            flows = cluster_flows(np.stack([study.labels_at(level) for level in levels]))
            opened = [[study.open_image(i) for i in study.central_at(level)] for level in levels]
            yield "tree", plots.plot_tree(levels, flows, opened)


def _new_axes(plot: Any, *args: Any) -> Figure:
    _, axes = plots.plt.subplots()
    return plot(*args, axes).figure


def _save(figure: Figure, path: Path) -> None:
    """Save a figure on white, the same for the same figure."""
    about = {"Date": None} if path.suffix == ".svg" else None
    options = {"format": path.suffix[1:], "dpi": 150, "facecolor": "white", "metadata": about}
    with plots.plt.rc_context({"svg.hashsalt": "how-many-clusters"}):
        write_atomically(path, lambda file: figure.savefig(file, **options))


# --- images -----------------------------------------------------------------------------------------------------------


def _check_copy(images: ImageSet, copy: str | None) -> None:
    if copy and not images.has_pictures:
        raise ParameterError(f"The data set {images.dataset!r} comes without pictures, so there are none to --copy.")
    if copy == "link" and not all(isinstance(item, Path) for item in images.items):
        raise ParameterError(
            f"The images of {images.dataset!r} are no files of this machine to link to; take --copy file."
        )


def _copy_images(study: Study, folder: Path, copy: str) -> None:
    """Put each image into the folder of its cluster, under a name that no other image there has."""
    labels = study.labels_at(study.verdict.convenience)
    taken: dict[str, dict[str, int]] = {}
    for row in tqdm(range(len(labels)), desc="images", unit="image", disable=None):
        i, place = study.embeddings.kept[row], f"cluster-{labels[row]:02d}"
        is_file = not isinstance(study.images.items[i], np.ndarray)
        name = study.images.names[i] if is_file else f"{study.images.names[i]}.png"
        path = folder / place / safe_name(name, taken.setdefault(place, {}))
        if copy == "link":
            path.parent.mkdir(parents=True, exist_ok=True)
            path.symlink_to(study.images.items[i])
        elif is_file:
            content = _read_unchanged(study.images, i)
            write_atomically(path, lambda file, content=content: file.write(content))
        else:
            write_atomically(path, lambda file, row=row: study.open_image(row).save(file, format="png"))


def safe_name(name: str, taken: dict[str, int]) -> str:
    """Make the name of a file that any file system takes out of the path of an image, and note it as taken.

    Parameters
    ----------
    name : str
        With ``/`` between its parts, of which the last is kept.
    taken : dict of str to int
        The names that are there, as they compare where case and composed letters do not count, and the last number
        that was added to each; the new one is noted.

    Examples
    --------
    >>> taken = {}
    >>> safe_name("a/1.png", taken), safe_name("b/1.PNG", taken), safe_name('c/=1 "?".png', taken)
    ('1.png', '1-2.PNG', '=1 ___.png')
    """
    last = name.rpartition("/")[2].encode("utf-8", "replace").decode()
    stem, ending = os.path.splitext(_REFUSED.sub("_", last))
    stem, ending = stem.strip(" .") or "image", ending.rstrip(" .")[:16]
    stem = f"_{stem}" if _RESERVED.match(stem) or stem.startswith("-") else stem
    while len(f"{stem}{ending}".encode()) > _LONGEST_NAME:
        stem = stem[:-1]
    found = wanted = f"{stem}{ending}"
    number = taken.get(_compared(wanted), 1)
    while _compared(found) in taken:
        number += 1
        found = f"{stem}-{number}{ending}"
    taken[_compared(wanted)] = number
    taken.setdefault(_compared(found), 1)
    return found


def _compared(name: str) -> str:
    return unicodedata.normalize("NFC", name).casefold()


def _read_unchanged(images: ImageSet, i: int) -> bytes:
    """Read the file of an image from the disk, a zip file or an address, as it was when the study read it."""
    place = images.items[i]
    if isinstance(place, Member):
        content = unpack(place)
    else:
        content = place.read_bytes() if isinstance(place, Path) else fetch(place)
    if hashlib.sha256(content).hexdigest() != images.contents[i]:
        raise ChangedImageError.of(images.names[i], "has changed")
    return content
