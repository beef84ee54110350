"""The engine as a process on a private pipe: frames of `coder_model.messages` on stdin and stdout.

A reader thread fills the mailbox, the main thread serves it. The newest request of a session supersedes its older ones:
those that wait are dropped at once, the running one stops before its next pass. When stdin ends, the parent is gone and
the process exits at once.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import threading
import time
import traceback
from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO, Protocol

from coder_model import messages
from coder_model.messages import Broken, Dropped, Fill, Progress, Ready, frame
from coder_model.threads import limit_threads
from coder_model.types import Cancelled, Draft, FillRequest


class FillEngine(Protocol):
    """What the worker needs of an engine."""

    name: str
    parameters: int

    def warm_up(self) -> None:
        """Makes the first real fill as quick as the later ones."""

    def fill(self, request: FillRequest, cancelled: Callable[[], bool], watch: bool) -> Iterator[Draft]:
        """Yields drafts, the last one final; raises Cancelled once `cancelled` says so."""


class Mailbox:
    """The fills that wait, in order of arrival, and whether the running one is still wanted."""

    def __init__(self) -> None:
        self._waiting: deque[Fill] = deque()
        self._running: Fill | None = None
        self._unwanted = False
        self._changed = threading.Condition()

    def put(self, fill: Fill) -> list[int]:
        """Adds a fill; returns the ids of the waiting ones that it supersedes."""
        with self._changed:
            session = fill.request.session
            dropped = [old.id for old in self._waiting if old.request.session == session]
            self._waiting = deque(old for old in self._waiting if old.request.session != session)
            running = self._running.request if self._running else None
            if running and (running.session == session or (running.speculative and not fill.request.speculative)):
                self._unwanted = True
            self._waiting.append(fill)
            self._changed.notify()
            return dropped

    def cancel(self, fill_id: int) -> list[int]:
        """Removes or stops a fill; returns its id if it was waiting."""
        with self._changed:
            dropped = [old.id for old in self._waiting if old.id == fill_id]
            self._waiting = deque(old for old in self._waiting if old.id != fill_id)
            if self._running and self._running.id == fill_id:
                self._unwanted = True
            return dropped

    def take(self) -> Fill:
        """Waits for the next fill and makes it the running one; speculative ones come last."""
        with self._changed:
            self._running = None
            while not self._waiting:
                self._changed.wait()
            self._running, self._unwanted = min(self._waiting, key=lambda fill: fill.request.speculative), False
            self._waiting.remove(self._running)
            return self._running

    def unwanted(self) -> bool:
        """Returns True once the running fill is superseded or cancelled."""
        return self._unwanted


class Pipe:
    """Writes frames; both threads do, so under a lock."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream, self._lock = stream, threading.Lock()

    def send(self, message: messages.FromWorker) -> None:
        """Writes one frame."""
        with self._lock:
            self._stream.write(frame(message))
            self._stream.flush()


def serve(make_engine: Callable[[], FillEngine], stdin: BinaryIO, stdout: BinaryIO) -> int:
    """Loads the engine and serves until stdin ends, which ends the process.

    Returns:
        1 when the engine cannot be made; the front has been told why.
    """
    pipe, mailbox = Pipe(stdout), Mailbox()
    threading.Thread(target=_read, args=(stdin, mailbox, pipe), daemon=True).start()
    began = time.perf_counter()
    try:
        engine = make_engine()
    except (ValueError, ImportError) as error:
        pipe.send(Broken(f"{error}"))
        return 1
    engine.warm_up()
    pipe.send(Ready(engine.name, engine.parameters, (time.perf_counter() - began) * 1000))
    while True:
        fill = mailbox.take()
        pipe.send(_answer(engine, fill, mailbox, pipe))


def _answer(engine: FillEngine, fill: Fill, mailbox: Mailbox, pipe: Pipe) -> Progress | Dropped:
    """Runs one fill; returns its last message."""
    last: Progress | None = None
    try:
        for draft in engine.fill(fill.request, mailbox.unwanted, fill.watch):
            if last and fill.watch:
                pipe.send(last)
            last = Progress(fill.id, draft)
    except Cancelled:
        return Dropped(fill.id)
    except (ValueError, RuntimeError) as error:
        # the message of an exception may quote the text, its place in our code does not
        place = traceback.extract_tb(error.__traceback__)[-1]
        return Dropped(fill.id, f"{type(error).__name__} in {Path(place.filename).name}:{place.lineno}")
    assert last is not None
    assert last.draft.final
    return last


def _read(stdin: BinaryIO, mailbox: Mailbox, pipe: Pipe) -> None:
    """Feeds the mailbox until stdin ends; then nobody listens any more."""
    try:
        while (body := messages.read_body(stdin)) is not None:
            message = messages.to_worker.decode(body)
            dropped = mailbox.put(message) if isinstance(message, Fill) else mailbox.cancel(message.id)
            for fill_id in dropped:
                pipe.send(Dropped(fill_id))
    finally:
        os._exit(0)


def _make_engine(model: Path | None, options: dict[str, object]) -> FillEngine:
    limit_threads()
    from coder_model.engine import Engine, EngineOptions

    return Engine.load(model, EngineOptions(**options))  # type: ignore[arg-type]


def main() -> int:
    """Runs the worker on the process' own stdin and stdout."""
    parser = argparse.ArgumentParser("coder_model.worker")
    parser.add_argument("--model", type=Path)
    parser.add_argument("--options", type=json.loads, default={})
    arguments = parser.parse_args()
    # frames have the real stdout to themselves; a stray print of a library goes to stderr
    stdout = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    return serve(lambda: _make_engine(arguments.model, arguments.options), sys.stdin.buffer, stdout)


if __name__ == "__main__":
    # not sys.exit: the reader thread holds the lock of stdin
    os._exit(main())
