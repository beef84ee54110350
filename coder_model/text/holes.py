"""The holes that somebody has left in a file: stubs and marks that are to be filled. Torch-free, pure.

Regular expressions find what may be one, and the syntax tree decides (`stubs.py`), where there is a grammar; elsewhere
a stub has a line of its own, outside of strings. Nothing is a hole inside a string, nor as a part of an expression,
but the mark, which stands for any code.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

from tree_sitter import Tree

from coder_model.text.brackets import Frame, scan
from coder_model.text.stubs import StubKind, stub_at, text_around
from coder_model.text.syntax import parse
from coder_model.types import HoleMode

MARK = "<|hole|>"
NEAR_CHARS = 4_000
"""Code points around a comment that are searched for the lines that go on with it, or with its block."""
_NAME = "_unmask_"
"""Stands for the mark where a text is parsed, and is as long."""
_MARK = re.compile(re.escape(MARK))
_THROW = (
    r"""throw\s+new\s+Error\(\s*(["'`])(?i:(?:(?!\1)[^\n])*\bnot\s+(?:yet\s+)?implemented\b(?:(?!\1)[^\n])*)\1\s*\)"""
)
_STUBS: dict[str, dict[StubKind, re.Pattern[str]]] = {
    "python": {
        "ellipsis": re.compile(r"(?<!\.)\.\.\.(?!\.)"),
        "pass": re.compile(r"\bpass\b"),
        "not_implemented": re.compile(r"\braise\s+NotImplementedError\b"),
    },
    "rust": {"todo_macro": re.compile(r"\b(?:todo|unimplemented)!")},
    "typescript": {"throw": re.compile(rf"\b{_THROW}")},
}
_FAMILY = {"javascript": "typescript", "javascriptreact": "typescript", "typescriptreact": "typescript"}
_COMMENT = re.compile(
    r"^[ \t]+(?:(?:\#|//|--)[ \t]*(?:TODO|FIXME)\b[^\r\n]*"
    r"|/\*[ \t]*(?:TODO|FIXME)\b(?:(?!\*/)[^\r\n])*\*/[ \t]*)(?=\r?$|\r)",
    re.MULTILINE,
)
_LINE = re.compile(r"^[ \t]*(?:\.\.\.|pass)[ \t]*(?=\r?$|\r)", re.MULTILINE)
_DOTS_SAY_SOMETHING = {"", "yaml", "markdown", "plaintext", "restructuredtext", "latex"}
"""Languages in which a line `...` is no stub."""
_ENDS_BLOCK = re.compile(r"(?:return|raise|throw|break|continue)\b")
_ONLY_STUBS = re.compile(
    r"(?:\s|[;{}]|\.\.\.|pass\b|raise NotImplementedError\b(?:\([^\n]*\))?|(?:todo|unimplemented)!\([^\n]*\)"
    rf"|return\b[ \t]*(?:\.\.\.|;|$)|(?:\#|//|--)[^\n]*|/\*.*?\*/|{re.escape(MARK)}|{_THROW})*+",
    re.DOTALL | re.MULTILINE,
)


@dataclass(frozen=True, slots=True)
class Hole:
    """A range of a text that is to be replaced."""

    start: int
    """Code point, from 0."""
    end: int
    """Behind the last code point."""
    mode: HoleMode
    lead: str = ""
    """Shown to the model before the hole: a comment that is replaced but says what is wanted."""


@lru_cache(maxsize=4)
def holes_in(text: str, language: str, is_declaration: bool = False) -> tuple[Hole, ...]:
    """Returns the holes of a text, disjoint and in order.

    What stays: bodies of abstract methods, overloads and protocols; `pass` or `...` that is not all of its body, that
    says that an exception or a case is passed over, or that is the body of a class with bases; a
    `raise NotImplementedError` that is not all of a function; a comment in a block that goes on behind it.

    Args:
        text: of a file, without lone surrogates.
        language: LSP language id.
        is_declaration: True for a file that declares and has no code, as `.pyi`: the mark alone is a hole there.
    """
    family = _FAMILY.get(language, language)
    if not any(pattern.search(text) for pattern in (_MARK, _COMMENT, _LINE, *_STUBS.get(family, {}).values())):
        return ()
    # one byte for each code point
    shown = re.sub(r"[^\x00-\x7f]", "x", text.replace(MARK, _NAME))
    if tree := parse(shown, language):
        found = list(_by_syntax(text, shown, tree, {} if is_declaration else _STUBS.get(family, {})))
    else:
        found = list(_by_line(text, language))
    if not is_declaration:
        found += _comments(text, language, tree)
    disjoint: list[Hole] = []
    for hole in sorted(found, key=lambda hole: (hole.start, -hole.end)):
        if not disjoint or hole.start >= disjoint[-1].end:
            disjoint.append(hole)
    return tuple(disjoint)


def nearest(holes: tuple[Hole, ...], at: int, most: int) -> tuple[Hole, ...]:
    """Returns the `most` holes that are nearest to a code point, in order of the text."""
    near = sorted(holes, key=lambda hole: max(hole.start - at, at - hole.end, 0))[:most]
    return tuple(sorted(near, key=lambda hole: hole.start))


def says_nothing(text: str) -> bool:
    """Returns True for a text of stubs and comments alone."""
    return _ONLY_STUBS.fullmatch(text) is not None


def _by_syntax(text: str, shown: str, tree: Tree, stubs: dict[StubKind, re.Pattern[str]]) -> Iterator[Hole]:
    for match in _MARK.finditer(text):
        node = tree.root_node.descendant_for_byte_range(*match.span())
        if node and not text_around(node):
            yield _hole(text, *match.span())
    for kind, pattern in stubs.items():
        for match in pattern.finditer(shown):
            # its first word
            node = tree.root_node.descendant_for_byte_range(match.start(), match.start() + 3)
            if node and (found := stub_at(node, match.start(), kind)):
                yield _hole(text, *found)


def _by_line(text: str, language: str) -> Iterator[Hole]:
    """Marks anywhere, and stubs on lines of their own, outside of strings and comments."""
    dots = [] if language in _DOTS_SAY_SOMETHING else _LINE.finditer(text)
    matches = sorted((*_MARK.finditer(text), *dots), key=lambda match: match.start())
    is_code = CodeBefore(text, language)
    for match in matches:
        if is_code(match.start()):
            blanks = len(match.group()) - len(match.group().lstrip())
            yield _hole(text, match.start() + blanks, match.start() + len(match.group().rstrip()))


class CodeBefore:
    """Tells of ascending offsets whether they are outside of strings and comments, reading the text once."""

    def __init__(self, text: str, language: str) -> None:
        self._text, self._language, self._at = text, language, 0
        self._frames: list[Frame] = []

    def __call__(self, offset: int) -> bool:
        """Returns whether what stands at an offset is code; none may be less than the one before it."""
        self._frames = scan(self._text[:offset], self._language, self._frames, self._at).frames
        self._at = offset
        return not self._frames or self._frames[-1].text is None


def _hole(text: str, start: int, end: int) -> Hole:
    before = text[text.rfind("\n", 0, start) + 1 : start]
    after = text[end : (text + "\n").index("\n", end)]
    if before.strip() and before.rstrip().endswith(":") and not after.strip():
        # a body on the line of its head: the model may begin a line
        return Hole(len(text[:start].rstrip(" \t")), end, "block")
    return Hole(start, end, "line" if before.strip() or after.strip() else "block")


def _comments(text: str, language: str, tree: Tree | None) -> Iterator[Hole]:
    is_code = CodeBefore(text, language)
    for match in _COMMENT.finditer(text):
        at = match.start() + len(match.group()) - len(match.group().lstrip())
        node = tree.root_node.descendant_for_byte_range(at, at + 1) if tree else None
        is_comment = text_around(node) == "comment" if node else is_code(match.start())
        if is_comment and (hole := _comment(text, at, match.end())):
            yield hole


def _comment(text: str, start: int, end: int) -> Hole | None:
    """The comment and those that go on with it, if their block ends behind them and may go on."""
    line = text.rfind("\n", 0, start) + 1
    blanks, opener = text[line:start], text[start : start + 2].rstrip(" tT")
    for after in text[end : end + NEAR_CHARS].split("\n")[1:]:
        if not after.startswith(blanks + opener) or after.lstrip()[len(opener) :].lstrip().startswith(
            ("TODO", "FIXME")
        ):
            break
        end = text.index("\n", end) + 1 + len(after.rstrip("\r"))
    following = next((one for one in text[end : end + NEAR_CHARS].split("\n")[1:] if one.strip()), "")
    above = next((one for one in reversed(text[max(0, line - NEAR_CHARS) : line].split("\n")) if one.strip()), "")
    goes_on = len(following) - len(following.lstrip()) >= len(blanks) and following.strip()
    is_dead = above.startswith(blanks) and _ENDS_BLOCK.match(above, len(blanks))
    if goes_on or is_dead:
        return None
    return Hole(start, end, "block", f"{text[start:end]}\n{blanks}")
