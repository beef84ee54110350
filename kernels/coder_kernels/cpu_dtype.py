"""What this processor is fast at, by measuring."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import cache
from typing import Literal

import torch
from torch import Tensor

from coder_kernels import cpu_int8, reference
from coder_kernels.quantise import one_thread, quantise

Arithmetic = Literal["float32", "bfloat16", "int8"]
ROWS = 1, 16
"""Rows of the products that are measured: a token, and a draft."""
MANY_ROWS = 256
"""Of a product in training."""
LARGE = 4864, 896
"""A weight that no cache of a core holds: the gate of the 0.5B."""
CLEARLY = 0.7
"""Share of float32's time that a shorter format must stay below."""


@cache
def fastest(shape: tuple[int, int] = LARGE) -> Arithmetic:
    """Returns how this processor multiplies a few rows with a weight fastest, by measuring (20 ms).

    A shorter format must be clearly faster. int8 comes first: its sums are exact, and a pass in bfloat16 is not. Rows
    are rounded for it, which takes longer than the product where the weight is small.

    Args:
        shape: [N, K] of a usual weight of the model.
    """
    weight = torch.ones(shape)
    exact = _seconds(_products(lambda x: reference.linear(x, weight), shape[1]))
    if cpu_int8.is_exact():
        packed = cpu_int8.pack(quantise(weight, "int8"))
        rounded = _products(lambda x: reference.linear(cpu_int8.quantise_rows(x), packed), shape[1])
        if _seconds(rounded) < CLEARLY * exact:
            return "int8"
    return "bfloat16" if _gains_by_bfloat16(weight, exact) else "float32"


@cache
def reads_bfloat16() -> bool:
    """Returns whether weights that no cache holds are multiplied clearly faster in bfloat16, by measuring (50 ms).

    They have half the bytes; a processor without the instructions loses more by taking them apart.
    """
    weight = torch.ones(LARGE)
    return _gains_by_bfloat16(weight, _seconds(_products(lambda x: reference.linear(x, weight), LARGE[1])))


@cache
def learns_in_bfloat16() -> bool:
    """Returns whether many rows are multiplied clearly faster in bfloat16, by measuring (0.1 s)."""
    weight, rows = torch.ones(LARGE), torch.ones(MANY_ROWS, LARGE[1])
    short, short_rows = weight.bfloat16(), rows.bfloat16()
    return _seconds(lambda: short_rows @ short.T) < CLEARLY * _seconds(lambda: rows @ weight.T)


def _gains_by_bfloat16(weight: Tensor, exact: float) -> bool:
    short = weight.bfloat16()
    return _seconds(_products(lambda x: reference.linear(x.bfloat16(), short), weight.shape[1])) < CLEARLY * exact


def _products(product: Callable[[Tensor], Tensor], width: int) -> Callable[[], object]:
    """The product with each number of rows."""
    rows = [torch.ones(count, width) for count in ROWS]
    return lambda: [product(x) for x in rows]


def _seconds(run: Callable[[], object]) -> float:
    """The least of some runs, in one thread: on a busy machine two wait for each other longer than they multiply."""
    best = 1.0
    with one_thread():
        for _ in range(8):
            began = time.perf_counter()
            run()
            best = min(best, time.perf_counter() - began)
    return best
