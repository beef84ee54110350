"""The suggestion cache against what a person sees: the document and the rest of the ghost text."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lsp_server.suggestion_cache import CAPACITY, NEIGHBOURHOOD, SuggestionCache, typed_since

URI = "file:///a.py"
LONG = "".join(f"line_{i} = {i}\n" for i in range(NEIGHBOURHOOD))
texts = st.text(alphabet="ab(\n é", max_size=12)


@given(before=texts, suggestion=texts.filter(bool), after=texts, data=st.data())
def test_document_and_ghost_text_stay_the_same_while_one_types_along(before, suggestion, after, data):
    typed = data.draw(st.integers(0, len(suggestion) - 1))
    for prefix in (before, LONG + before):
        recent = SuggestionCache()
        made = recent.add(URI, prefix, after, suggestion)
        left = recent.find(URI, prefix + suggestion[:typed], after)
        assert left is not None
        assert left.made == made
        assert suggestion[:typed] + left.text == suggestion


@pytest.mark.parametrize("prefix", ["x = tota", LONG + "x = tota"])
def test_typing_something_else_ends_it_and_backspace_brings_it_back(prefix):
    recent = SuggestionCache()
    recent.add(URI, prefix, "\n", "l(items)")
    assert recent.find(URI, prefix + "lly", "\n") is None
    assert recent.find(URI, prefix + "l", "\n").text == "(items)"
    assert recent.find(URI, prefix, "\n").text == "l(items)"


def test_after_all_of_it_nothing_is_left():
    recent = SuggestionCache()
    recent.add(URI, "x = ", "\n", "1")
    assert recent.find(URI, "x = 1", "\n") is None


def test_a_line_is_accepted_and_the_next_one_follows():
    recent = SuggestionCache()
    recent.add(URI, "def f():\n", "", "    a = 1\n    return a")
    assert recent.find(URI, "def f():\n    a = 1\n    ", "").text == "return a"


def test_brackets_that_the_editor_closed_do_not_come_twice():
    recent = SuggestionCache()
    recent.add(URI, "x = ", "\n", "total(items)")
    assert recent.find(URI, "x = total(", ")\n").text == "items"
    recent.add(URI, "y = ", "\n", 'names["a"]')
    assert recent.find(URI, 'y = names["', '"]\n').text == "a"


@pytest.mark.parametrize(
    ("uri", "prefix", "suffix"),
    [
        ("file:///b.py", "x = ", "\n"),
        (URI, "y = ", "\n"),
        (URI, "x = ", "\nz"),
        (URI, "a\nx = ", "\n"),
        (URI, "", "\n"),
    ],
)
def test_another_place_gets_nothing(uri, prefix, suffix):
    recent = SuggestionCache()
    recent.add(URI, "x = ", "\n", "1")
    assert recent.find(uri, prefix, suffix) is None


def test_the_newest_that_agrees_wins_and_the_oldest_is_forgotten():
    recent = SuggestionCache()
    recent.add(URI, "x = ", "", "12")
    recent.add(URI, "x = 1", "", "3")
    assert recent.find(URI, "x = 1", "").text == "3"
    for i in range(CAPACITY - 1):
        recent.add(URI, f"{i}", "", "1")
    assert recent.find(URI, "x = 1", "").text == "3"
    recent.forget(URI)
    assert recent.find(URI, "x = 1", "") is None


@pytest.mark.parametrize("size", [0, 1_100, 7_000])
def test_what_the_model_has_read_and_is_another_text_now_ends_it(size):
    recent = SuggestionCache()
    between = LONG[:size]
    before, after = f"def area(width, height):\n{between}print(area(", f")\n{between}def other(): pass\n"
    recent.add(URI, before, after, "width, height")
    assert recent.find(URI, before, after).text == "width, height"
    assert recent.find(URI, before.replace("width", "w"), after) is None
    assert recent.find(URI, before, after.replace("other", "another")) is None


@given(
    start=st.sampled_from(["", "a", LONG[:70], LONG[: NEIGHBOURHOOD + 9], " " * NEIGHBOURHOOD, "ab" * NEIGHBOURHOOD]),
    end=texts,
    typed=st.text(alphabet="ab(\n é", max_size=90),
    at_most=st.integers(0, 90),
    other=st.booleans(),
)
def test_what_was_typed_since_is_what_stands_behind_the_last_place_that_is_the_earlier_one(
    start, end, typed, at_most, other
):
    before, prefix = start + end, (start[:-1] if other else start) + end + typed
    found = typed_since(before, prefix, at_most)
    if len(before) < NEIGHBOURHOOD:
        is_typed = prefix.startswith(before) and len(prefix) <= len(before) + at_most
        assert found == (prefix[len(before) :] if is_typed else None)
    else:
        near = prefix[-NEIGHBOURHOOD - at_most :]
        at = near.rfind(before[-NEIGHBOURHOOD:])
        assert found == (near[at + NEIGHBOURHOOD :] if at >= 0 else None)
