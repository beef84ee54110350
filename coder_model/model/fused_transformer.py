"""The transformer in few operations of `coder_kernels` over a KV cache, for all attention patterns.

`transformer.py` is the reference that tests compare it with. Queries, keys and values are one product here, gate and up
another, and the residual stream is float32 whatever the weights are.
"""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor

from coder_kernels import cpu_int8, ops, packing, score_ops
from coder_kernels.cpu import grouped
from coder_kernels.cpu_dtype import reads_bfloat16
from coder_kernels.quantise import (
    PRECISION_OF,
    SMALL_GROUP,
    Packed,
    PackedGroups,
    Precision,
    Quantised,
    dequantise,
    is_grouped,
    quantise,
)
from coder_kernels.tensor_types import ActivationDtype, Activations, AttentionMetadata, Selection, Weight, matrix_of
from coder_model.model.config import ModelConfig
from coder_model.model.kv_cache import KVCache
from coder_model.model.layer_stack import LayerStack
from coder_model.model.merged_weights import MergedLayer, merged_, weight_
from coder_model.model.quantized_linear import pack_
from coder_model.model.rotary import rotary_tables
from coder_model.model.stored_embedding import StoredEmbedding
from coder_model.model.transformer import Layer, Transformer


def fuse(model: Transformer, capacity: int, precision: str) -> FusedTransformer:
    """Returns the network of a loaded model, in the number formats that are best where it is.

    Activations have eight bits where the weights have and where that is multiplied faster; on a CPU weights in float32
    are made int8 for that. A row's scale is its own, so that no row depends on those beside it.

    Args:
        model: its weights change their place, and with int8 their format.
        capacity: tokens of a sequence.
        precision: how a CPU multiplies, see `cpu_dtype.fastest`.
    """
    weight = model.embed_tokens.weight
    if weight.is_cuda:
        dtype = torch.bfloat16 if weight.dtype == torch.float32 else weight.dtype
        eights: tuple[torch.dtype, ...] = (torch.int8, torch.float8_e4m3fn)
    else:
        dtype = weight.dtype
        eights = (torch.int8,) if precision == "int8" and cpu_int8.is_exact() else ()
        if eights and dtype == torch.float32:
            pack_(model, "int8")
    if isinstance(model.layers[0], MergedLayer):
        return FusedTransformer(model, torch.float32, capacity, "grouped")
    first = weight_(cast(Layer, model.layers[0]).self_attn.q_proj, packs=False)
    if isinstance(first, Quantised) and is_grouped(first) and not weight.is_cuda:
        if takes_groups(model.config):
            return FusedTransformer(model, torch.float32, capacity, "grouped")
        # slow, but whoever asks for it by name gets it: int8 by rows takes no scales of groups
        return FusedTransformer(model, dtype, capacity)
    stored = matrix_of(first).dtype
    if stored not in eights:
        return FusedTransformer(model, dtype, capacity)
    # between products in int8 a CPU has little to do, and does it as fast in float32
    return FusedTransformer(model, dtype if weight.is_cuda else torch.float32, capacity, stored)


def takes_groups(config: ModelConfig) -> bool:
    """Returns whether this processor multiplies in groups, and all matrices of a model can be cut in them."""
    heads = config.n_heads * config.head_dim, config.n_kv_heads * config.head_dim
    sizes = config.d_model, config.d_ff, *heads, config.vocab_size
    return grouped.is_there() and not any(size % SMALL_GROUP for size in sizes)


class FusedTransformer:
    """The merged weights of a model, and the passes over them."""

    def __init__(
        self, model: Transformer, dtype: torch.dtype, capacity: int, activation_dtype: ActivationDtype | None = None
    ) -> None:
        """Merges the weights of `model`, which shares them from then on, so that there is one copy.

        Args:
            model: dense in `dtype` or in few bits.
            dtype: of activations.
            capacity: tokens of a sequence, for the tables of positions.
            activation_dtype: the dtype of weights of eight bits, to have activations in it too where the two meet.
        """
        self.config: ModelConfig = model.config
        self.dtype = dtype
        self.device = model.embed_tokens.weight.device
        packs = activation_dtype in (torch.int8, "grouped") and self.device.type == "cpu"
        halves = activation_dtype == "grouped" or (packs and reads_bfloat16())
        self.cache_dtype = torch.bfloat16 if halves else dtype
        """Dtype of keys and values; half the bytes where attention over them is no slower."""
        table = model.embed_tokens.weight
        for parameter in model.parameters():
            # not model.to: weights in few bits are buffers, and fp8 is a floating dtype too
            if not packs or parameter is not table:
                parameter.data = parameter.data.to(dtype)
        layers = [merged_(cast(Layer | MergedLayer, layer), packs) for layer in model.layers]
        self._stack = LayerStack(layers, model.config, dtype, activation_dtype, capacity)
        self._norm = model.norm.weight.data
        self._embedding: Weight | StoredEmbedding
        if isinstance(model.embed_tokens, StoredEmbedding):
            self._embedding = model.embed_tokens
        else:
            few: Precision = "grouped" if activation_dtype == "grouped" else "int8"
            self._embedding = quantise(table.data, few) if packs else table.data
            if packs:
                table.data = table.data.new_empty(0, table.shape[1])
        self._head = self._head_of(model, activation_dtype, packs)
        self.capacity = capacity
        cos, sin = rotary_tables(self.config, torch.arange(capacity, device=self.device)[None])
        half = self.config.head_dim // 2
        self._tables = cos[0, 0, :, :half].contiguous(), sin[0, 0, :, :half].contiguous()
        self.activation_dtype = activation_dtype

    def hidden(
        self,
        tokens: Tensor,
        cache: KVCache,
        spans: AttentionMetadata,
        block_length: int,
        positions: Tensor | None = None,
    ) -> Tensor:
        """Returns [B T, D], the final normalised hidden states of a pass; see `states`."""
        return self.states(tokens, cache, spans, block_length, (), positions)[0]

    def states(
        self,
        tokens: Tensor,
        cache: KVCache,
        spans: AttentionMetadata,
        block_length: int,
        taps: tuple[int, ...],
        positions: Tensor | None = None,
    ) -> tuple[Tensor, list[Tensor]]:
        """Runs one pass, which writes its keys and values behind what the rows hold.

        Args:
            tokens: [B, T] int64.
            cache: with room for T tokens more in each row.
            spans: where the tokens stand.
            block_length: the attention mask among them, see `ops.block_attention`: 0 denoise, 1 commit.
            taps: layers, counted from 1, whose residual stream is returned too; the last one has none.
            positions: [B, T] int64 in [0, capacity), for the rotary embedding; None: the tokens' places in the cache.

        Returns:
            [B T, D] final normalised hidden states, and the residual streams [B T, D] float32 behind the taps.
        """
        if positions is None:
            positions = spans.starts[:, None] + torch.arange(tokens.shape[1], device=self.device)
        places = positions.flatten()
        tables = self._tables[0][places], self._tables[1][places]
        embedded = self.embedded(tokens.flatten())[None]
        found = self._stack.run(embedded, cache, spans, block_length, tables, taps)
        normal, _ = ops.add_rms_norm(found.parts, found.stream, self._norm, self.config.norm_eps)
        return cast(Tensor, normal), found.tapped

    def embedded(self, tokens: Tensor) -> Tensor:
        """Returns [..., D], the embeddings of tokens."""
        table = self._embedding
        if isinstance(table, StoredEmbedding):
            return cast(Tensor, table(tokens)).to(self.dtype)
        if isinstance(table, Quantised):
            return dequantise(Quantised(table.values[tokens], table.scale[tokens], table.offset), self.dtype)
        return cast(Tensor, table)[tokens]

    def head_rows(self, ids: Tensor) -> Tensor | Quantised:
        """Returns the rows of the head for some tokens [N] int64."""
        head = self._head
        if isinstance(head, Packed | PackedGroups):
            return packing.unpack(head, ids)
        if isinstance(head, Quantised):
            return Quantised(
                head.values[ids], head.scale[ids], head.offset[ids] if head.offset.numel() else head.offset
            )
        return head[ids]

    def select(self, hidden: Tensor, forbidden: Tensor) -> Selection:
        """Returns the likeliest token of each row [M, D], its confidence and entropy; no `forbidden` [V] bool."""
        return score_ops.head_select(self._for_head(hidden), self._head, forbidden)

    def probabilities(self, hidden: Tensor, forbidden: Tensor) -> Tensor:
        """Returns [M, V] float32, the distribution after each row [M, D]; `forbidden` [V] bool have none."""
        return score_ops.probabilities_(self.scores(hidden), forbidden, self.activation_dtype)

    def scores(self, hidden: Tensor) -> Tensor:
        """Returns [M, V] float32, the logits of each row [M, D]."""
        parts = ops.linear(self._for_head(hidden), self._head)
        return (parts[0] if len(parts) == 1 else parts.sum(0)).float()

    def _for_head(self, hidden: Tensor) -> Activations:
        dtype = self.activation_dtype
        if isinstance(self._head, PackedGroups) or (dtype and matrix_of(self._head).dtype == dtype):
            return ops.quantise_rows(hidden, cast(ActivationDtype, dtype))
        return hidden

    def _head_of(self, model: Transformer, activation_dtype: ActivationDtype | None, packs: bool) -> Weight:
        """The head's weight; where it is the table and activations have eight bits, the table in them."""
        if not self.config.tied_head:
            return weight_(model.lm_head, packs)
        if not activation_dtype:
            return cast(Tensor, self._embedding)
        if isinstance(self._embedding, Quantised):
            return packing.pack(self._embedding, activation_dtype)
        return quantise(cast(Tensor, self._embedding), PRECISION_OF[cast(torch.dtype, activation_dtype)])
