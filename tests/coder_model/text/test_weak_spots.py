import math
import re
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coder_model.text.weak_spots import LEAST_MARGIN, LEAST_RIVAL, Judgement
from coder_model.types import Slot


def judgement(notation):
    """A text in which `word?` is a token that is unlikely, and `word!` one that is less so; `?` alone is the end."""
    slots, text = [], ""
    for piece in re.findall(r"[ ]*[^\s?!]+[?!]?|[?!]|\s", notation):
        word = piece.rstrip("?!")
        text += word
        confidence, rival = {"?": (1e-4, 0.99), "!": (0.01, 0.9)}.get(piece[len(word) :], (0.9, 0.05))
        slots.append(Slot(word, confidence, False, rival))
    if slots[-1].text:
        slots.append(Slot("", 0.9, False, 0.05))
    return Judgement(tuple(text.split("\n")), tuple(slots))


@pytest.mark.parametrize(
    ("notation", "places"),
    [
        ("x = 1", []),
        ("x = b? + c", [(0, 3)]),
        ("x = b! + c?", [(0, 7), (0, 3)]),
        ("x = 1\ny? = 2", [(1, 0)]),
        ("x = 1\n    y? = 2", [(1, 0)]),
        ("x = 1?", [(0, 3)]),
        ("x = 1\n?", [(2, 0)]),
        ("# a? b?\nx = 1", []),
        ("x = 'a b? c'", []),
        ("x? = 'a'", [(0, 0)]),
        ('"""? doc"""', []),
        ("x = 1 #?", []),
        ("x = f'a{ b? }'", [(0, 8)]),
    ],
)
def test_outliers_are_code_and_the_clearest_comes_first(notation, places):
    found = judgement(notation).outliers("python", "")
    assert [(spot.row, spot.column) for spot in found] == places
    assert [spot.margin for spot in found] == sorted((spot.margin for spot in found), reverse=True)


def test_what_is_open_before_the_lines_counts():
    assert judgement("x = b? + c").outliers("python", '"""\n') == []


@pytest.mark.parametrize(
    ("notation", "rows", "spans"),
    [
        ("a = 1\nb = 2\nc? = 3", (0, 3), [(2, 3)]),
        ("a = 1\nb = 2\nc? = 3", (0, 2), [(0, 1)]),
        ("a? = f(\n1,\n2)\nb = 2\nc = 3\nd = 4", (0, 6), [(0, 3)]),
        ("a? = 1\nb = 2\nc = f(\n1,\n2?)\nd = 4", (0, 6), [(0, 1), (2, 5)]),
        ("a = f(\n1,\n2?)\nb = 2\nc = 3\nd = 4", (0, 6), [(0, 3)]),
        ("# a? b?\nx = 1\ny! = 2", (0, 3), [(2, 3)]),
        ("{\n}?", (0, 2), []),
    ],
)
def test_the_weakest_third_of_the_statements_is_whole_statements(notation, rows, spans):
    assert judgement(notation).weakest("python", "", rows) == spans


SLOTS = st.lists(st.tuples(st.sampled_from(["x", " = ", "\n", "(", ")", "'", "    ", "é😀", "#"]), st.floats(1e-6, 1)))


@given(SLOTS)
def test_whatever_the_probabilities_places_are_in_the_text(pieces):
    slots = [Slot(text, p, False, 1 - p) for text, p in pieces] + [Slot("", 0.5, False, 0.5)]
    text = "".join(text for text, _ in pieces)
    made = Judgement(tuple(text.split("\n")), tuple(slots))
    assert made.log_probability == pytest.approx(sum(math.log(slot.confidence) for slot in slots))
    for spot in made.outliers("python", ""):
        assert spot.margin >= LEAST_MARGIN
        assert (spot.row, spot.column) == (len(made.lines), 0) or spot.column <= len(made.lines[spot.row])
    assert LEAST_RIVAL > 0.5
    spans = made.weakest("python", "", (0, len(made.lines)))
    assert all(a < b <= len(made.lines) for a, b in spans)
    assert all(one[1] <= other[0] for one, other in pairwise(spans))


@given(SLOTS, st.lists(st.sampled_from(["x", "", "(", " = é😀x"]), max_size=4))
def test_tokens_before_the_first_line_that_differs_are_those_of_the_lines_before_it(pieces, more):
    text = "".join(text for text, _ in pieces)
    made = Judgement(tuple(text.split("\n")), (*(Slot(text, p, False) for text, p in pieces), Slot("", 0.5, False)))
    lines = [*made.lines[: len(more)], *more, *made.lines[2:]] or ["x"]
    row, kept = made.common_start(lines)
    assert "".join(slot.text for slot in kept) == "".join(f"{line}\n" for line in lines[:row])
    assert list(made.lines[:row]) == lines[:row]
    assert row < len(lines)


@pytest.mark.parametrize(
    ("earlier", "now", "places"),
    [
        ("x = b + c", "x = b? + c", [(0, 3)]),
        ("x = b? + c", "x = b? + c", []),
        ("x = b! + c", "x = b? + c", []),
        ("x = b? + c", "x = b + c?", [(0, 7)]),
        ("x = 1", "x = 1", []),
    ],
)
def test_an_outlier_has_risen_where_it_was_none_in_another_text(earlier, now, places):
    found = judgement(now).risen(judgement(earlier), "python", "")
    assert [(spot.row, spot.column) for spot in found] == places
