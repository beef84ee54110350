import pytest
from hypothesis import given
from hypothesis import strategies as st

from coder_model.text.holes import holes_in, nearest, says_nothing


def marked(text, language, **more):
    """The text with each hole between « and », as the tests write it."""
    for hole in reversed(holes_in(text, language, **more)):
        text = f"{text[: hole.start]}«{text[hole.start : hole.end]}»{text[hole.end :]}"
    return text


PYTHON = [
    "def f(x):\n    «pass»\n",
    'def f(x):\n    """Doc ... pass."""\n    # sorts\n    «raise NotImplementedError("later")»\n',
    "def f(x):« ...»\n",
    "class A:\n    «...»\n",
    "if x:\n    «pass»\nelse:\n    y()\n",
    "def f():\n    x = «...»\n    return «...»\n",
    "x = [«<|hole|>», 1]\n",
    'é = "ü"\ndef f(x):\n    «pass»\n',
    'f"{«<|hole|>»} <|hole|>"\n',
    "def f(x):\n    y = 1\n    «# TODO: sort\n    # them»\n\n\ndef g():\n    return 1\n",
    "def f(x):\n    «# FIXME»",
    # what stays
    "def f(x):\n    pass\n    return 1\n",
    "def f(x):\n    y()\n    raise NotImplementedError\n",
    "def f(x):\n    if x:\n        raise NotImplementedError(x)\n    return 1\n",
    "def f(x):\n    raise NotImplementedError from x\n",
    "try:\n    f()\nexcept E:\n    pass\nfinally:\n    ...\n",
    "match x:\n    case 1:\n        pass\n",
    "class E(Exception):\n    pass\n",
    "class P(Protocol[T]):\n    def f(self): ...\n    @x\n    def g(self):\n        pass\n",
    "class A(ABC):\n    @abc.abstractmethod\n    def f(self):\n        raise NotImplementedError\n",
    "@overload\ndef f(x: int) -> int: ...\n",
    "x: tuple[int, ...] = ...\ny = a[..., 1]\nf(...)\nz = ...\n",
    "x: int\nclass A:\n    y: int = ...\n",
    's = """\n<|hole|>\n    # TODO\n    pass\n"""\n',
    "def f(x):\n    # TODO: faster\n    return 1\n",
    "def f(x):\n    return 1\n    # TODO: dead\n",
    "# TODO: a file\n",
    "password = bypass\n",
]
OTHERS = [
    ("rust", 'fn f() -> i32 { «todo!()» }\nfn g() { «unimplemented!("a");» let x = «todo!()»; }\n'),
    ("rust", 'fn f() { g(todo!()); let s = "todo!()"; match x { 1 => «todo!()», _ => 2 } }\n'),
    ("typescript", "function f() {\n  «throw new Error('Not implemented yet');»\n}\n"),
    ("javascript", 'f = () => { throw new Error("bad"); };\ns = "throw new Error(\'not implemented\')";\n'),
    ("typescriptreact", "class A {\n  m(...xs: number[]) {\n    «// TODO: sum»\n  }\n}\n"),
    ("javascript", "f(`${«<|hole|>»} <|hole|>`); // <|hole|>\n"),
    ("go", "func f(xs ...int) {\n\t«/* TODO: sum */»\n}\n"),
    ("lua", "function f(...)\n  «-- TODO: sum»\nend\n"),
    ("kotlin", 'fun f() {\n    «// TODO: sum»\n}\nval s = """\n<|hole|>\n...\n"""\nval x = «<|hole|>»\n'),
    ("gdscript", "func f():\n\t«pass»\n"),
    ("yaml", "a: 1\n...\n"),
    ("", "...\npass\n"),
]


@pytest.mark.parametrize(("language", "text"), [*(("python", text) for text in PYTHON), *OTHERS])
def test_holes_are_where_code_is_yet_to_be_written(language, text):
    assert marked(text.replace("«", "").replace("»", ""), language) == text


@pytest.mark.parametrize("text", ["def f(x:\n  «pass»\n", "def f(x):\n    «pass»\n)))\n"])
def test_a_file_that_does_not_parse_has_the_holes_that_can_be_told(text):
    assert marked(text.replace("«", "").replace("»", ""), "python") in (text, text.replace("«", "").replace("»", ""))


def test_a_file_that_declares_has_marks_alone():
    text = "def f(x): ...\nclass A:\n    # TODO: more\n"
    assert marked(text, "python", is_declaration=True) == text
    assert holes_in(text + "y = <|hole|>\n", "python", is_declaration=True)


def test_a_hole_of_whole_lines_takes_a_block_and_shows_its_comment():
    (first, second) = holes_in("def f():\n    # TODO: sum\n\ndef g(x):\n    return <|hole|>\n", "python")
    assert (first.mode, first.lead) == ("block", "# TODO: sum\n    ")
    assert (second.mode, second.lead) == ("line", "")


def test_the_nearest_holes_come_in_order_of_the_text():
    holes = holes_in("x = <|hole|>\n" * 9, "python")
    assert nearest(holes, 13 * 4, 3) == holes[2:5]
    assert nearest(holes, 0, 3) == holes[:3]
    assert nearest(holes, 0, 99) == holes


@pytest.mark.parametrize(
    ("text", "nothing"),
    [
        ("", True),
        ("...", True),
        ("# sorts\n    pass", True),
        ("return ...", True),
        ("return ;", True),
        ("return\n    pass", True),
        ("return x;", False),
        ('throw new Error("not implemented");', True),
        ("throw new Error(`unknown ${x}`);", False),
        ("return None", False),
        ("# sorts\n    return 1", False),
        ("# " * 5_000 + "\nx", False),
    ],
)
def test_a_text_of_stubs_says_nothing(text, nothing):
    assert says_nothing(text) == nothing


STUBS = ("...", "pass", "<|hole|>", "// TODO x", "# FIXME", "todo!()", "raise NotImplementedError", "class A:")
PIECES = st.sampled_from(
    [*"\n \t\"'`#é:{}()", "\r\n", "    ", "def f():", "throw new Error('not implemented')", *STUBS]
)


@given(
    st.lists(PIECES, max_size=40).map("".join), st.sampled_from(["python", "rust", "typescript", "go", "kotlin", ""])
)
def test_holes_are_disjoint_and_in_order(text, language):
    at = 0
    for hole in holes_in(text, language):
        assert at <= hole.start < hole.end <= len(text)
        assert text[hole.start : hole.end].strip()
        at = hole.end


@pytest.mark.parametrize("language", ["python", "kotlin"])
def test_thousands_of_holes_are_found(language):
    assert len(holes_in("def f(x):\n    # TODO: sort\n\n" * 4_000, language)) == 4_000
