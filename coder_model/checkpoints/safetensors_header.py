"""What a safetensors file says it holds, checked before anything else reads it.

The format: 8 bytes of length, little-endian, that many bytes of JSON, then the tensors' bytes without gaps
(https://github.com/huggingface/safetensors, README, "Format"). Ours and not `safe_open`, which reads headers of up to
100 MB (one of 70 MB took 1 GB of memory and 38 s) and does not tell a pickle from a cut-off file.
"""

from __future__ import annotations

import math
import struct
from pathlib import Path
from typing import Annotated

import msgspec

from coder_model.errors import ModelFileError

MAX_HEADER_BYTES = 4 << 20
"""A header of a 100 B model has a tenth of this."""
_BYTES = {"F64": 8, "F32": 4, "F16": 2, "BF16": 2, "I64": 8, "I32": 4, "I16": 2, "I8": 1, "U8": 1, "BOOL": 1,
          "F8_E4M3": 1, "F8_E5M2": 1}  # fmt: skip
_Size = Annotated[int, msgspec.Meta(ge=0, le=1 << 48)]


class TensorEntry(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One tensor of a file."""

    dtype: str
    shape: list[_Size]
    data_offsets: tuple[_Size, _Size]
    """First byte and the one after the last, from the end of the header."""


_decoder = msgspec.json.Decoder(dict[str, msgspec.Raw])


def read_header(path: Path) -> dict[str, TensorEntry]:
    """Returns the tensors of a safetensors file by name, without reading their values.

    Raises:
        ModelFileError: when it is no whole safetensors file: names the file, what was found, and what was expected.
    """
    try:
        size = path.stat().st_size
        with path.open("rb") as file:
            head = file.read(8)
            if head[:2] in (b"PK", b"\x80\x02", b"\x80\x04"):
                raise ModelFileError(f"{path} must be a safetensors file, found a pickle: it could run code; not read")
            length = struct.unpack("<Q", head)[0] if len(head) == 8 else 0
            if not 2 <= length <= min(MAX_HEADER_BYTES, size - 8):
                raise ModelFileError(
                    f"{path} must be a whole safetensors file with a header of 2 to {MAX_HEADER_BYTES} bytes, "
                    f"found {size} bytes that speak of {length}"
                )
            body = file.read(length)
    except OSError as error:
        raise ModelFileError(f"{path} must be a readable safetensors file: {error.strerror}") from error
    try:
        raw = _decoder.decode(body)
        raw.pop("__metadata__", None)
        entries = {name: msgspec.json.decode(entry, type=TensorEntry) for name, entry in raw.items()}
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError) as error:
        raise ModelFileError(f"{path} must have a safetensors header: {error}") from error
    _check_bytes(path, entries, size - 8 - length)
    return entries


def _check_bytes(path: Path, entries: dict[str, TensorEntry], n_bytes: int) -> None:
    """Every byte behind the header belongs to one tensor, and every tensor has the bytes its shape needs."""
    at = 0
    for name, entry in sorted(entries.items(), key=lambda item: item[1].data_offsets):
        if entry.dtype not in _BYTES:
            raise ModelFileError(f"{path}: tensor {name!r} must have a dtype of safetensors, found {entry.dtype!r}")
        start, end = entry.data_offsets
        expected = math.prod(entry.shape) * _BYTES[entry.dtype]
        if start != at or end - start != expected:
            raise ModelFileError(
                f"{path}: tensor {name!r} must have the bytes {at} to {at + expected}, found {start} to {end}"
            )
        at = end
    if at != n_bytes:
        raise ModelFileError(f"{path} must have {at} bytes of tensors, found {n_bytes}: it is cut off or has a tail")
