"""The drafter's fast twin: the same weights in few operations of `coder_kernels`, over a cache of its own.

`drafter.py` says what is computed; the tests hold this to it.
"""

from __future__ import annotations

from typing import cast

import torch
import torch.nn.functional as F  # noqa: N812  the name everyone uses
from torch import Tensor

from coder_kernels import ops, packing, score_ops
from coder_kernels.quantise import SMALL_GROUP, Quantised
from coder_kernels.tensor_types import (
    ActivationDtype,
    AttentionMetadata,
    Selection,
    Weight,
    height_of,
    matrix_of,
)
from coder_model.model.drafter import Drafter
from coder_model.model.fused_transformer import FusedTransformer
from coder_model.model.kv_cache import KVCache
from coder_model.model.layer_stack import LayerStack
from coder_model.model.merged_weights import merged_
from coder_model.model.quantized_linear import pack_
from coder_model.model.rotary import rotary_tables
from coder_model.model.transformer import Layer


class FusedDrafter:
    """The merged weights of a drafter, and its passes for one document at a time."""

    def __init__(
        self,
        drafter: Drafter,
        network: FusedTransformer,
        ids: Tensor,
        capacity: int,
        dtype: ActivationDtype | None = None,
    ) -> None:
        """Takes the drafter over.

        Args:
            drafter: in float32; its weights change their format.
            network: of the larger model.
            ids: [N] int64, the larger model's tokens that the drafter may say.
            capacity: tokens of a sequence.
            dtype: of weights and activations: int8 by rows, or `grouped`; None: the network's.
        """
        self.config, self._network, self._ids = drafter.config, network, ids
        self._activation_dtype = dtype
        self._dtype = torch.float32 if dtype else network.dtype
        self._taps = [cast(Tensor, norm.weight).data for norm in drafter.tap_norms]
        self._join_norm, self._norm = drafter.join_norm.weight.data, drafter.norm.weight.data
        self._masks = drafter.masks.data
        self._join: Weight = drafter.join.weight.data.to(self._dtype)
        head = network.head_rows(ids)
        self._head: Weight = head
        if dtype:
            self._join = packing.pack(drafter.join.weight.data, dtype)
            # packed rows come in tiles: what fills up the last one cannot be said
            self._head = packing.pack(_filled_up(head), dtype)
            pack_(drafter.layers, "grouped" if dtype == "grouped" else "int8")
        shape = drafter.config.layers()
        layers = [merged_(cast(Layer, layer.to(self._dtype)), packs=dtype is not None) for layer in drafter.layers]
        self._stack = LayerStack(layers, shape, self._dtype, dtype, capacity)
        cos, sin = rotary_tables(shape, torch.arange(capacity)[None])
        half = shape.head_dim // 2
        self._tables = cos[0, 0, :, :half].contiguous(), sin[0, 0, :, :half].contiguous()
        self._forbidden = torch.arange(height_of(self._head)) >= len(ids)

    def new_cache(self, capacity: int) -> KVCache:
        """Returns room for one document."""
        return KVCache(self.config.layers(), 1, capacity, self._network.cache_dtype)

    def read(self, states: list[Tensor], cache: KVCache, start: int) -> None:
        """Writes the keys and values of a context.

        Args:
            states: per tap [T, D] float32, the larger model's residual streams.
            cache: with room for T tokens from `start` on.
            start: position of the first one.
        """
        normal = [ops.add_rms_norm(x[None], None, norm, self.config.norm_eps)[0] for x, norm in self._pairs(states)]
        x = self._product(torch.cat(cast(list[Tensor], normal), dim=1), self._join)
        joined, _ = ops.add_rms_norm(
            x, None, self._join_norm.to(self._dtype), self.config.norm_eps, self._activation_dtype
        )
        spans, tables = _spans(start, len(states[0])), self._angles(start, len(states[0]))
        for layer, keys, values in zip(self._stack.layers, cache.keys, cache.values, strict=True):
            qkv, eps = ops.linear(joined, layer.qkv), self.config.norm_eps
            ops.rotate_and_write_(qkv, None, layer.qk_norms, eps, tables, keys, values, spans)

    def denoise(self, tokens: Tensor, known: Tensor, cache: KVCache, start: int) -> Selection:
        """Runs one pass over a block of slots behind a context; returns the choice for the token after each slot.

        Args:
            tokens: [M] int64 of the larger model; those of unknown slots are not looked at.
            known: [M] bool.
            cache: holds the context; with room for M slots more.
            start: tokens of the context.

        Returns:
            [M] each; tokens by the larger model's numbers.
        """
        embedded = self._network.embedded(tokens).float()
        normal = F.rms_norm(embedded, embedded.shape[-1:], None, self.config.norm_eps)
        parts = torch.where(known[:, None], normal, self._masks[: len(tokens)])[None]
        found = self._stack.run(parts, cache, _spans(start, len(tokens)), 0, self._angles(start, len(tokens)))
        hidden, _ = ops.add_rms_norm(
            found.parts, found.stream, self._norm.to(self._dtype), self.config.norm_eps, self._activation_dtype
        )
        choice = score_ops.head_select(hidden, self._head, self._forbidden)
        return choice._replace(token=self._ids[choice.token])

    def _pairs(self, states: list[Tensor]) -> list[tuple[Tensor, Tensor]]:
        return [(x, norm.to(self._dtype)) for x, norm in zip(states, self._taps, strict=True)]

    def _product(self, x: Tensor, weight: Weight) -> Tensor:
        return ops.linear(ops.quantise_rows(x, dtype) if (dtype := self._activation_dtype) else x, weight)

    def _angles(self, start: int, count: int) -> tuple[Tensor, Tensor]:
        cos, sin = self._tables
        return cos[start : start + count], sin[start : start + count]


def _filled_up(head: Tensor | Quantised) -> Tensor | Quantised:
    """A matrix with zeros behind its rows, up to a multiple of 32."""
    more = -len(matrix_of(head)) % SMALL_GROUP
    if isinstance(head, Tensor):
        return F.pad(head, (0, 0, 0, more))
    scale = F.pad(head.scale, (*[0, 0] * (head.scale.dim() - 1), 0, more))
    return Quantised(F.pad(head.values, (0, 0, 0, more)), scale, head.offset)


def _spans(start: int, count: int) -> AttentionMetadata:
    return AttentionMetadata(*torch.tensor([[0], [start], [count]], dtype=torch.int32))
