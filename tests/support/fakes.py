"""The real server with the fake model, and what most tests of it do."""

import sys
from pathlib import Path

SERVER = [sys.executable, str(Path(__file__).parent / "fake_server.py")]
URI = "file:///work/a.py"
CANCELLED, MODIFIED, INVALID = -32800, -32801, -32602


def ask(client, text, line=0, character=None, **more):
    """Opens a document and asks in it: at the end of its first line unless told otherwise."""
    client.open(URI, text)
    return client.items(URI, line, len(text.partition("\n")[0]) if character is None else character, **more)


def span(a, b, c, d):
    """The range from line a, character b to line c, character d."""
    return {"start": {"line": a, "character": b}, "end": {"line": c, "character": d}}
