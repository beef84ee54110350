"""The local model: `coder_model.worker` as a process that all windows share; started again when it dies or hangs."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import logging
import os
import signal
import sys
import time
from collections.abc import AsyncGenerator, Callable, Sequence

from coder_model.checkpoints.store import EMBEDDED, as_path
from coder_model.engine.options import EngineOptions
from coder_model.types import Cancelled, Draft, FillRequest
from coder_model.worker import protocol
from coder_model.worker.protocol import (
    Broken,
    Cancel,
    Dropped,
    Fill,
    FillProgress,
    FromWorker,
    Hello,
    Loading,
    Ping,
    Pong,
    Ready,
    Resting,
    Warm,
    frame,
)
from lsp_server.backends.base import BackendUnavailable, State
from lsp_server.backends.supervisor import Backoff, Pulse
from lsp_server.backends.worker_socket import meet

logger = logging.getLogger(__name__)

PING_S = 1.0
"""How often a worker that owes an answer is asked whether it is alive."""

_Answer = FillProgress | Dropped | None
"""None: the worker is gone."""


def worker_command(options: EngineOptions, model: str = "", verifier: str = "", quantize: str = "auto") -> list[str]:
    """Returns the command line of a worker with these options.

    `-P` keeps the working directory off the import path: it may be a workspace that holds an `argparse.py`. The worker
    runs elsewhere, so the path of a model's directory becomes absolute.
    """
    command = [sys.executable, "-P", "-m", "coder_model.worker.main", "--options", options.to_json()]
    for flag, name in (("--model", model), ("--verifier", verifier)):
        if name not in ("", EMBEDDED):
            command += [flag, str(as_path(name) or name)]
    return command if quantize == "auto" else [*command, "--quantize", quantize]


class WorkerBackend:
    """Connects to the worker, starts it again when it dies, and shares it among requests."""

    receiver = ""
    editor = None

    def __init__(self, command: Sequence[str]) -> None:
        self.reason = ""
        """Why the state is `down`."""
        self.ready: Ready | None = None
        """What the worker said of itself."""
        self.known_ms: float | None = None
        """What a suggestion is known to take here: a worker that is told need not measure it."""
        self.remark = ""
        self.share_loaded = 0.0
        """Share of the model that is loaded, in [0, 1], as far as the worker tells."""
        self.on_change: Callable[[], None] = lambda: None
        """Called after the state has changed."""
        self._command = list(command)
        self._state: State = "starting"
        self._changed = asyncio.Event()
        self._wanted = asyncio.Event()
        self._writer: asyncio.StreamWriter | None = None
        self._process_id: int | None = None
        self._keeper: asyncio.Task[None] | None = None
        self._answers: dict[int, asyncio.Queue[_Answer]] = {}
        self._ids = itertools.count(1)
        self._pulse = Pulse()

    @property
    def description(self) -> str:
        """Name, size and speed, once they are known."""
        if self.ready is None:
            return "not loaded"
        ready = self.ready
        return f"{ready.model}, {ready.parameters / 1e6:.1f} M parameters, {ready.suggestion_ms:.0f} ms a suggestion"

    @property
    def state(self) -> State:
        """Whether a fill would be answered now."""
        return self._state

    @property
    def serving(self) -> object | None:
        """What the worker that answers said of itself."""
        return self.ready if self._state == "ready" else None

    @property
    def judges(self) -> bool:
        """Whether the worker has said that it does."""
        return self.ready is not None and self.ready.judges

    async def start(self) -> None:
        """Begins to load the model; returns at once."""
        self._keeper = asyncio.create_task(self._keep_alive())

    def wake(self) -> None:
        """Starts a worker that rests; returns at once."""
        self._wanted.set()

    async def wait_ready(self) -> None:
        """Waits until the model answers; wakes a worker that rests.

        Raises:
            BackendUnavailable: when it will not, with the reason.
        """
        self.wake()
        while self._state in ("starting", "resting"):
            await self._changed.wait()
        if self._state == "down":
            raise BackendUnavailable(self.reason)

    async def fill(self, request: FillRequest, watch: bool = False) -> AsyncGenerator[Draft, None]:
        """Yields drafts, the last one final; see `Backend.fill`."""
        if self._state != "ready":
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

    def warm(self, request: FillRequest) -> None:
        """Has the text around a hole read when there is nothing else to do; wakes nobody."""
        if self._state == "ready":
            self._send(Warm(request))

    async def close(self) -> None:
        """Lets go of the worker, which ends when nobody else uses it."""
        self.on_change = lambda: None
        if self._keeper:
            self._keeper.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._keeper

    async def _keep_alive(self) -> None:
        backoff = Backoff()
        while True:
            try:
                await self._run_once()
            except BackendUnavailable as error:
                self.reason = str(error)
            if self._state == "resting":
                await self._wanted.wait()
                self._set_state("starting")
                continue
            wait = None if self.reason else backoff.after_death(time.monotonic())
            if wait is None:
                self.reason = self.reason or "the worker died too often"
                logger.error("no model: %s", self.reason)
                self._set_state("down")
                return
            self._set_state("starting")
            logger.warning("the worker went away, starting it again in %s s", wait)
            await asyncio.sleep(wait)

    async def _run_once(self) -> None:
        """One connection to a worker, from its start to its end."""
        hints = [] if self.known_ms is None else ["--known-ms", f"{self.known_ms:g}"]
        reader, self._writer = await asyncio.open_unix_connection(sock=await meet(self._command, hints))
        watching = asyncio.create_task(self._watch())
        try:
            while True:
                length = protocol.frame_length(await reader.readexactly(4))
                self._receive(protocol.from_worker.decode(await reader.readexactly(length)))
        except (asyncio.IncompleteReadError, ConnectionError, ValueError):
            # the end of the stream, or bytes that are no frame: this worker is of no more use
            pass
        finally:
            watching.cancel()
            self._writer.close()
            self._writer = self._process_id = None
            if self._state == "ready":
                self._set_state("starting")
            for answers in self._answers.values():
                answers.put_nowait(None)

    async def _watch(self) -> None:
        """Ends a worker that owes an answer and does nothing for it."""
        while True:
            asked = time.monotonic()
            await asyncio.sleep(PING_S)
            # who was kept from listening has not heard what the worker said
            was_away = time.monotonic() - asked > 2 * PING_S
            if was_away or not self._answers:
                self._pulse = Pulse()
            if not self._answers:
                continue
            if self._pulse.is_lost(time.monotonic()):
                logger.error("the worker hangs, ending it")
                self._kill()
            else:
                self._send(Ping())

    def _receive(self, message: FromWorker) -> None:
        match message:
            case Hello():
                self._process_id = message.process_id
            case Ready():
                self.ready = message
                logger.info("model %s is ready after %.0f ms", message.model, message.load_ms)
                self._set_state("ready")
            case Loading():
                self.share_loaded = message.share
                self.on_change()
            case Broken():
                self.reason = message.reason
            case Resting():
                self._wanted.clear()
                self._set_state("resting")
            case Pong():
                self._pulse.felt(message.passes, message.processor_s, time.monotonic())
            case FillProgress() | Dropped():
                if answers := self._answers.get(message.id):
                    answers.put_nowait(message)

    def _send(self, message: protocol.ToWorker) -> None:
        if self._writer:
            self._writer.write(frame(message))

    def _kill(self) -> None:
        """Ends the worker's whole process group."""
        if self._process_id:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self._process_id, signal.SIGKILL)

    def _set_state(self, state: State) -> None:
        self._state = state
        self._changed.set()
        self._changed = asyncio.Event()
        self.on_change()
