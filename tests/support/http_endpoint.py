"""The server of `unmask http` with the fake model, and clients that speak to it."""

import asyncio
import contextlib
import json
import sys
from pathlib import Path

from serving import running

from lsp_server.backends.base import BackendUnavailable
from lsp_server.backends.local import WorkerBackend
from unmask_cli.endpoint.server import HttpEndpoint
from unmask_cli.loopback import HERE

WORKER = [sys.executable, str(Path(__file__).parent / "fake_worker.py")]
TOKEN = "t" * 43


@contextlib.asynccontextmanager
async def served(*arguments, preset="balanced", loaded=True):
    """A server that runs, on a port of its own; `loaded`: no request has to wait for its model."""
    backend = WorkerBackend([*WORKER, *arguments])
    async with running(HttpEndpoint(backend, TOKEN, preset)) as server:
        if loaded:
            with contextlib.suppress(BackendUnavailable):
                await backend.wait_ready()
        yield server


async def begun(server, path, body=None, method="POST", **headers):
    """A connection on which a request was sent; None leaves a header out, `|` separates several of a name."""
    data = b"" if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
    lines = {
        "Host": f"{HERE}:{server.port}",
        "Authorization": f"Bearer {TOKEN}",
        "Content-Type": "application/json",
        "Content-Length": str(len(data)),
        "Connection": "close",
        **{name.replace("_", "-"): value for name, value in headers.items()},
    }
    head = [f"{name}: {one}" for name, value in lines.items() if value is not None for one in value.split("|")]
    reader, writer = await asyncio.open_connection(HERE, server.port)
    writer.write("\r\n".join([f"{method} {path} HTTP/1.1", *head, "", ""]).encode() + data)
    return reader, writer


async def ended(connection):
    """Status, headers and body of the answer on a connection."""
    reader, writer = connection
    async with asyncio.timeout(60):
        answer = await reader.read()
    writer.close()
    head, _, body = answer.partition(b"\r\n\r\n")
    status, *fields = head.decode().split("\r\n")
    return int(status.split()[1]), dict(field.lower().split(": ", 1) for field in fields), body


async def asked(server, path, body=None, method="POST", **headers):
    """Status and the JSON of an answer."""
    status, _, answer = await ended(await begun(server, path, body, method, **headers))
    return status, json.loads(answer)
