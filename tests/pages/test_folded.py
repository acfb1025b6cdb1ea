"""A table that is shown when a reader asks for it."""

from __future__ import annotations

import pandas as pd

from helpers.pages.readings import folded, readable


def test_a_folded_table_has_its_title_its_names_and_all_its_cells():
    table = pd.DataFrame({"score": [0.5, -0.25], "label": ["a|b", "c"]}, index=pd.Index([2, 3], name="n_clusters"))
    lines = folded("All of it", readable(table)).data.splitlines()
    assert lines == [
        ":::{dropdown} All of it",
        "| k | score | label |",
        "| ---: | ---: | ---: |",
        r"| 2 | 0.500 | a\|b |",
        "| 3 | \N{MINUS SIGN}0.250 | c |",
        ":::",
    ]
