"""A middle that is not finished is cut where it parses."""

import pytest

from coder_model.engine.syntax_repair import SyntaxCheck, parsing_run


@pytest.mark.parametrize(
    ("tokens", "kept"),
    [
        (["a", " = ", "b"], 3),
        (["a", " = ", "f(", "b"], 1),
        (["a = 1\n", "b = f(2,\n", "  3,\n", " 4,\n", "5,\n", "6,\n", "7"], 1),
        (["f(", "g(", "h(", "i(", "j(", "k(", "l("], 0),
        ([], 0),
    ],
)
def test_an_unfinished_middle_is_cut_where_it_parses(tokens, kept):
    syntax = SyntaxCheck("", "\n", "python")
    run = parsing_run(list(range(len(tokens))), lambda ids: "".join(tokens[i] for i in ids).rstrip(), syntax)
    assert len(run) == kept
