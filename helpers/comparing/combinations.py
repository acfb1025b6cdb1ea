"""Which combinations of parameters are compared: every choice with every other."""

from __future__ import annotations

import csv
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

from ..core.conventions import ParameterError
from ..parameters import PLACES, Parameters, parse_value

MOST_COMBINATIONS = 500
FILE = "file"  # the choice between several files of parameters


@dataclass(frozen=True)
class Combination:
    """One combination of choices.

    Attributes
    ----------
    choices : dict of str to str
        What was chosen, by name, as texts.
    params : Parameters
        All parameters of its study.
    """

    choices: dict[str, str]
    params: Parameters


def parse_vary(texts: Iterable[str]) -> dict[str, list[Any]]:
    """Read the choices of a command line, such as ``n_components=10,50,null``.

    Parameters
    ----------
    texts : iterable of str
        A name and its values each, which are read as `helpers.parameters.parse_value` does. A value with a comma in it
        is put into double quotes.

    Returns
    -------
    dict of str to list
        The values, by the name of their parameter.

    Raises
    ------
    ParameterError
        At a text of another form, an unknown name, one that cannot be varied, or one that is there twice.

    Examples
    --------
    >>> parse_vary(["n_components=10,null", 'dataset=digits,"folder:/photos, old"'])
    {'n_components': [10, None], 'dataset': ['digits', 'folder:/photos, old']}
    """
    choices: dict[str, list[Any]] = {}
    for text in texts:
        name, equals, values = text.partition("=")
        if not equals:
            raise ParameterError(f"--vary {text} has no values: write NAME=VALUE,VALUE, as in normalize=none,unit.")
        if name in choices:
            raise ParameterError(f"{name} is varied twice; name all of its values after one --vary.")
        choices[name] = [parse_value(name, value) for value in next(csv.reader([values])) or [""]]
        if name in PLACES:
            raise ParameterError(f"{name} cannot be varied: it says where a study is computed, and changes no answer.")
    return choices


def combine(bases: Mapping[str, Mapping[str, Any]], choices: Mapping[str, Sequence[Any]]) -> list[Combination]:
    """Combine every choice with every other.

    Parameters
    ----------
    bases : mapping of str to mapping
        Values of parameters to begin with, by the name of their file; which file it is, is a choice where there are
        several.
    choices : mapping of str to sequence
        The values of each parameter that is varied; they win over those of the files.

    Returns
    -------
    list of Combination

    Raises
    ------
    ParameterError
        At a value that is not allowed, one that is there twice, two files of the same parameters, or more than
        `MOST_COMBINATIONS`.

    Examples
    --------
    >>> from helpers.comparing.combinations import combine
    >>> for combination in combine({"": {"k_max": 8}}, {"normalize": ["none", "unit"], "n_components": [None]}):
    ...     combination.choices, combination.params.changed()
    ({'normalize': 'none', 'n_components': 'null'}, {'normalize': 'none', 'n_components': None, 'k_max': 8})
    ({'normalize': 'unit', 'n_components': 'null'}, {'n_components': None, 'k_max': 8})
    """
    n = len(bases) * math.prod(len(values) for values in choices.values())
    if n > MOST_COMBINATIONS:
        raise ParameterError(
            f"That is {n:,} combinations, and at most {MOST_COMBINATIONS} are compared; name fewer values."
        )
    for name, values in choices.items():
        if twice := [value for number, value in enumerate(values) if value in values[:number]]:
            raise ParameterError(f"{name} = {_text(twice[0])} is there twice among the values that are varied.")
    combinations = [
        Combination(
            ({FILE: file} if len(bases) > 1 else {}) | {name: _text(value) for name, value in zip(choices, chosen)},
            Parameters(**{**values, **dict(zip(choices, chosen))}),
        )
        for file, values in bases.items()
        for chosen in product(*choices.values())
    ]
    _check_different(combinations)
    return combinations


def _text(value: Any) -> str:
    """Write a value as on a command line."""
    return "null" if value is None else str(value)


def _check_different(combinations: list[Combination]) -> None:
    """Refuse two combinations of the same parameters, as of two equal files."""
    seen: dict[str, Combination] = {}
    for combination in combinations:
        earlier = seen.setdefault(combination.params.model_dump_json(exclude=set(PLACES)), combination)
        if earlier is not combination:
            names = " and ".join(describe(one.choices) for one in (earlier, combination))
            raise ParameterError(f"Two of the combinations are of the same parameters: {names}.")


def describe(choices: Mapping[str, str]) -> str:
    """Write the choices of a combination in a line.

    Examples
    --------
    >>> describe({"normalize": "none", "n_components": "10"})
    'normalize = none, n_components = 10'
    """
    return ", ".join(f"{name} = {value}" for name, value in choices.items()) or "the parameters as given"
