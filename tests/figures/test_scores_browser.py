"""The page for pasted scores in a browser: what it reads, its arithmetic against the helpers', its words and looks."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
from conftest import violations
from scipy.interpolate import RegularGridInterpolator

from helpers.clustering.silhouette import silhouette_table
from helpers.core.conventions import ROOT
from helpers.criteria.curves import elbow_by_k_max, elbow_by_k_min, find_elbow, score_identity, score_steps
from helpers.figures.scores import SCORES_TITLE, SKLEARN_EXAMPLE, build_scores_page
from helpers.pages.provenance import framed_text

DATA = ROOT / "book" / "data"
NULLS = json.loads((DATA / "nulls.json").read_text(encoding="utf-8"))
QUESTION = pd.read_csv(DATA / "question.csv", index_col="n_clusters")["score"]
SETTLED = "() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))"
PASTED = """([text, n, d, rows]) => {
  for (const [id, value] of Object.entries({ text, n, n_features: d })) {
    const field = document.getElementById(id);
    field.value = value ?? "";
    field.dispatchEvent(new Event("input"));
  }
  const lengths = document.getElementById("rows");
  lengths.value = rows ?? "";
  lengths.dispatchEvent(new Event("change"));
  return [...document.querySelectorAll("#answer li")].map((item) => item.textContent);
}"""


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    """Write the page."""
    path = tmp_path_factory.mktemp("scores") / "page.html"
    path.write_text(build_scores_page(NULLS, QUESTION.to_dict()), encoding="utf-8")
    return path


@pytest.fixture
def open_page(tab, path):
    """Give a function that opens the page, and waits until it is drawn."""

    def open_page(**options):
        page = tab(path.as_uri(), **options)
        page.wait_for_selector("#score svg")
        return page

    return open_page


# --- what it reads ----------------------------------------------------------------------------------------------------

THREE = {2: 0.7049787496083262, 3: 0.5882004012129721, 4: -0.05}
LINES = "\n".join(f"For n_clusters = {k} The average silhouette_score is : {score}" for k, score in THREE.items())
SERIES = pd.Series(THREE, name="score").rename_axis("n_clusters")
FRAME = SERIES.reset_index()
INERTIA = {2: 1234.5, 3: 600.0, 4: 31247.0}

READINGS = {
    "as the question has it": "".join(f"Cluster : {k} | Silhouette score : {score}\n" for k, score in THREE.items()),
    "as scikit-learn's example": LINES,
    "as Python 2 printed a tuple": "".join(
        f"('For n_clusters =', {k}, 'The average silhouette_score is :', {score})\n" for k, score in THREE.items()
    ),
    "words after the number": "".join(f"Silhouette score for {k} clusters is {s}\n" for k, s in THREE.items()),
    "score first": "".join(f"Silhouette Score for k={k}: {score}\n" for k, score in THREE.items()),
    "n for k": "".join(f"Silhouette score (n={k}): {score}\n" for k, score in THREE.items()),
    "on two lines": "".join(f"k = {k}\n  silhouette: {score}\n" for k, score in THREE.items()),
    "short": "".join(f"{k} clusters: {score}\n" for k, score in THREE.items()),
    "with others": "".join(
        f"k={k} calinski_harabasz_score=512.3 silhouette_score={score} davies_bouldin_score=0.9\n"
        for k, score in THREE.items()
    ),
    "two columns": "".join(f"{k} {score}\n" for k, score in THREE.items()),
    "two columns, tabs": "".join(f"{k}\t{score}\n" for k, score in THREE.items()),
    "decimal commas": "".join(f"{k};{score}\n".replace(".", ",") for k, score in THREE.items()),
    "a true minus": "".join(f"{k}, {score}\n".replace("-", "\N{MINUS SIGN}") for k, score in THREE.items()),
    "CSV": FRAME.to_csv(index=False),
    "CSV with numbers of rows": FRAME.to_csv(),
    "CSV, other columns": FRAME.assign(macro=0.1, null_score_high=0.2).to_csv(index=False),
    "pandas, a frame": FRAME.to_string(),
    "pandas, index": SERIES.to_frame().to_string(),
    "pandas, turned": FRAME.T.to_string(header=False),
    "pandas, a series": SERIES.to_string(),
    "Markdown": "| k | silhouette |\n|---|---|\n" + "".join(f"| {k} | {score} |\n" for k, score in THREE.items()),
    "a database": " k |    silhouette\n---+-----------\n" + "".join(f" {k} | {s}\n" for k, s in THREE.items()),
    "a dict": str(THREE),
    "JSON": json.dumps(THREE),
    "of NumPy": f"{{{', '.join(f'{k}: np.float64({score})' for k, score in THREE.items())}}}",
    "a dict of lists": str(FRAME.to_dict("list")),
    "a dict of dicts": str({"score": THREE}),
    "a dict of rows": str(FRAME.to_dict()),
    "by k": str({k: {"silhouette": score} for k, score in THREE.items()}),
    "records": str(FRAME.to_dict("records")),
    "pairs, out of order": f"The output is this:\n\n{sorted(((k, s) for k, s in THREE.items()), reverse=True)}",
    "two lists": f"ks = {list(THREE)}\nscores = {list(THREE.values())}",
    "a range": f"for k in range(2, 5):\n\nscores = {list(THREE.values())}\nK = range(2, 5)",
    "an array": f"ks = [2, 3, 4]\nscores = {np.array(list(THREE.values()))!r}",
    "as NumPy prints": f"[2 3 4]\n{np.array2string(np.array(list(THREE.values())), precision=17)}",
    "a list alone": str(list(THREE.values())),
    "down": "k\n2\n3\n4\nAvg. Silhouette\n" + "\n".join(map(str, THREE.values())),
    "in the shell": f">>> scores\n{THREE}",
    "amid words": "From the graph it seems like the best number of clusters is from 6 to 10.\n\n  2. Silhouette\n\n"
    f"{LINES}\n\nit looks like only for cluster 4 it is better.\nplt.xlim([-0.1, 1])\nscores[0]\n"
    "for i in range(low, high):",
}  # fmt: skip


def rows_of(page, text):
    """Let the page read a text."""
    return page.evaluate("text => window.scores.parse(text)", text)


def test_it_reads_what_python_prints(open_page):
    page = open_page()
    for name, text in READINGS.items():
        found = {row["k"]: row["score"] for row in rows_of(page, text)["rows"] if "score" in row}
        assert found == pytest.approx(THREE, abs=1e-6), f"{name}:\n{text}"


MEASURED = {
    "CSV": pd.DataFrame({"k": THREE.keys(), "score": THREE.values(), "inertia": INERTIA.values()}).to_csv(index=False),
    "lines": "".join(f"k={k}: inertia = {INERTIA[k]:,.1f}, silhouette = {s}\n" for k, s in THREE.items()),
    "no names": "".join(f"{k}, {s}, {INERTIA[k]}\n" for k, s in THREE.items()),
    "quoted thousands": "k,WCSS,sil\n" + "".join(f'{k},"{INERTIA[k]:,.1f}",{s}\n' for k, s in THREE.items()),
    "two dicts": f"sse = {INERTIA}\nsilhouette = {THREE}",
    "three lists": f"K = [2, 3, 4]\ndistortions = {list(INERTIA.values())}\nsil = {list(THREE.values())}",
}


@pytest.mark.parametrize("name", MEASURED)
def test_it_reads_the_inertia_too(open_page, name):
    rows = rows_of(open_page(), MEASURED[name])["rows"]
    assert {row["k"]: row["score"] for row in rows} == pytest.approx(THREE)
    assert {row["k"]: row["inertia"] for row in rows} == pytest.approx(INERTIA)


def test_it_reads_sizes_and_shares(open_page):
    page = open_page()
    found = rows_of(page, f"X.shape = (1797, 64)\n{LINES}")
    assert found["facts"] == {"n": 1797, "n_features": 64}
    assert rows_of(page, f"n_samples = 500\n{LINES}")["facts"] == {"n": 500}
    text = "k,score,positive\n2,0.5,90%\n3,0.4,85.5%\n"
    assert [row["positive"] for row in rows_of(page, text)["rows"]] == pytest.approx([0.9, 0.855])
    given = "(rows, n) => window.scores.shares(rows, n)"
    for rows, n, expected in (
        ([{"positive": 0.5}, {"positive": 1}], 10, [0.5, 1]),
        ([{"positive": 90}, {"positive": 85.5}], 1000, [0.9, 0.855]),
        ([{"positive": 150}, {"positive": 200}], 200, [0.75, 1]),
        ([{"negative": 0.25}, {}], None, [0.75, None]),
        ([{"positive": 150}], None, [None]),
        ([{}], 10, [None]),
    ):
        assert page.evaluate(f"([rows, n]) => ({given})(rows, n)", [rows, n]) == expected


@pytest.mark.parametrize(
    ("text", "n", "message"),
    [
        ("", None, "Nothing is pasted yet"),
        ("hello 3 world", None, "No k with a score was found"),
        ("k = 2: silhouette 14.2", None, "At k = 2 the score is 14.2; a silhouette is from −1 to 1."),
        ("k,score,inertia\n2,0.1,-5", None, "At k = 2 the inertia is −5; it cannot be below 0."),
        ("2, 0.5", "many", "“many” is no number of rows; a whole number is allowed, 1 or more, or nothing."),
        ("5, 0.5", "5", "k = 5 is not possible with 5 rows; k must be below their number."),
        ("9" * 50_001, None, "The text has 50,001 characters; 50,000 are allowed."),
        ("[" * 50_000, None, "No k with a score was found"),
        (",1" * 25_000, None, "The text has 25,000 values of k; 300 are allowed."),
        ('"' * 50_000, None, "No k with a score was found"),
        ("k = 2 " * 8_000, None, "No k with a score was found"),
    ],
)
def test_what_it_cannot_read_it_says_in_a_sentence(open_page, text, n, message):
    page = open_page()
    assert page.evaluate(PASTED, [text, n, None, None]) == []
    assert message in page.locator("#read").inner_text()
    assert page.locator("#figures").is_hidden() and page.locator("#command").is_hidden()


def test_what_is_left_out_doubled_or_counted_is_said(open_page):
    page = open_page()
    page.evaluate(PASTED, ["k = 2 score 0.5\nk = 3 score 0.4\nk = 2 score 0.6\nversion 7", None, None, None])
    said = page.locator("#read").inner_text()
    assert "2 values of k from 2 to 3" in said and "k = 2 is there more than once; the last values count." in said
    assert "1 line with numbers was left out, such as “version 7”." in said
    page.evaluate(PASTED, ["[0.5, 0.4, 0.3]", None, None, None])
    assert "counted from 2" in page.locator("#read").inner_text()


def test_text_is_shown_as_text(open_page):
    page = open_page()
    page.evaluate(PASTED, ["k = 2 score 0.5\n<img src=x onerror=alert(1)> 7 **bold**", "<b>1</b>", None, None])
    assert "<b>1</b>" in page.locator("#read").inner_text()
    page.evaluate(PASTED, ["k = 2 score 0.5\n<img src=x onerror=alert(1)> 7 **bold**", None, None, None])
    assert "<img src=x onerror=alert(1)> 7 **bold**" in page.locator("#read").inner_text()
    assert page.locator("img").count() == 0


SPLIT = "rows => rows.map((row) => window.scores.split(row, row.positive, row.negative))"

# --- its arithmetic ---------------------------------------------------------------------------------------------------


def test_its_elbows_are_those_of_the_helpers(open_page):
    rng, curves = np.random.default_rng(0), []
    for _ in range(100):
        ks = np.sort(rng.choice(np.arange(1, 40), int(rng.integers(2, 14)), replace=False)).tolist()
        curves.append((ks, np.sort(rng.uniform(0, 100, len(ks)) ** rng.uniform(0.3, 3))[::-1].tolist()))
    computed = open_page().evaluate(
        "curves => curves.map(([ks, values]) => window.scores.elbowRange(ks, values))", curves
    )
    found = 0
    for (ks, values), page in zip(curves, computed, strict=True):
        assert page["at"] == find_elbow(ks, values)
        for name, of in (("byMax", elbow_by_k_max), ("byMin", elbow_by_k_min)):
            expected = of(ks, values)
            assert page[name] == [[int(k), None if pd.isna(at) else int(at)] for k, at in expected.items()]
        found += page["at"] is not None
    assert 20 < found < 100


def test_its_split_and_its_steps_are_those_of_the_helpers(open_page):
    rng = np.random.default_rng(1)
    labels = np.stack([rng.integers(0, k, 200) for k in range(2, 9)])
    labels[:, :8] = np.arange(8) % np.arange(2, 9)[:, np.newaxis]  # no cluster is empty
    low, high = np.array([-0.1, -0.5, -0.2, -0.2, -0.4, -0.1, -0.3]), np.array([0.3, 0.9, 0.6, 0.5, 0.9, 0.4, 0.5])
    samples = np.round(rng.uniform(low[:, np.newaxis], high[:, np.newaxis], labels.shape), 1)  # some are 0
    table = silhouette_table(samples, labels)
    rows = table[["score", "positive", "negative", "mean_positive", "mean_negative"]].reset_index(names="k")
    page = open_page()
    parts = page.evaluate(SPLIT, rows.to_dict("records"))
    identity = score_identity(table)
    np.testing.assert_allclose(pd.DataFrame(parts), identity[["gain", "loss"]], atol=1e-12)
    for row in (records := rows.to_dict("records")):
        del row["mean_positive"], row["mean_negative"]
    bounds = page.evaluate(SPLIT, records)
    bounds = pd.DataFrame(bounds, index=identity.index)
    assert (bounds["least"] <= identity["gain"]).all() and (identity["gain"] <= bounds["most"]).all()
    steps = page.evaluate("rows => window.scores.disagreements(rows, rows.map((row) => row.positive))", records)
    expected = score_steps(table)["disagree"]
    assert [step["disagree"] for step in steps] == expected.tolist() and 0 < expected.sum() < len(expected)


def test_it_interpolates_in_the_logarithms(open_page):
    axes = [np.array(NULLS[name]) for name in ("n", "n_features", "k")]
    rng = np.random.default_rng(2)
    sizes = np.exp(np.column_stack([rng.uniform(*np.log(axis[[0, -1]]), 200) for axis in axes]))
    sizes[:3] = [[axis[0] for axis in axes], [axis[-1] for axis in axes], [axis[1] for axis in axes]]
    cloud = NULLS["clouds"][5]["score"]
    expected = RegularGridInterpolator([np.log(axis) for axis in axes], np.array(cloud))(np.log(sizes))
    found = open_page().evaluate(
        "([values, axes, sizes]) => sizes.map((size) => window.scores.interpolate("
        "values, size.map((one, i) => window.scores.place(axes[i], one))))",
        [cloud, [axis.tolist() for axis in axes], sizes.tolist()],
    )
    np.testing.assert_allclose(found, expected, atol=1e-12)


def ends(n, d, rows, k):
    """Compute the band at a number of features of the grid, or half-way in the logarithm between two of it."""
    at_n, at_k, features, found = NULLS["n"].index(n), NULLS["k"].index(k), NULLS["n_features"], []
    inner = [0, *NULLS["error"]["n_features"]["root mean square"], 0]
    for cloud in NULLS["clouds"]:
        if (cloud["rows"] == "unit") != (rows == "unit"):
            continue
        fewer = [one for one in features if 8 <= one < d] if cloud["spectrum"] == "flat" else []
        for width in [*fewer, d]:
            around = [
                i
                for i, one in enumerate(features)
                if width / 2 <= one <= width * 2 and (one == width or width not in features)
            ]
            mean, spread = (np.mean([cloud[name][at_n][i][at_k] for i in around]) for name in ("score", "spread"))
            by = 2 * spread + (2 * max(inner[i] for i in around) if len(around) > 1 else 0)
            found += [mean - by, mean + by]
    return {"low": min(found), "high": max(found)}


@pytest.mark.parametrize(
    ("n", "d", "rows", "k"),
    [(100, 2, "raw", 4), (1000, 64, "unit", 2), (10_000, 1024, "raw", 64), (1000, 128, "unit", 3)],
)
def test_the_band_holds_its_clouds_and_widens_with_what_is_unknown(open_page, n, d, rows, k):
    """128 features are between two sizes that were left out each, and the band is wider by twice the error of that."""
    page = open_page()
    band = "([k, n, d, rows]) => window.scores.band(k, { n, n_features: d, rows })"
    found = page.evaluate(band, [k, n, d, rows])
    assert found == pytest.approx(ends(n, d, rows, k))
    for wider in ([k, None, d, rows], [k, n, None, rows], [k, n, d, None]):
        other = page.evaluate(band, wider)
        assert d == 128 or other["low"] <= found["low"] and found["high"] <= other["high"]


# --- its words --------------------------------------------------------------------------------------------------------

LAST = "How many clusters there are, or whether there are any, no score can tell"
# Tables of public questions and pages: a text in which their numbers are told here, sizes where they are told there,
# and words that the answer must have.
PUBLIC = {
    # stats.stackexchange.com/questions/440674: tweets, elbow and silhouette disagree.
    "tweets": (
        "[(14, 0.01099081385755934), (13, 0.010913600577875339), (15, 0.010735258452729449), "
        "(12, 0.009972398884037042), (11, 0.009873906887295263), "
        "(10, 0.008924420881453054), (9, 0.00837275406765135), (8, 0.008038285782741293), "
        "(7, 0.007561470837121052), (6, 0.006995317289821658), (5, 0.006343859527220237), (4, 0.005040021066862907), "
        "(3, 0.004212974332611302), (2, 0.003538406316643856)]",
        (None, None, None),
        ["At no k is the score more", "largest at k = 14"],
    ),
    # The example of scikit-learn, and github.com/apache/madlib/pull/433, which asks why its own numbers differ.
    "blobs": (SKLEARN_EXAMPLE, ("500", "2", "raw"), ["largest at k = 2"]),
    "squared distances": (
        " k |    silhouette\n---+-------------------\n 2 | 0.779349458639269\n 3 | 0.686510525829679\n"
        " 4 | 0.744861910083039\n 5 |  0.68413865980669\n 6 | 0.569353367067852\n",
        ("500", "2", "raw"),
        ["the score is more than data without clusters of 500 rows and 2 features give"],
    ),
    # A question of an examination about 10,000 customers with 85 features each (crucialexams.com, DY0-001).
    "examination": (
        "k,inertia,silhouette\n2,7.9,0.47\n3,5.2,0.62\n4,4.1,0.59\n5,3.6,0.56\n6,3.3,0.53\n7,3.0,0.50\n8,2.8,0.49\n"
        "9,2.6,0.48\n10,2.5,0.47\n",
        ("10000", "85", None),
        ["At every k the score is more", "largest at k = 3", "the elbow, k = 4 here"],
    ),
    # The customers of a shop, by three features (data-cookie.com/customer-clustering).
    "customers": (
        "inertia: 31,247 (k=2)\nk=3: silhouette 0.4065, inertia 21,004\nk=7 silhouette: 0.4458\n"
        "k=10 silhouette: 0.4503",
        ("9601", "3", None),
        ["largest at k = 10", "with fewer than four values of the inertia there is no elbow to look for"],
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", PUBLIC)
def test_public_tables_get_three_sentences(open_page, name):
    text, sizes, words = PUBLIC[name]
    said = open_page().evaluate(PASTED, [text, *sizes])
    assert len(said) == 3 and said[2].startswith(LAST)
    assert all(part in " ".join(said) for part in words), said
    print(f"\n{name}: " + "\n  ".join(said))


def test_the_question_gets_three_sentences(open_page):
    page = open_page()
    said = page.locator("#answer li").all_inner_texts()
    assert len(said) == 3 and said[2].startswith(LAST)
    assert said[0].startswith("At no k is the score more than data without clusters of any size")
    assert said[1].startswith("Compare these k by the score, which is largest at k = 2")
    assert page.locator("#command").inner_text() == (
        "python -m helpers book -p dataset folder:/path/to/images\n"
        "python -m helpers book -p dataset features:/path/to/features.npy"
    )
    print("\nthe question: " + "\n  ".join(said))


def test_samples_are_not_counted_and_parts_are_split(open_page):
    page = open_page()
    page.locator("#example").select_option("digits")
    said = page.locator("#answer li").all_inner_texts()
    assert "do not count positive samples, whose share moves against the score in " in said[1]
    for name in ("score", "inertia", "positive", "parts"):
        assert page.locator(f"#{name} svg").is_visible()
    heads = page.locator("#table th").all_text_contents()
    assert heads == ["k", "score", "band from", "to", "inertia", "positive", "give", "take", "the score is"]
    without = "k,score,positive\n2,0.3,0.9\n3,0.2,0.95\n"
    page.evaluate(PASTED, [without, None, None, None])
    assert "the positive samples average 0.333 at least" in page.locator("#positive-note").inner_text()
    assert page.locator("#parts").is_hidden() and page.locator("#inertia").is_hidden()


def test_outside_of_the_grid_is_said(open_page):
    page = open_page()
    said = page.evaluate(PASTED, ["2, 0.01\n100, 0.02", "2000000", "1", None])
    note = page.locator("#score-note").inner_text()
    assert "More than 10,000 rows were not measured" in note and "Fewer than 2 features were not measured" in note
    assert "k not measured" in page.locator("#score-key").inner_text()
    assert page.evaluate(PASTED, ["100, 0.02", None, None, None])[0].startswith(
        "At k = 100 the scores cannot be compared"
    )
    assert "-p k_max 100" in page.locator("#command").inner_text() and said


def test_it_names_no_number_of_clusters(open_page):
    """Even of groups that are far apart, it says where the score is largest, and not how many groups there are."""
    said = open_page().evaluate(PASTED, ["2,0.5\n3,0.95\n4,0.7", "300", "2", None])
    assert "more than data without clusters" in said[0] and "not yet clusters" in said[0]
    assert not any(words in " ".join(said).lower() for words in ("there are 3", "best k", "optimal", "choose k"))


# --- at home everywhere -----------------------------------------------------------------------------------------------


def test_it_can_be_used_by_keyboard_alone(open_page):
    page = open_page()
    order = []
    for _ in range(7):
        page.keyboard.press("Tab")
        order.append(page.evaluate("document.activeElement.id"))
    assert order[:6] == ["example", "text", "n", "n_features", "rows", "command"]
    page.locator("#text").focus()
    page.keyboard.press("Control+A")
    page.keyboard.type("2, 0.4\n3, 0.9")
    assert "largest at k = 3" in page.locator("#answer").inner_text()
    page.wait_for_function("document.getElementById('said').textContent.startsWith('At ')")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_is_accessible(open_page, scheme):
    page = open_page(color_scheme=scheme)
    page.locator("#example").select_option("digits")
    page.locator("summary").click()
    page.evaluate(SETTLED)
    assert violations(page) == []
    page.locator("#text").fill("nothing")
    assert violations(page) == []


@pytest.mark.parametrize("example", ["question", "digits"])
def test_it_fits_a_phone(open_page, example):
    page = open_page(viewport={"width": 390, "height": 844}, has_touch=True)
    page.locator("#example").select_option(example)
    page.locator("summary").click()
    assert page.evaluate("document.documentElement.scrollWidth") == 390


def test_in_a_frame_it_follows_the_theme_grows_and_opens_on_its_own(tab, path, tmp_path):
    around = tmp_path / "around.html"
    frame = framed_text(path.read_text(encoding="utf-8"), SCORES_TITLE, "30rem").data
    head = '<!doctype html><html lang="en" data-theme="dark"><meta charset="utf-8"><title>x</title>'
    around.write_text(head + frame, encoding="utf-8")
    page = tab(around.as_uri(), color_scheme="light")
    inside = page.frames[1]
    inside.wait_for_selector("#score svg")
    assert inside.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(20, 24, 30)"
    inside.locator("#example").select_option("digits")
    page.evaluate(SETTLED)
    cut = "document.documentElement.scrollHeight - document.documentElement.clientHeight"
    inside.wait_for_function(f"{cut} <= 1")
    with page.expect_popup() as opened:
        inside.locator("#open").click()
    opened.value.wait_for_selector("#score svg")
    assert opened.value.locator(".links").is_hidden()


def test_without_scripts_it_says_what_it_is_for(browser, path):
    page = browser.new_page(java_script_enabled=False)
    page.goto(path.as_uri())
    assert "compares pasted scores with those of data without clusters" in page.inner_text("body")
    assert page.locator("main").is_hidden()
    page.close()
