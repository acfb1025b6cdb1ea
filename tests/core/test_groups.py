"""Groups of samples: how they are numbered, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest

from helpers.core.conventions import ParameterError
from helpers.core.groups import encode_groups


@pytest.mark.parametrize(
    ("groups", "codes"),
    [
        (["b", "a", "b", "c", "d"], [0, 1, 0, 2, 3]),
        (np.array([7.5, 7.5, -1, 0, 2]), [0, 0, 1, 2, 3]),
        (("a\udce9", "a\udce9", "", "x", "y"), [0, 0, 1, 2, 3]),  # names of files need not be texts
        ([1, 2, 3, 4, 5], None),
        (None, None),
    ],
)
def test_groups_are_numbered_as_they_appear_and_are_none_where_each_sample_is_by_itself(groups, codes):
    found = encode_groups(groups, 5)
    assert found is None if codes is None else found.tolist() == codes and found.dtype == np.int64
    assert found is None or encode_groups(found, 5).tolist() == codes


@pytest.mark.parametrize(
    ("groups", "message"),
    [
        ([1, 1, 2], "groups has 3 entries, and must have one entry for each of the 5 samples."),
        ("folder", "groups has the shape (), and must have one entry for each of the 5 samples."),
        (np.zeros((5, 2)), "groups has the shape (5, 2), and must have one entry for each of the 5 samples."),
        ([1, 1, 2, 3, np.nan], "groups leaves 1 of 5 samples without a group."),
        (np.array(["a", None, "b", "c", None], dtype=object), "groups leaves 2 of 5 samples without a group."),
        (np.ma.masked_equal([1, 1, 9, 3, 4], 9), "groups leaves 1 of 5 samples without a group."),
        (np.zeros(5), "groups makes 1 group of 5 samples, and errors and halves need at least 4."),
        ([1, 1, 2, 3, 3], "groups makes 3 groups of 5 samples, and errors and halves need at least 4."),
    ],
)
def test_what_is_no_grouping_is_refused_in_one_sentence(groups, message):
    with pytest.raises(ParameterError) as error:
        encode_groups(groups, 5)
    assert str(error.value) == message


def test_fewer_groups_are_enough_where_the_caller_says_so():
    assert encode_groups([2, 1, 2], 3, fewest=2).tolist() == [0, 1, 0]
    with pytest.raises(ParameterError, match="makes 1 group of 3 samples, and errors and halves need at least 2.$"):
        encode_groups([2, 2, 2], 3, fewest=2)
