"""Weights in the block formats of ggml, back to floats.

A row is cut into blocks of 32 or 256 weights, each with its own scales in front of or behind its levels
(https://github.com/ggml-org/ggml, `src/ggml-common.h` for the layouts, `src/ggml-quants.c` for their meaning).
Some rows are worked on at a time, as whole tensors of bytes: nothing that is made on the way grows with the matrix.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from coder_kernels.quantise import AT_A_TIME, Quantised


@dataclass(frozen=True, slots=True)
class BlockFormat:
    """How a type of ggml keeps its weights."""

    length: int
    """Weights of a block."""
    n_bytes: int
    """Bytes of a block."""
    floats: Callable[[Tensor], Tensor]
    """From blocks, uint8 [N, n_bytes], to weights, float [N, length]."""
    groups: Callable[[Tensor], Quantised] | None = None
    """From blocks to the precision `grouped`, int8 [N, length], where each group of 32 has a scale."""


def dequantise_blocks(stored: Tensor, kind: str, shape: Sequence[int], dtype: torch.dtype) -> Tensor:
    """Returns the weights that are stored in blocks.

    Args:
        stored: uint8 [bytes], the blocks of all rows one after the other.
        kind: a name of `FORMATS`.
        shape: of the weights, the length of a row last.
        dtype: a floating one.

    Raises:
        ValueError: when `stored` has another length than `shape` needs, or rows are no whole blocks.
    """
    form = FORMATS[kind]
    n_weights = math.prod(shape)
    if shape[-1] % form.length or stored.numel() * form.length != n_weights * form.n_bytes:
        raise ValueError(f"stored must have the bytes of {tuple(shape)} in {kind}, got {stored.numel()}")
    blocks = stored.view(-1, form.n_bytes)
    found = torch.empty(len(blocks), form.length, dtype=dtype)
    step = max(1, AT_A_TIME // form.length)
    for start in range(0, len(blocks), step):
        found[start : start + step] = form.floats(blocks[start : start + step])
    return found.view(*shape)


def grouped_blocks(stored: Tensor, kind: str, n_rows: int) -> Quantised:
    """Returns a matrix of groups of 32 with a scale, in the precision `grouped`: levels are those of the file.

    So are scales and offsets, but those that the file has as a product of two numbers: they are rounded to float16.

    Args:
        stored: uint8 [bytes], the blocks of all rows one after the other.
        kind: a name of `FORMATS` with `groups`.
        n_rows: of the matrix.
    """
    form = FORMATS[kind]
    assert form.groups
    values, scale, offset = form.groups(stored.view(-1, form.n_bytes))
    of_groups = n_rows, -1, 1
    return Quantised(
        values.reshape(n_rows, -1), scale.reshape(of_groups), offset.reshape(of_groups) if offset.numel() else offset
    )


def _half(blocks: Tensor, start: int) -> Tensor:
    """[N, 1] float32, the float16 that begins at a byte of each block."""
    return blocks[:, start : start + 2].contiguous().view(torch.float16).float()


def _nibbles(packed: Tensor) -> Tensor:
    """[N, B] bytes to [N, 2, B]: all low halves, then all high ones."""
    return torch.stack([packed & 15, packed >> 4], dim=1)


def _fifth_bits(packed: Tensor) -> Tensor:
    """[N, 4] bytes to [N, 32]: bit i of the little-endian number, as 0 or 16."""
    shifts = torch.arange(8, dtype=torch.uint8)
    return ((packed[:, :, None] >> shifts) & 1).flatten(1) << 4


def _f32(blocks: Tensor) -> Tensor:
    return blocks.contiguous().view(torch.float32)


def _f16(blocks: Tensor) -> Tensor:
    return blocks.contiguous().view(torch.float16)


def _bf16(blocks: Tensor) -> Tensor:
    return blocks.contiguous().view(torch.bfloat16)


def _levels_4(blocks: Tensor) -> Tensor:
    return _nibbles(blocks[:, 2:]).flatten(1).to(torch.int8) - 8


def _levels_5(blocks: Tensor) -> Tensor:
    return (_nibbles(blocks[:, 6:]).flatten(1) | _fifth_bits(blocks[:, 2:6])).to(torch.int8) - 16


def _levels_8(blocks: Tensor) -> Tensor:
    return blocks[:, 2:].view(torch.int8)


def _symmetric(n_bytes: int, levels: Callable[[Tensor], Tensor]) -> BlockFormat:
    def groups(blocks: Tensor) -> Quantised:
        return Quantised(levels(blocks), _f16(blocks[:, :2]), torch.empty(0, dtype=torch.float16))

    return BlockFormat(32, n_bytes, lambda blocks: levels(blocks) * _half(blocks, 0), groups)


def _levels_4_1(blocks: Tensor) -> Tensor:
    return _nibbles(blocks[:, 4:]).flatten(1)


def _q4_1(blocks: Tensor) -> Tensor:
    return _levels_4_1(blocks) * _half(blocks, 0) + _half(blocks, 2)


def _groups_4_1(blocks: Tensor) -> Quantised:
    return Quantised(_levels_4_1(blocks).to(torch.int8), _f16(blocks[:, :2]), _f16(blocks[:, 2:4]))


def _q5_1(blocks: Tensor) -> Tensor:
    levels = _nibbles(blocks[:, 8:]).flatten(1) | _fifth_bits(blocks[:, 4:8])
    return levels * _half(blocks, 0) + _half(blocks, 2)


def _scales_and_minima(packed: Tensor) -> tuple[Tensor, Tensor]:
    """[N, 12] bytes to twice [N, 8]: six bits each, the last four of either in two places."""
    first, second, third = packed[:, :4], packed[:, 4:8], packed[:, 8:]
    scales = torch.cat([first & 63, (third & 15) | (first >> 6 << 4)], dim=1)
    minima = torch.cat([second & 63, (third >> 4) | (second >> 6 << 4)], dim=1)
    return scales, minima


def _of_groups(blocks: Tensor) -> tuple[Tensor, Tensor]:
    """Scales and minima [N, 8] float32 of a block that begins with two float16 and twelve bytes of such."""
    scales, minima = _scales_and_minima(blocks[:, 4:16])
    return _half(blocks, 0) * scales, _half(blocks, 2) * minima


def _with_minima(blocks: Tensor, levels: Tensor) -> Tensor:
    """Weights of levels [N, 8, 32]."""
    scale, minimum = _of_groups(blocks)
    return (levels * scale[:, :, None] - minimum[:, :, None]).flatten(1)


def _levels_4_k(blocks: Tensor) -> Tensor:
    return _nibbles(blocks[:, 16:].reshape(-1, 32)).view(-1, 8, 32)


def _q4_k(blocks: Tensor) -> Tensor:
    return _with_minima(blocks, _levels_4_k(blocks))


def _groups_4_k(blocks: Tensor) -> Quantised:
    scale, minimum = _of_groups(blocks)
    return Quantised(_levels_4_k(blocks).flatten(1).to(torch.int8), scale.half(), -minimum.half())


def _q5_k(blocks: Tensor) -> Tensor:
    low = _nibbles(blocks[:, 48:].reshape(-1, 32)).view(-1, 8, 32)
    shifts = torch.arange(8, dtype=torch.uint8)[:, None]
    high = ((blocks[:, 16:48][:, None] >> shifts) & 1) << 4
    return _with_minima(blocks, low | high)


def _q6_k(blocks: Tensor) -> Tensor:
    low = _nibbles(blocks[:, :128].reshape(-1, 64)).view(-1, 2, 4, 32)
    shifts = torch.tensor([0, 2, 4, 6], dtype=torch.uint8)[:, None]
    high = (blocks[:, 128:192].reshape(-1, 2, 1, 32) >> shifts) & 3
    levels = (low | high << 4).view(-1, 16, 16).to(torch.int8) - 32
    scale = _half(blocks, 208) * blocks[:, 192:208].view(torch.int8)
    return (levels * scale[:, :, None]).flatten(1)


FORMATS: Mapping[str, BlockFormat] = {
    "F32": BlockFormat(1, 4, _f32),
    "F16": BlockFormat(1, 2, _f16),
    "BF16": BlockFormat(1, 2, _bf16),
    "Q4_0": _symmetric(18, _levels_4),
    "Q4_1": BlockFormat(32, 20, _q4_1, _groups_4_1),
    "Q5_0": _symmetric(22, _levels_5),
    "Q5_1": BlockFormat(32, 24, _q5_1),
    "Q8_0": _symmetric(34, _levels_8),
    "Q4_K": BlockFormat(256, 144, _q4_k, _groups_4_k),
    "Q5_K": BlockFormat(256, 176, _q5_k),
    "Q6_K": BlockFormat(256, 210, _q6_k),
}
"""Types by ggml's names."""
