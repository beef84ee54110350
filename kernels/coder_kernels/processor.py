"""What this processor is fast at, by measuring."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import cache
from typing import Literal

import torch

from coder_kernels import reference
from coder_kernels.quantise import quantise

Arithmetic = Literal["float32", "bfloat16", "int8"]
ROWS, COLUMNS, HEIGHT = 16, 256, 2880
"""Of the product that is measured: a draft, and as much weight as a layer of the embedded model has."""
CLEARLY = 0.7
"""Share of float32's time that a shorter format must stay below."""


@cache
def fastest() -> Arithmetic:
    """Returns how this processor multiplies a few rows with a weight fastest, by measuring (20 ms).

    A shorter format must be clearly faster. int8 comes first: its sums are exact, and a pass in bfloat16 is not.
    """
    x, weight = torch.ones(ROWS, COLUMNS), torch.ones(HEIGHT, COLUMNS)
    exact = _seconds(lambda: reference.linear(x, weight))
    packed = quantise(weight, "int8")
    if _seconds(lambda: reference.linear(reference.quantise_rows(x, torch.int8), packed)) < CLEARLY * exact:
        return "int8"
    short, short_weight = x.bfloat16(), weight.bfloat16()
    return "bfloat16" if _seconds(lambda: reference.linear(short, short_weight)) < CLEARLY * exact else "float32"


def _seconds(run: Callable[[], object]) -> float:
    best = 1.0
    for _ in range(8):
        began = time.perf_counter()
        run()
        best = min(best, time.perf_counter() - began)
    return best
