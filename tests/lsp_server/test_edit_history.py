import pytest
from hypothesis import given
from hypothesis import strategies as st

from lsp_server.documents import Documents, Position
from lsp_server.edit_history import MOST_CHARS, MOST_EDITS, EditHistory

URI = "file:///a.py"
TEXT = "one = 1\ntwo = 2\nthree = 3\n"


def opened(text=TEXT, uri=URI):
    documents = Documents()
    documents.encoding = "utf-32"
    documents.open(uri, "python", 1, text)
    return documents, documents.get(uri)


def typed(document, row, column, text, deleted=0):
    """Takes characters away before a place, and types some there, key by key."""
    for at in range(column, column - deleted, -1):
        document.replace(Position(row, at - 1), Position(row, at), "")
    for index, ch in enumerate(text):
        at = Position(row, column - deleted + index)
        document.replace(at, at, ch)


def texts(documents, uri=None):
    return [edit.texts for edit in documents.edits.latest(uri)]


def test_keys_that_follow_each_other_are_one_edit():
    documents, document = opened()
    typed(document, 1, 3, "second", deleted=3)
    assert texts(documents) == [("two = 2\n", "second = 2\n")]


def test_edits_in_other_lines_are_edits_of_their_own_the_newest_first():
    documents, document = opened()
    typed(document, 0, 3, "s")
    typed(document, 2, 5, "s")
    assert texts(documents) == [("three = 3\n", "threes = 3\n"), ("one = 1\n", "ones = 1\n")]


def test_edits_of_one_line_in_a_row_are_one():
    documents, document = opened("f(a, b, a)\n")
    typed(document, 0, 3, "x", deleted=1)
    typed(document, 0, 9, "x", deleted=1)
    assert texts(documents) == [("f(a, b, a)\n", "f(x, b, x)\n")]


def test_what_is_taken_back_was_no_edit():
    documents, document = opened()
    typed(document, 0, 3, "s")
    typed(document, 0, 4, "", deleted=1)
    assert texts(documents) == []


def test_lines_that_come_and_go_above_move_an_edit():
    documents, document = opened()
    typed(document, 2, 5, "s")
    document.replace(Position(0, 0), Position(0, 0), "zero = 0\nhalf = 0.5\n")
    edits = documents.edits.latest()
    assert [edit.row for edit in edits] == [0, 4]
    assert all(edit.is_in(document.lines) for edit in edits)
    document.replace(Position(0, 0), Position(2, 0), "")
    assert documents.edits.latest()[-1].row == 2


def test_a_new_line_belongs_to_what_is_typed_there():
    documents, document = opened()
    document.replace(Position(0, 7), Position(0, 7), "\n")
    typed(document, 1, 0, "x = 1")
    (edit,) = documents.edits.latest()
    assert edit.texts == ("one = 1\n", "one = 1\nx = 1\n")


def test_a_text_that_is_sent_as_a_whole_is_an_edit_where_it_differs():
    documents, document = opened()
    document.replace_all(TEXT.replace("two", "second"))
    assert texts(documents) == [("two = 2\n", "second = 2\n")]


def test_the_edits_of_all_documents_are_in_order():
    documents, document = opened()
    documents.open("file:///b.py", "python", 1, "x = 1\n")
    typed(document, 0, 3, "s")
    typed(documents.get("file:///b.py"), 0, 1, "s")
    typed(document, 2, 5, "s")
    assert [edit.uri[-4] for edit in documents.edits.latest()] == ["a", "b", "a"]
    assert texts(documents, "file:///b.py") == [("x = 1\n", "xs = 1\n")]
    documents.open(URI, "python", 1, TEXT)
    assert [edit.uri[-4] for edit in documents.edits.latest()] == ["b"]


def test_edits_are_few_and_short():
    documents, document = opened("x\n" * 100)
    for row in range(0, 100, 2):
        typed(document, row, 1, "y")
    assert len(documents.edits.latest()) == MOST_EDITS
    document.replace(Position(50, 0), Position(50, 0), "z" * MOST_CHARS)
    assert all(len("".join(edit.texts)) <= MOST_CHARS for edit in documents.edits.latest())


def test_a_diff_is_one_of_a_file():
    documents, document = opened()
    typed(document, 1, 3, "second", deleted=3)
    (edit,) = documents.edits.latest()
    assert edit.diff("a.py") == "--- a.py\n+++ a.py\n@@ -2,1 +2,1 @@\n-two = 2\n+second = 2"


@pytest.mark.parametrize("ends", ["\n", "\r\n", "\r"])
@given(
    changes=st.lists(
        st.tuples(
            st.integers(0, 5), st.integers(0, 6), st.integers(0, 5), st.integers(0, 6), st.text("ab\n", max_size=4)
        ),
        max_size=8,
    )
)
def test_what_the_newest_edit_did_can_be_taken_back(ends, changes):
    documents, document = opened(TEXT.replace("\n", ends))
    for line, character, other, at, text in changes:
        before = document.text
        documents.edits.forget(URI)
        document.replace(Position(line, character), Position(other, at), text.replace("\n", ends))
        for newest in documents.edits.latest():
            assert newest.is_in(document.lines)
            lines = [*document.lines[: newest.row], *newest.before, *document.lines[newest.row + len(newest.after) :]]
            assert "".join(lines) == before
            first, last = newest.before[0][: newest.left], newest.before[-1][len(newest.before[-1]) - newest.right :]
            assert newest.after[0].startswith(first)
            assert newest.after[-1].endswith(last)
        assert bool(documents.edits.latest()) == (before != document.text)


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 6), st.text("ab\n", max_size=3)), max_size=8))
def test_keys_that_were_joined_are_taken_back_together(keys):
    documents, document = opened()
    for line, character, text in keys:
        document.replace(Position(line, character), Position(line, character + 1), text)
    lines = document.lines
    for edit in documents.edits.latest():
        if tuple(lines[edit.row : edit.row + len(edit.after)]) != edit.after:
            return
        lines = [*lines[: edit.row], *edit.before, *lines[edit.row + len(edit.after) :]]
    assert "".join(lines) == TEXT


def test_a_change_of_nothing_is_none():
    history = EditHistory()
    history.note(URI, 0, ["a\n"], ["a\n"])
    assert history.latest() == []
