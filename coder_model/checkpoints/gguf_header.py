"""What a GGUF file says it holds, checked before anything else reads it.

The format: magic, version, two counts, keys with values, names with shapes and places of tensors, then their bytes, all
little-endian (https://github.com/ggml-org/ggml, `docs/gguf.md`). Whatever a header claims is held against the bytes
that are there before anything is made of it, so what it takes to read one is bounded by its own length.
"""

from __future__ import annotations

import mmap
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from coder_kernels.ggml_blocks import FORMATS
from coder_model.errors import ModelFileError

MAGIC, VERSIONS = b"GGUF", (2, 3)
MAX_HEADER_BYTES = 64 << 20
"""A vocabulary of 150,000 tokens with its merges takes 6 MB."""
MAX_KEYS, MAX_TENSORS, MAX_DIMENSIONS, MAX_LENGTH = 1 << 14, 1 << 16, 4, 1 << 48
MAX_ITEMS = 1 << 20
"""Most items of a list: more than any vocabulary has, and 100 MB at most once they are Python's."""
WITH_TEXTS = ("tokenizer.ggml.tokens", "tokenizer.ggml.merges")
"""Keys whose lists of texts are kept; others are passed over."""
_SCALARS = {0: "<B", 1: "<b", 2: "<H", 3: "<h", 4: "<I", 5: "<i", 6: "<f", 7: "<?", 10: "<Q", 11: "<q", 12: "<d"}
_TEXT, _LIST = 8, 9
_TYPES = {0: "F32", 1: "F16", 2: "Q4_0", 3: "Q4_1", 6: "Q5_0", 7: "Q5_1", 8: "Q8_0", 12: "Q4_K", 13: "Q5_K",
          14: "Q6_K", 30: "BF16"}  # fmt: skip
_OTHER_TYPES = {10: "Q2_K", 11: "Q3_K", 16: "IQ2_XXS", 17: "IQ2_XS", 18: "IQ3_XXS", 19: "IQ1_S", 20: "IQ4_NL",
                21: "IQ3_S", 22: "IQ2_S", 23: "IQ4_XS", 29: "IQ1_M", 34: "TQ1_0", 35: "TQ2_0", 39: "MXFP4"}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Block:
    """One tensor of a file."""

    kind: str
    """A name of `FORMATS`."""
    shape: tuple[int, ...]
    """As torch has it: the length of a row last."""
    start: int
    """First byte, from the beginning of the file."""
    n_bytes: int


@dataclass(frozen=True, slots=True)
class Header:
    """The header of a GGUF file."""

    path: Path
    values: Mapping[str, Any]
    """Key -> number, truth value, text, or list of them."""
    tensors: Mapping[str, Block]


def read_gguf(path: Path) -> Header:
    """Returns what a GGUF file holds, without reading its weights.

    Raises:
        ModelFileError: when it is no whole GGUF file: names the file, what was found, and what was expected.
    """
    try:
        if not path.is_file():
            raise ModelFileError(
                f"{path} must be a GGUF file, found {'something else' if path.exists() else 'nothing'}"
            )
        with path.open("rb") as file:
            head = file.read(24)
            if len(head) < 24 or head[:4] != MAGIC:
                raise ModelFileError(f"{path} must be a GGUF file, found one that begins with {head[:4]!r}")
            with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
                return _read(path, data)
    except OSError as error:
        raise ModelFileError(f"{path} must be a readable GGUF file: {error.strerror}") from error
    except (struct.error, UnicodeDecodeError, _Wrong) as error:
        raise ModelFileError(f"{path} must be a whole GGUF file: {error}") from error


class _Wrong(Exception):
    """What is wrong with a header."""


class _Cursor:
    """Where in a header reading is."""

    def __init__(self, data: mmap.mmap) -> None:
        self.data, self.at = data, 0
        self.end = min(len(data), MAX_HEADER_BYTES)

    def number(self, form: str) -> Any:
        (value,) = struct.unpack_from(form, self.data, self._past(struct.calcsize(form)))
        return value

    def numbers(self, form: str, count: int) -> tuple[Any, ...]:
        size = struct.calcsize(form)
        return struct.unpack_from(f"<{count}{form[1]}", self.data, self._past(size * count))

    def text(self) -> str:
        length = self.number("<Q")
        start = self._past(length)
        return self.data[start : start + length].decode("utf-8")

    def texts(self, count: int, kept: bool) -> list[str]:
        """A list of texts; an empty one when they are only passed over. A vocabulary has 300,000: nothing is called."""
        if count > (self.end - self.at) // 8:
            raise _Wrong(f"a list of {count} texts must fit into what is left, {self.end - self.at} bytes")
        found, at, end, data, length_at = [], self.at, self.end, self.data, struct.Struct("<Q").unpack_from
        for _ in range(count):
            if at + 8 > end:
                raise _Wrong("the header must not end in a list of texts")
            (length,) = length_at(data, at)
            start, at = at + 8, at + 8 + length
            if at > end:
                raise _Wrong(f"a text of {length} bytes must fit into what is left, {end - start}")
            if kept:
                found.append(data[start:at].decode("utf-8"))
        self.at = at
        return found

    def _past(self, n_bytes: int) -> int:
        """Where some bytes begin; the cursor stands behind them then."""
        start = self.at
        if n_bytes > self.end - start:
            raise _Wrong(f"its header must go on for {n_bytes} bytes at {start}, found {self.end - start}")
        self.at = start + n_bytes
        return start


def _read(path: Path, data: mmap.mmap) -> Header:
    cursor = _Cursor(data)
    cursor.number("<I")
    version = cursor.number("<I")
    if version not in VERSIONS:
        raise _Wrong(f"its version must be 2 or 3, little-endian, found {version}")
    n_tensors, n_keys = cursor.number("<Q"), cursor.number("<Q")
    if not (1 <= n_tensors <= MAX_TENSORS and n_keys <= MAX_KEYS):
        raise _Wrong(
            f"it must have 1 to {MAX_TENSORS} tensors and at most {MAX_KEYS} keys, found {n_tensors} and {n_keys}"
        )
    values: dict[str, Any] = {}
    for _ in range(n_keys):
        key = cursor.text()
        if key in values:
            raise _Wrong(f"the key {key!r} must be there once")
        values[key] = _value(cursor, key)
    places = [_place(cursor) for _ in range(n_tensors)]
    return Header(path, values, _blocks(places, cursor.at, _alignment(values), len(data)))


def _value(cursor: _Cursor, key: str) -> Any:
    kind = cursor.number("<I")
    if kind == _TEXT:
        return cursor.text()
    if kind != _LIST:
        return cursor.number(_form(kind, key))
    kind, count = cursor.number("<I"), cursor.number("<Q")
    if count > MAX_ITEMS:
        raise _Wrong(f"the list {key!r} must have at most {MAX_ITEMS} items, found {count}")
    if kind == _TEXT:
        return cursor.texts(count, key in WITH_TEXTS)
    return cursor.numbers(_form(kind, key), count)


def _form(kind: int, key: str) -> str:
    if kind not in _SCALARS:
        raise _Wrong(f"the value of {key!r} must be of a type of GGUF, found type {kind}")
    return _SCALARS[kind]


def _place(cursor: _Cursor) -> tuple[str, tuple[int, ...], int, int]:
    """Name, shape, number of the type, and offset of the next tensor."""
    name, n_dimensions = cursor.text(), cursor.number("<I")
    if not 1 <= n_dimensions <= MAX_DIMENSIONS:
        raise _Wrong(f"tensor {name!r} must have 1 to {MAX_DIMENSIONS} dimensions, found {n_dimensions}")
    shape = cursor.numbers("<Q", n_dimensions)[::-1]
    if not all(1 <= length <= MAX_LENGTH for length in shape):
        raise _Wrong(f"tensor {name!r} must have lengths from 1 to {MAX_LENGTH}, found {shape}")
    return name, shape, cursor.number("<I"), cursor.number("<Q")


def _alignment(values: Mapping[str, Any]) -> int:
    alignment = values.get("general.alignment", 32)
    if not isinstance(alignment, int) or not 1 <= alignment <= 1 << 16 or alignment & (alignment - 1):
        raise _Wrong(f"general.alignment must be a power of two up to {1 << 16}, found {alignment!r}")
    return alignment


def _blocks(
    places: list[tuple[str, tuple[int, ...], int, int]], header_end: int, alignment: int, size: int
) -> dict[str, Block]:
    """Every tensor begins where the one before it ends, aligned, and has the bytes that its shape needs."""
    begin = -header_end % alignment + header_end
    found: dict[str, Block] = {}
    at = 0
    for name, shape, number, offset in places:
        kind = _TYPES.get(number, "")
        if name in found or not kind:
            known = "must be there once" if kind else f"must be one of {', '.join(FORMATS)}"
            raise _Wrong(f"tensor {name!r} {known}, found {kind or _OTHER_TYPES.get(number, f'type {number}')}")
        n_weights, form = 1, FORMATS[kind]
        for length in shape:
            n_weights *= length
        n_bytes = n_weights // form.length * form.n_bytes
        if shape[-1] % form.length:
            raise _Wrong(f"tensor {name!r} must have rows of a multiple of {form.length} in {kind}, found {shape}")
        if offset != at or begin + at + n_bytes > size:
            raise _Wrong(
                f"tensor {name!r} must have {n_bytes} bytes at {begin + at}, found them at {begin + offset} of {size}: "
                "it is cut off, or damaged"
            )
        found[name] = Block(kind, shape, begin + at, n_bytes)
        at += n_bytes + -n_bytes % alignment
    return found
