"""What travels between a front and the worker: length-prefixed msgpack frames of the structs below.

A frame is a 4-byte little-endian length and that many bytes of msgpack. The worker sends `Hello` at once, `Loading` now
and then, and `Ready` when the model is loaded, or `Broken` and exits; then for every `Fill`, in any order, one or more
`FillProgress` of which the last has `draft.final`, or one `Dropped`; a `Pong` for every `Ping`, whatever the model
does; nothing for a `Warm`; `Resting` before it exits because nobody asked for long. Imports nothing slow.
"""

from __future__ import annotations

import struct
from typing import BinaryIO

import msgspec

from coder_model.types import Draft, FillRequest

MAX_FRAME_BYTES = 256 << 20
_LENGTH = struct.Struct("<I")


class Fill(msgspec.Struct, frozen=True, tag=True):
    """Asks for one fill; a newer one of the same session supersedes it."""

    id: int
    request: FillRequest
    watch: bool = False
    """True: one `FillProgress` per step; False: only the final one."""


class Warm(msgspec.Struct, frozen=True, tag=True):
    """Asks to read what a fill of this request would read, when there is nothing else to do; has no answer.

    Every `Fill` goes first; a newer one of the same session, or a newer `Warm`, ends it.
    """

    request: FillRequest


class Cancel(msgspec.Struct, frozen=True, tag=True):
    """Asks to stop `Fill` number `id`; unknown ids are ignored."""

    id: int


class Ping(msgspec.Struct, frozen=True, tag=True):
    """Asks whether the worker is alive."""


class Hello(msgspec.Struct, frozen=True, tag=True):
    """The first word of a worker."""

    process_id: int


class Pong(msgspec.Struct, frozen=True, tag=True):
    """The worker is alive."""

    passes: int | None
    """Passes of the model begun so far, None while it has nothing to do."""
    processor_s: float = 0.0
    """Seconds of processors that the worker has had so far: where neither number grows it hangs."""


class Ready(msgspec.Struct, frozen=True, tag=True):
    """The model is loaded and answers."""

    model: str
    parameters: int
    load_ms: float
    suggestion_ms: float
    """What a usual suggestion takes on this machine, once the context is in the cache."""
    judges: bool = False
    """Whether it answers `FillRequest.judged`."""
    controls: tuple[str, ...] = ()
    """Fields of `Decoding` that change what it does."""
    max_concurrent: int = 1
    """Fills that it runs at the same time."""


class Loading(msgspec.Struct, frozen=True, tag=True):
    """So much of the model is there."""

    share: float
    """In [0, 1]."""


class Broken(msgspec.Struct, frozen=True, tag=True):
    """The worker cannot serve at all (no weights, wrong weights); it exits after this."""

    reason: str


class Resting(msgspec.Struct, frozen=True, tag=True):
    """The worker exits and frees its memory, since nobody has asked for long; start it again when somebody does."""


class FillProgress(msgspec.Struct, frozen=True, tag=True):
    """A step of a fill, or its end when `draft.final`."""

    id: int
    draft: Draft


class Dropped(msgspec.Struct, frozen=True, tag=True):
    """A fill that ends without a result: superseded or cancelled (`error` empty), or failed (`error` says how)."""

    id: int
    error: str = ""


ToWorker = Fill | Warm | Cancel | Ping
FromWorker = Hello | Loading | Ready | Broken | Resting | FillProgress | Dropped | Pong

_encoder = msgspec.msgpack.Encoder()
to_worker = msgspec.msgpack.Decoder(ToWorker)
from_worker = msgspec.msgpack.Decoder(FromWorker)


def frame(message: ToWorker | FromWorker) -> bytes:
    """Returns the message as one frame, length first."""
    body = _encoder.encode(message)
    return _LENGTH.pack(len(body)) + body


def frame_length(header: bytes) -> int:
    """Returns the length of the body that follows the 4-byte `header`.

    Raises:
        ValueError: when the length is over `MAX_FRAME_BYTES`: the stream is not ours, or broken.
    """
    (length,) = _LENGTH.unpack(header)
    if length > MAX_FRAME_BYTES:
        raise ValueError(f"frame must be at most {MAX_FRAME_BYTES} bytes, got {length}")
    return int(length)


def read_body(stream: BinaryIO) -> bytes | None:
    """Returns the body of the next frame, or None at the end of the stream. Blocks."""
    header = stream.read(_LENGTH.size)
    if len(header) < _LENGTH.size:
        return None
    length = frame_length(header)
    body = stream.read(length)
    return body if len(body) == length else None
