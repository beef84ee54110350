"""Steps over several sequences at once, on tensors that stay where they are: made once, and repeated."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from coder_kernels import ops
from coder_kernels.policies import Schedule
from coder_kernels.tensor_types import AttentionMetadata, Blocks
from coder_model.model.fused_transformer import FusedTransformer
from coder_model.model.kv_cache import KVCache
from coder_model.runtime.canvas import Canvas
from coder_model.runtime.cuda_graph import CudaGraph

COMMIT, DENOISE = 1, 0
"""Attention masks of a pass, as `ops.block_attention` has it."""


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


@dataclass(frozen=True, slots=True)
class StepContext:
    """What all steps of a model share."""

    network: FusedTransformer
    cache: KVCache
    padding_row: int
    """Of the cache: where what is missing to a batch's size writes."""
    forbidden: Tensor
    """[V] bool, tokens that no middle may hold."""
    ends: Tensor
    """[E, V] bool, tokens that end a block, by its kind."""
    pool: Any
    """Memory of the graphs, which are never repeated at the same time; None without a GPU."""

    def spans(self, works: Iterable[Work], size: int, device: torch.device) -> AttentionMetadata:
        """Returns where the tokens of a batch stand; what is missing to its size is padding."""
        triples = [
            (work.row, work.start, len(work.tokens if isinstance(work, Commit) else work.canvas.tokens))
            for work in works
        ]
        triples += [(self.padding_row, 0, 0)] * (size - len(triples))
        return AttentionMetadata(*torch.tensor(triples, dtype=torch.int32, device=device).T.contiguous())


class CommitStep:
    """A commit pass over `size` sequences of up to `length` tokens."""

    def __init__(self, around: StepContext, size: int, length: int) -> None:
        """Runs it once, and captures it on a GPU."""
        self._around, network = around, around.network
        device = network.device
        self._tokens = torch.zeros(size, length, dtype=torch.int64, device=device)
        self._spans = around.spans([], size, device)
        self._probabilities = torch.empty(size, length, len(around.forbidden), device=device)

        def run() -> None:
            hidden = network.hidden(self._tokens, around.cache, self._spans, COMMIT)
            self._probabilities.copy_(network.probabilities(hidden, around.forbidden).view_as(self._probabilities))

        self._step = CudaGraph(run, device, around.pool)

    def do(self, works: list[Commit]) -> None:
        """Fills in the distributions of `works`."""
        size, length = self._tokens.shape
        tokens = [work.tokens + [0] * (length - len(work.tokens)) for work in works]
        tokens += [[0] * length] * (size - len(works))
        self._tokens.copy_(torch.tensor(tokens))
        _refill_(self._spans, self._around.spans(works, size, torch.device("cpu")))
        self._step()
        for index, work in enumerate(works):
            end = len(work.tokens)
            work.probabilities = self._probabilities[index, end - work.wanted : end].to("cpu", copy=True)


class ReadStep:
    """A portion of one sequence's context, up to `length` tokens."""

    def __init__(self, around: StepContext, length: int) -> None:
        """Runs it once, and captures it on a GPU."""
        self._around, network = around, around.network
        device = network.device
        self._tokens = torch.zeros(1, length, dtype=torch.int64, device=device)
        self._spans = around.spans([], 1, device)
        self._hidden = torch.empty(length, network.config.d_model, dtype=network.dtype, device=device)

        def run() -> None:
            self._hidden.copy_(network.hidden(self._tokens, around.cache, self._spans, COMMIT))

        self._step = CudaGraph(run, device, around.pool)

    def do(self, work: Commit) -> None:
        """Reads the tokens of `work`; what distributions are wanted, few or none, is not part of what is captured."""
        length, around = self._tokens.shape[1], self._around
        self._tokens.copy_(torch.tensor([work.tokens + [0] * (length - len(work.tokens))]))
        _refill_(self._spans, around.spans([work], 1, torch.device("cpu")))
        self._step()
        if work.wanted:
            last = self._hidden[len(work.tokens) - work.wanted : len(work.tokens)]
            work.probabilities = around.network.probabilities(last, around.forbidden).cpu()


class DenoiseStep:
    """A denoise pass over `size` blocks of `length` slots, and what it reveals."""

    def __init__(self, around: StepContext, size: int, length: int, schedule: Schedule) -> None:
        """Runs it once, and captures it on a GPU."""
        self._around, network = around, around.network
        device = network.device
        self._spans = around.spans([], size, device)
        self._blocks = blocks_of([], size, length, device)

        def run() -> None:
            hidden = network.hidden(self._blocks.tokens, around.cache, self._spans, DENOISE)
            found = network.select(hidden, around.forbidden)
            ops.unmask_(self._blocks, found, network.config.shifted, schedule, around.ends)

        self._step = CudaGraph(run, device, around.pool)

    def do(self, works: list[Denoise]) -> None:
        """Takes the blocks of `works` the steps on that they want; the host looks once, at the end."""
        size, length = self._blocks.tokens.shape
        _refill_(self._spans, self._around.spans(works, size, torch.device("cpu")))
        _refill_(self._blocks, blocks_of(works, size, length, torch.device("cpu")))
        for _ in range(max(work.count for work in works)):
            self._step()
        found = Blocks(*(part.to("cpu", copy=True) for part in self._blocks))
        for index, work in enumerate(works):
            canvas = work.canvas
            canvas.tokens, canvas.candidates, canvas.masked = (part[index] for part in found[:3])
            canvas.confidence, canvas.entropy = found.confidence[index], found.entropy[index]
            work.index = int(found.steps[index])


def blocks_of(works: list[Denoise], size: int, length: int, device: torch.device) -> Blocks:
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
