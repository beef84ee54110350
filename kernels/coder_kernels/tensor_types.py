"""What the operations take and return, beyond single tensors."""

from __future__ import annotations

from typing import Literal, NamedTuple

import torch
from torch import Tensor

from coder_kernels.quantise import Packed, PackedGroups, Quantised

Weight = Tensor | Quantised | Packed | PackedGroups
"""A matrix [N, K], dense or in few bits."""


class Rows(NamedTuple):
    """Activations [M, K] in eight bits, each row by its own absolute maximum."""

    values: Tensor
    """[M, K] int8 or float8_e4m3fn."""
    scale: Tensor
    """[M, 1] float32."""


class GroupedRows(NamedTuple):
    """Activations [M, K] in int8, each group of 32 numbers by its own absolute maximum: for weights in groups."""

    values: Tensor
    """[M, K] int8."""
    scale: Tensor
    """[M, K / 32] float32."""
    offset: Tensor
    """[M, K / 32] int32, -128 times the sum of the group, see `cpu/rows.py`."""


Activations = Tensor | Rows | GroupedRows
ActivationDtype = torch.dtype | Literal["grouped"]
"""Eight bits for activations: int8 or float8_e4m3fn with a scale per row, or int8 with one per group."""


class AttentionMetadata(NamedTuple):
    """Where the T tokens of each of the B sequences of a pass stand."""

    rows: Tensor
    """[B] int32, the row of the cache."""
    starts: Tensor
    """[B] int32, tokens that the row holds before the pass."""
    counts: Tensor
    """[B] int32 in [0, T], how many of the T are real; the rest is padding that no real token sees."""


class Selection(NamedTuple):
    """What a slot's scores say, per slot."""

    token: Tensor
    """[M] int64, the likeliest token."""
    confidence: Tensor
    """[M] float32 in (0, 1], its probability; NaN where the scores hold NaN or an infinity that is no prohibition."""
    entropy: Tensor
    """[M] float32 >= 0, in nats."""


class Blocks(NamedTuple):
    """B blocks of T slots on their way; a kernel changes them in place."""

    tokens: Tensor
    """[B, T] int64, the mask token where masked."""
    candidates: Tensor
    """[B, T] int64, the likeliest token of each masked slot; the token of a revealed one."""
    masked: Tensor
    """[B, T] bool."""
    confidence: Tensor
    """[B, T] float32."""
    entropy: Tensor
    """[B, T] float32, in nats."""
    steps: Tensor
    """[B] int32, denoise steps done."""
    active: Tensor
    """[B] bool, False once nothing is masked before the block's end, or no step is left: then nothing changes."""
    kinds: Tensor
    """[B] int32, which row of the table of ending tokens is the block's."""


def rows_of(x: Activations) -> Tensor:
    """Returns the [M, K] tensor of activations."""
    return x if isinstance(x, Tensor) else x.values


def matrix_of(weight: Weight) -> Tensor:
    """Returns the tensor of a weight: [N, K], or [N, K / 2] in int4, or opaque."""
    return weight if isinstance(weight, Tensor) else weight.values


def height_of(weight: Weight) -> int:
    """Returns N of a weight [N, K]."""
    if isinstance(weight, PackedGroups):
        return weight.shape[0]
    return len(weight.scale if isinstance(weight, Packed) else matrix_of(weight))
