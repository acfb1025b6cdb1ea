"""The workflows of continuous integration: they parse, and what they call is there."""

from __future__ import annotations

import os
import re
import subprocess
import tomllib

import pytest
import yaml

from helpers.core.conventions import ROOT

WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
TARGETS = re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), flags=re.MULTILINE)


def steps(path):
    """List the steps of all jobs of a workflow."""
    jobs = yaml.safe_load(path.read_text(encoding="utf-8"))["jobs"].values()
    return [step for job in jobs for step in job["steps"]]


def test_there_is_one_to_test_and_one_to_publish():
    assert [path.stem for path in WORKFLOWS] == ["publish", "test"]


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_what_a_workflow_calls_is_there(path):
    commands = [step["run"].split() for step in steps(path) if "run" in step]
    assert commands
    for command in commands:
        assert command == [".ci/run"] or (command[0] == "make" and command[1] in TARGETS), command


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_workflow_may_do_little_and_keeps_no_results(path):
    text = path.read_text(encoding="utf-8")
    assert yaml.safe_load(text)["permissions"] == {"contents": "read"}
    for step in steps(path):
        assert re.fullmatch(r"actions/[a-z-]+@v\d+", step.get("uses", "actions/none@v0"))
        assert not step.get("uses", "").startswith("actions/cache@")
    (python,) = (step["with"] for step in steps(path) if "setup-python" in step.get("uses", ""))
    assert python["python-version"] == "3.11"
    for name in python["cache-dependency-path"].split():
        assert (ROOT / name).is_file()


def test_what_is_published_is_what_make_book_writes():
    (upload,) = (step for step in steps(ROOT / ".github/workflows/publish.yml") if "upload" in step.get("uses", ""))
    assert upload["with"]["path"] == "_build/html"
    assert yaml.safe_load((ROOT / ".github/workflows/publish.yml").read_text("utf-8"))["jobs"]["book"]["if"]


def test_ci_runs_the_test_command_of_the_readme():
    script = ROOT / ".ci" / "run"
    assert os.access(script, os.X_OK)
    subprocess.run(["bash", "-n", script], check=True)
    last = script.read_text(encoding="utf-8").splitlines()[-1]
    assert last == "exec make test" and "make test" in (ROOT / "README.md").read_text(encoding="utf-8")


def test_binder_installs_the_package_without_what_only_tests_and_clusters_need():
    """Binder builds from the folder binder, takes a version of Python and no range, and installs no package itself."""
    binder, here = (
        yaml.safe_load((ROOT / folder / "environment.yml").read_text(encoding="utf-8"))["dependencies"]
        for folder in ("binder", ".")
    )
    script = ROOT / "binder" / "postBuild"
    assert os.access(script, os.X_OK)
    assert script.read_text(encoding="utf-8").splitlines()[-1] == "python -m pip install --no-deps -e ."
    assert "python=3.11" in binder and "pytorch-cpu>=2.6" in binder and "pytorch>=2.6" in here
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["optional-dependencies"]
    unused = {*extras["test"], *extras["scale"]}
    (theirs, pip), (ours, all_pip) = ((set(packages[:-1]), packages[-1]["pip"]) for packages in (binder, here))
    assert theirs == (ours - unused - {"python>=3.11", "pytorch>=2.6"}) | {"python=3.11", "pytorch-cpu>=2.6"}
    assert set(pip) == set(all_pip) - unused - {"-e ."}
