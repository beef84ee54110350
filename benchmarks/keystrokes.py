"""What a key costs the server beside the model: taking the change, and how late everything else is meanwhile.

    python benchmarks/keystrokes.py [--out benchmarks/results/keystrokes.json]

The server runs inside this process, on a pipe, with a backend that finds nothing: from the bytes of a message to the
changed document, and the delay of a heartbeat on its event loop while somebody types 20 keys a second and asks at each.
"""

from __future__ import annotations

import argparse
import asyncio
import io
import json
import os
import random
import threading
import time
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any, cast

from records import RESULTS, show, write

from coder_model.evaluation.metrics import percentile
from coder_model.types import Draft
from lsp_server.backends.local import WorkerBackend
from lsp_server.protocol import Protocol, serve_stdio
from lsp_server.server import UnmaskServer, make_server

URI = "file:///work/large.py"
LINE = "    total_{0} = compute(values[{0}], scale=factor, offset=shift)\n"
KEYS, KEYS_PER_S, TYPED_S, BEAT_S = 2_000, 20, 20.0, 0.002


class NoModel(WorkerBackend):
    """Answers every fill at once with nothing."""

    def __init__(self) -> None:
        super().__init__([])

    async def start(self) -> None:
        """Is there already."""

    async def wait_ready(self) -> None:
        """Is there already."""

    async def fill(self, *_: Any) -> AsyncGenerator[Draft, None]:
        """Yields an empty draft."""
        yield Draft("", final=True, confidence=1.0, steps=0, tokens=0, elapsed_ms=0.0)

    async def close(self) -> None:
        """Has nothing to end."""


def document(megabytes: float) -> str:
    """Returns a text of ordinary lines."""
    n_lines = int(megabytes * 1_000_000 / len(LINE.format(12_345))) + 1
    return "".join(LINE.format(number) for number in range(n_lines))


def message(method: str, parameters: Any, number: int | None = None) -> bytes:
    """Returns the body of a message."""
    head = {"jsonrpc": "2.0", "method": method, "params": parameters}
    return json.dumps(head if number is None else {**head, "id": number}).encode()


def change(row: int, column: int, text: str, version: int) -> bytes:
    """Returns the body of a key."""
    at = {"line": row, "character": column}
    changes = [{"range": {"start": at, "end": at}, "text": text}]
    return message(
        "textDocument/didChange", {"textDocument": {"uri": URI, "version": version}, "contentChanges": changes}
    )


class Session:
    """The server on a pipe, and who types into it."""

    def __init__(self, text: str) -> None:
        self.server: UnmaskServer = make_server(lambda _: NoModel())
        self.rows = text.count("\n")
        taken, self._to_server = os.pipe()
        self._stdin = os.fdopen(taken, "rb")
        self.protocol = cast(Protocol, self.server.protocol)
        self.serving = asyncio.create_task(serve_stdio(self.protocol, self._stdin, io.BytesIO()))
        capabilities = {"general": {"positionEncodings": ["utf-16"]}}
        self.send(message("initialize", {"processId": None, "rootUri": None, "capabilities": capabilities}, 1))
        self.send(message("initialized", {}))
        opened = {"uri": URI, "languageId": "python", "version": 1, "text": text}
        threading.Thread(target=self.send, args=(message("textDocument/didOpen", {"textDocument": opened}),)).start()

    def send(self, body: bytes) -> None:
        """Writes a message."""
        data = b"Content-Length: %d\r\n\r\n" % len(body) + body
        while data:
            data = data[os.write(self._to_server, data) :]

    async def opened(self) -> None:
        """Returns when the document is there."""
        while self.server.documents.get(URI) is None:
            await asyncio.sleep(0.01)

    async def close(self) -> None:
        """Ends the server."""
        os.close(self._to_server)
        await self.serving


async def bookkeeping(text: str) -> list[float]:
    """Returns the milliseconds from a key's bytes to the changed document, at random places."""
    session = Session(text)
    await session.opened()
    rng = random.Random(5)
    keys = "abc(\n" if session.rows > 1 else "abc("
    times = []
    for version in range(2, KEYS):
        body = change(rng.randrange(session.rows), rng.randrange(20), rng.choice(keys), version)
        began = time.perf_counter()
        session.protocol.receive(body)
        times.append((time.perf_counter() - began) * 1000)
        await asyncio.sleep(0)
    await session.close()
    return times


async def lag(text: str) -> list[float]:
    """Returns how many milliseconds late the beats of a heartbeat are while somebody types and asks."""
    session = Session(text)
    await session.opened()
    row = session.rows // 2
    typing = threading.Thread(target=_type, args=(session, row))
    typing.start()
    late = []
    while typing.is_alive():
        began = time.perf_counter()
        await asyncio.sleep(BEAT_S)
        late.append((time.perf_counter() - began - BEAT_S) * 1000)
    await session.close()
    return late


def _type(session: Session, row: int) -> None:
    for number in range(int(TYPED_S * KEYS_PER_S)):
        session.send(change(row, 4 + number, "abcdef("[number % 7], number + 2))
        position = {"line": row, "character": 5 + number}
        parameters = {"textDocument": {"uri": URI}, "position": position, "context": {"triggerKind": 2}}
        session.send(message("textDocument/inlineCompletion", parameters, number + 10))
        time.sleep(1 / KEYS_PER_S)


def main() -> None:
    """Measures documents of several sizes, prints a table, writes JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=RESULTS / "keystrokes.json")
    out: Path = parser.parse_args().out
    texts = {f"{megabytes} MB": document(megabytes) for megabytes in (0.01, 1, 5)}
    texts["one line of 1 MB"] = texts["1 MB"].replace("\n", ";") + "\n"
    found = {}
    for size, text in texts.items():
        for name, measure in (("a key", bookkeeping), ("loop lag", lag)):
            times = asyncio.run(measure(text))
            row = {f"p{q}_ms": round(percentile(times, q), 3) for q in (50, 99)} | {"max_ms": round(max(times), 2)}
            found[f"{name}, {size}"] = row
    show(found)
    write(out, {"keys_per_s": KEYS_PER_S, "figures": found})


if __name__ == "__main__":
    main()
