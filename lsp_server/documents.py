r"""The server's own copy of the open documents.

pygls' copy splits lines where the protocol does not (form feed, U+0085, U+2028) and so drifts from the editor's; here a
line ends at `\\n`, `\\r\\n` or `\\r` and nothing else (LSP 3.18, "Text Documents"). A document is a list of lines, each
with its line end: an edit touches the lines of its range and moves pointers, whatever the size of the file.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import islice
from typing import Literal

from coder_model.text.file_names import name_of
from lsp_server.edit_history import EditHistory
from lsp_server.languages import language_id

Encoding = Literal["utf-8", "utf-16", "utf-32"]

# possessive: what is long and has no end is not looked through again from behind
_LINE = re.compile(r"[^\r\n]*+(?:\r\n|\r|\n)|[^\r\n]+")
_SURROGATE = re.compile("[\ud800-\udfff]")
_CONTINUATION_BYTES = bytes(range(0x80, 0xC0))


@dataclass(frozen=True, slots=True, order=True)
class Position:
    """A place in a document as the protocol says it."""

    line: int
    """From 0."""
    character: int
    """In units of the negotiated encoding, from 0."""


@dataclass
class Document:
    """One open document."""

    uri: str
    language: str
    version: int
    encoding: Encoding
    lines: list[str] = field(default_factory=lambda: [""])
    """Each with its line end; the last one has none and may be empty."""
    revision: int = 0
    """How often the text has changed; clients may send the same version twice, or none."""
    deletions: int = 0
    """Pure deletions in a row that led to this text; one that reaches over a line end counts as the first."""
    deleted: str = ""
    """What those took away, up to the next character that is typed; blanks do not end it."""
    _deleted_at: tuple[int, int] = (-1, -1)
    """Row and code point of the place where it stood."""
    edits: EditHistory = field(default_factory=EditHistory)
    """Takes note of what changes here; `Documents` has one for all."""

    @property
    def name(self) -> str:
        """The URI as it can leave this process: neither a pipe nor a log can carry a lone surrogate."""
        return without_surrogates(self.uri)

    @property
    def path(self) -> str:
        """The path of its file as a model is shown it."""
        return shown_path(self.uri)

    @property
    def text(self) -> str:
        """The whole text."""
        return "".join(self.lines)

    def holds(self, text: str) -> bool:
        """Returns whether this is the document's text, as an editor has it."""
        return self.text == join_surrogates(text)

    def replace_all(self, text: str) -> None:
        """Takes a new text."""
        text = join_surrogates(text)
        if self.revision:
            self._note(0, 0, self.text, text)
        old_lines, self.lines = self.lines, split_lines(text)
        if self.revision:
            self.edits.note(self.uri, 0, old_lines, self.lines)
        self.revision += 1

    def replace(self, start: Position, end: Position, text: str) -> None:
        """Replaces a range; positions beyond a line or the document count as its end, a reversed range is turned."""
        (first, left), (last, right) = sorted((self.place(start), self.place(end)))
        self.revision += 1
        self._note(first, left, self._between(first, left, last, right), text)
        changed = self.lines[first][:left] + text + self.lines[last][right:]
        if left == 0 and first > 0 and self.lines[first - 1].endswith("\r") and changed.startswith("\n"):
            first -= 1
            changed = self.lines[first] + changed
        after, lines = last + 1, split_lines(join_surrogates(changed))
        if after < len(self.lines):
            # what follows a line end starts a line: the next line stays as it is
            del lines[-1]
        self.edits.note(self.uri, first, self.lines[first:after], lines)
        self.lines[first:after] = lines

    def _between(self, first: int, left: int, last: int, right: int) -> str:
        if first == last:
            return self.lines[first][left:right]
        return "".join([self.lines[first][left:], *self.lines[first + 1 : last], self.lines[last][:right]])

    def _note(self, row: int, column: int, old: str, new: str) -> None:
        """Takes note of a change that put `new` in the place of `old`, which began at a place."""
        before, removed, added = _difference(old, new)
        if removed and not added:
            *above, line = split_lines(old[:before])
            at = row + len(above), len(line) if above else column + len(line)
            goes_on = self.deletions and self._deleted_at
            if goes_on and at == self._deleted_at:
                self.deleted += removed
            elif goes_on and (at[0], at[1] + len(removed)) == self._deleted_at:
                self.deleted = removed + self.deleted
            else:
                self.deleted = removed
            self.deletions = 1 if "\n" in removed else self.deletions + 1
            self._deleted_at = at
        elif removed or added:
            self.deletions = 0
            if added.strip():
                self.deleted = ""

    def deletions_at(self, row: int, column: int) -> int:
        """Returns the pure deletions in a row that led to this text, where that was the place; elsewhere 0.

        Of those that reach over a line end the whole line is the place: an editor puts the cursor somewhere in it.
        """
        is_there = (row, column) == self._deleted_at
        if "\n" in self.deleted or "\r" in self.deleted:
            is_there = row == self._deleted_at[0]
        return self.deletions if is_there else 0

    def place(self, position: Position) -> tuple[int, int]:
        """Returns line and code point of a position, clamped to the document; inside a character means after it."""
        if position.line >= len(self.lines):
            return len(self.lines) - 1, len(self.lines[-1])
        line = self.lines[max(0, position.line)]
        content = line.rstrip("\r\n")
        if position.line < 0:
            return 0, 0
        return position.line, code_points(content, max(0, position.character), self.encoding)

    def around(self, position: Position, before: int, after: int) -> tuple[str, str]:
        """Returns the text on both sides of a position, at most about `before` and `after` code points of it."""
        row, column = self.place(position)
        prefix = [self.lines[row][:column]]
        size = column
        for line in reversed(self.lines[:row]):
            if size >= before:
                break
            prefix.append(line)
            size += len(line)
        suffix = [self.lines[row][column:]]
        size = len(suffix[0])
        for index in range(row + 1, len(self.lines)):
            if size >= after:
                break
            suffix.append(self.lines[index])
            size += len(self.lines[index])
        return "".join(reversed(prefix))[-before:], "".join(suffix)[:after]

    def position(self, row: int, column: int) -> Position:
        """Returns the protocol's position of code point `column` of line `row`."""
        return Position(row, units(self.lines[row][:column], self.encoding))


def _difference(old: str, new: str) -> tuple[int, str, str]:
    """Returns where two texts begin to differ, and what is between that and their common end in each."""
    most = min(len(old), len(new))
    before = _longest(most, lambda n: old[:n] == new[:n])
    after = _longest(most - before, lambda n: old[len(old) - n :] == new[len(new) - n :])
    removed, added = old[before : len(old) - after], new[before : len(new) - after]
    if removed and not added and "\n" in removed:
        # of several ways to say it the one with whole lines, as somebody deletes them
        shift = 0
        while (
            shift < before
            and old[before - shift - 1] != "\n"
            and old[before - shift - 1] == old[before + len(removed) - shift - 1]
        ):
            shift += 1
        if before == shift or old[before - shift - 1] == "\n":
            before -= shift
            removed = old[before : before + len(removed)]
    return before, removed, added


def _longest(most: int, holds: Callable[[int], bool]) -> int:
    """Returns the largest number up to `most` of which something holds that holds of all smaller ones too."""
    least = 0
    while least < most:
        middle = (least + most + 1) // 2
        least, most = (middle, most) if holds(middle) else (least, middle - 1)
    return least


def split_lines(text: str) -> list[str]:
    """Returns the lines of text with their ends; the last one has none, and is empty after a line end."""
    lines = _LINE.findall(text)
    if not lines or lines[-1].endswith(("\n", "\r")):
        lines.append("")
    return lines


def join_surrogates(text: str) -> str:
    """Returns text with every surrogate pair as the one character it stands for; lone halves stay.

    Half an emoji can arrive in one edit and the other half in the next.
    """
    if text.isascii() or not _SURROGATE.search(text):
        return text
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "surrogatepass")


def without_surrogates(text: str) -> str:
    """Returns text with each lone surrogate replaced by U+FFFD, one for one, so that offsets stay."""
    return text if text.isascii() else _SURROGATE.sub("\ufffd", text)


def shown_path(uri: str) -> str:
    """Returns the path that a URI names as a model is shown it: in letters, not in percent signs."""
    return without_surrogates(name_of(uri))


def units(text: str, encoding: Encoding) -> int:
    """Returns the length of text in units of an encoding."""
    if encoding == "utf-32" or text.isascii():
        return len(text)
    if encoding == "utf-16":
        return len(text.encode("utf-16-le", "surrogatepass")) // 2
    return len(text.encode("utf-8", "surrogatepass"))


def code_points(line: str, character: int, encoding: Encoding) -> int:
    """Returns how many code points of line the first `character` units hold, one cut in the middle included."""
    if encoding == "utf-32" or line.isascii():
        return min(character, len(line))
    if encoding == "utf-16":
        head = line.encode("utf-16-le", "surrogatepass")[: 2 * character]
        return len(head.decode("utf-16-le", "surrogatepass"))
    head = line.encode("utf-8", "surrogatepass")[:character]
    return len(head.translate(None, _CONTINUATION_BYTES))


class Documents:
    """The open documents by URI."""

    def __init__(self) -> None:
        self.encoding: Encoding = "utf-16"
        self.edits = EditHistory()
        self._open: dict[str, Document] = {}
        self._last_revision = 0
        """The highest one of the documents that were closed."""

    def open(self, uri: str, language: str, version: int, text: str) -> None:
        """Takes a document, replacing one of the same URI."""
        self.edits.forget(uri)
        document = Document(uri, language_id(language), version, self.encoding, edits=self.edits)
        document.replace_all(text)
        self.close(uri)
        # what was made of a copy before must not pass for what was made of this one
        document.revision += self._last_revision
        self._open[uri] = document

    def get(self, uri: str) -> Document | None:
        """Returns an open document, or None: nothing is ever read from the disk."""
        return self._open.get(uri)

    def touch(self, uri: str) -> None:
        """Makes a document the latest one."""
        if uri in self._open:
            self._open[uri] = self._open.pop(uri)

    def latest(self, count: int) -> list[Document]:
        """Returns the documents that were opened or worked in last, the latest first."""
        return list(islice(reversed(self._open.values()), count))

    def close(self, uri: str) -> None:
        """Forgets a document."""
        if document := self._open.pop(uri, None):
            self._last_revision = max(self._last_revision, document.revision)
