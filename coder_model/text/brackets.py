"""Brackets and quotes: what is open at a place, and what the text behind it closes.

A scanner, not a parser: it knows strings, what is code inside them, characters, comments, and the arguments of types.
It is asked at every token of a middle, and in languages without a grammar it is all there is.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field
from functools import lru_cache

from coder_model.text.lexis import Lexis, Text, lexis_of

WHOLE_BEFORE, WINDOW_BEFORE, WINDOW_AFTER = 63_000, 16_000, 6_000
"""Code points before a cursor that are looked at as a whole; of a longer text its end; and those after a cursor."""
BLOCK = 4_096
"""Code points after which what is open is remembered: a key costs the last block."""
MOST_OPEN = 200
"""Brackets that are told of, the innermost."""
MOST_CLOSED = 8
"""Brackets that one middle may close."""
_PARTNER = {"(": ")", "[": "]", "{": "}"}
_REGEX = re.compile(r"/(?![/*])(?:\\.|\[(?:\\.|[^\]\\\n])*\]|[^/\\\n\[])+/")
_BEFORE_REGEX = re.compile(r"(?:^|[(,=:\[!&|?{};+\-*%~^\n]|\b(?:return|typeof|case|in|of|await|yield))\s*$")
_ANGLED = re.compile(r"[\w \t,.&'?:*|+-]*")
_ENDS_ANGLE = re.compile(r"[\w \t,.&'?:*|]*>(?!=)")
_LINE_COMMENT = Text("\n", escapes=False, lines=True, comment=True)


@dataclass(frozen=True, slots=True)
class Frame:
    """Something that is open."""

    closer: str
    text: Text | None = None
    """What it is, when it is a string or a comment."""

    @property
    def comment(self) -> bool:
        """True for a comment."""
        return self.text is not None and self.text.comment


@dataclass(slots=True)
class Scan:
    """What a text does to what was open before it."""

    frames: list[Frame]
    """Open at the end, the innermost last."""
    kept: int
    """How many of those that were open before it still are."""
    closings: list[tuple[int, str]] = field(default_factory=list)
    """Offsets where it closes what was open before it, in order, and what it says there."""
    surplus: list[int] = field(default_factory=list)
    """Offsets where it closes what nothing has opened, or with the wrong bracket."""
    comments: list[tuple[int, str]] = field(default_factory=list)
    """Offsets where comments begin, and what closes them."""
    unterminated: int = 0
    """Strings that end with their line, and brackets that another one had to close."""


def scan(text: str, language: str, frames: list[Frame] | None = None, start: int = 0) -> Scan:
    """Reads text from `start` on.

    Args:
        text: code points.
        language: LSP language id.
        frames: what is open at `start`, the innermost last.
        start: where to begin; what stands before it tells a quote from an apostrophe.
    """
    lexis = lexis_of(language)
    found = Scan(list(frames or ()), len(frames or ()))
    code, in_angles = lexis.pattern(in_angles=False), lexis.pattern(in_angles=True)
    at = start
    while at <= len(text):
        top = found.frames[-1] if found.frames else None
        at = (
            _in_text(text, at, top.text, found)
            if top and top.text
            else _in_code(text, at, lexis, in_angles if top and top.closer == ">" else code, found)
        )
    return found


@dataclass(frozen=True, slots=True)
class Cursor:
    """What is open at a cursor."""

    frames: list[Frame]
    """The innermost last."""
    outer: int
    """How many of them were open before the cursor's line began."""

    @property
    def in_text(self) -> bool:
        """True in a string or a comment."""
        return bool(self.frames) and self.frames[-1].text is not None


def open_at(prefix: str, suffix: str, language: str) -> Cursor:
    """Returns what is open at the end of a prefix."""
    start, frames = _line_start(prefix, language)
    near = prefix[start:]
    line = near.rfind("\n") + 1
    earlier = scan(near[:line], language, frames)
    found = scan(near, language, earlier.frames, line)
    frames = found.frames
    closes_angle = _ENDS_ANGLE.match(suffix.partition("\n")[0])
    angles = next((n for n, frame in enumerate(reversed(frames)) if frame.closer != ">"), len(frames))
    kept = [
        frame for n, frame in enumerate(frames) if frame.closer != ">" or (closes_angle and n >= len(frames) - angles)
    ]
    return Cursor(kept[-MOST_OPEN:], min(found.kept, len(kept), MOST_OPEN))


def outside_text(prefix: str, at: int, language: str) -> int:
    """Returns the first start of a line from `at` on that is not inside a string or a comment of several lines."""
    head = prefix.rfind("\n", 0, at) + 1
    start, frames = _line_start(prefix[:head], language)
    open_there = scan(prefix[start:head], language, frames).frames
    if open_there and (kind := open_there[-1].text):
        for match in kind.pattern.finditer(prefix, head):
            if match.group() == kind.closer:
                head = prefix.find("\n", match.end()) + 1
                break
    return head


def _line_start(prefix: str, language: str) -> tuple[int, list[Frame]]:
    """A start of a line near the end of a prefix, and what is open there."""
    if len(prefix) < WHOLE_BEFORE:
        at = prefix.rfind("\n", 0, len(prefix) // BLOCK * BLOCK) + 1
        return at, list(_after(prefix[:at], language))
    # its start is another one at each key: nothing can be kept, and it may begin inside a long string
    at = prefix.find("\n", len(prefix) - WINDOW_BEFORE) + 1
    long = [text for text in lexis_of(language).strings.values() if text.lines and len(text.closer) > 1]
    starts = [[], *([Frame(text.closer, text)] for text in long)]

    def misread(frames: list[Frame]) -> int:
        found = scan(prefix[at:], language, frames)
        return len(found.surplus) + found.unterminated

    return at, min(starts, key=misread)


@lru_cache(maxsize=64)
def _after(text: str, language: str) -> tuple[Frame, ...]:
    """What is open at the end of whole lines; what is open a block before the end is remembered."""
    at = text.rfind("\n", 0, max(0, len(text) - 1) // BLOCK * BLOCK) + 1
    before = _after(text[:at], language) if at else ()
    return tuple(scan(text[at:], language, list(before)).frames)


def may_close(prefix: str, suffix: str, language: str) -> tuple[Cursor, int, Scan]:
    """Returns what is open at a cursor, how many of it a middle may close, and what the suffix does to it.

    What a middle may close is what the text behind it leaves open: of all numbers, the one with which brackets and
    quotes fit best from there on.
    """
    cursor = open_at(prefix, suffix, language)
    tail, after = prefix[-3:], suffix[:WINDOW_AFTER]
    outer = 0 if len(after) == len(suffix) else cursor.outer
    own: Scan | None = None
    best, least = 0, math.inf
    for count in range(min(len(cursor.frames), MOST_CLOSED) + 1):
        left = cursor.frames[: len(cursor.frames) - count]
        if count and cursor.frames[-count].closer == "\n":
            break
        found = scan(tail + after, language, left, len(tail))
        own = own or found
        misfit = len(found.surplus) + found.unterminated + max(0, found.kept - outer)
        if misfit < least:
            best, least = count, misfit
        if not misfit:
            break
    assert own
    own.closings = [(at - len(tail), closer) for at, closer in own.closings]
    own.surplus = [at - len(tail) for at in own.surplus]
    return cursor, best, own


def faults(text: str, language: str) -> int:
    """Returns how many brackets and quotes of a text have no partner."""
    found = scan(text, language)
    left = sum(not frame.comment and frame.closer != ">" for frame in found.frames)
    return len(found.surplus) + found.unterminated + left


def open_strings(text: str, language: str) -> int:
    """Returns how many strings a text leaves open, at its end or at that of a line."""
    found = scan(text, language)
    return found.unterminated + sum(frame.text is not None and not frame.comment for frame in found.frames)


def _in_text(text: str, at: int, kind: Text, found: Scan) -> int:
    match = kind.pattern.search(text, at)
    if not match:
        return len(text) + 1
    said = match.group()
    if said == kind.closer:
        _close(found, match.start(), said)
    elif said == "\n":
        found.unterminated += 1
        found.frames.pop()
        found.kept = min(found.kept, len(found.frames))
    else:
        closer = dict(kind.interpolations).get(said)
        if closer:
            found.frames.append(Frame(closer))
        elif said not in kind.doubled and not said.startswith("\\"):
            found.surplus.append(match.start())
    return match.end()


def _in_code(text: str, at: int, lexis: Lexis, pattern: re.Pattern[str], found: Scan) -> int:
    match = pattern.search(text, at)
    if not match:
        return len(text) + 1
    kind, said, end = match.lastgroup, match.group(), match.end()
    if kind == "raw":
        hashes, mark = match.group("hashes"), match.group("mark")
        closer = f'"{hashes}' if hashes is not None else f'){mark}"'
        found.frames.append(Frame(closer, Text(closer, escapes=False, lines=True)))
    elif kind == "line":
        found.comments.append((match.start(), "\n"))
        found.frames.append(Frame("\n", _LINE_COMMENT))
    elif kind == "block":
        closer = dict(lexis.block_comments)[said]
        found.comments.append((match.start(), closer))
        found.frames.append(Frame(closer, Text(closer, escapes=False, lines=True, comment=True)))
    elif kind == "string":
        opened = _string(text, match.start(), said, lexis)
        if opened:
            found.frames.append(opened)
    elif kind == "regex":
        regex = _REGEX.match(text, match.start())
        if regex and _BEFORE_REGEX.search(text[max(0, match.start() - 40) : match.start()]):
            return regex.end()
    elif kind == "angle":
        return _angle(text, match.start(), found)
    elif kind == "open":
        found.frames.append(Frame(_PARTNER[said]))
    elif kind == "close":
        _close(found, match.start(), said)
    return end


def _string(text: str, at: int, said: str, lexis: Lexis) -> Frame | None:
    """The string that a quote begins; None for an apostrophe."""
    kind = lexis.strings[said]
    before = text[max(0, at - 3) : at]
    word = re.search(r"\w+$", before)
    prefix = word.group() if word else ""
    known = bool(prefix) and len(prefix) <= 2 and not set(prefix) - set(lexis.prefixes)
    if said == "'" and prefix and not known:
        return None
    if known and set(prefix) & set("fFtT") and lexis.prefixes:
        kind = Text(kind.closer, kind.escapes, kind.lines, (("{", "}"),), ("{{", "}}"))
    return Frame(kind.closer, kind)


def _angle(text: str, at: int, found: Scan) -> int:
    """Steps over the arguments of a type; opens a frame where the text ends inside of them."""
    end = at + 1
    depth = 1
    while depth:
        end = _ANGLED.match(text, end).end()  # type: ignore[union-attr]
        if end >= len(text):
            found.frames.extend([Frame(">")] * depth)
            return len(text) + 1
        if text[end] not in "<>" or text[end - 1 : end + 1] in ("=>", "->"):
            return at + 1
        depth += 1 if text[end] == "<" else -1
        end += 1
    return end


def _close(found: Scan, at: int, closer: str) -> None:
    frames = found.frames
    # an argument of a type that is no type after all: a comparison
    while frames and frames[-1].closer == ">" and closer != ">":
        frames.pop()
        found.kept = min(found.kept, len(frames))
    depth = next((n for n in range(len(frames) - 1, -1, -1) if frames[n].closer == closer or frames[n].text), -1)
    if depth < 0 or frames[depth].closer != closer:
        found.surplus.append(at)
        return
    skipped = len(frames) - 1 - depth
    if skipped:
        found.unterminated += skipped
        if depth < found.kept:
            found.surplus.append(at)
    if depth < found.kept and not skipped and not frames[depth].comment:
        found.closings.append((at, closer))
    del frames[depth:]
    found.kept = min(found.kept, len(frames))
