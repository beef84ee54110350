"""The transformer in few operations of `coder_kernels` over a KV cache, for all attention patterns.

`transformer.py` is the reference that tests compare it with. Queries, keys and values are one product here, gate and up
another, and the residual stream is float32 whatever the weights are.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn

from coder_kernels import ops
from coder_kernels.quantise import PRECISION_OF, Quantised, quantise
from coder_kernels.tensor_types import Activations, AttentionMetadata, Selection, Weight, matrix_of
from coder_model.model.config import ModelConfig
from coder_model.model.kv_cache import KVCache
from coder_model.model.quantized_linear import QuantizedLinear, pack_
from coder_model.model.rotary import rotary_tables
from coder_model.model.transformer import Layer, RMSNorm, Transformer


def fuse(model: Transformer, capacity: int, precision: str) -> FusedTransformer:
    """Returns the network of a loaded model, in the number formats that are best where it is.

    Activations have eight bits where the weights have and where that is multiplied faster; on a CPU weights in float32
    are made int8 for that. A row's scale is its own, so that no row depends on those beside it.

    Args:
        model: its weights change their place, and with int8 their format.
        capacity: tokens of a sequence.
        precision: how a CPU multiplies, see `processor.fastest`.
    """
    weight = model.embed_tokens.weight
    if weight.is_cuda:
        dtype = torch.bfloat16 if weight.dtype == torch.float32 else weight.dtype
        eights: tuple[torch.dtype, ...] = (torch.int8, torch.float8_e4m3fn)
    else:
        dtype = weight.dtype
        eights = (torch.int8,) if precision == "int8" else ()
        if eights and dtype == torch.float32:
            pack_(model, "int8")
    stored = matrix_of(_weight(cast(Layer, model.layers[0]).self_attn.q_proj)).dtype
    return FusedTransformer(model, dtype, capacity, stored if stored in eights else None)


@dataclass(frozen=True, slots=True)
class LayerWeights:
    """What a pass over a layer reads."""

    first_norm: Tensor
    qkv: Weight
    qkv_bias: Tensor | None
    qk_norms: tuple[Tensor, Tensor] | None
    out: Weight
    second_norm: Tensor
    gate_up: Weight
    down: Weight


class FusedTransformer:
    """The merged weights of a model, and the passes over them."""

    def __init__(
        self, model: Transformer, dtype: torch.dtype, capacity: int, activation_dtype: torch.dtype | None = None
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
        for parameter in model.parameters():
            # not model.to: weights in few bits are buffers, and fp8 is a floating dtype too
            parameter.data = parameter.data.to(dtype)
        self.device = model.embed_tokens.weight.device
        self._embedding = model.embed_tokens.weight.data
        self._layers = [merged_(cast(Layer, layer)) for layer in model.layers]
        self._norm = model.norm.weight.data
        self._head: Weight = self._embedding
        if not self.config.tied_head:
            self._head = _weight(model.lm_head)
        elif activation_dtype:
            self._head = quantise(self._embedding, PRECISION_OF[activation_dtype])
        self.capacity = capacity
        cos, sin = rotary_tables(self.config, torch.arange(capacity, device=self.device)[None])
        half = self.config.head_dim // 2
        self._tables = cos[0, 0, :, :half].contiguous(), sin[0, 0, :, :half].contiguous()
        self._activation_dtype = activation_dtype

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
        eps, activation_dtype = self.config.norm_eps, self._activation_dtype
        parts: Tensor = self._embedding[tokens.flatten()][None]
        stream: Tensor | None = None
        tapped: list[Tensor] = []
        x: Activations
        for index, layer in enumerate(self._layers):
            x, stream = ops.add_rms_norm(parts, stream, layer.first_norm, eps, activation_dtype)
            if index in taps:
                tapped.append(stream)
            keys, values = cache.keys[index], cache.values[index]
            qkv = ops.linear(x, layer.qkv)
            q = ops.rotate_and_write_(qkv, layer.qkv_bias, layer.qk_norms, eps, tables, keys, values, spans)
            x = ops.block_attention(q, keys, values, spans, block_length, activation_dtype=activation_dtype)
            x, stream = ops.add_rms_norm(ops.linear(x, layer.out), stream, layer.second_norm, eps, activation_dtype)
            x = ops.swiglu(x, layer.gate_up, self.dtype)
            parts = ops.linear(ops.quantise_rows(x, activation_dtype) if activation_dtype else x, layer.down)
        normal, _ = ops.add_rms_norm(parts, stream, self._norm, eps)
        return cast(Tensor, normal), tapped

    def embedded(self, tokens: Tensor) -> Tensor:
        """Returns [..., D], the embeddings of tokens."""
        return cast(Tensor, self._embedding[tokens])

    def head_rows(self, ids: Tensor) -> Weight:
        """Returns the rows of the head for some tokens [N] int64."""
        if isinstance(self._head, Quantised):
            offset = self._head.offset
            return Quantised(self._head.values[ids], self._head.scale[ids], offset[ids] if offset.numel() else offset)
        return self._head[ids]

    def select(self, hidden: Tensor, forbidden: Tensor) -> Selection:
        """Returns what the head says of each row [M, D]; `forbidden` [V] bool are no tokens."""
        return ops.head_select(self._for_head(hidden), self._head, forbidden)

    def probabilities(self, hidden: Tensor, forbidden: Tensor) -> Tensor:
        """Returns [M, V] float32, the distribution after each row [M, D]; `forbidden` [V] bool have none."""
        return self.scores(hidden, forbidden).softmax(dim=1)

    def scores(self, hidden: Tensor, forbidden: Tensor) -> Tensor:
        """Returns [M, V] float32, what the head says of each row [M, D]; -inf for `forbidden` [V] bool."""
        parts = ops.linear(self._for_head(hidden), self._head)
        scores = (parts[0] if len(parts) == 1 else parts.sum(0)).float()
        return scores.masked_fill_(forbidden, float("-inf"))

    def _for_head(self, hidden: Tensor) -> Activations:
        is_eight = self._activation_dtype and matrix_of(self._head).dtype == self._activation_dtype
        return ops.quantise_rows(hidden, cast(torch.dtype, self._activation_dtype)) if is_eight else hidden


def merged_(layer: Layer) -> LayerWeights:
    """The weights of a layer; the layer's own become parts of them."""
    attention, mlp = layer.self_attn, layer.mlp
    qkv, bias = _together_([attention.q_proj, attention.k_proj, attention.v_proj])
    gate_up, _ = _together_([mlp.gate_proj, mlp.up_proj])
    norms = None
    if isinstance(attention.q_norm, RMSNorm):
        norms = attention.q_norm.weight.data, cast(RMSNorm, attention.k_norm).weight.data
    return LayerWeights(
        layer.input_layernorm.weight.data,
        qkv,
        bias,
        norms,
        _weight(attention.o_proj),
        layer.post_attention_layernorm.weight.data,
        gate_up,
        _weight(mlp.down_proj),
    )


def _together_(linears: list[nn.Linear]) -> tuple[Weight, Tensor | None]:
    """One weight of several, whose layers then hold parts of it."""
    weights = [_weight(linear) for linear in linears]
    biases = [linear.bias for linear in linears]
    bias = None if biases[0] is None else torch.cat([bias.data for bias in biases])
    if isinstance(weights[0], Quantised):
        parts = zip(*cast(list[Quantised], weights), strict=True)
        whole: Weight = Quantised(*(torch.cat(part) for part in parts))
    else:
        whole = torch.cat(cast(list[Tensor], weights))
    start = 0
    for linear, weight in zip(linears, weights, strict=True):
        end = start + len(matrix_of(weight))
        if isinstance(linear, QuantizedLinear) and isinstance(whole, Quantised):
            linear.values, linear.scale = whole.values[start:end], whole.scale[start:end]
            linear.offset = whole.offset[start:end] if whole.offset.numel() else whole.offset
        else:
            linear.weight.data = cast(Tensor, whole)[start:end]
        start = end
    return whole, bias


def _weight(linear: nn.Module) -> Weight:
    """The weight of a layer, dense or in few bits."""
    if isinstance(linear, QuantizedLinear):
        return Quantised(linear.values, linear.scale, linear.offset)  # type: ignore[arg-type]
    return cast(nn.Linear, linear).weight.data
