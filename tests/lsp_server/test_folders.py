"""Which folders are those of the workspace: what git ignores counts within one."""

import asyncio
import io
import json
from pathlib import Path

import pytest
from pygls.io_ import StdoutWriter

from lsp_server.backends.base import AbsentBackend
from lsp_server.server import make_server

ONE, TWO, SHARP = "file:///srv/one", "file:///srv/t%C3%A9", "file:///srv/c%23"
PATHS = {ONE: Path("/srv/one"), TWO: Path("/srv/té"), SHARP: Path("/srv/c#")}


async def roots(begin, *events):
    """The folders that count, once a client has said hello and folders have come and gone."""
    server = make_server(lambda _: AbsentBackend("none"))
    server.protocol.set_writer(StdoutWriter(io.BytesIO()))

    hello = {"id": 1, "method": "initialize", "params": {"processId": None, "capabilities": {}, **begin}}
    changes = ({"method": "workspace/didChangeWorkspaceFolders", "params": {"event": event}} for event in events)
    for message in (hello, *changes):
        server.protocol.receive(json.dumps({"jsonrpc": "2.0", **message}).encode())
        # until its handler has run
        await asyncio.sleep(0.01)
    return server.privacy.roots


def named(*uris):
    return [{"uri": uri, "name": "a"} for uri in uris]


@pytest.mark.parametrize(
    ("begin", "events", "expected"),
    [
        ({"rootUri": None}, [], []),
        ({"rootUri": ONE}, [], [ONE]),
        ({"rootUri": ONE, "workspaceFolders": None}, [], [ONE]),
        ({"rootUri": ONE, "workspaceFolders": []}, [], [ONE]),
        ({"rootUri": ONE, "workspaceFolders": named(ONE, TWO, SHARP)}, [], [ONE, TWO, SHARP]),
        ({"rootUri": ONE, "workspaceFolders": named(ONE, TWO)}, [([], [ONE])], [TWO]),
        ({"rootUri": ONE, "workspaceFolders": named(ONE)}, [([TWO], []), ([SHARP], [ONE, TWO])], [SHARP]),
        ({"rootUri": None}, [([ONE], []), ([], [ONE])], []),
        ({"rootUri": ONE}, [([TWO], [ONE])], [TWO]),
    ],
)
async def test_a_folder_that_is_gone_does_not_count(begin, events, expected):
    sent = [{"added": named(*added), "removed": named(*removed)} for added, removed in events]
    assert await roots(begin, *sent) == [PATHS[uri] for uri in expected]
