"""Where a middle that goes in circles is cut."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coder_model.decoding.completion import Completion
from coder_model.decoding.token_selector import Choice


class Letters:
    """A selector whose tokens are characters of ASCII, and which nothing ends."""

    finished, heal = False, b""

    def advance(self, token):
        """Takes any."""

    def bytes_of(self, token):
        return bytes([token])


def said(text):
    """What is left of a text, said until it ends of itself."""
    middle, selector = Completion(len(text) + 1), Letters()
    for letter in text:
        middle.decide_(Choice(ord(letter), 0.5), selector)
        if middle.ended:
            break
    return "".join(map(chr, middle.tokens))


@pytest.mark.parametrize(
    ("text", "expect"),
    [
        ("a();\n a();\n a();\n a();\n", "a();\n"),
        ("x\nab()\nab()\nab()\nab()\n", "x\nab()"),
        ("a\n bc\n a\n bc\n a\n bc\n a\n bc\n", "a\n bc\n"),
        ("abcd abcd abcd abcd ", "abcd "),
        ("a = 1\nb = 2\nc = 3\n", "a = 1\nb = 2\nc = 3\n"),
    ],
)
def test_what_goes_in_circles_ends_where_a_line_of_it_does(text, expect):
    assert said(text) == expect


@given(st.lists(st.sampled_from("abcdefg \n"), unique=True), st.text("xy", max_size=8))
def test_what_is_left_of_a_circle_of_lines_is_whole_lines(letters, start):
    text = start + 13 * ("".join(letters) + "\n")
    left = said(text)
    assert text.startswith(left)
    assert left.endswith("\n") or text[len(left) :].lstrip(" ").startswith("\n")
