"""The page's web server: loopback only, and only for who has the token of this start.

`loopback.py` says who is let in. The socket is for our own page alone and needs the token, which is in the fragment of
the address and is never sent with a request for a file. The files are the package's own and hold no secret. The page
may load nothing but them (`POLICY`).
"""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import Callable
from functools import cache
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING

from coder_model.types import InvalidInput
from unmask_cli.loopback import HERE, is_token, objection
from unmask_cli.play.messages import MOST_MESSAGE_BYTES
from unmask_cli.play.models import Shelf
from unmask_cli.play.visit import Opened, Visit

if TYPE_CHECKING:
    from websockets.asyncio.server import ServerConnection
    from websockets.http11 import Request, Response

PAGE = Path(__file__).with_name("page")
FILES = {
    "/": ("index.html", "text/html; charset=utf-8"),
    "/main.js": ("main.js", "text/javascript; charset=utf-8"),
    "/style.css": ("style.css", "text/css; charset=utf-8"),
    "/icon.svg": ("icon.svg", "image/svg+xml"),
}
SOCKET = "/socket"
SUBPROTOCOL = "unmask"
"""What the socket speaks; the page offers it and the token, as browsers let a page set no other header."""
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}
MOST_PAGES = 16
"""Connections at a time."""


class PageServer:
    """Serves the files of the page, and a `Visit` for each connection."""

    def __init__(self, shelf: Shelf, opened: Opened) -> None:
        self.token = secrets.token_urlsafe(32)
        self.port = 0
        """Known once it runs."""
        self._shelf, self._opened = shelf, opened
        self._pages = 0

    @property
    def address(self) -> str:
        """The address to open; what is behind the # is a secret of this machine's user."""
        return f"http://{HERE}:{self.port}/#{self.token}"

    async def run(self, port: int, ready: Callable[[], None]) -> None:
        """Serves until it is cancelled.

        Args:
            port: 0 for any that is free.
            ready: called once `address` answers.

        Raises:
            InvalidInput: when the port is taken.
        """
        from websockets.asyncio.server import serve

        quiet = logging.getLogger(f"{__name__}.websockets")
        # what is wrong with a request is told to who has sent it
        quiet.setLevel(logging.CRITICAL)
        serving = serve(
            self._visited,
            HERE,
            port,
            process_request=self._checked,
            subprotocols=[SUBPROTOCOL],  # type: ignore[list-item]
            max_size=MOST_MESSAGE_BYTES,
            compression=None,
            server_header=None,
            logger=quiet,
        )
        try:
            server = await serving
        except OSError as error:
            raise InvalidInput(f"--port must be free on this machine, got {port}: {error.strerror}") from error
        async with server:
            self.port = server.sockets[0].getsockname()[1]
            ready()
            await asyncio.get_running_loop().create_future()

    def _checked(self, connection: ServerConnection, request: Request) -> Response | None:
        """Answers requests for files and those that nobody of ours would send; None lets the socket be opened."""
        path = request.path.partition("?")[0]
        said = request.headers
        refused = objection(self.port, said.get_all("Host"), said.get_all("Origin"), needs_origin=path == SOCKET)
        if refused:
            return _refusal(connection, refused)
        if request.method != "GET":
            return connection.respond(HTTPStatus.METHOD_NOT_ALLOWED, "only GET is answered\n")
        if path == SOCKET:
            return self._entrance(connection, request)
        if path not in FILES:
            return connection.respond(HTTPStatus.NOT_FOUND, "no such file\n")
        body, kind = _file(path)
        return _response(connection, body, kind)

    def _entrance(self, connection: ServerConnection, request: Request) -> Response | None:
        offered = [
            word.strip() for line in request.headers.get_all("Sec-WebSocket-Protocol") for word in line.split(",")
        ]
        if not any(is_token(word, self.token) for word in offered):
            return _refusal(connection, "the token must be that of the address that `unmask play` has printed")
        if self._pages >= MOST_PAGES:
            return connection.respond(HTTPStatus.SERVICE_UNAVAILABLE, f"at most {MOST_PAGES} pages at a time\n")
        return None

    async def _visited(self, connection: ServerConnection) -> None:
        from websockets.exceptions import ConnectionClosed

        self._pages += 1
        try:
            await Visit(f"play {connection.id}", self._shelf, self._opened, connection.send).answer(connection)
        except ConnectionClosed:
            # in the middle of an answer
            pass
        finally:
            self._pages -= 1


@cache
def _file(path: str) -> tuple[bytes, str]:
    name, kind = FILES[path]
    return (PAGE / name).read_bytes(), kind


def _refusal(connection: ServerConnection, reason: str) -> Response:
    return connection.respond(HTTPStatus.FORBIDDEN, f"{reason}\n")


def _response(connection: ServerConnection, body: bytes, kind: str) -> Response:
    response = connection.respond(HTTPStatus.OK, "")
    response.body = body
    del response.headers["Content-Type"], response.headers["Content-Length"]
    response.headers.update(HEADERS | {"Content-Type": kind, "Content-Length": str(len(body))})
    return response
