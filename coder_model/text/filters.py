"""Filters on a finished middle: what a model should not have said, or what the document says already.

Each is a pure function of the text and its surroundings, and may only cut, drop or re-indent. Where a hole ends (its
line, its block's indentation, the brackets that the rest of the line closes) is not among them: decoding stops there
(`stop_rules.StopRules`).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

from coder_model.text.brackets import open_at
from coder_model.text.harm import Place
from coder_model.types import HoleMode

_MARK = re.compile(r"<\|[a-z_]{2,32}\|>|<fim_\w{2,16}>|<(?:SUF|MID|EOT)>")
_CONTROL = re.compile(r"[\0-\x08\x0b-\x1f\x7f-\x9f\ufffd]")
_REPEATED_PIECE = re.compile(r"(.{3,}?)\1{5,}$|(.{10,}?)\1{3,}$")
_CLOSERS = re.compile(r"\s*[)\]}>;,]*(?:end)?[)\]};,]*\s*$")
MOST_EQUAL_LINES = 3
"""Equal lines in a row that code may have; more are a loop of the model."""
_LONGEST_CIRCLE, _ROUND = 4, 12
"""Lines that come again and again, and lines above that are looked at for that."""
_NEAR = 3
"""Lines above that a new line is none of; in code one line in a hundred is."""
_SAYS_SOMETHING = re.compile(r"\w.*\w.*\w.*\w")
_NEVER_TABS = {"yaml", "dockercompose", "github-actions-workflow"}
_BY_INDENTATION = {"python", "yaml", "coffeescript", "haskell", "nim", "fsharp", "pug", "sass", *_NEVER_TABS}
_OPENS_BLOCK = re.compile(r"(?:[:({\[]|\b(?:do|then|else|begin)|=>|->)\s*(?:#.*|//.*)?$")
_DOUBLED = re.compile(r"[,;]|=>|->|::|&&|\|\||:(?!:)|\?\?")
_OPERATOR = re.compile(r"[-+*/%=<>|&^]|[-+*/%=<>!:]=")
_CLOSERS_ALONE = re.compile(r"[)\]}\"'`>]+[;,]?")
_LONGEST_OVERLAP, _LINES_GIVEN_UP = 80, 6


@dataclass(frozen=True)
class FilterContext:
    """The text around a hole."""

    prefix: str
    suffix: str
    hole: HoleMode
    language: str = ""

    @cached_property
    def line_before(self) -> str:
        """The cursor's line up to the cursor."""
        return self.prefix.rpartition("\n")[2]

    @cached_property
    def rest_of_line(self) -> str:
        """The cursor's line from the cursor on."""
        return self.suffix.partition("\n")[0]

    @cached_property
    def lines_after(self) -> list[str]:
        """The first lines after the cursor's that are not blank, without blanks around them."""
        found = (line.strip() for line in self.suffix.partition("\n")[2][:4_000].split("\n"))
        return [line for line in found if line][:3]

    @cached_property
    def lines_above(self) -> list[str]:
        """The last lines before the cursor's that are not blank, with their indentation."""
        return [line.rstrip() for line in self.prefix.rpartition("\n")[0][-4_000:].split("\n") if line.strip()][
            -_ROUND:
        ]

    @cached_property
    def in_text(self) -> bool:
        """True where the cursor stands in a string or a comment."""
        return open_at(self.prefix, self.suffix, self.language).in_text

    @cached_property
    def place(self) -> Place:
        """The hole, as a fault of a text in it is looked for."""
        return Place(self.prefix, self.suffix, self.language)

    @cached_property
    def unit(self) -> int:
        """Columns of one step of indentation, by the steps that the document has; 4 without any."""
        near = self.prefix[-8_000:] + self.suffix[:4_000]
        widths = [len(blanks) for blanks in re.findall(r"^( {1,8})(?=\S)", near, re.M)]
        return min((width for width in widths if width > 1), default=4)

    @cached_property
    def tabs(self) -> bool | None:
        """True where the document indents by tabs, False by spaces, None where it does not say."""
        if self.language in _NEVER_TABS:
            return False
        near = self.prefix[-8_000:] + self.suffix[:4_000]
        tabs, spaces = len(re.findall(r"^\t+\S", near, re.M)), len(re.findall(r"^ {2,}\S", near, re.M))
        return None if tabs == spaces else tabs > spaces


Filter = Callable[[str, FilterContext], str]
FilterName = Literal[
    "special_tokens",
    "repetition",
    "line_above",
    "already_there",
    "closing_line",
    "indentation",
    "punctuation",
    "whitespace",
    "harm",
]


def special_tokens(text: str, around: FilterContext) -> str:
    """Ends before the first mark of a prompt, which models leak, or character that no code has.

    A mark that the document itself holds is text. `<s>` and `<mask>` always are: they are tags, and a model of this
    engine cannot say its marks as text.
    """
    ends = [found.start() for found in [_CONTROL.search(text)] if found]
    for mark in _MARK.finditer(text):
        if mark.group() not in around.prefix and mark.group() not in around.suffix:
            ends.append(mark.start())
            break
    return text[: min(ends)] if ends else text


def repetition(text: str, _: FilterContext) -> str:
    """Ends where the model went in circles: inside its last line, or line by line."""
    head, last = text.rpartition("\n")[::2]
    circle = _REPEATED_PIECE.search(last)
    if circle and re.search(r"\w", circle.group()):
        return head
    lines = text.split("\n")
    for index in range(MOST_EQUAL_LINES, len(lines)):
        if lines[index].strip() and len({line.strip() for line in lines[index - MOST_EQUAL_LINES : index + 1]}) == 1:
            return "\n".join(lines[: index - MOST_EQUAL_LINES + 1])
    return text


def line_above(text: str, around: FilterContext) -> str:
    """Drops one of the lines just above said again, and what goes on with lines that have come three times already."""
    line = around.line_before + text.partition("\n")[0] + around.rest_of_line.rstrip()
    above = around.lines_above
    if not _SAYS_SOMETHING.search(line) or not above or not text.strip():
        return text
    seen = [*above, line.rstrip()]
    if not around.line_before.strip() and seen[-1] in seen[-1 - _NEAR : -1]:
        return ""
    for length in range(2, _LONGEST_CIRCLE + 1):
        last = seen[-length:]
        if len(seen) >= 3 * length and last == seen[-2 * length : -length] == seen[-3 * length : -2 * length]:
            return ""
    return text


def already_there(text: str, around: FilterContext) -> str:
    """Drops what the lines after the cursor say already: the first three lines, or all of them."""
    if around.rest_of_line.strip():
        return text
    lines = [line.strip() for line in (around.line_before + text).split("\n") if line.strip()][:3]
    # a lone bracket says too little
    same = bool(lines) and lines == around.lines_after[: len(lines)] and re.search(r"\w", lines[0])
    return "" if same else text


def closing_line(text: str, around: FilterContext) -> str:
    """Takes a last line of closing brackets away when the document goes on with it."""
    head, end, last = text.rpartition("\n")
    closes = bool(end and last.strip()) and bool(_CLOSERS.match(last))
    if closes and around.lines_after[:1] == [last.strip()] and not around.rest_of_line.strip():
        return head
    return text


def indentation(text: str, around: FilterContext) -> str:
    """Indents as the document does: with tabs or with spaces, and no deeper than the lines around ask for."""
    if not text.strip():
        return text
    if around.tabs is not None and "\n" in text:
        first, *others = text.split("\n")
        text = "\n".join([first, *(_indented(line, around) for line in others)])
    return text if around.line_before.strip() else _first_line(text, around)


def _first_line(text: str, around: FilterContext) -> str:
    """Indents a first line that begins its line in the document; blanks that stand there already stay."""
    words = text.lstrip(" \t")
    typed, blanks = around.line_before, text[: len(text) - len(words)]
    if blanks and around.tabs is not None:
        whole = _indented(typed + blanks + "x", around)[:-1]
        blanks = whole[len(typed) :] if whole.startswith(typed) else blanks.replace("\t", " " * around.unit)
    if not around.lines_above:
        return words if typed else blanks + words
    above = around.lines_above[-1]
    here = above[: len(above) - len(above.lstrip(" \t"))]
    opens = bool(_OPENS_BLOCK.search(above)) or (around.language == "yaml" and above.lstrip().startswith("- "))
    total = _columns(typed + blanks)
    if typed and blanks and not (opens and total > _columns(here)) and total != _columns(here):
        # who has indented the line has said where it begins
        blanks = ""
    if not typed and blanks and around.language in _BY_INDENTATION:
        levels = {_columns(line[: len(line) - len(line.lstrip(" \t"))]) for line in around.lines_above}
        if not opens and total > _columns(here) and total not in levels:
            blanks = here
    return blanks + words


def _columns(blanks: str) -> int:
    return len(blanks.expandtabs(4))


def _indented(line: str, around: FilterContext) -> str:
    words = line.lstrip(" \t")
    blanks = line[: len(line) - len(words)]
    if around.tabs:
        return re.sub(r" {4}", "\t", blanks) + words
    return blanks.replace("\t", " " * around.unit) + words


def punctuation(text: str, around: FilterContext) -> str:
    """Takes away at either end what stands there already: punctuation, and whole words of the rest of the line."""
    rest = around.rest_of_line.lstrip()
    if rest and text.strip():
        said = text.rstrip(" \t")
        for length in range(min(len(said), len(rest), _LONGEST_OVERLAP), 0, -1):
            if said.endswith(rest[:length]) and _is_doubled(said[:-length], rest[:length], rest[length:], around):
                text = said[:-length].rstrip(" \t") if said[:-length].strip() else ""
                break
    if around.line_before.rstrip().endswith(",") and text.lstrip().startswith(","):
        return text.lstrip()[1:]
    return text


def _is_doubled(head: str, overlap: str, tail: str, around: FilterContext) -> bool:
    """True when an overlap of a text's end with the rest of the line is the same thing said twice."""
    if _DOUBLED.match(overlap) and (overlap[:1] != ":" or not head.endswith(":")):
        return True
    if _CLOSERS_ALONE.fullmatch(overlap):
        # in code, brackets are counted where the hole ends
        return around.in_text or overlap[0] == ">"
    if _OPERATOR.fullmatch(overlap):
        return head.endswith(" ") and tail.startswith(" ")
    ends = not (tail[:1].isalnum() and overlap[-1:].isalnum()) and not (head[-1:].isalnum() and overlap[:1].isalnum())
    return ends and len(overlap.strip()) >= 4


def whitespace(text: str, around: FilterContext) -> str:
    """Takes away a second blank at the cursor, blanks at the end where nothing follows them, and nothing but blanks."""
    if not text.strip():
        return ""
    if around.line_before.endswith((" ", "\t")) and around.line_before.strip():
        text = text.lstrip(" ")
    follows = around.rest_of_line[:1]
    return text.rstrip(" \t") if not follows or follows in " \t" else text


def harm(text: str, around: FilterContext) -> str:
    """Takes away what would leave the document with more faults than it has: the last lines, or all of it."""
    if not text.strip() or around.place.bears(text):
        return text
    lines = text.split("\n")
    for count in range(len(lines) - 1, max(0, len(lines) - 1 - _LINES_GIVEN_UP), -1):
        head = "\n".join(lines[:count])
        if head.strip() and around.place.bears(head):
            return head
    said = text.rstrip()
    less = said.rstrip(",;:.")
    return less if less.strip() and less != said and around.place.bears(less) else ""


FILTERS: dict[FilterName, Filter] = {
    "special_tokens": special_tokens,
    "repetition": repetition,
    "line_above": line_above,
    "already_there": already_there,
    "closing_line": closing_line,
    "indentation": indentation,
    "punctuation": punctuation,
    "whitespace": whitespace,
    "harm": harm,
}
"""In the order in which they run."""


def filtered(text: str, around: FilterContext, off: Collection[str] = ()) -> tuple[str, tuple[str, ...]]:
    r"""Returns a middle after the filters, and the names of those that changed it.

    Args:
        text: the middle, with `\\n` line ends.
        around: what it stands in, with the same line ends.
        off: names of filters that are left out.
    """
    changed = []
    for name, apply in FILTERS.items():
        if name not in off and (after := apply(text, around)) != text:
            text = after
            changed.append(name)
    return text, tuple(changed)
