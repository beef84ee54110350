"""Filters on a finished middle: what a model should not have said, or what the document says already.

Each is a pure function of the text and its surroundings, and may only cut, drop or re-indent. Where a hole ends (its
line, its block's indentation, the brackets that the rest of the line closes) is not among them: decoding stops there
(`postprocess.Bounds`).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

from coder_model.types import HoleMode

_SPECIAL = re.compile(
    r"<\|[a-z_]{2,32}\|>|<(?:fim_\w{2,16}|MASK|mask|PRE|SUF|MID|EOT|eom|pad)>|</?s>"
    r"|[\0-\x08\x0b-\x1f\x7f-\x9f\ufffd]"
)
_REPEATED_PIECE = re.compile(r"(.{3,}?)\1{5,}$|(.{10,}?)\1{3,}$")
_CLOSERS = re.compile(r"\s*[)\]}>;,]*(?:end)?[)\]};,]*\s*$")
MOST_EQUAL_LINES = 3
"""Equal lines in a row that code may have; more are a loop of the model."""


@dataclass(frozen=True)
class Surroundings:
    """The text around a hole."""

    prefix: str
    suffix: str
    hole: HoleMode

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
    def tabs(self) -> bool | None:
        """True where the document indents by tabs, False by spaces, None where it does not say."""
        near = self.prefix[-8_000:] + self.suffix[:4_000]
        tabs, spaces = len(re.findall(r"^\t+\S", near, re.M)), len(re.findall(r"^ {2,}\S", near, re.M))
        return None if tabs == spaces else tabs > spaces


Filter = Callable[[str, Surroundings], str]
FilterName = Literal["special_tokens", "repetition", "already_there", "closing_line", "indentation", "whitespace"]


def special_tokens(text: str, _: Surroundings) -> str:
    """Ends before the first mark of a prompt, which models leak, or character that no code has."""
    found = _SPECIAL.search(text)
    return text[: found.start()] if found else text


def repetition(text: str, _: Surroundings) -> str:
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


def already_there(text: str, around: Surroundings) -> str:
    """Drops what the lines after the cursor say already: the first three lines, or all of them."""
    if around.rest_of_line.strip():
        return text
    lines = [line.strip() for line in (around.line_before + text).split("\n") if line.strip()][:3]
    # a lone bracket says too little
    same = bool(lines) and lines == around.lines_after[: len(lines)] and re.search(r"\w", lines[0])
    return "" if same else text


def closing_line(text: str, around: Surroundings) -> str:
    """Takes a last line of closing brackets away when the document goes on with it."""
    head, end, last = text.rpartition("\n")
    closes = bool(end and last.strip()) and bool(_CLOSERS.match(last))
    if closes and around.lines_after[:1] == [last.strip()] and not around.rest_of_line.strip():
        return head
    return text


def indentation(text: str, around: Surroundings) -> str:
    """Indents further lines as the document does: with tabs, or with spaces."""
    if around.tabs is None or "\n" not in text:
        return text
    first, *others = text.split("\n")
    return "\n".join([first, *(_indented(line, tabs=around.tabs) for line in others)])


def _indented(line: str, *, tabs: bool) -> str:
    words = line.lstrip(" \t")
    blanks = line[: len(line) - len(words)]
    if tabs:
        return re.sub(r" {4}", "\t", blanks) + words
    return blanks.replace("\t", "    ") + words


def whitespace(text: str, around: Surroundings) -> str:
    """Takes away a second blank at the cursor, and blanks at the end where nothing follows them."""
    if around.line_before.endswith((" ", "\t")) and around.line_before.strip():
        text = text.lstrip(" ")
    follows = around.rest_of_line[:1]
    return text.rstrip(" \t") if not follows or follows in " \t" else text


FILTERS: dict[FilterName, Filter] = {
    "special_tokens": special_tokens,
    "repetition": repetition,
    "already_there": already_there,
    "closing_line": closing_line,
    "indentation": indentation,
    "whitespace": whitespace,
}
"""In the order in which they run."""


def filtered(text: str, around: Surroundings, off: Collection[str] = ()) -> tuple[str, tuple[str, ...]]:
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
