"""The weights of a layer as a pass reads them: products that have the same input are one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn

from coder_kernels import packing
from coder_kernels.quantise import Quantised, is_grouped
from coder_kernels.tensor_types import Weight, height_of
from coder_model.model.quantized_linear import QuantizedLinear
from coder_model.model.transformer import Layer, RMSNorm


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


def merged_(layer: Layer, packs: bool) -> LayerWeights:
    """Returns the weights of a layer; the layer's own become parts of them, or nothing.

    Args:
        layer: dense or in few bits.
        packs: int8 weights are put into the order in which a CPU multiplies them, and have no parts then.
    """
    attention, mlp = layer.self_attn, layer.mlp
    qkv, bias = _together_([attention.q_proj, attention.k_proj, attention.v_proj], packs)
    gate_up, _ = _together_([mlp.gate_proj, mlp.up_proj], packs)
    norms = None
    if isinstance(attention.q_norm, RMSNorm):
        norms = attention.q_norm.weight.data, cast(RMSNorm, attention.k_norm).weight.data
    return LayerWeights(
        layer.input_layernorm.weight.data,
        qkv,
        bias,
        norms,
        weight_(attention.o_proj, packs),
        layer.post_attention_layernorm.weight.data,
        gate_up,
        weight_(mlp.down_proj, packs),
    )


def weight_(linear: nn.Module, packs: bool) -> Weight:
    """Returns the weight of a layer, dense or in few bits; packed, the layer loses it."""
    if not isinstance(linear, QuantizedLinear):
        return cast(nn.Linear, linear).weight.data
    return _packed_(linear.weight(), [linear]) if packs else linear.weight()


def _packed_(weight: Quantised, linears: list[QuantizedLinear]) -> Weight:
    """An int8 weight in the order in which a CPU multiplies it; its layers lose theirs, so that there is one copy."""
    for linear in linears:
        linear.drop_()
    return packing.pack(weight, "grouped" if is_grouped(weight) else torch.int8)


def _together_(linears: list[nn.Linear], packs: bool) -> tuple[Weight, Tensor | None]:
    """One weight of several, whose layers then hold parts of it, or nothing."""
    weights = [weight_(linear, packs=False) for linear in linears]
    biases = [linear.bias for linear in linears]
    bias = None if biases[0] is None else torch.cat([bias.data for bias in biases])
    if isinstance(weights[0], Quantised):
        parts = zip(*cast(list[Quantised], weights), strict=True)
        joined = Quantised(*(torch.cat(part) for part in parts))
        if packs:
            return _packed_(joined, cast(list[QuantizedLinear], linears)), bias
        whole: Weight = joined
    else:
        whole = torch.cat(cast(list[Tensor], weights))
    start = 0
    for linear, weight in zip(linears, weights, strict=True):
        end = start + height_of(weight)
        if isinstance(linear, QuantizedLinear) and isinstance(whole, Quantised):
            linear.values, linear.scale = whole.values[start:end], whole.scale[start:end]
            linear.offset = whole.offset[start:end] if whole.offset.numel() else whole.offset
        else:
            linear.weight.data = cast(Tensor, whole)[start:end]
        start = end
    return whole, bias
