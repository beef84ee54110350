"""A language server and its editor, for demonstrations and benchmarks: starts `unmask lsp`, types, asks, measures."""

from __future__ import annotations

import itertools
import json
import os
import queue
import subprocess
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

UNMASK = Path(sys.executable).parent / "unmask"


@dataclass(frozen=True, slots=True)
class Ghost:
    """What came back for one request."""

    text: str
    milliseconds: float
    """From sending the request to having read the reply."""
    steps: int
    """0 when the server remembered it."""
    tokens: int


class Editor:
    """Speaks to the server as an editor does: opens a document, types, asks at the cursor."""

    def __init__(self, options: dict[str, Any] | None = None) -> None:
        self._process = subprocess.Popen(
            [UNMASK, "lsp"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        )
        self._ids = itertools.count(1)
        self._versions = itertools.count(2)
        self._answers: queue.Queue[dict[str, Any]] = queue.Queue()
        threading.Thread(target=self._read, daemon=True).start()
        capabilities = {"general": {"positionEncodings": ["utf-32"]}, "textDocument": {"inlineCompletion": {}}}
        self._request(
            "initialize",
            {
                "processId": os.getpid(),
                "rootUri": None,
                "capabilities": capabilities,
                "initializationOptions": options or {},
            },
        )
        self._notify("initialized", {})

    def open(self, uri: str, text: str) -> None:
        """Opens a Python document."""
        self.uri = uri
        self._notify(
            "textDocument/didOpen",
            {"textDocument": {"uri": uri, "languageId": "python", "version": 1, "text": text}},
        )

    def type(self, line: int, column: int, text: str) -> None:
        """Inserts text at a place."""
        at = {"line": line, "character": column}
        document = {"uri": self.uri, "version": next(self._versions)}
        change = {"range": {"start": at, "end": at}, "text": text}
        self._notify("textDocument/didChange", {"textDocument": document, "contentChanges": [change]})

    def ask(self, line: int, column: int, *, invoked: bool = False) -> Ghost:
        """Asks for ghost text at a place: as an editor does by itself, or as a person who invokes it."""
        began = time.perf_counter()
        result = self._request(
            "textDocument/inlineCompletion",
            {
                "textDocument": {"uri": self.uri},
                "position": {"line": line, "character": column},
                "context": {"triggerKind": 1 if invoked else 2},
            },
        )
        milliseconds = (time.perf_counter() - began) * 1000
        if not result or not result["items"]:
            return Ghost("", milliseconds, 0, 0)
        item = result["items"][0]
        facts = item["command"]["arguments"][0]
        return Ghost(item["insertText"], milliseconds, facts.get("steps", 0), facts.get("tokens", 0))

    def wait_until_ready(self, seconds: float = 60.0) -> None:
        """Asks until the model answers.

        Raises:
            TimeoutError: when it does not.
        """
        self.open("file:///warm-up/a.py", "def add(a, b):\n    return \n")
        end = time.monotonic() + seconds
        while not self.ask(1, 11, invoked=True).text:
            if time.monotonic() > end:
                raise TimeoutError("the model did not answer; `unmask doctor` says why")
            time.sleep(0.05)

    def resident_megabytes(self) -> tuple[float, float]:
        """Returns the resident memory of the front and of its worker."""
        children = subprocess.run(
            ["ps", "-o", "pid=", "--ppid", str(self._process.pid)], capture_output=True, text=True, check=True
        )
        return _resident(self._process.pid), _resident(int(children.stdout.split()[0]))

    def close(self) -> None:
        """Ends the server as an editor does."""
        self._request("shutdown", None)
        self._notify("exit", None)
        self._process.wait(10)

    def _request(self, method: str, parameters: Any) -> Any:
        number = next(self._ids)
        self._send({"id": number, "method": method, "params": parameters})
        while (answer := self._answers.get(timeout=60))["id"] != number:
            pass
        return answer.get("result")

    def _notify(self, method: str, parameters: Any) -> None:
        self._send({"method": method, "params": parameters})

    def _send(self, message: dict[str, Any]) -> None:
        assert self._process.stdin
        body = json.dumps({"jsonrpc": "2.0", **message}).encode()
        self._process.stdin.write(b"Content-Length: %d\r\n\r\n" % len(body) + body)
        self._process.stdin.flush()

    def _read(self) -> None:
        assert self._process.stdout
        while line := self._process.stdout.readline():
            length = int(line.split(b":")[1])
            while self._process.stdout.readline().strip():
                pass
            message = json.loads(self._process.stdout.read(length))
            if "method" not in message:
                self._answers.put(message)


def _resident(process_id: int) -> float:
    """Resident memory in megabytes."""
    status = Path(f"/proc/{process_id}/status").read_text("utf-8")
    kilobytes = next(line.split()[1] for line in status.splitlines() if line.startswith("VmRSS"))
    return int(kilobytes) / 1024
