import pytest
from hypothesis import given
from hypothesis import strategies as st

from coder_model.text.token_edits import Change, changed, hunks_of, is_name, repeated, smallest_change

TEXTS = st.text("ab_ .(,)\n\t\r1é", max_size=30)


@given(st.text(max_size=30), st.text("ab\n", max_size=10), st.data())
def test_the_smallest_change_makes_a_part_another_one_and_leaves_the_rest(text, new, data):
    start = data.draw(st.integers(0, len(text)))
    end = data.draw(st.integers(start, len(text)))
    change = smallest_change(text, start, new, end)
    assert start <= change.start <= change.end <= end
    assert changed(text, [change]) == text[:start] + new + text[end:]


@given(st.text(max_size=30), st.lists(st.tuples(st.integers(0, 30), st.integers(0, 30), st.text(max_size=3))))
def test_disjoint_changes_leave_all_that_is_between_them(text, spans):
    at, changes, expected = 0, [], ""
    for start, length, new in sorted(spans):
        if at <= start < len(text):
            end = min(start + length, len(text))
            changes.append(Change(start, end, new))
            expected += text[at:start] + new
            at = end
    assert changed(text, reversed(changes)) == expected + text[at:]


@pytest.mark.parametrize(
    ("before", "after", "renaming"),
    [
        ("x = width\n", "x = size\n", ("width", "size")),
        ("x = w\n", "x = w2\n", ("w", "w2")),
        ("x = 1\n", "x = one\n", None),
        ("x = a\n", "x = a.b\n", None),
    ],
)
def test_a_renaming_is_one_name_in_the_place_of_another(before, after, renaming):
    (hunk,) = hunks_of(before, after)
    assert hunk.renaming == renaming


def test_a_hunk_has_its_neighbours_in_the_line_and_an_indentation_is_its_start():
    (hunk,) = hunks_of("    log.warn(a)\n", "    log.warning(a)\n")
    assert (hunk.left, hunk.right) == (("\n", "log", "."), ("(", "a", ")", "\n"))


@given(TEXTS, TEXTS)
def test_hunks_are_all_that_differs(before, after):
    assert bool(hunks_of(before, after)) <= (before != after)
    assert hunks_of(before, before) == []


def check(edits, text, expected):
    """`edits` were made; of `text` comes `expected`, every place on its own, or nothing."""
    found = [changes for one in repeated(edits) for changes in one.places(text)]
    assert [changed(text, changes) for changes in found] == expected


def test_what_was_done_twice_is_found_where_the_tokens_around_it_are_the_same():
    edits = [("  print(a)\n", "  log.info(a)\n"), ("print('b')\n", "log.info('b')\n")]
    check(edits, "    print(c, d)\nx = print(e)\n", ["    log.info(c, d)\nx = print(e)\n"])


def test_what_was_done_once_is_not():
    check([("print(a)\n", "log.info(a)\n")], "print(b)\n", [])
    check([("print(a)\n", "log.info(a)\n"), ("f(x, 1)\n", "f(x, 2)\n")], "print(b)\nf(x, 1)\n", [])


def test_an_edit_of_one_line_that_did_the_same_twice_counts_twice():
    check([("a = w + f(w)\n", "a = v + f(v)\n")], "a = w\n", [])
    check([("f(w)\nf(w)\n", "f(v)\nf(v)\n")], "f(w)\n", ["f(v)\n"])


def test_an_insertion_is_found_by_what_stands_around_it_and_not_where_it_was_made():
    edits = [("a = load(1)\n", "a = await load(1)\n"), ("b = load(2)\n", "b = await load(2)\n")]
    check(edits, "c = load(3)\nd = await load(4)\n", ["c = await load(3)\nd = await load(4)\n"])


def test_between_the_hunks_of_an_edit_may_stand_something_else_in_each_place():
    edits = [('a = d.get("a")\n', 'a = d["a"]\n'), ('b = d.get("b")\n', 'b = d["b"]\n')]
    text = 'c = d.get(f(x, y))\ne = d.get("e", 1)\n'
    check(edits, text, ['c = d[f(x, y)]\ne = d.get("e", 1)\n'])


def test_what_is_the_same_between_the_hunks_must_be_so():
    edits = [(f"s = string.gsub(s, {x})\n", f"s = s:gsub({x})\n") for x in "12"]
    check(edits, "s = string.gsub(s, 3)\ns = string.find(s, 4)\n", ["s = s:gsub(3)\ns = string.find(s, 4)\n"])


def test_a_wrapped_value_may_be_another_one_each_time():
    edits = [(f"this.{x} = {x};\n", f"this.{x} = check({x});\n") for x in ("a", "b")]
    check(edits, "this.c = c;\n", ["this.c = check(c);\n"])


def test_too_little_in_common_says_nothing():
    check([("a = x + 1\n", "a = x + 2\n"), ("f(x, 1)\n", "f(x, 2)\n")], "b = 1\n", [])


@given(st.lists(st.tuples(TEXTS, TEXTS), max_size=4), TEXTS)
def test_places_are_in_order_disjoint_and_within_the_text(edits, text):
    for one in repeated(edits):
        changes = [change for place in one.places(text) for change in place]
        ends = [end for change in changes for end in (change.start, change.end)]
        assert ends == sorted(ends)
        assert not ends or (ends[0] >= 0 and ends[-1] <= len(text))


def test_names_are_words():
    assert is_name("é_1")
    assert not is_name("1a")
    assert not is_name("")
