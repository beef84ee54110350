"""What is open at a cursor and what a middle may close, in many languages, and that no middle breaks what is closed."""

import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from coder_model.text.brackets import BLOCK, faults, may_close, open_at, scan
from coder_model.text.fill_region import FillRegion
from coder_model.text.stop_rules import StopRules
from coder_model.text.syntax import errors_in, has_grammar
from coder_model.types import FillRequest

FILES = Path(__file__).parent / "files"
LANGUAGES = {
    "py": "python",
    "js": "javascript",
    "ts": "typescript",
    "tsx": "typescriptreact",
    "go": "go",
    "rs": "rust",
    "lua": "lua",
    "java": "java",
    "c": "c",
    "cpp": "cpp",
    "rb": "ruby",
    "kt": "kotlin",
}
SOURCES = [
    pytest.param(file.read_text("utf-8"), LANGUAGES[file.suffix[1:]], id=file.name) for file in sorted(FILES.iterdir())
]
PAIR = re.compile(r"\(([^()\n]*)\)|\[([^\[\]\n]*)\]|\{([^{}\n]*)\}|\"([^\"\\\n]*)\"|'([^'\\\n]{2,})'")
MIDDLES = st.text(alphabet="ab ()[]{}\"'`<>,;:.=#/\\$\n", max_size=12)


def at_cursor(text):
    return text.split("‸")


@pytest.mark.parametrize(
    ("language", "text", "opened", "closes"),
    [
        ("javascript", 'router.get("‸", (q, r) => {\n  r.end();\n});\n', ')"', 0),
        ("javascript", "const two = post({‸}\n", ")}", 0),
        ("javascript", "const a = `x ${‸}`;\n", "`}", 0),
        ("javascript", 'const a = /[("]/.test(‸);\n', ")", 0),
        ("python", "second = join(scale(‸),\n              scale(5, 6))\n", "))", 0),
        ("python", "x = f(g(‸)\n", "))", 1),
        ("python", "x = f(g(‸\n", "))", 2),
        ("python", 'print("abc‸)\n', ')"', 1),
        ("python", 'a = f"{x}: {‸}"\n', '"}', 0),
        ("python", 'a = f"{{‸}}"\n', '"', 0),
        ("python", 'a = r"\\("\nb = f(‸)\n', ")", 0),
        ("python", "x = 1  # don't (\ny = f(‸)\n", ")", 0),
        ("python", '"""It\'s (\n"""\ny = f(‸)\n', ")", 0),
        ("rust", "fn name<'a>(x: &'a X) -> &'a str { pick(‸) }\n", "})", 0),
        ("rust", "let a = ['(', '\\'', f(‸)];\n", "])", 0),
        ("rust", 'let a = r#"("#; f(‸);\n', ")", 0),
        ("rust", "let a: Vec<‸> = Vec::new();\n", ">", 0),
        ("java", "private List<‸> names;\n", ">", 0),
        ("java", "private Map<String, List<‸>> names;\n", ">>", 0),
        ("java", "if (a <‸) {\n}\n", ")", 0),
        ("typescript", "const a: Promise<‸> = b();\n", ">", 0),
        ("cpp", "int n = 1'000'000; f(‸);\n", ")", 0),
        ("cpp", 'auto a = R"x(()x"; f(‸);\n', ")", 0),
        ("c", "char a = '('; /* don't ( */ f(‸);\n", ")", 0),
        ("go", "a := `it's (`\nb := f('(', ‸)\n", ")", 0),
        ("lua", "--[[ ( ]] a = [[ ( ]] f(‸)\n", ")", 0),
        ("ruby", 'a = "#{b(‸)}" # it\'s (\n', '"})', 0),
        ("kotlin", 'val a = "${f(‸)}"\n', '"})', 0),
        ("csharp", 'var a = $"{b}: {‸}";\n', '"}', 0),
        ("shellscript", 'a="${b}$(c "‸")"\n', '")"', 0),
        ("clojure", "(foo '(1 2‸))\n", "))", 0),
        ("scheme", "(define x '(1 ‸)) ; don't (\n", "))", 0),
        ("racket", '(f "it\'s\n(" #| ( |# ‸)\n', ")", 0),
    ],
)
def test_what_is_open_is_known_by_kind(language, text, opened, closes):
    prefix, suffix = at_cursor(text)
    cursor, count, _ = may_close(prefix, suffix, language)
    assert "".join(frame.closer for frame in cursor.frames) == opened
    assert count == closes


@pytest.mark.parametrize(
    ("language", "text", "middle", "expect"),
    [
        ("go", "x := f(g(‸),\n\th(1))\n", "a), b", "a"),
        ("clojure", "(foo '(1 2‸))\n", " 3)) (bar", " 3"),
        ("rust", "let x = f(g(‸),\n    h(1));\n", "a)", "a"),
        ("java", 'x.on("‸", () -> {\n    y();\n});\n', 'go", () -> {', "go"),
        ("typescript", "x.on('‸', () => {\n  y();\n});\n", "go', () => {", "go"),
        ("lua", "x = { f(‸), 2,\n  3 }\n", "a) }", "a"),
        ("c", "int a[] = {f(‸)\n", "1)};", "1"),
        ("c", "int a[] = {f(‸)\n};\n", "1)};", "1"),
        ("cpp", "std::vector<‸> a;\n", "int> b", "int"),
        ("java", "List<‸> a;\n", "Map<String, Integer>", "Map<String, Integer>"),
        ("kotlin", 'val a = "${‸}"\n', "b}", "b"),
        ("ruby", 'a = "#{‸}"\n', "b}", "b"),
        ("typescript", "const a = css`\n  padding: var(--a, ‸)\n`;\n", "1px) b", "1px"),
        ("python", "# see scale(‸)\n", "x) there", "x"),
        ("javascript", "// don't call f(g(‸)\n", "a)) b", "a)"),
        ("python", "x = [f(‸]\n", "a)", "a)"),
        ("python", "x = f(‸)\n", "a]", "a"),
    ],
)
def test_a_middle_leaves_what_follows_to_what_follows(language, text, middle, expect):
    prefix, suffix = at_cursor(text)
    assert StopRules.of(prefix, suffix, "line", language).trim(middle) == expect


@pytest.mark.parametrize(("text", "language"), SOURCES)
def test_a_file_that_works_has_no_faults(text, language):
    assert faults(text, language) == 0
    assert not has_grammar(language) or errors_in(text, language) == 0


@pytest.mark.parametrize(("text", "language"), SOURCES)
def test_what_is_remembered_is_what_reading_it_all_says(text, language):
    long = text * (2 * BLOCK // len(text) + 2)
    for at in range(0, len(long), 997):
        whole = [frame.closer for frame in scan(long[:at], language).frames if frame.closer != ">"]
        near = [frame.closer for frame in open_at(long[:at], long[at:], language).frames if frame.closer != ">"]
        assert near == whole


@pytest.mark.parametrize(("text", "language"), SOURCES)
def test_no_middle_breaks_a_file_where_the_editor_has_closed_a_pair(text, language):
    """Every place of a pair, and whatever a model may say there."""
    pairs = list(PAIR.finditer(text))

    @settings(max_examples=60)
    @given(st.sampled_from(pairs), MIDDLES, st.sampled_from(["whole", "line", "statement"]), st.booleans())
    def holds(pair, middle, way, is_old):
        prefix, suffix = text[: pair.start() + 1], text[pair.end() - 1 :]
        if way == "line":
            suffix = suffix[0] + "\n" + suffix.partition("\n")[2]
        elif way == "statement":
            suffix = suffix[0] + "\n" + suffix.partition("\n\n")[2]
        said = pair.group()[1:-1] + middle if is_old else middle
        region = FillRegion.of(FillRequest("s", prefix, suffix, language=language))
        shown, _ = region.filter(region.trim(said), ())
        count = errors_in if has_grammar(language) else faults
        assert count(prefix + shown + suffix, language) <= count(prefix + suffix, language)

    holds()


@pytest.mark.parametrize(("text", "language"), SOURCES)
def test_what_stood_between_a_pair_is_a_good_middle(text, language):
    """The mends take nothing away that was right."""
    for pair in PAIR.finditer(text):
        if pair.group()[0] == "'" and language == "rust":
            # two lifetimes
            continue
        prefix, suffix = text[: pair.start() + 1], text[pair.end() - 1 :]
        said = pair.group()[1:-1]
        region = FillRegion.of(FillRequest("s", prefix, suffix, language=language))
        assert region.filter(region.trim(said), ("line_above", "whitespace"))[0] == said
