"""Which combinations are compared, and which lists are refused."""

from __future__ import annotations

import pytest

from helpers.comparing.combinations import MOST_COMBINATIONS, combine, describe, parse_vary
from helpers.core.conventions import ParameterError

TWENTY_THREE = ",".join(map(str, range(2, 25)))


@pytest.mark.parametrize(
    ("text", "name", "values"),
    [
        ("n_components=10,50,null", "n_components", [10, 50, None]),
        ("normalize=none", "normalize", ["none"]),
        ("random_state=0,010", "random_state", [0, 10]),
        ("min_dist=0.5,1e-1", "min_dist", [0.5, 0.1]),
        ('dataset=digits,"folder:/a, b"', "dataset", ["digits", "folder:/a, b"]),
        ("dataset=folder:/a=b", "dataset", ["folder:/a=b"]),
        ('chosen_k="[2, 3]",[4]', "chosen_k", [[2, 3], [4]]),
    ],
)
def test_values_are_read_as_those_of_p(text, name, values):
    assert parse_vary([text]) == {name: values}


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        (["normalise=unit"], r"no parameter 'normalise' \(did you mean 'normalize'\?\)"),
        (["normalize"], "--vary normalize has no values: write NAME=VALUE,VALUE"),
        (["k_max=4", "k_max=5"], "k_max is varied twice"),
        (["scheduler=local,"], "scheduler cannot be varied"),
        (["cache_dir=a,b"], "cache_dir cannot be varied"),
    ],
)
def test_what_cannot_be_varied_is_refused(texts, message):
    with pytest.raises(ParameterError, match=message):
        parse_vary(texts)


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        (["k_max=many"], "k_max = 'many' is not allowed"),
        (["normalize="], "normalize = '' is not allowed"),
        (["k_max=8,1"], "k_max = 1 is not allowed"),
        (["k_min=9", "k_max=8,16"], "k_min = 9 must not be larger than k_max = 8"),
        (["normalize=unit,none,unit"], "normalize = unit is there twice"),
        (["n_components=null,None"], "n_components = null is there twice"),
        ([f"random_state={TWENTY_THREE}", f"k_max={TWENTY_THREE}"], "That is 529 combinations, and at most 500"),
    ],
)
def test_what_cannot_be_combined_is_refused(texts, message):
    with pytest.raises(ParameterError, match=message):
        combine({"": {}}, parse_vary(texts))


def test_every_choice_meets_every_other_once():
    combinations = combine({"": {"k_max": 4}}, {"normalize": ["none", "unit"], "random_state": [0, 1, 2]})
    told = [describe(combination.choices) for combination in combinations]
    assert len(set(told)) == 6 and told[0] == "normalize = none, random_state = 0"
    for combination in combinations:
        assert str(combination.params.random_state) == combination.choices["random_state"]
        assert combination.params.normalize == combination.choices["normalize"] and combination.params.k_max == 4


def test_the_largest_number_of_combinations_is_allowed():
    choices = {"random_state": list(range(MOST_COMBINATIONS // 20)), "k_max": list(range(2, 22))}
    assert len(combine({"": {}}, choices)) == MOST_COMBINATIONS


def test_a_file_is_a_choice_where_there_are_several():
    files = {"a.yml": {"k_max": 5, "normalize": "none"}, "b.yml": {"normalize": "standard"}}
    combinations = combine(files, {"k_max": [6, 7]})
    assert [combination.choices for combination in combinations][1:3] == [
        {"file": "a.yml", "k_max": "7"},
        {"file": "b.yml", "k_max": "6"},
    ]
    assert combinations[0].params.k_max == 6  # what is varied wins over the file
    assert combine({"a.yml": files["a.yml"]}, {})[0].choices == {}


def test_two_files_of_the_same_parameters_are_refused():
    with pytest.raises(ParameterError, match="same parameters: file = a.yml and file = b.yml"):
        combine({"a.yml": {"k_max": 16}, "b.yml": {"scheduler": "local"}}, {})
