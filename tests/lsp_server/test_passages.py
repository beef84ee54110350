import pytest
from hypothesis import given
from hypothesis import strategies as st

from coder_model.types import InvalidInput
from lsp_server.documents import Document, Position, split_lines
from lsp_server.passages import AFTER_CHARS, BEFORE_CHARS, MOST_LINES, Passage, find_passage, rows_around


def passage(text, language="python"):
    lines = split_lines(text)
    return Passage.of(lines, 0, len(lines) - 1 - (not lines[-1]), language)


def document(text, language="python"):
    made = Document("file:///a.py", language, 1, "utf-16")
    made.replace_all(text)
    return made


@pytest.mark.parametrize(
    ("text", "language", "rows"),
    [
        ("def f(a):\n    return a\n", "python", (1, 2)),
        ('def f(a):\n    """Doc."""\n    return a\n', "python", (2, 3)),
        ('def f(a):\n    """Doc.\n\n    More.\n    """\n\n    return a\n', "python", (5, 7)),
        ("@cache\ndef f(\n    a,\n    b,\n) -> int:\n    return a\n", "python", (5, 6)),
        ("# says\nasync def f(a):\n    x = 1\n    return a\n", "python", (2, 4)),
        ("x = 1\ny = 2\n", "python", (0, 2)),
        ("if x:\n    y = 2\nz = 3\n", "python", (0, 3)),
        ("    x = 1\n", "python", (0, 1)),
        ("def f(a):\n", "python", (0, 1)),
        ("func f(a int) int {\n\treturn a\n}\n", "go", (1, 2)),
        ("  f(a) {\n    if (a) {\n      b();\n    }\n  }\n", "javascript", (1, 4)),
        ("@Override\npublic int f(int a)\n{\n    return a;\n}\n", "java", (3, 4)),
        ("function f(a)\n  return a\nend\n", "lua", (1, 2)),
        ("/** Says. */\nexport function f(\n  a: string,\n): number {\n  return 1;\n}\n", "typescript", (4, 5)),
        ("fn a() {\n    1\n}\n\nfn b() {\n    2\n}\n", "rust", (0, 7)),
        ("", "python", None),
    ],
)
def test_head_docstring_and_end_of_a_block_are_no_part_of_its_body(text, language, rows):
    if rows is None:
        with pytest.raises(InvalidInput, match="must hold something"):
            passage(text, language)
    else:
        assert passage(text, language).body() == rows


def test_an_instruction_is_a_comment_of_the_language_before_the_lines():
    lines = split_lines("x = 1\n    y = 2\n")
    assert Passage.of(lines, 1, 1, "python").instructed("say\n it ") == "x = 1\n    # say it\n"
    assert Passage.of(lines, 1, 1, "go").instructed("say it") == "x = 1\n    // say it\n"
    assert Passage.of(lines, 1, 1, "lua").instructed("say it") == "x = 1\n    -- say it\n"
    assert Passage.of(lines, 1, 1, "css").instructed("say it") == "x = 1\n    /* say it */\n"
    assert Passage.of(lines, 1, 1, "html").instructed("say it") == "x = 1\n    <!-- say it -->\n"
    assert Passage.of(lines, 1, 1, "python").instructed(" \n ") == "x = 1\n"


@pytest.mark.parametrize(
    ("ends", "rows"),
    [
        (((0, 2), (1, 1)), (0, 2)),
        (((1, 1), (0, 2)), (0, 2)),
        (((0, 0), (1, 0)), (0, 1)),
        (((0, 3), (0, 4)), (0, 1)),
        (((1, 0), (4, 1)), (1, 5)),
        (((0, 0), (99, 99)), (0, 5)),
        (((2, 0), (4, 1)), (4, 5)),
    ],
)
def test_the_lines_that_a_selection_touches_are_meant_but_for_blank_ones_at_its_ends(ends, rows):
    made = document("a = '😀'\nb = 2\n\n \nc = 3\n\n")
    found = find_passage(made, *(Position(*end) for end in ends))
    assert (found.row, found.row + len(found.passage.lines)) == rows
    assert found.is_current
    made.replace(Position(0, 0), Position(0, 0), "x")
    assert not found.is_current


@pytest.mark.parametrize(
    ("text", "ends", "expected"),
    [
        ("x = 1\n", ((0, 1), (0, 1)), "something must be selected"),
        ("x = 1\n", ((5, 1), (9, 1)), "something must be selected"),
        ("\n \n\n", ((0, 0), (2, 0)), "must hold something"),
        ("x = 1\n" * 2000, ((0, 0), (2000, 0)), "at most 120 lines of 6,000 characters can be rewritten, got 2,000"),
        ("x" * 6001 + "\n", ((0, 0), (1, 0)), "got 1 lines of 6,002 characters"),
    ],
)
def test_what_cannot_be_rewritten_is_said_with_one_line(text, ends, expected):
    with pytest.raises(InvalidInput, match=expected):
        find_passage(document(text), *(Position(*end) for end in ends))


def test_what_is_shown_around_the_lines_is_cropped_at_line_ends():
    lines = [f"line {n}\n" for n in range(5_000)]
    made = Passage.of(lines, 2_000, 2_001, "python")
    assert BEFORE_CHARS - 20 < len(made.before) <= BEFORE_CHARS
    assert made.before.startswith("line ")
    assert made.before.endswith("line 1999\n")
    assert AFTER_CHARS - 20 < len(made.after) <= AFTER_CHARS + 1
    assert made.after.startswith("\nline 2002\n")


class Rows(list):
    """Lines that note which of them were read."""

    def __init__(self, lines):
        super().__init__(lines)
        self.read = set()

    def __getitem__(self, key):
        self.read |= set(range(len(self))[key]) if isinstance(key, slice) else {key}
        return super().__getitem__(key)

    def __iter__(self):
        self.read |= set(range(len(self)))
        return super().__iter__()


def test_of_a_long_document_the_lines_nearby_alone_are_read():
    lines = Rows(f"line {n}\n" for n in range(50_000))
    Passage.of(lines, 25_000, 25_001, "python")
    assert len(lines.read) < 2_000


@given(st.lists(st.integers(0, 30), min_size=1, max_size=30), st.integers(0, 90), st.integers(0, 90), st.data())
def test_as_many_whole_lines_are_around_as_fit(sizes, most_before, most_after, data):
    lines = ["x" * size + "\n" for size in sizes]
    first = data.draw(st.integers(0, len(lines)))
    behind = data.draw(st.integers(first, len(lines)))
    top, end = rows_around(lines, first, behind, most_before, most_after)
    assert len("".join(lines[top:first])) <= most_before
    assert len("".join(lines[behind:end])) <= most_after
    assert top == 0 or len("".join(lines[top - 1 : first])) > most_before
    assert end == len(lines) or len("".join(lines[behind : end + 1])) > most_after


def test_faults_are_syntax_errors_or_lone_brackets_where_there_is_no_grammar():
    assert passage("x = (1\n").faults_with(["x = (1"]) > passage("x = (1\n").faults_with(["x = (1)"]) == 0
    assert passage("x = (1\n", "kotlin").faults_with(["x = (1"]) > 0 == passage("x", "kotlin").faults_with(["f(1)"])


LINE_ENDS = st.sampled_from(["\n", "\r\n", "\r"])
WORDS = st.lists(st.sampled_from(["a = 1", "", "    b", "é = '😀'", "\tx", "\x0c"]), min_size=1, max_size=8)


@given(WORDS, LINE_ENDS, st.booleans(), st.data())
def test_whatever_the_new_lines_are_all_others_stay_as_they_are(words, end, ended, data):
    lines = split_lines(end.join(words) + end * ended)
    first = data.draw(st.integers(0, len(lines) - 1))
    last = data.draw(st.integers(first, len(lines) - 1))
    new = data.draw(WORDS)
    if not "".join(lines[first : last + 1]).strip() or last - first >= MOST_LINES:
        return
    made = Passage.of(lines, first, last, "python")
    text = made.applied(lines, first, new)
    before, after = "".join(lines[:first]), "".join(lines[last + 1 :])
    assert text.startswith(before)
    assert text.endswith(after)
    said = text[len(before) : len(text) - len(after)]
    own_end = end if lines[last].endswith(("\n", "\r")) else ""
    assert said in (made.line_end.join(new) + own_end, end.join(new) + own_end)
    # the same as edits of an open document
    opened = document("".join(lines))
    for edit in reversed(made.edits(new)):
        places = (
            opened.position(first + edit.row, edit.column),
            opened.position(first + edit.end_row, edit.end_column),
        )
        opened.replace(*places, edit.text)
    assert opened.text == text
