from hypothesis import given
from hypothesis import strategies as st

from coder_model.text.syntax_nodes import Parsed, ancestors, field_of, is_identifier, walk


@given(st.text("ab =(é😀'#\n", max_size=40))
def test_spans_are_code_points(text):
    parsed = Parsed.of(text, "python")
    for node in walk(parsed.root):
        assert parsed.said(node).encode() == node.text
        start, end = parsed.span(node)
        if start < end:
            found = parsed.node_at(start, end)
            assert parsed.span(found) == (start, end)


def test_names_are_identifiers_and_neither_words_of_strings_nor_parts_of_others():
    parsed = Parsed.of("é = ab + 'ab' + abc\nab.ab(ab=1)  # ab\n", "python")
    assert [parsed.span(node)[0] for node in parsed.named("ab")] == [4, 20, 23, 26]
    assert all(is_identifier(node) for node in parsed.named("ab"))


def test_a_language_without_a_grammar_is_not_parsed():
    assert Parsed.of("a", "cobol") is None


def test_a_node_knows_its_field_and_what_is_above_it():
    parsed = Parsed.of("def f(a):\n    pass\n", "python")
    (name,) = parsed.named("f")
    assert field_of(name) == "name"
    assert [node.type for node in ancestors(name)] == ["function_definition", "module"]
    assert field_of(parsed.root) == ""
