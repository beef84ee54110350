"""Batches for an adapter: sequences with a hole, and how much what is said at each place counts.

A batch is a function of seed, its number and its place in it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from coder_model.training.adapter.options import AdapterOptions
from coder_model.training.published.holes import HoleSampler, HoleTokens
from coder_model.training.shards import Shard


@dataclass(frozen=True, slots=True)
class AdapterBatch:
    """R sequences of T tokens."""

    tokens: Tensor
    """[R, T] int64."""
    weights: Tensor
    """[R, T] float32, how much it counts what is said to follow a token; 0 where nothing is asked."""
    in_middle: Tensor
    """[R, T] bool, places that are followed by a token of the middle or its end mark."""


class AdapterSampler:
    """Draws batches of a shard."""

    def __init__(self, shard: Shard, marks: HoleTokens, head_tokens: int, options: AdapterOptions, seed: int) -> None:
        """Takes the tokens of the model's cut head: others are never asked for."""
        self._holes, self._marks = HoleSampler(shard, marks, options.holes), marks
        self._head_tokens, self._options, self._seed = head_tokens, options, seed

    def batch(self, number: int, rows: int) -> AdapterBatch:
        """Returns batch `number`."""
        drawn = [self._row(np.random.default_rng((self._seed, number, row))) for row in range(rows)]
        return AdapterBatch(*(torch.from_numpy(np.stack(parts)) for parts in zip(*drawn, strict=True)))

    def _row(self, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        sequence, length = self._holes.draw(rng), self._options.holes.length
        row = sequence.row(length, self._marks.unknown)
        weights, in_middle = np.zeros(length, np.float32), np.zeros(length, np.bool_)
        before = rng.permutation(np.arange(sequence.prefix, max(sequence.prefix, sequence.prefix_end - 1)))
        weights[before[: self._options.prefix_tokens]] = self._options.prefix_weight
        in_middle[sequence.middle - 1 : sequence.end] = True
        weights[in_middle] = 1.0
        following = np.append(row[1:], self._marks.unknown)
        weights[(following == self._marks.unknown) | (following >= self._head_tokens)] = 0.0
        return row, weights, in_middle
