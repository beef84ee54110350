"""The passes of all documents of a model on one device: those that wait when the device is free become one batch.

Who needs a pass leaves it and waits for the device. The first to have it does the oldest pass, and with it all that
wait and have the same shape, then the next, until its own is done. So batches form by themselves under load, a fill
joins or leaves between any two steps, and a long context, read in portions, lets the others go ahead between them.

Shapes come in a few sizes. Each is captured once, before the first request, and repeated; nothing is compiled later.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from coder_kernels.policies import Schedule
from coder_model.model.fused_transformer import FusedTransformer
from coder_model.model.kv_cache import KVCache
from coder_model.prompt.vocabulary import Vocabulary
from coder_model.runtime.batched_steps import (
    COMMIT,
    Commit,
    CommitStep,
    Denoise,
    DenoiseStep,
    ReadStep,
    StepContext,
    Work,
)
from coder_model.runtime.sequence import COMMIT_TOKENS

COMMIT_LENGTHS = (1, 8, 16, 32)
"""Tokens of the commit passes that are captured; drafts are as long as a block, or shorter."""
READ_LENGTHS = (64, 96, 128, 192, COMMIT_TOKENS)
"""Tokens of the portions of a context that are captured: no portion has as much padding as `SLACK`."""
MOST_ROWS = 256
"""Rows of a commit pass whose distributions are kept at a time."""
SLACK = 2 * COMMIT_LENGTHS[-1]
"""Tokens that a row of the cache needs beyond its text: passes write their padding and their slots there."""
SIZES = (1, 2, 4, 8, 16, 32)
"""Sequences of a batch."""


def shared_batcher(network: FusedTransformer, vocabulary: Vocabulary, sessions: int, widest: int) -> Batcher | None:
    """Returns who runs the passes of all documents of a model; None where each one runs its own, as on a CPU.

    Args:
        network: the weights.
        vocabulary: which tokens end a block, and which no middle may hold.
        sessions: documents whose cache is kept.
        widest: fills that share a pass at most.
    """
    if widest == 1 and network.device.type != "cuda":
        return None
    # beside the documents that are kept, one for each fill under way, and the padding
    rows, capacity = sessions + widest + 1, network.config.context_tokens + SLACK
    cache = KVCache(network.config, rows, capacity, network.dtype, network.device)
    return Batcher(network, cache, vocabulary.forbidden, vocabulary.ends, widest)


class Batcher:
    """Runs the passes of one model; any thread may ask."""

    def __init__(self, network: FusedTransformer, cache: KVCache, forbidden: Tensor, ends: Tensor, widest: int) -> None:
        """Takes [V] bool of tokens that no middle may hold, [E, V] bool of those that end a block, most in a batch."""
        self.cache, device = cache, network.device
        pool = torch.cuda.graph_pool_handle() if device.type == "cuda" else None
        self._around = StepContext(network, cache, cache.allocate(), forbidden.to(device), ends.to(device), pool)
        self._sizes = [size for size in SIZES if size <= widest]
        self._commits: dict[tuple[int, int], CommitStep] = {}
        self._denoises: dict[tuple[int, int, Schedule], DenoiseStep] = {}
        self._reads: dict[int, ReadStep] = {}
        # elsewhere padding costs more than a pass of just the tokens that are there
        self._captures = device.type == "cuda"
        self._waiting: list[tuple[Work, _Outcome]] = []
        self._changed = threading.Lock()
        self._device = threading.Lock()

    @property
    def most(self) -> int:
        """Fills that may run at the same time."""
        return self._sizes[-1]

    def warm_up(self, block_length: int, schedules: Sequence[Schedule]) -> None:
        """Makes all that later passes need: every size is run once, and captured where that is possible.

        When the memory is too small for the widest batches, the batches stay smaller.

        Args:
            block_length: slots of a block.
            schedules: how they may be revealed; none where no block is denoised.

        Raises:
            MemoryError: when there is no room for a batch of one.
        """
        with self._device, torch.inference_mode():
            for length in READ_LENGTHS if self._captures else (1, 2, 4, 8, 16, 32, 64, 128, COMMIT_TOKENS):
                if length <= self.cache.capacity:
                    self._read(Commit(self._around.padding_row, 0, [0] * length, 1))
            for size in list(self._sizes):
                try:
                    for length in COMMIT_LENGTHS:
                        if size * length <= MOST_ROWS:
                            self._commit_step(size, length)
                    for schedule in schedules:
                        self._denoise_step(size, block_length, schedule)
                except torch.OutOfMemoryError as error:
                    self._sizes = [smaller for smaller in self._sizes if smaller < size]
                    if not self._sizes:
                        raise MemoryError("the device must have room for the steps of one fill") from error
                    return

    def run(self, work: Work) -> None:
        """Does a pass, with others of its shape that wait; returns when it is done.

        Raises:
            Exception: what went wrong in the pass.
        """
        outcome = _Outcome()
        with self._changed:
            self._waiting.append((work, outcome))
        with self._device:
            while not outcome.done:
                self._lead()
        if outcome.error:
            raise outcome.error

    def _lead(self) -> None:
        """Does the oldest pass that waits, and those that fit beside it."""
        with self._changed:
            shape = self._shape(self._waiting[0][0])
            most = 1 if shape is None else self._most(shape)
            batch = [one for one in self._waiting if self._shape(one[0]) == shape][:most]
            self._waiting = [one for one in self._waiting if one not in batch]
        works = [work for work, _ in batch]
        error: Exception | None = None
        try:
            with torch.inference_mode():
                self._do(works)
        except Exception as raised:  # whoever asked is told; the leader may be somebody else
            error = raised
        for _, outcome in batch:
            outcome.done, outcome.error = True, error

    def _shape(self, work: Work) -> object:
        """What two passes must share to be one; None for a pass that stays alone."""
        if isinstance(work, Denoise):
            return len(work.canvas.tokens), work.schedule
        return next((length for length in COMMIT_LENGTHS if length >= len(work.tokens)), None)

    def _most(self, shape: object) -> int:
        return min(self._sizes[-1], MOST_ROWS // shape) if isinstance(shape, int) else self._sizes[-1]

    def _do(self, works: list[Work]) -> None:
        size = next(size for size in self._sizes if size >= len(works))
        first, shape = works[0], self._shape(works[0])
        if isinstance(first, Denoise):
            blocks = [work for work in works if isinstance(work, Denoise)]
            self._denoise_step(size, len(first.canvas.tokens), first.schedule).do(blocks)
        elif isinstance(shape, int):
            self._commit_step(size, shape).do([work for work in works if isinstance(work, Commit)])
        else:
            self._read(first)

    def _read(self, work: Commit) -> None:
        """A portion of a context, alone; not captured its length is what it is."""
        if self._captures:
            length = next(length for length in READ_LENGTHS if length >= len(work.tokens))
            if length not in self._reads:
                self._reads[length] = ReadStep(self._around, length)
            self._reads[length].do(work)
            return
        network = self._around.network
        tokens = torch.tensor([work.tokens], device=network.device)
        hidden = network.hidden(tokens, self.cache, self._around.spans([work], 1, network.device), COMMIT)
        if work.wanted:
            work.probabilities = network.probabilities(hidden[-work.wanted :], self._around.forbidden).cpu()

    def _commit_step(self, size: int, length: int) -> CommitStep:
        if (size, length) not in self._commits:
            self._commits[size, length] = CommitStep(self._around, size, length)
        return self._commits[size, length]

    def _denoise_step(self, size: int, length: int, schedule: Schedule) -> DenoiseStep:
        key = size, length, schedule
        if key not in self._denoises:
            self._denoises[key] = DenoiseStep(self._around, *key)
        return self._denoises[key]


@dataclass(slots=True)
class _Outcome:
    done: bool = False
    error: Exception | None = None
