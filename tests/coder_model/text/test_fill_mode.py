import pytest

from coder_model.text.fill_mode import hole_at


def check(text, expect, language="python"):
    prefix, suffix = text.split("|")
    assert hole_at(prefix, suffix, language) == expect


@pytest.mark.parametrize(
    "text",
    [
        "def f():\n    |\n",
        "def f():\n    |",
        "def f():|",
        "def f():|\n\n\ndef g():\n    pass\n",
        "def f():\n    '''Says what.'''\n    |\n",
        "def f():\n    # first\n    |\n",
        "if x:\n    |\nelse:\n    y()\n",
        "class A:\n    def f(self):\n        |\n\n    def g(self):\n        pass\n",
        "for x in y:\n    |\n",
        "x = f(\n    |\n)\n",
        "d = {\n\n    |\n}\n",
    ],
)
def test_an_empty_body_takes_a_block(text):
    check(text, "block")


@pytest.mark.parametrize(
    "text",
    [
        "x = |\n",
        "def f():\n    x = 1\n    |\n",
        "def f():\n    |\n    return 1\n",
        "def f(|):\n    pass\n",
        "|",
        "import os\n|\n",
        "d = {'a':|}\n",
        "x = f(a)|\n",
        "x = f(|)\n",
        "x = f(\n    |]\n",
        "x = f(\n    a,\n    |\n)\n",
        "# a comment:|\n",
    ],
)
def test_everything_else_takes_a_line(text):
    check(text, "line")


@pytest.mark.parametrize(
    ("reach", "text", "expect"),
    [
        ("single", "def f():\n    |\n", "line"),
        ("single", "x = f(\n    |\n)\n", "line"),
        ("multi", "x = |\n", "block"),
        ("multi", "f(|)\n", "block"),
        ("multi", "f(|, 1)\n", "line"),
        ("multi", "f(a|b)\n", None),
    ],
)
def test_a_person_may_want_less_or_more(reach, text, expect):
    prefix, suffix = text.split("|")
    assert hole_at(prefix, suffix, "python", reach) == expect


def test_inside_a_word_nothing_is_offered():
    check("pri|nt(x)\n", None)
    check("x = valu|e_of\n", None)


@pytest.mark.parametrize(
    ("language", "text"),
    [
        ("javascript", "function f() {\n  |\n}\n"),
        ("javascript", "if (x) {|}\n"),
        ("typescript", "function f(x: number): number {\n  |\n}\n"),
        ("go", "package a\n\nfunc f() int {\n\t|\n}\n"),
        ("rust", "fn f() -> u32 {\n    |\n}\n"),
        ("lua", "local function f()\n  |\nend\n"),
        ("rust", "parse(&[\n    Parser {\n        |\n    },\n]);\n"),
        ("json", "{\n  |\n}\n"),
    ],
)
def test_other_languages_have_empty_blocks_too(language, text):
    check(text, "block", language)


@pytest.mark.parametrize(
    ("language", "text"),
    [
        ("javascript", "function f() {\n  const x = 1;\n  |\n}\n"),
        ("javascript", "const x = {|};\n"),
        ("go", "package a\n\nfunc f() int {\n\treturn |\n}\n"),
        ("cobol", "MOVE |\n"),
    ],
)
def test_and_lines(language, text):
    check(text, "line", language)
