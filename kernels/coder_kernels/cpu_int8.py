"""Products of int8 with int8 on a CPU: oneDNN's, whose weights lie in the order in which its kernels read them.

torch has them for its quantised models (`torch.ops.onednn`). On a processor with instructions for it (VNNI, AMX) a pass
of 16 tokens takes hardly longer than one of a single token. One without them adds pairs of products in 16 bits, which
overflow: whether sums are exact is tried before these products are used.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache

import torch
import torch.nn.functional as F  # noqa: N812  the name everyone uses
from torch import Tensor

from coder_kernels.quantise import Packed, Quantised, quantise
from coder_kernels.tensor_types import Rows

_DEPTH, _MOST = 256, 127
_AT_A_TIME = 1 << 17
"""Numbers that short operations work on one after the other, so that they stay in the caches of a core."""


def pack(weight: Tensor | Quantised) -> Packed:
    """Returns a matrix [N, K], float or in int8, in oneDNN's order, a copy."""
    if isinstance(weight, Tensor):
        weight = quantise(weight, "int8")
    values = torch.ops.onednn.qlinear_prepack(weight.values, None)
    return Packed(values, weight.scale.flatten(), torch.zeros(len(weight.scale), dtype=torch.int32))


def unpack(weight: Packed, rows: Tensor) -> Quantised:
    """Returns rows [N] int64 of the matrix as it was before `pack`, a copy."""
    values = weight.values.to_dense()[:, rows].T.contiguous()
    return Quantised(values, weight.scale[rows, None], weight.scale.new_empty(0))


def linear(x: Rows, weight: Packed) -> Tensor:
    """Returns x W^T as [M, N] float32."""
    return _sums(x, weight).mul_(x.scale)


def _sums(x: Rows, weight: Packed) -> Tensor:
    """X W^T but for the scales of x."""
    n_rows = len(x.values)
    # for a single row oneDNN 3.12 takes a product of small matrices that is 60 to 500 times as slow as that of two
    rows = x.values.expand(2, -1).contiguous() if n_rows == 1 else x.values
    whole: Tensor = torch.ops.onednn.qlinear_pointwise.default(
        rows, 1.0, 0, weight.values, weight.scale, weight.zeros, None, 1.0, 0, torch.float32, "none", [], ""
    )
    return whole[:n_rows]


def quantise_rows(x: Tensor, dtype: torch.dtype = torch.int8) -> Rows:
    """Returns x [M, K] in int8, a scale per row: the same as `reference.quantise_rows`."""
    values, scale = torch.empty(x.shape, dtype=dtype), torch.empty(len(x), 1)
    for part in _pieces(x):
        _round(x[part].float(), values[part], scale[part])
    return Rows(values, scale)


def swiglu_rows(x: Rows, gate_up: Packed) -> Rows:
    """Returns `reference.swiglu` in int8, for x [M, D] and gate_up [2 F, D]: [M, F]."""
    whole: Tensor = _sums(x, gate_up)
    half = whole.shape[1] // 2
    values, scale = torch.empty(len(whole), half, dtype=torch.int8), torch.empty(len(whole), 1)
    for part in _pieces(whole):
        gate, up = whole[part].mul_(x.scale[part]).chunk(2, dim=1)
        _round(F.silu(gate).mul_(up), values[part], scale[part])
    return Rows(values, scale)


def _round(x: Tensor, values: Tensor, scale: Tensor) -> None:
    """Writes float32 x into int8 values and a scale for each row."""
    torch.amax(x.abs(), dim=1, keepdim=True, out=scale)
    values.copy_((x / scale.clamp_(min=1e-8).div_(_MOST)).round_())


def _pieces(x: Tensor) -> Iterator[slice]:
    """Ranges of the rows of x."""
    step = max(1, _AT_A_TIME // x.shape[1])
    return (slice(start, start + step) for start in range(0, len(x), step))


@cache
def is_exact() -> bool:
    """Returns whether this processor has these products, and adds them up exactly, by trying the largest numbers."""
    try:
        extreme = torch.full((1, _DEPTH), _MOST, dtype=torch.int8)
        found = linear(Rows(extreme, torch.ones(1, 1)), pack(Quantised(extreme, torch.ones(1, 1), torch.empty(0))))
    except (RuntimeError, AttributeError):
        return False
    return float(found) == _DEPTH * _MOST**2
