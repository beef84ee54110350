"""Frames of JSON-RPC on a stream: headers that count in any case, and bodies that are too long to be taken."""

from __future__ import annotations

import json
import logging
import re
from typing import Any, BinaryIO

from lsprotocol import types

logger = logging.getLogger(__name__)

MAX_HEADER_BYTES = 8 << 10
MAX_BODY_BYTES = 64 << 20
MAX_SKIPPED_BYTES = 4 << 30
"""A longer body is no body, and nothing is expected behind it."""
_PIECE_BYTES = 1 << 20
_END_BYTES = 4 << 10
"""Of either end of a body: what a message is about stands beside the long text that it has."""
_LENGTH = re.compile(rb"content-length:\s*(\d{1,20})\s*$", re.IGNORECASE)
_STRING = rb'("(?:[^"\\]|\\.)*+")'
# in a text that is quoted there is a backslash before each of these quotes
_METHOD, _URI = (re.compile(rb'"%s"\s*+:\s*+%s' % (name, _STRING)) for name in (b"method", b"uri"))
_ID = re.compile(rb'"id"\s*+:\s*+(\d{1,15}+|%s)' % _STRING)


def read_body(stream: BinaryIO) -> bytes | None:
    """Returns the next message's body, or None at the end of the stream or when no body can follow.

    A body over `MAX_BODY_BYTES` is read and dropped; another message takes its place: one that closes the document that
    it was about, since a copy that lacks a change would be wrong from then on, or a request without parameters, which
    is answered with an error. It is empty where neither can be.
    """
    length: int | None = None
    header_bytes = 0
    while True:
        line = stream.readline(MAX_HEADER_BYTES)
        header_bytes += len(line)
        if not line or header_bytes > MAX_HEADER_BYTES:
            return None
        if match := _LENGTH.match(line):
            length = int(match.group(1))
        elif not line.strip() and length is not None:
            break
    if length > MAX_BODY_BYTES:
        logger.warning("a message must be at most %d bytes, got %d", MAX_BODY_BYTES, length)
        return _in_place_of_skipped(stream, length) if length <= MAX_SKIPPED_BYTES else None
    body = stream.read(length)
    return body if len(body) == length else None


def _in_place_of_skipped(stream: BinaryIO, length: int) -> bytes | None:
    """Reads a body to its end; returns what takes its place, None when the stream ends in it."""
    head, tail = stream.read(min(length, _END_BYTES)), b""
    left = length - len(head)
    while left:
        piece = stream.read(min(left, _PIECE_BYTES))
        if not piece:
            return None
        left -= len(piece)
        tail = (tail + piece)[-_END_BYTES:]

    def found(pattern: re.Pattern[bytes]) -> Any:
        match = pattern.search(head) or pattern.search(tail)
        return json.loads(match.group(1)) if match else None

    try:
        method, uri, number = found(_METHOD), found(_URI), found(_ID)
    except ValueError:
        return b""
    if not isinstance(method, str):
        return b""
    if method.startswith("textDocument/did"):
        closed = {"textDocument": {"uri": uri}}
        return json.dumps({"jsonrpc": "2.0", "method": types.TEXT_DOCUMENT_DID_CLOSE, "params": closed}).encode()
    return b"" if number is None else json.dumps({"jsonrpc": "2.0", "id": number, "method": method}).encode()
