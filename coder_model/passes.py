"""The passes of all documents of a model on one device: those that wait when the device is free become one batch.

Who needs a pass leaves it and waits for the device. The first to have it does the oldest pass, and with it all that
wait and have the same shape, then the next, until its own is done. So batches form by themselves under load, a fill
joins or leaves between any two steps, and a long context, read in portions, lets the others go ahead between them.

Shapes come in a few sizes. Each is captured once, before the first request, and repeated; nothing is compiled later.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from coder_kernels import ops
from coder_kernels.policies import Schedule
from coder_kernels.shapes import Blocks, Spans
from coder_model.cache import KVCache
from coder_model.canvas import Canvas
from coder_model.captured import Captured
from coder_model.network import Network
from coder_model.opinion import Vocabulary
from coder_model.options import EngineOptions, fills_at_a_time

COMMIT_LENGTHS = (1, 8, 16, 32)
"""Tokens of the commit passes that are captured; drafts are as long as a block, or shorter."""
MOST_ROWS = 256
"""Rows of a commit pass whose distributions are kept at a time."""
PORTION = 256
"""Context tokens per pass: the others wait no longer than that takes."""
SLACK = 2 * COMMIT_LENGTHS[-1]
"""Tokens that a row of the cache needs beyond its text: passes write their padding and their slots there."""
SIZES = (1, 2, 4, 8, 16, 32)
"""Sequences of a batch."""
COMMIT, DENOISE = 1, 0
"""Who sees whom in a pass, as `ops.block_attention` has it."""


@dataclass(slots=True, eq=False)
class Commit:
    """Clean tokens whose keys and values are to be written."""

    row: int
    start: int
    tokens: list[int]
    wanted: int
    """Of how many of the last tokens the distribution of what follows is wanted."""
    probabilities: Tensor = field(default_factory=lambda: torch.empty(0))
    """[wanted, V] float32 on the CPU, once it is done."""


@dataclass(slots=True, eq=False)
class Denoise:
    """A block whose masked slots are to be revealed, some steps of it."""

    row: int
    start: int
    canvas: Canvas
    kind: int
    """Which tokens end the block: a row of the table of ends."""
    schedule: Schedule
    index: int
    """Steps done before; rises by those done."""
    count: int
    """Steps until the host looks again."""


Work = Commit | Denoise


def shared_passes(network: Network, vocabulary: Vocabulary, options: EngineOptions) -> Passes | None:
    """Returns who runs the passes of all documents of a model; None where each one runs its own, as on a CPU."""
    widest = fills_at_a_time(options, network.device)
    if widest == 1 and network.device.type != "cuda":
        return None
    # beside the documents that are kept, one for each fill under way, and the padding
    rows, capacity = options.sessions + widest + 1, network.config.context_tokens + SLACK
    cache = KVCache(network.config, rows, capacity, network.dtype, network.device)
    return Passes(network, cache, vocabulary.forbidden, vocabulary.ends, widest)


class Passes:
    """Runs the passes of one model; any thread may ask."""

    def __init__(self, network: Network, cache: KVCache, forbidden: Tensor, ends: Tensor, widest: int) -> None:
        """Takes [V] bool of tokens that no middle may hold, [E, V] bool of those that end a block, most in a batch."""
        self._network, self.cache = network, cache
        self._padding_row = cache.lend()
        self._pool = torch.cuda.graph_pool_handle() if network.device.type == "cuda" else None
        self._forbidden, self._ends = forbidden.to(network.device), ends.to(network.device)
        self._sizes = [size for size in SIZES if size <= widest]
        self._commits: dict[tuple[int, int], _CommitStep] = {}
        self._denoises: dict[tuple[int, int, Schedule], _DenoiseStep] = {}
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
            for length in (1, 2, 4, 8, 16, 32, 64, 128, PORTION):
                if length <= self.cache.capacity:
                    self._read(Commit(self._padding_row, 0, [0] * length, 1))
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
        """A portion of a context, alone and not captured: its length is what it is."""
        device = self._network.device
        tokens = torch.tensor([work.tokens], device=device)
        hidden = self._network.hidden(tokens, self.cache, _spans([work], 1, device, self._padding_row), COMMIT)
        if work.wanted:
            work.probabilities = self._network.probabilities(hidden[-work.wanted :], self._forbidden).cpu()

    def _commit_step(self, size: int, length: int) -> _CommitStep:
        if (size, length) not in self._commits:
            self._commits[size, length] = _CommitStep(
                self._network, self.cache, self._padding_row, self._pool, self._forbidden, size, length
            )
        return self._commits[size, length]

    def _denoise_step(self, size: int, length: int, schedule: Schedule) -> _DenoiseStep:
        key = size, length, schedule
        if key not in self._denoises:
            self._denoises[key] = _DenoiseStep(
                self._network, self.cache, self._padding_row, self._pool, self._forbidden, self._ends, *key
            )
        return self._denoises[key]


@dataclass(slots=True)
class _Outcome:
    done: bool = False
    error: Exception | None = None


def _spans(works: Iterable[Work], size: int, device: torch.device, padding_row: int) -> Spans:
    """Where the tokens of a batch stand; what is missing to its size is padding."""
    triples = [
        (work.row, work.start, len(work.tokens if isinstance(work, Commit) else work.canvas.tokens)) for work in works
    ]
    triples += [(padding_row, 0, 0)] * (size - len(triples))
    return Spans(*torch.tensor(triples, dtype=torch.int32, device=device).T.contiguous())


class _CommitStep:
    """A commit pass over `size` sequences of up to `length` tokens."""

    def __init__(
        self,
        network: Network,
        cache: KVCache,
        padding_row: int,
        pool: Any,
        forbidden: Tensor,
        size: int,
        length: int,
    ) -> None:
        self._padding_row = padding_row
        device = network.device
        self._tokens = torch.zeros(size, length, dtype=torch.int64, device=device)
        self._spans = _spans([], size, device, padding_row)
        self._probabilities = torch.empty(size, length, len(forbidden), device=device)

        def run() -> None:
            hidden = network.hidden(self._tokens, cache, self._spans, COMMIT)
            self._probabilities.copy_(network.probabilities(hidden, forbidden).view_as(self._probabilities))

        self._step = Captured(run, device, pool)

    def do(self, works: list[Commit]) -> None:
        """Fills in the distributions of `works`."""
        size, length = self._tokens.shape
        tokens = [work.tokens + [0] * (length - len(work.tokens)) for work in works]
        tokens += [[0] * length] * (size - len(works))
        self._tokens.copy_(torch.tensor(tokens))
        _refill_(self._spans, _spans(works, size, torch.device("cpu"), self._padding_row))
        self._step()
        for index, work in enumerate(works):
            end = len(work.tokens)
            work.probabilities = self._probabilities[index, end - work.wanted : end].to("cpu", copy=True)


class _DenoiseStep:
    """A denoise pass over `size` blocks of `length` slots, and what it reveals."""

    def __init__(
        self,
        network: Network,
        cache: KVCache,
        padding_row: int,
        pool: Any,
        forbidden: Tensor,
        ends: Tensor,
        size: int,
        length: int,
        schedule: Schedule,
    ) -> None:
        self._padding_row = padding_row
        device = network.device
        self._spans = _spans([], size, device, padding_row)
        self._blocks = _blocks([], size, length, device)

        def run() -> None:
            hidden = network.hidden(self._blocks.tokens, cache, self._spans, DENOISE)
            found = network.select(hidden, forbidden)
            ops.unmask_(self._blocks, found, network.config.shifted, schedule, ends)

        self._step = Captured(run, device, pool)

    def do(self, works: list[Denoise]) -> None:
        """Takes the blocks of `works` the steps on that they want; the host looks once, at the end."""
        size, length = self._blocks.tokens.shape
        _refill_(self._spans, _spans(works, size, torch.device("cpu"), self._padding_row))
        _refill_(self._blocks, _blocks(works, size, length, torch.device("cpu")))
        for _ in range(max(work.count for work in works)):
            self._step()
        found = Blocks(*(part.to("cpu", copy=True) for part in self._blocks))
        for index, work in enumerate(works):
            canvas = work.canvas
            canvas.tokens, canvas.candidates, canvas.masked = (part[index] for part in found[:3])
            canvas.confidence, canvas.entropy = found.confidence[index], found.entropy[index]
            work.index = int(found.steps[index])


def _blocks(works: list[Denoise], size: int, length: int, device: torch.device) -> Blocks:
    """The slots of a batch; what is missing to its size is inactive."""
    tokens = torch.zeros(size, length, dtype=torch.int64)
    numbers = torch.zeros(size, dtype=torch.int32)
    blocks = Blocks(
        tokens,
        tokens.clone(),
        torch.zeros(size, length, dtype=torch.bool),
        torch.zeros(size, length),
        torch.zeros(size, length),
        numbers,
        torch.zeros(size, dtype=torch.bool),
        numbers.clone(),
    )
    for index, work in enumerate(works):
        canvas = work.canvas
        parts = canvas.tokens, canvas.candidates, canvas.masked, canvas.confidence, canvas.entropy
        for whole, part in zip(blocks[:5], parts, strict=True):
            whole[index] = part
        blocks.steps[index], blocks.active[index], blocks.kinds[index] = work.index, True, work.kind
    return Blocks(*(part.to(device) for part in blocks))


def _refill_(tensors: Iterable[Tensor], values: Iterable[Tensor]) -> None:
    """New values at the addresses that a captured step reads."""
    for tensor, value in zip(tensors, values, strict=True):
        tensor.copy_(value)
