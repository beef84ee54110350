"""Batches for a drafter: files cut into holes as an editor makes them, and the anchors that blocks begin at.

A sequence has the order in which the larger model is asked: the usual one, `fim_prefix PREFIX fim_suffix SUFFIX
fim_middle MIDDLE end`, or `fim_prefix fim_suffix SUFFIX fim_middle PREFIX MIDDLE end`, where the middle continues the
prefix and everything before it can be kept. A batch is a function of seed, its number and its place in it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from coder_model.training.shards import Shard

Ids = npt.NDArray[np.int64]


@dataclass(frozen=True)
class DrafterTokens:
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
    anchors: int = 64
    """Blocks per sequence; at most half of them in the prefix while the middle has places."""
    block_length: int = 12
    reveal_share: float = 0.3
    """Share of the blocks in which some of the slots are known already, as in a second step."""
    fade: float = 5.0
    """Slot j counts exp(-j / fade), since it is only of use when all slots before it were right."""


@dataclass(frozen=True, slots=True)
class DrafterBatch:
    """R sequences of T tokens with N blocks of B slots each."""

    tokens: Tensor
    """[R, T] int64."""
    anchors: Tensor
    """[R, N] int64, place of the first, known slot of each block."""
    known: Tensor
    """[R, N, B] bool."""
    weights: Tensor
    """[R, N, B] float32, how much what a slot says counts; 0 where nothing is to be said."""
    in_middle: Tensor
    """[R, N] bool, blocks that begin in the middle or right before it."""


class DrafterSampler:
    """Draws batches of a shard."""

    def __init__(self, shard: Shard, marks: DrafterTokens, options: HoleOptions, seed: int) -> None:
        """Holes begin anywhere in the text, all places alike."""
        self._shard, self._marks, self._options, self._seed = shard, marks, options, seed

    def batch(self, number: int, rows: int) -> DrafterBatch:
        """Returns batch `number`."""
        drawn = [self._row(np.random.default_rng((self._seed, number, row))) for row in range(rows)]
        tokens, anchors, known, weights, in_middle = (
            torch.from_numpy(np.stack(parts)) for parts in zip(*drawn, strict=True)
        )
        return DrafterBatch(tokens, anchors, known, weights, in_middle)

    def _row(self, rng: np.random.Generator) -> tuple[npt.NDArray[np.generic], ...]:
        options = self._options
        place = int(rng.integers(self._shard.offsets[-1]))
        index = int(np.searchsorted(self._shard.offsets, place, "right")) - 1
        file = self._shard.file(index).astype(np.int64)
        # a block begins at a known token
        start = min(max(1, place - int(self._shard.offsets[index])), max(1, len(file) - 2))
        parts = self._cut(rng, file, start)
        anchors = self._anchors(rng, parts)
        known, weights = self._slots(rng, parts, anchors)
        row = np.full(options.length, self._marks.unknown, np.int64)
        row[: len(parts.tokens)] = parts.tokens
        return row, anchors, known, weights, anchors >= parts.middle - 1

    def _cut(self, rng: np.random.Generator, file: Ids, start: int) -> _Parts:
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
        return _Parts(tokens, len(head), len(head) + len(prefix), len(before))

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

    def _anchors(self, rng: np.random.Generator, parts: _Parts) -> Ids:
        """[N] places in rising order; the token before the middle is one of those of the middle."""
        count, first = self._options.anchors, parts.prefix
        inside = rng.permutation(np.arange(max(first, parts.middle - 1), parts.end))[: count // 2]
        before = rng.permutation(np.arange(first, max(first + 1, parts.prefix_end - 1)))[: count - len(inside)]
        chosen = np.concatenate([inside, before])
        more = rng.choice(chosen, count - len(chosen)) if len(chosen) < count else chosen[:0]
        return np.sort(np.concatenate([chosen, more])).astype(np.int64)

    def _slots(
        self, rng: np.random.Generator, parts: _Parts, anchors: Ids
    ) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.float32]]:
        """[N, B] known slots, and how much each counts."""
        options = self._options
        size = (len(anchors), options.block_length)
        rates = rng.random((len(anchors), 1)) * 0.7 * (rng.random((len(anchors), 1)) < options.reveal_share)
        places = anchors[:, None] + np.arange(options.block_length + 1)
        # the text of a block in the prefix goes on to the middle, or ends where something else stands between
        ends = np.where(
            (anchors < parts.prefix_end) & (parts.prefix_end < parts.middle), parts.prefix_end - 1, parts.end
        )
        is_there = places <= ends[:, None]
        known = rng.random(size) < rates
        known[:, 0] = True
        known &= is_there[:, :-1]
        sure = is_there & (parts.tokens[np.minimum(places, parts.end)] != self._marks.unknown)
        # behind a token that the vocabulary lacks the text is not what the larger model would have seen
        sure = np.logical_and.accumulate(sure, axis=1)
        answered = np.concatenate([known[:, 1:], np.zeros((len(anchors), 1), bool)], axis=1)
        fading = np.exp(-np.arange(options.block_length) / options.fade)
        return known, (sure[:, 1:] & ~answered) * fading.astype(np.float32)


@dataclass(frozen=True, slots=True)
class _Parts:
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
