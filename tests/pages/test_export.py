"""What is taken home: read again by pandas it gives the numbers of the page, and nobody's files are overwritten."""

from __future__ import annotations

import json
import os
from pathlib import Path

import nbformat
import numpy as np
import pandas as pd
import pytest
from PIL import Image
from sklearn.metrics import silhouette_samples

from helpers.__main__ import main
from helpers.core.conventions import ROOT, ParameterError
from helpers.images.collection import ChangedImageError
from helpers.images.datasets import load_images
from helpers.pages import export as module
from helpers.pages.book import downloads_apart
from helpers.pages.export import export_study, safe_name
from helpers.pages.provenance import download_links
from helpers.pages.sources import NotebookError
from helpers.pages.tables import READING, csv_bytes
from helpers.parameters import Parameters
from helpers.study import Study

# Names that a spreadsheet, a shell or a page would take for something else.
NAMES = (
    *(
        "=cmd|' /C calc'!A0.png",
        "+1.png",
        "-2+3.png",
        "@SUM(1).png",
        " =1+1.png",
        "＝1.png",
        "'quoted.png",
        "''two.png",
    ),
    *('a "b", c.png', "line\nbreak.png", "line\r\nbreak.png", "lone\rreturn.png", "tab\tin.png", "\tfirst.png"),
    *("semi;=1.png", "<b>bold</b>.png", "NA.png", "nan", "1", "Zürich 東京.png", "a,b,c.png", '"', "", "null"),
)


def read(path):
    """Read a table as README.md of an export says."""
    given = {}
    exec(READING.replace('"clusters.csv"', repr(str(path))), given)
    return given["table"]


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    """Choose a small study of images that are no files."""
    folder = tmp_path_factory.mktemp("cache")
    return Study(
        Parameters(dataset="digits", n_images=120, backbone="pixels", n_components=8, k_max=4, cache_dir=str(folder))
    )


@pytest.fixture(scope="module")
def folder(study, tmp_path_factory):
    """Export that study, with copies."""
    folder = tmp_path_factory.mktemp("taken") / "home"
    with pytest.MonkeyPatch.context() as patch:  # UMAP takes as long as all the rest
        patch.setattr(Study, "map_points", property(lambda study: study.points[:, :2]))
        said = export_study(study.params, folder, copy="file", n_representatives=9)
    assert str(folder) in said and "120 images" in said
    return folder


@pytest.fixture(scope="module")
def odd_images(tmp_path_factory):
    """Write images in two folders, some under names that occur in both, and some that are no harmless texts."""
    pixels = load_images("digits", n_images=40)
    own = tmp_path_factory.mktemp("odd") / "own images"
    for i in range(40):
        name = (
            [name for name in NAMES if name.endswith(".png") and "\r" not in name][i % 17 % 9] if i < 18 else f"{i}.png"
        )
        path = own / ("=one" if i % 2 else "two, 'or' \"three\"") / name
        path.parent.mkdir(parents=True, exist_ok=True)
        pixels.open(i).save(path)
    return own


# --- tables -----------------------------------------------------------------------------------------------------------


def test_texts_of_any_kind_come_back_and_none_begins_like_a_formula(tmp_path):
    table = pd.DataFrame(
        {"image": NAMES, "label": NAMES[::-1], "silhouette_k2": np.random.default_rng(0).random(len(NAMES))}
    )
    (tmp_path / "clusters.csv").write_bytes(csv_bytes(table))
    back = read(tmp_path / "clusters.csv")
    assert back["image"].tolist() == list(NAMES) and back["label"].tolist() == list(NAMES[::-1])
    assert (back["silhouette_k2"] == table["silhouette_k2"]).all()
    raw = pd.read_csv(tmp_path / "clusters.csv", dtype=str, keep_default_na=False)["image"]
    assert not raw.str.match(r"\s*[=+\-@＝＋－＠]").any()


def test_bytes_that_are_no_text_are_written_as_escapes():
    assert b'"a\\udcff.png"' in csv_bytes(pd.DataFrame({"image": ["a\udcff.png"]}, dtype=object))


def test_the_clusters_read_again_give_the_numbers_of_the_page(study, folder):
    table, criteria = read(folder / "clusters.csv"), read(folder / "criteria.csv").set_index("n_clusters")
    facts = json.loads((folder / "verdict.json").read_text())
    with np.load(folder / "features.npz", allow_pickle=False) as arrays:
        features, points, names = arrays["features"], arrays["points"], arrays["images"]
    assert table["image"].tolist() == names.tolist() == study.images.names
    assert table["label"].tolist() == study.labels.tolist()
    assert facts["k_taken"] == [int(name[9:]) for name in table if name.startswith("cluster_k")]
    for k in facts["k_taken"]:
        labels, samples = table[f"cluster_k{k}"].to_numpy(), table[f"silhouette_k{k}"].to_numpy()
        assert samples.mean() == pytest.approx(study.criteria.loc[k, "score"], abs=1e-15)
        np.testing.assert_allclose(silhouette_samples(features, labels), samples, atol=1e-6)
        np.testing.assert_array_equal(labels, study.labels_at(k))
        centers = np.stack([points[labels == cluster].mean(axis=0) for cluster in range(k)])
        inertia = (table[f"distance_k{k}"] ** 2).sum()
        assert inertia == pytest.approx(criteria.loc[k, "inertia"], rel=1e-6)
        np.testing.assert_allclose(np.linalg.norm(points - centers[labels], axis=1), table[f"distance_k{k}"], rtol=1e-4)
        assert (table[f"rival_k{k}"] != labels).all()
    pd.testing.assert_frame_equal(criteria, study.criteria, check_dtype=False, check_names=False)


def test_the_verdict_is_told_with_what_it_rests_on(study, folder):
    facts = json.loads((folder / "verdict.json").read_text())
    assert facts["n_clusters"] == study.verdict.n_clusters and facts["sentences"] == study.verdict.sentences
    assert facts["convenient_k"] in facts["k_taken"] and Parameters(**facts["parameters"]) == study.params
    assert facts["data"]["fingerprint"] == study.images.fingerprint and facts["data"]["n_images"] == 120
    assert sum(facts["draws"].values()) == pytest.approx(1)
    assert set(facts["another_seed"]) == set(map(str, facts["k_taken"]))
    assert all(-1 <= agreement <= 1 for agreement in facts["another_seed"].values())
    assert [level["n_clusters"] for level in facts["levels"]] == study.verdict.levels.index.tolist()
    assert "numpy" in facts["versions"]


def test_representatives_cover_each_cluster(study, folder):
    table, k = read(folder / "representatives.csv"), study.verdict.convenience
    labels = pd.Series(study.labels_at(k), index=study.images.names)
    assert (labels[table["image"]].to_numpy() == table["cluster"]).all()
    covering = table[table["chosen"] == "covers"]
    assert abs(len(covering) - 9) <= k and not covering["image"].duplicated().any()
    assert covering.groupby("cluster")["stands_for"].sum().tolist() == np.bincount(labels).tolist()
    silhouette = pd.Series(study.silhouettes[study.k_values.index(k)], index=study.images.names)
    for cluster, border in table[table["chosen"] == "border"].groupby("cluster"):
        assert border["silhouette"].tolist() == sorted(silhouette[labels == cluster])[:3]


def test_figures_are_pictures_of_two_kinds(folder):
    for name in ("criteria", "valleys", "silhouettes", "map", "clusters", "tree"):
        with Image.open(folder / "figures" / f"{name}.png") as picture:
            assert min(picture.size) > 200 and picture.convert("RGB").getpixel((0, 0)) == (255, 255, 255)
        assert "<svg" in (folder / "figures" / f"{name}.svg").read_text()[:600]


# --- images -----------------------------------------------------------------------------------------------------------


def test_images_that_are_no_files_become_files(study, folder):
    labels = study.labels_at(study.verdict.convenience)
    for i in (0, 7, 119):
        path = folder / "clusters" / f"cluster-{labels[i]:02d}" / f"{study.images.names[i]}.png"
        with Image.open(path) as picture:
            np.testing.assert_array_equal(np.asarray(picture), np.asarray(study.open_image(i)))
    assert len(list((folder / "clusters").rglob("*.png"))) == 120


@pytest.mark.parametrize("copy", ["file", "link"])
def test_each_image_is_in_the_folder_of_its_cluster_under_a_safe_name(odd_images, tmp_path, monkeypatch, copy):
    monkeypatch.setattr(module, "_figures", lambda study: iter(()))
    params = Parameters(
        dataset=f"folder:{odd_images}", backbone="pixels", n_components=5, k_max=3, cache_dir=str(odd_images.parent)
    )
    export_study(params, tmp_path / "home", copy=copy)
    what = "links to the images" if copy == "link" else "the images"
    row = f"| `clusters/` | {what}, in a folder for each cluster at k = "
    assert row in (tmp_path / "home" / "README.md").read_text(encoding="utf-8")
    table = read(tmp_path / "home" / "clusters.csv")
    k = json.loads((tmp_path / "home" / "verdict.json").read_text())["convenient_k"]
    copies = sorted((tmp_path / "home" / "clusters").rglob("*.png"))
    assert len(copies) == len(table) == len(load_images(f"folder:{odd_images}"))
    for cluster, names in table.groupby(f"cluster_k{k}")["image"]:
        here = [path for path in copies if path.parent.name == f"cluster-{cluster:02d}"]
        assert sorted(path.read_bytes() for path in here) == sorted((odd_images / name).read_bytes() for name in names)
    assert all(path.is_symlink() == (copy == "link") for path in copies)
    assert not any(set(path.name) & set('<>:"/\\|?*\n\r\t') for path in copies)


def test_names_are_told_apart_where_case_does_not_count():
    taken = {}
    names = [
        "a/x.png",
        "b/x.png",
        "c/X.PNG",
        "é.png",
        "e\u0301.png",
        "con.png",
        ".png",
        "-rf.png",
        "\udcff.png",
        "x" * 300,
    ]
    made = [safe_name(name, taken) for name in names]
    assert len({name.casefold() for name in made}) == len(names) <= len(taken)
    assert made[:3] == ["x.png", "x-2.png", "X-3.PNG"] and made[5].startswith("_con") and made[7] == "_-rf.png"
    assert all(len(name.encode()) <= 130 for name in made)


@pytest.mark.parametrize(
    ("dataset", "copy", "message"),
    [
        ("synthetic:blobs", "file", "'synthetic:blobs' comes without pictures, so there are none to --copy."),
        ("digits", "link", "The images of 'digits' are no files of this machine to link to; take --copy file."),
    ],
)
def test_what_cannot_be_copied_or_linked_is_refused(tmp_path, dataset, copy, message):
    with pytest.raises(ParameterError, match=message):
        export_study(Parameters(dataset=dataset, cache_dir=str(tmp_path / "cache")), tmp_path / "home", copy=copy)
    assert not (tmp_path / "home").exists()


def test_an_image_that_has_changed_is_not_copied(odd_images, monkeypatch):
    images = load_images(f"folder:{odd_images}")
    monkeypatch.setattr(Path, "read_bytes", lambda path: b"another")
    with pytest.raises(ChangedImageError, match="has changed"):
        module._read_unchanged(images, 3)


# --- the folder -------------------------------------------------------------------------------------------------------


def test_an_earlier_export_is_replaced_and_nothing_else(study, tmp_path, monkeypatch):
    calls = []

    def write(study, folder, copy, n_representatives):
        calls.append(folder)
        folder.mkdir()
        (folder / "clusters.csv").write_text("image\n")
        contents = {"made_by": "python -m helpers export", "files": module._contents(folder)}
        (folder / "manifest.json").write_text(json.dumps(contents))

    monkeypatch.setattr(module, "_write_all", write)
    monkeypatch.setattr(module, "_sentence", lambda study: "")
    home = tmp_path / "home"
    home.mkdir()
    for _ in range(2):  # into an empty folder, and over an earlier export
        export_study(study.params, home)
    (home / "clusters.csv").write_text("image\nmine\n")
    with pytest.raises(NotebookError, match="an earlier export in which clusters.csv has changed; name another"):
        export_study(study.params, home)
    (home / "clusters.csv").write_text("image\n")
    (home / "notes.txt").write_text("mine")
    with pytest.raises(NotebookError, match="in which notes.txt was added"):
        export_study(study.params, home)
    (home / "manifest.json").unlink()
    with pytest.raises(NotebookError, match="is there and is no earlier export"):
        export_study(study.params, home)
    assert (home / "notes.txt").read_text() == "mine" and len(calls) == 2
    assert os.listdir(tmp_path) == ["home"]


@pytest.mark.parametrize(
    "manifest",
    [
        '{"files": {}}',
        '{"files": ["a.js"], "made_by": "python -m helpers export"}',
        "[]",
        "[" * 100_000,
        '{"made_by": 1}',
    ],
)
def test_a_folder_of_another_program_is_not_taken_for_an_export(manifest, tmp_path):
    (tmp_path / "manifest.json").write_text(manifest)
    with pytest.raises(NotebookError, match="is there and is no earlier export"):
        export_study(Parameters(dataset="digits"), tmp_path)
    assert (tmp_path / "manifest.json").read_text() == manifest


def test_the_folder_where_one_is_is_not_replaced(tmp_path, monkeypatch):
    (tmp_path / "inside").mkdir()
    monkeypatch.chdir(tmp_path / "inside")
    for folder in (tmp_path, tmp_path / "inside"):
        with pytest.raises(NotebookError, match="is where you are, and would be replaced"):
            export_study(Parameters(dataset="digits"), folder)


def test_an_earlier_export_comes_back_where_it_cannot_be_replaced(tmp_path):
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "clusters.csv").write_text("image")
    with pytest.raises(FileNotFoundError):
        module._put_in_place(tmp_path / "missing", tmp_path / "home", tmp_path / "previous")
    assert (tmp_path / "home" / "clusters.csv").read_text() == "image"


def test_parts_of_an_export_that_was_killed_are_removed_and_an_earlier_one_comes_back(tmp_path):
    home, work = tmp_path / "home", tmp_path / ".home.export"
    for folder in (work / "previous", work / "new"):
        folder.mkdir(parents=True)
        (folder / "clusters.csv").write_text(folder.name)
    module._clear(work, home)
    assert (home / "clusters.csv").read_text() == "previous" and os.listdir(tmp_path) == ["home"]
    work.mkdir()
    (work / "mine").write_text("")
    with pytest.raises(OSError):
        module._clear(work, home)
    assert (work / "mine").exists()


def test_results_do_not_become_images_of_the_next_run(odd_images, capsys):
    for command in (["export"], ["book"], ["run", "notebooks/elbow.ipynb"], ["compare", "--vary", "k_max=3,4"]):
        output = odd_images / "results"
        assert main([*command, "-p", "dataset", f"folder:{odd_images}", "-o", str(output)]) == 2
        assert f"would lie in {output}, within the images' folder {odd_images}" in capsys.readouterr().err
        assert not output.exists()


def test_many_equal_names_are_numbered_one_after_another():
    taken = {}
    made = [safe_name(f"{i}/x.png", taken) for i in range(5000)]
    assert made[:2] == ["x.png", "x-2.png"] and made[-1] == "x-5000.png" and len(set(made)) == 5000


def test_a_failure_leaves_what_was_there(study, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "_write_all", lambda *args: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        export_study(study.params, tmp_path / "home")
    assert os.listdir(tmp_path) == []


# --- links on a page --------------------------------------------------------------------------------------------------


def test_links_of_a_page_lead_to_files_beside_it():
    """Outside of a book, a link holds its file; in one, the file is beside the pages."""
    files = {"clusters.csv": b'"image"\n"<a>"\n', "verdict.json": b"{}"}
    output = nbformat.v4.new_output("display_data", {"text/html": download_links(files).data})
    cell = nbformat.v4.new_code_cell("links()", outputs=[output])
    text, found = downloads_apart(nbformat.writes(nbformat.v4.new_notebook(cells=[cell])))
    assert found == files
    html = nbformat.reads(text, as_version=4).cells[0].outputs[0]["data"]["text/html"]
    assert "data:" not in html and 'download="clusters.csv" href="../_static/export/clusters.csv"' in html


def test_the_verdict_chapter_offers_the_tables():
    cells = json.loads((ROOT / "notebooks" / "verdict.ipynb").read_text())["cells"]
    assert any("download_links(take_home(study))" in "".join(cell["source"]) for cell in cells)
