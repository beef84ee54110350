"""Forward passes as data: what a sequence asks of whoever runs them, and what it gets back."""

from __future__ import annotations

import weakref
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Protocol

import torch
from torch import Tensor

from coder_kernels.policies import Schedule
from coder_kernels.tensor_types import AttentionMetadata, Selection
from coder_model.model.config import ModelConfig
from coder_model.model.fused_transformer import FusedTransformer
from coder_model.model.kv_cache import KVCache
from coder_model.runtime.canvas import Canvas

DENOISE_MASK = 0
"""`block_length` of `ops.block_attention` with which all tokens of a pass attend to each other."""


class CacheRow:
    """One sequence's place in a KV cache; the row is released with the last reference to this object."""

    def __init__(self, cache: KVCache, drafter_cache: KVCache | None = None) -> None:
        """Allocates a row.

        Raises:
            MemoryError: when the cache has none left.
        """
        self.cache, self.drafter_cache = cache, drafter_cache
        self.index = cache.allocate()
        weakref.finalize(self, cache.release, self.index)


@dataclass(slots=True, eq=False)
class Commit:
    """Writes the keys and values of clean tokens."""

    row: CacheRow
    start: int
    """Tokens that the row holds before."""
    tokens: list[int]
    wanted: int
    """How many of the last tokens the distribution of the next token is wanted for."""
    probabilities: Tensor = field(init=False)
    """Result: [wanted, V] float32 on the CPU."""


@dataclass(slots=True, eq=False)
class Denoise:
    """Denoise steps of a block, each of which reveals slots by a schedule; slot 0 is given."""

    row: CacheRow
    start: int
    """Tokens that the row holds before."""
    canvas: Canvas
    """Result: with slots revealed."""
    kind: int
    """Which tokens end the block, a row of `Vocabulary.ends`."""
    schedule: Schedule
    index: int
    """Steps done so far; the result counts those of this pass."""
    count: int
    """Steps to do, at most."""


@dataclass(slots=True, eq=False)
class Predict:
    """Predicts the slots of a canvas in one bidirectional pass; the caller reveals them."""

    row: CacheRow
    start: int
    """Tokens that the row holds before, all of which are attended to."""
    tokens: list[int]
    """The last ones are the slots."""
    n_slots: int
    """Slots predicted: the last tokens, or with `ModelConfig.shifted` those that follow the last tokens but one."""
    slot: int
    """Index among them of the one whose whole distribution is wanted."""
    positions: list[int] | None = None
    """Rotary positions of `tokens`; None: their places in the row."""
    barred: int | None = None
    """One token more that no slot may hold."""
    selection: Selection = field(init=False)
    """Result: [n_slots] each."""
    probabilities: Tensor = field(init=False)
    """Result: [V] float32 on the CPU."""

    def predicting(self, shifted: bool) -> slice:
        """Returns which of the pass's hidden states predict the slots."""
        end = len(self.tokens) - shifted
        return slice(end - self.n_slots, end)


Work = Commit | Denoise | Predict


class PassRunner(Protocol):
    """Runs passes of one model, for any thread."""

    network: FusedTransformer
    config: ModelConfig
    sync_interval: int
    """Denoise steps until the host looks at a block."""

    @property
    def most(self) -> int:
        """Fills that may run at the same time; after `warm_up` what the memory allows."""

    @property
    def drafted_slots(self) -> int:
        """Slots of the blocks that a drafter denoises, the given first one counted in; 0 without a drafter."""

    def warm_up(self, block_length: int, schedules: Iterable[Schedule], barred: Iterable[int | None]) -> None:
        """Makes what later passes need.

        Args:
            block_length: slots of a block.
            schedules: of `Denoise` passes; none where no block is denoised that way.
            barred: what `Predict.barred` will be; none where no slots are predicted that way.

        Raises:
            MemoryError: when there is no room for a pass of one fill.
        """

    def new_row(self) -> CacheRow:
        """Returns room for a sequence.

        Raises:
            MemoryError: when there is none.
        """

    def copied_row(self, row: CacheRow, tokens: int) -> CacheRow | None:
        """Returns another row with the first `tokens` of one; None where rows are too few for that."""

    def branched_rows(self, row: CacheRow, tokens: int, count: int) -> list[CacheRow]:
        """Returns `count` rows for `run_together` with the first `tokens` of one; none where rows are too few."""

    def bytes_of(self, row: CacheRow) -> int:
        """Returns how much memory is freed with a row."""

    def reserve(self, row: CacheRow, tokens: int) -> None:
        """Makes room for so many tokens in a row, and for what passes write behind them.

        Raises:
            MemoryError: when they do not fit.
        """

    def run(self, work: Work) -> None:
        """Runs a pass, whose result is then in `work`.

        Raises:
            MemoryError: when the row has no room for it.
            BrokenScores: when the scores of a denoise or predict pass are not numbers.
        """

    def run_together(self, works: list[Commit]) -> None:
        """Runs a pass over several rows of `branched_rows`, whose results are then in `works`."""


def commit_mask(config: ModelConfig) -> int:
    """Returns the `block_length` of `ops.block_attention` for passes over clean tokens."""
    return config.block_length if config.attention == "block_causal" else 1


def spans_of(places: Iterable[tuple[int, int, int]], device: torch.device | str) -> AttentionMetadata:
    """Returns where the tokens of a pass stand, given row, start and count of each of its sequences."""
    return AttentionMetadata(*torch.tensor(list(places), dtype=torch.int32, device=device).T.contiguous())


def barring(forbidden: Tensor, token: int | None) -> Tensor:
    """Returns `forbidden` [V] bool with one token more, if there is one."""
    if token is None:
        return forbidden
    forbidden = forbidden.clone()
    forbidden[token] = True
    return forbidden
