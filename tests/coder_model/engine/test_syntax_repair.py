"""A middle that is not finished is cut where it parses."""

import pytest

from coder_model.engine.syntax_repair import SyntaxCheck, parsing_run


@pytest.mark.parametrize(
    ("tokens", "kept"),
    [
        (["a", " = ", "b"], 3),
        (["a", " = ", "f(", "b"], 1),
        (["a = 1\n", "b = f(2,\n", "  3,\n", " 4,\n", "5,\n", "6,\n", "7"], 1),
        (["if a:\n", "    b()\n", "else", ":"], 2),
        (["a()\n", "while b", ":"], 1),
        (["a()\n", "b", ".c"], 1),
        (["\n", "b", ".c"], 3),
        (["f(", "g(", "h(", "i(", "j(", "k(", "l("], 0),
        ([], 0),
    ],
)
def test_an_unfinished_middle_is_cut_where_it_parses(tokens, kept):
    syntax = SyntaxCheck("", "\n", "python")
    run = parsing_run(list(range(len(tokens))), lambda ids: "".join(tokens[i] for i in ids).rstrip(), syntax)
    assert len(run) == kept


@pytest.mark.parametrize(
    ("before", "middle", "after", "is_empty"),
    [
        ("def f(n):\n    ", "if n < 0:", "\n    return n\n", True),
        ("def f(n):\n    if n:\n        return 1\n    ", "else:", "\n\n\ndef g():\n    pass\n", True),
        ("def f(n):\n    ", "if n < 0:", "\n        return n\n", False),
        ("def f(n):\n    ", "if n < 0:", "\n\n        return n\n", False),
        ("def f(n):\n    ", "if n < 0: return", "\n    return n\n", False),
        ("def f(n):\n    if n < 0", ":", "\n    return n\n", True),
        ("def f(n):\n    if n", " < 0", ":\n    return n\n", True),
        # nothing follows: somebody is still writing
        ("def f(n):\n    ", "if n < 0:", "\n", False),
        ("", "# if this is so:", "\nreturn n\n", False),
        ("names = {\n    ", "'if':", "\n    1}\n", False),
    ],
)
def test_a_block_is_left_empty_where_the_next_line_is_not_deeper(before, middle, after, is_empty):
    assert SyntaxCheck(before, after, "python").leaves_block_empty(middle) == is_empty
    assert not SyntaxCheck(before, after, "yaml").leaves_block_empty(middle)


@pytest.mark.parametrize(
    ("before", "middle", "after", "breaks"),
    [
        ("x = 1\n", "y = (", "\nz = 2\n", True),
        ("x = 1\n", "y = 2", "\nz = 2\n", False),
        ("x = [\n    ", "1,", "\n", False),  # nobody has closed it yet
        ("x = ", "f(", "\n", False),  # nor said anything
        ("x = f(", "1))", "\n", False),
        ("f(x", ", y))", ")\n", True),
    ],
)
def test_a_middle_breaks_what_parses_without_it(before, middle, after, breaks):
    assert SyntaxCheck(before, after, "python").breaks(middle) == breaks


@pytest.mark.parametrize(
    ("before", "after", "is_empty"),
    [
        ("", "", False),
        ("\n  ", "\n", False),
        ("x = 1\n    ", "\ny = 2\n", True),
        ("x = 1", "\n", False),
        ("    ", ")\n", False),
        ("x\n\t", " \r\n", True),
    ],
)
def test_a_line_of_blanks_is_empty_whatever_stands_around_it_and_a_file_without_text_has_none(before, after, is_empty):
    assert SyntaxCheck(before, after, "python").is_empty_line is is_empty
