"""The layers of a pass, one after the other: in operations of `coder_kernels`, or where it can be as one chain of jobs.

A CPU that multiplies in groups runs a pass of few tokens as a chain: what Python does between two of its 240 jobs takes
as long as the jobs themselves.
"""

from __future__ import annotations

from functools import cached_property
from typing import NamedTuple, cast

import torch
from torch import Tensor

from coder_kernels import ops
from coder_kernels.cpu import grouped
from coder_kernels.tensor_types import ActivationDtype, Activations, AttentionMetadata
from coder_model.model.config import ModelConfig
from coder_model.model.kv_cache import KVCache
from coder_model.model.layer_chain import ChainedLayers, LayerBuffers, buffers_of
from coder_model.model.merged_weights import LayerWeights


class StackOutput(NamedTuple):
    """What a pass leaves behind the last layer: the stream is the sum of the first two."""

    parts: Tensor
    """[S, M, D] float, of the last product."""
    stream: Tensor
    """[M, D] float32, the residual stream before it."""
    tapped: list[Tensor]
    """[M, D] float32, the residual stream behind each tap."""


class LayerStack:
    """The merged weights of a model's layers."""

    def __init__(
        self,
        layers: list[LayerWeights],
        config: ModelConfig,
        dtype: torch.dtype,
        activation_dtype: ActivationDtype | None,
        capacity: int,
    ) -> None:
        """Takes the layers.

        Args:
            layers: of one model.
            config: its shape.
            dtype: of activations that have no eight bits.
            activation_dtype: see `FusedTransformer`.
            capacity: tokens of a sequence.
        """
        self.layers, self._config, self._capacity = layers, config, capacity
        self._dtype, self._activation_dtype = dtype, activation_dtype
        self._chains: dict[tuple[int, int, tuple[int, ...]], ChainedLayers] = {}

    def run(
        self,
        parts: Tensor,
        cache: KVCache,
        spans: AttentionMetadata,
        block_length: int,
        tables: tuple[Tensor, Tensor],
        taps: tuple[int, ...] = (),
    ) -> StackOutput:
        """Runs the layers over M = B T tokens, and writes their keys and values into the cache.

        Args:
            parts: [1, M, D] float, the embeddings.
            cache: with room for T tokens more in each row.
            spans: where the tokens stand.
            block_length: the attention mask, see `ops.block_attention`.
            tables: cosines and sines [M, K / 2] float32 of the tokens' positions.
            taps: layers, counted from 1, whose residual stream is wanted too; the last one has none.
        """
        n_tokens = parts.shape[1]
        is_chained = self._activation_dtype == "grouped" and 0 < n_tokens <= grouped.MOST_QUERIES
        if is_chained and grouped.takes(parts, cache.keys[0]):
            chain = self._chain(len(spans.rows), n_tokens, taps)
            added, stream, tapped = chain.run(parts[0], cache, spans, block_length, tables)
            return StackOutput(added[None], stream, tapped)
        return self._in_operations(parts, cache, spans, block_length, tables, taps)

    def _chain(self, n_sequences: int, n_tokens: int, taps: tuple[int, ...]) -> ChainedLayers:
        key = n_sequences, n_tokens, taps
        if key not in self._chains:
            buffers = self._buffers.first(n_tokens)
            self._chains[key] = ChainedLayers(self.layers, self._config, buffers, n_sequences, taps)
        return self._chains[key]

    @cached_property
    def _buffers(self) -> LayerBuffers:
        return buffers_of(self._config, grouped.MOST_QUERIES, self._capacity)

    def _in_operations(
        self,
        parts: Tensor,
        cache: KVCache,
        spans: AttentionMetadata,
        block_length: int,
        tables: tuple[Tensor, Tensor],
        taps: tuple[int, ...],
    ) -> StackOutput:
        eps, activation_dtype = self._config.norm_eps, self._activation_dtype
        stream: Tensor | None = None
        tapped: list[Tensor] = []
        x: Activations
        for index, layer in enumerate(self.layers):
            x, stream = ops.add_rms_norm(parts, stream, layer.first_norm, eps, activation_dtype)
            if index in taps:
                tapped.append(stream)
            keys, values = cache.keys[index], cache.values[index]
            qkv = ops.linear(x, layer.qkv)
            q = ops.rotate_and_write_(qkv, layer.qkv_bias, layer.qk_norms, eps, tables, keys, values, spans)
            x = ops.block_attention(q, keys, values, spans, block_length, activation_dtype=activation_dtype)
            x, stream = ops.add_rms_norm(ops.linear(x, layer.out), stream, layer.second_norm, eps, activation_dtype)
            parts = ops.linear(ops.swiglu(x, layer.gate_up, self._dtype, activation_dtype), layer.down)
        return StackOutput(parts, cast(Tensor, stream), tapped)
