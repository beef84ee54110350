"""The reader of frames in `protocol.py`, without a server, fed with bytes that are broken."""

import io
import resource

from results import record
from scale import SCALE, seeded

from lsp_server.protocol import MAX_BODY_BYTES, MAX_HEADER_BYTES, read_body

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


def test_what_is_longer_than_allowed_ends_the_stream(capsys):
    assert read_body(io.BytesIO(b"X: " + b"y" * MAX_HEADER_BYTES + b"\r\n\r\n")) is None
    assert read_body(io.BytesIO(b"Content-Length: %d\r\n\r\n" % (MAX_BODY_BYTES + 1))) is None
    assert "at most" in capsys.readouterr().err
