"""What a module reaches by imports, read from its source, holds all that its import brings into a fresh process."""

from __future__ import annotations

import ast
import json
import subprocess
import sys

import pytest

from helpers.core import fingerprints
from helpers.core.conventions import ROOT
from helpers.core.fingerprints import import_closure, imports_of

MODULES = sorted(fingerprints._FILES)


# --- read from the sources --------------------------------------------------------------------------------------------


def imports_in(monkeypatch, module, source):
    """The imports that are found in a module with another source."""
    monkeypatch.setitem(fingerprints._SOURCES, module, [source])
    return sorted(name.removeprefix("helpers.") for name in imports_of.__wrapped__(module))


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("from .cache import cached", ["core.cache"]),
        ("from . import cache, conventions", ["core", "core.cache", "core.conventions"]),
        ("from ..images import datasets", ["images", "images.datasets"]),
        ("from ..images.datasets import load_images", ["images.datasets"]),
        ("from .. import images", ["helpers", "images"]),
        ("import helpers.images.datasets as data", ["images.datasets"]),
        ("from helpers import study", ["helpers", "study"]),
        ("def late():\n    if True:\n        from .cache import cached", ["core.cache"]),
        ("if TYPE_CHECKING:\n    from .cache import cached", ["core.cache"]),
        ("try:\n    import helpers.study\nexcept ImportError:\n    pass", ["study"]),
        ("import numpy, cache\nfrom json import cache", []),
        ("import helpersome\nfrom helpersome import study", []),
        ('"""from .cache import cached"""', []),
    ],
)
def test_imports_of_a_module(monkeypatch, source, expected):
    assert imports_in(monkeypatch, "helpers.core.files", source) == expected


def test_relative_imports_of_a_package_start_in_it(monkeypatch):
    source = "from . import cache\nfrom .files import write_atomically\nfrom ..images import datasets"
    expected = ["core", "core.cache", "core.files", "images", "images.datasets"]
    assert imports_in(monkeypatch, "helpers.core", source) == expected


PARSED_BY_THREADS = """
import gc, sys, threading
from helpers.core import fingerprints

class Cycle:
    def __init__(self):
        self.me = self
    def __del__(self):  # Python code that the collector runs in the middle of a parse, where threads change places
        sum(range(200))

def parse():
    for module in 5 * list(fingerprints._FILES)[:25]:
        Cycle()
        fingerprints.imports_of.__wrapped__(module)

sys.setswitchinterval(1e-6)
gc.set_threshold(50)
threading.excepthook = lambda failed: print(failed.exc_value)
threads = [threading.Thread(target=parse) for _ in range(4)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
"""


def test_sources_are_parsed_by_one_thread_at_a_time():
    done = subprocess.run([sys.executable, "-c", PARSED_BY_THREADS], cwd=ROOT, capture_output=True, check=True)
    assert done.stdout.decode() == ""


def test_a_closure_goes_on_from_module_to_module_and_holds_their_packages(monkeypatch):
    imports = {"helpers.a.b": {"helpers.c"}, "helpers.c": {"helpers.a.b", "helpers.d.e"}}
    monkeypatch.setattr(fingerprints, "_FILES", dict.fromkeys(["helpers.a.b", "helpers.c", "helpers.d.e"]))
    monkeypatch.setattr(fingerprints, "imports_of", lambda name: imports.get(name, set()))
    expected = ("helpers", "helpers.a", "helpers.a.b", "helpers.c", "helpers.d", "helpers.d.e")
    assert import_closure.__wrapped__("helpers.a.b") == expected


def test_a_closure_is_not_everything():
    """An edit of the data sets recomputes no sweep, and one of the criteria no embeddings."""
    sweep = import_closure("helpers.clustering.sweep")
    assert (
        "helpers.clustering.centring" in sweep
        and "helpers.clustering.reduction" not in sweep
        and "helpers.core.scheduling" in sweep
    )
    assert "helpers.core.cache" not in sweep and "helpers.clustering.silhouette" not in sweep
    assert not any(name.startswith(("helpers.images", "helpers.criteria")) for name in sweep)
    embeddings = import_closure("helpers.images.embeddings")
    assert not any(name.startswith(("helpers.clustering", "helpers.criteria", "helpers.study")) for name in embeddings)


@pytest.mark.parametrize("module", ["__main__", "helpers.nothing", "numpy"])
def test_a_module_that_is_not_of_the_package_has_no_digest(module):
    with pytest.raises(ValueError, match=f"^{module} is no module of helpers"):
        fingerprints.source_digest(module)


# --- against what is loaded -------------------------------------------------------------------------------------------

# Imports once the libraries that modules import at their top; then a child for each module says which helpers it loads.
LOAD = """
import ast, importlib, json, os, sys
from contextlib import suppress
from pathlib import Path

foreign = set()
for path in Path("helpers").rglob("*.py"):
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Import):
            foreign |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and not node.level:
            foreign.add(node.module)
for name in sorted(name for name in foreign if name.partition(".")[0] != "helpers"):
    with suppress(ImportError):
        importlib.import_module(name)
ours = lambda: [name for name in sys.modules if name.partition(".")[0] == "helpers"]
assert not ours()
for module in sys.argv[1:]:
    if not os.fork():
        importlib.import_module(module)
        print(json.dumps([module, ours()]), flush=True)
        os._exit(0)
    os.wait()
"""


@pytest.fixture(scope="module")
def loaded():
    """The modules of the package that are there once each is imported in a process of its own."""
    command = [sys.executable, "-W", "ignore", "-c", LOAD, *MODULES]
    finished = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert finished.returncode == 0, finished.stderr[-2000:]
    return dict(json.loads(line) for line in finished.stdout.splitlines() if line.startswith("["))


def test_an_import_brings_nothing_that_is_not_in_the_closure(loaded):
    assert sorted(loaded) == MODULES
    beyond = {module: set(names) - set(import_closure(module)) for module, names in loaded.items()}
    assert not {module: names for module, names in beyond.items() if names}
    # And the oracle sees something: most modules bring others.
    assert sum(len(names) > 5 for names in loaded.values()) > 10


DYNAMIC = {"import_module", "__import__", "exec", "eval", "run_module", "run_path", "exec_module", "load_module"}


@pytest.mark.parametrize("module", MODULES)
def test_no_module_imports_in_a_way_that_its_source_does_not_show(module):
    tree = ast.parse(fingerprints._SOURCES[module][0])
    names = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
    names |= {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)} - {"eval"}  # a network's
    names |= {alias.name for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) for alias in node.names}
    assert not names & DYNAMIC
