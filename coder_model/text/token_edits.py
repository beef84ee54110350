"""What an edit did to the tokens of its lines, and where else in a text the same could be done. Torch-free, pure."""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher

_TOKEN = re.compile(r"[^\W\d]\w*|\d\w*|\r?\n[ \t]*|\r[ \t]*|[ \t]+|.", re.DOTALL)
_NAME = re.compile(r"[^\W\d]\w*")
CONTEXT_TOKENS = 4
"""On each side of a hunk, in its line."""
MOST_BETWEEN = 16
"""Tokens between two hunks of one edit, which may differ from place to place."""
LEAST_COMMON = 2
"""Tokens that a place must share with the edits that it is like, blanks not counted: fewer say nothing."""
LEAST_EDITS = 2
"""What was done once says nothing of other places: `docs/usage.md` has what models make of such."""
_SEPARATORS = {",", ";"}
_CLOSERS = {"(": ")", "[": "]", "{": "}"}


@dataclass(frozen=True, slots=True)
class Change:
    """A text in place of another one."""

    start: int
    """Code point."""
    end: int
    text: str


def changed(text: str, changes: Iterable[Change]) -> str:
    """Returns a text with disjoint changes."""
    pieces, at = [], 0
    for one in sorted(changes, key=lambda one: (one.start, one.end)):
        pieces += [text[at : one.start], one.text]
        at = one.end
    return "".join([*pieces, text[at:]])


def smallest_change(text: str, start: int, new: str, end: int) -> Change:
    """Returns what makes a part of a text another one, without what both begin and end with."""
    most, left, right = min(end - start, len(new)), 0, 0
    while left < most and text[start + left] == new[left]:
        left += 1
    while right < most - left and text[end - 1 - right] == new[len(new) - 1 - right]:
        right += 1
    return Change(start + left, end - right, new[left : len(new) - right])


@dataclass(frozen=True, slots=True)
class Hunk:
    r"""Tokens that an edit put in the place of others, and those around them in their line.

    A line end counts as the token `\\n`, whatever the indentation behind it.
    """

    old: tuple[str, ...]
    new: tuple[str, ...]
    left: tuple[str, ...]
    right: tuple[str, ...]
    until: tuple[str, ...]
    """All that stayed between it and the next one; nothing behind the last one."""

    @property
    def renaming(self) -> tuple[str, str] | None:
        """The old and the new name where one name took the place of another one."""
        match self.old, self.new:
            case ((old,), (new,)) if is_name(old) and is_name(new):
                return old, new
        return None


def is_name(token: str) -> bool:
    """Returns whether a token is a word."""
    return _NAME.fullmatch(token) is not None


def hunks_of(before: str, after: str) -> list[Hunk]:
    """Returns what an edit changed, token by token, in order."""
    old, new = _TOKEN.findall("\n" + before), _TOKEN.findall("\n" + after)
    was, now = _keys(old), _keys(new)
    codes = [code for code in SequenceMatcher(None, was, now, autojunk=False).get_opcodes() if code[0] != "equal"]
    found = []
    for index, (_, a, b, c, d) in enumerate(codes):
        until = was[b : codes[index + 1][1]] if index + 1 < len(codes) else []
        left, right = _line_before(was[:a]), _line_behind(was[b:])
        found.append(Hunk(tuple(old[a:b]), tuple(new[c:d]), left, right, tuple(until)))
    return found


@dataclass(frozen=True, slots=True)
class RepeatedEdit:
    """The same change of tokens that one or several edits made."""

    hunks: tuple[tuple[tuple[str, ...], tuple[str, ...]], ...]
    """The old and the new tokens of each."""
    behind: tuple[tuple[str, ...], ...]
    """What must stand behind each; behind the last one as far as all edits had the same."""
    gaps: tuple[bool, ...]
    """Whether a few other tokens may stand before the next one."""
    left: tuple[str, ...]
    """What all edits had before it in the line, nearest last."""

    @property
    def common(self) -> int:
        """Tokens that a place must have, without blanks; the end of a line is one."""
        return sum(1 for token in self._fixed if token == "\n" or token.strip())

    @property
    def names(self) -> int:
        """Words among them."""
        return sum(map(is_name, self._fixed))

    @property
    def _fixed(self) -> list[str]:
        return [*self.left, *(token for old, _ in self.hunks for token in old), *self.behind[-1]]

    def places(self, text: str) -> list[list[Change]]:
        """Returns the changes of each place where it could be done too."""
        tokens = _TOKEN.findall("\n" + text)
        keys, starts = _keys(tokens), _starts(tokens)
        found, at = [], 0
        while at < len(keys):
            changes = self._at(keys, starts, at)
            if changes is None:
                at += 1
                continue
            found.append(changes)
            at = max(at + 1, bisect_left(starts, changes[-1].end))
        return found

    def _at(self, keys: list[str], starts: list[int], at: int) -> list[Change] | None:
        if tuple(keys[max(0, at - len(self.left)) : at]) != self.left:
            return None
        changes: list[Change] = []
        for number, ((old, new), behind) in enumerate(zip(self.hunks, self.behind, strict=True)):
            wanted = (*old, *behind)
            found = _next_of(keys, at + (not old), wanted) if number and self.gaps[number - 1] else at
            if found is None or (*keys[found : found + len(wanted)], "\n")[: len(wanted)] != wanted:
                return None
            if not old and new in (
                tuple(keys[found : found + len(new)]),
                tuple(keys[max(0, found - len(new)) : found]),
            ):
                return None
            at = found + len(old)
            changes.append(Change(starts[found], starts[at], "".join(new)))
            at += 0 if self.gaps[number] else len(behind) * (number + 1 < len(self.hunks))
        return changes


def repeated(edits: Sequence[tuple[str, str]]) -> list[RepeatedEdit]:
    """Returns the changes of tokens that several edits have made alike, the newest first.

    Args:
        edits: the text of their lines before and after, the newest last.
    """
    groups: dict[tuple[tuple[tuple[str, ...], tuple[str, ...]], ...], list[list[Hunk]]] = {}
    for before, after in edits:
        for hunks in _alike(hunks_of(before, after)):
            key = tuple((hunk.old, hunk.new) for hunk in hunks)
            if all(_is_in_a_line(hunk) for hunk in hunks):
                # the newest edit decides where its kind stands
                groups[key] = [*groups.pop(key, []), hunks]
    found = []
    for key, done in reversed(groups.items()):
        if len(done) < LEAST_EDITS:
            continue
        left = _common_end([hunks[0].left for hunks in done])
        behind = [_common_start([hunks[index].right for hunks in done]) for index in range(len(key))]
        gaps = [False] * len(key)
        for index in range(len(key) - 1):
            between = {hunks[index].until for hunks in done}
            gaps[index] = len(between) > 1
            # where it may differ it is enough to find the place
            behind[index] = (() if key[index][0] else behind[index][:1]) if gaps[index] else between.pop()
        one = RepeatedEdit(key, tuple(behind), tuple(gaps), left)
        ends = [old or tokens or not gap for (old, _), tokens, gap in zip(key, behind, [False, *gaps], strict=False)]
        if all(ends) and one.common >= LEAST_COMMON:
            found.append(one)
    return found


def _alike(hunks: list[Hunk]) -> list[list[Hunk]]:
    """The hunks of an edit as one change, or each as one where they all do the same."""
    if len({(hunk.old, hunk.new) for hunk in hunks}) == 1:
        return [[hunk] for hunk in hunks]
    return [hunks] if hunks else []


def _is_in_a_line(hunk: Hunk) -> bool:
    return not any(token[:1] in "\r\n" for token in (*hunk.old, *hunk.new))


def _next_of(keys: list[str], at: int, wanted: tuple[str, ...]) -> int | None:
    """Where some tokens come next in the line, outside of the brackets that open before them."""
    closers: list[str] = []
    for index in range(at, min(at + MOST_BETWEEN, len(keys))):
        if not closers and tuple(keys[index : index + len(wanted)]) == wanted:
            return index
        token = keys[index]
        if token == "\n" or (token in _SEPARATORS and not closers):
            return None
        if token in _CLOSERS:
            closers.append(_CLOSERS[token])
        elif token in _CLOSERS.values() and (not closers or closers.pop() != token):
            return None
    return None


def _keys(tokens: list[str]) -> list[str]:
    return ["\n" if token[:1] in "\r\n" else token for token in tokens]


def _starts(tokens: list[str]) -> list[int]:
    """Where each token begins, and where the last one ends; the first one is a line end that is not in the text."""
    starts = [-1]
    for token in tokens:
        starts.append(starts[-1] + len(token))
    return starts


def _line_before(keys: list[str]) -> tuple[str, ...]:
    line = keys[-CONTEXT_TOKENS:]
    end = len(line) - line[::-1].index("\n") - 1 if "\n" in line else 0
    return tuple(line[end:])


def _line_behind(keys: list[str]) -> tuple[str, ...]:
    line = [*keys[:CONTEXT_TOKENS], "\n"][:CONTEXT_TOKENS]
    return tuple(line[: line.index("\n") + 1] if "\n" in line else line)


def _common_start(sequences: list[tuple[str, ...]]) -> tuple[str, ...]:
    first = sequences[0]
    same = 0
    while all(len(one) > same and one[same] == first[same] for one in sequences) and same < len(first):
        same += 1
    return first[:same]


def _common_end(sequences: list[tuple[str, ...]]) -> tuple[str, ...]:
    return _common_start([one[::-1] for one in sequences])[::-1]
