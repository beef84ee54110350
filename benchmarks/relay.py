"""Stands between an editor and its server, and lets each pass of a fill that is watched stay for a second.

    python benchmarks/slow_passes.py unmask lsp

A browser takes longer to photograph a pass than the model to make the next one. What a pass says is not changed.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from typing import IO

SHOWN_S = 1.0


def main() -> None:
    """Passes on what is said in both directions until one of them ends."""
    with subprocess.Popen(sys.argv[1:], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as server:
        assert server.stdin
        assert server.stdout
        threading.Thread(target=_pass_on, args=(server.stdin,), daemon=True).start()
        while line := server.stdout.readline():
            header = [line]
            while (line := server.stdout.readline()).strip():
                header.append(line)
            length = next(int(one.split(b":")[1]) for one in header if one.lower().startswith(b"content-length"))
            body = server.stdout.read(length)
            sys.stdout.buffer.write(b"".join(header) + b"\r\n" + body)
            sys.stdout.buffer.flush()
            if json.loads(body).get("method") == "unmask/denoising":
                time.sleep(SHOWN_S)


def _pass_on(server: IO[bytes]) -> None:
    while read := os.read(sys.stdin.fileno(), 1 << 16):
        server.write(read)
        server.flush()
    server.close()


if __name__ == "__main__":
    main()
