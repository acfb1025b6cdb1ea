"""Which images belong together: by their folders, by their names, and by the account of the collection."""

from __future__ import annotations

import re

import numpy as np
import pytest
from PIL import Image

from helpers.core.conventions import ParameterError
from helpers.images.datasets import load_images

NAMES = ["a/film1_1.png", "a/film1_2.png", "a/b/3.png", "a/b/4.png", "c/film1_5.png", "c/x.png", "d/y.png", "e/z.png"]


@pytest.fixture
def dataset(tmp_path):
    """A folder of images with the names above, which are in order."""
    for value, name in enumerate(NAMES):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (4, 4), (value, 0, 0)).save(tmp_path / name)
    return f"folder:{tmp_path}"


@pytest.mark.parametrize(
    ("rule", "groups"),
    [
        (None, None),
        ("none", None),
        ("folder", [0, 0, 1, 1, 2, 2, 3, 4]),
        ("^.", [0, 0, 0, 0, 1, 1, 2, 3]),  # the whole match
        (r"^(\w)/(\w)", [0, 0, 0, 0, 1, 1, 2, 3]),  # the first group, and not the second
        (r".*?(film\d)|.+", [0, 0, 1, 2, 0, 3, 4, 5]),  # those that it does not match are by themselves
        (r"[^/]+$", None),  # each another
    ],
)
def test_rules_group_images_by_their_names(dataset, rule, groups):
    images = load_images(dataset, groups=rule)
    assert images.names == NAMES
    assert images.groups is None if groups is None else images.groups.tolist() == groups
    assert images.group == ("folder" if rule == "folder" else "group")


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        ("film.", "does not match 5 of 8 names, such as 'a/b/3.png'; the expression .*?(film.)|.+ takes these"),
        ("z*$", "does not match 8 of 8 names, such as 'a/film1_1.png'."),  # an empty match
        ("^(?:a/)?", "does not match 4 of 8 names, such as 'c/film1_5.png'."),  # an empty match that no way avoids
        ("png", "makes 1 group of 8 samples, and errors and halves need at least 4."),
    ],
)
def test_rules_that_do_not_group_are_refused_in_one_sentence(dataset, rule, message):
    with pytest.raises(ParameterError) as error:
        load_images(dataset, groups=rule)
    assert str(error.value).startswith(f"groups = {rule!r} {message}")
    assert ("the expression" in str(error.value)) == ("the expression" in message)
    assert str(error.value).endswith(".") and "\n" not in str(error.value)


def test_an_expression_that_takes_for_ever_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr("helpers.images.groups._MOST_SECONDS", 1)
    Image.new("RGB", (4, 4)).save(tmp_path / f"{'a' * 60}.png")
    with pytest.raises(ParameterError) as error:
        load_images(f"folder:{tmp_path}", groups="(a+)+$")
    assert str(error.value) == (
        "groups = '(a+)+$' is not found in the 1 names within 1 seconds, as it happens where what is repeated holds a "
        "repeat, such as (a+)+: write a simpler expression."
    )


def test_names_of_any_characters_are_grouped(tmp_path):
    """Also those that are no texts, whose bytes stand in them as they do in Python."""
    names = ["\udce9 1.png", "\udce9 2.png", "名\n 3.png", "'\"<b> 4.png", "\u2028{} 5.png"]
    for name in names:
        Image.new("RGB", (4, 4)).save(tmp_path / name)
    images = load_images(f"folder:{tmp_path}", groups=r"(?s)^(.+) \d")
    first = [names.index(name) // 2 if names.index(name) < 2 else names.index(name) for name in images.names]
    assert [a == b for a in first for b in first] == [a == b for a in images.groups for b in images.groups]


@pytest.mark.parametrize("rule", [r"film\d", r"(film\d)_", r"(?i)FILM\d", r"film1_[12]|film1_5"])
def test_the_expression_that_a_refusal_gives_takes_the_others_by_themselves(dataset, rule):
    with pytest.raises(ParameterError) as error:
        load_images(dataset, groups=rule)
    found = load_images(dataset, groups=re.search("the expression (.*) takes these", str(error.value))[1])
    assert found.groups is None if "|" in rule else found.groups.tolist() == [0, 0, 1, 2, 0, 3, 4, 5]


def test_folders_of_a_collection_without_folders_are_refused():
    with pytest.raises(ParameterError, match="groups = 'folder' makes 1 group of 1,797 samples"):
        load_images("digits", groups="folder")


def test_solar_cells_come_with_blocks():
    images = load_images("solar-cells")
    np.testing.assert_array_equal(images.groups, np.arange(2624) // 60)
    assert "block of 60" in images.group and "until a source for the modules is found" in images.credit
    assert load_images("solar-cells", groups="none").groups is None
    by_name = load_images("solar-cells", groups=r"cell(\d\d)")
    assert by_name.groups.max() == 26 and by_name.group == "group"


def test_a_sample_keeps_its_groups():
    images = load_images("solar-cells", n_images=200)
    expected = [(int(name.removeprefix("cell")) - 1) // 60 for name in images.names]
    assert images.groups.tolist() == expected and images.take([5, 3]).groups.tolist() == [expected[5], expected[3]]


def test_groups_are_no_labels_and_no_part_of_the_fingerprint(dataset):
    alone, together = load_images(dataset, groups="none"), load_images(dataset, groups="folder")
    assert alone.fingerprint == together.fingerprint and alone.labels.tolist() == together.labels.tolist()
