"""Products of int8 with int8 on a CPU: oneDNN's, whose weights lie in the order in which its kernels read them.

torch has them for its quantised models (`torch.ops.onednn`). On a processor with instructions for it (VNNI, AMX) a pass
of 16 tokens takes hardly longer than one of a single token. One without them adds pairs of products in 16 bits, which
overflow: whether sums are exact is tried before these products are used.
"""

from __future__ import annotations

from functools import cache

import torch
from torch import Tensor

from coder_kernels.quantise import Packed, Quantised, quantise
from coder_kernels.tensor_types import Rows

_DEPTH, _MOST = 256, 127


def pack(weight: Tensor | Quantised) -> Packed:
    """Returns a matrix [N, K], float or in int8, in oneDNN's order, a copy."""
    if isinstance(weight, Tensor):
        weight = quantise(weight, "int8")
    values = torch.ops.onednn.qlinear_prepack(weight.values, None)
    return Packed(values, weight.scale.flatten(), torch.zeros(len(weight.scale), dtype=torch.int32))


def unpack(weight: Packed) -> Quantised:
    """Returns the matrix as it was before `pack`, a copy."""
    return Quantised(weight.values.to_dense().T.contiguous(), weight.scale[:, None], weight.scale.new_empty(0))


def linear(x: Rows, weight: Packed) -> Tensor:
    """Returns x W^T as [M, N] float32."""
    whole: Tensor = torch.ops.onednn.qlinear_pointwise.default(
        x.values, 1.0, 0, weight.values, weight.scale, weight.zeros, None, 1.0, 0, torch.float32, "none", [], ""
    )
    return whole.mul_(x.scale)


@cache
def is_exact() -> bool:
    """Returns whether this processor has these products, and adds them up exactly, by trying the largest numbers."""
    try:
        extreme = torch.full((1, _DEPTH), _MOST, dtype=torch.int8)
        found = linear(Rows(extreme, torch.ones(1, 1)), pack(Quantised(extreme, torch.ones(1, 1), torch.empty(0))))
    except (RuntimeError, AttributeError):
        return False
    return float(found) == _DEPTH * _MOST**2
