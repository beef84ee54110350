from collections import Counter

import pytest
from next_edit import LANGUAGES, figures, opened, outcome, read_next_edit_cases
from records import BENCHMARKS

from coder_model.text.syntax import errors_in, has_grammar, language_of

CASES = read_next_edit_cases(BENCHMARKS / "next_edit_cases.toml")


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_the_edits_of_a_case_lead_to_a_text_of_which_more_can_be_right(case):
    documents, document, row = opened(case)
    assert len(documents.edits.latest()) >= 1
    assert 0 <= row < len(document.lines)
    assert outcome(case, document.text) == "wrong"
    assert outcome(case, None) == "silent"
    assert outcome(case, case.whole) == ("wrong" if case.kind == "silent" else "right")
    assert (case.whole == document.text) == (case.kind == "silent")
    language = language_of(case.file) or LANGUAGES[case.file.rpartition(".")[2]]
    if has_grammar(language):
        assert not errors_in(case.before, language)
        assert not errors_in(case.whole, language)


def test_there_are_sixty_cases_half_of_them_silent_and_more_for_the_model_alone():
    kinds = Counter(case.kind for case in CASES)
    assert kinds == {"rename": 10, "signature": 10, "repeated": 10, "silent": 30, "model": 10}
    assert len({case.name for case in CASES}) == len(CASES)
    assert sum(case.tuned for case in CASES) == len(CASES) / 2
    assert len({case.file.rpartition(".")[2] for case in CASES if case.kind != "model"}) >= 6


def test_a_part_of_what_may_come_next_is_right_and_anything_else_is_wrong():
    case = next(case for case in CASES if case.name == "parameter")
    now = opened(case)[1].text
    assert outcome(case, now.replace("min(w,", "min(width,")) == "right"
    assert outcome(case, now.replace("describe(w:", "describe(width:")) == "wrong"


def test_figures_count_what_was_offered_and_what_was_not():
    done = [{"kind": kind, "outcome": outcome, "ms": 10.0 * n} for n, (kind, outcome) in enumerate(
        [("rename", "right"), ("rename", "silent"), ("silent", "silent"), ("silent", "wrong"), ("model", "wrong")], 1
    )]  # fmt: skip
    found = figures(done)
    assert {name: found[name] for name in ("cases", "right", "wrong", "silent", "quiet_cases", "stayed_quiet")} == {
        "cases": 3, "right": 1, "wrong": 1, "silent": 1, "quiet_cases": 2, "stayed_quiet": 1,
    }  # fmt: skip
    assert found["ms_p50"] == 30.0
