"""Pure functions on the text of a middle: where it ends, whatever the model goes on to say."""

from __future__ import annotations

import re
from dataclasses import dataclass

from coder_model.syntax import comment_starts
from coder_model.types import HoleMode

_LINE = re.compile(r"\n([ \t]*)([^ \t\n][^\n]*)(?=(\n?))")
_OPENING, _CLOSING, _QUOTES = "([{", ")]}", "\"'`"
_WORD = re.compile(r"\w{2}")


@dataclass(frozen=True, slots=True)
class Bounds:
    """What a middle may hold, as the text around it says."""

    hole: HoleMode
    indent: int
    """Blanks at the start of a line that still belongs to the block."""
    closings: int | None
    """Brackets and quotes opened before the hole that the middle may close; None when the line after the cursor closes
    none."""
    quote: str
    """The quote of the string that the cursor stands in; empty outside of strings."""
    rest: str
    """What follows on the cursor's line, up to the first closing bracket or quote."""
    next_line: str
    """The first line after the cursor's that is not blank, with its indentation; empty when it holds no word."""
    comments: tuple[str, ...] = ()
    """What the hole's only line should rather not begin with; empty where it has begun, or where the hole has more."""

    @classmethod
    def of(cls, prefix: str, suffix: str, hole: HoleMode, language: str = "") -> Bounds:
        """Reads the bounds off the text before and after the cursor."""
        line = prefix.rsplit("\n", 1)[-1]
        rest, _, after = suffix.partition("\n")
        blanks = len(line) - len(line.lstrip(" \t"))
        open_before, quote = _unclosed(line)
        closed_after = _closings(rest, quote)
        rest = (rest[: closed_after[0]] if closed_after else rest).rstrip()
        following = next((text for text in after.split("\n") if text.strip()), "").rstrip()
        return cls(
            hole,
            # the cursor stands on the block's first line, or still on the line that opens it
            indent=blanks + (1 if line.strip() else 0),
            closings=max(0, open_before - len(closed_after)) if closed_after else None,
            quote=quote,
            rest="" if rest.lstrip().startswith(tuple(_CLOSING + _QUOTES)) else rest,
            next_line=following if _WORD.search(following) else "",
            comments=comment_starts(language) if hole == "line" and not line.strip() else (),
        )

    def end(self, text: str) -> int | None:
        """Returns the offset in text where the hole is full, or None while it is not. More text never moves it.

        A line ends before its line end. A block ends before the first line that is indented less than the block, and
        before the line that follows it in the document. Both end before they close what the rest of the cursor's line
        closes.
        """
        found = [end for end in (self._line_end(text), self._bracket_end(text)) if end is not None]
        return min(found, default=None)

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
        for line in _LINE.finditer(text):
            blanks, words, ended = line.groups()
            if len(blanks) < self.indent or (ended and (blanks + words).rstrip() == self.next_line):
                return line.start()
        return None

    def _bracket_end(self, text: str) -> int | None:
        if self.closings is None:
            return None
        closings = _closings(text, self.quote)
        return closings[self.closings] if len(closings) > self.closings else None


def _closings(text: str, quote: str) -> list[int]:
    """Returns the offsets where text closes a bracket or a quote that was opened before it."""
    return _scan(text, quote)[0]


def _unclosed(text: str) -> tuple[int, str]:
    """Returns how many brackets and quotes text leaves open, and the quote among them."""
    return _scan(text, "")[1:]


def _scan(text: str, quote: str) -> tuple[list[int], int, str]:
    """Reads brackets and quotes from left to right; inside a string there are none, and no string leaves its line."""
    closings: list[int] = []
    depth = 0
    escaped = False
    for at, character in enumerate(text):
        if escaped:
            escaped = False
        elif quote and character == "\\":
            escaped = True
        elif character == quote or (not quote and character in _CLOSING):
            quote = ""
            if depth:
                depth -= 1
            else:
                closings.append(at)
        elif quote and character == "\n":
            quote = ""
            depth = max(0, depth - 1)
        elif not quote and character in _QUOTES:
            quote = character
            depth += 1
        elif not quote and character in _OPENING:
            depth += 1
    return closings, depth, quote
