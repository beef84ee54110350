"""The layers of a pass over few tokens as one chain of jobs, for weights in groups on a CPU.

`layer_stack.py` has the same in operations, which tests hold this to, bit by bit.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor

from coder_kernels.cpu import grouped, jobs
from coder_kernels.cpu.chain import Chain
from coder_kernels.quantise import PackedGroups
from coder_kernels.tensor_types import AttentionMetadata, GroupedRows
from coder_model.model.config import ModelConfig
from coder_model.model.kv_cache import KVCache
from coder_model.model.merged_weights import LayerWeights

_SHARED_JOBS, _FIRST_PLACED = 8, 2
"""Jobs of a layer that are over all tokens, and the first of the others: two of each sequence."""


@dataclass(frozen=True, slots=True)
class LayerBuffers:
    """What the jobs of a pass over M tokens write, float32 or rounded; every layer writes over the one before."""

    normal: GroupedRows
    """[M, D], in front of a product."""
    streams: tuple[Tensor, Tensor]
    """[M, D] each, the residual stream in front of the attention and behind it."""
    qkv: Tensor
    queries: Tensor
    """[M, H, K]."""
    scores: Tensor
    mixed: Tensor
    """[M, H K], what the attention returns."""
    rounded: GroupedRows
    """The same in eight bits."""
    added: Tensor
    """[M, D], what is to be added to the stream."""
    gate_up: Tensor
    inner: GroupedRows
    """[M, F]."""

    def first(self, n_tokens: int) -> LayerBuffers:
        """Returns the part of them for fewer tokens."""

        def part(whole: Tensor) -> Tensor:
            return whole[:n_tokens]

        def rows(whole: GroupedRows) -> GroupedRows:
            return GroupedRows(*(part(each) for each in whole))

        first, second = self.streams
        return LayerBuffers(
            rows(self.normal),
            (part(first), part(second)),
            part(self.qkv),
            part(self.queries),
            self.scores,
            part(self.mixed),
            rows(self.rounded),
            part(self.added),
            part(self.gate_up),
            rows(self.inner),
        )


def buffers_of(config: ModelConfig, n_tokens: int, capacity: int) -> LayerBuffers:
    """Returns room for passes of up to `n_tokens` tokens in sequences of up to `capacity`."""
    width, inner = config.n_heads * config.head_dim, config.d_ff
    shared = config.n_heads // config.n_kv_heads
    return LayerBuffers(
        grouped.empty_rows(n_tokens, config.d_model),
        (torch.empty(n_tokens, config.d_model), torch.empty(n_tokens, config.d_model)),
        torch.empty(n_tokens, width + 2 * config.n_kv_heads * config.head_dim),
        torch.empty(n_tokens, config.n_heads, config.head_dim),
        grouped.empty_scores(grouped.get_machine(), shared, capacity),
        torch.empty(n_tokens, width),
        grouped.empty_rows(n_tokens, width),
        torch.empty(n_tokens, config.d_model),
        torch.empty(n_tokens, 2 * inner),
        grouped.empty_rows(n_tokens, inner),
    )


class ChainedLayers:
    """The layers of a model for passes over one number of sequences of one length."""

    def __init__(
        self,
        layers: Sequence[LayerWeights],
        config: ModelConfig,
        buffers: LayerBuffers,
        n_sequences: int,
        taps: tuple[int, ...],
    ) -> None:
        """Writes the chain.

        Args:
            layers: whose matrices are packed in groups.
            config: their shape.
            buffers: for the B T tokens of a pass.
            n_sequences: B.
            taps: layers, counted from 1, whose residual stream is kept.
        """
        self._buffers, self._eps, self._n_groups = buffers, config.norm_eps, config.n_kv_heads
        length = len(buffers.added) // n_sequences
        self._parts = [slice(first, first + length) for first in range(0, len(buffers.added), length)]
        self._n_layers, self._machine = len(layers), grouped.get_machine()
        self._tapped = {tap: torch.empty_like(buffers.added) for tap in taps}
        before = None
        chained: list[jobs.MachineJob] = []
        for index, layer in enumerate(layers):
            stream = self._tapped.get(index, buffers.streams[0])
            chained += [*self._attention(layer, before, stream), *self._mlp(layer, stream)]
            before = buffers.streams[1]
        self._chain = Chain(self._machine.pool, chained)

    def _attention(self, layer: LayerWeights, before: Tensor | None, stream: Tensor) -> list[jobs.MachineJob]:
        """The jobs of a layer up to the product behind its attention; where its tokens stand is filled in later."""
        machine, of = self._machine, self._buffers
        bias = None if layer.qkv_bias is None else layer.qkv_bias.float()
        norms = layer.qk_norms and (layer.qk_norms[0].float(), layer.qk_norms[1].float())
        eps = self._eps
        placed = [job for part in self._parts for job in self._of_sequence(part, bias, norms)]
        return [
            jobs.norm(machine, of.added, before, layer.first_norm.float(), stream, eps, of.normal),
            jobs.product(machine, of.normal, cast(PackedGroups, layer.qkv), of.qkv),
            *placed,
            jobs.rounding(machine, of.mixed, of.rounded),
            jobs.product(machine, of.rounded, cast(PackedGroups, layer.out), of.added),
        ]

    def _of_sequence(
        self, part: slice, bias: Tensor | None, norms: tuple[Tensor, Tensor] | None
    ) -> tuple[jobs.MachineJob, jobs.MachineJob]:
        """What turns the queries and keys of one sequence and writes them, and its attention."""
        machine, of, nowhere, groups = (
            self._machine,
            self._buffers,
            (of_none := torch.empty(0), of_none),
            self._n_groups,
        )
        queries = of.queries[part]
        return (
            jobs.turn(machine, of.qkv[part], bias, norms, self._eps, nowhere, queries, groups, {}),
            jobs.attention(machine, queries, groups, {}, 0, 0, 0, of.scores, of.mixed[part]),
        )

    def _mlp(self, layer: LayerWeights, stream: Tensor) -> list[jobs.MachineJob]:
        machine, of = self._machine, self._buffers
        return [
            jobs.norm(machine, of.added, stream, layer.second_norm.float(), of.streams[1], self._eps, of.normal),
            jobs.product(machine, of.normal, cast(PackedGroups, layer.gate_up), of.gate_up),
            jobs.gate(machine, of.gate_up, of.inner),
            jobs.product(machine, of.inner, cast(PackedGroups, layer.down), of.added),
        ]

    def run(
        self, x: Tensor, cache: KVCache, spans: AttentionMetadata, block_length: int, tables: tuple[Tensor, Tensor]
    ) -> tuple[Tensor, Tensor, list[Tensor]]:
        """Runs a pass.

        Args:
            x: [B T, D] float32, contiguous.
            cache: in bfloat16.
            spans: where the tokens of each sequence stand; what is behind its count is padding.
            block_length: the attention mask, see `ops.block_attention`.
            tables: cosines and sines [B T, K / 2] float32 of the tokens' positions.

        Returns:
            What is still to be added to the stream, the stream [B T, D] float32, and the streams behind the taps.

        Raises:
            ValueError: when the tokens are not in the cache.
        """
        keys, values = cache.keys, cache.values
        steps = {name: part.stride(0) * part.itemsize for name, part in (("keys", keys), ("values", values))}
        jobs_of_layer = _SHARED_JOBS + 2 * len(self._parts)
        with self._machine.pool.alone:
            self._chain.change(0, x=x)
            for number, (part, row, start, count) in enumerate(
                zip(self._parts, *map(Tensor.tolist, spans), strict=True)
            ):
                grouped.check_inside(row, start, part.stop - part.start, keys[0])
                written, read = (jobs.places(keys[0], values[0], row, first) for first in (start, 0))
                cosine, sine = (table[part] for table in tables)
                turn = _FIRST_PLACED + 2 * number
                for first in range(turn, self._n_layers * jobs_of_layer, jobs_of_layer):
                    self._chain.change(first, cosine=cosine, sine=sine, **written)
                    self._chain.change(first + 1, start=start, count=max(count, 1), block=block_length, **read)
                    for name, step in steps.items():
                        written[name] += step
                        read[name] += step
            self._chain.run()
            of = self._buffers
            return of.added.clone(), of.streams[1].clone(), [tap.clone() for tap in self._tapped.values()]
