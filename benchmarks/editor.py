"""A language server and its editor, for demonstrations and benchmarks: starts `unmask lsp`, types, asks, measures."""

from __future__ import annotations

import itertools
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

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
    probability: float = 0.0
    """Of all its tokens together, by the model; 0 when the server remembered it."""
    others: tuple[str, ...] = ()
    """The next suggestions."""


class Editor:
    """Speaks to the server as an editor does: opens a document, types, asks at the cursor."""

    def __init__(
        self,
        options: dict[str, Any] | None = None,
        environment: dict[str, str] | None = None,
        arguments: Sequence[str] = (),
    ) -> None:
        self.status: dict[str, Any] = {}
        """What the server said last of the model."""
        self._process = subprocess.Popen(
            [UNMASK, "lsp", *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={**os.environ, **(environment or {})},
            start_new_session=True,  # Ctrl-C in a terminal is for the editor
        )
        self._ended = False
        self._ids = itertools.count(1)
        self._versions = itertools.count(2)
        self._began: dict[int, float] = {}
        self._answers: dict[int, tuple[float, dict[str, Any]]] = {}
        self._arrived = threading.Condition()
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

    def open(self, uri: str, text: str, language: str = "python") -> None:
        """Opens a document."""
        self.uri = uri
        self._notify(
            "textDocument/didOpen",
            {"textDocument": {"uri": uri, "languageId": language, "version": 1, "text": text}},
        )

    def type(self, line: int, column: int, text: str, deleted: int = 0) -> None:
        """Inserts text at a place of a line, instead of some characters before it."""
        self.replace((line, column - deleted), (line, column), text)

    def replace(self, start: tuple[int, int], end: tuple[int, int], text: str) -> None:
        """Puts a text between two places, each a line and a column, instead of what is there."""
        document = {"uri": self.uri, "version": next(self._versions)}
        first, last = ({"line": line, "character": column} for line, column in (start, end))
        change = {"range": {"start": first, "end": last}, "text": text}
        self._notify("textDocument/didChange", {"textDocument": document, "contentChanges": [change]})

    def move(self, line: int, column: int) -> None:
        """Moves the cursor of the document that was opened last, and says so."""
        position = {"line": line, "character": column}
        self._notify("unmask/didMoveCursor", {"textDocument": {"uri": self.uri}, "position": position})

    def ask(self, line: int, column: int, *, invoked: bool = False) -> Ghost:
        """Asks for ghost text at a place: as an editor does by itself, or as a person who invokes it."""
        return self.wait(self.start(line, column, invoked=invoked))

    def start(self, line: int, column: int, *, invoked: bool = False) -> int:
        """Asks for ghost text and does not wait; returns the request's number."""
        position = {"line": line, "character": column}
        context = {"triggerKind": 1 if invoked else 2}
        document = {"uri": self.uri}
        parameters = {"textDocument": document, "position": position, "context": context}
        return self._start("textDocument/inlineCompletion", parameters)

    def wait(self, number: int) -> Ghost:
        """Returns the answer to a request; an empty one when it failed or was cancelled."""
        milliseconds, answer = self._wait(number)
        items = (answer.get("result") or {}).get("items")
        if not items:
            return Ghost("", milliseconds, 0, 0)
        facts = items[0]["command"]["arguments"][0]
        others = tuple(item["insertText"] for item in items[1:])
        steps, tokens, probability = (facts.get(name, 0) for name in ("steps", "tokens", "probability"))
        return Ghost(items[0]["insertText"], milliseconds, steps, tokens, probability, others)

    def is_answered(self, number: int) -> bool:
        """Returns whether the answer to a request has come, or never will."""
        return number in self._answers or self._ended

    def cancel(self, number: int) -> None:
        """Tells the server that a request is not wanted any more."""
        self._notify("$/cancelRequest", {"id": number})

    def close_document(self) -> None:
        """Closes the document that was opened last."""
        self._notify("textDocument/didClose", {"textDocument": {"uri": self.uri}})

    def wait_until_ready(self, seconds: float = 60.0, model: str = "") -> None:
        """Asks until the server answers with a model: with the embedded one at first, then with the one that is wanted.

        Args:
            seconds: to wait at most.
            model: name or path of the one that is wanted; any when empty.

        Raises:
            TimeoutError: when it does not answer, or the server says that it cannot.
        """
        self.open("file:///warm-up/a.py", "def add(a, b):\n    return \n")
        end, wanted = time.monotonic() + seconds, f"on: {Path(model).name}"
        while not (self.ask(1, 11, invoked=True).milliseconds and self.status.get("message", "").startswith(wanted)):
            message = self.status.get("message", "")
            if self.status.get("kind") == "Error" or (model and f"; {model}: " in message):
                raise TimeoutError(message.rpartition("; ")[2])
            if time.monotonic() > end:
                raise TimeoutError("the model did not answer; `unmask doctor` says why")
            time.sleep(0.05)

    def resident_megabytes(self) -> tuple[float, float]:
        """Returns the resident memory of the front and of its workers together, in units of 2**20 bytes."""
        front = psutil.Process(self._process.pid)
        workers = sum(child.memory_info().rss for child in front.children())
        return front.memory_info().rss / 2**20, workers / 2**20

    def close(self) -> None:
        """Ends the server as an editor does, and waits until its workers have gone from their sockets."""
        workers = psutil.Process(self._process.pid).children() if self._process.poll() is None else []
        if not self._ended:
            self._request("shutdown", None)
            self._notify("exit", None)
        self._process.wait(10)
        psutil.wait_procs(workers, 10)

    def _request(self, method: str, parameters: Any) -> Any:
        return self._wait(self._start(method, parameters))[1].get("result")

    def _start(self, method: str, parameters: Any) -> int:
        number = next(self._ids)
        self._began[number] = time.perf_counter()
        self._send({"id": number, "method": method, "params": parameters})
        return number

    def _wait(self, number: int) -> tuple[float, dict[str, Any]]:
        """The milliseconds from sending a request to having read its answer, and the answer."""
        with self._arrived:
            if not self._arrived.wait_for(lambda: number in self._answers or self._ended, timeout=60):
                raise TimeoutError(f"no answer to request {number} in a minute")
            if number not in self._answers:
                raise TimeoutError("the server has ended")
            at, answer = self._answers.pop(number)
        return (at - self._began.pop(number)) * 1000, answer

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
            if message.get("method") == "didChangeStatus":
                self.status = message["params"]
            elif "method" not in message:
                with self._arrived:
                    self._answers[message["id"]] = time.perf_counter(), message
                    self._arrived.notify_all()
        with self._arrived:
            self._ended = True
            self._arrived.notify_all()
