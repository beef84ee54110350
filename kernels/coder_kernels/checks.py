"""What the operations ask of tensors; each check raises ValueError and names the tensor, what was wanted and found."""

from __future__ import annotations

import torch
from torch import Tensor

from coder_kernels.quantise import FIRST_FP8_CAPABILITY, GROUP, Packed, PackedGroups, Quantised
from coder_kernels.tensor_types import Activations, AttentionMetadata, GroupedRows, Rows, Weight, matrix_of, rows_of

FLOATS = (torch.float32, torch.float16, torch.bfloat16, torch.float64)


def check_pair(x: Activations, weight: Weight) -> None:
    """Checks that activations and a weight can be multiplied."""
    rows, matrix = rows_of(x), matrix_of(weight)
    if isinstance(weight, PackedGroups) or isinstance(x, GroupedRows):
        if not (isinstance(weight, PackedGroups) and isinstance(x, GroupedRows)):
            raise ValueError(f"x must be in groups where weight is, got {type(x).__name__} and {type(weight).__name__}")
        checked(rows, "x", (None, weight.shape[1]), (torch.int8,), torch.device("cpu"))
        return
    if isinstance(weight, Packed):
        # its order is oneDNN's own: it has no strides to look at
        checked(rows, "x", (None, matrix.shape[0]), (torch.int8,), torch.device("cpu"))
        return
    is_int4 = matrix.dtype == torch.uint8
    width = matrix.shape[1] * (2 if is_int4 else 1)
    checked(matrix, "weight", (None, None), None, rows.device)
    eights = (torch.int8, torch.float8_e4m3fn)
    checked(rows, "x", (None, width), eights if isinstance(x, Rows) else FLOATS)
    if isinstance(x, Rows) and (not isinstance(weight, Quantised) or matrix.dtype != rows.dtype):
        raise ValueError(f"weight must be {rows.dtype} as x, got {matrix.dtype}")
    if isinstance(weight, Tensor) and matrix.dtype != rows.dtype:
        raise ValueError(f"weight must be {rows.dtype} as x, got {matrix.dtype}")
    if matrix.numel() >= 1 << 31:
        raise ValueError(f"weight must have fewer than 2^31 numbers, got shape {list(matrix.shape)}")
    if rows.is_cuda and (width % 16 or (is_int4 and width % GROUP)):
        raise ValueError(f"weight must have a multiple of {GROUP if is_int4 else 16} columns on a GPU, got {width}")
    is_fp8 = matrix.dtype == torch.float8_e4m3fn
    if rows.is_cuda and is_fp8 and torch.cuda.get_device_capability(rows.device) < FIRST_FP8_CAPABILITY:
        raise ValueError("weight must be int8, int4 or bfloat16: this GPU has no fp8, which begins with capability 8.9")


def check_cache(keys: Tensor, values: Tensor, spans: AttentionMetadata) -> None:
    """Checks a cache and where the tokens of a pass stand in it."""
    checked(keys, "keys", (None, None, None, None), FLOATS)
    checked(values, "values", tuple(keys.shape), (keys.dtype,), keys.device)
    for name, part in zip(spans._fields, spans, strict=True):
        checked(part, f"spans.{name}", (len(spans.rows),), (torch.int32,), keys.device)


def checked(
    tensor: Tensor,
    name: str,
    shape: tuple[int | None, ...],
    dtypes: tuple[torch.dtype, ...] | None,
    device: torch.device | None = None,
) -> Tensor:
    """Checks a tensor and returns it; None stands for any size."""
    sizes = tensor.shape
    fits = len(sizes) == len(shape)
    if fits:
        # a loop, not all(): this is asked two hundred times per pass
        for wanted_size, size in zip(shape, sizes, strict=True):
            fits = fits and wanted_size in (None, size)
    if not fits:
        wanted = ", ".join("any" if n is None else str(n) for n in shape)
        raise ValueError(f"{name} must have shape [{wanted}], got {list(tensor.shape)}")
    if dtypes is not None and tensor.dtype not in dtypes:
        raise ValueError(f"{name} must be {' or '.join(str(dtype) for dtype in dtypes)}, got {tensor.dtype}")
    if device is not None and tensor.device != device:
        raise ValueError(f"{name} must be on {device}, got {tensor.device}")
    if not tensor.is_contiguous():
        raise ValueError(f"{name} must be contiguous, got strides {tensor.stride()} for shape {tuple(tensor.shape)}")
    return tensor
