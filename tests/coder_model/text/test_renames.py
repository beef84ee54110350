import pytest
from marked_edits import row_around, unmarked

from coder_model.text.renames import MOST_PLACES, left_behind
from coder_model.text.syntax_nodes import Parsed
from coder_model.text.token_edits import changed


def check(language, text):
    """`{{old||new}}` was edited by hand; `«old|new»` follows, and nothing else."""
    before, after, (start, end), whole = unmarked(text)
    old = before[start : start + len(before) - len(after) + end - start]
    parsed = Parsed.of(after, language)
    changes = left_behind(parsed, old, after[start:end], [row_around(after, start, end)])
    assert changed(after, changes) == whole


PYTHON = [
    "def f({{w||width}}, h):\n    return «w|width» * h\ndef g(w): return w\nf(«w|width»=3, h=2)\ng(w=1)\n",
    "def {{area||size}}(w):\n    return w\nclass A:\n    def f(self):\n        return «area|size»(self.area)\n",
    "class A:\n    def __init__(self, name):\n        self.{{name||title}} = name\n"
    "    def f(self):\n        return self.«name|title»\n",
    "def f():\n    {{n||total}} = 0\n    for x in y:\n        «n|total» += x\n    «n|total» = «n|total» * 2\n",
    "from a import {{old||new}}\ndef f():\n    return «old|new»(1)\n",
    "for {{i||index}} in r:\n    print(f'{«i|index»}', «i|index»)\n",
    "'é'\nclass {{A||Base}}: ...\nclass B(«A|Base»): ...\n",
]
OTHERS = [
    ("typescript", "class A { constructor(private {{x||left}}: number) {}\n  f() { return this.«x|left»; } }\n"),
    ("typescript", "const f = ({{a||rows}}: T[]) => ({ «a|a: rows», n: «a|rows».length, k: b.map((a) => a.x) });\n"),
    ("javascript", "const {{MAX||LIMIT}} = 3;\nif (a > «MAX|LIMIT») { const MAX = 2; use(MAX); }\n"),
    (
        "go",
        "func (s *S) F({{n||size}} int) int {\n\tfor i := 0; i < «n|size»; i++ {\n\t\ts.n += 1\n\t}\n\treturn 0\n}\n",
    ),
    ("go", "type {{Store||Cache}} struct{}\nfunc New() *«Store|Cache» { return &«Store|Cache»{} }\n"),
    (
        "rust",
        "struct S { {{n||len}}: u8 }\nimpl S { fn f(n: u8) -> S { S { «n|len: n» } } fn g(&self) { self.«n|len»; } }\n",
    ),
    ("rust", "fn f({{n||len}}: u8) -> S { let m = «n|len»; S { «n|n: len» } }\n"),
    ("lua", "local function f({{n||count}})\n  local x = «n|count» + 1\n  t.n = x\nend\n"),
    ("lua", "local {{n||count}} = 0\nfor _ in p() do «n|count» = «n|count» + 1 end\n"),
    (
        "java",
        "class A { int {{n||count}}; int f() { return «n|count» + this.«n|count»; } int g(int n) { return n; } }\n",
    ),
    ("cpp", "class {{P||Q}} { public: «P|Q»(int x) : x(x) {} int f(); int x; };\nint «P|Q»::f() { return x; }\n"),
    ("c", "static int {{sum||total}}(int *v) { return v[0]; }\nint main(void) { return «sum|total»(0); }\n"),
]


USUAL = [
    (
        "python",
        "class Cache:\n    def {{get||fetch}}(self, k, d):\n        return d.get(k)\n    def f(self):\n"
        "        return self.«get|fetch»(1, {})\ncache = Cache()\ncache.«get|fetch»(1, {})\n{}.get(2)\n"
        "Cache().«get|fetch»(1, {})\n",
    ),
    ("python", "class A:\n    def f(self, name):\n        self.{{name||title}} = name\n        other.name = 1\n"),
    (
        "typescript",
        "class Q { {{push||add}}(x: T) { this.xs.push(x); } }\nconst q = new Q();\nq.«push|add»(1);\n[].push(2);\n",
    ),
    (
        "go",
        "func (q *Q) {{Len||Size}}() int { return len(q.xs) }\n"
        "func f(q *Q, r *R) int { return q.«Len|Size»() + r.«Len|Size»() }\n",
    ),
    ("go", "type Q struct{}\nfunc (q *Q) {{get||take}}() {}\nfunc f(q *Q, r R) { q.«get|take»(); r.get() }\n"),
    (
        "java",
        "class Q { void {{add||put}}(int x) { list.add(x); } }\n"
        "class B { void f(Q q, List<Q> l) { q.«add|put»(1); l.add(q); } }\n",
    ),
]


@pytest.mark.parametrize(("language", "text"), USUAL)
def test_a_member_that_many_things_have_is_renamed_where_the_text_says_whose_it_is(language, text):
    check(language, text)


@pytest.mark.parametrize("text", PYTHON)
def test_uses_of_a_name_follow_its_declaration(text):
    check("python", text)


@pytest.mark.parametrize(("language", "text"), OTHERS)
def test_uses_follow_in_every_language_that_has_a_grammar(language, text):
    check(language, text)


@pytest.mark.parametrize(
    ("language", "text"),
    [
        ("python", "n = 0\ndef f():\n    {{n||m}} = 1\n    return n\n"),
        ("python", "from a import n\ndef f():\n    {{n||m}} = 1\n    return n\n"),
        ("python", "def f(n):\n    {{n||m}} = 1\n    return n\n"),
        ("python", "def f(n, m):\n    return {{n||m}} + n\n"),
        ("python", "def f({{n||m}}):\n    m2 = m\n    return m + n\n"),
        ("python", "class A:\n    def f(self): self.{{n||m}} = 1\nclass B:\n    def f(self): self.n = self.n\n"),
        ("python", "f({{n||m}}=1)\nf(n=2)\n"),
        ("go", "func f() {\n\tx, n := 1, 2\n\t{{n||x}} = 3\n\tuse(n)\n}\n"),
        ("javascript", "import { n } from 'a';\nfunction f() { const {{n||m}} = 1; return n; }\n"),
    ],
)
def test_where_the_old_name_may_mean_something_else_nothing_follows(language, text):
    check(language, text)


def test_a_name_in_a_string_or_a_comment_is_none():
    check("python", "def f({{n||m}}):\n    # n\n    return 'n' + «n|m»\n")


def test_a_name_that_is_everywhere_is_left_to_other_means():
    uses = "    use(n)\n" * (MOST_PLACES + 1)
    assert left_behind(Parsed.of(f"def f(m):\n{uses}", "python"), "n", "m", [(0, 9)]) == []


def test_without_a_declaration_in_the_rows_nothing_follows():
    text = "def f(m):\n    return n\n"
    assert left_behind(Parsed.of(text, "python"), "n", "m", [(10, 22)]) == []
