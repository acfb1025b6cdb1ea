"""Which images of a collection belong together, by its own account or by their names."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from dataclasses import replace

import numpy as np

from ..core.conventions import ParameterError
from ..core.groups import encode_groups
from .collection import ImageSet

# Rules that are no regular expressions.
ALONE, FOLDER = "none", "folder"
# An expression such as (a+)+$ may take longer than anybody waits. It is sought in a process of its own, which can be
# ended at any time.
_MOST_SECONDS = 60
_SEARCH = """
import json, re, sys
rule, names = json.load(sys.stdin)
found = [re.search(rule, name) for name in names]
json.dump([(match.groups() and match[1]) or match[0] if match else "" for match in found], sys.stdout)
"""


def check_rule(rule: str | None) -> None:
    """Refuse a rule that is neither a known word nor a regular expression.

    Raises
    ------
    ParameterError
        With what is wrong in it, and where.
    """
    if rule in (None, ALONE, FOLDER):
        return
    try:
        re.compile(rule)
    except (re.error, OverflowError, RecursionError) as error:
        raise ParameterError(
            f"groups = {rule!r} is no regular expression ({error}); allowed are {ALONE!r}, {FOLDER!r} or such an "
            "expression."
        ) from None


def group_images(images: ImageSet, rule: str | None) -> ImageSet:
    """Group the images of a collection by a rule.

    Parameters
    ----------
    images : ImageSet
    rule : str or None
        None leaves the groups that the collection comes with, if any. ``none`` takes each image by itself. ``folder``
        takes the images of one folder together, whose names agree but for their last part. Anything else is a regular
        expression that is sought in each name: images belong together where its first group agrees, or the whole match
        where it has no group or that is empty.

    Returns
    -------
    ImageSet
        Where each image is by itself, its `groups` are None.

    Raises
    ------
    ParameterError
        If the rule is refused by `check_rule`, does not match a name, takes too long, or makes too few groups.

    Examples
    --------
    >>> from helpers.images.datasets import load_images
    >>> digits = load_images("digits", n_images=100)
    >>> int(group_images(digits, r"digit-(\\d\\d)").groups.max())
    17
    """
    if rule is None:
        return images
    if rule == ALONE:
        return replace(images, groups=None)
    keys = [name.rpartition("/")[0] for name in images.names] if rule == FOLDER else _keys(images.names, rule)
    groups = encode_groups(np.array(keys), len(images), source=f"groups = {rule!r}")
    return replace(images, groups=groups, group=FOLDER if rule == FOLDER else "group")


def _keys(names: list[str], rule: str) -> list[str]:
    """Find in each name what a regular expression says of its group."""
    check_rule(rule)
    keys = _sought(names, rule)
    missing = [name for name, key in zip(names, keys) if not key]
    if missing:
        # A slip in the rule would else pass for images by themselves, and the errors would be too small again.
        wider = _or_alone(rule)
        helps = len(missing) < len(names) and all(_sought(missing, wider))  # not where it matches an empty text
        way = f"; the expression {wider} takes these by themselves" if helps else ""
        raise ParameterError(
            f"groups = {rule!r} does not match {len(missing):,} of {len(names):,} names, such as {missing[0]!r}{way}."
        )
    return keys


def _sought(names: list[str], rule: str) -> list[str]:
    """Seek a regular expression in each name, and give its first group or the whole match, or an empty text."""
    command = [sys.executable, "-I", "-W", "ignore", "-c", _SEARCH]
    try:
        found = subprocess.run(
            command, input=json.dumps([rule, names]).encode(), capture_output=True, timeout=_MOST_SECONDS, check=True
        )
    except subprocess.TimeoutExpired:
        raise ParameterError(
            f"groups = {rule!r} is not found in the {len(names):,} names within {_MOST_SECONDS} seconds, as it happens "
            "where what is repeated holds a repeat, such as (a+)+: write a simpler expression."
        ) from None
    return json.loads(found.stdout)


def _or_alone(rule: str) -> str:
    """Extend a regular expression so that it matches the names that it did not match as a whole."""
    flags = re.match(r"(\(\?[a-z]+\))?", rule)[0]  # such as (?i), which must stay in front
    kept = f"(?:{rule[len(flags) :]})" if re.compile(rule).groups else f"({rule[len(flags) :]})"
    # It begins at the first letter, since of two alternatives the one that matches farther to the left is taken.
    return f"{flags}.*?{kept}|.+"
