"""Image collections: what is found, what it is called, what it looks like, and what is refused."""

from __future__ import annotations

import builtins
import io
import os
import pickle
import re
import stat
import sys
import tarfile
import types
import urllib.error
import urllib.request
import zipfile

import fsspec
import numpy as np
import pytest
import torchvision
from PIL import Image
from sklearn.cluster import KMeans
from sklearn.metrics import adjusted_rand_score

from helpers.clustering.silhouette import silhouette_samples
from helpers.clustering.sweep import sweep_kmeans
from helpers.core.conventions import ROOT, ParameterError
from helpers.core.fingerprints import import_closure
from helpers.core.runs import one_run
from helpers.images import files, registry
from helpers.images.collection import ChangedImageError, FetchError, ImageSet, read_pixels
from helpers.images.datasets import load_features, load_images
from helpers.images.files import count_kinds
from helpers.images.registry import dataset_forms, dataset_kinds, register_dataset
from helpers.parameters import parameter_table


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


def test_files_of_other_kinds_are_listed(tmp_path):
    for name in ("1.png", "a/2.HEIC", "a/3.heic", "README", "notes.txt", ".hidden.txt"):
        picture(tmp_path / name, format="png")
    images = load_images(f"folder:{tmp_path}")
    assert images.names == ["1.png"] and images.left_out == ["README", "notes.txt", "a/2.HEIC", "a/3.heic"]
    assert load_images(f"folder:{tmp_path}", n_images=1).left_out == images.left_out
    assert count_kinds(images.left_out) == "2 .heic, 1 without an ending and 1 .txt"
    assert count_kinds(f"x.{i}" for i in range(12)).endswith(", 1 .7 and 4 others")
    (tmp_path / "notes.txt").unlink()
    assert load_images(f"folder:{tmp_path}").fingerprint != images.fingerprint  # the first chapter tells of them


def test_folder_without_subfolders_has_no_labels(tmp_path):
    picture(tmp_path / "1.png")
    picture(tmp_path / "2.png")
    assert load_images(f"folder:{tmp_path}").labels is None


def test_link_that_leads_back_is_not_followed_for_ever(tmp_path):
    picture(tmp_path / "a" / "1.png")
    os.symlink(tmp_path, tmp_path / "a" / "back")
    assert load_images(f"folder:{tmp_path}").names == ["a/1.png"]


def test_pipes_are_left_out_and_links_to_nowhere_kept(tmp_path):
    picture(tmp_path / "1.png")
    os.mkfifo(tmp_path / "pipe.png")
    os.symlink(tmp_path / "nowhere.png", tmp_path / "2.png")
    assert load_images(f"folder:{tmp_path}").names == ["1.png", "2.png"]


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
        ("folder:pyproject.toml", "is a file, not a folder or a zip file of images."),
        ("folder:s3:/bucket", "does not exist; an address has two slashes, as in s3://."),
        ("/no/photos", "There is no data set '/no/photos' (did you mean 'folder:/no/photos'?); allowed are"),
        ("s3://bucket/x", "(did you mean 'folder:s3://bucket/x'?)"),
        ("tests", "(did you mean 'folder:tests'?)"),
        ("photos.zip", "(did you mean 'folder:photos.zip'?)"),
        ("", "There is no data set ''; allowed are"),
        ("solar-cell", "There is no data set 'solar-cell' (did you mean 'solar-cells'?); allowed are"),
        ("qqq", "There is no data set 'qqq'; allowed are solar-cells, digits, imagenet-sample, synthetic:blobs, "),
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
    with pytest.raises(ParameterError, match="none of its 1 files ends in .jpg .*; it has 1 .txt.$"):
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


@pytest.mark.parametrize("ending", ["avif", "jp2", "J2K", "jpx", "jfif"])
def test_other_kinds_that_pillow_reads(tmp_path, ending):
    kind = {"avif": "AVIF", "jfif": "JPEG"}.get(ending, "JPEG2000")
    pixels = opened(tmp_path, Image.new("RGB", (16, 16), (200, 100, 0)), f"x.{ending}", format=kind)
    np.testing.assert_allclose(pixels[8, 8].astype(int), [200, 100, 0], atol=8)


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


CORNERS = {"top left": (0, 0), "top right": (0, -1), "bottom right": (-1, -1), "bottom left": (-1, 0)}


@pytest.mark.parametrize(
    ("orientation", "corner", "size"),
    [
        # EXIF 2.3, tag 274: where the first stored row and the first stored column are to be seen.
        (1, "top left", (4, 8)),
        (2, "top right", (4, 8)),
        (3, "bottom right", (4, 8)),
        (4, "bottom left", (4, 8)),
        (5, "top left", (8, 4)),
        (6, "top right", (8, 4)),
        (7, "bottom right", (8, 4)),
        (8, "bottom left", (8, 4)),
    ],
)
def test_every_orientation_of_exif(tmp_path, orientation, corner, size):
    image = Image.new("RGB", (8, 4), "white")
    image.putpixel((0, 0), (0, 0, 0))
    exif = Image.Exif()
    exif[0x0112] = orientation
    pixels = opened(tmp_path, image, "x.png", exif=exif)
    assert pixels.shape[:2] == size
    assert [name for name, place in CORNERS.items() if pixels[place].sum() == 0] == [corner]


@pytest.mark.parametrize(
    ("mode", "color", "expected"),
    [
        ("L", 100, [100, 100, 100]),
        ("1", 1, [255, 255, 255]),
        ("LA", (0, 0), [255, 255, 255]),
        ("LA", (40, 255), [40, 40, 40]),
        ("RGBA", (10, 20, 30, 255), [10, 20, 30]),
        ("RGBA", (0, 0, 0, 51), [204, 204, 204]),  # a fifth of black on white
    ],
)
def test_modes_of_png(tmp_path, mode, color, expected):
    assert opened(tmp_path, Image.new(mode, (2, 2), color), "x.png")[0, 0].tolist() == expected


def test_dark_sixteen_bits_use_the_whole_range_and_a_constant_image_is_no_error(tmp_path):
    dark = np.array([[1000, 1500], [2000, 2000]], dtype=np.uint16)
    assert opened(tmp_path, Image.fromarray(dark), "x.png")[..., 0].tolist() == [[0, 127], [255, 255]]
    assert (opened(tmp_path, Image.fromarray(np.full((2, 2), 9, dtype=np.uint16)), "x.png") == 0).all()


# --- more about collections -------------------------------------------------------------------------------------------


def test_every_solar_cell_is_a_square_of_300_pixels():
    images = load_images("solar-cells")
    assert {images.read(path, content).size for path, content in zip(images.items, images.contents)} == {(300, 300)}
    # 1,074 monocrystalline and 1,550 polycrystalline cells, as the data set's own page says.
    assert dict(zip(*np.unique(images.labels, return_counts=True))) == {"mono": 1074, "poly": 1550}


def test_sample_keeps_labels_and_details_with_their_images():
    whole, sample = load_images("solar-cells"), load_images("solar-cells", n_images=40, random_state=5)
    places = [whole.names.index(name) for name in sample.names]
    assert sample.labels.tolist() == whole.labels[places].tolist()
    probability = "defect probability"
    assert sample.details[probability].tolist() == whole.details[probability][places].tolist()


def test_label_is_the_whole_way_through_the_subfolders(tmp_path):
    for name in ("a/x/1.png", "a/y/1.png", "a/1.png"):
        picture(tmp_path / name)
    images = load_images(f"folder:{tmp_path}")
    assert dict(zip(images.names, images.labels)) == {"a/1.png": "a", "a/x/1.png": "a/x", "a/y/1.png": "a/y"}


@pytest.mark.parametrize("change", ["rename", "other label", "add", "remove", "swap"])
def test_fingerprint_follows_names_labels_and_number(tmp_path, change):
    first, second = picture(tmp_path / "a" / "1.png"), picture(tmp_path / "b" / "2.png", "blue")
    before = load_images(f"folder:{tmp_path}").fingerprint
    if change == "rename":
        first.rename(first.with_name("0.png"))
    elif change == "other label":
        first.rename(tmp_path / "b" / "1.png")
    elif change == "add":
        picture(tmp_path / "a" / "3.png")
    elif change == "remove":
        second.unlink()
    else:
        content = first.read_bytes()
        first.write_bytes(second.read_bytes())
        second.write_bytes(content)
    assert load_images(f"folder:{tmp_path}").fingerprint != before


def test_fingerprint_does_not_follow_the_place_of_the_folder(tmp_path):
    picture(tmp_path / "here" / "1.png")
    before = load_images(f"folder:{tmp_path / 'here'}").fingerprint
    (tmp_path / "here").rename(tmp_path / "there")
    assert load_images(f"folder:{tmp_path / 'there'}").fingerprint == before


def test_name_that_is_no_text_is_a_name(tmp_path):
    """Linux takes any bytes for a name; they must neither stop the reading nor be taken for one another."""
    for name in (b"\xff.png", b"\xfe.png"):
        picture(tmp_path / os.fsdecode(name))
    images = load_images(f"folder:{tmp_path}")
    assert [os.fsencode(name) for name in images.names] == [b"\xfe.png", b"\xff.png"]
    assert images.open(1).size == (8, 6)


def test_broken_link_is_listed_and_fails_only_when_it_is_opened(tmp_path):
    picture(tmp_path / "1.png")
    (tmp_path / "2.png").symlink_to(tmp_path / "gone.png")
    images = load_images(f"folder:{tmp_path}")
    assert images.names == ["1.png", "2.png"]
    with pytest.raises(OSError):
        images.open(1)


@pytest.mark.parametrize("dataset", ["folder:", "folder:/no/place", "folder:pyproject.toml", "qqq", "solarcells"])
def test_refusal_is_one_sentence(dataset):
    with pytest.raises(ParameterError) as error:
        load_images(dataset)
    text = str(error.value)
    assert "\n" not in text and text.endswith(".") and not re.search(r"[.;] [A-Z]", text), text


def test_home_of_nobody_is_refused():
    with pytest.raises(ParameterError, match="nobody_of_this_name"):
        load_images("folder:~nobody_of_this_name/pictures")


@pytest.mark.parametrize("n_images", [0, -1])
def test_sample_of_nothing_is_refused(n_images):
    with pytest.raises(ParameterError, match="n_images"):
        load_images("digits", n_images=n_images)


# --- samples with labels ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("n_images", [10, 37, 100, 1797])
def test_sample_gives_each_class_its_share(n_images):
    whole, sample = load_images("digits"), load_images("digits", n_images=n_images, random_state=2)
    assert len(sample) == n_images == len(set(sample.names))
    for label in set(whole.labels):
        share = (whole.labels == label).sum() * n_images / len(whole)
        assert abs((sample.labels == label).sum() - share) < 1


# --- collections that come as features --------------------------------------------------------------------------------


def test_imagenet_sample_is_shipped_whole():
    images = load_images("imagenet-sample")
    X, labels = load_features("imagenet-sample")
    assert images.features.shape == X.shape == (1000, 1280) and X.dtype == np.float32
    assert labels is None and images.labels is None and len(set(images.names)) == 1000
    assert images.names[0] == "n01440764_tench" and images.names == sorted(images.names)
    assert not images.has_pictures and images.open(0).size == (224, 224)
    first, second = (np.asarray(images.open(i)) for i in (0, 1))
    assert (first != second).any()


def test_damaged_shipped_features_are_refused(tmp_path, monkeypatch):
    import shutil

    from helpers.images import datasets

    shutil.copytree(ROOT / "helpers" / "images" / "data", tmp_path / "data")
    content = bytearray((tmp_path / "data" / "imagenet-sample.npy").read_bytes())
    content[5000] ^= 1
    (tmp_path / "data" / "imagenet-sample.npy").write_bytes(content)
    monkeypatch.setattr(datasets.resources, "files", lambda name: tmp_path)
    with pytest.raises(ParameterError, match="are damaged"):
        load_images("imagenet-sample")


def test_pictures_of_imagenet_sample_must_all_be_there(tmp_path):
    picture(tmp_path / "n01440764_tench.jpg")
    with pytest.raises(ParameterError, match="lacks 999 of the 1,000 pictures"):
        load_images("imagenet-sample", pictures=str(tmp_path))
    with pytest.raises(ParameterError, match="of the pictures of imagenet-sample does not exist"):
        load_images("imagenet-sample", pictures="/no/such/place")


def test_other_pictures_of_imagenet_sample_do_not_get_the_shipped_features(tmp_path):
    for name in load_images("imagenet-sample").names:
        (tmp_path / f"{name}.jpg").write_bytes(name.encode())
    images = load_images("imagenet-sample", pictures=str(tmp_path))
    assert images.features is None and images.has_pictures


def test_pictures_have_no_place_with_other_collections():
    with pytest.raises(
        ParameterError, match="pictures = '/a' is for imagenet-sample, features:PATH and torchvision:NAME"
    ):
        load_images("digits", pictures="/a")


@pytest.mark.parametrize("name", ["blobs", "null", "varying-norm"])
def test_synthetic_features_are_seeded(name):
    first, again, other = (load_features(f"synthetic:{name}", random_state=seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first[0], again[0])
    assert (first[0] != other[0]).any() and first[0].dtype == np.float32 and len(first[0]) == len(first[1])
    images = load_images(f"synthetic:{name}", random_state=1)
    np.testing.assert_array_equal(images.features, first[0])
    assert images.fingerprint != load_images(f"synthetic:{name}", random_state=2).fingerprint


def test_truth_of_the_synthetic_features():
    X, labels = load_features("synthetic:blobs")
    assert len(set(labels)) == 5
    assert adjusted_rand_score(labels, KMeans(5, n_init=5, random_state=0).fit_predict(X)) == 1
    for name in ("null", "varying-norm"):
        assert set(load_features(f"synthetic:{name}")[1]) == {"0"}


@pytest.mark.parametrize("seed", [0, 1])
def test_varying_norms_alone_give_the_signs_of_the_question(seed):
    """No clusters: raw, a small positive score at k = 2 and a negative one at 12; at length 1, none is negative."""
    X = load_features("synthetic:varying-norm", random_state=seed)[0]
    unit = X / np.linalg.norm(X, axis=1, keepdims=True)
    raw, scaled = (silhouette_samples(Y, sweep_kmeans(Y, [2, 8, 12], n_init=2).labels) for Y in (X, unit))
    assert 0.01 < raw[0].mean() < 0.1
    assert (raw[1:].mean(axis=1) < -0.01).all() and ((raw[1:] < 0).mean(axis=1) > 0.4).all()
    assert (scaled.mean(axis=1) > 0).all()


def test_unknown_features_are_refused():
    with pytest.raises(ParameterError, match=r"'synthetic:blob' \(did you mean 'synthetic:blobs'\?\)"):
        load_features("synthetic:blob")


# --- collections of torchvision ---------------------------------------------------------------------------------------


def test_unknown_name_of_torchvision_is_refused():
    with pytest.raises(ParameterError, match=r"'torchvision:CIFAR1O' \(did you mean 'torchvision:CIFAR10'\?\)"):
        load_images("torchvision:CIFAR1O")


@pytest.mark.parametrize("name", ["CIFAR10", "STL10", "Imagenette", "FashionMNIST"])
def test_without_network_one_sentence_says_what_to_do(tmp_path, monkeypatch, name):
    def refuse(*args, **kwargs):
        raise urllib.error.URLError("no network here")

    monkeypatch.setattr(urllib.request, "urlopen", refuse)
    with pytest.raises(ParameterError) as error:
        load_images(f"torchvision:{name}", pictures=str(tmp_path / "files"))
    text = str(error.value)
    assert f"'torchvision:{name}' is not in {tmp_path / 'files'}" in text and "folder:PATH" in text
    assert "\n" not in text and not re.search(r"[.;] [A-Z]", text), text


def test_cifar10_is_read_without_pickles(tmp_path):
    rows = np.random.default_rng(0).integers(0, 256, (4, 3073), dtype=np.uint8)
    rows[:, 0] = [3, 0, 9, 3]
    path = tmp_path / "cifar-10-batches-bin" / "test_batch.bin"
    path.parent.mkdir()
    rows.tofile(path)
    images = load_images("torchvision:CIFAR10", pictures=str(tmp_path))
    assert images.labels.tolist() == ["cat", "airplane", "truck", "cat"]
    np.testing.assert_array_equal(np.asarray(images.open(2))[5, 7], rows[2, 1:].reshape(3, 32, 32)[:, 5, 7])


def test_fashion_mnist_is_read_where_it_is(tmp_path):
    raw = tmp_path / "FashionMNIST" / "raw"
    raw.mkdir(parents=True)
    pixels = np.random.default_rng(0).integers(0, 256, (3, 28, 28), dtype=np.uint8)
    for part in ("train", "t10k"):
        head = np.array([2051, 3, 28, 28], dtype=">i4").tobytes()
        (raw / f"{part}-images-idx3-ubyte").write_bytes(head + pixels.tobytes())
        labels = np.array([2049, 3], dtype=">i4").tobytes()
        (raw / f"{part}-labels-idx1-ubyte").write_bytes(labels + bytes([9, 0, 3]))
    images = load_images("torchvision:FashionMNIST", pictures=str(tmp_path))
    assert images.labels.tolist() == ["Ankle boot", "T-shirt/top", "Dress"]
    np.testing.assert_array_equal(np.asarray(images.open(1))[..., 0], pixels[1])


def deliver(monkeypatch, **files):
    """Let a download of torchvision's deliver an archive of these files, by name."""

    def download_url(url, root, md5=None):
        assert md5
        os.makedirs(root, exist_ok=True)
        with tarfile.open(f"{root}/{url.rpartition('/')[2]}", "w:gz") as archive:
            for name, content in files.items():
                entry = tarfile.TarInfo(name)
                entry.size = len(content)
                archive.addfile(entry, io.BytesIO(content))

    monkeypatch.setattr(torchvision.datasets.utils, "download_url", download_url)


@pytest.mark.parametrize("name", ["CIFAR10", "STL10", "Imagenette"])
def test_no_archive_writes_outside_of_its_folder(tmp_path, monkeypatch, name):
    deliver(monkeypatch, **{"../escaped": b"x"})
    with pytest.raises(ParameterError, match="'../escaped' would be extracted to .*, which is outside the destination"):
        load_images(f"torchvision:{name}", pictures=str(tmp_path / "inside"))
    assert not (tmp_path / "escaped").exists()


def test_a_downloaded_archive_is_opened(tmp_path, monkeypatch):
    photograph = io.BytesIO()
    Image.new("RGB", (8, 6), "red").save(photograph, "jpeg")
    names = [f"imagenette2/val/{wnid}/{wnid}_1.JPEG" for wnid in ("n01440764", "n03888257")]
    deliver(monkeypatch, **dict.fromkeys(names, photograph.getvalue()))
    first = load_images("torchvision:Imagenette", pictures=str(tmp_path))
    assert first.labels.tolist() == ["tench", "parachute"] and first.open(1).size == (8, 6)
    monkeypatch.setattr(torchvision.datasets.utils, "download_url", lambda *args, **kwargs: pytest.fail("again"))
    assert load_images("torchvision:Imagenette", pictures=str(tmp_path)).fingerprint == first.fingerprint


# --- the registry -----------------------------------------------------------------------------------------------------


@pytest.fixture
def stripes(monkeypatch):
    """A data set that is registered for the time of a test."""
    monkeypatch.setattr(registry, "_KINDS", dict(registry._KINDS))

    @register_dataset("stripes:", credit="Stripes, by this test", placeholder="WIDTH")
    def _load(*, argument, **_):
        pixels = np.zeros((3, 12, 12), dtype=np.uint8)
        pixels[:, :: int(argument)] = 255
        return ImageSet(["a", "b", "c"], None, ["0", "1", "2"], pixels, read_pixels)


def test_a_registered_data_set_is_opened_and_named_in_messages(stripes):
    images = load_images("stripes:3", n_images=2)
    assert (images.dataset, images.credit, len(images)) == ("stripes:3", "Stripes, by this test", 2)
    assert np.asarray(images.open(0))[:4, 0, 0].tolist() == [255, 0, 0, 255]
    with pytest.raises(
        ParameterError, match=r"did you mean 'stripes:'\?\); allowed are .*, stripes:WIDTH, torchvision:"
    ):
        load_images("stripe:3")
    with pytest.raises(
        ParameterError, match="pictures = '/a' is for imagenet-sample, features:PATH and torchvision:NAME, not 'stripes"
    ):
        load_images("stripes:3", pictures="/a")


def test_table_of_parameters_and_page_about_data_name_every_kind():
    (row,) = (line for line in parameter_table().splitlines() if line.startswith("| `dataset`"))
    assert len(dataset_forms()) >= 6 and all(f"`{form}`" in row for form in dataset_forms())
    page = (ROOT / "book" / "your_images.md").read_text(encoding="utf-8")
    for kind in dataset_kinds():
        if not kind.placeholder:
            assert f"`{kind.name}`" in page or f"`{kind.name.partition(':')[2]}`" in page, kind.name


@pytest.mark.parametrize("dataset", [kind.name for kind in dataset_kinds() if not kind.needs_network])
def test_features_are_stored_under_the_source_that_reads_the_pictures(dataset, tmp_path):
    if dataset == "folder:":
        picture(tmp_path / "1.png")
        dataset = f"folder:{tmp_path}"
    elif dataset == "table:":
        (tmp_path / "list.csv").write_text("image\n1.png\n")
        dataset = f"table:{tmp_path / 'list.csv'}"
    elif dataset == "features:":
        np.save(tmp_path / "emb.npy", np.eye(3))
        dataset = f"features:{tmp_path / 'emb.npy'}"
    assert load_images(dataset).read.__module__ in import_closure("helpers.images.embeddings")


def test_readers_of_downloaded_pictures_are_followed_too():
    from helpers.images import torchvision_sets

    readers = {value for name, value in vars(torchvision_sets).items() if name.startswith("read_")}
    assert readers and all(isinstance(reader, types.FunctionType) for reader in readers)
    assert {reader.__module__ for reader in readers} <= set(import_closure("helpers.images.embeddings"))


# --- what has changed, what cannot be read ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda folder: picture(folder / "b" / "9.png", "lime"), "The file b/9.png has been added"),
        (lambda folder: (folder / "b" / "2.png").unlink(), "The file b/2.png has gone"),
        (lambda folder: picture(folder / "b" / "2.png", "lime"), "The file b/2.png has changed"),
        (lambda folder: (folder / "b" / "2.png").rename(folder / "a" / "2.png"), "The file a/2.png has been added"),
        (lambda folder: (folder / "b" / "4.part").rename(folder / "b" / "4.jpg"), "The file b/4.jpg has been added"),
    ],
    ids=["added", "gone", "changed", "moved", "arrived"],
)
@pytest.mark.parametrize("n_images", [None, 2])
def test_a_folder_that_changes_during_a_run_is_refused(tmp_path, change, says, n_images):
    """A sample of a changed folder is another one, so it is the folder that is compared."""
    for name, color in (("a/1.png", "red"), ("b/2.png", "blue"), ("b/3.png", "gray")):
        picture(tmp_path / name, color)
    (tmp_path / "b" / "4.part").touch()
    dataset = f"folder:{tmp_path}"
    with one_run():
        first = load_images(dataset, n_images=n_images)
        assert load_images(dataset, n_images=n_images).fingerprint == first.fingerprint
        change(tmp_path)
        with pytest.raises(ChangedImageError) as error:
            load_images(dataset, n_images=n_images)
        assert str(error.value) == f"{says} since this run began; run again once its folder no longer changes."
    load_images(dataset, n_images=n_images)


@pytest.mark.parametrize("n_images", [None, 2])
def test_files_that_are_no_images_come_and_go_during_a_run(tmp_path, n_images):
    """What the run found first stays listed, so that no chapter differs from what its key says."""
    for name in ("a/1.png", "b/2.png", "b/3.png"):
        picture(tmp_path / name)
    (tmp_path / "notes.txt").touch()
    dataset = f"folder:{tmp_path}"
    with one_run():
        first = load_images(dataset, n_images=n_images)
        for name in (".DS_Store", "Thumbs.db", "b/desktop.ini", "b/9.jpg.part"):
            (tmp_path / name).touch()
        (tmp_path / "notes.txt").unlink()
        again = load_images(dataset, n_images=n_images)
    assert again.left_out == first.left_out == ["notes.txt"] and again.fingerprint == first.fingerprint
    assert load_images(dataset).left_out == ["Thumbs.db", "b/9.jpg.part", "b/desktop.ini"]


def test_a_run_keeps_data_sets_apart(tmp_path):
    picture(tmp_path / "1.png")
    with one_run():
        for dataset in (f"folder:{tmp_path}", "digits", "synthetic:null"):
            assert load_images(dataset).fingerprint == load_images(dataset).fingerprint
        assert load_images("synthetic:null", random_state=1).fingerprint != load_images("synthetic:null").fingerprint


def test_a_collection_can_be_pickled(tmp_path):
    picture(tmp_path / "1.png")
    for images in (load_images(f"folder:{tmp_path}"), load_images("digits", n_images=4), load_images("synthetic:null")):
        again = pickle.loads(pickle.dumps(images))
        assert again.fingerprint == images.fingerprint
        np.testing.assert_array_equal(np.asarray(again.open(0)), np.asarray(images.open(0)))


def test_a_folder_named_like_a_picture_is_a_folder(tmp_path):
    picture(tmp_path / "x.png" / "1.png")
    assert load_images(f"folder:{tmp_path}").names == ["x.png/1.png"]


def test_a_folder_that_may_not_be_read_is_listed(tmp_path, monkeypatch):
    """Root may read everything, so the refusal is made here."""
    picture(tmp_path / "1.png")
    picture(tmp_path / "closed" / "2.png")
    scandir = os.scandir

    def refuse(path):
        if str(path).endswith("closed"):
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse)
    images = load_images(f"folder:{tmp_path}")
    assert images.names == ["1.png", "closed"]
    with pytest.raises(OSError):
        images.open(1)


def test_a_link_into_a_folder_that_may_not_be_entered_is_listed(tmp_path, monkeypatch):
    """Whatever its name: it may lead to images. Root may enter everything, so the refusal is made here."""
    picture(tmp_path / "photos" / "1.png")
    picture(tmp_path / "closed" / "2.png")
    picture(tmp_path / "closed" / "more" / "3.png")
    (tmp_path / "photos" / "2.png").symlink_to(tmp_path / "closed" / "2.png")
    (tmp_path / "photos" / "a").symlink_to(tmp_path / "closed" / "more")
    refuse_below(tmp_path / "closed", monkeypatch)
    images = load_images(f"folder:{tmp_path / 'photos'}")
    assert images.names == ["1.png", "2.png", "a"] and images.contents[1:] == ["unreadable: Permission denied"] * 2
    with pytest.raises(OSError, match="Permission denied"):
        images.open(2)
    with pytest.raises(ParameterError, match="The folder .*/more of the data set 'folder:.*' may not be read.$"):
        load_images(f"folder:{tmp_path / 'closed' / 'more'}")


def refuse_below(folder, monkeypatch):
    """Let the system refuse to look at what is below a folder, also through links."""

    def refusing(function):
        def call(path, *args, **options):
            if isinstance(path, (str, os.PathLike)) and str(folder) + "/" in os.path.realpath(path):
                raise PermissionError(13, "Permission denied", str(path))
            return function(path, *args, **options)

        return call

    for module, name in ((os, "stat"), (os, "scandir"), (builtins, "open"), (io, "open")):
        monkeypatch.setattr(module, name, refusing(getattr(module, name)))
    monkeypatch.setattr(
        os.path, "isdir", lambda path: not os.path.islink(path) and stat.S_ISDIR(os.lstat(path).st_mode)
    )


NO_DATA = [np.nan, np.inf, -np.inf, np.finfo(np.float32).min, 1e30, -9999, -99999, -32768]


@pytest.mark.parametrize("value", NO_DATA, ids=str)
def test_pixels_without_a_value_are_black_and_take_no_part_in_the_range(tmp_path, value):
    """Heights of 1,000 to 1,002 metres would otherwise be one white."""
    values = np.array([[value, 1000], [1001, 1002]], dtype=np.float32)
    assert opened(tmp_path, Image.fromarray(values), "a.tif")[..., 0].tolist() == [[0, 0], [127, 255]]


@pytest.mark.parametrize("tag", ["-1", "-1.0", "nonsense", "nan"])
def test_the_value_that_a_tiff_names_for_no_data_takes_no_part(tmp_path, tag):
    values = np.array([[-1, 1000], [1001, 1002]], dtype=np.float32)
    pixels = opened(tmp_path, Image.fromarray(values), "a.tif", tiffinfo={42113: tag})[..., 0].tolist()
    assert pixels == ([[0, 0], [127, 255]] if tag.startswith("-1") else [[0, 254], [254, 255]])


def test_a_picture_without_any_value_is_black(tmp_path):
    assert (opened(tmp_path, Image.fromarray(np.full((2, 2), np.nan, np.float32)), "a.tif") == 0).all()


# --- addresses --------------------------------------------------------------------------------------------------------


@pytest.fixture
def bucket(tmp_path):
    """Pictures of two classes at an address, and the same in a folder."""
    files = fsspec.filesystem("memory")
    for name in ("b/1.png", "a/2.PNG", "a/no.txt", ".hidden/3.png", "a/zero.png", "a-b/4.png", "z.png"):
        content = io.BytesIO()
        if name.lower().endswith("png") and "zero" not in name:
            Image.new("RGB", (8, 8), (len(name), 0, 200)).save(content, "png")
        files.pipe(f"/bucket/{name}", content.getvalue())
        path = tmp_path / "folder" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.getvalue())
    yield "memory://bucket"
    files.rm("/bucket", recursive=True)


def test_an_address_gives_what_the_folder_would(bucket, tmp_path):
    there, here = load_images(f"folder:{bucket}"), load_images(f"folder:{tmp_path / 'folder'}")
    assert there.names == here.names and set(there.names) == {"z.png", "a/2.PNG", "a/zero.png", "a-b/4.png", "b/1.png"}
    assert there.fingerprint == here.fingerprint and there.labels.tolist() == here.labels.tolist()
    np.testing.assert_array_equal(there.open(0), here.open(0))
    with pytest.raises(OSError, match="cannot identify"):
        there.open(there.names.index("a/zero.png"))
    for end in ("", "/", "//"):
        assert load_images(f"folder:file://{tmp_path / 'folder'}{end}").fingerprint == here.fingerprint
        assert load_images(f"folder:{bucket}{end}").fingerprint == here.fingerprint


def test_a_file_at_an_address_that_changes_is_not_believed(bucket):
    images = load_images(f"folder:{bucket}")
    files = fsspec.filesystem("memory")
    there = fsspec.filesystem("memory").cat_file("/bucket/b/1.png")
    files.pipe("/bucket/b/1.png", b"other")
    with pytest.raises(ChangedImageError, match=r"^The file b/1.png has changed since this run began; run again"):
        images.open(images.names.index("b/1.png"))
    files.rm("/bucket/a/2.PNG")
    with pytest.raises(ChangedImageError, match=r"^The file a/2.PNG has become unreadable \(FileNotFoundError\) since"):
        images.open(images.names.index("a/2.PNG"))
    files.pipe("/bucket/b/1.png", there)
    images.open(images.names.index("b/1.png"))


def test_a_file_system_that_stumbles_is_not_the_fault_of_the_image(bucket, monkeypatch):
    """It ends the run in a sentence, and no image is left out for it."""

    def stumble(self, path, **options):
        raise RuntimeError(f"secret://{path}")

    images = load_images(f"folder:{bucket}")
    monkeypatch.setattr(type(fsspec.filesystem("memory")), "cat_file", stumble)
    with pytest.raises(FetchError, match=r"^The image 1.png cannot be fetched: RuntimeError; try again"):
        images.open(images.names.index("b/1.png"))
    with pytest.raises(ParameterError, match=r"^The image \S+ cannot be fetched: RuntimeError; try again"):
        load_images(f"folder:{bucket}")


def test_a_folder_that_cannot_be_listed_is_not_left_out(bucket, monkeypatch):
    memory = type(fsspec.filesystem("memory"))
    ls = memory.ls

    def closed(self, path, **options):
        if path.endswith("/b"):
            raise ConnectionResetError(104, "Connection reset by peer")
        return ls(self, path, **options)

    monkeypatch.setattr(memory, "ls", closed)
    with pytest.raises(ParameterError, match=r"cannot be read: .*Connection reset by peer\.$"):
        load_images(f"folder:{bucket}")


def test_a_password_in_an_address_is_refused_and_not_shown():
    with pytest.raises(ParameterError, match="^The https:// address of the data set has a password in it") as error:
        load_images("folder:https://user:hush@example.org/photos")
    assert "hush" not in str(error.value)


@pytest.mark.parametrize(
    ("address", "message"),
    [
        ("memory://nothing", "The address memory://nothing does not exist or holds no images (.jpg"),
        ("nosuch://bucket", "The address nosuch://bucket of the data set cannot be read: Protocol not known: nosuch"),
        (
            "zip://::file:///x.zip",
            "is a chain of addresses; give one, such as s3://bucket/photos, or the path of a zip file",
        ),
        ("memory://nothing.zip", "); a zip file is read from this machine only"),
        ("gs://bucket/photos", "The address gs://bucket/photos of the data set cannot be read: "),
    ],
)
def test_addresses_that_cannot_be_read_are_one_sentence(address, message, monkeypatch):
    monkeypatch.setitem(sys.modules, "gcsfs", None)  # what gs:// needs
    with pytest.raises(ParameterError) as error:
        load_images(f"folder:{address}")
    assert message in str(error.value) and "\n" not in str(error.value) and str(error.value).endswith(".")


def test_an_owner_and_a_repository_are_no_password(monkeypatch):
    from fsspec.implementations.github import GithubFileSystem

    tree = {"": [("photos", "directory"), ("1.png", "file")], "photos": [("photos/2.png", "file")]}
    content = io.BytesIO()
    Image.new("RGB", (8, 8), "red").save(content, "png")

    def ls(self, path, **options):
        assert (self.org, self.repo, self.root) == ("org", "repo", "v1.0")
        return [{"name": name, "type": kind} for name, kind in tree[path]]

    monkeypatch.setattr(GithubFileSystem, "ls", ls)
    monkeypatch.setattr(GithubFileSystem, "cat_file", lambda self, path: content.getvalue())
    assert load_images("folder:github://org:repo@v1.0/photos").names == ["2.png"]
    whole = load_images("folder:github://org:repo@v1.0")
    assert whole.names == ["1.png", "photos/2.png"] and whole.open(1).size == (8, 8)


@pytest.mark.parametrize("scheme", ["file:", "file://", "file://localhost", "local://", "local:"])
def test_a_file_address_is_a_path_of_this_machine(tmp_path, scheme):
    picture(tmp_path / "1.png")
    assert load_images(f"folder:{scheme}{tmp_path}").names == ["1.png"]


# --- zip files --------------------------------------------------------------------------------------------------------


def packed(path, names, how=zipfile.ZIP_DEFLATED):
    """Write pictures, no two alike, into a zip file."""
    with zipfile.ZipFile(path, "w", how) as archive:
        for number, name in enumerate(names):
            content = io.BytesIO()
            Image.new("RGB", (8, 6), (number, 9, 9)).save(content, "png")
            archive.writestr(name, content.getvalue())
    return path


@pytest.mark.parametrize("form", ["folder:{}", "folder:zip://{}", "folder:file://{}"])
def test_a_zip_file_gives_what_its_folder_would(tmp_path, form):
    names = ["b/2.png", "b/a/0.png", "top.PNG", "b/10.png", "__MACOSX/._top.png", ".git/3.png", "notes.txt", "a/é.png"]
    archive = packed(tmp_path / "photos.ZIP", names)
    with zipfile.ZipFile(archive) as file:
        file.extractall(tmp_path / "folder")
    there, here = load_images(form.format(archive)), load_images(f"folder:{tmp_path / 'folder'}")
    assert there.names == here.names == ["top.PNG", "a/é.png", "b/10.png", "b/2.png", "b/a/0.png"]
    assert there.fingerprint == here.fingerprint and there.left_out == here.left_out == ["notes.txt"]
    again = pickle.loads(pickle.dumps(there))
    for i in range(len(here)):
        np.testing.assert_array_equal(again.open(i), here.open(i))


def test_a_zip_file_that_changes_is_not_believed(tmp_path):
    images = load_images(f"folder:{packed(tmp_path / 'x.zip', ['1.png', '2.png'])}")
    packed(tmp_path / "x.zip", ["2.png"])
    with pytest.raises(ChangedImageError, match="^The file 1.png has become unreadable"):
        images.open(0)
    with pytest.raises(ChangedImageError, match="^The file 2.png has changed since this run began"):
        images.open(1)
    (tmp_path / "x.zip").unlink()
    with pytest.raises(ChangedImageError, match="^The file 1.png has become unreadable"):
        images.open(0)


def test_a_damaged_member_is_listed_and_the_others_are_read(tmp_path):
    archive = packed(tmp_path / "x.zip", ["1.png", "2.png"], zipfile.ZIP_STORED)
    content = bytearray(archive.read_bytes())
    content[content.index(b"IDAT") + 6] ^= 1
    archive.write_bytes(content)
    images = load_images(f"folder:{archive}")
    assert images.contents[0] == "unreadable: it is damaged in the zip file, or not there"
    with pytest.raises(OSError, match="damaged in the zip file"):
        images.open(0)
    assert images.open(1).size == (8, 6)


def flagged(path):
    """Say of all members that they are encrypted, as the bit of the format does."""
    content = bytearray(path.read_bytes())
    content[content.index(b"PK\x01\x02") + 8] |= 1
    path.write_bytes(content)
    return path


def of_another_method(path):
    """Say that a member is packed by deflate64, as Windows does with large ones."""
    content = bytearray(path.read_bytes())
    content[content.index(b"PK\x01\x02") + 10] = 9
    path.write_bytes(content)
    return path


def bomb(path):
    with (
        zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive,
        archive.open("0.png", "w") as member,
    ):
        for _ in range(1025):
            member.write(bytes(2**20))
    return path


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (lambda path: packed(path, ["../1.png"]), "has a member whose path leads out of it, '../1.png'"),
        (lambda path: packed(path, ["/1.png"]), "has a member whose path leads out of it, '/1.png'"),
        (lambda path: packed(path, ["a/../../1.png"]), "has a member whose path leads out of it"),
        (lambda path: packed(path, ["C:1.png"]), "has a member whose path leads out of it"),
        (lambda path: packed(path, ["a\\..\\..\\1.png"]), "has a member whose path leads out of it"),
        (lambda path: flagged(packed(path, ["1.png"])), "is encrypted, at least its member '1.png'"),
        (
            lambda path: of_another_method(packed(path, ["1.png"])),
            "has the member '1.png' packed by a method that Python",
        ),
        (bomb, "would unpack to 1.0 GiB, "),
        (lambda path: path.write_bytes(b"PK no more"), "cannot be read (File is not a zip file)"),
    ],
    ids=["up", "root", "up later", "drive", "backslashes", "encrypted", "method", "bomb", "no zip file"],
)
def test_a_zip_file_that_should_not_be_unpacked_is_refused(tmp_path, make, reason):
    make(tmp_path / "x.zip")
    with pytest.raises(ParameterError) as error:
        load_images(f"folder:{tmp_path / 'x.zip'}")
    text = str(error.value)
    assert text.startswith(f"The zip file {tmp_path / 'x.zip'} of the data set {reason}")
    assert text.endswith("; unpack it with another program, and name the folder.") and "\n" not in text


def test_a_zip_file_of_too_many_images_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(files, "_MOST_MEMBERS", 2)
    archive = packed(tmp_path / "x.zip", ["1.png", "2.png", "3.png"])
    with pytest.raises(ParameterError, match="holds 3 images, more than the 2 that are read from one; unpack it"):
        load_images(f"folder:{archive}")


def test_a_zip_file_without_images_says_what_it_holds(tmp_path):
    with pytest.raises(ParameterError, match="x.zip holds no images: none of its 2 files .*; it has 2 .heic.$"):
        load_images(f"folder:{packed(tmp_path / 'x.zip', ['1.HEIC', '2.heic'])}")
