"""Whole lines of a text that are to be rewritten, between what stays as it is."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher

from coder_model.text.brackets import faults, scan
from coder_model.text.lexis import as_comment
from coder_model.text.normalize import columns, newlines
from coder_model.text.syntax import comment_starts, errors_in, has_grammar
from coder_model.types import InvalidInput
from lsp_server.documents import Document, Position, without_surrogates
from lsp_server.place import line_end_of

BEFORE_CHARS, AFTER_CHARS = 6_000, 3_000
"""Code points around the lines that are shown to the model: each draft reads all of them."""
MOST_LINES, MOST_CHARS = 120, 6_000
"""Of the lines: what a model can judge at once, in a time that somebody waits."""
_OPENS_BLOCK = re.compile(r"(?:[:{]|\b(?:do|then|begin|is))\s*$|^\s*(?:local\s+)?function\b.*\)\s*$")
_DOC = re.compile(r"""\s*(?:[rRuU]?(?P<quote>\"{3}|'{3}))""")
_ONLY_CLOSES = re.compile(r"\s*(?:[)\]}]+[;,]?|end[;,)]?)\s*")


@dataclass(frozen=True, slots=True)
class Passage:
    r"""Lines, and what stands around them; line ends are `\\n`."""

    before: str
    """Ends with a line end, or is empty."""
    lines: tuple[str, ...]
    """Without line ends."""
    after: str
    """Begins with a line end, or is empty where the document has no other line."""
    language: str
    line_end: str = "\n"
    """Of the document."""

    @classmethod
    def of(cls, lines: Sequence[str], first: int, last: int, language: str) -> Passage:
        """Takes rows of a document.

        Args:
            lines: of the document, with their ends.
            first: row.
            last: row, which is a part of the passage.
            language: LSP language id.

        Raises:
            InvalidInput: when it has too many lines or characters, or nothing but blanks.
        """
        size = sum(map(len, lines[first : last + 1]))
        if last - first >= MOST_LINES or size > MOST_CHARS:
            found = f"{last + 1 - first:,} lines of {size:,} characters"
            raise InvalidInput(f"at most {MOST_LINES} lines of {MOST_CHARS:,} characters can be rewritten, got {found}")
        if not "".join(lines[first : last + 1]).strip():
            raise InvalidInput("a selection must hold something to be rewritten")
        top, end = rows_around(lines, first, last + 1, BEFORE_CHARS, AFTER_CHARS)
        near = [without_surrogates(line) for line in lines[top:end]]
        before, after = newlines("".join(near[: first - top])), newlines("".join(near[last + 1 - top :]))
        if end < len(lines):
            after = after.removesuffix("\n")
        after = "\n" * lines[last].endswith(("\n", "\r")) + after
        own = tuple(line.rstrip("\r\n") for line in near[first - top : last + 1 - top])
        return cls(before, own, after, language, line_end_of("".join(lines[:2])))

    def faults_with(self, lines: Sequence[str]) -> int:
        """Returns the syntax errors of the text with other lines; of a language without a grammar, lone brackets."""
        text = self.before + "\n".join(lines) + self.after
        return errors_in(text, self.language) if has_grammar(self.language) else faults(text, self.language)

    def instructed(self, instruction: str) -> str:
        """Returns what stands before the lines, with an instruction as a comment behind it."""
        words = " ".join(instruction.split())
        if not words:
            return self.before
        first = next((line for line in self.lines if line.strip()), "")
        blanks = first[: len(first) - len(first.lstrip())]
        return f"{self.before}{blanks}{as_comment(words, self.language)}\n"

    def edits(self, new: Sequence[str]) -> list[LineEdit]:
        """Returns what makes the lines other ones, in order; lines that stay are in none of them."""
        codes = SequenceMatcher(None, self.lines, new, autojunk=False).get_opcodes()
        return [self._edit(a, b, new[c:d]) for tag, a, b, c, d in codes if tag != "equal"]

    def applied(self, document: Sequence[str], row: int, new: Sequence[str]) -> str:
        """Returns a document with other lines.

        Args:
            document: its lines, with their ends.
            row: of the passage's first line.
            new: without line ends.
        """
        pieces, at = [], 0
        text = "".join(document)
        for edit in self.edits(new):
            start, end = (
                sum(map(len, document[: row + line])) + column
                for line, column in ((edit.row, edit.column), (edit.end_row, edit.end_column))
            )
            pieces += [text[at:start], edit.text]
            at = end
        return "".join([*pieces, text[at:]])

    def _edit(self, first: int, behind: int, lines: Sequence[str]) -> LineEdit:
        end, count = self.line_end, len(self.lines)
        if behind < count or self.after:
            return LineEdit(first, 0, behind, 0, "".join(line + end for line in lines))
        # the last line of the document has no end
        last = len(self.lines[-1])
        if first == behind:
            return LineEdit(count - 1, last, count - 1, last, "".join(end + line for line in lines))
        if not lines:
            return LineEdit(first - 1, len(self.lines[first - 1]), count - 1, last, "")
        return LineEdit(first, 0, count - 1, last, end.join(lines))

    def body(self) -> tuple[int, int]:
        """Returns the rows of the lines without the head of the block that they are, its docstring, and its end.

        All lines where they are no block: what a name, its parameters and its description ask for must stay.
        """
        behind = len(self.lines)
        row = next((row for row, line in enumerate(self.lines) if not self._introduces(line)), behind)
        head = row
        while head < behind and not _OPENS_BLOCK.search(self.lines[head]):
            head += 1
            is_open = _is_open("\n".join(self.lines[row:head]), self.language)
            if head < behind and not is_open and self.lines[head].strip() != "{":
                return 0, behind
        first = head + 1
        if first < behind and (quoted := _DOC.match(self.lines[first])):
            ends = (
                row
                for row in range(first, behind)
                if quoted["quote"] in self.lines[row][quoted.end() if row == first else 0 :]
            )
            first = next(ends, first) + 1
        while behind > first and (
            not self.lines[behind - 1].strip()
            or (_ONLY_CLOSES.fullmatch(self.lines[behind - 1]) and self._is_as_deep(behind - 1, row))
        ):
            behind -= 1
        inner = [line for line in self.lines[first:behind] if line.strip()]
        if inner and all(columns(line) > columns(self.lines[row]) for line in inner):
            return first, behind
        return 0, len(self.lines)

    def _introduces(self, line: str) -> bool:
        return not line.strip() or line.lstrip().startswith(("@", "#[", "*", *comment_starts(self.language)))

    def _is_as_deep(self, row: int, other: int) -> bool:
        return columns(self.lines[row]) <= columns(self.lines[other])


@dataclass(frozen=True, slots=True)
class LineEdit:
    """A change of a passage: what stands between two places gives way to a text."""

    row: int
    """In the passage."""
    column: int
    """Code points."""
    end_row: int
    end_column: int
    text: str
    """With the document's line ends."""


@dataclass(frozen=True, slots=True)
class FoundPassage:
    """A passage of an open document, in one state of it."""

    document: Document
    revision: int
    row: int
    """Of its first line."""
    passage: Passage

    @property
    def is_current(self) -> bool:
        """False once the document was edited."""
        return self.document.revision == self.revision

    def position(self, row: int, column: int) -> Position:
        """Returns the protocol's position of a place in the passage; as long as `is_current`."""
        return self.document.position(self.row + row, column)


def find_passage(document: Document, start: Position, end: Position) -> FoundPassage:
    """Returns the lines that a range touches, but for blank ones at both ends.

    Raises:
        InvalidInput: when the range is empty, or its lines cannot be rewritten.
    """
    (first, column), (last, last_column) = sorted((document.place(start), document.place(end)))
    if (first, column) == (last, last_column):
        raise InvalidInput("something must be selected to be rewritten")
    if last_column == 0:
        last -= 1
    first, last = trimmed(document.lines, first, last)
    return FoundPassage(document, document.revision, first, Passage.of(document.lines, first, last, document.language))


def rows_around(lines: Sequence[str], first: int, behind: int, most_before: int, most_after: int) -> tuple[int, int]:
    """Returns the first row, and the one behind the last, of some rows and of the whole lines around them that fit.

    Args:
        lines: of a document, with their ends; those further away are not looked at.
        first: row of those around which.
        behind: row behind the last of them.
        most_before: code points of the lines before them.
        most_after: code points of the lines behind them.
    """
    while first > 0 and (most_before := most_before - len(lines[first - 1])) >= 0:
        first -= 1
    while behind < len(lines) and (most_after := most_after - len(lines[behind])) >= 0:
        behind += 1
    return first, behind


def trimmed(lines: Sequence[str], first: int, last: int) -> tuple[int, int]:
    """Returns a range of rows without the blank ones at both ends; one row is left at least."""
    while first < last and not lines[first].strip():
        first += 1
    while first < last and not lines[last].strip():
        last -= 1
    return first, last


def _is_open(text: str, language: str) -> bool:
    return any(frame.text is None and frame.closer == ")" for frame in scan(text, language).frames)
