"""What a run found first binds all of its processes, and nobody after it."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from helpers.core.conventions import ROOT
from helpers.core.runs import first_found, one_run


def test_what_was_found_first_holds_until_the_run_ends():
    with one_run():
        with one_run():
            assert first_found(["a"], {"x": [1, None]}) == {"x": [1, None]}
        assert first_found(["a"], 2) == {"x": [1, None]} and first_found(["b"], 2) == 2
    assert first_found(["a"], 2) == 2
    with one_run():
        assert first_found(["a"], 3) == 3


def test_the_processes_of_a_run_are_held_to_it():
    program = "from helpers.core.runs import first_found; print(first_found(['a'], 'theirs'))"
    with one_run():
        first_found(["a"], "ours")
        found = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "ours"


def test_a_run_that_fails_leaves_nothing_behind():
    before = dict(os.environ)
    with pytest.raises(ZeroDivisionError), one_run():
        assert dict(os.environ) != before
        _ = 1 / 0
    assert dict(os.environ) == before
