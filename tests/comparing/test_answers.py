"""The answer of each combination is that of its study, and matched pairs measure what a choice moves."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from helpers.comparing import answers as module
from helpers.comparing.answers import Answer, Comparison, Rows, cluster_agreement, compare, matched_pairs, moves
from helpers.comparing.combinations import Combination, combine
from helpers.core.conventions import ROOT
from helpers.core.scheduling import use_scheduler
from helpers.parameters import Parameters
from helpers.study import Study

CHOICES = {"normalize": ["none", "standard"], "random_state": [0, 1]}


@pytest.fixture(scope="module")
def base(cache_dir):
    """Parameters of a small study that needs no network."""
    chosen = {"dataset": "digits", "backbone": "pixels", "n_images": 80, "n_components": 8, "k_max": 4, "n_init": 2}
    return chosen | {"cache_dir": cache_dir}


@pytest.fixture(scope="module")
def comparison(base):
    """Four combinations."""
    return compare(combine({"": base}, CHOICES))


def told(comparison):
    """Everything but the seconds."""
    table = comparison.choices.join(comparison.answers.drop(columns="seconds"))
    return table.to_json(), [answer.labels.tolist() for _, _, answer in comparison.answered], comparison.failed


def test_each_answer_is_that_of_a_study_by_itself(comparison, tmp_path):
    assert len(comparison.answered) == 4 and not comparison.failed
    for combination, rows, answer in comparison.answered:
        study = Study(combination.params.model_copy(update={"cache_dir": str(tmp_path)}))
        assert (answer.n_clusters, answer.convenience) == (study.verdict.n_clusters, study.verdict.convenience)
        assert answer.levels == study.verdict.levels.index.tolist()
        at_k = study.criteria.loc[answer.convenience]
        assert (answer.score, answer.positive) == (at_k["score"], at_k["positive"])
        assert answer.valley == pytest.approx(at_k["valley"], nan_ok=True, abs=0)
        np.testing.assert_array_equal(answer.labels, study.labels_at(answer.convenience))
        assert rows.fingerprint == study.images.fingerprint and len(rows.images) == len(study.features)


def test_a_second_comparison_computes_what_is_new_and_nothing_else(comparison, base, monkeypatch):
    computed = []
    original = Study.of_features.__func__
    monkeypatch.setattr(
        Study, "of_features", classmethod(lambda cls, *args, **kw: computed.append(kw) or original(cls, *args, **kw))
    )
    assert told(compare(combine({"": base}, CHOICES))) == told(comparison) and computed == []
    more = compare(combine({"": base}, CHOICES | {"random_state": [1, 2]}))
    assert sorted((kw["normalize"], kw["random_state"]) for kw in computed) == [("none", 2), ("standard", 2)]
    assert len(more.answered) == 4


def test_images_are_opened_and_embedded_once_for_all_that_share_them(base, monkeypatch):
    calls = []
    for name in ("load_images", "_open"):
        original = getattr(module, name)
        monkeypatch.setattr(
            module, name, lambda *args, _name=name, _of=original, **kw: calls.append(_name) or _of(*args, **kw)
        )
    compare(combine({"": base}, CHOICES))
    assert sorted(calls) == ["_open", "_open", "load_images"]  # each seed draws a sample of the one collection


def test_the_sample_of_an_open_collection_is_that_of_a_study(base):
    whole = Study(Parameters(**{**base, "n_images": None}))
    within, by_itself = (compare(combine({"": base}, {"random_state": [3]}), within=one) for one in (whole, None))
    assert told(within) == told(by_itself)
    np.testing.assert_array_equal(within.answered[0][1].features, by_itself.answered[0][1].features)


def test_what_fails_has_its_sentence_and_the_others_their_answers(base):
    choices = {"dataset": ["digits", "folder:/no/such/folder", "didgits"], "n_images": [80, 4, 9999]}
    comparison = compare(combine({"": base}, choices))
    assert [one.choices["n_images"] for one, _, _ in comparison.answered] == ["80"]
    sentences = {tuple(one.choices.values()): sentence for one, sentence in comparison.failed}
    assert len(sentences) == 8
    assert "k_max may be at most 3" in sentences["digits", "4"]
    assert "n_images = 9999 is more than 'digits' has" in sentences["digits", "9999"]
    assert "does not exist" in sentences["folder:/no/such/folder", "80"]
    assert "(did you mean 'digits'?)" in sentences["didgits", "4"]


def test_all_may_fail(base):
    comparison = compare(combine({"": base | {"n_images": 4}}, CHOICES))
    assert comparison.answered == [] and len(comparison.failed) == 4
    assert comparison.answers.empty and comparison.choices.empty and moves(comparison).empty


def test_four_images_have_an_answer(base):
    answers = compare(combine({"": base | {"n_images": 4, "k_max": 2}}, {"normalize": ["none", "unit"]})).answers
    assert answers["n_clusters"].isna().all() and answers["convenience"].tolist() == [2, 2]
    assert answers["valley"].isna().all()


# --- order, and what moves the answers --------------------------------------------------------------------------------


def made(choices, n_clusters, labels, images=None, valley=0.5):
    """Make an answer by hand."""
    labels = np.array(labels)
    images = np.arange(len(labels), dtype=np.uint64) if images is None else np.array(images, dtype=np.uint64)
    rows = Rows(np.zeros((len(labels), 1), np.float32), None, images, "0" * 64)
    answer = Answer(n_clusters, [n_clusters] if n_clusters else [], n_clusters or 2, 0.1, valley, 0.9, labels, 0.0)
    return Combination(choices, Parameters()), rows, answer


A, B = [0] * 15 + [1] * 15, [0, 1] * 15


def test_answers_are_in_order_of_k_and_then_of_the_valley(base, monkeypatch):
    valleys = iter([0.4, 0.9, 0.3, np.nan])
    named = iter([3, 2, 3, None])
    monkeypatch.setattr(module, "_answer_of", lambda *args: made({}, next(named), [0] * 80, valley=next(valleys))[2])
    monkeypatch.setattr(module, "run_tasks", lambda task, given, **kw: [task(*kw["shared"], *one) for one in given])
    comparison = compare(combine({"": base}, {"random_state": [0, 1, 2, 3]}))
    assert comparison.answers["n_clusters"].astype(object).where(lambda k: k.notna(), None).tolist() == [None, 2, 3, 3]
    assert comparison.answers["valley"].tolist()[1:] == [0.9, 0.3, 0.4]


def test_moves_are_those_of_matched_pairs():
    """The first choice moves k and clusters, the second moves neither."""
    answered = [made({"a": a, "b": b}, k, labels) for a, k, labels in (("x", 2, A), ("y", None, B)) for b in ("1", "2")]
    comparison = Comparison(answered, [])
    assert sorted(matched_pairs(comparison, "a")) == [(0, 2), (1, 3)]
    table = moves(comparison)
    assert table.index.tolist() == ["a", "b"] and table["pairs"].tolist() == [2, 2]
    assert table["same_answer"].tolist() == [0, 1] and table.loc["b", "agreement"] == 1
    apart = cluster_agreement(answered[0][1:], answered[2][1:])
    assert apart < 0.1 and table.loc["a", "agreement"] == pytest.approx(apart)


def test_none_twice_is_the_same_answer():
    comparison = Comparison([made({"a": a}, None, A) for a in "xy"], [])
    assert moves(comparison)["same_answer"].tolist() == [1]


def test_a_pair_that_differs_in_two_choices_is_no_matched_pair():
    comparison = Comparison([made({"a": "x", "b": "1"}, 2, A), made({"a": "y", "b": "2"}, 2, A)], [])
    assert moves(comparison).empty


def test_different_images_are_compared_on_those_in_common():
    first = made({}, 2, A)[1:]
    shifted = made({}, 2, A[5:] + [7] * 5, images=range(5, 35))[1:]
    assert cluster_agreement(first, shifted) == 1
    assert np.isnan(cluster_agreement(first, made({}, 2, A, images=range(20, 50))[1:]))


def test_copies_of_an_image_count_once_where_images_differ():
    copies = made({}, 2, [0, *A], images=[0, *range(30)])[1:]
    assert cluster_agreement(copies, made({}, 2, A)[1:]) == 1


def test_one_combination_has_no_pairs(base):
    comparison = compare(combine({"": base}, {}))
    assert len(comparison.answers) == 1 and comparison.choices.shape == (1, 0) and moves(comparison).empty


# --- stopped, and on a cluster ----------------------------------------------------------------------------------------

SCRIPT = """
import sys
from helpers.comparing import answers
from helpers.comparing.combinations import combine

stored = answers._stored_answer
def answer_and_say(*given):
    result = stored(*given)
    print("answered", flush=True)
    return result
answers._stored_answer = answer_and_say
answers.compare(combine({"": eval(sys.argv[1])}, eval(sys.argv[2])))
"""


def test_a_comparison_that_was_killed_goes_on_where_it_stopped(comparison, base, tmp_path, monkeypatch):
    """Each answer is stored as soon as it is there."""
    own = base | {"cache_dir": str(tmp_path)}
    with subprocess.Popen(
        [sys.executable, "-c", SCRIPT, repr(own), repr(CHOICES)], cwd=ROOT, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout.readline() == b"answered\n"
        process.kill()
    stored = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("find_answer/*.npz")}
    assert stored
    assert told(compare(combine({"": own}, CHOICES))) == told(comparison)
    assert {path: path.stat().st_mtime_ns for path in stored} == stored
    assert len(list(tmp_path.rglob("find_answer/*.npz"))) == 4


def test_a_cluster_of_two_workers_of_which_one_dies_gives_the_same(comparison, base, tmp_path, monkeypatch):
    distributed = pytest.importorskip("distributed")
    original = module.run_tasks
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, memory_limit=0, dashboard_address=None, silence_logs=50
    ) as cluster:

        def killing(*args, **kwargs):
            for number, result in enumerate(original(*args, **kwargs)):
                if number == 0:
                    next(iter(cluster.workers.values())).process.process.kill()
                yield result

        monkeypatch.setattr(module, "run_tasks", killing)
        use_scheduler(cluster.scheduler_address, cache_dir=tmp_path)
        try:
            own = base | {"cache_dir": str(tmp_path)}
            assert told(compare(combine({"": own}, CHOICES))) == told(comparison)
        finally:
            use_scheduler("")
