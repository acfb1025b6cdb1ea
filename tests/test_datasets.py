"""Image collections: what is found, what it is called, what it looks like, and what is refused."""

from __future__ import annotations

import os

import numpy as np
import pytest
from PIL import Image

from helpers.datasets import load_images
from helpers.parameters import ParameterError


def picture(path, color="red", **options):
    """Write a small picture."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (8, 6), color).save(path, **options)
    return path


def test_solar_cells():
    images = load_images("solar-cells")
    assert len(images) == 2624 and images.open(2623).size == (300, 300)
    assert sorted(set(images.labels)) == ["mono", "poly"]
    assert set(images.details["defect probability"]) <= {0.0, 1 / 3, 2 / 3, 1.0} | set(np.round([1 / 3, 2 / 3], 13))
    assert "CC BY-NC-SA 4.0" in images.credit
    assert images.fingerprint == load_images("solar-cells").fingerprint


def test_digits():
    images = load_images("digits")
    assert len(images) == 1797 and images.open(0).mode == "RGB"
    assert sorted(set(images.labels)) == [str(digit) for digit in range(10)]
    assert np.asarray(images.open(0))[0, 0, 0] == 255  # paper is white


def test_sample_is_seeded_and_in_order():
    first, again, other = (load_images("digits", n_images=50, random_state=seed) for seed in (3, 3, 4))
    assert first.names == again.names == sorted(first.names) and first.fingerprint == again.fingerprint
    assert first.names != other.names and first.fingerprint != other.fingerprint
    whole = load_images("digits")
    position = whole.names.index(first.names[7])
    assert first.labels[7] == whole.labels[position]
    np.testing.assert_array_equal(np.asarray(first.open(7)), np.asarray(whole.open(position)))


def test_folder_is_read_recursively_in_the_order_of_names(tmp_path):
    for name in ("b/2.PNG", "b/1.jpg", "a/é ü.webp", "top.Tiff", ".hidden.png", ".git/3.png"):
        picture(tmp_path / name)
    (tmp_path / "a" / "notes.txt").write_text("no picture")
    images = load_images(f"folder:{tmp_path}")
    assert images.names == ["top.Tiff", "a/é ü.webp", "b/1.jpg", "b/2.PNG"]
    assert images.labels.tolist() == ["", "a", "b", "b"]


def test_folder_without_subfolders_has_no_labels(tmp_path):
    picture(tmp_path / "1.png")
    picture(tmp_path / "2.png")
    assert load_images(f"folder:{tmp_path}").labels is None


def test_link_that_leads_back_is_not_followed_for_ever(tmp_path):
    picture(tmp_path / "a" / "1.png")
    os.symlink(tmp_path, tmp_path / "a" / "back")
    assert load_images(f"folder:{tmp_path}").names == ["a/1.png"]


def test_fingerprint_follows_content_and_not_dates(tmp_path):
    path = picture(tmp_path / "1.png")
    picture(tmp_path / "2.png", "blue")
    first = load_images(f"folder:{tmp_path}").fingerprint
    os.utime(path, (1, 1))
    assert load_images(f"folder:{tmp_path}").fingerprint == first
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    os.utime(path, (1, 1))
    assert load_images(f"folder:{tmp_path}").fingerprint != first


@pytest.mark.parametrize(
    ("dataset", "message"),
    [
        ("folder:", "names no folder"),
        ("folder:/no/such/place", "The folder /no/such/place of the data set 'folder:/no/such/place' does not exist."),
        ("folder:pyproject.toml", "is a file, not a folder"),
        ("solar-cell", "There is no data set 'solar-cell' (did you mean 'solar-cells'?); allowed are"),
        ("qqq", "There is no data set 'qqq'; allowed are solar-cells, digits, folder:PATH."),
    ],
)
def test_what_is_not_there_is_refused(dataset, message):
    with pytest.raises(ParameterError) as error:
        load_images(dataset)
    assert message in str(error.value)


def test_folder_without_images_is_refused(tmp_path):
    with pytest.raises(ParameterError, match="is empty: it must hold images"):
        load_images(f"folder:{tmp_path}")
    (tmp_path / "a.txt").write_text("")
    with pytest.raises(ParameterError, match="none of its 1 files ends in .jpg"):
        load_images(f"folder:{tmp_path}")


def test_more_images_than_there_are():
    with pytest.raises(ParameterError, match="n_images = 1798 is more than 'digits' has; it has 1797 images"):
        load_images("digits", n_images=1798)


# --- as a viewer would show it ----------------------------------------------------------------------------------------


def opened(tmp_path, image, name, **options):
    """An image written to a folder and read from it."""
    image.save(tmp_path / name, **options)
    picture = load_images(f"folder:{tmp_path}").open(0)
    assert picture.mode == "RGB"
    return np.asarray(picture)


def test_exif_rotation_is_applied(tmp_path):
    image = Image.new("RGB", (8, 4), "white")
    image.putpixel((0, 0), (0, 0, 0))
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned clockwise by a quarter
    pixels = opened(tmp_path, image, "x.png", exif=exif)
    assert pixels.shape == (8, 4, 3) and pixels[0, 3].tolist() == [0, 0, 0]


def test_transparency_becomes_white(tmp_path):
    pixels = opened(tmp_path, Image.new("RGBA", (4, 4), (255, 0, 0, 0)), "x.png")
    assert (pixels == 255).all()


def test_transparent_colour_of_a_palette_becomes_white(tmp_path):
    image = Image.new("P", (4, 4), 1)
    image.putpalette([255, 0, 0, 0, 0, 255])
    pixels = opened(tmp_path, image, "x.png", transparency=1)
    assert (pixels == 255).all()


def test_sixteen_bits_are_not_clipped(tmp_path):
    image = Image.fromarray(np.array([[0, 30000], [60000, 60000]], dtype=np.uint16))
    pixels = opened(tmp_path, image, "x.png")
    assert pixels[..., 0].tolist() == [[0, 127], [255, 255]]


def test_cmyk(tmp_path):
    pixels = opened(tmp_path, Image.new("CMYK", (8, 8), (0, 255, 255, 0)), "x.tif")
    assert pixels[4, 4, 0] > 200 and pixels[4, 4, 1] < 60


def test_first_frame_of_an_animation(tmp_path):
    frames = [Image.new("RGB", (4, 4), color) for color in ("red", "blue")]
    pixels = opened(tmp_path, frames[0], "x.gif", save_all=True, append_images=frames[1:])
    assert pixels[0, 0].tolist() == [255, 0, 0] or pixels[0, 0, 0] > 200
