"""Copies and near-duplicates: found by content and by distance, and left out on request."""

from __future__ import annotations

import shutil

import numpy as np
import pytest

from helpers.core.conventions import ParameterError
from helpers.images.copies import compare_images, copies_sentence, first_of_copies, near_duplicates
from helpers.images.datasets import load_images
from helpers.parameters import Parameters
from helpers.study import Study


@pytest.fixture
def folder(tmp_path):
    """Write forty digits, five of them twice, and two files that cannot be read in the same way."""
    digits, own = load_images("digits", n_images=40), tmp_path / "own"
    own.mkdir()
    for i in range(40):
        digits.open(i).save(own / f"{i:02d}.png")
    for i in range(5):
        shutil.copy(own / f"{i:02d}.png", own / f"copy{i}.png")
    for name in ("x.png", "y.png"):
        (own / name).symlink_to(tmp_path / "nowhere.png")
    return own


def test_only_the_first_of_equal_files_is_kept(folder):
    kept, dropped = (load_images(f"folder:{folder}", copies=copies) for copies in ("keep", "drop"))
    assert len(kept) == 47 and len(dropped) == 42  # what cannot be read is a copy of nothing
    assert not any(name.startswith("copy") for name in dropped.names)
    assert len(set(dropped.contents)) == 41
    sample = load_images(f"folder:{folder}", copies="drop", n_images=42)
    assert sample.names == dropped.names


def test_a_study_leaves_copies_out_and_its_errors_grow(folder, tmp_path):
    chosen = {"dataset": f"folder:{folder}", "backbone": "pixels", "n_components": 5, "k_max": 3}
    kept, dropped = (Study(Parameters(**chosen, copies=c, cache_dir=str(tmp_path))) for c in ("keep", "drop"))
    assert len(kept.embeddings.kept) == 45 and len(dropped.embeddings.kept) == 40
    np.testing.assert_array_equal(dropped.embeddings.features, kept.embeddings.features[:40])
    with pytest.raises(ParameterError, match="copies = 'some' is not allowed: copies takes 'keep' or 'drop'"):
        Parameters(copies="some")


def test_pairs_that_are_much_nearer_than_usual_are_found():
    rows = np.random.default_rng(0).standard_normal((60, 8))
    rows[7], rows[21] = rows[3] * 1.001 + 1e-3, rows[20] + 2e-2
    like = compare_images(["same", *map(str, range(58)), "same"], rows)
    assert like.near.tolist() == [[3, 7], [20, 21]] and like.copies.tolist() == [[59, 0]]
    assert sorted(like.alone) == list(range(59)) and not {3, 7, 20, 21} & set(like.alone[:50])
    assert compare_images(["a", "a"], rows[:2]).alone.tolist() == [0]
    assert near_duplicates(np.ones(3), np.array([1, 0, 0])).shape == (0, 2)


def test_first_of_copies_is_by_content():
    assert first_of_copies([]).tolist() == [] and first_of_copies(["a", "a", "a"]).tolist() == [0, 0, 0]


def test_the_sentence_counts():
    assert copies_sentence(1, 2).startswith(
        "1 image is a copy of another, to the byte, and 2 pairs are nearly the same"
    )
    assert copies_sentence(0, 0, dropped=True).startswith("Copies are left out here, and no two are nearly the same")
