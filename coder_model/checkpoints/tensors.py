"""Where the tensors of a published model are, and their values: one way out of safetensors and GGUF."""

from __future__ import annotations

import math
import os
import weakref
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from coder_kernels.ggml_blocks import FORMATS, dequantise_blocks, grouped_blocks
from coder_kernels.quantise import (
    AT_A_TIME,
    Precision,
    Quantised,
    five_bits,
    in_pieces,
    one_thread,
    quantise,
    quantise_rows,
)
from coder_model.checkpoints.gguf_header import Header
from coder_model.checkpoints.safetensors_header import read_header
from coder_model.errors import ModelFileError
from coder_model.model.adapter_files import LowRank

FILES = "model*.safetensors"
FIVE_BITS = ("Q4_0", "Q5_0")
"""Types of at most five bits that `grouped` keeps as they are."""


class OpenFile:
    """A GGUF file that is read piece by piece.

    Read and not mapped: where somebody cuts a mapped file, the system ends the process that looks at it. What the file
    is called, and whether it is deleted, does not matter once it is open.
    """

    def __init__(self, path: Path) -> None:
        """Opens the file.

        Raises:
            ModelFileError: when it cannot be read.
        """
        self._path = path
        try:
            self._descriptor = os.open(path, os.O_RDONLY)
        except OSError as error:
            raise ModelFileError(f"{path} must be a readable GGUF file: {error}") from error
        weakref.finalize(self, os.close, self._descriptor)

    def bytes_at(self, start: int, count: int) -> bytes:
        """Returns a range of its bytes, from any thread.

        Raises:
            ModelFileError: when the file is shorter than it was.
        """
        try:
            found = os.pread(self._descriptor, count, start)
        except OSError as error:
            raise ModelFileError(f"{self._path} must be a readable GGUF file: {error}") from error
        if len(found) < count:
            raise ModelFileError(f"{self._path} must be as it was when its header was read: it is shorter now")
        return found


@dataclass(frozen=True, slots=True)
class Stored:
    """A tensor in a file."""

    path: Path
    name: str
    """What the file calls it."""
    kind: str
    """Type of its values, as its format names it."""
    shape: tuple[int, ...]
    n_bytes: int
    file: OpenFile | None = None
    """The GGUF file."""
    start: int = 0
    """In a GGUF file, its first byte."""
    n_heads: int = 0
    """In a GGUF file, how many heads have each their rows in llama.cpp's order of rotary pairs; 0: none."""


def in_directory(directory: Path) -> dict[str, Stored]:
    """Returns the tensors of a directory's safetensors files by published name, without reading their values.

    Raises:
        ModelFileError: when there are none, or a file is broken.
    """
    files = sorted(directory.glob(FILES))
    if not files:
        others = [path.name for path in sorted(directory.glob("*.bin")) + sorted(directory.glob("*.pt"))]
        hint = f"; {', '.join(others)} could run code and is not read" if others else ""
        raise ModelFileError(f"{directory} must hold {FILES}, found none{hint}")
    found: dict[str, Stored] = {}
    for path in files:
        for name, entry in read_header(path).items():
            if name in found:
                raise ModelFileError(f"{path}: tensor {name!r} is in {found[name].path.name} already")
            start, end = entry.data_offsets
            found[name] = Stored(path, name, entry.dtype, tuple(entry.shape), end - start)
    return found


def in_gguf(header: Header) -> dict[str, Stored]:
    """Returns the tensors of a GGUF file by its names for them.

    llama.cpp turns neighbouring values of a head in the architecture `llama`, as the first LLaMA did, and its converter
    moves rows for that; in all others it turns value i with value i + K/2, as we do
    (`convert_hf_to_gguf.py`, `LlamaModel.permute`).
    """
    turned: dict[str, int] = {}
    file = OpenFile(header.path)
    if header.values.get("general.architecture") == "llama":
        n_heads = int(header.values.get("llama.attention.head_count", 0))
        turned = {"attn_q": n_heads, "attn_k": int(header.values.get("llama.attention.head_count_kv", n_heads))}
    found = {}
    for name, block in header.tensors.items():
        n_heads = turned.get(name.rpartition(".")[0].rpartition(".")[2], 0)
        found[name] = Stored(header.path, name, block.kind, block.shape, block.n_bytes, file, block.start, n_heads)
    return found


def read(stored: Stored, dtype: torch.dtype, change: LowRank | None = None) -> Tensor:
    """Returns the values of a tensor.

    Args:
        stored: what to read.
        dtype: what a GGUF file's blocks become, and what is changed; any other tensor of safetensors is left as it is,
            and mapped.
        change: what an adapter adds to it.

    Raises:
        ModelFileError: when the file has changed since its header was read.
    """
    if stored.file:
        table = BlockRows(stored, change)
        found = _joined(table.at, table.n_rows, stored.shape[-1], dtype)
        return _unturned(found, stored.n_heads).view(stored.shape)
    try:
        with safe_open(stored.path, "pt") as file:
            tensor: Tensor = file.get_tensor(stored.name)
    except (SafetensorError, OSError) as error:
        raise ModelFileError(f"{stored.path} must be a whole safetensors file: {error}") from error
    if change is None:
        return tensor
    n_rows, width = stored.shape
    # a copy: what is float32 in the file would be changed in place
    return _joined(lambda rows: change.add_(tensor[rows].to(torch.float32, copy=True), rows), n_rows, width, dtype)


def _joined(rows_at: Callable[[slice], Tensor], n_rows: int, width: int, dtype: torch.dtype) -> Tensor:
    """[n_rows, width] of rows in float32 that are made some at a time."""
    found = torch.empty(n_rows, width, dtype=dtype)
    step = max(1, AT_A_TIME // width)
    with one_thread():
        for start in range(0, n_rows, step):
            rows = slice(start, min(start + step, n_rows))
            found[rows] = rows_at(rows)
    return found


def stored_rows(stored: Stored) -> Tensor:
    """Returns the bytes of a tensor in the format of its file, a row of values a row.

    Returns:
        uint8 [rows, bytes of a row], the rows of turned heads in our order; of a tensor of one dimension each value is
        a row.

    Raises:
        ModelFileError: when the file has changed since its header was read.
    """
    if stored.file:
        data = torch.frombuffer(bytearray(stored.file.bytes_at(stored.start, stored.n_bytes)), dtype=torch.uint8)
    else:
        data = read(stored, torch.float32).contiguous().view(torch.uint8)
    return _unturned(data.view(stored.shape[0], -1), stored.n_heads)


def read_quantised(
    stored: Stored, precision: Precision, device: torch.device, change: LowRank | None = None
) -> Quantised:
    """Returns a matrix in few bits; where it is wanted on a CPU, out of a GGUF file's blocks piece by piece.

    Args:
        stored: what to read.
        precision: what it becomes.
        device: where it goes.
        change: what an adapter adds to it before it is rounded.

    Raises:
        ModelFileError: when the file has changed since its header was read.
    """
    if stored.file is None or device.type != "cpu":
        # half precision keeps more than any format of few bits
        return quantise(read(stored, torch.float16, change).to(device), precision)
    rows = BlockRows(stored, change)
    if precision == "grouped" and FORMATS[stored.kind].groups and change is None:
        found = in_pieces(rows.grouped, stored.shape)
    elif precision == "grouped" and stored.kind in FIVE_BITS and change:
        # a token reads all weights: what the file has in five bits stays that small
        found = in_pieces(lambda part: five_bits(rows.at(part)), stored.shape)
    else:
        found = quantise_rows(rows.at, stored.shape, precision)
    return Quantised(*(_unturned(part, stored.n_heads) if part.numel() else part for part in found))


class BlockRows:
    """Rows of a tensor in a GGUF file, read when they are asked for."""

    def __init__(self, stored: Stored, change: LowRank | None = None) -> None:
        """Takes what to read, and what an adapter adds to the floats of `at`."""
        self._stored = stored
        # the file's order, in which rows are asked for
        self._change = change and change._replace(up=_turned(change.up, stored.n_heads))
        self.n_rows = math.prod(stored.shape[:-1])
        self._row_bytes = stored.n_bytes // self.n_rows

    def at(self, rows: slice) -> Tensor:
        """Returns [n, K] float32, a range of rows in the order of the file.

        Raises:
            ModelFileError: when the file is shorter than it was.
        """
        found = self._floats(self._bytes(rows.start, rows.stop - rows.start), rows.stop - rows.start)
        return self._change.add_(found, rows) if self._change else found

    def grouped(self, rows: slice) -> Quantised:
        """Returns a range of rows in the precision `grouped`, of a type that is like it; see `at`."""
        n_rows = rows.stop - rows.start
        blocks = torch.frombuffer(bytearray(self._bytes(rows.start, n_rows)), dtype=torch.uint8)
        return grouped_blocks(blocks, self._stored.kind, n_rows)

    def of(self, ids: list[int]) -> Tensor:
        """Returns [N, K] float32, the rows with some numbers; see `at`."""
        return self._floats(b"".join(self._bytes(row, 1) for row in ids), len(ids))

    def _bytes(self, first: int, count: int) -> bytes:
        assert self._stored.file
        return self._stored.file.bytes_at(self._stored.start + first * self._row_bytes, count * self._row_bytes)

    def _floats(self, data: bytes, count: int) -> Tensor:
        blocks = torch.frombuffer(bytearray(data), dtype=torch.uint8)
        return dequantise_blocks(blocks, self._stored.kind, (count, self._stored.shape[-1]), torch.float32)


def _unturned(tensor: Tensor, n_heads: int) -> Tensor:
    """Rows of heads whose rotary pairs are neighbours, as rows whose pairs are half a head apart; 0 heads: as it is."""
    if not n_heads:
        return tensor
    return tensor.view(n_heads, -1, 2, *tensor.shape[1:]).transpose(1, 2).reshape(tensor.shape)


def _turned(tensor: Tensor, n_heads: int) -> Tensor:
    """The other way round."""
    if not n_heads:
        return tensor
    return tensor.view(n_heads, 2, -1, *tensor.shape[1:]).transpose(1, 2).reshape(tensor.shape)
