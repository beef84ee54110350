from dataclasses import replace
from itertools import pairwise

import pytest
from edited import as_edited
from hypothesis import given
from hypothesis import strategies as st

from coder_model.text.token_edits import changed
from lsp_server.edit_candidates import MOST_CHARS, NEAREST, candidates


def rows(edited):
    return [
        (one.kind, edited.row(one.changes[0].start), changed(edited.text, one.changes)) for one in candidates(edited)
    ]


def test_the_nearest_row_comes_first_and_of_two_the_lower_one():
    edited = as_edited("use(n)\nx = 1\ndef f({{n||m}}):\n    pass\n    return n\n    n.a()\n    n.b()\n")
    assert [row for _, row, _ in rows(edited)] == [4, 5, 6]
    edited = replace(edited, cursor_row=5)
    assert [row for _, row, _ in rows(edited)] == [5, 6, 4]


def test_all_places_of_a_row_are_one_candidate_and_know_the_others():
    edited = as_edited("def f({{n||m}}):\n    return n + n\n\n\n    n()\n")
    first, second = candidates(edited)
    assert (len(first.changes), len(first.others), len(second.others)) == (2, 1, 2)
    assert changed(edited.text, [*first.changes, *first.others]) == edited.text.replace("n + n", "m + m").replace(
        "n()", "m()"
    )


def test_a_rename_goes_on_while_its_uses_are_changed_one_by_one():
    edited = as_edited("def f({{n||m}}):\n    a({{n||m}})\n    b(n)\n    c(n)\n")
    assert [row for _, row, _ in rows(edited)] == [2, 3]


def test_a_rename_is_over_once_somebody_went_on():
    text = "def f({{n||m}}):\n    a(n)\nx{{||1}} = 1\n\ny{{||1}} = 1\n\nz{{||1}} = 1\n"
    assert rows(as_edited(text)) == []


def test_a_call_is_asked_for_an_argument_also_after_another_one_was_changed():
    edited = as_edited("def f(a{{||, b}}):\n    pass\nf(1{{||, 2}})\nf(3)\n")
    (one,) = candidates(edited)
    assert (one.kind, one.hole, one.certain) == ("signature", (", ", ""), False)
    assert edited.row(one.changes[0].start) == 3


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("def f({{a, b||b, a}}):\n    pass\nf(1, 2)\nf(3, 4)\n", [2, 3]),
        ("def f({{a, b||b, a}}):\n    pass\nf({{1, 2||2, 1}})\nf(3, 4)\n", [3]),
        ("def f({{a, b||b, a}}):\n    pass\nf({{1, 2||2, 1}})\nf({{3, 4||4, 3}})\n", []),
        ("def f({{a, b, c||b, c, a}}):\n    pass\nf({{p, q, r||q, r, p}}); f(x, y, z)\n", [2]),
        ("def f({{a, b, c||b, c, a}}):\n    pass\nf({{p, q, r||q, r, p}}); f({{x, y, z||y, z, x}})\n", []),
    ],
)
def test_arguments_that_changed_places_are_not_changed_again(text, left):
    assert [(kind, row) for kind, row, _ in rows(as_edited(text))] == [("signature", row) for row in left]


def test_what_was_done_twice_is_done_again_and_near_it_stands_without_a_model():
    edited = as_edited(
        "def f():\n    {{print||log}}(1)\n    {{print||log}}(2)\n    print(3)\n\n\ndef g():\n    print(4)\n"
    )
    assert [(kind, row) for kind, row, _ in rows(edited)] == [("repeated", 3), ("repeated", 7)]
    assert [one.certain for one in candidates(edited)] == [True, False]


def test_what_was_done_in_another_document_counts():
    edited = as_edited("{{print||log}}(1)\nprint(2)\n")
    assert rows(edited) == []
    edited = replace(edited, elsewhere=(("print(x)\n", "log(x)\n"),))
    assert [row for _, row, _ in rows(edited)] == [1]


def test_a_name_that_was_declared_again_is_not_repeated_where_it_is_another_one():
    edited = as_edited("def f({{n||m}}):\n    return ({{n||m}})\n\ndef g(n):\n    return (n)\n")
    assert rows(edited) == []


def test_a_language_without_a_grammar_has_repeated_edits_alone():
    text = "{{db||database}}:\n  a: {{db||database}}\n  b: db\n"
    assert [(kind, row) for kind, row, _ in rows(as_edited(text, "yaml"))] == []
    text = "a: {{db:5432||pg:5432}}\nb: {{db:5432||pg:5432}}\nc: db:5432\n"
    assert [(kind, row) for kind, row, _ in rows(as_edited(text, "yaml"))] == [("repeated", 2)]


def test_a_text_that_is_too_large_is_left():
    text = "def f({{n||m}}):\n    return n\n"
    assert as_edited(text + "#" * (MOST_CHARS - 30))
    assert as_edited(text + "#" * MOST_CHARS) is None
    assert candidates(as_edited("x = 1\n")) == []


def test_of_thousands_of_places_the_nearest_are_candidates_and_know_all_others():
    calls = "foo(12)\n" * 7_000
    edited = as_edited("{{foo||bar}}(12)\n" * 2 + calls, cursor_row=2_000)
    found = candidates(edited)
    assert [edited.row(one.changes[0].start) for one in found[:3]] == [2_000, 2_001, 1_999]
    assert len(found) == NEAREST
    assert len(found[0].others) == 6_999
    assert changed(edited.text, [*found[0].changes, *found[0].others]) == "bar(12)\n" * 7_002


@pytest.mark.parametrize("language", ["python", "typescript", "go", "cpp", ""])
@given(text=st.text("ab =(){}:,.\n\r\té", max_size=40), new=st.text("ab(,", max_size=3), data=st.data())
def test_changes_lie_within_rows_and_never_touch_each_other(language, text, new, data):
    start = data.draw(st.integers(0, len(text)))
    end = data.draw(st.integers(start, min(len(text), start + 4)))
    marked = f"{text[:start]}{{{{{text[start:end]}||{new}}}}}{text[end:]}"
    edited = as_edited(marked.replace("\r", ""), language)
    for one in candidates(edited):
        assert len({edited.row(change.start) for change in one.changes}) == 1
        spans = sorted((change.start, change.end) for change in (*one.changes, *one.others))
        assert all(before[1] <= after[0] for before, after in pairwise(spans))
        assert not any("\n" in edited.text[change.start : change.end] for change in one.changes)
