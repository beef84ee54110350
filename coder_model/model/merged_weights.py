"""The weights of a layer as a pass reads them: products that have the same input are one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import cast

import torch
from torch import Tensor, nn

from coder_kernels import packing
from coder_kernels.quantise import PackedGroups, Quantised, dequantise, is_grouped, quantise
from coder_kernels.tensor_types import Weight, height_of
from coder_model.model.config import ModelConfig
from coder_model.model.quantized_linear import PackedLinear, QuantizedLinear
from coder_model.model.transformer import Layer, RMSNorm, Transformer

_QK = ("queries", "keys")
"""Of which the two norms of `qk_norms` are."""


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


class MergedLayer(nn.Module):
    """A layer of a model whose weights are merged already: it has no plain pass."""

    def __init__(self, weights: LayerWeights) -> None:
        """Takes the weights."""
        super().__init__()
        self.weights = weights


def merge_(model: Transformer) -> None:
    """Merges and packs the layers and the head of a model, in `grouped` and with a head of its own, in their place."""
    for index, layer in enumerate(model.layers):
        for parameter in layer.parameters():
            parameter.data = parameter.data.float()
        model.layers[index] = MergedLayer(merged_(cast(Layer, layer), packs=True))
    model.lm_head = cast(nn.Linear, PackedLinear(cast(PackedGroups, weight_(model.lm_head, packs=True))))


def named(weights: LayerWeights, prefix: str) -> dict[str, Tensor]:
    """Returns the tensors of merged and packed weights by their names, each of which begins with a prefix."""
    tensors: dict[str, Tensor] = {}
    for field in fields(weights):
        value = getattr(weights, field.name)
        if isinstance(value, PackedGroups):
            tensors |= {f"{prefix}{field.name}.{part}": tensor for part, tensor in value._asdict().items()}
        elif isinstance(value, Tensor):
            tensors[prefix + field.name] = value
        elif value:
            tensors |= {f"{prefix}{field.name}.{part}": tensor for part, tensor in zip(_QK, value, strict=True)}
    return tensors


def of_named(tensors: Mapping[str, Tensor], prefix: str) -> LayerWeights:
    """Returns the weights whose tensors these are, see `named`.

    Raises:
        KeyError: when one is missing.
    """
    queries, keys = (tensors.get(f"{prefix}qk_norms.{part}") for part in _QK)
    return LayerWeights(
        tensors[f"{prefix}first_norm"],
        packed_of(tensors, f"{prefix}qkv"),
        tensors.get(f"{prefix}qkv_bias"),
        None if queries is None or keys is None else (queries, keys),
        packed_of(tensors, f"{prefix}out"),
        tensors[f"{prefix}second_norm"],
        packed_of(tensors, f"{prefix}gate_up"),
        packed_of(tensors, f"{prefix}down"),
    )


def packed_of(tensors: Mapping[str, Tensor], name: str) -> PackedGroups:
    """Returns the packed matrix of a name, see `named`.

    Raises:
        KeyError: when a part of it is missing.
    """
    return PackedGroups(*(tensors[f"{name}.{part}"] for part in PackedGroups._fields))


def fits(weights: LayerWeights, config: ModelConfig, lanes: int) -> bool:
    """Returns whether packed weights have the shapes of a model, in tiles of `lanes` rows: so far does code read."""
    d_model, heads = config.d_model, config.n_heads * config.head_dim
    height = heads + 2 * config.n_kv_heads * config.head_dim
    matrices = {"qkv": (height, d_model), "out": (d_model, heads)}
    matrices |= {"gate_up": (2 * config.d_ff, d_model), "down": (d_model, config.d_ff)}
    vectors = [(weights.first_norm, d_model), (weights.second_norm, d_model)]
    if weights.qkv_bias is not None:
        vectors.append((weights.qkv_bias, height))
    vectors += [(norm, config.head_dim) for norm in weights.qk_norms or ()]
    return all(getattr(weights, name).is_of(shape, lanes) for name, shape in matrices.items()) and all(
        vector.shape == (length,) and vector.is_floating_point() for vector, length in vectors
    )


def merged_(layer: Layer | MergedLayer, packs: bool) -> LayerWeights:
    """Returns the weights of a layer; the layer's own become parts of them, or nothing.

    Args:
        layer: dense or in few bits, or merged already.
        packs: int8 weights are put into the order in which a CPU multiplies them, and have no parts then.
    """
    if isinstance(layer, MergedLayer):
        return layer.weights
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
    if isinstance(linear, PackedLinear):
        return linear.packed
    if not isinstance(linear, QuantizedLinear):
        return cast(nn.Linear, linear).weight.data
    return _packed_(linear.weight(), [linear]) if packs else linear.weight()


def _packed_(weight: Quantised, linears: list[QuantizedLinear]) -> Weight:
    """An int8 weight in the order in which a CPU multiplies it; its layers lose theirs, so that there is one copy."""
    for linear in linears:
        linear.drop_()
    return packing.pack(weight, "grouped" if is_grouped(weight) else torch.int8)


def _alike(weights: list[Quantised]) -> list[Quantised]:
    """Matrices that can be one: where only some have offsets, none has, and those that had them have eight bits."""
    if all(weight.offset.numel() for weight in weights):
        return weights
    return [
        quantise(dequantise(weight, torch.float32), "grouped") if weight.offset.numel() else weight
        for weight in weights
    ]


def _together_(linears: list[nn.Linear], packs: bool) -> tuple[Weight, Tensor | None]:
    """One weight of several, whose layers then hold parts of it, or nothing."""
    weights = [weight_(linear, packs=False) for linear in linears]
    biases = [linear.bias for linear in linears]
    bias = None if biases[0] is None else torch.cat([bias.data for bias in biases])
    if isinstance(weights[0], Quantised):
        parts = zip(*_alike(cast(list[Quantised], weights)), strict=True)
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
