import pytest
from records import BENCHMARKS
from rewrite import figures, outcome, read_rewrite_cases, selected

from coder_model.text.syntax import errors_in, language_of
from lsp_server.passages import Passage

CASES = read_rewrite_cases(BENCHMARKS / "rewrite_cases.toml")


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_case_differs_in_its_selection_alone_and_is_right_as_it_should_be(case):
    wrong, first, last = selected(case.wrong)
    for text in case.right:
        lines, start, end = selected(text)
        assert start == first
        assert lines != wrong
        assert lines[:start] == wrong[:first]
        assert lines[end + 1 :] == wrong[last + 1 :]
        assert "".join(lines[start : end + 1]).strip()
        assert not errors_in("".join(lines), language_of(case.file))
        assert Passage.of(lines, start, end, language_of(case.file)).lines
    assert "{{" not in case.wrong


def test_names_are_unique_and_halves_are_halves():
    assert len({case.name for case in CASES}) == len(CASES)
    assert sum(case.tuned for case in CASES) == len(CASES) / 2


def test_an_outcome_is_named_by_the_right_forms():
    case = CASES[0]
    wrong, right = ("".join(selected(text)[0]) for text in (case.wrong, case.right[0]))
    assert outcome(case.wrong, wrong, case.right) == "untouched"
    assert outcome(case.wrong, right, case.right) == "mended"
    assert outcome(case.wrong, "x", case.right) == "otherwise"
    assert outcome(case.right[0], right, case.right) == "left alone"
    assert outcome(case.right[0], wrong, case.right) == "otherwise"


def test_figures_count_one_half():
    done = {"slip": {"outcome": "mended", "seconds": 1.0}, "right": {"outcome": "left alone", "seconds": 2.0}}
    found = figures(CASES, {case.name: done for case in CASES}, tuned=True)
    half = len(CASES) // 2
    assert (found["cases"], found["mended"], found["right_left_alone"], found["seconds"]) == (half, half, half, 1.5)
