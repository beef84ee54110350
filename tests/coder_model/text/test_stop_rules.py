import pytest
from hypothesis import given
from hypothesis import strategies as st

from coder_model.text.stop_rules import StopRules


def trim(prefix, suffix, hole, text):
    return StopRules.of(prefix, suffix, hole).trim(text)


@pytest.mark.parametrize(
    ("prefix", "text", "expect"),
    [
        ("def f():\n    ", "x = 1\n    return x\n\n\ndef g():\n", "x = 1\n    return x"),
        ("def f():", "\n    return 1\n\nx = 2", "\n    return 1"),
        ("    if x:\n        ", "y()\n    else:\n        z()", "y()"),
        ("def f():\n    ", "if x:\n        y()\n    z()", "if x:\n        y()\n    z()"),
        ("def f():\n    ", "a = [\n    1,\n    ]", "a = [\n    1,\n    ]"),
        ("func f() {\n\t", "return 1\n}\n\nfunc g() {", "return 1"),
        ("        if x:\n            ", "a()\n            b()\n        }", "a()\n            b()"),
        ("", "a\nb\n", "a\nb"),
    ],
)
def test_a_block_ends_where_its_indentation_does(prefix, text, expect):
    assert trim(prefix, "", "block", text) == expect


METHOD = "class A:\n    def f(self):\n        x = 1\n"


@pytest.mark.parametrize(
    ("prefix", "text", "expect"),
    [
        ("def f():\n    x = 1\n\n", "    return x\n\n# Test\nprint(f())", "    return x"),
        (METHOD, "        return x\n\n    def g(self):", "        return x"),
        (METHOD, "    def g(self):\n        pass\n\n    y = 1\nA()", "    def g(self):\n        pass\n\n    y = 1"),
        (METHOD, "a = A()\nb = 1", "a = A()\nb = 1"),
        ("def f():\n    for x in y:\n        g(x)\n", "        h(x)\n    return y", "        h(x)\n    return y"),
        ("def f():\n    x = 1\n# y = 2\n", "\n    return x\nf()", "\n    return x"),
        ("if x:\n    y()\n", "    z()\nw()", "    z()\nw()"),
        ("def f():\n    x = 1\n", "    y = [\n1,\n]\n    return y", "    y = [\n1,\n]\n    return y"),
    ],
)
def test_a_block_from_the_margin_ends_with_the_definition_that_its_first_line_is_in(prefix, text, expect):
    assert StopRules.of(prefix, "", "block", "python").trim(text) == expect


IMPORT = "import os\n\n\n"


@pytest.mark.parametrize(
    ("prefix", "language", "text", "expect"),
    [
        (IMPORT, "python", "def f():\n    return 1\n\n\ndef g():", "def f():\n    return 1"),
        (IMPORT, "python", "def f():\n    x = 1\n\n    return x\n  \nf()", "def f():\n    x = 1\n\n    return x"),
        ("", "python", "# A tool.\n\nimport os\n\nx", "# A tool.\n\nimport os"),
        ("", "python", '"""A tool.\n\nDoes it.\n"""\n\nimport os', '"""A tool.\n\nDoes it.\n"""'),
        (IMPORT, "python", "if a:\n    b\n\nelse:\n    c\n\nd", "if a:\n    b\n\nelse:\n    c"),
        ("", "lua", "local function f()\n\n  a()\n\nend\n\nf()", "local function f()\n\n  a()\n\nend"),
        ("", "javascript", "f({\n\na: 1\n\n});\n\ng();", "f({\n\na: 1\n\n});"),
        ("", "javascript", "function f() {\n  a();\n\n}\n\nf();", "function f() {\n  a();\n\n}"),
        ("", "html", "<ul>\n\n<li>a\n\n</ul>", "<ul>\n\n<li>a\n\n</ul>"),
        ("def f():\n", "python", "    a()\n\n    b()\n", "    a()\n\n    b()"),
        (IMPORT, "python", "\n\nf()\ng()", "\n\nf()\ng()"),
    ],
)
def test_a_block_at_the_margin_ends_with_its_first_paragraph(prefix, language, text, expect):
    assert StopRules.of(prefix, "", "block", language).trim(text) == expect


def test_a_block_ends_before_the_line_that_follows_it():
    head, following = "a = f(x)\n    b = g(a)", "\n    return a + b"
    assert trim("def f(x):\n    ", "\n" + following + "\n", "block", head + following + "\n    c()") == head
    assert trim("def f(x):\n    ", following, "block", head + following) == head


@pytest.mark.parametrize(
    ("following", "text"),
    [
        ("\n    )", "a(\n    )\n    b"),  # a line without a word says too little
        ("\nreturn 1", "if y:\n        return 1\n    z"),  # indented otherwise
        ("\n    return 1", "return 1 + 1\n    z"),
    ],
)
def test_a_block_does_not_end_at_another_line(following, text):
    assert trim("if x:\n    ", following, "block", text) == text


@pytest.mark.parametrize(
    ("prefix", "suffix", "text", "expect"),
    [
        ("x = f(a, ", ")\n", "b=g(1))", "b=g(1)"),
        ("x = f(a, ", "\n", "b=g(1))", "b=g(1))"),
        ("x = f(g(", ")\n", "1))", "1)"),  # two are open, one is closed: one is the middle's
        ("x = f(g(", "))\n", "1))", "1"),
        ("    ", ")\n", "a(b))", "a(b)"),  # opened on an earlier line
        ("def f(", "):\n", "self):", "self"),
        ("    x: [a, b(", ")],\n", 'uid=")")],', 'uid=")"'),
        ('print("hello ', '")\n', 'world (")', "world ("),
        ('print("', '")', 'a\\"b")', 'a\\"b'),
        ("with open(p, ", ") as file:\n", '"w") as file:', '"w"'),
        ("import a", ", b\n", "x, b", "x"),
        ("x = ", " + g(1)\n", "y + g(1)", "y"),
        ("f(", ", b)\n", "a, b)", "a"),
        ("x = a", ";\n", " + 1;", " + 1"),
        ("var(", ");", "--a);", "--a"),
        ("f(", ")", "a, b", "a, b"),
        ("it's (", ")", "a)", "a"),  # an apostrophe in a word is no quote
    ],
)
def test_a_middle_does_not_close_what_the_rest_of_its_line_closes(prefix, suffix, text, expect):
    assert trim(prefix, suffix, "line", text) == expect


def test_a_block_does_not_count_for_ever():
    rules = StopRules.of("def f():\n    ", "\n", "block", "python")
    lines = [f"assert add(1, {n}) == {n + 1}" for n in range(9)]
    assert rules.trim("\n    ".join(lines)) == "\n    ".join(lines[:3])
    # other words between them, or no number at all: nobody counts
    mixed = "\n    ".join([*lines[:3], "print()", *lines[3:6]])
    assert rules.trim(mixed) == mixed
    same = "\n    ".join(["step()"] * 6)
    assert rules.trim(same) == same


def test_a_block_does_not_go_through_the_alphabet():
    rules = StopRules.of("environment:\n  - A=1\n  ", "\n", "block", "yaml")
    lines = [f"- {letter}={n}" for n, letter in enumerate("BCDEFGH", 2)]
    assert rules.trim("\n  ".join(lines)) == "\n  ".join(lines[:3])
    # letters that nobody counts by
    others = "\n  ".join(f"- {letter}=b" for letter in "xyzw")
    assert rules.trim(others) == others


def test_a_block_does_not_grow_for_ever():
    rules = StopRules.of('{\n  "scripts": {\n    ', "\n  }\n}\n", "block", "json")
    lines = [f'"build{":watch" * n}": "vite build{":watch" * n}",' for n in range(6)]
    assert rules.trim("\n    ".join(lines)) == "\n    ".join(lines[:2])
    # longer, but no part of it said again
    others = "\n    ".join(['"a": 111,', '"a": 111111,', '"ab": 1,', '"abab": 1,'])
    assert rules.trim(others) == others


MEMBERS = '"b": {\n    "x": 1,\n    "y": 2\n  },\n  "c": 3,\n  "d": 4'
FIRST = '"b": {\n    "x": 1,\n    "y": 2\n  },'


@pytest.mark.parametrize(
    ("prefix", "suffix", "text", "expect"),
    [
        ('{\n  "a": 1,\n  ', "\n}\n", MEMBERS, FIRST),
        ('{\n  "a": 1,\n  ', "", MEMBERS, FIRST),
        ("{\n  ", '\n  "a": 1\n}\n', MEMBERS, FIRST),
        ("[\n  1,\n  ", "\n]\n", "2,\n  3,\n  4", "2,"),
        ('{\n  "a": 1,\n  ', "\n}\n", f"// more\n  {MEMBERS}", f"// more\n  {FIRST}"),
        ('{\n  "a": 1,', "\n}\n", f"\n  {MEMBERS}", f"\n  {FIRST}"),
        ("", "", '{\n  "a": 1\n}\n{\n  "a": 2\n}', '{\n  "a": 1\n}'),
        ("{\n  ", "\n}\n", MEMBERS, MEMBERS),
        ("[\n  ", "", "2,\n  3,\n  4", "2,\n  3,\n  4"),
    ],
)
def test_a_block_of_json_is_one_member_where_there_are_others(prefix, suffix, text, expect):
    """It went on from one to the next until the deadline."""
    assert StopRules.of(prefix, suffix, "block", "jsonc").trim(text) == expect


def test_a_line_ends_with_its_line():
    assert trim("", "", "line", "a\nb") == "a"
    assert StopRules.of("", "", "line").end("a") is None


TEXT = st.text("ab \t\n()\"'/{},", max_size=40)


@given(TEXT, TEXT, TEXT, st.sampled_from(["line", "block"]), st.sampled_from(["", "jsonc"]))
def test_more_text_never_moves_the_end(prefix, suffix, text, hole, language):
    """What is shown at one step is shown at the next one, too."""
    if language:
        # a line that says the following one again is known at its end: a bracket in it may have ended the hole before
        suffix = suffix.replace("\n", "")
    stop_rules = StopRules.of(prefix, suffix, hole, language)
    ends = [stop_rules.end(text[:n]) for n in range(len(text) + 1)]
    found = [end for end in ends if end is not None]
    assert len(set(found)) <= 1
    assert ends[len(ends) - len(found) :] == found


def removed_pairs(text):
    """What is left of a text of round brackets once every pair is gone."""
    while "()" in text:
        text = text.replace("()", "")
    return text


@given(st.text("()", max_size=8), st.text(")", max_size=4), st.text("()", max_size=12))
def test_brackets_closed_in_the_middle_and_after_it_equal_brute_force(prefix, suffix, text):
    opened, closed = removed_pairs(prefix).count("("), len(suffix)
    kept = trim(prefix, suffix, "line", text)
    if not closed:
        assert kept == text
        return
    spare = max(0, opened - closed)
    expect = next((text[:n] for n in range(len(text)) if removed_pairs(text[: n + 1]).count(")") > spare), text)
    assert kept == expect


@given(TEXT, TEXT, TEXT, st.sampled_from(["line", "block"]))
def test_trimmed_text_is_the_beginning_of_the_text(prefix, suffix, text, hole):
    assert text.startswith(trim(prefix, suffix, hole, text))
