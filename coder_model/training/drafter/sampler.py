"""Batches for a drafter: sequences with a hole, and the anchors that blocks begin at.

A batch is a function of seed, its number and its place in it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from coder_model.training.drafter.options import DrafterHoles
from coder_model.training.published.holes import HoleSampler, HoleSequence, HoleTokens, Ids
from coder_model.training.shards import Shard


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

    def __init__(self, shard: Shard, marks: HoleTokens, options: DrafterHoles, seed: int) -> None:
        """Holes begin anywhere in the text, all places alike."""
        self._holes, self._marks, self._options, self._seed = HoleSampler(shard, marks, options), marks, options, seed

    def batch(self, number: int, rows: int) -> DrafterBatch:
        """Returns batch `number`."""
        drawn = [self._row(np.random.default_rng((self._seed, number, row))) for row in range(rows)]
        tokens, anchors, known, weights, in_middle = (
            torch.from_numpy(np.stack(parts)) for parts in zip(*drawn, strict=True)
        )
        return DrafterBatch(tokens, anchors, known, weights, in_middle)

    def _row(self, rng: np.random.Generator) -> tuple[npt.NDArray[np.generic], ...]:
        parts = self._holes.draw(rng)
        anchors = self._anchors(rng, parts)
        known, weights = self._slots(rng, parts, anchors)
        return (
            parts.row(self._options.length, self._marks.unknown),
            anchors,
            known,
            weights,
            anchors >= parts.middle - 1,
        )

    def _anchors(self, rng: np.random.Generator, parts: HoleSequence) -> Ids:
        """[N] places in rising order; the token before the middle is one of those of the middle."""
        count, first = self._options.anchors, parts.prefix
        inside = rng.permutation(np.arange(max(first, parts.middle - 1), parts.end))[: count // 2]
        before = rng.permutation(np.arange(first, max(first + 1, parts.prefix_end - 1)))[: count - len(inside)]
        chosen = np.concatenate([inside, before])
        more = rng.choice(chosen, count - len(chosen)) if len(chosen) < count else chosen[:0]
        return np.sort(np.concatenate([chosen, more])).astype(np.int64)

    def _slots(
        self, rng: np.random.Generator, parts: HoleSequence, anchors: Ids
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
