"""Pure functions on the text of a middle: where it ends, whatever the model goes on to say."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

from coder_model.text.brackets import Frame, Scan, may_close, scan
from coder_model.text.lexis import lexis_of
from coder_model.text.normalize import columns
from coder_model.text.syntax import comment_starts
from coder_model.types import HoleMode

_LINE = re.compile(r"\n([ \t]*)([^ \t\n][^\n]*)(?=(\n?))")
_WORD = re.compile(r"\w{2}")
_NUMBER = re.compile(r"\d+")
_COUNTED = re.compile(r"\d+|\b[A-Za-z]\b")
_AGAIN = re.compile(r"(\W?[^\W\d]\w{2,24})\1+")
"""A part of a line that is said again at once: `:watch:watch`."""
_LOOKED_AT = 8_000
"""Characters before the hole in which the line that opens its block is looked for, and the definition around it."""
MOST_ALIKE = 3
"""Lines in a row that differ in numbers and single letters alone: a model that counts goes on for ever, and nobody
wants it to."""
_OPENS_BLOCK = re.compile(r"(?:[:({\[]|\b(?:do|then|else|begin)|=>|->)\s*$")
_DEFINITION = re.compile(r"[ \t]*(?:async[ \t]+def|def|class)\b")
_AT_MARGIN = re.compile(r"\n(?:[ \t]*\n)+(?=([^ \t\n<]\w*))")
"""A tag may close what stands above."""
_GOES_ON = {"end", "else", "elif", "elsif", "except", "finally", "catch", "rescue", "ensure", "fi", "done", "esac"}
"""Words that begin a line of the statement before it."""
_PLAIN = "plaintext"


@dataclass(frozen=True, slots=True)
class StopRules:
    """What a middle may hold, as the text around it says."""

    hole: HoleMode
    indent: int
    """Columns at the start of a line that still belongs to the block."""
    before: str
    """The last characters before the hole: they tell a quote from an apostrophe."""
    language: str
    open: tuple[Frame, ...]
    """Brackets and quotes that are open at the hole, the innermost last."""
    closings: int | None
    """How many of those the middle may close: what follows closes the others. None where nobody counts: in prose and
    shells, when the rest of the line closes nothing."""
    inner: tuple[tuple[Frame, ...], int] | None
    """The same of the brackets on the cursor's line, where it stands in a string or a comment that closes one there:
    CSS in a template, a call in a comment. None elsewhere."""
    rest: str
    """What follows on the cursor's line, up to the first closing bracket or quote."""
    next_line: str
    """The first line after the cursor's that is not blank, with its indentation; empty when it holds no word."""
    definitions: tuple[int, ...] = ()
    """Columns of the definitions around an empty cursor's line, the innermost last: how far the cursor stands from the
    margin says nothing of which of them a block belongs to, but its first line does. Empty where braces say it."""
    at_margin: bool = False
    """Whether a block begins its line at the margin of the file, outside of all brackets: no line is further left."""
    one_member: bool = False
    """Whether a block is one more member of an object or a list of JSON that has others, or all of a file."""
    comments: tuple[str, ...] = ()
    """What the hole's only line should rather not begin with; empty where it has begun, or where the hole has more."""

    @classmethod
    def of(cls, prefix: str, suffix: str, hole: HoleMode, language: str = "") -> StopRules:
        """Reads the bounds off the text before and after the cursor."""
        head, _, line = prefix.rpartition("\n")
        rest, _, after = suffix.partition("\n")
        cursor, closings, found = may_close(prefix, suffix, language)
        here = [at for at, _ in found.closings if at < len(rest)] + [at for at in found.surplus if at < len(rest)]
        loose = lexis_of(language).loose and not here
        following = next((text for text in after.split("\n") if text.strip()), "").rstrip()
        indent = _block_indent(head, line, hole)
        return cls(
            hole,
            indent=indent,
            before=prefix[-3:],
            language=language,
            open=tuple(cursor.frames),
            closings=None if loose else closings,
            inner=_in_text(line, rest[: min(here, default=len(rest))]) if cursor.in_text else None,
            rest=_rest(rest, here),
            next_line=following if _WORD.search(following) else "",
            definitions=_definitions(head) if hole == "block" and language == "python" and not line.strip() else (),
            at_margin=hole == "block" and not (indent or line or cursor.frames),
            one_member=hole == "block" and language in ("json", "jsonc") and not _is_empty(prefix, suffix),
            comments=comment_starts(language) if hole == "line" and not line.strip() else (),
        )

    def end(self, text: str) -> int | None:
        """Returns the offset in text where the hole is full, or None while it is not. More text never moves it.

        A line ends before its line end. A block ends before the first line that is indented less than the block, or
        stands outside of the definition that its first line is in; before another member of JSON; before the line that
        follows it in the document; before one that only counts on from those before it; and at the margin of a file,
        where nothing else ends it, with its first paragraph. Both end before they close what the rest of the cursor's
        line closes.
        """
        ends = self._line_end(text), self._paragraph_end(text), self._count_end(text), self._bracket_end(text)
        return min((end for end in ends if end is not None), default=None)

    def trim(self, text: str) -> str:
        """Returns text up to the end of its hole, without what the rest of the cursor's line says again."""
        # a line end completes the last line
        text = text[: self.end(text + "\n")]
        text = text.removesuffix(self.rest)
        return text.rstrip() if self.hole == "block" else text

    def _line_end(self, text: str) -> int | None:
        if self.hole == "line":
            at = text.find("\n")
            return at if at >= 0 else None
        indent = max(self.indent, self._least_inside(text))
        for line in _LINE.finditer(text):
            blanks, words, ended = line.groups()
            said = text[: line.start()]
            if ((columns(blanks) < indent or self._says_member(said)) and not self._opens(said)) or (
                ended and (blanks + words).rstrip() == self.next_line
            ):
                return line.start()
        return None

    def _paragraph_end(self, text: str) -> int | None:
        """Before the first blank line behind code at the margin that a line at the margin follows."""
        begun = text.lstrip("\n")
        if not self.at_margin or begun[:1] in (" ", "\t"):
            return None
        comments = comment_starts(self.language)
        for blank in _AT_MARGIN.finditer(text, len(text) - len(begun)):
            said = text[: blank.start()]
            is_code = any(line and not line.startswith(comments) for line in said.split("\n"))
            if is_code and blank[1] not in _GOES_ON and not self._scan(said).frames:
                return blank.start()
        return None

    def _least_inside(self, text: str) -> int:
        """Columns at least of a line that is in the same definition as the first line of a text."""
        begun = text.lstrip()
        first = columns(text[: len(text) - len(begun)].rpartition("\n")[2]) if begun else 0
        return max((column + 1 for column in self.definitions if column < first), default=0)

    def _count_end(self, text: str) -> int | None:
        """Before the first line that is one more of those that differ in numbers or letters alone, or only grows."""
        last = text.partition("\n")[0].strip()
        before, n_alike = _COUNTED.sub("0", last), 1
        for line in _LINE.finditer(text) if self.hole == "block" else ():
            words, ended = line[2].rstrip(), line[3]
            alike = _COUNTED.sub("0", words)
            n_alike = n_alike + 1 if alike == before and _NUMBER.search(words) else 1
            grows = len(words) > len(last) and _AGAIN.sub(r"\1", words) == _AGAIN.sub(r"\1", last)
            before, last = alike, words
            if ended and (n_alike > MOST_ALIKE or grows):
                return line.start()
        return None

    def _bracket_end(self, text: str) -> int | None:
        ends: list[int] = []
        if self.closings is not None:
            found = self._scan(text)
            # the wrong bracket ends a middle too, and so does one that nothing has opened
            ends = [*[at for at, _ in found.closings][self.closings :][:1], *found.surplus[:1]]
        if self.inner is not None:
            frames, count = self.inner
            found = scan(self.before + text, _PLAIN, list(frames), len(self.before))
            ends += [*[at for at, _ in found.closings][count:][:1], *found.surplus[:1]]
        return min(ends) - len(self.before) if ends else None

    def _says_member(self, said: str) -> bool:
        """True when the last line of a text is one of a member, where no other one may follow it."""
        last = said.rpartition("\n")[2].strip()
        return self.one_member and last != "" and not last.startswith(("//", "/*", "*"))

    def _opens(self, text: str) -> bool:
        """True when the text has opened a bracket that it still has to close: that line may stand further left."""
        found = self._scan(text)
        return any(not frame.text for frame in found.frames[found.kept :])

    def _scan(self, text: str) -> Scan:
        return scan(self.before + text, self.language, list(self.open), len(self.before))


def _in_text(line: str, rest: str) -> tuple[tuple[Frame, ...], int] | None:
    """What is open on a line of text, and how much of it may be closed; None where nothing closes behind the cursor."""
    cursor, count, found = may_close(line, rest, _PLAIN)
    return (tuple(cursor.frames), count) if found.closings or found.surplus else None


def _is_empty(prefix: str, suffix: str) -> bool:
    """Whether there is nothing beside the cursor in the bracket that it stands in."""
    return prefix.rstrip().endswith(("{", "[")) and suffix.lstrip()[:1] in ("", "}", "]")


def _block_indent(head: str, line: str, hole: HoleMode) -> int:
    """Columns of a block's lines at least: more than those of the line that opens it."""
    own = columns(line)
    if line.strip():
        return own + 1 if stands_before_block(line) else own
    opener = next((text for text in reversed(head[-_LOOKED_AT:].split("\n")) if text.strip()), "")
    if hole == "block" and _OPENS_BLOCK.search(opener):
        return max(own, columns(opener) + 1)
    return own


def _definitions(head: str) -> tuple[int, ...]:
    """Columns of the definitions that the end of a text is in, or may be, the outermost first."""
    found: list[int] = []
    least: float = math.inf
    for line in reversed(head[-_LOOKED_AT:].split("\n")):
        if line.strip() and not line.startswith("#") and (column := columns(line)) < least:
            least = column
            found += [column] if _DEFINITION.match(line) else []
    return tuple(reversed(found))


def stands_before_block(line: str) -> bool:
    """Returns whether a line up to the cursor is one that opens a block, or may: what follows stands further right."""
    return line.rstrip().endswith((":", "{", ")", "do", "then"))


def _rest(rest: str, closings: list[int]) -> str:
    """The rest of a line up to where it closes something."""
    said = rest[: min(closings, default=len(rest))].rstrip()
    return "" if said.lstrip().startswith(tuple(")]}\"'`")) else said
