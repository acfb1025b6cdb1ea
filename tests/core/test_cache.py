"""The cache: what is found under a key is what the function would compute, whatever happened to the file."""

from __future__ import annotations

import dataclasses
import importlib
import io
import json
import pickle
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest

from helpers.core import cache, conventions, files, fingerprints
from helpers.core.cache import cached, is_cached
from helpers.core.conventions import ROOT, ParameterError
from helpers.core.files import write_atomically
from helpers.core.fingerprints import LIBRARIES, digest, library_versions
from helpers.images.datasets import load_images


@dataclasses.dataclass(frozen=True)
class Everything:
    """One of each kind of field that a result may have."""

    array: np.ndarray
    parts: list[np.ndarray]
    names: list[list[str]]
    nothing: list[np.ndarray]
    count: int
    missing: int | None


class Counter:
    """Makes functions that pass for functions of the clustering wing, and counts how often they are computed."""

    def __init__(self):
        self.calls = 0

    def function(self, module="reduction"):
        def double(x: np.ndarray, times: int = 2, *, names: list[str] | None = None, bar: str = "") -> np.ndarray:
            self.calls += 1
            return np.asarray(x) * times

        double.__module__ = f"helpers.clustering.{module}"
        return double


@pytest.fixture
def counter():
    return Counter()


X = np.arange(6.0)


def calls_of_two(counter, cache_dir, first, second, functions=("reduction", "reduction")):
    """Count how often two calls, each (args, kwargs), compute."""
    for module, (args, kwargs) in zip(functions, (first, second)):
        expected = counter.function(module)(*args, **kwargs)
        counter.calls -= 1
        given = cached(counter.function(module), *args, cache_dir=cache_dir, **kwargs)
        assert np.array_equal(given, expected) and given.dtype == expected.dtype
    return counter.calls


# --- served and not served --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (((X,), {}), ((X.copy(),), {})),
        (((X, 3), {}), ((X, np.int64(3)), {})),
        (((X,), {"names": ["a", "b"]}), ((X,), {"names": ["a", "b"]})),
        (((range(3),), {}), ((range(3),), {})),
        (((X.reshape(2, 3).T.copy(),), {}), ((X.reshape(2, 3).T,), {})),
    ],
    ids=["equal content", "NumPy's integers", "lists", "ranges", "memory layout"],
)
def test_equal_calls_are_computed_once(counter, tmp_path, first, second):
    assert calls_of_two(counter, tmp_path, first, second) == 1


def changed_in_one_place():
    other = X.copy()
    other[3] = np.nextafter(other[3], 9)  # the smallest change there is
    return other


@pytest.mark.parametrize(
    "second",
    [
        ((changed_in_one_place(),), {}),
        ((X.astype(np.float32),), {}),
        ((X.reshape(2, 3),), {}),
        ((X[::-1],), {}),
        ((X.astype(">f8"),), {}),
        ((X.tolist(),), {}),
        ((X, 3), {}),
        ((X, 2.0), {}),
        ((X,), {"times": 3}),
        ((X,), {"names": ["a"]}),
        ((X,), {"names": []}),
    ],
    ids=[
        "one element", "dtype", "shape", "order", "byte order", "list", "argument", "type of an argument",
        "keyword", "list keyword", "empty list",
    ],
)  # fmt: skip
def test_changed_call_is_computed_again(counter, tmp_path, second):
    assert calls_of_two(counter, tmp_path, ((X,), {}), second) == 2


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ((["a", "b"],), (["a"], ["b"])),
        (("ab", "c"), ("a", "bc")),
        (("1",), (1,)),
        ((None,), ("null",)),
        ((True,), (1,)),
        ((np.array([1, 2]), np.array([3])), (np.array([1]), np.array([2, 3]))),
        (({"a": 1, "b": 2},), ({"a": 2, "b": 1},)),
    ],
)
def test_digest_tells_apart_what_is_written_alike(first, second):
    assert digest(*first) != digest(*second)


def test_digest_refuses_what_it_cannot_tell_apart():
    with pytest.raises(TypeError, match="object"):
        digest(object())


def test_functions_of_one_name_in_two_modules_do_not_share_results(counter, tmp_path):
    assert calls_of_two(counter, tmp_path, ((X,), {}), ((X,), {}), ("reduction", "sweep")) == 2


def test_images_count_by_their_fingerprint(tmp_path):
    seen = []

    def sizes(images) -> np.ndarray:
        seen.append(images.fingerprint)
        return np.array([len(images)])

    sizes.__module__ = "helpers.images.embeddings"
    for images in (load_images("digits", n_images=5), load_images("digits", n_images=5)):
        cached(sizes, images, cache_dir=tmp_path)
    assert len(seen) == 1
    cached(sizes, load_images("digits", n_images=5, random_state=1), cache_dir=tmp_path)
    assert len(seen) == 2


def test_unkeyed_arguments_reach_the_function_and_change_nothing(counter, tmp_path):
    for bar in ("first", "second"):
        given = cached(counter.function(), X, cache_dir=tmp_path, unkeyed={"bar": bar})
        assert np.array_equal(given, 2 * X)
    assert counter.calls == 1


def test_error_of_the_function_is_passed_on_and_not_kept(tmp_path):
    def failing(x: np.ndarray) -> np.ndarray:
        raise ValueError("no result")

    failing.__module__ = "helpers.clustering.reduction"
    for _ in range(2):
        with pytest.raises(ValueError, match="no result"):
            cached(failing, X, cache_dir=tmp_path)
    assert not list(tmp_path.rglob("*.npz"))


def test_relative_folder_starts_at_the_repository(counter, tmp_path, monkeypatch):
    monkeypatch.setattr(conventions, "ROOT", tmp_path / "repository")
    monkeypatch.chdir(tmp_path)
    cached(counter.function(), X, cache_dir="some/cache")
    (file,) = tmp_path.rglob("*.npz")
    assert file.is_relative_to(tmp_path / "repository" / "some" / "cache")


# --- libraries and source ---------------------------------------------------------------------------------------------


@pytest.fixture
def other_versions(monkeypatch):
    """Lets a library have another version."""

    def change(library):
        version = fingerprints.metadata.version
        monkeypatch.setattr(fingerprints.metadata, "version", lambda name: "0.1" if name == library else version(name))
        fingerprints._versions_in.cache_clear()

    yield change
    fingerprints._versions_in.cache_clear()


@pytest.mark.parametrize("library", LIBRARIES)
def test_another_version_of_a_library_is_another_key(counter, tmp_path, other_versions, library):
    cached(counter.function(), X, cache_dir=tmp_path)
    other_versions(library)
    cached(counter.function(), X, cache_dir=tmp_path)
    assert counter.calls == 2


def test_another_python_is_another_key(counter, tmp_path, monkeypatch):
    cached(counter.function(), X, cache_dir=tmp_path)
    monkeypatch.setattr(fingerprints.platform, "python_version", lambda: "3.99.0")
    cached(counter.function(), X, cache_dir=tmp_path)
    assert counter.calls == 2


def test_versions_name_every_library():
    assert list(library_versions()) == ["python", *LIBRARIES]
    assert all(library_versions().values())


def test_a_library_that_is_installed_while_a_process_runs_is_seen(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    assert library_versions()["kneed"] != "0.0.7"
    (tmp_path / "kneed-0.0.7.dist-info").mkdir()
    (tmp_path / "kneed-0.0.7.dist-info" / "METADATA").write_text("Name: kneed\nVersion: 0.0.7\n", encoding="utf-8")
    assert library_versions()["kneed"] == "0.0.7"


@pytest.fixture
def process(tmp_path, monkeypatch):
    """Imports modules of a copy of the helpers, as a new process would: each call forgets those of the one before."""
    folder = tmp_path / "copy" / "helpers"
    shutil.copytree(ROOT / "helpers", folder, ignore=shutil.ignore_patterns("__pycache__", "data"))
    edit(folder / "clustering" / "reduction.py", new="\n\ndef answer() -> np.ndarray:\n    return np.array([1])\n")
    # Compiled files are told apart by size and second: an edit within a second would go unseen.
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    monkeypatch.syspath_prepend(folder.parent)
    ours = {name: module for name, module in sys.modules.items() if name.partition(".")[0] == "helpers"}

    def forget():
        for name in [name for name in sys.modules if name.partition(".")[0] == "helpers"]:
            del sys.modules[name]

    def start(*modules):
        forget()
        return [importlib.import_module(f"helpers.{module}") for module in modules]

    start.folder = folder
    start.reduction = folder / "clustering" / "reduction.py"
    yield start
    forget()
    sys.modules.update(ours)


def edit(path, old="", new="# edited\n"):
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new) if old else text + new, encoding="utf-8")


@pytest.mark.parametrize(
    ("path", "changes"),
    [
        ("clustering/sweep.py", True),
        ("clustering/centring.py", True),  # which it imports
        ("clustering/reduction.py", False),
        ("core/fingerprints.py", True),  # through the scheduling of tasks
        ("clustering/__init__.py", True),  # which is run by an import of the module
        ("__init__.py", True),
        ("clustering/silhouette.py", False),
        ("core/cache.py", False),
        ("images/datasets.py", False),
        ("figures/explorer.html", False),
    ],
)
def test_edit_of_a_module_is_another_key_for_those_that_reach_it(process, path, changes):
    (before,) = process("core.fingerprints")
    edit(process.folder / path)
    (after,) = process("core.fingerprints")
    sweep = "helpers.clustering.sweep"
    assert (before.source_digest(sweep) != after.source_digest(sweep)) == changes
    assert before.source_digest() != after.source_digest()


def test_edited_function_is_computed_again(process, tmp_path):
    first, reduction = process("core.cache", "clustering.reduction")
    assert first.cached(reduction.answer, cache_dir=tmp_path) == [1]
    edit(process.reduction, "np.array([1])", "np.array([2])")
    second, reduction = process("core.cache", "clustering.reduction")
    assert second.cached(reduction.answer, cache_dir=tmp_path) == [2]


def test_result_of_code_that_was_edited_after_its_import_is_not_kept_for_the_new_code(process, tmp_path):
    """A kernel has imported the helpers, they are edited, the kernel computes: that is the old code's result."""
    first, reduction = process("core.cache", "clustering.reduction")
    edit(process.reduction, "np.array([1])", "np.array([2])")
    assert first.cached(reduction.answer, cache_dir=tmp_path) == [1]
    second, reduction = process("core.cache", "clustering.reduction")
    assert second.cached(reduction.answer, cache_dir=tmp_path) == [2]


def test_result_of_code_that_was_edited_before_its_import_is_not_kept_for_the_old_code(process, tmp_path):
    """A kernel has read the sources, one is edited, and only then imported; later the edit is taken back."""
    (first,) = process("core.cache")
    edit(process.reduction, "np.array([1])", "np.array([2])")
    assert first.cached(importlib.import_module("helpers.clustering.reduction").answer, cache_dir=tmp_path) == [2]
    edit(process.reduction, "np.array([2])", "np.array([1])")
    second, reduction = process("core.cache", "clustering.reduction")
    assert second.cached(reduction.answer, cache_dir=tmp_path) == [1]


def add_module(folder):
    (folder / "core" / "new.py").write_text("", encoding="utf-8")


@pytest.mark.parametrize(
    "change",
    [
        lambda folder: edit(folder / "images" / "datasets.py"),
        lambda folder: edit(folder / "figures" / "explorer.html"),
        lambda folder: (folder / "pages" / "book.py").unlink(),
        add_module,
    ],
    ids=["a module", "a page", "a module removed", "a module added"],
)
def test_what_depends_on_all_sources_is_stored_only_while_none_was_edited(process, tmp_path, change):
    cache, reduction = process("core.cache", "clustering.reduction")
    change(process.folder)
    cache.cached(reduction.answer, cache_dir=tmp_path, all_sources=True)
    assert not list(tmp_path.rglob("*.npz"))
    cache.cached(reduction.answer, cache_dir=tmp_path)  # reaches none of these
    assert len(list(tmp_path.rglob("*.npz"))) == 1


def test_what_depends_on_all_sources_is_computed_again_after_an_edit_of_any(process, tmp_path):
    for n_files in (1, 2):
        cache, reduction = process("core.cache", "clustering.reduction")
        for _ in range(2):
            cache.cached(reduction.answer, cache_dir=tmp_path, all_sources=True)
        assert len(list(tmp_path.rglob("*.npz"))) == n_files
        edit(process.folder / "images" / "datasets.py")


def test_function_of_no_module_of_the_package_is_refused(tmp_path):
    with pytest.raises(ValueError, match=f"^{__name__} is no module of helpers, so its sources are not known.$"):
        cached(long_result, cache_dir=tmp_path)


# --- files ------------------------------------------------------------------------------------------------------------


def everything() -> Everything:
    return Everything(np.eye(2, dtype=np.float32), [np.arange(3), np.ones((2, 2))], [["Ä", "why"]], [], 3, None)


everything.__module__ = "helpers.clustering.reduction"


def test_all_kinds_of_fields_come_back_as_they_went(tmp_path, monkeypatch):
    for given in (cached(everything, cache_dir=tmp_path), cached(everything, cache_dir=tmp_path)):
        expected = everything()
        assert given.array.dtype == np.float32 and np.array_equal(given.array, expected.array)
        assert [part.tolist() for part in given.parts] == [part.tolist() for part in expected.parts]
        assert (given.names, given.nothing, given.count, given.missing) == ([["Ä", "why"]], [], 3, None)


@pytest.fixture
def stored(counter, tmp_path):
    """The file of a stored result."""
    cached(counter.function(), X, cache_dir=tmp_path)
    (file,) = tmp_path.rglob("*.npz")
    return file


def saved(array, **options):
    file = io.BytesIO()
    np.save(file, array, **options)
    return file.getvalue()


@pytest.mark.parametrize(
    "damage",
    [
        lambda content: b"",
        lambda content: content[: len(content) // 2],
        lambda content: content[:-1],
        lambda content: content[1:],
        lambda content: b"garbage",
        lambda content: bytes(len(content)),
        lambda content: b"PK\x03\x04" + content[4:40],
        lambda content: b"PK\x05\x06" + bytes(18),
        lambda content: saved(2 * X),
        lambda content: json.dumps((2 * X).tolist()).encode(),
        lambda content: pickle.dumps(2 * X),
    ],
    ids=[
        "empty", "half", "last byte", "first byte", "garbage", "zeros", "start of a zip", "empty zip",
        "another format of NumPy", "JSON", "pickle",
    ],
)  # fmt: skip
def test_damaged_file_is_computed_again_and_mended(counter, tmp_path, stored, damage):
    whole = stored.read_bytes()
    stored.write_bytes(damage(whole))
    assert np.array_equal(cached(counter.function(), X, cache_dir=tmp_path), 2 * X)
    assert counter.calls == 2
    assert np.array_equal(cached(counter.function(), X, cache_dir=tmp_path), 2 * X)
    assert counter.calls == 2


def long_result() -> np.ndarray:
    # Longer than one read of zipfile, which checks a sum only at the end of a member.
    return np.arange(3000.0)


def centers() -> Everything:
    return Everything(np.arange(2), [np.eye(2), np.ones((3, 2))], [["a", "b"]], [], 3, None)


@pytest.mark.parametrize("function", [long_result, centers], ids=["long array", "several members"])
def test_no_flipped_byte_is_served(tmp_path, monkeypatch, function):
    """Damage in the head and in the directory of the archive: the sums of the members do not cover either."""
    monkeypatch.setattr(function, "__module__", "helpers.clustering.reduction")
    # Thousands of calls: without the wait for the disk.
    monkeypatch.setattr(files.os, "fsync", lambda descriptor: None)
    expected = cache.digest(*cache._to_arrays(function()).values())
    cached(function, cache_dir=tmp_path)
    (file,) = tmp_path.rglob("*.npz")
    whole = file.read_bytes()
    served = []
    for position in [*range(200), *range(len(whole) - 500, len(whole))]:
        for mask in (2, 255):
            file.write_bytes(whole[:position] + bytes([whole[position] ^ mask]) + whole[position + 1 :])
            try:
                given = cache._to_arrays(cached(function, cache_dir=tmp_path))
                if cache.digest(*given.values()) != expected:
                    served.append((position, mask, "a wrong result"))
            except Exception as error:
                served.append((position, mask, type(error).__name__))
    assert not served, f"{len(served)} of the flips were served or raised: {served[:10]}"


class Trap:
    """Leaves a file behind when it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


def test_pickles_are_not_loaded(counter, tmp_path, stored):
    sprung = tmp_path / "sprung"
    with open(stored, "wb") as file:
        np.savez(file, array=np.array([Trap(sprung)], dtype=object))
    assert np.array_equal(cached(counter.function(), X, cache_dir=tmp_path), 2 * X)
    assert counter.calls == 2
    assert not sprung.exists()
    # The trap is a good one: a load that allows pickles springs it.
    np.load(io.BytesIO(saved(np.array([Trap(sprung)], dtype=object))), allow_pickle=True)
    assert sprung.exists()


def test_a_result_that_may_not_be_read_is_told_and_neither_computed_nor_overwritten(counter, tmp_path, monkeypatch):
    """As that of another user in a shared folder; of a folder that may not be entered, the same."""
    function = counter.function()
    cached(function, X, cache_dir=tmp_path)
    (path,) = tmp_path.rglob("*.npz")
    before = path.stat()

    def refuse(self):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "read_bytes", refuse)
    for ask in (cached, is_cached):
        with pytest.raises(ParameterError, match=rf"^The stored result {path} cannot be read \(Permission denied\): "):
            ask(function, X, cache_dir=tmp_path)
    assert counter.calls == 1 and path.stat() == before


@pytest.mark.parametrize("error", [OSError("disk full"), KeyboardInterrupt()])
def test_writer_that_raises_leaves_the_old_file_and_no_part(tmp_path, error):
    path = tmp_path / "new" / "file"
    write_atomically(path, lambda file: file.write(b"old"))

    def half(file):
        file.write(b"ne")
        raise error

    with pytest.raises(type(error)):
        write_atomically(path, half)
    assert path.read_bytes() == b"old"
    assert list(path.parent.iterdir()) == [path]


def test_writing_replaces_the_file_at_once(tmp_path):
    path = tmp_path / "file"
    write_atomically(path, lambda file: file.write(b"a long first content"))
    seen = []

    def write(file):
        file.write(b"second")
        seen.append(path.read_bytes())

    write_atomically(path, write)
    assert seen == [b"a long first content"]
    assert path.read_bytes() == b"second"
    assert list(tmp_path.iterdir()) == [path]
