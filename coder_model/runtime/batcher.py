"""Runs the passes of all documents of a model on one device: those that wait and have the same shape are one batch.

Shapes come in a few sizes. Each is captured once, before the first request, and repeated; nothing is compiled later.
Who runs a batch, and when, is in `scheduler.py`. What fits no captured shape is run alone by `eager_runner.py`.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor

from coder_kernels.policies import Schedule
from coder_model.model.config import AttentionPattern
from coder_model.model.fused_transformer import FusedTransformer
from coder_model.model.kv_cache import KVCache
from coder_model.runtime.batched_steps import CommitStep, DenoiseStep, PredictStep, ReadStep, StepContext
from coder_model.runtime.eager_runner import EagerRunner
from coder_model.runtime.passes import CacheRow, Commit, Denoise, Predict, Work
from coder_model.runtime.scheduler import LeaderFollowers
from coder_model.runtime.sequence import COMMIT_TOKENS

COMMIT_LENGTHS = (1, 8, 16, 32)
"""Tokens of the commit passes that are captured; drafts are as long as a block, or shorter."""
PREDICT_LENGTHS = (8, 16, 32, 72)
"""Tokens of the passes over a canvas that are captured: up to 64 slots, and the token before them."""
READ_LENGTHS = (64, 96, 128, 192, COMMIT_TOKENS)
"""Tokens of the portions of a context that are captured: no portion has as much padding as `SLACK`."""
MOST_ROWS = 256
"""Rows of a batch of commit or predict passes."""
SLACK = 2 * COMMIT_LENGTHS[-1]
"""Tokens that a row of the cache needs beyond its text: passes write their padding and their slots there."""
SIZES = (1, 2, 4, 8, 16, 32)
"""Sequences of a batch."""
MOST_BIDIRECTIONAL = 8
"""Fills at a time of a model that has no exact cache: its long passes gain little by sharing, and each has a row."""


def widest_batch(attention: AttentionPattern, wanted: int) -> int:
    """Returns how many fills of a model run at a time, where `wanted` may."""
    return min(wanted, MOST_BIDIRECTIONAL) if attention == "bidirectional" else wanted


def cache_rows(attention: AttentionPattern, sessions: int, widest: int) -> int:
    """Returns how many sequences have keys and values in memory.

    Args:
        attention: of the model; a bidirectional one keeps nothing between two fills.
        sessions: documents whose cache is kept.
        widest: fills that run at a time, as `widest_batch` says.
    """
    return widest if attention == "bidirectional" else sessions + widest


class Batcher:
    """Runs passes of one model over a cache of fixed size; see `PassRunner`."""

    drafted_slots = 0

    def __init__(
        self,
        network: FusedTransformer,
        cache: KVCache,
        forbidden: Tensor,
        ends: Tensor,
        widest: int,
        sync_interval: int = 1,
    ) -> None:
        """Takes the weights and the memory.

        Args:
            network: of the model.
            cache: a row per sequence, and one more for padding.
            forbidden: [V] bool, tokens that no middle may hold.
            ends: [E, V] bool, tokens that end a block, by its kind.
            widest: sequences in a batch, at most.
            sync_interval: denoise steps until the host looks at a block.
        """
        self.network, self.config, self.sync_interval = network, network.config, sync_interval
        self.cache, device = cache, network.device
        # elsewhere padding costs more than a pass of just the tokens that are there
        self._captures = device.type == "cuda"
        pool = torch.cuda.graph_pool_handle() if self._captures else None
        self._context = StepContext(network, cache, CacheRow(cache), forbidden.to(device), ends.to(device), pool)
        self._eager = EagerRunner(network, forbidden)
        self._sizes = [size for size in SIZES if size <= widest]
        self._steps: dict[tuple[Any, ...], Any] = {}
        self._scheduler = LeaderFollowers(self._batch, self._do)

    @property
    def most(self) -> int:
        """Fills that may run at the same time; after `warm_up` what the memory allows."""
        return self._sizes[-1]

    def new_row(self) -> CacheRow:
        """Returns a row of the cache; see `PassRunner.new_row`."""
        return CacheRow(self.cache)

    def copied_row(self, row: CacheRow, tokens: int) -> None:
        """There are no rows to spare: each is a document's."""

    def branched_rows(self, row: CacheRow, tokens: int, count: int) -> list[CacheRow]:  # noqa: ARG002
        """There are no rows to spare."""
        return []

    def bytes_of(self, row: CacheRow) -> int:  # noqa: ARG002
        """Returns 0: the cache has its rows whether they are used or not."""
        return 0

    def reserve(self, row: CacheRow, tokens: int) -> None:
        """Checks that a row has room for so many tokens; see `PassRunner.reserve`."""
        if tokens > row.cache.capacity:
            raise MemoryError(f"the cache holds {row.cache.capacity} tokens of a document, and {tokens} are wanted")

    def run(self, work: Work) -> None:
        """Runs a pass, with others of its shape that wait; see `PassRunner.run`."""
        # a kernel writes where it is told to, padding too
        shape = self._shape(work)
        length = shape[1] if shape else len(work.canvas.tokens if isinstance(work, Denoise) else work.tokens)
        self.reserve(work.row, work.start + length)
        self._scheduler.run(work)
        if isinstance(work, Denoise):
            work.canvas.check()

    def run_together(self, works: list[Commit]) -> None:
        """Runs one pass after the other: what is joined here comes from several threads."""
        for work in works:
            self.run(work)

    def warm_up(self, block_length: int, schedules: Iterable[Schedule], barred: Iterable[int | None]) -> None:
        """Makes every step of every size and runs it once; on a GPU it is captured. See `PassRunner.warm_up`.

        When the memory is too small for the widest batches, the batches stay smaller.
        """
        shapes: list[tuple[Any, ...]] = [(CommitStep, length) for length in COMMIT_LENGTHS]
        shapes += [(DenoiseStep, block_length, schedule) for schedule in schedules]
        shapes += [(PredictStep, length, token) for token in barred for length in PREDICT_LENGTHS]
        with self._scheduler.device, torch.inference_mode():
            for length in READ_LENGTHS:
                if length <= self.cache.capacity:
                    self._do([Commit(self._context.padding, 0, [0] * length, 1)])
            for size in list(self._sizes):
                try:
                    for shape in shapes:
                        if size <= self._most(shape):
                            self._step(size, shape)
                except torch.OutOfMemoryError as error:
                    self._sizes = [smaller for smaller in self._sizes if smaller < size]
                    if not self._sizes:
                        raise MemoryError("the device must have room for the steps of one fill") from error
                    return

    def _batch(self, waiting: list[Work]) -> list[Work]:
        """Returns the passes that run now: the oldest, and those that have its shape."""
        shape = self._shape(waiting[0])
        return [work for work in waiting if self._shape(work) == shape][: self._most(shape)] if shape else waiting[:1]

    def _shape(self, work: Work) -> tuple[Any, ...] | None:
        """Returns the step of a pass and what it is made with beside the size; None where it has none."""
        match work:
            case Denoise():
                return DenoiseStep, len(work.canvas.tokens), work.schedule
            case Predict():
                return _fitting(PredictStep, PREDICT_LENGTHS, work.tokens, work.barred)
            case Commit():
                shape = _fitting(CommitStep, COMMIT_LENGTHS, work.tokens)
                return shape or (_fitting(ReadStep, READ_LENGTHS, work.tokens) if self._captures else None)

    def _most(self, shape: tuple[Any, ...]) -> int:
        """Returns how many sequences a step of this shape takes."""
        kind, length = shape[:2]
        if kind is ReadStep:
            return 1
        return self._sizes[-1] if kind is DenoiseStep else max(n for n in self._sizes if n * length <= MOST_ROWS)

    def _do(self, works: list[Work]) -> None:
        shape = self._shape(works[0])
        with torch.inference_mode():
            if shape is None:
                self._eager.run(works[0])
            else:
                self._step(next(size for size in self._sizes if size >= len(works)), shape).do(works)

    def _step(self, size: int, shape: tuple[Any, ...]) -> Any:
        """Returns a step, which is made when it is wanted for the first time."""
        if (size, shape) not in self._steps:
            kind, *rest = shape
            self._steps[size, shape] = kind(self._context, size, *rest)
        return self._steps[size, shape]


def _fitting(kind: Any, lengths: tuple[int, ...], tokens: list[int], *rest: object) -> tuple[Any, ...] | None:
    """Returns the shape of the shortest step that takes so many tokens."""
    length = next((length for length in lengths if length >= len(tokens)), None)
    return None if length is None else (kind, length, *rest)
