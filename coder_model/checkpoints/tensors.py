"""Where the tensors of a published model are, and their values: one way out of safetensors and GGUF."""

from __future__ import annotations

import mmap
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from coder_kernels.ggml_blocks import dequantise_blocks
from coder_model.checkpoints.gguf_header import Header
from coder_model.checkpoints.safetensors_header import read_header
from coder_model.errors import ModelFileError

FILES = "model*.safetensors"


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
    start: int = -1
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
    if header.values.get("general.architecture") == "llama":
        n_heads = int(header.values.get("llama.attention.head_count", 0))
        turned = {"attn_q": n_heads, "attn_k": int(header.values.get("llama.attention.head_count_kv", n_heads))}
    found = {}
    for name, block in header.tensors.items():
        n_heads = turned.get(name.rpartition(".")[0].rpartition(".")[2], 0)
        found[name] = Stored(header.path, name, block.kind, block.shape, block.n_bytes, block.start, n_heads)
    return found


def read(stored: Stored, dtype: torch.dtype) -> Tensor:
    """Returns the values of a tensor; the file is mapped anew for each, so that its pages can go again.

    Args:
        stored: what to read.
        dtype: what blocks of few bits become; a floating type is left as it is in the file.

    Raises:
        ModelFileError: when the file has changed since its header was read.
    """
    if stored.start >= 0:
        return _from_gguf(stored, dtype)
    try:
        with safe_open(stored.path, "pt") as file:
            tensor: Tensor = file.get_tensor(stored.name)
    except (SafetensorError, OSError) as error:
        raise ModelFileError(f"{stored.path} must be a whole safetensors file: {error}") from error
    return tensor


def stored_rows(stored: Stored) -> Tensor:
    """Returns the bytes of a tensor in the format of its file, a row of values a row; the file is mapped anew for each.

    Returns:
        uint8 [rows, bytes of a row], the rows of turned heads in our order; of a tensor of one dimension each value is
        a row.

    Raises:
        ModelFileError: when the file has changed since its header was read.
    """
    data = _mapped(stored) if stored.start >= 0 else read(stored, torch.float32).contiguous().view(torch.uint8)
    rows = data.view(stored.shape[0], -1)
    return _unturned(rows, stored.n_heads) if stored.n_heads else rows


def _from_gguf(stored: Stored, dtype: torch.dtype) -> Tensor:
    tensor = dequantise_blocks(_mapped(stored), stored.kind, stored.shape, dtype)
    return tensor if not stored.n_heads else _unturned(tensor, stored.n_heads)


def _mapped(stored: Stored) -> Tensor:
    """[bytes] uint8, of a GGUF file."""
    try:
        with stored.path.open("rb") as file:
            # copied on writing: torch wants memory that could be written to
            mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY)
    except (OSError, ValueError) as error:
        raise ModelFileError(f"{stored.path} must be a readable GGUF file: {error}") from error
    if len(mapped) < stored.start + stored.n_bytes:
        raise ModelFileError(f"{stored.path} must be as it was when its header was read: it is shorter now")
    return torch.frombuffer(mapped, dtype=torch.uint8, count=stored.n_bytes, offset=stored.start)


def _unturned(tensor: Tensor, n_heads: int) -> Tensor:
    """Rows of heads whose rotary pairs are neighbours, as rows whose pairs are half a head apart."""
    return tensor.view(n_heads, -1, 2, *tensor.shape[1:]).transpose(1, 2).reshape(tensor.shape)
