import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from plain_text import line_bounds, offset, replaced
from results import record
from scale import SCALE, seeded

from lsp_server.documents import Document, Position, split_lines, without_surrogates

ENCODINGS = ["utf-8", "utf-16", "utf-32"]
ALPHABET = "ab \t\r\n\x0b\x0c\x1c\x85\u2028\u2029é漢😀\ud83d\ude00"
TEXT = st.text(ALPHABET, max_size=30)
PLACE = st.tuples(st.integers(0, 9), st.integers(0, 12))


def document(text, encoding):
    made = Document("file:///a.py", "python", 1, encoding)
    made.replace_all(text)
    return made


@pytest.mark.parametrize("encoding", ENCODINGS)
@settings(max_examples=300)
@given(text=TEXT, edits=st.lists(st.tuples(PLACE, PLACE, TEXT), max_size=8))
def test_the_buffer_equals_a_plain_string_after_any_edits(encoding, text, edits):
    made = document(text, encoding)
    plain = made.text
    for start, end, new in edits:
        made.replace(Position(*start), Position(*end), new)
        plain = replaced(plain, start, end, new, encoding)
        assert made.text == plain
        assert made.lines == split_lines(plain)


@pytest.mark.parametrize("encoding", ENCODINGS)
@settings(max_examples=300)
@given(text=TEXT, place=PLACE)
def test_positions_mean_what_they_mean_in_a_plain_string(encoding, text, place):
    made = document(text, encoding)
    row, column = made.place(Position(*place))
    at = offset(made.text, *place, encoding)
    assert sum(map(len, made.lines[:row])) + column == at
    back = made.position(row, column)
    assert offset(made.text, back.line, back.character, encoding) == at


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_many_random_edits_leave_no_difference(encoding):
    rng = seeded(encoding)
    edits = int(3_000 * SCALE)
    made, plain = document("", encoding), ""
    for _ in range(edits):
        start, end = ((rng.randrange(12), rng.randrange(14)) for _ in range(2))
        if rng.random() < 0.6:
            end = start
        new = "".join(rng.choices(ALPHABET, k=rng.randrange(6)))
        made.replace(Position(*start), Position(*end), new)
        plain = replaced(plain, start, end, new, encoding)
        assert made.text == plain
        if len(plain) > 400:
            made.replace_all("")
            plain = ""
    record(f"random edits in {encoding}", edits=edits, different=0)


def test_lines_end_at_the_protocols_line_ends_only():
    assert split_lines("a\x0cb\nc\u2028d\r\ne\rf") == ["a\x0cb\n", "c\u2028d\r\n", "e\r", "f"]
    assert split_lines("") == [""]
    assert split_lines("a\n") == ["a\n", ""]
    assert [end - start for start, end in line_bounds("a\x0cb\nc")] == [3, 1]


def test_a_position_inside_an_emoji_means_after_it():
    made = document("x😀y", "utf-16")
    assert made.place(Position(0, 2)) == (0, 2)
    assert document("x😀y", "utf-8").place(Position(0, 3)) == (0, 2)


def test_half_an_emoji_and_its_other_half_are_one_character():
    made = document("ab", "utf-16")
    made.replace(Position(0, 1), Position(0, 1), "\ud83d")
    made.replace(Position(0, 2), Position(0, 2), "\ude00")
    assert made.text == "a😀b"


def test_the_text_around_a_position_is_cut_far_from_it():
    made = document("0123456789\n" * 100, "utf-16")
    prefix, suffix = made.around(Position(50, 4), 20, 15)
    assert prefix == (made.text[: 50 * 11 + 4])[-20:]
    assert suffix == (made.text[50 * 11 + 4 :])[:15]


def test_a_line_of_a_megabyte_and_a_file_of_fifty_thousand_lines_are_edited():
    long = document("é" * 1_000_000, "utf-16")
    long.replace(Position(0, 999_999), Position(0, 999_999), "x")
    assert long.lines[0][999_998:] == "éxé"
    tall = document("line\n" * 50_000, "utf-8")
    tall.replace(Position(25_000, 2), Position(25_001, 2), "!")
    assert tall.lines[25_000] == "li!ne\n"
    assert len(tall.lines) == 50_000


def test_lone_surrogates_become_replacement_characters_one_for_one():
    assert without_surrogates("a\ud83db\ude00") == "a\ufffdb\ufffd"
