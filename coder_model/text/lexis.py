"""What a language's strings and comments look like, as far as finding its brackets needs it; data and its patterns.

Knows no grammar: where one exists, the syntax tree has the last word (`syntax`).
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import cache

_CHARACTER = r"'(?:\\[^\n'][^'\n]{0,9}|\\'|[^'\\\n])'"
_ANGLE = r"(?<=[\w:])<(?=[\w\s&'?>*,]|$)"


@dataclass(frozen=True)
class Text:
    """A kind of text in which brackets mean nothing: a string or a comment."""

    closer: str
    escapes: bool = True
    lines: bool = False
    """True when it may go on over a line end."""
    interpolations: tuple[tuple[str, str], ...] = ()
    """What opens code inside it, and what closes that."""
    doubled: tuple[str, ...] = ()
    """What is text although it looks like one of those."""
    comment: bool = False

    @property
    def pattern(self) -> re.Pattern[str]:
        """Finds what matters inside."""
        return _inside(self)


@cache
def _inside(text: Text) -> re.Pattern[str]:
    # where a brace that is text is written twice, one alone is a fault
    alone = [text.interpolations[0][1]] if text.doubled else []
    parts = [*text.doubled, *(opener for opener, _ in text.interpolations), text.closer, *alone]
    escape = [r"\\(?!\()(?s:.)"] if text.escapes else []
    newline = [] if text.lines else ["\n"]
    return re.compile("|".join([*escape, *map(re.escape, parts), *newline]))


@dataclass(frozen=True)
class Lexis:
    """How one language writes strings and comments."""

    line_comments: tuple[str, ...] = ()
    """Patterns."""
    block_comments: tuple[tuple[str, str], ...] = ()
    strings: dict[str, Text] = field(default_factory=dict)
    """By what opens them, longest first."""
    characters: bool = False
    """True when one character stands between apostrophes, and any other apostrophe is none of a string."""
    regexes: bool = False
    angles: bool = False
    """True when a type's arguments stand between `<` and `>`."""
    prefixes: str = ""
    """Letters that may stand before a quote."""
    loose: bool = False
    """True when brackets need not be closed: prose, and shells' patterns."""
    quoted: bool = False
    """True when quotes must be, although it is loose."""

    def pattern(self, in_angles: bool) -> re.Pattern[str]:
        """Finds what matters in code, by named group; among the arguments of a type also what closes them."""
        block = tuple(opener for opener, _ in self.block_comments)
        kinds = self.characters, self.regexes, self.angles, in_angles
        return _code(self.line_comments, block, tuple(self.strings), kinds)


@cache
def _code(
    line: tuple[str, ...], block: tuple[str, ...], strings: tuple[str, ...], kinds: tuple[bool, bool, bool, bool]
) -> re.Pattern[str]:
    characters, regexes, angles, in_angles = kinds
    groups = [
        f"(?P<block>{'|'.join(map(re.escape, block))})" if block else "",
        f"(?P<line>{'|'.join(line)})" if line else "",
        r"(?P<raw>(?<!\w)(?:b|c)?r(?P<hashes>#{0,4})\"|(?<!\w)R\"(?P<mark>[^\s()\\]{0,16})\()" if characters else "",
        f"(?P<character>{_CHARACTER})" if characters else "",
        f"(?P<string>{'|'.join(map(re.escape, strings))})" if strings else "",
        "(?P<regex>/)" if regexes else "",
        f"(?P<angle>{_ANGLE})" if angles else "",
        r"(?P<open>[(\[{])",
        rf"(?P<close>[)\]}}{'>' if in_angles else ''}])",
    ]
    return re.compile("|".join(filter(None, groups)))


_SLASHES, _C_BLOCKS = ("//",), (("/*", "*/"),)
_HASH = (r"(?:(?<=\s)|^)\#|(?m:^)\#",)
_DOUBLE, _SINGLE = Text('"'), Text("'")


def _python() -> Lexis:
    strings = {'"""': Text('"""', lines=True), "'''": Text("'''", lines=True), '"': _DOUBLE, "'": _SINGLE}
    return Lexis(line_comments=("#",), strings=strings, prefixes="rRbBuUfFtT")


def _script() -> Lexis:
    template = Text("`", lines=True, interpolations=(("${", "}"),))
    return Lexis(_SLASHES, _C_BLOCKS, strings={'"': _DOUBLE, "'": _SINGLE, "`": template}, regexes=True)


def _typed(strings: dict[str, Text], *, angles: bool = True) -> Lexis:
    return Lexis(_SLASHES, _C_BLOCKS, strings=strings, characters=True, angles=angles)


def _with_code(opener: str, closer: str = "}", *, lines: bool = False) -> Text:
    return Text('"', lines=lines, interpolations=((opener, closer),))


def _lua() -> Lexis:
    long = {f"[{'=' * n}[": Text(f"]{'=' * n}]", escapes=False, lines=True) for n in (2, 1, 0)}
    blocks = tuple((f"--[{'=' * n}[", f"]{'=' * n}]") for n in (1, 0))
    return Lexis(("--",), blocks, {**long, '"': _DOUBLE, "'": _SINGLE})


def _php() -> Lexis:
    strings = {'"': _with_code("{$", lines=True), "'": Text("'", lines=True)}
    return Lexis((*_HASH, "//"), (("/*", "*/"),), strings)


_TRIPLE = {'"""': Text('"""', lines=True)}
_SHELL = {'"': Text('"', lines=True, interpolations=(("${", "}"), ("$(", ")"))), "'": Text("'", False, True)}
_RUBY = {'"': _with_code("#{", lines=True), "'": Text("'", lines=True), "`": Text("`", interpolations=(("#{", "}"),))}
_MARKUP = Lexis(block_comments=(("<!--", "-->"),), strings={'"': _DOUBLE}, loose=True, quoted=True)
# an apostrophe quotes what follows, and nothing ends it
_LISP = Lexis((";",), (("#|", "|#"),), {'"': Text('"', lines=True)})
_GO = {"`": Text("`", False, True), '"': _DOUBLE}
_SCRIPT = _script()
_TYPESCRIPT = Lexis(_SLASHES, _C_BLOCKS, strings=_SCRIPT.strings, regexes=True, angles=True)
_LEXES: dict[str, Lexis] = {
    "python": _python(),
    "starlark": _python(),
    "javascript": _SCRIPT,
    "javascriptreact": _SCRIPT,
    "typescript": _TYPESCRIPT,
    "typescriptreact": _TYPESCRIPT,
    "go": _typed(_GO, angles=False),
    "rust": _typed({'"': Text('"', lines=True)}),
    "c": _typed({'"': _DOUBLE}, angles=False),
    "cpp": _typed({'"': _DOUBLE}),
    "objective-c": _typed({'"': _DOUBLE}, angles=False),
    "java": _typed({**_TRIPLE, '"': _DOUBLE}),
    "csharp": _typed(
        {
            '"""': Text('"""', False, True),
            '$"': Text('"', interpolations=(("{", "}"),), doubled=("{{", "}}")),
            '@"': Text('"', False, True),
            '"': _DOUBLE,
        }
    ),
    "kotlin": _typed({'"""': Text('"""', False, True, (("${", "}"),)), '"': _with_code("${")}),
    "scala": _typed({'"""': Text('"""', False, True, (("${", "}"),)), '"': _with_code("${")}),
    "swift": _typed({'"""': Text('"""', lines=True, interpolations=(("\\(", ")"),)), '"': _with_code("\\(", ")")}),
    "dart": Lexis(
        _SLASHES,
        _C_BLOCKS,
        strings={**_TRIPLE, '"': _with_code("${"), "'": Text("'", interpolations=(("${", "}"),))},
        angles=True,
    ),
    "groovy": Lexis(_SLASHES, _C_BLOCKS, strings={**_TRIPLE, '"': _with_code("${"), "'": _SINGLE}),
    "zig": _typed({'"': _DOUBLE}, angles=False),
    "php": _php(),
    "lua": _lua(),
    "ruby": Lexis(("#",), strings=_RUBY),
    "crystal": Lexis(("#",), strings=_RUBY),
    "elixir": Lexis(("#",), strings={'"""': Text('"""', lines=True, interpolations=(("#{", "}"),)), **_RUBY}),
    "julia": Lexis(("#",), strings={**_TRIPLE, '"': _with_code("$(", ")", lines=True)}, characters=True),
    "r": Lexis(("#",), strings={'"': Text('"', lines=True), "'": Text("'", lines=True)}),
    "perl": Lexis(_HASH, strings={'"': Text('"', lines=True), "'": Text("'", lines=True)}),
    "sql": Lexis(("--",), (("/*", "*/"),), {"'": Text("'", False, True), '"': Text('"', False, True)}),
    "css": Lexis((), (("/*", "*/"),), {'"': _DOUBLE, "'": _SINGLE}),
    "scss": Lexis(_SLASHES, _C_BLOCKS, strings={'"': _DOUBLE, "'": _SINGLE}),
    "less": Lexis(_SLASHES, _C_BLOCKS, strings={'"': _DOUBLE, "'": _SINGLE}),
    "json": Lexis(strings={'"': _DOUBLE}),
    "jsonc": Lexis(_SLASHES, _C_BLOCKS, strings={'"': _DOUBLE}),
    "toml": Lexis(("#",), strings={**_TRIPLE, "'''": Text("'''", False, True), '"': _DOUBLE, "'": Text("'", False)}),
    "yaml": Lexis(_HASH, strings={'"': Text('"', lines=True), "'": Text("'", False, True)}, loose=True, quoted=True),
    "shellscript": Lexis(_HASH, strings=_SHELL, loose=True, quoted=True),
    "dockerfile": Lexis(_HASH, strings=_SHELL, loose=True, quoted=True),
    "makefile": Lexis(("#",), strings={}, loose=True),
    "html": _MARKUP,
    "xml": _MARKUP,
    "svg": _MARKUP,
    "vue": _MARKUP,
    "svelte": _MARKUP,
    "markdown": Lexis(loose=True),
    "plaintext": Lexis(loose=True),
    "latex": Lexis(("%",), loose=True),
}
_LEXES["sh"] = _LEXES["bash"] = _LEXES["zsh"] = _LEXES["shellscript"]
_LEXES["objective-cpp"] = _LEXES["cuda-cpp"] = _LEXES["cpp"]
_LEXES |= dict.fromkeys(("clojure", "scheme", "racket", "lisp", "commonlisp", "emacs-lisp", "elisp", "fennel"), _LISP)
# nothing is known of other languages: quotes, and comments where they can hardly be anything else
_OTHER = Lexis((r"//", r"(?<=\s)# "), (("/*", "*/"),), {'"': _DOUBLE, "'": _SINGLE, "`": Text("`")}, loose=True)


def lexis_of(language: str) -> Lexis:
    """Returns how a language writes strings and comments; a guess for one that is not known."""
    return _LEXES.get(language, _OTHER)


def as_comment(text: str, language: str) -> str:
    """Returns one line of text as a comment of a language; a guess for one that is not known."""
    lexis = lexis_of(language)
    for opener in ("//", "#", "--", ";"):
        if any(re.fullmatch(pattern, opener) for pattern in lexis.line_comments):
            return f"{opener} {text}"
    return " ".join([lexis.block_comments[0][0], text, lexis.block_comments[0][1]]) if lexis.block_comments else text
