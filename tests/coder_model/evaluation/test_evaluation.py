"""Cases, their scores, and what a run makes of them: the figures of `unmask eval`."""

import gzip
import json
import math
import threading

import pytest
from commands import exit_code
from hypothesis import given
from hypothesis import strategies as st

from coder_model.evaluation import baselines, sandbox
from coder_model.evaluation.cases import OWN_CASES, Case, read_cases, split_by
from coder_model.evaluation.metrics import paired_difference, percentile, score
from coder_model.evaluation.run import Decision, by_copy, by_engine, difference, groups, run, summary, write
from coder_model.types import Draft, InvalidInput


def case(reference="b", prefix="a = ", suffix="\n", **more):
    return Case("1", "python", prefix, suffix, reference, **more)


class FakeEngine:
    def __init__(self, text):
        self.text, self.requests = text, []

    def fill(self, request):
        self.requests.append(request)
        yield Draft("", final=False, confidence=1, steps=1, tokens=1, elapsed_ms=1)
        yield Draft(self.text, final=True, confidence=1, steps=2, tokens=6, elapsed_ms=2)


def test_the_own_cases_are_whole_and_unique():
    cases = read_cases(OWN_CASES)
    assert len(cases) >= 20
    assert len({c.id for c in cases}) == len(cases)
    assert {c.mode for c in cases} == {"single", "multi"}


def test_cases_are_read_from_files_folders_and_archives(tmp_path):
    row = {"id": 1, "lang": "python", "prefix": "a", "suffix": "", "reference": "x\ny"}
    (tmp_path / "a.jsonl").write_text(json.dumps(row) + "\n\n")
    with gzip.open(tmp_path / "b.jsonl.gz", "wt") as file:
        file.write(json.dumps({**row, "id": 2, "mode": "single"}))
    assert [(c.id, c.mode) for c in read_cases(tmp_path)] == [("1", "multi"), ("2", "single")]
    assert len(read_cases(tmp_path / "b.jsonl.gz")) == 1


def test_a_limit_takes_cases_evenly(tmp_path):
    rows = [{"id": i, "lang": "go", "prefix": "", "suffix": "", "reference": ""} for i in range(10)]
    (tmp_path / "a.jsonl").write_text("\n".join(map(json.dumps, rows)))
    assert [c.id for c in read_cases(tmp_path, 3)] == ["0", "3", "6"]


@pytest.mark.parametrize("text", ["{", "[]", '{"id": 1}', "3"])
def test_a_line_that_is_no_case_is_named(tmp_path, text, capsys):
    (tmp_path / "a.jsonl").write_text(text)
    assert exit_code(["eval", "--data", str(tmp_path / "a.jsonl")]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert "a.jsonl:1 must be a case" in error


@pytest.mark.parametrize("name", ["gone.jsonl", "empty"])
def test_missing_cases_are_named(tmp_path, name, capsys):
    (tmp_path / "empty").mkdir()
    assert exit_code(["eval", "--data", str(tmp_path / name)]) == 2
    assert name in capsys.readouterr().err


def test_scores_ignore_white_space_at_the_ends():
    assert score(case("return x"), "  return x\n").exact == 1
    assert score(case("a\nb"), "a\nc").first_line == 1
    assert score(case("a\nb"), "a\nc").exact == 0


@given(st.text("abc", max_size=12), st.text("abc", max_size=12))
def test_similarity_is_symmetric_and_one_for_equals(a, b):
    similarity = score(case(a), b).similarity
    assert similarity == score(case(b), a).similarity
    assert score(case(a), a).similarity == 1
    assert 0 <= similarity <= 1


def test_similarity_counts_the_longest_common_subsequence():
    assert score(case("abcd"), "abxd").similarity == pytest.approx(2 * 3 / 8)


def test_the_copy_baseline_goes_on_as_the_line_did_before():
    assert baselines.copy("total = sum(a)\nx = 1\ntotal = su", "\n") == "m(a)"
    assert baselines.copy("x = f(a, b)\ny = f(", ")\n") == "a, b"
    assert baselines.copy("foo(", "\n# foo(bar)") == "bar)"
    assert baselines.copy("nothing like", " it") == ""


def test_an_engine_is_asked_for_the_cases_hole():
    engine = FakeEngine(" b")
    cases = [case(), case("c\nd", mode="multi")]
    outcomes = run(cases, by_engine(engine))
    assert [r.hole for r in engine.requests] == ["line", "block"]
    assert [o.score.exact for o in outcomes] == [1, 0]
    figures = summary(outcomes)
    assert (figures["exact"], figures["tokens_per_step"], figures["steps"]) == (50, 3, 2)


def test_cases_decided_beside_each_other_keep_their_order():
    meet = threading.Barrier(4, timeout=10)
    cases = [case(str(number)) for number in range(8)]

    def decide(one):
        meet.wait()
        return Decision(one.reference)

    outcomes = run(cases, decide, concurrent=4)
    assert [(o.case, o.text, o.score.exact) for o in outcomes] == [(c, c.reference, 1) for c in cases]


def test_an_answer_is_empty_only_where_the_reference_says_something():
    outcomes = run([case(), case(" "), case("c")], lambda one: Decision("c" if one.reference == "c" else "\n"))
    assert [o.empty for o in outcomes] == [True, False, False]
    assert summary(outcomes)["empty"] == pytest.approx(100 / 3)


def test_a_case_with_a_lone_surrogate_counts_as_unanswered():
    (outcome,) = run([case(prefix="\ud800")], by_engine(FakeEngine("b")))
    assert outcome.text == ""


def test_results_are_split_by_fields_and_tags(tmp_path):
    cases = [case(tags={"copyable": True}), case(tags={"copyable": False}), case()]
    outcomes = run(cases, by_copy)
    assert {g: len(o) for g, o in groups(outcomes, ["copyable", "lang"]).items()} == {
        "all": 3,
        "copyable=True": 1,
        "copyable=False": 1,
        "lang=python": 3,
    }
    write(tmp_path / "new" / "r.json", {"copy": outcomes}, ["lang"], {"data": "x"})
    written = json.loads((tmp_path / "new" / "r.json").read_text())
    assert written["figures"]["copy"]["all"]["n"] == 3
    assert written["torch"]


def test_a_document_parses_when_it_has_no_more_errors_than_with_the_reference():
    assert score(case("f(1)"), "f(2)").parses == 1
    assert score(case("f(1)"), "f(2").parses == 0
    assert score(case("f(1", suffix="\n"), "g(2").parses == 1
    assert score(Case("1", "cobol", "", "", "x"), "((").parses == 1


def test_human_eval_infilling_is_read_as_it_is(tmp_path):
    row = {"task_id": "T/0", "prompt": "def f(a):\n", "suffix": "    return b\n", "canonical_solution": "    b = a\n"}
    row |= {"entry_point": "f", "test": "def check(g):\n    assert g(3) == 3"}
    (tmp_path / "a.jsonl").write_text(json.dumps(row))
    (found,) = read_cases(tmp_path / "a.jsonl")
    assert (found.reference, found.suffix, found.mode) == ("    b = a", "\n    return b\n", "single")
    outcomes = [
        score(found, text).passed for text in ("    b = a", "    b = 3", "    b = 4", "    b = (", "    exit()")
    ]
    assert outcomes == [1, 1, 0, 0, 0]
    figures = summary(run([found], by_engine(FakeEngine("    b = a"))))
    assert figures["passed"] == 100


@pytest.mark.parametrize(
    "program",
    [
        "while True:\n    pass",
        "x = bytearray(2 << 30)",
        "open('f', 'wb').write(b'0' * (2 << 20))",
        "import os; os._exit(0)",
    ],
)
def test_a_program_that_oversteps_its_limits_does_not_pass(program, monkeypatch):
    monkeypatch.setattr(sandbox, "TIMEOUT_S", 1)
    assert sandbox.passes("x = 1")
    assert not sandbox.passes(program)


def test_a_paired_difference_has_an_interval():
    right, wrong = run([case()] * 4, by_engine(FakeEngine("b"))), run([case()] * 4, by_engine(FakeEngine("c")))
    assert difference(right, wrong) == (100, 0)
    points, half = paired_difference([1, 1, 0, 0], [0, 1, 0, 0])
    assert points == 0.25
    assert half > 0


def test_percentiles_of_nothing_are_not_numbers():
    assert math.isnan(percentile([], 50))
    assert percentile([1, 2, 3], 50) == 2


def test_more_cases_at_a_time_than_the_device_takes_are_refused(model_directory, tmp_path, capsys):
    arguments = ["--model", str(model_directory), "--limit", "1", "--only-model", "--concurrent", "9"]
    assert exit_code(["eval", *arguments, "--output", str(tmp_path / "r.json")]) == 2
    assert capsys.readouterr().err == "unmask eval: concurrent must be 1 to 1 on this device, got 9\n"


def test_a_tiny_model_is_evaluated_beside_its_baselines(model_directory, tmp_path, capsys):
    out = tmp_path / "r.json"
    arguments = ["--model", str(model_directory), "--limit", "3", "--output", str(out), "--by", "lang"]
    assert exit_code(["eval", *arguments]) == 0
    record = json.loads(out.read_text())
    assert (record["model"], record["device"], record["concurrent"]) == (model_directory.name, "cpu", 1)
    assert record["parameters"] > 0
    assert 10 < record["peak_mb"] < 100_000
    figures = record["figures"]
    assert set(figures) == {"model", "one token at a time", "model without copies", "copy baseline"}
    assert figures["model"]["all"]["exact"] == figures["one token at a time"]["all"]["exact"]


def with_check(tmp_path, **more):
    row = {"id": "1", "lang": "python", "prefix": "def f(a):\n    return", "suffix": "", "reference": " a"}
    row |= {"entry_point": "f", "test": "def check(g):\n    assert g(3) == 3", **more}
    (tmp_path / "a.jsonl").write_text(json.dumps(row))
    return read_cases(tmp_path / "a.jsonl")[0]


def test_a_test_is_called_with_the_cases_entry_point(tmp_path):
    found = with_check(tmp_path)
    assert [score(found, text).passed for text in (" a", " 4", "\n", " (")] == [1, 0, 0, 0]


def test_a_test_that_calls_itself_is_not_called_again(tmp_path):
    test = "count = []\ndef check(g):\n    count.append(g(3))\n    assert len(count) == 1\ncheck(f)\n"
    assert score(with_check(tmp_path, test=test), " a").passed == 1


@pytest.mark.parametrize("more", [{"test": "assert f(3) == 3"}, {"entry_point": "f; exit()"}])
def test_a_test_that_cannot_be_called_is_refused(tmp_path, more):
    with pytest.raises(InvalidInput, match=r"a.jsonl:1 .*must define check"):
        with_check(tmp_path, **more)


def test_a_test_without_an_entry_point_begins_in_a_line_of_its_own(tmp_path):
    assert score(with_check(tmp_path, test="assert f(3) == 3", entry_point=None), " a").passed == 1


def test_a_test_of_another_language_is_not_run_as_python(tmp_path):
    found = with_check(tmp_path, lang="javascript", test="assert(f(3) === 3)", entry_point=None)
    assert score(found, " a").passed is None
    assert "passed" not in summary(run([found], by_copy))


def test_figures_are_split_by_what_the_cases_have_and_another_name_is_answered_with_what_there_is():
    cases = [Case("1", "python", "a", "b", "c", tags={"depth": 1}), Case("2", "go", "a", "b", "c", tags={"task": "t"})]
    assert split_by(cases, None) == ["mode", "lang", "kind"]
    assert split_by(cases, ["task", "lang"]) == ["task", "lang"]
    with pytest.raises(InvalidInput, match="--by must be of lang, mode, kind, depth, task; no case has langs, x"):
        split_by(cases, ["lang", "langs", "x"])
