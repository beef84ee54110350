"""A pass of a causal model in training, by compiled layers where they are faster on this device."""

from __future__ import annotations

import time
from collections.abc import Callable

import torch
from torch import Tensor

from coder_model.model.rotary import rotary_tables
from coder_model.model.transformer import Transformer, causally


def causal_states(model: Transformer, tokens: Tensor, taps: tuple[int, ...] = ()) -> tuple[list[Tensor], Tensor]:
    """One pass over whole sequences.

    Args:
        model: causal.
        tokens: [R, T] int64.
        taps: layers, counted from 1.

    Returns:
        The residual stream behind each tap [R, T, D], and the final normalised states [R, T, D].
    """
    positions = torch.arange(tokens.shape[1], device=tokens.device).expand_as(tokens)
    cos, sin = rotary_tables(model.config, positions)
    x = model.embed_tokens(tokens)
    kept = []
    for layer_idx, layer in enumerate(model.layers):
        # `causally` has no use for the layer's number, and one compiled layer serves for all where it is the same
        x = layer(x, cos, sin, 0, causally)
        if layer_idx + 1 in taps:
            kept.append(x)
    return kept, model.norm(x)


def compile_if_faster(
    models: list[Transformer], work: Callable[[], object], say: Callable[[str], None] = lambda _: None
) -> None:
    """Compiles the layers of models for a CUDA device, unless that fails here or brings nothing.

    Args:
        models: whose layers.
        work: runs what is to be fast, at its usual sizes.
        say: takes a line on how it went.
    """

    def seconds() -> float:
        work()
        torch.cuda.synchronize()
        began = time.perf_counter()
        work()
        torch.cuda.synchronize()
        return time.perf_counter() - began

    layers = [layer for model in models for layer in model.layers]
    plain, compiled = seconds(), float("inf")
    began = time.perf_counter()
    try:
        for layer in layers:
            layer.compile(dynamic=False)
        compiled = seconds()
    except Exception as error:  # no compiler, or one that does not know this device
        say(f"layers are not compiled: {type(error).__name__}: {error}"[:300])
    took = time.perf_counter() - began
    say(f"layers: {plain:.4f} s, compiled {compiled:.4f} s, compiling {took:.1f} s")
    if compiled >= plain:
        for layer in layers:
            layer._compiled_call_impl = None
