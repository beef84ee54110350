"""Filters on a finished middle: what a model should not have said, or what the document says already.

Each is a pure function of the text and its surroundings, and may only cut, drop or re-indent. Where a hole ends (its
line, its block's indentation, the brackets that the rest of the line closes) is not among them: decoding stops there
(`stop_rules.StopRules`).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection
from itertools import takewhile
from typing import Literal

from coder_model.text.brackets import scan
from coder_model.text.commas import lacks_comma, without_last_comma
from coder_model.text.harm import FENCE
from coder_model.text.known_imports import without_known_imports
from coder_model.text.known_keys import without_known_keys
from coder_model.text.layout import indentation
from coder_model.text.normalize import columns
from coder_model.text.redaction import REDACTED
from coder_model.text.rest_of_line import without_named_again, without_rest
from coder_model.text.surroundings import FilterContext
from coder_model.text.unreachable import unreachable

_MARK = re.compile(rf"<\|[a-z_]{{2,32}}\|>|<fim_\w{{2,16}}>|<(?:SUF|MID|EOT)>|\b{REDACTED}\b")
_PROSE = {"markdown", "mdx", "quarto", "rmd", "restructuredtext", "plaintext", "asciidoc", "latex"}
_CONTROL = re.compile(r"[\0-\x08\x0b-\x1f\x7f-\x9f\ufffd]")
_REPEATED_PIECE = re.compile(r"(.{3,}?)\1{5,}$|(.{10,}?)\1{3,}$")
_RULER = re.compile(r"([^\w\s])\1{6,}")
"""A line that separates; one of seven signs is a mark of a merge conflict."""
_CLOSERS = re.compile(r"[)\]}>;,]*(?:end[)\]};,]*)?")
MOST_EQUAL_LINES = 3
"""Equal lines in a row that code may have; more are a loop of the model."""
_LONGEST_CIRCLE = 4
"""Lines that come again and again."""
_NEAR = 3
"""Lines above that a new line is none of; in code one line in a hundred is."""
_SAYS_SOMETHING = re.compile(r"\w.*\w.*\w.*\w")
_NAMES_ANEW = re.compile(
    r"\s*(?:(?:const|let|var|local|import|from|use|using|#include|export|def|class|fn|func|function|type|struct|enum"
    r"|interface|package|private|public|protected|static|final)\b|[\w.$]+\s*:?=\s)"
)
"""What says nothing when it is said twice, even by somebody who has begun to."""
_DOUBLED = re.compile(r"[,;]|</|=>|->|::|&&|\|\||:(?!:)|\?\?")
_OPERATOR = re.compile(r"[-+*/%=<>|&^]|[-+*/%=<>!:]=")
_LONG_LINE = 24
"""Code points by which a line alone is known again; unless it opens something, as other lines of its kind do."""
_OPENERS = (":", "{", "(", "[", ",")
_ENDS = (",", ";", ":", "{")
_CLOSERS_ALONE = re.compile(r"[)\]}\"'`>]+[;,]?")
_LONGEST_OVERLAP, _LINES_GIVEN_UP = 80, 6


Filter = Callable[[str, FilterContext], str]
FilterName = Literal[
    "special_tokens",
    "repetition",
    "already_there",
    "closing_line",
    "indentation",
    "punctuation",
    "whitespace",
    "line_above",
    "unreachable",
    "harm",
]


def special_tokens(text: str, around: FilterContext) -> str:
    """Ends before the first mark of a prompt or fence of Markdown, which models leak, or character that no code has.

    What takes the place of a secret in what a model is shown is one too. A mark that the document itself holds is text.
    `<s>` and `<mask>` always are: they are tags, and a model of this engine cannot say its marks as text.
    """
    ends = [found.start() for found in [_CONTROL.search(text)] if found]
    for mark in _MARK.finditer(text):
        if mark.group() not in around.prefix and mark.group() not in around.suffix:
            ends.append(mark.start())
            break
    fence = None if around.line_before.strip() or around.language in _PROSE else FENCE.search(text)
    if fence and "```" not in around.prefix and "```" not in around.suffix:
        ends.append(fence.start())
    return text[: min(ends)] if ends else text


def repetition(text: str, around: FilterContext) -> str:
    """Ends where the model went in circles: inside a line, line by line, or on with a ruler that is long enough."""
    ruler = _RULER.fullmatch(around.line_before.strip())
    if ruler and text.startswith(ruler[1]):
        return ""
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
    """Drops one of the lines just above said again, and what goes on with lines that have come three times already.

    Of imports the whole document is looked at.
    """
    text = without_known_imports(text, around)
    line = around.line_before + text.partition("\n")[0] + around.rest_of_line.rstrip()
    above = around.lines_above
    if not _SAYS_SOMETHING.search(line) or not above or not text.strip():
        return text
    seen = [*above, line.rstrip()]
    begun = bool(around.line_before.strip())
    if (not begun or _NAMES_ANEW.match(line)) and seen[-1] in _beside(seen):
        return ""
    for length in range(2, _LONGEST_CIRCLE + 1):
        last = seen[-length:]
        if len(seen) >= 3 * length and last == seen[-2 * length : -length] == seen[-3 * length : -2 * length]:
            return ""
    return text


def _beside(lines: list[str]) -> list[str]:
    """The lines just above the last one, up to where its block begins: another block may say the same."""
    indents = [len(line) - len(line.lstrip()) for line in lines]
    start = max((n + 1 for n, indent in enumerate(indents) if indent < indents[-1]), default=0)
    return lines[max(start, len(lines) - 1 - _NEAR) : -1]


def already_there(text: str, around: FilterContext) -> str:
    """Drops what begins with the lines after the cursor: with two of them, a long one, or all that it says.

    An object of JSON has each key once.
    """
    text = without_known_keys(text, around)
    if around.rest_of_line.strip():
        return text
    lines = [line.strip() for line in (around.line_before + text).split("\n") if line.strip()]
    pairs = zip(lines, around.lines_after, strict=False)
    same = [said for said, _ in takewhile(lambda pair: pair[0] == pair[1], pairs)]
    # a lone bracket says too little
    if not same or not re.search(r"\w", same[0]):
        return text
    is_long = len(same[0]) >= _LONG_LINE and not same[0].endswith(_OPENERS)
    with_words = sum(bool(re.search(r"\w", line)) for line in same)
    return "" if len(same) in (3, len(lines)) or with_words > 1 or is_long else text


def closing_line(text: str, around: FilterContext) -> str:
    """Takes a last line of closing brackets away when the document goes on with it, no further left."""
    head, end, last = text.rpartition("\n")
    closes = bool(end and last.strip()) and bool(_CLOSERS.fullmatch(last.strip()))
    if closes and around.lines_after[:1] == [last.strip()] and not around.rest_of_line.strip():
        following = next(line for line in around.suffix.split("\n")[1:] if line.strip())
        # one that stands deeper closes what the text has opened
        return text if columns(last) > columns(following) else head
    return text


def punctuation(text: str, around: FilterContext) -> str:
    """Takes away at either end what stands there already: punctuation, words, a comment before those; a wrong comma."""
    if lacks_comma(text, around):
        return ""
    rest = around.rest_of_line.lstrip()
    if rest and text.strip():
        text = _without_comment(text, rest, around)
        said = text.rstrip(" \t")
        for length in range(min(len(said), len(rest), _LONGEST_OVERLAP), 0, -1):
            if said.endswith(rest[:length]) and _is_doubled(said[:-length], rest[:length], rest[length:], around):
                text = said[:-length].rstrip(" \t") if said[:-length].strip() else ""
                break
        text = without_rest(without_named_again(text, around), around)
    if around.line_before.rstrip().endswith(",") and text.lstrip().startswith(","):
        text = text.lstrip()[1:]
    return without_last_comma(text, around)


def _without_comment(text: str, rest: str, around: FilterContext) -> str:
    """The text before a comment that would swallow what stands behind the cursor, or stand before its punctuation."""
    before = around.prefix[-3:]
    said = scan(before + text, around.language, around.open.frames, len(before))
    another = bool(scan(rest, around.language).comments)
    for at, closer in said.comments:
        head = text[: at - len(before)].rstrip(" \t")
        swallows = closer == "\n" and "\n" not in text[len(head) :]
        if swallows or (closer != "\n" and (another or not head.strip() or head.endswith(_ENDS))):
            return head
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
    if not around.prefix.strip():
        text = text.lstrip("\n")
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
    "already_there": already_there,
    "closing_line": closing_line,
    "indentation": indentation,
    "punctuation": punctuation,
    "whitespace": whitespace,
    "line_above": line_above,
    "unreachable": unreachable,
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
