"""Each filter on its golden file, and what holds for all of them."""

import tomllib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coder_model.text.filters import FILTERS, filtered
from coder_model.text.layout import without_idle_blanks
from coder_model.text.surroundings import FilterContext

GOLDEN = Path(__file__).parent / "filters"
CASES = [
    pytest.param(file.stem, case, id=f"{file.stem}: {case['why']}")
    for file in sorted(GOLDEN.glob("*.toml"))
    for case in tomllib.loads(file.read_text("utf-8"))["case"]
]
texts = st.text(alphabet="ab(){}[]\n\t  <|>;é", max_size=40)


def around(case):
    return FilterContext(case["prefix"], case["suffix"], case.get("hole", "line"), case.get("language", ""))


def test_every_filter_has_a_golden_file():
    assert {file.stem for file in GOLDEN.glob("*.toml")} == set(FILTERS)


@pytest.mark.parametrize(("name", "case"), CASES)
def test_a_filter_does_what_its_golden_file_says(name, case):
    assert FILTERS[name](case["text"], around(case)) == case["expect"]


@pytest.mark.parametrize(("name", "case"), CASES)
def test_a_filter_is_counted_when_it_changes_something_and_can_be_off(name, case):
    off = set(FILTERS) - {name}
    text, changed = filtered(case["text"], around(case), off)
    assert text == case["expect"]
    assert changed == ((name,) if text != case["text"] else ())
    assert filtered(case["text"], around(case), FILTERS) == (case["text"], ())


@given(prefix=texts, suffix=texts, text=texts)
def test_filters_only_cut_or_change_blanks(prefix, suffix, text):
    found, _ = filtered(text, FilterContext(prefix, suffix, "block"))
    kept = "".join(text.split())
    assert "".join(found.split()) in kept


@given(prefix=texts, suffix=texts, text=texts)
def test_no_suggestion_begins_with_a_line_of_blanks(prefix, suffix, text):
    surroundings = FilterContext(prefix, suffix, "block")
    first, end, _ = filtered(text, surroundings)[0].partition("\n")
    line = surroundings.line_before + first
    assert not end or line.strip() or not line


@pytest.mark.parametrize(("line", "text"), [("    ", "a\n    b"), ("f():", "\n    a\n    b")])
def test_blank_lines_make_no_other_text(line, text):
    around = FilterContext("def f():\n" + line, "\n", "block", "python")
    assert without_idle_blanks(text.replace("\n", "  \n\n \n") + " \n", around) == text


@pytest.mark.parametrize(
    ("line", "text", "other"),
    [
        ("A() : ", "x_(x), y_(y)", "x_(x) , y_(y)"),
        ("features = [", '"derive"', ' "derive" '),
        ("elif ", "n < 0:", "n <  0:"),
        ("if (", "a) {\n    b();\n}", "a ) {\n    b( );\n}"),
    ],
)
def test_blanks_that_change_nothing_make_no_other_text(line, text, other):
    around = FilterContext(line, "\n", "block", "cpp")
    assert without_idle_blanks(other, around) == without_idle_blanks(text, around) == text


def test_blanks_that_change_something_make_another_text():
    around = FilterContext("if a:\n    ", "\n", "block", "python")
    indented, outdented = "if b:\n        c()\n        d()", "if b:\n        c()\n    d()"
    assert without_idle_blanks(indented, around) == indented
    assert without_idle_blanks(outdented, around) == outdented


@given(prefix=texts, suffix=texts, text=texts)
def test_what_was_filtered_is_left_alone_the_next_time(prefix, suffix, text):
    surroundings = FilterContext(prefix, suffix, "block")
    once, _ = filtered(text, surroundings)
    twice, _ = filtered(once, surroundings)
    assert len(twice) <= len(once)
