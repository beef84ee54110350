"""The local model: `coder_model.worker` in its own process, kept alive, spoken to over its stdin and stdout."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import logging
import os
import signal
import sys
import time
from collections.abc import AsyncGenerator, Sequence
from pathlib import Path

from coder_model import messages
from coder_model.messages import Broken, Cancel, Dropped, Fill, FromWorker, Progress, Ready, frame
from coder_model.types import Cancelled, Draft, FillRequest
from lsp_server.backends import BackendUnavailable, State
from lsp_server.supervisor import Backoff

logger = logging.getLogger(__name__)

_Answer = Progress | Dropped | None
"""None: the worker is gone."""


def worker_command(options: dict[str, object], model: Path | None = None) -> list[str]:
    """Returns the command line of a worker with these `EngineOptions`.

    `-P` keeps the working directory off the import path: it may be a workspace that holds an `argparse.py`. The worker
    runs elsewhere, so the path of the model becomes absolute.
    """
    command = [sys.executable, "-P", "-m", "coder_model.worker", "--options", json.dumps(options)]
    return [*command, "--model", str(model.resolve())] if model else command


class WorkerBackend:
    """Starts the worker, starts it again when it dies, and shares it among requests."""

    def __init__(self, command: Sequence[str]) -> None:
        self.reason = ""
        """Why the state is `down`."""
        self.ready: Ready | None = None
        """What the worker said of itself."""
        self._command = list(command)
        self._state: State = "starting"
        self._changed = asyncio.Event()
        self._process: asyncio.subprocess.Process | None = None
        self._starting: asyncio.Task[asyncio.subprocess.Process] | None = None
        self._keeper: asyncio.Task[None] | None = None
        self._answers: dict[int, asyncio.Queue[_Answer]] = {}
        self._ids = itertools.count(1)

    @property
    def state(self) -> State:
        """Whether a fill would be answered now."""
        return self._state

    @property
    def process_id(self) -> int | None:
        """The worker's process, if one runs."""
        return self._process.pid if self._process and self._process.returncode is None else None

    async def start(self) -> None:
        """Begins to load the model; returns at once."""
        self._keeper = asyncio.create_task(self._keep_alive())

    async def wait_ready(self) -> None:
        """Waits until the model answers.

        Raises:
            BackendUnavailable: when it will not, with the reason.
        """
        while self._state == "starting":
            await self._changed.wait()
        if self._state == "down":
            raise BackendUnavailable(self.reason)

    async def fill(self, request: FillRequest, watch: bool = False) -> AsyncGenerator[Draft, None]:
        """Yields drafts, the last one final; see `Backend.fill`."""
        if self._state != "ready" or not self._process or not self._process.stdin:
            raise BackendUnavailable(self.reason or "the model is loading")
        fill_id = next(self._ids)
        answers = self._answers[fill_id] = asyncio.Queue()
        finished = False
        try:
            self._send(Fill(fill_id, request, watch))
            while not finished:
                answer = await answers.get()
                if answer is None:
                    raise BackendUnavailable("the worker went away")
                finished = isinstance(answer, Dropped) or answer.draft.final
                if isinstance(answer, Dropped):
                    if answer.error:
                        logger.warning("fill failed: %s", answer.error)
                        raise BackendUnavailable(answer.error)
                    raise Cancelled
                yield answer.draft
        finally:
            del self._answers[fill_id]
            if not finished:
                self._send(Cancel(fill_id))

    async def close(self) -> None:
        """Ends the worker."""
        if self._keeper:
            self._keeper.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._keeper
        if self._starting:
            self._process = await self._starting
            self._kill()
            await self._process.wait()

    async def _keep_alive(self) -> None:
        backoff = Backoff()
        while True:
            await self._run_once()
            wait = None if self.reason else backoff.after_death(time.monotonic())
            self._set_state("starting" if wait is not None else "down")
            if wait is None:
                self.reason = self.reason or "the worker died too often"
                logger.error("no model: %s", self.reason)
                return
            logger.warning("the worker went away, starting it again in %s s", wait)
            await asyncio.sleep(wait)

    async def _run_once(self) -> None:
        """One life of the worker, from its start to its death."""
        starting = asyncio.create_subprocess_exec(
            *self._command,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            cwd=Path(sys.executable).parent,
            start_new_session=True,
        )
        # asyncio may wait for ever for a process whose creation is cancelled (Python 3.11)
        self._starting = asyncio.create_task(starting)
        self._process = await asyncio.shield(self._starting)
        assert self._process.stdout
        try:
            while True:
                length = messages.frame_length(await self._process.stdout.readexactly(4))
                body = await self._process.stdout.readexactly(length)
                self._receive(messages.from_worker.decode(body))
        except (asyncio.IncompleteReadError, ConnectionError, ValueError):
            # the end of the stream, or bytes that are no frame: this worker is of no more use
            self._kill()
            await self._process.wait()
        finally:
            if self._state == "ready":
                self._set_state("starting")
            for answers in self._answers.values():
                answers.put_nowait(None)

    def _receive(self, message: FromWorker) -> None:
        if isinstance(message, Ready):
            self.ready = message
            logger.info("model %s is ready after %.0f ms", message.model, message.load_ms)
            self._set_state("ready")
        elif isinstance(message, Broken):
            self.reason = message.reason
        elif answers := self._answers.get(message.id):
            answers.put_nowait(message)

    def _send(self, message: messages.ToWorker) -> None:
        if self._process and self._process.stdin and self._process.returncode is None:
            with contextlib.suppress(ConnectionError):
                self._process.stdin.write(frame(message))

    def _kill(self) -> None:
        """Ends the worker's whole process group."""
        if self._process and self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)

    def _set_state(self, state: State) -> None:
        self._state = state
        self._changed.set()
        self._changed = asyncio.Event()
