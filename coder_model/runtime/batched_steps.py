"""Passes over several sequences at once, on tensors at fixed addresses: each shape is made once and then repeated.

A step pads what it is given to its shape. Padding sequences write to a row of their own; padding tokens write behind
the real ones of their row.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from coder_kernels import score_ops
from coder_kernels.policies import Schedule
from coder_kernels.tensor_types import AttentionMetadata, Blocks, Selection
from coder_model.model.fused_transformer import FusedTransformer
from coder_model.model.kv_cache import KVCache
from coder_model.runtime.cuda_graph import CudaGraph
from coder_model.runtime.passes import DENOISE_MASK, CacheRow, Commit, Denoise, Predict, barring, commit_mask, spans_of


@dataclass(frozen=True, slots=True)
class StepContext:
    """What all steps of a model share."""

    network: FusedTransformer
    cache: KVCache
    padding: CacheRow
    """What padding sequences write to."""
    forbidden: Tensor
    """[V] bool, tokens that no middle may hold."""
    ends: Tensor
    """[E, V] bool, tokens that end a block, by its kind."""
    pool: Any
    """Memory of the graphs, which are never repeated at the same time; None without a GPU."""

    def hidden(self, tokens: Tensor, spans: AttentionMetadata, positions: Tensor | None = None) -> Tensor:
        """Returns [B T, D], the hidden states of a pass over clean tokens, or with positions over a canvas."""
        mask = commit_mask(self.network.config) if positions is None else DENOISE_MASK
        return self.network.hidden(tokens, self.cache, spans, mask, positions)

    def spans(self, places: list[tuple[int, int, int]], size: int, device: torch.device | str) -> AttentionMetadata:
        """Returns where the tokens of a batch stand, padded to its size."""
        return spans_of(places + [(self.padding.index, 0, 0)] * (size - len(places)), device)


class _TokenStep:
    """Common part of the steps over given tokens: buffers for up to `size` sequences of `length` tokens."""

    def __init__(self, context: StepContext, size: int, length: int) -> None:
        self._context, device = context, context.network.device
        self._tokens = torch.zeros(size, length, dtype=torch.int64, device=device)
        self._spans = context.spans([], size, device)

    def _fill_(self, works: Sequence[Commit | Predict]) -> None:
        size = len(self._tokens)
        places = [(work.row.index, work.start, len(work.tokens)) for work in works]
        _refill_(self._spans, self._context.spans(places, size, "cpu"))
        self._tokens.copy_(_padded([work.tokens for work in works], self._tokens))


class CommitStep(_TokenStep):
    """A commit pass, with the distribution after every token."""

    def __init__(self, context: StepContext, size: int, length: int) -> None:
        """Runs it once, and captures it on a GPU."""
        super().__init__(context, size, length)
        network = context.network
        self._probabilities = torch.empty(size, length, len(context.forbidden), device=network.device)

        def run() -> None:
            hidden = context.hidden(self._tokens, self._spans)
            self._probabilities.copy_(network.probabilities(hidden, context.forbidden).view_as(self._probabilities))

        self.repeat = CudaGraph(run, network.device, context.pool)

    def do(self, works: list[Commit]) -> None:
        """Runs `works`."""
        self._fill_(works)
        self.repeat()
        for index, work in enumerate(works):
            end = len(work.tokens)
            work.probabilities = self._probabilities[index, end - work.wanted : end].to("cpu", copy=True)


class ReadStep(_TokenStep):
    """A portion of one sequence's context; what distributions are wanted, few or none, is not captured."""

    def __init__(self, context: StepContext, size: int, length: int) -> None:
        """Runs it once, and captures it on a GPU."""
        super().__init__(context, size, length)
        network = context.network
        self._hidden = torch.empty(size * length, network.config.d_model, dtype=network.dtype, device=network.device)

        def run() -> None:
            self._hidden.copy_(context.hidden(self._tokens, self._spans))

        self.repeat = CudaGraph(run, network.device, context.pool)

    def do(self, works: list[Commit]) -> None:
        """Runs `works`, which is one."""
        self._fill_(works)
        self.repeat()
        for work in works:
            last = self._hidden[len(work.tokens) - work.wanted : len(work.tokens)]
            network, forbidden = self._context.network, self._context.forbidden
            work.probabilities = network.probabilities(last, forbidden).cpu() if work.wanted else last


class PredictStep(_TokenStep):
    """A pass over canvases whose slots the host reveals."""

    def __init__(self, context: StepContext, size: int, length: int, barred: int | None) -> None:
        """Runs it once, and captures it on a GPU; no slot holds the token `barred`."""
        super().__init__(context, size, length)
        network = context.network
        device, forbidden = network.device, barring(context.forbidden, barred)
        self._positions = torch.zeros_like(self._tokens)
        self._wanted = torch.zeros(size, dtype=torch.int64, device=device)
        self._probabilities = torch.empty(size, len(forbidden), device=device)
        numbers = torch.empty(2, size * length, device=device)
        self._selection = Selection(torch.empty(size * length, dtype=torch.int64, device=device), *numbers)

        def run() -> None:
            hidden = context.hidden(self._tokens, self._spans, self._positions)
            _refill_(self._selection, network.select(hidden, forbidden))
            self._probabilities.copy_(network.probabilities(hidden[self._wanted], forbidden))

        self.repeat = CudaGraph(run, device, context.pool)

    def do(self, works: list[Predict]) -> None:
        """Runs `works`."""
        length, shifted = self._tokens.shape[1], self._context.network.config.shifted
        self._fill_(works)
        positions = [work.positions or list(range(work.start, work.start + len(work.tokens))) for work in works]
        self._positions.copy_(_padded(positions, self._positions))
        pairs = [(work, work.predicting(shifted)) for work in works]
        wanted = [index * length + rows.start + work.slot for index, (work, rows) in enumerate(pairs)]
        self._wanted.copy_(torch.tensor(wanted + [0] * (len(self._wanted) - len(works))))
        self.repeat()
        parts = [part.view(-1, length).to("cpu", copy=True) for part in self._selection]
        for index, (work, rows) in enumerate(pairs):
            work.selection = Selection(*(part[index, rows] for part in parts))
            work.probabilities = self._probabilities[index].to("cpu", copy=True)


class DenoiseStep:
    """A denoise pass over `size` blocks of `length` slots, and what it reveals."""

    def __init__(self, context: StepContext, size: int, length: int, schedule: Schedule) -> None:
        """Runs it once, and captures it on a GPU."""
        self._context, network = context, context.network
        device = network.device
        self._spans = context.spans([], size, device)
        self._blocks = blocks_of([], size, length, device)

        def run() -> None:
            hidden = network.hidden(self._blocks.tokens, context.cache, self._spans, DENOISE_MASK)
            found = network.select(hidden, context.forbidden)
            score_ops.unmask_(self._blocks, found, network.config.shifted, schedule, context.ends)

        self.repeat = CudaGraph(run, device, context.pool)

    def do(self, works: list[Denoise]) -> None:
        """Runs the steps that `works` want; the host looks at the blocks once, at the end."""
        size, length = self._blocks.tokens.shape
        places = [(work.row.index, work.start, length) for work in works]
        _refill_(self._spans, self._context.spans(places, size, "cpu"))
        _refill_(self._blocks, blocks_of(works, size, length, "cpu"))
        for _ in range(max(work.count for work in works)):
            self.repeat()
        found = Blocks(*(part.to("cpu", copy=True) for part in self._blocks))
        for index, work in enumerate(works):
            canvas = work.canvas
            canvas.tokens, canvas.candidates, canvas.masked = (part[index] for part in found[:3])
            canvas.confidence, canvas.entropy = found.confidence[index], found.entropy[index]
            work.index = int(found.steps[index])


def blocks_of(works: list[Denoise], size: int, length: int, device: torch.device | str) -> Blocks:
    """Returns the slots of a batch; the blocks that pad it to its size are inactive."""
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


def _padded(rows: list[list[int]], like: Tensor) -> Tensor:
    """Returns rows of numbers in the shape of `like`, padded with 0."""
    size, length = like.shape
    filled = [row + [0] * (length - len(row)) for row in rows]
    return torch.tensor(filled + [[0] * length] * (size - len(rows)))


def _refill_(tensors: Iterable[Tensor], values: Iterable[Tensor]) -> None:
    """Writes new values to the addresses that a captured step reads."""
    for tensor, value in zip(tensors, values, strict=True):
        tensor.copy_(value)
