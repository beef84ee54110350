"""What this processor is fast at, by measuring."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import cache
from typing import Literal

import torch
from torch import Tensor

from coder_kernels import cpu_int8, reference
from coder_kernels.quantise import quantise

Arithmetic = Literal["float32", "bfloat16", "int8"]
ROWS, COLUMNS, HEIGHT = 16, 256, 2880
"""Of the product that is measured: a draft, and as much weight as a layer of the embedded model has."""
LARGE = 4864, 896
"""A weight that no cache of a core holds, of the 0.5B."""
CLEARLY = 0.7
"""Share of float32's time that a shorter format must stay below."""


@cache
def fastest() -> Arithmetic:
    """Returns how this processor multiplies a few rows with a weight fastest, by measuring (20 ms).

    A shorter format must be clearly faster. int8 comes first: its sums are exact, and a pass in bfloat16 is not.
    """
    x, weight = torch.ones(ROWS, COLUMNS), torch.ones(HEIGHT, COLUMNS)
    exact = _seconds(lambda: reference.linear(x, weight))
    if cpu_int8.is_exact():
        packed = cpu_int8.pack(quantise(weight, "int8"))
        if _seconds(lambda: reference.linear(reference.quantise_rows(x, torch.int8), packed)) < CLEARLY * exact:
            return "int8"
    return "bfloat16" if _gains_by_bfloat16(x, weight, exact) else "float32"


@cache
def reads_bfloat16() -> bool:
    """Returns whether weights that no cache holds are multiplied clearly faster in bfloat16, by measuring (50 ms).

    They have half the bytes; a processor without the instructions loses more by taking them apart.
    """
    x, weight = torch.ones(ROWS, LARGE[1]), torch.ones(LARGE)
    return _gains_by_bfloat16(x, weight, _seconds(lambda: reference.linear(x, weight)))


def _gains_by_bfloat16(x: Tensor, weight: Tensor, exact: float) -> bool:
    short, short_weight = x.bfloat16(), weight.bfloat16()
    return _seconds(lambda: reference.linear(short, short_weight)) < CLEARLY * exact


def _seconds(run: Callable[[], object]) -> float:
    """The least of some runs, in one thread: on a busy machine two wait for each other longer than they multiply."""
    threads, best = torch.get_num_threads(), 1.0
    torch.set_num_threads(1)
    try:
        for _ in range(8):
            began = time.perf_counter()
            run()
            best = min(best, time.perf_counter() - began)
    finally:
        torch.set_num_threads(threads)
    return best
