"""One connection of the page: its model, its sessions, and the one fill that runs for it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterable, Awaitable, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

from coder_model.engine.options import PolicyName
from coder_model.text.syntax import language_of
from coder_model.types import Cancelled, FillRequest, InvalidInput
from lsp_server import release
from lsp_server.backends.base import BackendUnavailable
from lsp_server.backends.local import WorkerBackend
from unmask_cli.fill import as_text, hole_mode, read_source
from unmask_cli.play import figures, messages
from unmask_cli.play.messages import (
    ONE_BY_ONE,
    AskFill,
    AskStatistics,
    AskStop,
    Controls,
    FromPage,
    Greeting,
    Lane,
    Refused,
    ShownStep,
    Statistics,
    Status,
    Stopped,
    TakeModel,
    ToPage,
)
from unmask_cli.play.models import Shelf

Send = Callable[[str], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Opened:
    """What the editor of the page begins with."""

    name: str = ""
    text: str = ""

    @classmethod
    def of(cls, file: Path | None) -> Opened:
        """Reads a file that a model may see; an example of the page's own where none is named.

        Raises:
            InvalidInput: see `read_source`.
        """
        return cls(as_text(file.name), read_source(file)) if file else cls()


class Visit:
    """Answers one page. Nothing of it is shared with another page but the process that holds the model."""

    def __init__(self, name: str, shelf: Shelf, opened: Opened, send: Send) -> None:
        """Takes a name that no other connection has, what can be chosen, the text to begin with, and the way back."""
        self._name, self._shelf, self._opened, self._raw_send = name, shelf, opened, send
        self._model = ""
        self._backend: WorkerBackend | None = None
        self._running: asyncio.Task[None] | None = None
        self._changed = asyncio.Event()

    async def answer(self, incoming: AsyncIterable[str | bytes]) -> None:
        """Answers messages until there are no more, and lets go of the model then."""
        telling = asyncio.create_task(self._tell_changes())
        try:
            await self._greet()
            async for message in incoming:
                try:
                    await self._hear(messages.read(message))
                except InvalidInput as error:
                    await self._send(Refused(str(error)))
        finally:
            await _ended(telling)
            if self._running:
                await _ended(self._running)
            if self._backend:
                await self._backend.close()

    async def _greet(self) -> None:
        await self._send(
            Greeting(
                release(),
                self._shelf.choices(),
                self._shelf.first,
                self._opened.text,
                self._opened.name,
                get_args(PolicyName),
            )
        )
        await self._take(self._shelf.first)

    async def _hear(self, message: FromPage) -> None:
        match message:
            case AskFill():
                await self._stop()
                self._running = asyncio.create_task(self._fill(message), name=str(message.id))
            case AskStop():
                await self._stop()
            case TakeModel():
                if message.model not in self._shelf.rungs:
                    raise InvalidInput(f"model must be one of {', '.join(self._shelf.rungs)}")
                await self._stop()
                await self._take(message.model)
            case AskStatistics():
                found = await asyncio.to_thread(figures.of_folder)
                await self._send(Statistics(found | {"models": self._shelf.choices()}))

    async def _take(self, name: str) -> None:
        """Lets go of the model and takes another one, which begins to load."""
        if self._backend:
            await self._backend.close()
        self._model, self._backend = name, self._shelf.rungs[name].make()
        self._backend.on_change = self._changed.set
        await self._backend.start()
        self._changed.set()

    async def _fill(self, asked: AskFill) -> None:
        """Fills a hole, once or twice, and sends every step."""
        backend = self._backend
        assert backend
        try:
            await backend.wait_ready()
            for lane, request in self._requests(asked):
                async with contextlib.aclosing(backend.fill(request, watch=True)) as drafts:
                    async for draft in drafts:
                        await self._send(ShownStep(asked.id, lane, request.hole, messages.draft_values(draft)))
        except Cancelled:
            await self._send(Stopped(asked.id, ""))
        except (BackendUnavailable, InvalidInput) as error:
            await self._send(Stopped(asked.id, str(error)))

    def _requests(self, asked: AskFill) -> Iterator[tuple[Lane, FillRequest]]:
        lanes: list[tuple[Lane, Controls]] = [("own", asked.controls)]
        if asked.compare:
            lanes.append(("compared", ONE_BY_ONE))
        language = language_of(asked.path)
        # where two are compared both read the text around the hole: what was read for the first would flatter it
        fresh = f" {asked.id}" if asked.compare else ""
        for lane, controls in lanes:
            yield (
                lane,
                FillRequest(
                    session=f"{self._name} {lane}{fresh}",
                    prefix=asked.prefix,
                    suffix=asked.suffix,
                    path=asked.path,
                    language=language,
                    hole=hole_mode(asked.hole, asked.prefix, asked.suffix, language),
                    decoding=controls.decoding(),
                ),
            )

    async def _stop(self) -> None:
        """Ends the fill that runs, and says so."""
        running = self._running
        if running and not running.done():
            await _ended(running)
            await self._send(Stopped(int(running.get_name()), ""))

    async def _tell_changes(self) -> None:
        """Sends the state of the model after each change; several at once are one message."""
        while await self._changed.wait():
            self._changed.clear()
            if backend := self._backend:
                controls = backend.ready.controls if backend.ready else ()
                await self._send(
                    Status(
                        backend.state,
                        self._model,
                        backend.description,
                        backend.reason,
                        backend.share_loaded,
                        controls,
                    )
                )

    async def _send(self, message: ToPage) -> None:
        await self._raw_send(messages.written(message))


async def _ended(task: asyncio.Task[None]) -> None:
    """Ends a task, whatever a broken connection has made of it."""
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
