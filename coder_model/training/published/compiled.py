"""Compiled layers, where they are faster on this device."""

from __future__ import annotations

import time
from collections.abc import Callable

import torch

from coder_model.model.transformer import Transformer


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
