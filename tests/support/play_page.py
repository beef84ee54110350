"""The server of `unmask play` with the fake model, and a page that speaks to it."""

import asyncio
import contextlib
import json
import sys
from functools import partial
from pathlib import Path

from serving import running
from websockets.asyncio.client import connect

from lsp_server.backends.ladder import Rung
from lsp_server.backends.local import WorkerBackend
from unmask_cli.play.messages import OfferedModel
from unmask_cli.play.server import SUBPROTOCOL, PageServer
from unmask_cli.play.visit import Opened

WORKER = [sys.executable, str(Path(__file__).parent / "fake_worker.py")]


class FakeShelf:
    """Three models: two that answer, and one that is broken."""

    first = "fake"

    def __init__(self):
        commands = {"fake": WORKER, "other": [*WORKER, "--name", "other"], "broken": [*WORKER, "--broken"]}
        self.made = []
        self.rungs = {
            name: Rung(name, name, 1.0, partial(self._make, command), 300.0) for name, command in commands.items()
        }

    def _make(self, command):
        self.made.append(WorkerBackend(command))
        return self.made[-1]

    def choices(self):
        return [OfferedModel(name, 1.0, None) for name in self.rungs]


def served(opened=None):
    """A server that runs, on a port of its own."""
    return running(PageServer(FakeShelf(), opened or Opened()))


class Page:
    """One connection, and what it has heard."""

    def __init__(self, socket):
        self.socket = socket

    async def say(self, **message):
        await self.socket.send(json.dumps(message))

    async def fill(self, prefix, number=1, **more):
        await self.say(**{"type": "fill", "id": number, "prefix": prefix, "suffix": "", "path": "a.py"} | more)

    async def until(self, kind, matches=lambda _: True):
        """The messages up to the first of a kind that matches."""
        heard = []
        async with asyncio.timeout(60):
            while True:
                heard.append(json.loads(await self.socket.recv()))
                if heard[-1]["type"] == kind and matches(heard[-1]):
                    return heard

    async def answer(self, number=1, lane="own"):
        """The steps of a fill up to its last one."""
        ended = await self.until("step", lambda m: (m["id"], m["lane"], m["draft"]["final"]) == (number, lane, True))
        return [message for message in ended if message["type"] == "step"]


@contextlib.asynccontextmanager
async def page_of(server, token=None, origin=None):
    """A page that was let in."""
    async with connect(
        f"ws://127.0.0.1:{server.port}/socket",
        origin=origin or f"http://127.0.0.1:{server.port}",
        subprotocols=[SUBPROTOCOL, token or server.token],
        proxy=None,
    ) as socket:
        yield Page(socket)
