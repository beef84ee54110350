"""The canvas: what is revealed stays, and DreamOn's operations change its length as they say."""

import torch
from hypothesis import given
from hypothesis import strategies as st

from coder_model.runtime.canvas import Canvas

EXPAND, DELETE, MASK = 90, 91, 92


def holding(tokens):
    canvas = Canvas.opening([], len(tokens), MASK)
    canvas.candidates = torch.tensor(tokens)
    canvas.reveal_(canvas.candidates != MASK)
    return canvas


def check(text, expect, budget=9):
    """`+` expands, `-` deletes, `.` is masked, letters are tokens."""
    code = {"+": EXPAND, "-": DELETE, ".": MASK}
    canvas = holding([code.get(letter, ord(letter) - 97) for letter in text])
    canvas.operate_(EXPAND, DELETE, MASK, budget)
    shown = "".join(
        "." if m else chr(t + 97) for t, m in zip(canvas.tokens.tolist(), canvas.masked.tolist(), strict=True)
    )
    assert shown == expect
    assert ((canvas.tokens == MASK) == canvas.masked).all()
    assert len({len(part) for part in (canvas.tokens, canvas.masked, canvas.confidence, canvas.entropy)}) == 1
    return canvas


def test_expand_makes_a_slot_two():
    assert check("a+b", "a..b").expanded == 1
    check("++", "....")
    check("+.+", ".....")


def test_delete_takes_the_slot_and_every_masked_one_to_its_right():
    check("a-b", "ab")
    check("a.-..", "a.")
    check("-.b.", "b")
    check("-", "")


def test_a_spent_budget_leaves_one_masked_slot():
    assert check("+++", "....", budget=1).expanded == 1
    check("+", ".", budget=0)


@given(st.text("ab.", min_size=1, max_size=12))
def test_without_operations_nothing_changes(text):
    check(text, text)


@given(st.text("ab.", min_size=1, max_size=12))
def test_the_leftmost_run_ends_at_the_first_mask(text):
    canvas = holding([MASK if letter == "." else ord(letter) - 97 for letter in text])
    assert "".join(chr(token + 97) for token in canvas.leftmost_run()) == text.partition(".")[0]
