import pytest
from marked_edits import unmarked

from coder_model.text.calls import outdated_calls
from coder_model.text.syntax_nodes import Parsed
from coder_model.text.token_edits import Change, changed


def check(language, text):
    """`{{old||new}}` was edited by hand; `«old|new»` follows, with `?` for what is to be written."""
    before, after, edited, whole = unmarked(text)
    calls = outdated_calls(Parsed.of(before, language), Parsed.of(after, language), edited)
    changes = []
    for call in calls:
        for change in call.changes:
            written = "?".join(call.hole) if call.hole else change.text
            changes.append(Change(change.start, change.end, written))
            assert call.hole is None or "".join(call.hole) == change.text
    assert changed(after, changes) == whole


@pytest.mark.parametrize(
    ("language", "text"),
    [
        ("python", "def f(a{{||, b}}):\n    pass\nf(1«|, ?»)\nx.f(g(2)«|, ?»)\nf(1, 2)\n"),
        ("python", "def f({{||a}}):\n    pass\nf(«|?»)\n"),
        ("typescript", "class A { constructor(readonly x: number{{||, readonly y: number}}) {} }\nnew A(1«|, ?»);\n"),
        ("typescript", "const f = ({{||c: C, }}a: T) => a;\nf(«|?, »1);\n"),
        ("go", "func (s *S) Get({{||ctx context.Context, }}key string) {}\nfunc g() { s.Get(«|?, »1) }\n"),
        ("go", "func f(a, b int{{||, c string}}) {}\nfunc g() { f(1, 2«|, ?») }\n"),
        ("rust", "impl S { fn get(&self, a: u32{{||, b: bool}}) {} }\nfn main() { s.get(1«|, ?»); }\n"),
        ("java", "class A { A(int a{{||, String b}}) {}\n  A f() { return new A(1«|, ?»); } }\n"),
        ("lua", "function M.f(a{{||, b}}) end\nM.f(1«|, ?»)\n"),
        ("c", "int f(int *a{{||, size_t n}}) { return 0; }\nint main(void) { return f(x«|, ?»); }\n"),
        ("cpp", "double S::f(int a{{||, int b}}) { return 0; }\nint main() { s.f(1«|, ?»); }\n"),
    ],
)
def test_a_parameter_more_asks_for_an_argument(language, text):
    check(language, text)


@pytest.mark.parametrize(
    ("language", "text"),
    [
        ("python", "class A:\n  def __init__(self, {{a, ||}}b: int):\n    pass\nA(«1, |»2)\nA(3)\n"),
        ("python", "def f({{a||}}):\n    pass\nf(«1|»)\n"),
        ("rust", "impl S { fn new(a: u32{{, b: bool||}}) {} }\nfn main() { S::new(1«, true|»); }\n"),
        ("javascript", "function f(a{{, b||}}, c) {}\nf(1«, g(2, 3)|», 4);\n"),
    ],
)
def test_a_parameter_less_takes_its_argument_away(language, text):
    check(language, text)


def test_parameters_that_change_places_take_their_arguments_with_them():
    check("python", "class A:\n  def m(self, {{a, b||b, a}}):\n    pass\nA().m(«1|g(2)», «g(2)|1»)\nA().m(3, 3)\n")


@pytest.mark.parametrize(
    ("language", "text"),
    [
        ("python", "def f(a{{||, b=1}}):\n    pass\nf(1)\n"),
        ("python", "def f(a{{||, *b}}):\n    pass\nf(1)\n"),
        ("typescript", "function f(a: T{{||, b?: T}}) {}\nf(1);\n"),
        ("python", "def f({{a||b}}):\n    pass\nf(1)\n"),
        ("python", "def f(a{{||, b}}):\n    pass\nf(a=1)\nf(*x)\nf()\n"),
        ("python", "def f(a):\n    return {{a||a + 1}}\nf(1)\n"),
        ("cpp", "void f(int a) {}\nvoid f(S a{{||, int b}}) {}\nint main() { f(1); }\n"),
        ("python", "def f(a{{||, b}}):\n    pass\ndef g():\n    def f(a): pass\n    f(1)\n"),
    ],
)
def test_calls_that_still_fit_or_cannot_be_told_apart_stay(language, text):
    check(language, text)
