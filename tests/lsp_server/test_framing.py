"""The reader of frames, without a server, fed with bytes that are broken, or too many."""

import io
import json
import resource

import pytest
from hypothesis import given
from hypothesis import strategies as st
from results import record
from scale import SCALE, seeded

from lsp_server import framing
from lsp_server.framing import MAX_HEADER_BYTES, MAX_SKIPPED_BYTES, read_body

FRAMES = int(10_000 * SCALE)
PIECES = [
    b"Content-Length: 2\r\n\r\n{}", b"content-length:2\r\n\r\n[]", b"Content-Length: 0\r\n\r\n", b"\r\n", b"\n", b": ",
    b"\x00",
    b"Content-Length: 99999999999999999999\r\n\r\n", b"Content-Length: -1\r\n\r\n", b"Content-Type: x\r\n", b"\xff\xfe",
    b"Content-Length: 10\r\nContent-Length: 2\r\n\r\n{}", b"Content-Length: 64\r\n\r\n", b"x" * 200, b"Content-Length:",
]  # fmt: skip


def mutated(rng):
    data = bytearray(b"".join(rng.choices(PIECES, k=rng.randrange(1, 8))))
    for _ in range(rng.randrange(4)):
        data[rng.randrange(len(data))] = rng.randrange(256)
    return bytes(data)


def test_no_bytes_stop_the_reader_other_than_by_its_end(capsys):
    rng = seeded(5)
    read = bodies = 0
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for number in range(FRAMES):
        data = mutated(rng)
        stream = io.BytesIO(data)
        while (body := read_body(stream)) is not None:
            bodies += 1
            assert body in data or body == b""
        read += len(data)
        if number % 1000 == 0:
            capsys.readouterr()
    grown_mb = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    assert bodies > FRAMES / 10
    assert grown_mb < 80
    record("mutated frames", frames=FRAMES, bytes=read, exits=0, grown_mb=round(grown_mb, 1))


def test_what_is_longer_than_any_message_ends_the_stream(caplog):
    assert read_body(io.BytesIO(b"X: " + b"y" * MAX_HEADER_BYTES + b"\r\n\r\n")) is None
    assert read_body(io.BytesIO(b"Content-Length: %d\r\n\r\n" % (MAX_SKIPPED_BYTES + 1))) is None
    assert "at most" in caplog.text


def framed(body):
    return b"Content-Length: %d\r\n\r\n" % len(body) + body


LONG = "x" * 20_000
URI = "file:///a%20b.py"
CLOSED = {"jsonrpc": "2.0", "method": "textDocument/didClose", "params": {"textDocument": {"uri": URI}}}


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        ({"method": "textDocument/didOpen", "params": {"textDocument": {"uri": URI, "text": LONG}}}, CLOSED),
        ({"method": "textDocument/didChange", "params": {"a": LONG, "textDocument": {"uri": URI}}}, CLOSED),
        ({"params": {"a": LONG, "textDocument": {"uri": URI}}, "method": "textDocument/didChange"}, CLOSED),
        ({"id": 7, "method": "x/y", "params": [LONG]}, {"jsonrpc": "2.0", "id": 7, "method": "x/y"}),
        ({"params": [LONG], "method": "x/y", "id": 'a"b'}, {"jsonrpc": "2.0", "id": 'a"b', "method": "x/y"}),
        ({"id": 7, "result": LONG}, None),
        ({"method": "x/y", "params": [LONG]}, None),
        ({"a": LONG + '{"method": "exit", "id": 3}' + LONG}, None),
        ({"a": '{"method": "exit", "id": 3}' + LONG + '"method":"exit"'}, None),
    ],
)
def test_a_message_that_is_too_long_closes_its_document_or_is_a_request_in_vain(message, expected, monkeypatch):
    monkeypatch.setattr(framing, "MAX_BODY_BYTES", 10_000)
    stream = io.BytesIO(framed(json.dumps(message).encode()) + framed(b"{}"))
    found = read_body(stream)
    assert (json.loads(found) if found else None) == expected
    assert read_body(stream) == b"{}"
    assert read_body(stream) is None


@given(st.binary(max_size=60), st.integers(1, 5_000))
def test_what_is_skipped_ends_where_it_ends(end, count):
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(framing, "MAX_BODY_BYTES", 0)
        stream = io.BytesIO(framed(end * count + b" ") + b"rest")
        assert read_body(stream) is not None
        assert stream.read() == b"rest"
        assert read_body(io.BytesIO(framed(end + b"  ")[:-1])) is None
