"""Weights in few bits, and back: int8 and fp8 with a scale per row, int4 and `grouped` with one per group.

`grouped` is for a CPU: int8 with a scale for 32 numbers. What a file of ggml has like that stays as it is
(`ggml_blocks.py`), and where it has four or five bits, they are packed into as many (`cpu/grouped.py`).
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Literal, NamedTuple

import torch
from torch import Tensor

Precision = Literal["int8", "int4", "fp8", "grouped"]
PRECISIONS: tuple[Precision, ...] = ("int8", "int4", "fp8", "grouped")
GROUP = 64
"""Weights of a row that share a scale in int4."""
SMALL_GROUP = 32
"""Weights of a row that share a scale in `grouped`."""
AT_A_TIME = 1 << 18
"""Weights that are worked on at a time: a whole matrix in float32 would be the peak of the memory. What is made on the
way stays in the processor's caches, and torch takes one thread for so little: with more, which would meet after each of
ten short operations, a busy machine takes 30 times as long (8 instead of 260 million weights a second)."""
FIRST_FP8_CAPABILITY = (8, 9)
"""The first GPUs that multiply float8."""
DTYPES: dict[Precision, torch.dtype] = {"int8": torch.int8, "fp8": torch.float8_e4m3fn, "int4": torch.uint8}
"""But of `grouped`, which is int8 too."""
PRECISION_OF = {dtype: precision for precision, dtype in DTYPES.items()}
MOST = {torch.int8: 127.0, torch.float8_e4m3fn: 448.0}
"""The largest value of int8 that has a negative, and of float8_e4m3fn."""


class Quantised(NamedTuple):
    """A matrix [N, K] in few bits."""

    values: Tensor
    """int8 or float8_e4m3fn [N, K]; for int4 uint8 [N, K / 2], the even columns in the low half of a byte."""
    scale: Tensor
    """float32 [N, 1]; for int4 and `grouped` float16 [N, K / group, 1]."""
    offset: Tensor
    """For int4, and `grouped` of four bits, float16 [N, K / group, 1], the value of 0; empty otherwise."""


class Packed(NamedTuple):
    """An int8 matrix [N, K] in the order in which a CPU multiplies it, see `cpu_int8`."""

    values: Tensor
    """int8 [K, N], opaque."""
    scale: Tensor
    """[N] float32."""
    zeros: Tensor
    """[N] int32, all 0: the interface asks for them."""


def few_bits(name: str) -> Precision | None:
    """Returns the precision of this name; None where it is none of few bits."""
    return next((few for few in PRECISIONS if few == name), None)


def is_grouped(weight: Quantised) -> bool:
    """Returns whether a matrix is of the precision `grouped`."""
    return weight.values.dtype == torch.int8 and weight.scale.dim() == 3


class PackedGroups(NamedTuple):
    """A matrix [N, K] of the precision `grouped` in the order in which a CPU multiplies it, see `cpu/products.py`."""

    values: Tensor
    """uint8 [N / lanes, K / 32, bytes of a group]."""
    scale: Tensor
    """float16 [N / lanes, K / 32, lanes]."""
    offset: Tensor
    """With four bits as `scale`, the value of 0; empty otherwise."""

    @property
    def bits(self) -> int:
        """Bits of a weight, 4, 5 or 8."""
        return 8 * self.values.shape[2] // (self.scale.shape[2] * SMALL_GROUP)

    @property
    def shape(self) -> tuple[int, int]:
        """N and K."""
        return self.scale.shape[0] * self.scale.shape[2], self.scale.shape[1] * SMALL_GROUP

    def is_of(self, shape: tuple[int, int], lanes: int) -> bool:
        """Returns whether it is a matrix of a shape, N and K, in tiles of `lanes` rows, with nothing missing."""
        values, scale, offset = self
        tiles = shape[0] // lanes, shape[1] // SMALL_GROUP
        whole = (tiles[0] * lanes, tiles[1] * SMALL_GROUP) == shape and tuple(scale.shape) == (*tiles, lanes)
        sizes = {bits: (*tiles, lanes * SMALL_GROUP * bits // 8) for bits in (4, 5, 8)}
        kinds = values.dtype == torch.uint8 and scale.dtype == offset.dtype == torch.float16
        fits = tuple(values.shape) in sizes.values() and all(part.is_contiguous() for part in self)
        has_offset = offset.shape == scale.shape if tuple(values.shape) == sizes[4] else not offset.numel()
        return whole and kinds and fits and has_offset


def quantise(weight: Tensor, precision: Precision) -> Quantised:
    """Returns a matrix in few bits, by the absolute maximum of each row (int8, fp8) or the range of each group (int4).

    Args:
        weight: [N, K] float; for int4 K is even. Where it is no multiple of a group, a row is one.
        precision: `int8` keeps 1 byte a weight, `fp8` 1, `int4` 0.56, `grouped` 1.06, 0.69 or 0.63 once it is packed.

    Raises:
        ValueError: when `weight` is no such matrix.
    """
    if weight.dim() != 2 or (precision == "int4" and weight.shape[1] % 2):
        raise ValueError(f"weight must be [N, K], for int4 with an even K, got shape {tuple(weight.shape)}")
    return quantise_rows(lambda rows: weight[rows], tuple(weight.shape), precision)


class _Kept:
    """How many callers keep torch to one thread, and how many threads it had before the first of them."""

    def __init__(self) -> None:
        self.lock, self.callers, self.before = threading.Lock(), 0, 1


_KEPT = _Kept()


@contextmanager
def one_thread() -> Iterator[None]:
    """Keeps torch to one thread: on a busy machine two that meet after each operation take ten times as long.

    torch has a number for each thread, and one that a new thread begins with; setting the first sets both. So all of
    several callers at a time bring back what was there before the first: the second would find what that one had set.
    """
    with _KEPT.lock:
        # asked in any case: torch gives a thread its number when it first asks, over one that was set before
        own = torch.get_num_threads()
        if not _KEPT.callers:
            _KEPT.before = own if own > 1 else _of_a_new_thread()
        _KEPT.callers += 1
        torch.set_num_threads(1)
    try:
        yield
    finally:
        with _KEPT.lock:
            _KEPT.callers -= 1
            torch.set_num_threads(_KEPT.before)


def _of_a_new_thread() -> int:
    """The number of threads that torch gives a new one: this one may have got its own while another was kept to one."""
    with ThreadPoolExecutor(1) as fresh:
        return fresh.submit(torch.get_num_threads).result()


def quantise_rows(rows_at: Callable[[slice], Tensor], shape: tuple[int, ...], precision: Precision) -> Quantised:
    """Returns a matrix in few bits that is made piece by piece, so that it is never in memory as a whole.

    Args:
        rows_at: rows of the matrix, [n, K] float.
        shape: N and K.
        precision: as in `quantise`.
    """
    return in_pieces(lambda rows: _quantised(rows_at(rows), precision), shape)


def five_bits(weight: Tensor) -> Quantised:
    """Returns a matrix in the precision `grouped` whose values have five bits, as in ggml's Q5_0.

    The number of a group that is farthest from 0 becomes -16, so that all 32 values are used.

    Args:
        weight: [N, K] float, K a multiple of `SMALL_GROUP`.
    """
    groups = weight.float().view(len(weight), -1, SMALL_GROUP)
    farthest = groups.gather(2, groups.abs().argmax(dim=2, keepdim=True))
    scale = (farthest / -16).half()
    # where a group is 0, or too small for float16
    values = (groups / scale.float()).nan_to_num(0.0, 0.0, 0.0).round().clamp(-16, 15)
    return Quantised(values.to(torch.int8).view(weight.shape), scale, weight.new_empty(0))


def in_pieces(piece_at: Callable[[slice], Quantised], shape: tuple[int, ...]) -> Quantised:
    """Returns a matrix in few bits, made of some rows after the other.

    Args:
        piece_at: rows of the matrix.
        shape: N and K.
    """
    n_rows, step = shape[0], max(1, AT_A_TIME // shape[1])
    with one_thread():
        first = piece_at(slice(0, min(step, n_rows)))
        # made at once: pieces between what is freed again would leave the heap full of holes
        whole = Quantised(*(part.new_empty((n_rows, *part.shape[1:]) if part.numel() else 0) for part in first))
        for start in range(0, n_rows, step):
            rows = slice(start, min(start + step, n_rows))
            for all_rows, part in zip(whole, piece_at(rows) if start else first, strict=True):
                if part.numel():
                    all_rows[rows] = part
    return whole


def _quantised(weight: Tensor, precision: Precision) -> Quantised:
    exact = weight.float()
    if precision == "grouped":
        groups = exact.view(len(exact), -1, _group(weight.shape[1], SMALL_GROUP))
        scale = (groups.abs().amax(dim=2, keepdim=True) / MOST[torch.int8]).clamp(min=2**-24).half()
        values = (groups / scale.float()).round().clamp(-MOST[torch.int8], MOST[torch.int8])
        return Quantised(values.to(torch.int8).view(weight.shape), scale, exact.new_empty(0))
    if precision == "int4":
        groups = exact.view(len(exact), -1, _group(weight.shape[1]))
        low, high = groups.amin(dim=2, keepdim=True), groups.amax(dim=2, keepdim=True)
        scale = ((high - low) / 15).clamp(min=1e-7).half()
        offset = low.half()
        levels = ((groups - offset.float()) / scale.float()).round().clamp(0, 15).to(torch.uint8).view(weight.shape)
        return Quantised(levels[:, ::2] | levels[:, 1::2] << 4, scale, offset)
    scale = exact.abs().amax(dim=1, keepdim=True).clamp(min=1e-8) / MOST[DTYPES[precision]]
    scaled = exact / scale
    values = scaled.round().to(torch.int8) if precision == "int8" else scaled.to(torch.float8_e4m3fn)
    return Quantised(values, scale, exact.new_empty(0))


def dequantise(matrix: Quantised, dtype: torch.dtype) -> Tensor:
    """Returns [N, K] in a floating dtype."""
    values, scale, offset = matrix
    if values.dtype != torch.uint8:
        groups = values.to(dtype).view(len(values), scale.shape[1], -1)
        whole: Tensor = groups * scale.to(dtype).view(len(values), -1, 1)
        return (whole + offset.to(dtype) if offset.numel() else whole).view(values.shape)
    levels = torch.stack([values & 15, values >> 4], dim=2).view(len(values), scale.shape[1], -1)
    weight: Tensor = (levels.to(dtype) * scale.to(dtype) + offset.to(dtype)).view(len(values), -1)
    return weight


def bytes_of(n_rows: int, n_columns: int, precision: Precision) -> int:
    """Returns how many bytes a matrix takes, in `grouped` without offsets and before it is packed."""
    if precision == "int4":
        return n_rows * (n_columns // 2 + 4 * (n_columns // _group(n_columns)))
    if precision == "grouped":
        return n_rows * (n_columns + 2 * (n_columns // _group(n_columns, SMALL_GROUP)))
    return n_rows * (n_columns + 4)


def _group(n_columns: int, size: int = GROUP) -> int:
    return size if n_columns % size == 0 else n_columns
