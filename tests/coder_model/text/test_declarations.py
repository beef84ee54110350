import pytest

from coder_model.text.declarations import declarations, declares, is_access, is_imported, is_key, is_member, scope_of
from coder_model.text.syntax_nodes import Parsed


def first(language, text, name="n", index=0):
    parsed = Parsed.of(text, language)
    return parsed, list(parsed.named(name))[index]


@pytest.mark.parametrize(
    ("language", "text", "is_one"),
    [
        ("python", "def f(n): pass\n", True),
        ("python", "def f(n=1): pass\n", True),
        ("python", "f(n=1)\n", False),
        ("python", "(a, n) = 1, 2\n", True),
        ("python", "x = n\n", False),
        ("python", "self.n = 1\n", True),
        ("python", "self.n\n", False),
        ("python", "import a as n\n", True),
        ("python", "from n import a\n", False),
        ("typescript", "const { n } = a;\n", True),
        ("typescript", "type n = string;\n", True),
        ("javascript", "n = 1;\n", False),
        ("go", "func f() {\n\ta, n := 1, 2\n}\n", True),
        ("go", "func f() {\n\tn = 2\n}\n", False),
        ("rust", "fn f() { let n = 1; }\n", True),
        ("lua", "local n = 1\n", True),
        ("lua", "n = 1\n", False),
        ("java", "class A { void f() { for (int n : a) {} } }\n", True),
        ("c", "int f(char *n) { return 0; }\n", True),
        ("c", "int f(void) { return n; }\n", False),
    ],
)
def test_what_declares_a_name_is_told_from_what_uses_it(language, text, is_one):
    assert declares(first(language, text)[1]) is is_one


def test_only_what_lies_in_the_spans_is_a_declaration_there():
    parsed, _ = first("python", "n = 1\nimport n\n")
    assert [parsed.span(node) for node in declarations(parsed, "n", [(0, 5)])] == [(0, 1)]
    assert not is_imported(parsed, "n", [(0, 5)])
    assert is_imported(parsed, "n", [(6, 14)])
    assert declarations(parsed, "n", [(1, 6)]) == []


@pytest.mark.parametrize(
    ("language", "text", "scope"),
    [
        ("python", "def f(n):\n    if n:\n        pass\n", "function_definition"),
        ("python", "if a:\n    n = 1\n", "module"),
        ("python", "class A:\n    def n(self): pass\n", "class_definition"),
        ("javascript", "if (a) { let n = 1; }\n", "statement_block"),
        ("go", "func n() {}\n", "source_file"),
        ("c", "int n(void) { return 0; }\n", "translation_unit"),
        ("rust", "fn f() { { let n = 1; } }\n", "block"),
    ],
)
def test_a_scope_is_what_a_name_can_be_seen_in(language, text, scope):
    assert scope_of(first(language, text)[1]).type == scope


def test_members_and_keys_are_told_from_variables():
    assert is_access(first("python", "a.n\n")[1])
    assert is_member(first("java", "class A { int n; }\n")[1])
    assert not is_member(first("java", "class A { int f() { int n; } }\n")[1])
    assert is_key(first("python", "f(n=1)\n")[1])
    assert is_key(first("javascript", "a = { n: 1 }\n")[1])
    assert not is_key(first("javascript", "a = { b: n }\n")[1])
