"""What a person has just seen, taken, refused or taken away: it is not said to them again at once."""

from __future__ import annotations

import re
from collections import deque
from dataclasses import dataclass, field

from lsp_server.suggestion_cache import typed_since

REFUSALS = 8
"""Most refusals that are kept of a document."""
MAX_TYPED = 400
"""Code points that may be typed after a suggestion for it to count as taken or refused."""
IN_A_ROW = 2
"""Suggestions taken one after the other; another one like them must have something to go by."""
_NEAR_LINES = 6
"""Lines before the cursor whose names are near."""
_ASSIGNED = re.compile(r"(?m)^[ \t]*(?:\w+[ \t]+)*?([\w.$]+)[ \t]*:?=(?!=)")
_LEAST = 4
"""Code points that a text needs to be found in another one by more than chance."""
_WORD = re.compile(r"[^\W\d]\w+")
_Key = tuple[bool, str]


@dataclass
class Again:
    """One document's past, as far as suggestions go."""

    _shown: tuple[str, str] | None = None
    """Text before the cursor, and what was shown there last."""
    _refused: deque[tuple[_Key, str]] = field(default_factory=lambda: deque(maxlen=REFUSALS))
    _taken: list[str] = field(default_factory=list)
    """Taken in a row, with nothing but blanks typed between."""
    _is_whole: bool = True
    """Whether the model had said all that it wanted of what was shown last."""
    _ended: str | None = None
    """Text before the cursor right behind such a suggestion that was taken as it was."""

    def asked(self, prefix: str) -> None:
        """Takes note of where somebody asks now, and with that of what became of the last suggestion."""
        if self._shown is None:
            return
        before, text = self._shown
        typed = typed_since(before, prefix, MAX_TYPED)
        if typed is not None and text.startswith(typed) and typed.strip() != text.strip():
            return
        self._shown = None
        if typed is None:
            self._taken.clear()
        elif typed.startswith(text.rstrip()):
            is_ended = typed == text and self._is_whole and not text.endswith("\n")
            self._ended = prefix if is_ended else None
            self._taken = [*self._taken, text] if not typed[len(text.rstrip()) :].strip() else []
        else:
            self._taken.clear()
            self._refused.append((_key(before), text.strip()))

    def shown(self, prefix: str, text: str, is_whole: bool | None = True) -> None:
        """Takes note of what is shown; None for the rest of what was shown before."""
        self._shown = prefix, text
        self._is_whole = self._is_whole if is_whole is None else is_whole

    def is_said_again(self, prefix: str, suffix: str, text: str, deleted: str) -> bool:
        """Returns whether a text is what was deleted, refused or taken just before, or goes on where that had ended.

        Args:
            prefix: text before the cursor.
            suffix: text after the cursor.
            text: what would be shown.
            deleted: what was taken away last; empty when something else was typed since.
        """
        if prefix == self._ended and not text.startswith("\n"):
            # asked again the model finds something else to say, word by word, and for ever
            return True
        if (_key(prefix), text.strip()) in self._refused:
            return True
        if deleted and _is_of(text, deleted, prefix.rpartition("\n")[2]):
            return True
        return len(self._taken) >= IN_A_ROW and self._goes_in_circles(prefix, suffix, text)

    def _goes_in_circles(self, prefix: str, suffix: str, text: str) -> bool:
        """True for a text that gives a near name a value again, or has the form of those before and nothing to go by.

        That is a word of its own that the document knows.
        """
        known = set(_WORD.findall("".join(self._taken)))
        said = set(_WORD.findall(text)) - known
        near = "\n".join(prefix.splitlines()[-_NEAR_LINES:])
        if set(_ASSIGNED.findall(text)) & set(_ASSIGNED.findall(near)) and not said - set(_WORD.findall(near)):
            return True
        if all(_shape(one) != _shape(text) for one in self._taken):
            return False
        rest = prefix[: max(0, len(prefix) - sum(map(len, self._taken)) - 2 * len(self._taken))] + suffix
        return not said & set(_WORD.findall(rest))


def _key(prefix: str) -> _Key:
    """A place: the text before it but for blanks, and whether its line is blank."""
    blank = not prefix.rpartition("\n")[2].strip()
    return blank, (prefix.rstrip() if blank else prefix.rstrip(" \t"))[-200:]


def _is_of(text: str, deleted: str, line_before: str) -> bool:
    """True when a suggestion brings back what was deleted: as a whole, a part of it, or a line of it."""
    said, gone = text.strip(), deleted.strip()
    if said == gone or (len(said) >= _LEAST and said in gone) or (len(gone) >= _LEAST and said.startswith(gone)):
        return True
    line = (line_before + text).strip().partition("\n")[0].strip()
    return len(line) >= _LEAST and line in {one.strip() for one in deleted.split("\n")}


def _shape(text: str) -> str:
    return re.sub(r"\w+", "w", " ".join(text.split()))
