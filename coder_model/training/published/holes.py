"""Files cut into holes as an editor makes them, in the tokens and in the order in which a published model is asked.

The order is the usual one, `fim_prefix PREFIX fim_suffix SUFFIX fim_middle MIDDLE end`, or `fim_prefix fim_suffix
SUFFIX fim_middle PREFIX MIDDLE end`, where the middle continues the prefix and everything before it can be kept.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from coder_model.training.shards import Shard

Ids = npt.NDArray[np.int64]
FARTHEST_LINE_END = 128
"""Tokens within which a hole is moved to the end of its line."""


@dataclass(frozen=True)
class HoleTokens:
    """What the sampler knows of the vocabulary."""

    fim_prefix: int
    fim_suffix: int
    fim_middle: int
    end: int
    unknown: int
    """Stands for every token that the vocabulary was cut by; also what fills a row."""
    breaks: Ids
    """[V, 2], the tokens of what stands before the first line end in a token, and from it on; -1 for nothing. Both are
    -1 where a token has no line end, or its parts are no tokens."""
    is_appended: bool = True
    """Whether the prefix stands behind the suffix, with the middle right after it."""


@dataclass(frozen=True)
class HoleOptions:
    """How sequences are cut; lengths in tokens."""

    length: int = 1024
    longest_middle: int = 128
    longest_suffix: int = 448
    line_share: float = 0.0
    """Share of the holes that begin at the end of a line, as on a fresh one: its line end is healed."""


@dataclass(frozen=True, slots=True)
class HoleSequence:
    """A sequence, and where its parts lie."""

    tokens: Ids
    """[T]"""
    prefix: int
    """Place of the prefix's first token."""
    prefix_end: int
    """Place after its last one."""
    middle: int
    """Place of the middle's first token, or of the end mark where the middle is empty."""

    @property
    def end(self) -> int:
        """Place of the end mark."""
        return len(self.tokens) - 1

    def row(self, length: int, filler: int) -> Ids:
        """Returns [length], the tokens, filled up."""
        row = np.full(length, filler, np.int64)
        row[: len(self.tokens)] = self.tokens
        return row


class HoleSampler:
    """Cuts holes into a shard's files."""

    def __init__(self, shard: Shard, marks: HoleTokens, options: HoleOptions) -> None:
        """Holes begin anywhere in the text, all places alike but for `line_share`."""
        self._shard, self._marks, self._options = shard, marks, options

    def draw(self, rng: np.random.Generator) -> HoleSequence:
        """Returns a sequence with a hole at a random place."""
        place = int(rng.integers(self._shard.offsets[-1]))
        index = int(np.searchsorted(self._shard.offsets, place, "right")) - 1
        file = self._shard.file(index).astype(np.int64)
        # a block begins at a known token
        start = min(max(1, place - int(self._shard.offsets[index])), max(1, len(file) - 2))
        return self._cut(rng, file, self._moved(rng, file, start))

    def _moved(self, rng: np.random.Generator, file: Ids, start: int) -> int:
        if rng.random() >= self._options.line_share:
            return start
        ends = np.flatnonzero(self._marks.breaks[file[start : start + FARTHEST_LINE_END], 1] >= 0)
        return min(start + int(ends[0]), len(file) - 2) if len(ends) else start

    def _cut(self, rng: np.random.Generator, file: Ids, start: int) -> HoleSequence:
        options, marks = self._options, self._marks
        middle, suffix = self._divided(rng, file, start)
        suffix = suffix[: int(rng.integers(options.longest_suffix + 1))]
        room = options.length - 4 - len(suffix) - len(middle)
        prefix = file[max(0, start - room) : start]
        if marks.is_appended:
            head = [marks.fim_prefix, marks.fim_suffix, *suffix, marks.fim_middle]
            before = [*head, *prefix]
        else:
            head = [marks.fim_prefix]
            before = [*head, *prefix, marks.fim_suffix, *suffix, marks.fim_middle]
        tokens = np.array([*before, *middle, marks.end], np.int64)
        return HoleSequence(tokens, len(head), len(head) + len(prefix), len(before))

    def _divided(self, rng: np.random.Generator, file: Ids, start: int) -> tuple[Ids, Ids]:
        """Middle and suffix: the middle ends with its line, some lines later, or anywhere."""
        longest = min(len(file), start + self._options.longest_middle)
        kind = rng.random()
        if kind > 0.85:
            stop = min(longest, start + int(rng.integers(1, 48)))
            return file[start:stop], file[stop:]
        breaks = self._marks.breaks[file[start:longest]]
        ends = np.flatnonzero(breaks[:, 1] >= 0)
        # a hole is not empty: a line end that it begins with does not end it
        ends = ends[(ends > 0) | (breaks[ends, 0] >= 0)]
        if not len(ends):
            return file[start:longest], file[longest:]
        end = int(ends[min(0 if kind < 0.5 else int(rng.integers(1, 8)), len(ends) - 1)])
        before, after = breaks[end]
        return np.append(file[start : start + end], before[before >= 0]), np.append(after, file[start + end + 1 :])
