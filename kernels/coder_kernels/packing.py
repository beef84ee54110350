"""Weights in the order in which a CPU multiplies them, and back."""

from __future__ import annotations

from torch import Tensor

from coder_kernels import cpu_int8
from coder_kernels.cpu import grouped
from coder_kernels.quantise import Packed, PackedGroups, Quantised, is_grouped, quantise
from coder_kernels.tensor_types import ActivationDtype


def pack(weight: Tensor | Quantised, dtype: ActivationDtype) -> Packed | PackedGroups:
    """Returns a copy of a matrix [N, K] for activations in int8 by rows, or `grouped`.

    Args:
        weight: float, or rounded the same way as the activations.
        dtype: of the activations.
    """
    if isinstance(weight, Tensor):
        weight = quantise(weight, "grouped" if dtype == "grouped" else "int8")
    return grouped.pack(weight) if is_grouped(weight) else cpu_int8.pack(weight)


def unpack(weight: Packed | PackedGroups, rows: Tensor) -> Quantised:
    """Returns rows [N] int64 of the matrix as it was before `pack`, a copy."""
    return grouped.unpack(weight, rows) if isinstance(weight, PackedGroups) else cpu_int8.unpack(weight, rows)
