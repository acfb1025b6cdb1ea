"""One object from parameters to a verdict: each step computed once, and the same from features alone."""

from __future__ import annotations

import re
import warnings
from functools import wraps

import nbformat
import numpy as np
import pytest
from PIL import Image

from helpers import study as module
from helpers.core.conventions import ROOT, ParameterError
from helpers.criteria.halves import link_valleys, stability
from helpers.criteria.report import rule_steps
from helpers.criteria.tree import nested_shares, tree_levels
from helpers.figures import plots
from helpers.images.weights import EmbeddingError
from helpers.pages.execution import open_images
from helpers.parameters import Parameters
from helpers.study import Study

X = np.random.default_rng(0).standard_normal((90, 5)) + np.repeat(np.eye(5)[:3] * 9, 30, axis=0)


@pytest.fixture
def digits(tmp_path):
    """A small study of images that needs no network."""
    return Study(
        Parameters(dataset="digits", n_images=80, backbone="pixels", n_components=8, k_max=5, cache_dir=str(tmp_path))
    )


def test_nothing_is_computed_until_it_is_asked_for(monkeypatch):
    monkeypatch.setattr(module, "load_images", lambda *args, **kwds: pytest.fail("opened"))
    Study(Parameters())


def test_each_step_is_computed_once_and_found_by_a_later_study(digits, monkeypatch):
    table, answers = digits.criteria, digits.answers
    assert digits.criteria is table and digits.silhouettes.shape == (4, 80)
    for name in (
        *("sweep_kmeans", "null_silhouettes", "silhouette_details", "silhouette_ceiling", "cluster_halves"),
        *("link_valleys", "stability", "gap_statistic", "fit_pca"),
    ):
        original = getattr(module, name)

        @wraps(original)  # `cached` looks at its name, its module and its annotations
        def refuse(*args, **kwds):
            pytest.fail("computed again")

        monkeypatch.setattr(module, name, refuse)
    again = Study(digits.params)
    assert again.answers == answers and again.criteria.equals(table)


def test_the_verdict_never_sees_labels(digits, monkeypatch):
    """Not even where they are known: the study is asked for everything, and for its labels by nobody."""
    monkeypatch.setattr(Study, "labels", property(lambda self: pytest.fail("looked at the labels")))
    assert digits.verdict.sentences and digits.answers["verdict"] == digits.verdict.n_clusters


def test_valleys_and_stability_are_of_the_halves_that_are_kept(tmp_path):
    study = Study.of_features(X, range(2, 5), normalize="none", n_components=2, cache_dir=tmp_path)
    valleys, stable = (function(study.points, range(2, 5)) for function in (link_valleys, stability))
    np.testing.assert_array_equal(study.valleys.valley, valleys.valley)
    np.testing.assert_array_equal(study.stability.ari, stable.ari)
    assert len(study.halves.rows) == 2 * len(study.valleys.valley)
    assert study.criteria["valley"].dropna().tolist() == valleys.table()["valley"].tolist()


def test_the_same_features_give_the_same_study(digits, tmp_path):
    chosen = digits.params.model_dump(include={"normalize", "n_components", "metric", "n_init"})
    of_features = Study.of_features(digits.embeddings.features, range(2, 6), cache_dir=tmp_path / "other", **chosen)
    assert of_features.criteria.equals(digits.criteria) and of_features.answers == digits.answers
    assert set(digits.labels) <= set("0123456789") and len(digits.labels) == 80
    assert of_features.labels is None


def test_a_study_of_features_has_no_images(tmp_path):
    study = Study.of_features(X, range(2, 5), normalize="none", n_components=None, cache_dir=tmp_path)
    assert study.points is study.features and study.verdict.n_clusters == 3
    for ask in (lambda: study.images, lambda: study.open_image(0)):
        with pytest.raises(ParameterError, match="has no images"):
            ask()


FEW = np.random.default_rng(1).standard_normal((12, 3))


@pytest.mark.parametrize(
    ("rows", "k_values", "n_clusters", "conclusion"),
    [
        (X, [3], 3, "it is the largest k that was tried"),
        (FEW[:3], [2], None, "too few links between neighbours"),
        (FEW[:4], [2, 3], None, "too few links between neighbours"),
        (FEW, range(2, 12), None, "No clear k"),
        (np.repeat(X[::15], 20, axis=0), range(2, 6), None, "No clear k"),
        (np.repeat(np.eye(3), 20, axis=0), [2, 3], None, "No clear k"),
        (np.ones((9, 1)) * np.arange(9)[:, np.newaxis], [2, 3], None, "No clear k"),
    ],
    ids=["one k", "3 rows", "4 rows", "12 rows", "copies of 6", "copies of 3", "a row of points"],
)
def test_few_k_few_rows_and_copies_have_a_verdict_without_a_warning(rows, k_values, n_clusters, conclusion, tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.simplefilter("ignore", ResourceWarning)  # of what other tests left to the collector
        study = Study.of_features(rows, k_values, normalize="none", n_components=None, cache_dir=tmp_path)
        decision = study.verdict
    assert decision.n_clusters == n_clusters and conclusion in decision.sentences["conclusion"]
    assert decision.convenience in k_values
    for sentence in decision.sentences.values():
        assert not re.search(r"\bnan\b|None|\[|\binf\b", sentence), sentence


@pytest.mark.parametrize(
    ("rows", "options", "message"),
    [
        (X, {"k_values": [4, 2]}, r"k_values = \[4, 2\] is not allowed: k_values takes a list of whole numbers from 2"),
        (X, {"k_values": [1, 2]}, r"k_values = \[1, 2\] is not allowed"),
        (X, {"k_values": []}, r"k_values = \[\] is not allowed"),
        (X, {"k_values": [2.5]}, r"k_values = \[2.5\] is not allowed"),
        (X, {"k_values": [True]}, r"k_values = \[True\] is not allowed"),
        (X, {"k_values": None}, r"k_values = \[None\] is not allowed"),
        (X, {"k_values": "log:2"}, "k_values = 'log:2' is not allowed"),
        (X, {"k_values": range(2, 91)}, "k = 90 must be smaller than the number of rows, and X has 90"),
        (np.repeat(X[:3], 9, axis=0), {}, "k = 4 is more than the 3 of the rows of X that differ"),
        (X, {"dataset": "digits"}, "dataset has no place in a study of features; allowed are normalize"),
        (X, {"k_min": 3}, "k_min has no place"),
        (X, {"normalise": "unit"}, "normalise has no place"),
        (X, {"normalize": "both"}, "normalize = 'both' is not allowed"),
        (
            X,
            {"groups": np.arange(89) // 3},
            "groups has 89 entries, and must have one entry for each of the 90 samples",
        ),
        (
            X,
            {"groups": np.arange(90) // 30},
            "groups makes 3 groups of 90 samples, and errors and halves need at least 4",
        ),
        (X, {"groups": [{i // 15} for i in range(90)]}, "groups must be numbers or texts"),
        (X, {"groups": "folder"}, r"groups has the shape \(\), and must have"),
        (X[0], {}, "X cannot be studied: Expected 2D array"),
        (np.where(X > 9, np.nan, X), {}, "X cannot be studied: .*NaN"),
        ([["a", "b"]], {}, "X cannot be studied"),
    ],
)
def test_what_is_not_possible_is_refused_in_one_sentence(rows, options, message, tmp_path):
    with pytest.raises(ParameterError, match=message):
        Study.of_features(rows, **{"k_values": range(2, 5), **options}, cache_dir=tmp_path)


def test_groups_reach_errors_and_halves_and_nothing_else(tmp_path):
    groups = np.array(["a", "b", "c", "d", "e", "f"])[np.arange(90) // 15]
    options = {"normalize": "none", "n_components": None, "cache_dir": tmp_path}
    alone, together = (Study.of_features(X, range(2, 5), groups=each, **options) for each in (None, groups))
    assert alone.groups is None and together.groups.tolist() == sorted(together.groups) and together.groups.max() == 5
    assert (alone.sweep.labels == together.sweep.labels).all()
    errors = ["standard_error", "macro_error"]
    assert alone.table.drop(columns=errors).equals(together.table.drop(columns=errors))
    for column in (*errors, "paired_error", "paired_macro_error"):
        assert not alone.criteria[column].equals(together.criteria[column])
    for half, rows in enumerate(together.halves.rows):
        assert not set(groups[rows]) & set(groups[together.halves.rows[together.halves.other(half)]])
    assert not np.array_equal(alone.valleys.links, together.valleys.links)
    assert not np.array_equal(alone.stability.ari, together.stability.ari)


def test_a_folder_of_copies_is_refused_at_the_start_and_names_the_largest_k(tmp_path):
    for i in range(12):
        pixels = np.random.default_rng(i % 3).integers(0, 255, (8, 8, 3), dtype=np.uint8)
        (tmp_path / "photos").mkdir(exist_ok=True)
        Image.fromarray(pixels).save(tmp_path / "photos" / f"{i}.png")
    params = {"dataset": f"folder:{tmp_path / 'photos'}", "backbone": "pixels", "cache_dir": str(tmp_path / "cache")}
    message = r"of the 12 that 'folder:.*' gives only 3 differ, so k_max may be at most 3\.$"
    with pytest.raises(ParameterError, match=message):
        open_images(Parameters(**params, k_max=4), ["k_max"])
    open_images(Parameters(**params, k_max=3), ["k_max"])
    with pytest.raises(ParameterError, match=message):  # also where a chapter is run alone, as by papermill
        _ = Study(Parameters(**params, k_max=4)).sweep
    assert Study(Parameters(**params, k_max=3)).verdict.sentences["conclusion"].startswith("No clear k")


@pytest.mark.parametrize("n", [3, 5, 12, 17, 19])
def test_k_of_which_halves_can_say_nothing_are_missing_and_told(n, tmp_path):
    """The largest k that a few images allow, with the cells of the chapter that draw and tell."""
    rows = np.random.default_rng(n).standard_normal((n, 6))
    study = Study.of_features(rows, range(2, min(n, 17)), cache_dir=tmp_path)
    valleys = study.valleys.table()["valley"]
    missing = [int(k) for k in valleys.index[valleys.isna()]]
    assert [k for k in study.k_values if k > n // 2] == [k for k in missing if k > n // 2]
    told = f"{missing[0]} to {missing[-1]}" if len(missing) > 2 else " and ".join(map(str, missing))
    why = (
        "a half of the images is too few for so many clusters, or leaves too few links between neighbours inside of "
        "them"
    )
    sentences = study.verdict.sentences
    if len(missing) < len(valleys):
        assert sentences["missing"] == f"At k = {told} no valley can be told: {why}."
    else:
        assert "missing" not in sentences and sentences["levels"] == f"At no k can a valley be told: {why}."
        assert sentences["draws"] == "However the random halvings of the images are drawn again, no k is named."
    notebook = nbformat.read(ROOT / "notebooks" / "is_anything_there.ipynb", as_version=4)
    names = {"study": study, "plots": plots, "Markdown": str, "display": print}
    for cell in notebook.cells:
        if cell.id in ("cell-border", "cell-valley", "cell-valley-says"):
            exec(cell.source, names)
    assert (names["border"] is None) == (names["shown"] in missing)
    plots.plt.close("all")


def test_groups_of_images_that_can_be_read(tmp_path):
    for name in ("a/1", "a/2", "b/3", "c/4", "d/5", "d/6"):
        path = tmp_path / "photos" / f"{name}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.random.default_rng(int(name[-1])).integers(0, 255, (8, 8, 3), dtype=np.uint8)).save(path)
    (tmp_path / "photos" / "a" / "1.png").write_bytes(b"")
    params = {"dataset": f"folder:{tmp_path / 'photos'}", "backbone": "pixels", "cache_dir": str(tmp_path / "cache")}
    assert Study(Parameters(**params)).groups is None
    assert Study(Parameters(**params, groups="folder")).groups.tolist() == [0, 1, 2, 3, 3]
    (tmp_path / "photos" / "b" / "3.png").write_bytes(b"")
    with pytest.raises(ParameterError, match="images that can be read, makes 3 groups of 4 samples"):
        _ = Study(Parameters(**params, groups="folder")).groups


def same_pictures(folder, kinds):
    """Write one picture several times, as a file of each kind."""
    folder.mkdir()
    for number, kind in enumerate(kinds):
        Image.new("RGB", (8, 8), "red").save(folder / f"{number}.{kind}")
    return {"dataset": f"folder:{folder}", "backbone": "pixels", "k_max": 2, "cache_dir": str(folder.parent / "cache")}


def test_copies_of_one_image_are_refused_at_the_start(tmp_path):
    params = same_pictures(tmp_path / "photos", ["png"] * 4)
    with pytest.raises(ParameterError) as error:
        _ = Study(Parameters(**params)).images
    assert str(error.value) == (
        f"All 4 images of 'folder:{tmp_path / 'photos'}' are copies of one: there is nothing to cluster, and at least "
        "two different images are needed."
    )
    (tmp_path / "photos" / "broken.png").write_bytes(b"")
    with pytest.raises(
        ParameterError, match="^All 4 images of .* that can be read look the same to the network 'pixels'"
    ):
        _ = Study(Parameters(**params)).embeddings


def test_a_table_whose_paths_are_all_wrong_is_not_taken_for_copies_of_one_image(tmp_path):
    (tmp_path / "photos.csv").write_text("path\n" + "".join(f"missing-{i}.png\n" for i in range(5)))
    params = Parameters(
        dataset=f"table:{tmp_path / 'photos.csv'}", backbone="pixels", k_max=3, cache_dir=str(tmp_path / "cache")
    )
    assert len(open_images(params, ["k_max"])) == 5
    with pytest.raises(EmbeddingError, match="^None of the 5 images could be read; the first, missing-0.png: No such"):
        _ = Study(params).embeddings


def test_images_that_look_alike_in_different_files_are_refused_once_they_are_embedded(tmp_path):
    params = same_pictures(tmp_path / "photos", ["png", "bmp", "tif"])
    assert len(Study(Parameters(**params)).images) == 3
    with pytest.raises(ParameterError) as error:
        _ = Study(Parameters(**params)).embeddings
    assert str(error.value) == (
        f"All 3 images of {params['dataset']!r} that can be read look the same to the network 'pixels': there is "
        "nothing to cluster, and at least two different images are needed, or another `backbone`, which tells them "
        "apart."
    )
    Image.new("RGB", (8, 8), "blue").save(tmp_path / "photos" / "z.png")
    assert len(Study(Parameters(**params)).embeddings.features) == 4


@pytest.mark.parametrize("below", ["", "deeper/cache"])
def test_a_cache_that_cannot_be_a_folder_is_refused_before_any_work(tmp_path, below, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setattr(module, "load_images", lambda *args, **kwds: pytest.fail("opened"))
    names = {"dataset": "digits", "cache_dir": str(tmp_path / "file" / below)}
    reason = r"cannot be made \(Not a directory\)" if below else "is a file"
    for begin in (Study.from_names, lambda names: open_images(Parameters(**names), Parameters.model_fields)):
        with pytest.raises(ParameterError, match=f"^cache_dir = '{tmp_path}/.*' must be a folder, and .* {reason}.$"):
            begin(names)


def test_a_k_that_was_not_tried_is_named(digits):
    assert digits.labels_at(3).max() == 2
    assert digits.labels_at(3)[digits.central_at(3)].tolist() == [0, 1, 2]
    with pytest.raises(ParameterError, match="k = 9 was not tried; tried are 2 to 5"):
        digits.labels_at(9)


@pytest.fixture(scope="module")
def at_scales(tmp_path_factory):
    """Study three groups of three clusters each, at a few k that are far apart."""
    centres = np.repeat(np.eye(6)[:3] * 60, 3, axis=0) + np.tile(np.eye(6)[3:] * 12, (3, 1))
    rows = np.repeat(centres, 40, axis=0) + np.random.default_rng(0).normal(size=(360, 6))
    options = {"normalize": "none", "n_components": None, "cache_dir": tmp_path_factory.mktemp("cache")}
    return Study.of_features(rows, [2, 3, 5, 9, 16], **options)


def test_k_at_every_scale_have_curves_and_a_verdict(at_scales):
    tried = [2, 3, 5, 9, 16]
    assert at_scales.k_values == at_scales.table.index.tolist() == tried
    assert at_scales.criteria.index.tolist() == [1, *tried]
    assert at_scales.verdict.n_clusters == 9 and {3, 9} <= set(at_scales.verdict.levels.index)
    assert at_scales.answers["elbow"] in tried and at_scales.answers["gap"] in [None, 1, *tried]
    assert at_scales.labels_at(16).max() == 15
    with pytest.raises(ParameterError, match="k = 12 was not tried; tried are 2, 3, 5, 9 and 16"):
        at_scales.labels_at(12)
    assert tree_levels(tried, list(at_scales.verdict.levels.index), 9)[-2:] == [9, 16]
    three, nine = at_scales.labels_at(3), at_scales.labels_at(9)
    assert nested_shares(np.stack([three, nine]), [3, 9])["nested"].tolist() == [1.0]


def test_sentences_about_k_at_every_scale_claim_nothing_of_those_that_were_not_tried(at_scales):
    sentences = at_scales.verdict.sentences
    for sentence in sentences.values():
        assert not re.search(r"\bnan\b|None|\[|\binf\b", sentence), sentence
    assert sentences["conclusion"].startswith("The answer is k = 9: ")
    assert "no finer clusters that were tried have borders nearly as empty" in sentences["conclusion"]
    assert sentences["conclusion"].endswith("; k = 6 to 8 and 10 to 15 beside it were not tried.")
    start, steps, end = rule_steps(at_scales.verdict.decision)
    assert (start, end) == ("5 values of k from 2 to 16", "The answer: k = 9") and steps[0][1].startswith("k = ")


def test_the_gap_is_of_each_k_from_1_on_where_those_tried_are_consecutive(tmp_path):
    gap = Study.of_features(X, range(4, 7), normalize="none", n_components=None, cache_dir=tmp_path).gap
    assert gap.k_values.tolist() == [1, 2, 3, 4, 5, 6] and gap.n_clusters == 3


def test_a_sample_of_the_rows_is_drawn_once_and_all_rows_where_there_are_no_more():
    study = Study.of_features(np.random.default_rng(0).normal(size=(50, 3)), range(2, 4))
    assert study.sample(50).tolist() == list(range(50))
    rows = study.sample(20)
    assert len(set(rows)) == 20 and rows.tolist() == sorted(rows) == study.sample(20).tolist()
    assert rows.tolist() != list(range(20))
