import pytest
from hypothesis import given
from hypothesis import strategies as st

from coder_model.postprocess import block_indent, end_of_hole, trimmed


@pytest.mark.parametrize(
    ("prefix", "text", "expect"),
    [
        ("def f():\n    ", "x = 1\n    return x\n\n\ndef g():\n", "x = 1\n    return x"),
        ("def f():", "\n    return 1\n\nx = 2", "\n    return 1"),
        ("    if x:\n        ", "y()\n    else:\n        z()", "y()"),
        ("def f():\n    ", "if x:\n        y()\n    z()", "if x:\n        y()\n    z()"),
        ("def f():\n    ", "a = [\n    1,\n    ]", "a = [\n    1,\n    ]"),
        ("func f() {\n\t", "return 1\n}\n\nfunc g() {", "return 1"),
        ("", "a\nb\n", "a\nb"),
    ],
)
def test_a_block_ends_where_its_indentation_does(prefix, text, expect):
    assert trimmed(text, "block", block_indent(prefix)) == expect


def test_a_line_ends_with_its_line():
    assert trimmed("a\nb", "line", 0) == "a"
    assert end_of_hole("a", "line", 0) is None


@given(st.text("ab \t\n", max_size=40), st.integers(0, 5))
def test_more_text_never_moves_the_end(text, indent):
    """What is shown at one step is shown at the next one, too."""
    ends = [end_of_hole(text[:n], "block", indent) for n in range(len(text) + 1)]
    found = [end for end in ends if end is not None]
    assert len(set(found)) <= 1
    assert ends[len(ends) - len(found) :] == found
