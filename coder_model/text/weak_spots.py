"""Which places of a text a model finds unlikely, by the probabilities of its tokens. Torch-free, pure."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass

from coder_model.text.brackets import scan
from coder_model.text.holes import CodeBefore
from coder_model.types import Slot

LEAST_RIVAL, LEAST_MARGIN = 0.6, 3.0
"""A token is an outlier where another one is so likely, and by so many nats likelier than it."""
LEAST_RISE, LEAST_RIVAL_OF_RISEN = 5.0, 0.4
"""Nats by which the margin of one has grown where something else has made it so, and its rival's probability."""
WEAK_SHARE = 1 / 3
"""Of the lines that say something."""
_SAYS_SOMETHING = re.compile(r"\w")


@dataclass(frozen=True, slots=True)
class Spot:
    """A token that is unlikely where another one is likely."""

    row: int
    """Of its line; the number of lines where the end of the text is what is unlikely."""
    column: int
    """Code point of its start in the line."""
    margin: float
    """Nats by which the other token is likelier."""


@dataclass(frozen=True, slots=True)
class Judgement:
    """A text as a model finds it."""

    lines: tuple[str, ...]
    slots: tuple[Slot, ...]
    """Of its tokens and its end; the texts joined are the lines, with `\\n` between them."""

    @property
    def log_probability(self) -> float:
        """Of the whole text, in nats."""
        return sum(math.log(slot.confidence) for slot in self.slots)

    def common_start(self, lines: Sequence[str]) -> tuple[int, tuple[Slot, ...]]:
        """Returns the first row where other lines differ, and the tokens before it; 0 where a token reaches over it."""
        pairs = zip(self.lines[:-1], lines[:-1], strict=False)
        row = next((row for row, (a, b) in enumerate(pairs) if a != b), min(len(self.lines), len(lines)) - 1)
        start = sum(len(line) + 1 for line in self.lines[:row])
        starts = [at for at, _ in self._placed()]
        return (row, self.slots[: starts.index(start)]) if start in starts else (0, ())

    def outliers(self, language: str, before: str, least_rival: float = LEAST_RIVAL) -> list[Spot]:
        """Returns the outliers outside of strings and comments, the clearest first.

        Args:
            language: LSP language id.
            before: the text before the lines.
            least_rival: probability of the token that is likelier.
        """
        is_code = CodeBefore(before + "\n".join(self.lines), language)
        found = []
        for start, slot in self._placed():
            # neither in a string or a comment, nor what opens one
            ends = [
                len(before) + start + len(text)
                for text in (slot.text[: len(slot.text) - len(slot.text.lstrip())], slot.text)
            ]
            if all(map(is_code, ends)) and slot.rival >= least_rival and _margin(slot) >= LEAST_MARGIN:
                found.append(self._spot(start, slot))
        return sorted(found, key=lambda spot: -spot.margin)

    def risen(self, earlier: Judgement, language: str, before: str) -> list[Spot]:
        """Returns the outliers that were none, or much less, when the same lines stood in another text.

        Args:
            earlier: the same lines as the model found them there.
            language: LSP language id.
            before: the text before the lines.
        """
        spots = (earlier._spot(start, slot) for start, slot in earlier._placed())
        known = {(spot.row, spot.column): spot.margin for spot in spots}
        found = self.outliers(language, before, LEAST_RIVAL_OF_RISEN)
        return [spot for spot in found if spot.margin - known.get((spot.row, spot.column), math.inf) >= LEAST_RISE]

    def weakest(self, language: str, before: str, rows: tuple[int, int]) -> list[tuple[int, int]]:
        """Returns the first row and the one behind the last of the weakest statements, in order, disjoint.

        Lines count by their most unlikely token; a line with a bracket that is open grows until that is closed.

        Args:
            language: LSP language id.
            before: the text before the lines.
            rows: the first row that may be one, and the one behind the last.
        """
        worst = [0.0] * (len(self.lines) + 1)
        for start, slot in self._placed():
            row = self._place(start)[0]
            worst[row] = max(worst[row], _margin(slot))
        is_code, at, telling = CodeBefore(before + "\n".join(self.lines), language), len(before), []
        for row, line in enumerate(self.lines):
            words = at + len(line) - len(line.lstrip())
            is_statement = is_code(words) and is_code(min(words + 2, at + len(line)))
            if is_statement and rows[0] <= row < rows[1] and _SAYS_SOMETHING.search(line):
                telling.append(row)
            at += len(line) + 1
        count = math.ceil(WEAK_SHARE * len(telling))
        spans: list[tuple[int, int]] = []
        for row in sorted(sorted(telling, key=lambda row: -worst[row])[:count]):
            span = _statement(self.lines, row, language)
            if (not spans or span[0] >= spans[-1][1]) and rows[0] <= span[0] and span[1] <= rows[1]:
                spans.append(span)
        return spans

    def _placed(self) -> list[tuple[int, Slot]]:
        at, found = 0, []
        for slot in self.slots:
            found.append((at, slot))
            at += len(slot.text)
        return found

    def _spot(self, start: int, slot: Slot) -> Spot:
        blanks = slot.text[: len(slot.text) - len(slot.text.lstrip())]
        # a token may begin with the end of the line before
        row, column = self._place(start + blanks.rfind("\n") + 1 if blanks != slot.text else start)
        is_end = not slot.text and row == len(self.lines) - 1
        return Spot(len(self.lines), 0, _margin(slot)) if is_end else Spot(row, column, _margin(slot))

    def _place(self, offset: int) -> tuple[int, int]:
        for row, line in enumerate(self.lines):
            if offset <= len(line):
                return row, offset
            offset -= len(line) + 1
        return len(self.lines), 0


def _margin(slot: Slot) -> float:
    return math.log(max(slot.rival, 1e-9)) - math.log(slot.confidence)


def _statement(lines: Sequence[str], row: int, language: str) -> tuple[int, int]:
    """The lines around one that its round and square brackets hold together."""
    first, behind = row, row + 1
    while first > 0 and _is_open("\n".join(lines[:first]), language):
        first -= 1
    while behind < len(lines) and _is_open("\n".join(lines[first:behind]), language):
        behind += 1
    return first, behind


def _is_open(text: str, language: str) -> bool:
    frames = scan(text, language).frames
    return any(frame.closer in (")", "]") or frame.text is not None for frame in frames)
