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
        "def f():\n    tot|\n",
        'def f():\n    """Says."""\n    for i in |\n\n\ndef g():\n    pass\n',
        "class A:\n    def f(self):\n        self.x = |\n",
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
        "def f():\n    return |\n",
        "def f():\n    # what is |\n",
        "def f():\n    x = 1\n    y = |\n",
        "def f():\n    y = |\n    return y\n",
        "def f():\n    y = f(|)\n",
        "total = |\n",
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
        ("javascript", "function f() {\n  const x = |\n}\n"),
        ("go", "package a\n\nfunc f() int {\n\tsum := |\n}\n"),
        ("rust", "fn f() -> u32 {\n    let total = |\n}\n"),
        ("lua", "local function f()\n  local x = |\nend\n"),
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


@pytest.mark.parametrize(
    ("language", "text"),
    [
        ("java", "class A {\n    int f() {\n        |\n    }\n}\n"),
        ("java", "class A {\n    int f() {\n        int sum = |\n    }\n}\n"),
        ("c", "int f(void)\n{\n    // adds\n    int sum = |\n}\n"),
        ("ruby", "def total(items)\n  |\nend\n"),
        ("ruby", "class A\n  # Adds.\n  def total\n    sum = |\n  end\nend\n"),
        ("shellscript", "if [ -f a ]; then\n  |\nfi\n"),
        ("shellscript", "if [ -f a ]; then\n  ech|\nelse\n  b\nfi\n"),
        ("shellscript", "if [ -f a ]; then\n  a\nelse\n  |\nfi\n"),
        ("shellscript", "while read -r line; do\n    |\ndone < list\n"),
        ("sh", "f() {\n\tfor i in a b\n\tdo\n\t\t|\n\tdone\n}\n"),
    ],
)
def test_without_a_tree_the_lines_around_tell_an_empty_body(language, text):
    check(text, "block", language)


@pytest.mark.parametrize(
    ("language", "text"),
    [
        ("java", "class A {\n    int f() {\n        int x = 1;\n        |\n    }\n}\n"),
        ("java", "class A {\n    int f() {\n        return |\n    }\n}\n"),
        ("c", "int f(void)\n{\n    if (x)\n        |\n}\n"),
        ("ruby", "def total(items)\n  sum = 0\n  |\nend\n"),
        ("ruby", "x = |\n"),
        ("shellscript", "if [ -f a ]; then\n  a\n  |\nfi\n"),
        ("shellscript", "if [ -f a ]; then\n  return |\nfi\n"),
        ("shellscript", "if [ -f a ]; then\n|\nfi\n"),
        ("sql", "select |\nfrom a\n"),
    ],
)
def test_without_a_tree_all_else_takes_a_line(language, text):
    check(text, "line", language)
