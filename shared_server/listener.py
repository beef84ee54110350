"""The port of `unmask serve --engine local`: uvicorn, which hangs up on who sends no request or reads no answer."""

from __future__ import annotations

import asyncio
import logging
import signal
import socket
from collections.abc import Callable
from functools import partial
from ipaddress import ip_address
from types import FrameType
from typing import TYPE_CHECKING

from coder_model.types import InvalidInput
from shared_server.settings import Limits, ServeSettings

if TYPE_CHECKING:
    import uvicorn
    from starlette.applications import Starlette
    from uvicorn.protocols.http.h11_impl import H11Protocol

DRAIN_S = 10
"""Seconds that running requests have when the server is asked to end."""
LOOK_S = 0.05
BACKLOG = 1024
"""Connections that may wait to be accepted."""


async def listen(app: Starlette, settings: ServeSettings, ready: Callable[[str], None]) -> None:
    """Serves until the process is asked to end.

    Args:
        app: what answers; `state.is_leaving` is set when it is asked to end.
        settings: with host, port, TLS and limits.
        ready: called with the address once it answers.

    Raises:
        InvalidInput: when the port is taken, or the files for TLS are none.
    """
    # what is wrong with a request is told to who has sent it
    logging.getLogger("uvicorn.error").setLevel(logging.CRITICAL)
    config = _config(app, settings)
    try:
        config.load()
    except OSError as error:
        raise InvalidInput(f"certificate and key must be files of TLS: {error.strerror}") from error
    listening = _bound(settings)
    server = _leaving(config, app, settings.leave_s)
    serving = asyncio.create_task(server.serve(sockets=[listening]))
    try:
        while not (server.started or serving.done()):
            await asyncio.sleep(LOOK_S)
        if server.started:
            scheme = "https" if settings.certificate else "http"
            ready(f"{scheme}://{settings.host}:{listening.getsockname()[1]}")
        await asyncio.shield(serving)
    finally:
        server.should_exit = True
        await serving


class _Port(socket.socket):
    """Takes no further connection of a client that holds as many as it may, before TLS has begun on it."""

    def __init__(self, listening: socket.socket, most: int) -> None:
        super().__init__(fileno=listening.detach())
        self._most = most
        self._held: list[tuple[list[str], socket.socket]] = []

    def accept(self) -> tuple[socket.socket, tuple[str, int]]:
        connection, address = super().accept()
        # whoever has an address of IPv6 has all those that begin with the same half
        client = ip_address(address[0]).exploded.split(":")[:4]
        self._held = [(whose, one) for whose, one in self._held if one.fileno() >= 0]
        if sum(whose == client for whose, _ in self._held) >= self._most:
            connection.close()
            raise ConnectionAbortedError
        self._held.append((client, connection))
        return connection, address


def _bound(settings: ServeSettings) -> _Port:
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    try:
        listening = socket.create_server((settings.host, settings.port), family=family, backlog=BACKLOG)
    except OSError as error:
        where = f"{settings.host}:{settings.port}"
        raise InvalidInput(f"port must be free, and host a name of this machine, got {where}: {error}") from error
    return _Port(listening, settings.limits.connections_per_client)


def _config(app: Starlette, settings: ServeSettings) -> uvicorn.Config:
    import uvicorn

    return uvicorn.Config(
        app,
        settings.host,
        settings.port,
        loop="asyncio",
        http=_impatient(settings.limits),
        ws="none",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        limit_concurrency=settings.limits.connections,
        timeout_graceful_shutdown=DRAIN_S,
        ssl_certfile=settings.certificate or None,
        ssl_keyfile=settings.key or None,
        lifespan="on",
    )


def _leaving(config: uvicorn.Config, app: Starlette, leave_s: float) -> uvicorn.Server:
    """Returns uvicorn's server, which goes on for so long after the first SIGTERM: who sends requests is to know."""
    import uvicorn

    loop = asyncio.get_running_loop()

    class Leaving(uvicorn.Server):
        def handle_exit(self, sig: int, frame: FrameType | None) -> None:
            end = partial(super().handle_exit, sig, frame)
            if sig != signal.SIGTERM or app.state.is_leaving:
                end()
                return
            app.state.is_leaving = True
            # a signal comes between any two steps of the loop
            loop.call_soon_threadsafe(loop.call_later, leave_s, end)

    return Leaving(config)


def _impatient(limits: Limits) -> type[H11Protocol]:
    """Returns uvicorn's protocol with an end to connections on which a head does not come, or an answer is not read."""
    from uvicorn.protocols.http.h11_impl import H11Protocol

    class Impatient(H11Protocol):
        _late: asyncio.TimerHandle | None = None
        _unread: asyncio.TimerHandle | None = None

        def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
            super().connection_made(transport)
            # whatever is not sent yet must pause the writing; with 0 nothing at all would do so under TLS
            transport.set_write_buffer_limits(high=1)
            self._watch()

        def data_received(self, data: bytes) -> None:
            super().data_received(data)
            self._watch()

        def pause_writing(self) -> None:
            super().pause_writing()
            # one that is only closed goes on until all is sent, and counts as a connection for so long
            self._unread = self.loop.call_later(limits.answer_s, self.transport.abort)

        def resume_writing(self) -> None:
            super().resume_writing()
            if self._unread:
                self._unread.cancel()

        def connection_lost(self, exc: Exception | None) -> None:
            for timer in (self._late, self._unread):
                if timer:
                    timer.cancel()
            super().connection_lost(exc)

        def _is_waiting(self) -> bool:
            return self.cycle is None or self.cycle.response_complete

        def _watch(self) -> None:
            if self._late and not self._is_waiting():
                self._late.cancel()
                self._late = None
            elif self._late is None and self._is_waiting():
                self._late = self.loop.call_later(limits.head_s, self._hang_up)

        def _hang_up(self) -> None:
            self._late = None
            if self._is_waiting():
                self.transport.close()

    return Impatient
