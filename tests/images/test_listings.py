"""Tables of paths and features of one's own: what is found, and that no row of them ends a run."""

from __future__ import annotations

import importlib.util
import os
import pickle

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from helpers.core.conventions import ParameterError
from helpers.images.collection import ImageSet
from helpers.images.datasets import load_features, load_images
from helpers.images.embeddings import embed_images
from helpers.pages.execution import open_images
from helpers.parameters import Parameters
from helpers.study import Study

X = np.random.default_rng(0).standard_normal((40, 6)) + np.repeat(np.eye(6)[:2] * 9, 20, axis=0)
NO_PARQUET = importlib.util.find_spec("pyarrow") is None


@pytest.fixture
def pictures(tmp_path):
    """Write four pictures, some under names that a table must put into quotes."""
    names = ["a.png", "sub/b, c.png", 'sub/"d".png', "line\nbreak.png"]
    for i, name in enumerate(names):
        path = tmp_path / "photos" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (8, 6), (60 * i, 80, 160)).save(path)
    return names


def table_at(folder, text, name="list.csv", encoding="utf-8"):
    path = folder / name
    path.write_bytes(text.encode(encoding))
    return f"table:{path}"


def test_a_table_gives_what_its_folder_would(tmp_path, pictures):
    table = pd.DataFrame({"nr": range(4), "Image": [f"photos/{name}" for name in pictures], "LABEL": list("xyxy")})
    path = tmp_path / "list.csv"
    table.to_csv(path, index=False, encoding="utf-8-sig")
    images = load_images(f"table:{path}")
    assert images.names == table["Image"].tolist() and images.labels.tolist() == list("xyxy")
    of_folder = load_images(f"folder:{tmp_path / 'photos'}")
    assert sorted(images.contents) == sorted(of_folder.contents)
    assert images.open(2).getpixel((0, 0)) == (120, 80, 160)
    assert pickle.loads(pickle.dumps(images)).fingerprint == images.fingerprint
    assert load_images(f"table:{path}", n_images=3).fingerprint != images.fingerprint


@pytest.mark.parametrize("separator", [";", "\t"])
def test_other_separators_and_absolute_paths(tmp_path, pictures, separator):
    lines = [
        separator.join(("class", "file")),
        *(separator.join((c, str(tmp_path / "photos" / "a.png"))) for c in "uv"),
    ]
    images = load_images(table_at(tmp_path, "\r\n".join(lines)))
    assert images.labels.tolist() == ["u", "v"] and images.contents[0] == images.contents[1]


def test_a_line_that_names_the_separator_and_blanks_after_it_are_no_part_of_the_values(tmp_path, pictures):
    path = tmp_path / "photos" / "a.png"
    images = load_images(table_at(tmp_path, f'sep=;\r\nimage; label; "note"\r\n{path}; u; "x"; \r\n{path}; v;\r\n'))
    assert images.names == [str(path)] * 2 and images.labels.tolist() == ["u", "v"] and images.open(0).size == (8, 6)


def test_rows_that_name_no_file_are_listed_with_the_reason(tmp_path, pictures):
    os.mkfifo(tmp_path / "pipe.png")
    rows = [
        "photos/a.png",
        "none.png",
        "photos",
        "pipe.png",
        "/dev/zero",
        "",
        "s3://bucket/a.png",
        "a\0b.png",
        "x" * 999,
    ]
    images = load_images(
        table_at(tmp_path, "\n".join(["path,label", *(f"{row},{row[:1]}" for row in rows), "only-path"]))
    )
    embeddings = embed_images(images, backbone="pixels", cache_dir=tmp_path / "cache")
    assert embeddings.kept.tolist() == [0]
    assert [reason for _, reason in embeddings.skipped] == [
        *("No such file or directory", "Is a directory", "Not a directory", "Not a directory", "Is a directory"),
        *("No such file or directory", "No such file or directory", "File name too long", "No such file or directory"),
    ]
    assert embeddings.skipped[4][0] == "row 6"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("photo,label\na.png,x\n", "no column of paths, which is called image, path, file or filename; its columns are "
         "'photo' and 'label'."),
        ("", "its columns are none."),
        ("image,label\n", "has a line of names and no rows."),
        ('image,label\na.png,"x\nb.png,y\n', "unexpected end of data, in line 3."),
        ("image,label\na.png,x\na,b.png,y\n", "has 3 cells in line 3 and 2 names of columns; put a cell in which "
         "there is a ',' in quotation marks."),
        ("path,Path\na.png,b.png\n", "has 2 columns 'path'; leave one."),
    ],
)  # fmt: skip
def test_a_table_without_paths_is_refused_in_one_sentence(tmp_path, text, message):
    with pytest.raises(ParameterError) as refusal:
        load_images(table_at(tmp_path, text))
    assert message in str(refusal.value) and "\n" not in str(refusal.value)


@pytest.mark.parametrize(
    ("dataset", "message"),
    [
        ("table:", "The table of no name is no file that is here."),
        ("table:s3://bucket/list.csv", "is an address; it must be a file of this machine."),
        ("table:pyproject.toml", "must end in .csv, .tsv or .parquet."),
        ("features:none.npy", "none.npy is no file that is here."),
        ("features:pyproject.toml", "must end in .npy, .npz or .parquet."),
        ("no/list.csv", "(did you mean 'table:no/list.csv'?)"),
        ("no/emb.npz", "(did you mean 'features:no/emb.npz'?)"),
    ],
)
def test_what_is_no_such_file_is_refused(dataset, message):
    with pytest.raises(ParameterError) as refusal:
        load_images(dataset)
    assert message in str(refusal.value)


def test_text_that_is_not_utf8_is_refused(tmp_path):
    with pytest.raises(ParameterError, match="is no text in UTF-8"):
        load_images(table_at(tmp_path, "image\né.png\n", encoding="latin-1"))


# --- features ---------------------------------------------------------------------------------------------------------


def test_a_matrix_is_studied_as_it_is(tmp_path):
    np.save(tmp_path / "emb.npy", X)
    params = Parameters(
        dataset=f"features:{tmp_path / 'emb.npy'}",
        normalize="none",
        n_components=None,
        k_max=4,
        cache_dir=str(tmp_path),
    )
    study = Study(params)
    assert study.images.names[:2] == ["row-0000", "row-0001"]
    np.testing.assert_array_equal(study.features, X.astype(np.float32))
    assert study.labels is None and study.open_image(3).size == (224, 224)
    of_rows = Study.of_features(X, range(2, 5), normalize="none", n_components=None, cache_dir=tmp_path / "other")
    np.testing.assert_array_equal(of_rows.silhouettes, study.silhouettes)


def test_names_labels_and_pictures_come_along(tmp_path, pictures):
    named = {"features": X[:4].astype(np.float16), "images": np.array(pictures), "labels": np.array([1, 2, 1, 2])}
    np.savez(tmp_path / "emb.npz", **named)
    images = load_images(f"features:{tmp_path / 'emb.npz'}")
    assert images.names == pictures and images.labels.tolist() == ["1", "2", "1", "2"] and not images.has_pictures
    seen = load_images(f"features:{tmp_path / 'emb.npz'}", pictures=str(tmp_path / "photos"))
    assert seen.has_pictures and seen.open(1).getpixel((0, 0)) == (60, 80, 160)
    np.testing.assert_array_equal(seen.features, named["features"])
    assert embed_images(seen, backbone="pixels", cache_dir=tmp_path / "cache").features.shape == (4, 1024)
    with pytest.raises(ParameterError, match="lacks 4 of the 4 images that .*emb.npz names, such as 'a.png'"):
        load_images(f"features:{tmp_path / 'emb.npz'}", pictures=str(tmp_path))
    np.testing.assert_array_equal(load_features(f"features:{tmp_path / 'emb.npz'}")[0], named["features"])
    with pytest.raises(ParameterError, match="comes as features, without pictures to compute others from"):
        images.comes_with("pixels", None, "float32")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"features": np.ones(5)}, r"must be numbers in rows, .*; they have the shape \(5,\) and the type float64"),
        ({"features": np.full((3, 2), "a")}, "must be numbers in rows"),
        ({"features": np.ones((3, 0))}, "must be numbers in rows"),
        ({"features": [[0, 1], [np.nan, 1], [1e300, 0]]}, "in 2 of 3 rows, the first of them row 1"),
        (
            {"a": np.ones((2, 2)), "b": np.ones((2, 2))},
            "has no features, which are called 'features'; it has 'a' and 'b'",
        ),
        ({"features": np.ones((3, 2)), "images": ["a"]}, "has 3 rows of features and 1 names"),
        ({"features": np.ones((3, 2)), "labels": ["a", "b"]}, "has 3 rows of features and 2 labels"),
        ({"features": np.array([[1, None]], dtype=object)}, "it holds Python objects, which are not loaded"),
    ],
)
def test_features_that_cannot_be_studied_are_refused_in_one_sentence(tmp_path, content, message):
    np.savez(tmp_path / "emb.npz", **content)
    with pytest.raises(ParameterError, match=message) as refusal:
        load_images(f"features:{tmp_path / 'emb.npz'}")
    assert "\n" not in str(refusal.value)


class Bomb:
    """What would run, were it unpickled."""

    def __reduce__(self):
        return os.mkdir, ("unpickled",)


@pytest.mark.parametrize("name", ["emb.npy", "emb.npz"])
def test_nothing_is_unpickled(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    (tmp_path / name).write_bytes(pickle.dumps(Bomb()))
    with pytest.raises(ParameterError, match="it is no file of NumPy"):
        load_images(f"features:{tmp_path / name}")
    np.save(tmp_path / "objects.npy", np.array([Bomb()], dtype=object), allow_pickle=True)
    with pytest.raises(ParameterError, match="it holds Python objects"):
        load_images(f"features:{tmp_path / 'objects.npy'}")
    assert not (tmp_path / "unpickled").exists()


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04broken", b"\x93NUMPY\x01\x00"])
def test_damaged_files_are_refused_in_one_sentence(tmp_path, content):
    (tmp_path / "emb.npz").write_bytes(content)
    with pytest.raises(ParameterError, match="cannot be read: "):
        load_images(f"features:{tmp_path / 'emb.npz'}")


def test_a_matrix_that_is_said_to_be_larger_than_its_file_is_refused(tmp_path):
    header = "{'descr': '<f4', 'fortran_order': False, 'shape': (1099511627776, 1), }"
    content = b"\x93NUMPY\x01\x00" + (118).to_bytes(2, "little") + header.ljust(117).encode() + b"\n" + bytes(64)
    for name in ("emb.npy", "emb.npz"):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(ParameterError, match="cannot be read: "):
            load_images(f"features:{tmp_path / name}")


def test_texts_of_bytes_are_texts(tmp_path):
    names = np.array([b"\xc3\xa9-%d" % i for i in range(40)])
    np.savez(tmp_path / "emb.npz", features=X, images=names, labels=X[:, 0] > 0)
    images = load_images(f"features:{tmp_path / 'emb.npz'}")
    assert images.names[0] == "é-0" and set(images.labels) == {"False", "True"}


@pytest.mark.skipif(NO_PARQUET, reason="pyarrow is not installed")
def test_labels_and_features_of_a_parquet_file_are_as_they_were_meant(tmp_path):
    path = tmp_path / "all.parquet"
    numbers = pd.DataFrame({"image": ["a", "b", "c"], "label": pd.array([1, None, 3], dtype="Int64")})
    numbers.to_parquet(path)
    assert load_images(f"table:{path}").labels.tolist() == ["1", "", "3"]
    numbers.astype({"label": float}).to_parquet(path)
    assert load_images(f"table:{path}").labels.tolist() == ["1", "", "3"]
    numbers.assign(label=[[1], [2], [3]]).to_parquet(path)
    with pytest.raises(ParameterError, match="is a list; it must be a text or a number"):
        load_images(f"table:{path}")
    numbers.assign(x=[[1.0], [2.0, 3.0], [4.0]]).to_parquet(path)
    with pytest.raises(ParameterError, match="are not of one length"):
        load_images(f"features:{path}")
    numbers.assign(other=[[1.0], [2.0, 3.0], [4.0]]).to_parquet(path)
    with pytest.raises(ParameterError, match="are not of one length"):
        load_images(f"features:{path}")


@pytest.mark.parametrize(
    ("rows", "options", "message"),
    [
        (np.outer(np.arange(1, 41), [0.1, 0.2, 0.3]), {}, "40 images, 1 of them different"),
        (np.arange(1, 41)[:, np.newaxis] - 20.5, {}, "only 2 differ, so k_max may be at most 2"),
        (np.where(X > 9, 1e36, X), {"normalize": "none"}, "cannot be studied: The features reach 1e.36"),
    ],
)
def test_features_in_which_nothing_is_left_after_scaling_are_refused_before_a_notebook_runs(
    rows, options, message, tmp_path
):
    np.save(tmp_path / "emb.npy", rows)
    dataset, cache_dir = f"features:{tmp_path / 'emb.npy'}", str(tmp_path / "cache")
    params = Parameters(dataset=dataset, k_max=8, cache_dir=cache_dir, **options)
    with pytest.raises(ParameterError, match=message):
        open_images(params, Parameters.model_fields)
    with pytest.raises(ParameterError, match=message):
        _ = Study(params).sweep


@pytest.mark.skipif(NO_PARQUET, reason="pyarrow is not installed")
def test_parquet(tmp_path, pictures):
    table = pd.DataFrame({"file": pictures, "label": ["u", None, "v", "v"], "features": X[:4].tolist()})
    table.to_parquet(tmp_path / "photos" / "all.parquet")
    images = load_images(f"table:{tmp_path / 'photos' / 'all.parquet'}")
    assert images.names == pictures and images.labels.tolist() == ["u", "", "v", "v"]
    assert images.open(0).size == (8, 6)
    own = load_images(f"features:{tmp_path / 'photos' / 'all.parquet'}")
    np.testing.assert_array_equal(own.features, X[:4].astype(np.float32))
    assert own.names == pictures
    (tmp_path / "broken.parquet").write_bytes(b"PAR1")
    with pytest.raises(ParameterError, match="cannot be read as Parquet"):
        load_images(f"table:{tmp_path / 'broken.parquet'}")


@pytest.mark.skipif(not NO_PARQUET, reason="pyarrow is installed")
def test_without_its_package_parquet_is_refused_with_what_to_install(tmp_path):
    (tmp_path / "all.parquet").write_bytes(b"PAR1")
    for kind in ("table", "features"):
        with pytest.raises(ParameterError, match="the package pyarrow, which is not installed here"):
            load_images(f"{kind}:{tmp_path / 'all.parquet'}")


def test_a_listed_collection_is_one_like_any_other(tmp_path, pictures):
    images = load_images(table_at(tmp_path, "image\nphotos/a.png\nphotos/a.png\n"), copies="drop")
    assert isinstance(images, ImageSet) and images.names == ["photos/a.png"] and images.labels is None
