"""Stands between an editor and its server, passes on what both say unchanged, and sees when they say it.

    python benchmarks/relay.py [--pause SECONDS] [--times FILE] unmask lsp

`--pause`: each pass of a fill that is watched stays for so long, since a browser takes longer to photograph one than
the model to make the next. `--times`: a line of JSON for each answer to a request for inline completion: `at`, when it
was asked, in seconds since 1970, `ms` from there to the answer, `shows` whether there is a suggestion in it.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

ASKED = "textDocument/inlineCompletion"
Asked = dict[Any, float]
"""When a request that has no answer yet was made, by its number."""


def messages(stream: IO[bytes]) -> Iterator[tuple[bytes, dict[str, Any]]]:
    """Yields each message as it came, and what it says."""
    while line := stream.readline():
        header = line
        while (line := stream.readline()).strip():
            header += line
        (length,) = (
            int(one.split(b":")[1]) for one in header.splitlines() if one.lower().startswith(b"content-length")
        )
        body = stream.read(length)
        yield header + line + body, json.loads(body)


def main() -> None:
    """Passes on until one of them ends."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pause", type=float, default=0.0)
    parser.add_argument("--times", type=Path)
    parser.add_argument("command", nargs=argparse.REMAINDER)
    arguments = parser.parse_args()
    asked: Asked = {}
    with subprocess.Popen(arguments.command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as server:
        assert server.stdin
        assert server.stdout
        threading.Thread(target=_ask, args=(server.stdin, asked), daemon=True).start()
        for raw, said in messages(server.stdout):
            sys.stdout.buffer.write(raw)
            sys.stdout.buffer.flush()
            if "method" not in said and said.get("id") in asked and arguments.times:
                _note(said, asked, arguments.times)
            elif said.get("method") == "unmask/denoising":
                time.sleep(arguments.pause)


def _ask(server: IO[bytes], asked: Asked) -> None:
    for raw, said in messages(sys.stdin.buffer):
        if said.get("method") == ASKED:
            asked[said["id"]] = time.time()
        server.write(raw)
        server.flush()
    server.close()


def _note(said: dict[str, Any], asked: Asked, times: Path) -> None:
    at = asked.pop(said["id"])
    result = said.get("result")
    shows = isinstance(result, dict) and bool(result.get("items"))
    found = {"at": at, "ms": (time.time() - at) * 1000, "shows": shows}
    with times.open("a") as file:
        file.write(json.dumps(found) + "\n")


if __name__ == "__main__":
    main()
