"""Suggestions made lately: typing along one of them, or accepting a part of it, needs no model."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass

from coder_model.text.stop_rules import StopRules

CAPACITY = 100
"""Suggestions that are kept, over all documents."""
NEIGHBOURHOOD = 8_000
"""Code points on either side of the cursor that must be what they were: about what a model reads of them."""
_EDGE = 64
"""Code points before an earlier cursor that are looked for first: most places differ there."""
_AUTO_CLOSED = ")]}\"'`"


@dataclass(frozen=True, slots=True)
class Remainder:
    """What is left of a suggestion at a later cursor."""

    text: str
    """Never empty."""
    made: int
    """Number that `SuggestionCache.add` gave the suggestion."""


@dataclass(frozen=True, slots=True)
class _Entry:
    before: str
    after: str
    text: str
    language: str


class SuggestionCache:
    """The last suggestions by document; the least recently useful is forgotten first."""

    def __init__(self, capacity: int = CAPACITY) -> None:
        self._capacity = capacity
        self._entries: OrderedDict[int, tuple[str, _Entry]] = OrderedDict()
        self._made = 0

    def add(self, uri: str, prefix: str, suffix: str, text: str, language: str = "") -> int:
        """Takes a suggestion for the cursor between prefix and suffix; returns its number."""
        self._made += 1
        self._entries[self._made] = uri, _Entry(prefix[-NEIGHBOURHOOD:], suffix[:NEIGHBOURHOOD], text, language)
        while len(self._entries) > self._capacity:
            self._entries.popitem(last=False)
        return self._made

    def find(self, uri: str, prefix: str, suffix: str) -> Remainder | None:
        """Returns what the newest suggestion that agrees with the text goes on with at a cursor.

        It agrees when the text before the cursor is what stood there and then a part of the suggestion, and the text
        after it is what stood there, or brackets and quotes that the editor closed by itself and then that.
        """
        for made, (owner, entry) in reversed(self._entries.items()):
            text = _remainder(entry, prefix, suffix) if owner == uri else ""
            if text:
                self._entries.move_to_end(made)
                return Remainder(text, made)
        return None

    def forget(self, uri: str) -> None:
        """Drops the suggestions of a document."""
        for made in [made for made, (owner, _) in self._entries.items() if owner == uri]:
            del self._entries[made]


def _remainder(entry: _Entry, prefix: str, suffix: str) -> str:
    """The part of a suggestion that is not in the document yet; empty when it does not agree with it."""
    typed = typed_since(entry.before, prefix, len(entry.text))
    if typed is None or not entry.text.startswith(typed):
        return ""
    left = entry.text[len(typed) :]
    if suffix[:NEIGHBOURHOOD] == entry.after:
        return left
    closed = len(suffix) - len(suffix.lstrip(_AUTO_CLOSED))
    for count in range(1, closed + 1):
        if suffix[count : count + NEIGHBOURHOOD] == entry.after:
            # the suggestion may close them itself
            return StopRules.of(prefix, suffix, "block" if "\n" in left else "line", entry.language).trim(left)
    return ""


def typed_since(before: str, prefix: str, at_most: int) -> str | None:
    """Returns what stands between an earlier cursor and this one, or None when more than typing lies between them.

    Args:
        before: text before the earlier cursor; its last `NEIGHBOURHOOD` code points count.
        prefix: text before this one.
        at_most: code points that may have been typed.
    """
    if len(before) < NEIGHBOURHOOD:
        is_typed = len(prefix) - len(before) <= at_most and prefix.startswith(before)
        return prefix[len(before) :] if is_typed else None
    before = before[-NEIGHBOURHOOD:]
    edge, first = before[-_EDGE:], max(0, len(prefix) - at_most - _EDGE)
    end = len(prefix)
    while (at := prefix.rfind(edge, first, end)) >= 0:
        if prefix.endswith(before, 0, at + _EDGE):
            return prefix[at + _EDGE :]
        end = at + _EDGE - 1
    return None
