"""Parameters: what is refused and how, files, options, and the table of them."""

from __future__ import annotations

import re
import shlex

import numpy as np
import pytest
import yaml
from pydantic import ValidationError

from helpers.core.conventions import ROOT, ParameterError, did_you_mean
from helpers.parameters import (
    Parameters,
    load_parameters,
    parameter_rows,
    parameter_table,
    parse_value,
    with_companions,
)

NAMES = list(Parameters.model_fields)


def assert_one_sentence(error):
    """One line that ends in a period and has no second sentence in it; a question ("did you mean") may stand inside."""
    text = str(error.value)
    assert "\n" not in text
    assert text.endswith(".") and not text.endswith("..")
    assert not re.search(r"[.;] [A-Z]", text), text


# --- refusals ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({"k_max": "many"}, "k_max = 'many' is not allowed: k_max takes a whole number, 2 or more"),
        ({"k_max": 8.0}, "k_max = 8.0 is not allowed"),
        ({"k_max": True}, "k_max = True is not allowed"),
        ({"k_max": None}, "k_max = None is not allowed"),
        ({"k_min": 1}, "k_min = 1 is not allowed: k_min takes a whole number, 2 or more"),
        ({"n_images": 2}, "n_images = 2 is not allowed: n_images takes a whole number, 3 or more, or null"),
        ({"n_components": 0}, "n_components = 0 is not allowed"),
        ({"n_neighbors": 1}, "n_neighbors = 1 is not allowed"),
        ({"n_init": 0}, "n_init = 0 is not allowed"),
        ({"min_dist": -0.1}, "min_dist = -0.1 is not allowed: min_dist takes a number from 0 to 1"),
        ({"min_dist": 1.5}, "min_dist = 1.5 is not allowed"),
        ({"min_dist": float("nan")}, "min_dist = nan is not allowed"),
        ({"random_state": -1}, "random_state = -1 is not allowed"),
        ({"random_state": 2**32}, "random_state takes a whole number from 0 to 4294967295"),
        ({"backbone": "resnet"}, "There is no backbone 'resnet' (did you mean 'resnet50'?); allowed are"),
        ({"backbone": "timm:resnet5o"}, "There is no backbone 'timm:resnet5o' (did you mean 'timm:resnet50'?)"),
        ({"backbone": "efficientnet-lit0"}, "(did you mean 'efficientnet-lite0'?)"),
        ({"backbone": "pixels", "weights": "a.pth"}, "weights = 'a.pth' has no place"),
        ({"weights": ""}, "weights = '' is not allowed"),
        ({"precision": "float16"}, "precision takes 'float32' or 'bfloat16'"),
        ({"normalize": "Unit"}, "normalize takes 'none' or 'unit' or 'standard'"),
        ({"metric": "manhattan"}, "metric takes 'euclidean' or 'cosine'"),
        ({"groups": ""}, "groups = '' is not allowed: groups takes a text, or null"),
        (
            {"groups": "(film"},
            "groups = '(film' is no regular expression (missing ), unterminated subpattern at position",
        ),
        ({"groups": "a{99999999999}"}, "is no regular expression (the repetition number is too large)"),
        ({"groups": True}, "groups = True is not allowed"),
        ({"cache_dir": ""}, "cache_dir = '' is not allowed"),
        ({"dataset": None}, "dataset = None is not allowed: dataset takes a text"),
        ({"chosen_k": 5}, "chosen_k = 5 is not allowed: chosen_k takes a list of whole numbers, or null"),
        ({"chosen_k": [2, "x"]}, "chosen_k"),
        ({"chosen_k": []}, "chosen_k = [] is empty"),
        ({"chosen_k": [2, 17]}, "chosen_k = [2, 17] must lie between k_min = 2 and k_max = 16"),
        ({"k_min": 5, "k_max": 4}, "k_min = 5 must not be larger than k_max = 4"),
        ({"k_values": [2, 8], "chosen_k": [3]}, "chosen_k = [3] must be among the k of k_values, 2 and 8."),
    ],
    ids=lambda value: str(value) if isinstance(value, dict) else "",
)
def test_refusal_names_the_parameter_and_what_is_allowed(values, says):
    with pytest.raises(ParameterError, match=re.escape(says)) as error:
        Parameters(**values)
    assert_one_sentence(error)


@pytest.mark.parametrize(
    "values",
    [
        {"k_min": 2, "k_max": 2},
        {"min_dist": 0},
        {"min_dist": 1},
        {"random_state": 2**32 - 1},
        {"n_images": 3},
        {"n_components": None},
        {"groups": "none"},
        {"groups": r"^(.*)_\d+\."},
        {"chosen_k": [2, 16]},
    ],
    ids=str,
)
def test_the_ends_of_the_ranges_are_allowed(values):
    parameters = Parameters(**values)
    for name, value in values.items():
        assert getattr(parameters, name) == value


@pytest.mark.parametrize(
    ("name", "near"), [("kmax", "k_max"), ("data_set", "dataset"), ("n_clusters", None), ("zzz", None)]
)
def test_unknown_name_is_refused_with_the_nearest_known_one(name, near):
    with pytest.raises(ParameterError) as error:
        Parameters(**{name: 3})
    text = str(error.value)
    assert text.startswith(f"There is no parameter {name!r}")
    assert all(known in text for known in NAMES)
    if near:
        assert f"did you mean {near!r}?" in text
    if name == "zzz":
        assert "did you mean" not in text
    assert_one_sentence(error)


def test_no_name_is_suggested_where_none_is_near():
    assert did_you_mean("kmax", ["k_max", "k_min"]) == " (did you mean 'k_max'?)"
    assert did_you_mean("qqq", ["k_max", "k_min"]) == ""


def test_parameters_do_not_change_under_ones_hands():
    with pytest.raises(ValidationError):
        Parameters().k_max = 20


def test_the_k_that_are_tried_hold_both_ends():
    assert Parameters(k_min=3, k_max=5).tried_k == [3, 4, 5]


@pytest.mark.parametrize(
    ("k_values", "tried"),
    [
        ([2, 4, 8], [2, 4, 8]),
        ([7], [7]),
        ("[2, 4, 8]", [2, 4, 8]),  # as papermill hands it on
        (np.array([2, 4]), [2, 4]),
        ("log:2:16:4", [2, 4, 8, 16]),
        ("log:2:9:6", [2, 3, 4, 5, 7, 9]),
        ("log:2:5:100", [2, 3, 4, 5]),  # what rounding makes equal counts once
        (None, [5, 6]),
        ("null", [5, 6]),
    ],
    ids=str,
)
def test_k_values_win_over_the_range_of_k(k_values, tried):
    params = Parameters(k_min=5, k_max=6, k_values=k_values)
    assert params.tried_k == tried and all(type(k) is int for k in params.tried_k)
    assert Parameters(k_min=9, k_max=4, k_values=[2, 4], chosen_k=[4]).tried_k == [2, 4]


def test_log_gives_numbers_evenly_apart_on_a_logarithmic_axis():
    tried = np.array(Parameters(k_values="log:2:256:24").tried_k)
    assert tried[0] == 2 and tried[-1] == 256 and len(tried) <= 24 and (np.diff(tried) > 0).all()
    large = tried[tried > 20]
    np.testing.assert_allclose(large[1:] / large[:-1], 128 ** (1 / 23), rtol=0.05)


@pytest.mark.parametrize(
    "k_values",
    [
        *([], [1, 2], [2, 2], [4, 3], [2.0, 3], [True, 2], ["2"], 5, 2.5, {2: 3}, (2, 3), "2,3", "[2, 3", "all", ""),
        *("log:", "log:2:256", "log:1:9:3", "log:9:9:3", "log:9:2:3", "log:2:9:1", "log:2:9:1001", "log:2:9:3:1"),
        *("log:2:9:-3", "log:2.5:9:3", "log:2:9:３", "log:2:9999999999:3", " log:2:9:3", "lin:2:9:3"),
    ],
    ids=str,
)
def test_k_values_that_are_no_numbers_of_clusters_are_refused(k_values):
    with pytest.raises(ParameterError) as error:
        Parameters(k_values=k_values)
    assert f"k_values = {k_values!r} is not allowed: k_values takes a list of whole numbers from 2" in str(error.value)
    assert_one_sentence(error)


@pytest.mark.parametrize(
    ("n_images", "n_distinct", "says"),
    [
        (40, None, "k = 64, the largest of k_values, must be smaller than the number of images, and .* most 39."),
        (90, 50, "k = 64, the largest of k_values, must not be larger than .* so k may be at most 50."),
        (4, None, "at least 5 are needed, 4 of them different, for the smallest of k_values = 4."),
    ],
)
def test_k_values_must_be_possible_for_the_images(n_images, n_distinct, says):
    params = Parameters(dataset="digits", k_values=[4, 64])
    with pytest.raises(ParameterError, match=says) as error:
        params.check_images(n_images, n_distinct)
    assert_one_sentence(error)
    params.check_images(65)


@pytest.mark.parametrize(
    ("n_images", "n_distinct", "message"),
    [
        (9, 9, "k_max = 9 must be smaller than the number of images, and 'digits' gives 9 of them, so k_max may be at"),
        (9, 8, "k_max = 9 must be smaller than the number of images, .* so k_max may be at most 8"),
        (9, None, "k_max = 9 must be smaller than the number of images, .* so k_max may be at most 8"),
        (40, 7, "of the 40 that 'digits' gives only 7 differ, so k_max may be at most 7"),
        (40, 1, "'digits' gives 40 images, 1 of them different; at least 3 are needed, 2 of them different, for k_min"),
        (2, 2, "'digits' gives 2 images, 2 of them different; at least 3 are needed"),
        (0, None, "'digits' gives 0 images, .* at least 3 are needed"),
    ],
)
def test_k_max_must_be_possible_for_the_number_of_different_images(n_images, n_distinct, message):
    params = Parameters(dataset="digits", k_max=9)
    params.check_images(10, 9)
    params.check_images(10)
    with pytest.raises(ParameterError, match=message) as error:
        params.check_images(n_images, n_distinct)
    assert_one_sentence(error)


# --- companions -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        ([], []),
        (["metric"], ["metric"]),
        (["backbone"], ["backbone", "weights", "precision"]),
        (["weights"], ["weights"]),  # without the one that it goes along with
        (["random_state", "n_neighbors"], ["n_neighbors", "min_dist", "random_state", "cache_dir"]),
        (["n_init", "k_max", "k_max"], ["k_max", "k_values", "n_init", "algorithm"]),
        (NAMES, NAMES),
    ],
    ids=str,
)
def test_companions_come_along_in_the_order_of_the_fields(names, expected):
    assert with_companions(iter(names)) == expected


def test_companion_of_an_unknown_parameter_is_refused():
    with pytest.raises(ParameterError, match=r"There is no parameter 'kmax' \(did you mean 'k_max'\?\); known are"):
        with_companions(["k_min", "kmax"])


def test_a_companion_goes_along_with_a_parameter_that_stands_for_itself():
    companions = {name: [other for other in with_companions([name]) if other != name] for name in NAMES}
    for others in companions.values():
        assert all(not companions[other] for other in others)
    assert sum(map(len, companions.values())) == 11


# --- files ------------------------------------------------------------------------------------------------------------


def write(tmp_path, content):
    path = tmp_path / "mine.yml"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("- k_max\n- 20\n", "must hold lines of the form `name: value`"),
        ("k_max\n", "must hold lines of the form `name: value`"),
        ("5: 6\n", "must hold lines of the form `name: value`"),
        ("k_max: [1\n", "is not valid YAML in line 2"),
        ("k_max: 3\n\tk_min: 2\n", "is not valid YAML in line 2"),
        ("a: !!python/object:os.system x\n", "is not valid YAML"),
        (b"\x00\x01\x02", "is not valid YAML"),
        (b"\x89PNG\r\n\x1a\n\xff\xfe", "cannot be read: it is not text in UTF-8"),
        # A date that is none: PyYAML raises a ValueError of its own here.
        ("dataset: 2024-13-45\n", "not valid YAML"),
    ],
    ids=["list", "word", "number as name", "bracket", "tab", "object", "binary", "not UTF-8", "date"],
)
def test_file_that_holds_no_parameters_is_refused(tmp_path, content, says):
    path = write(tmp_path, content)
    with pytest.raises(ParameterError, match=re.escape(says)) as error:
        load_parameters(path)
    assert str(path) in str(error.value)
    assert_one_sentence(error)


def test_missing_file_and_folder_are_refused(tmp_path):
    for path, reason in ((tmp_path / "no.yml", "No such file or directory"), (tmp_path, "Is a directory")):
        with pytest.raises(ParameterError, match=f"{path} cannot be read: {reason}") as error:
            load_parameters(path)
        assert_one_sentence(error)


@pytest.mark.parametrize("content", ["", "# nothing\n", "---\n"])
def test_file_without_values_gives_the_defaults(tmp_path, content):
    assert load_parameters(write(tmp_path, content)) == Parameters()


def test_wrong_value_in_a_file_is_refused_as_anywhere(tmp_path):
    with pytest.raises(ParameterError, match="k_max = 'many' is not allowed"):
        load_parameters(write(tmp_path, "k_max: many\n"))
    with pytest.raises(ParameterError, match="did you mean 'k_max'"):
        load_parameters(write(tmp_path, "kmax: 8\n"))


def test_overrides_win_over_the_file_and_the_file_over_the_defaults(tmp_path):
    path = write(tmp_path, "k_max: 8\nn_init: 3\nn_components: null\n")
    parameters = load_parameters(path, k_max=9)
    assert parameters.changed() == {"k_max": 9, "n_init": 3, "n_components": None}
    # An override wins with the default's value, and with "none", too.
    assert load_parameters(path, k_max=16).k_max == 16
    assert load_parameters(write(tmp_path, "n_images: 50\n"), n_images=None).n_images is None


def test_default_file_is_the_default():
    file = ROOT / "params" / "default.yml"
    assert load_parameters(file) == Parameters()
    assert list(yaml.safe_load(file.read_text(encoding="utf-8"))) == NAMES


@pytest.mark.parametrize("path", sorted((ROOT / "params").glob("*.yml")), ids=lambda path: path.name)
def test_every_parameter_file_loads(path):
    named = yaml.safe_load(path.read_text(encoding="utf-8"))
    assert {name: getattr(load_parameters(path), name) for name in named} == named


# --- options ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("k_max", "20", 20),
        ("n_images", "None", None),
        ("n_images", "null", None),
        ("n_images", "None", None),
        ("weights", "null", None),
        ("weights", "None", None),
        ("pictures", "~", None),
        ("groups", "null", None),
        ("groups", "none", "none"),  # a rule
        ("k_max", "010", 10),
        ("k_max", "1:30", "1:30"),  # YAML 1.1 has numbers to the base of sixty
        ("min_dist", "0:0.5", "0:0.5"),
        ("chosen_k", "[010, 3]", [10, 3]),
        ("n_images", "50", 50),
        ("min_dist", "0.25", 0.25),
        ("chosen_k", "[2, 3]", [2, 3]),
        ("chosen_k", "null", None),
        # Texts stay texts, whatever YAML would make of them.
        ("dataset", "1e3", "1e3"),
        ("dataset", "null", "null"),
        ("dataset", "folder:/a: b #c", "folder:/a: b #c"),
        ("cache_dir", "2024", "2024"),
        ("normalize", "none", "none"),
        # What is no YAML stays a text, which Parameters then refuses.
        ("k_max", "[1", "[1"),
        ("k_values", "[2, 4, 010]", [2, 4, 10]),
        ("k_values", "log:2:64:10", "log:2:64:10"),
        ("k_values", "[2", "[2"),
        ("k_values", "null", None),
    ],
)
def test_text_of_an_option_becomes_a_value(name, text, value):
    parsed = parse_value(name, text)
    assert parsed == value and type(parsed) is type(value)


def test_the_word_for_no_value_is_none_however_it_comes():
    """Papermill hands ``null`` on as a text, and a file of parameters may hold it in quotes."""
    for name in ("weights", "pictures", "groups", "n_images", "n_components", "chosen_k"):
        for word in ("null", "None"):
            assert getattr(Parameters(**{name: word}), name) is None
    with pytest.raises(ParameterError, match="k_max = 'null' is not allowed"):
        Parameters(k_max="null")
    assert Parameters(cache_dir="null").cache_dir == "null"


def test_numbers_of_numpy_are_numbers():
    ours, theirs = (
        Parameters(random_state=3, chosen_k=[2, 4]),
        Parameters(random_state=np.int64(3), chosen_k=np.array([2, 4])),
    )
    assert ours == theirs and type(theirs.random_state) is int and theirs.as_options() == ours.as_options()


def test_a_k_that_is_named_twice_is_shown_once():
    assert Parameters(chosen_k=[3, 3, 2]).chosen_k == [3, 2]


@pytest.mark.parametrize(
    ("content", "name", "value"),
    [("k_max: 010", "k_max", 10), ("k_max: +12", "k_max", 12), ("min_dist: 1e-1", "min_dist", 0.1),
     ("weights: null", "weights", None), ("weights: 'null'", "weights", None), ("dataset: '010'", "dataset", "010")],
)  # fmt: skip
def test_numbers_of_a_file_are_read_as_people_write_them(tmp_path, content, name, value):
    (tmp_path / "p.yml").write_text(content)
    assert getattr(load_parameters(tmp_path / "p.yml"), name) == value


@pytest.mark.parametrize("content", ["k_max: 1:30", "k_max: 0x10", "min_dist: 0:0.5", "k_max: 1_0"])
def test_other_numbers_of_yaml_are_refused(tmp_path, content):
    (tmp_path / "p.yml").write_text(content)
    with pytest.raises(ParameterError, match="is not allowed"):
        load_parameters(tmp_path / "p.yml")


def test_option_with_an_unknown_name_is_refused():
    with pytest.raises(ParameterError, match=r"There is no parameter 'kmax' \(did you mean 'k_max'\?\); known are"):
        parse_value("kmax", "20")


@pytest.mark.parametrize("text", ["2024-13-45", "9" * 5000, "[1", "{", "!!python/name:os.system", "\x00", "a: b: c"])
def test_no_text_of_an_option_ends_in_another_error(text):
    """PyYAML raises more than YAMLError: a date that is none, a number of 5,000 digits."""
    with pytest.raises(ParameterError, match="k_max"):
        Parameters(k_max=parse_value("k_max", text))


def from_options(options):
    words = shlex.split(options)
    assert words[::3] == ["-p"] * (len(words) // 3)
    return Parameters(**{name: parse_value(name, text) for name, text in zip(words[1::3], words[2::3])})


@pytest.mark.parametrize(
    "values",
    [
        {},
        {"k_min": 3, "k_max": 9, "chosen_k": [3, 9]},
        {"n_components": None, "n_images": 100},
        {"min_dist": 0.25},
        {"min_dist": 1e-05},
        {"min_dist": 0.1 + 0.2},
        {"dataset": 'folder:/my pics/d\'or "x" $HOME *'},
        {"dataset": "folder:/tmp/Äpfel\n"},
        {"dataset": "None"},
        {"groups": r"^(.*)_\d+\.'$|.+"},
        {"cache_dir": "~/1e3"},
        {"precision": "bfloat16", "normalize": "standard", "metric": "cosine", "random_state": 2**32 - 1},
    ],
    ids=str,
)
def test_options_lead_back_to_the_parameters(values):
    parameters = Parameters(**values)
    assert from_options(parameters.as_options()) == parameters


def test_only_what_differs_from_the_defaults_becomes_an_option():
    assert Parameters().as_options() == ""
    assert Parameters(k_max=8, n_init=10).as_options() == "-p k_max 8"


# --- the table --------------------------------------------------------------------------------------------------------


def test_rows_are_complete():
    rows = parameter_rows()
    assert [row["parameter"] for row in rows] == NAMES
    for row in rows:
        assert list(row) == ["parameter", "default", "allowed", "meaning"]
        assert all(row.values())
        default = Parameters.model_fields[row["parameter"]].default
        assert yaml.safe_load(row["default"]) == default


def test_rows_say_what_is_allowed():
    allowed = {row["parameter"]: row["allowed"] for row in parameter_rows()}
    assert allowed["k_max"] == "a whole number, 2 or more"
    assert allowed["n_images"] == "a whole number, 3 or more, or null"
    assert allowed["min_dist"] == "a number from 0 to 1"
    assert allowed["metric"] == "'euclidean' or 'cosine'"
    assert allowed["chosen_k"] == "a list of whole numbers, or null"


def test_table_has_a_line_for_each_parameter_and_four_cells_a_line():
    lines = parameter_table().splitlines()
    assert len(lines) == 2 + len(NAMES)
    # A bar within a cell would break the table.
    assert {line.count("|") for line in lines} == {5}
