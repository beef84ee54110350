"""What was just deleted, undone, refused or taken again and again is not offered at once."""

import pytest

from lsp_server.again import Again
from lsp_server.documents import Document, Position


def document(text):
    made = Document("file:///a.py", "python", 1, "utf-16")
    made.replace_all(text)
    return made


def said_again(prefix, text, deleted="", suffix="\n", again=None):
    return (again or Again()).is_said_again(prefix, suffix, text, deleted)


@pytest.mark.parametrize(
    ("deleted", "prefix", "text", "expect"),
    [
        ("    with open(path) as file:\n        read()\n", "def f():\n", "    with open(path) as file:", True),
        ("return file.read()", "        ", "return file.read()", True),
        ("foo(a, b)", "x = ", "foo(a, b)", True),
        ("foo(a, b) + 1", "x = ", "foo(a, b)", True),
        ("foo(a, b)", "x = ", "foo(a, b) + 1", True),
        ("const a = one();\n", "", "const a = one();", True),
        ("    a();\n    b();\n", "{\n    ", "b();\n    c();", True),
        ("o", "f", "oo()", False),
        ("foo(a)", "x = ", "bar(a)", False),
        ("", "x = ", "foo(a)", False),
    ],
)
def test_what_was_deleted_is_not_said_again(deleted, prefix, text, expect):
    assert said_again(prefix, text, deleted) == expect


def test_what_was_refused_is_not_said_again_at_its_place():
    again = Again()
    again.shown("def f():\n    ", "return None")
    again.asked("def f():\n    x")
    assert said_again("def f():\n    ", "return None", again=again)
    assert said_again("def f():\n\n    ", "return None", again=again)
    assert not said_again("def f():\n    x = 1\n    ", "return None", again=again)
    assert not said_again("def f():\n    ", "return 1", again=again)


def test_what_is_typed_along_is_no_refusal():
    again = Again()
    again.shown("x = ", "foo(a)")
    for typed in ("f", "fo", "foo(a)"):
        again.asked("x = " + typed)
    assert not said_again("x = ", "foo(a)", again=again)


def taken(*texts, start=""):
    again, prefix = Again(), start
    for text in texts:
        again.asked(prefix)
        again.shown(prefix, text)
        prefix += text + "\n"
    again.asked(prefix)
    return again, prefix


@pytest.mark.parametrize(
    ("texts", "next_text"),
    [
        (("const a = 1;", "const b = 2;"), "const c = 3;"),
        (("local one = 1", "local two = 2"), "local three = 3"),
        (("x := f(1)", "y := f(2)"), "z := f(3)"),
    ],
)
def test_after_two_alike_a_third_needs_something_to_go_by(texts, next_text):
    again, prefix = taken(*texts)
    assert said_again(prefix, next_text, again=again)
    again, prefix = taken(texts[0])
    assert not said_again(prefix, next_text, again=again)


@pytest.mark.parametrize(
    ("start", "texts", "next_text"),
    [
        ("    first := 1\n    second := 2\n", ("second = 2", "second = 3"), "first := 2"),
        ("int first = 1;\n", ("let second = 1;", "let second = 2;"), "let first = 1;"),
        ("local a = 1\n", ("a = 2", "a = 3"), "local a = 4"),
    ],
)
def test_after_two_in_a_row_no_near_name_gets_a_value_again(start, texts, next_text):
    again, prefix = taken(*texts, start=start)
    assert said_again(prefix, next_text, again=again)
    assert not said_again(prefix, "return second", again=again)


def test_a_third_line_that_names_what_the_document_knows_is_shown():
    start = "def __init__(self, width, height, depth):\n"
    again, prefix = taken("self.width = width", "self.height = height", start=start)
    assert not said_again(prefix, "self.depth = depth", again=again)


def test_what_somebody_types_between_ends_the_row():
    again, prefix = taken("const a = 1;", "const b = 2;")
    again.shown(prefix, "let d;")
    again.asked(prefix + "if (b) {\n")
    assert not said_again(prefix + "if (b) {\n", "const c = 3;", again=again)


def test_the_line_of_what_was_taken_has_ended():
    again = Again()
    again.shown("a = ", "one()")
    again.asked("a = one()")
    assert said_again("a = one()", "  # the first one", again=again)
    assert not said_again("a = one()", "\nb = two()", again=again)
    # it stays so, until something is typed
    again.asked("a = one()")
    assert said_again("a = one()", ".value", again=again)
    assert not said_again("a = one().", "value", again=again)


def test_the_line_of_what_was_taken_in_parts_has_ended():
    again = Again()
    again.shown("a = ", "one(two)")
    for before, left in (("a = one", "(two)"), ("a = one(two", ")")):
        again.asked(before)
        again.shown(before, left, None)
    again.asked("a = one(two)")
    assert said_again("a = one(two)", " + three", again=again)


def test_what_the_deadline_has_cut_goes_on_when_it_was_taken():
    for parts in (["one.two"], ["one", ".two"]):
        again, before = Again(), "a = "
        for number, part in enumerate(parts):
            again.shown(before, "".join(parts[number:]), None if number else False)
            before += part
            again.asked(before)
        assert not said_again("a = one.two", ".three", again=again)


def test_a_whole_new_line_that_was_taken_is_followed_by_another():
    again = Again()
    again.shown("", "import one\n")
    again.asked("import one\n")
    assert not said_again("import one\n", "import two\n", again=again)


def at(line, character):
    return Position(line, character)


def test_a_deletion_is_remembered_until_something_is_typed():
    text = document("one\ntwo\nthree\n")
    text.replace(at(1, 0), at(2, 0), "")
    assert (text.deleted, text.deletions) == ("two\n", 1)
    text.replace(at(1, 0), at(1, 0), "\n")
    assert (text.deleted, text.deletions) == ("two\n", 0)
    text.replace(at(1, 0), at(1, 0), "x")
    assert text.deleted == ""


def test_keys_of_a_deletion_add_up_in_both_directions():
    text = document("one two three\n")
    for column in (7, 6, 5):
        text.replace(at(0, column - 1), at(0, column), "")
    assert (text.deleted, text.deletions) == ("two", 3)
    text.replace(at(0, 4), at(0, 5), "")
    assert text.deleted == "two "


def test_a_new_text_of_the_whole_may_be_a_deletion():
    text = document("one\ntwo\nthree\n")
    text.replace_all("one\nthree\n")
    # which of two equal line ends went nobody can know
    assert text.deleted.strip() == "two"
    text.replace_all("one\nthree\nfour\n")
    assert text.deletions == 0


def test_a_line_replaced_by_its_beginning_is_a_deletion():
    text = document("    return file.read()\n")
    text.replace(at(0, 0), at(0, 22), "    ")
    assert text.deleted == "return file.read()"


def test_every_change_counts_whatever_its_version():
    text = document("x")
    before = text.revision
    text.replace(at(0, 0), at(0, 0), "y")
    text.replace_all("z")
    assert text.revision == before + 2
