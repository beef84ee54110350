"""Which words of a text are code."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coder_model.text.code_words import WORD, code_words


@pytest.mark.parametrize(
    ("text", "language", "expect"),
    [
        ("x = f(1)  # one", "python", "x = f ( 1 )"),
        ('x = "one"', "python", 'x = " "'),
        ('"""One.\n\nTwo: f(x).\n"""\ny', "python", "y"),
        ("x = f('(one).')", "python", "x = f ( ' ' )"),
        ('"""One."""', "python", ""),
        ("a(); // b();\n/* c();\nd(); */ e();", "javascript", "a ( ) ; e ( ) ;"),
        ("'use strict'\nf(`a`)", "javascript", "f ( ` ` )"),
        ("fn f<'a>(x: &'a str) {}", "rust", "fn f < ' a > ( x : & ' a str ) { }"),
    ],
)
def test_comments_and_strings_that_stand_alone_are_no_code(text, language, expect):
    assert code_words("", text.split("\n"), language) == expect.split()


def test_lines_may_begin_inside_a_string():
    assert code_words('"""One.\n', ["Two.", '"""', "x"], "python") == ["x"]


@given(st.text("ab \n\"'#/*()", max_size=40), st.sampled_from(["python", "javascript"]))
def test_words_of_code_are_words_of_the_text_in_order(text, language):
    words = iter(WORD.findall(text))
    assert all(word in words for word in code_words("", text.split("\n"), language))
