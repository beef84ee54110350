"""Heads of loops whose third part does nothing."""

import pytest

from coder_model.text.idle_loops import leaves_idle_loop
from coder_model.text.syntax import has_grammar

HEADS = [
    ("c", "void f(int n) {\n    for (int i = 0; ", ")\n        g(i);\n}\n"),
    ("cpp", "void f(int n) {\n    for (int i = 0; ", ")\n        g(i);\n}\n"),
    ("java", "class A {\n  void f(int n) {\n    for (int i = 0; ", ") {\n      g(i);\n    }\n  }\n}\n"),
    ("javascript", "for (let i = 0; ", ") {\n  g(i);\n}\n"),
    ("typescript", "const é = '\U0001f600';\nfor (let i = 0; ", ") {\n  g(i);\n}\n"),
    ("go", "func f() {\n\tfor i := 0; ", " {\n\t\tg(i)\n\t}\n}\n"),
]


@pytest.mark.parametrize(("language", "before", "after"), HEADS)
def test_a_bare_name_is_no_step(language, before, after):
    if not has_grammar(language):
        pytest.skip(f"no grammar of {language} is installed")

    def leaves(middle):
        return leaves_idle_loop(before, middle, after, language)

    assert leaves("i < n; i")
    assert not leaves("i < n; i++")
    assert not leaves("i < n; i += 1")
    assert not leaves("i < n; step(i)")
    assert not leaves("i < n;")
    assert not leaves("i < n")
    assert not leaves("")
    assert leaves_idle_loop(before + "i < n; ", "i", after, language)


def test_a_whole_loop_may_be_the_text():
    loop = "for (let i = 0; i < n; i) {\n    g(i);\n  }"
    assert leaves_idle_loop("function f(n) {\n  ", loop, "\n}\n", "javascript")
    assert not leaves_idle_loop("function f(n) {\n  ", loop.replace("i)", "i++)", 1), "\n}\n", "javascript")


def test_a_loop_that_was_there_is_not_the_texts():
    before = "for (let i = 0; i < n; i) { "
    assert not leaves_idle_loop(before, "for (const x of y) { g(x); }", " }\n", "javascript")


@pytest.mark.parametrize(("language", "name"), [("csharp", "i"), ("php", "$i"), ("dart", "i"), ("", "i")])
def test_looks_tell_a_step_where_there_is_no_grammar(language, name):
    before = f"for (int {name} = 0; "

    def leaves(middle, after=") { g(); }\n"):
        return leaves_idle_loop(before, middle, after, language)

    assert leaves(f"{name} < n; {name}")
    assert leaves(f"{name} < count(a); {name}) {{\n    g();\n}}", "")
    assert leaves_idle_loop(f"{before}{name} < n; ", name, ") {\n", language)
    assert not leaves(f"{name} < n; {name}++")
    assert not leaves(f"{name} < n; {name} += 2")
    assert not leaves(f"{name} < n;")
    assert not leaves(f"{name} < n")
    assert not leaves("")
    assert not leaves_idle_loop(f"{before}{name} < n; {name}) {{ ", "for (x in y) g(x);", " }\n", language)
