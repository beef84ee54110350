"""The server of `unmask http`: loopback only, and only for who sends the token.

`loopback.py` says who is let in. A client's newest request ends the one before it, and so does a client that goes away.
Nothing that is sent names a model, a program or a file to be opened, and no text is in any log.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine
from contextlib import aclosing
from dataclasses import dataclass
from http import HTTPStatus
from itertools import count
from typing import TYPE_CHECKING, Any

import msgspec

from coder_model.errors import lacks_packages
from coder_model.types import Cancelled, Draft, InvalidInput
from lsp_server.backends.base import Backend, BackendUnavailable
from lsp_server.backends.served_apis import (
    DONE,
    Json,
    before_stops,
    completion_object,
    error_object,
    event,
    infill_answer,
    model_list,
    text_choice,
    usage,
)
from lsp_server.newest import Newest
from lsp_server.trigger_policy import PresetName
from unmask_cli.endpoint.shapes import Asked, read_completion, read_infill
from unmask_cli.loopback import HERE, is_token, objection

if TYPE_CHECKING:
    from uvicorn._types import ASGIReceiveCallable, ASGISendCallable, HTTPScope

MOST_BODY_BYTES = 2 << 20
BODY_S = 10.0
"""Seconds in which a body must have come."""
MOST_CONNECTIONS = 64
LOOK_S = 0.02
NO_MODEL = "unmask"
MOST_NAME = 100
"""Characters of a client's name that count."""
_NOTHING = Draft("", True, 1.0, 0, 0, 0.0)


def model_name(backend: Backend) -> str:
    """Returns the name of what answers now; ours where nothing does, in place of what the status says of it."""
    return backend.description.partition(",")[0] if backend.state == "ready" else NO_MODEL


class _Refused(Exception):
    """The status, and the reason in one line."""


@dataclass(frozen=True, slots=True)
class _Head:
    """What a request begins with."""

    method: str
    path: str
    fields: tuple[tuple[str, str], ...]

    @classmethod
    def of(cls, scope: HTTPScope) -> _Head:
        fields = tuple((name.decode("latin-1"), value.decode("latin-1")) for name, value in scope["headers"])
        return cls(scope["method"], scope["path"], fields)

    def all(self, wanted: str) -> list[str]:
        return [value for name, value in self.fields if name == wanted]


class HttpEndpoint:
    """Answers requests with one backend."""

    def __init__(self, backend: Backend, token: str, preset: PresetName) -> None:
        self.port = 0
        """Known once it runs."""
        self._backend, self._token, self._preset = backend, token, preset
        self._newest = Newest()
        self._numbers = count(1)

    @property
    def address(self) -> str:
        """Where it answers."""
        return f"http://{HERE}:{self.port}"

    async def run(self, port: int, ready: Callable[[], None]) -> None:
        """Serves until the program is asked to end.

        Args:
            port: 0 for any that is free.
            ready: called once `address` answers.

        Raises:
            InvalidInput: when the port is taken, or uvicorn is not there.
        """
        try:
            import uvicorn
        except ImportError:
            raise InvalidInput(f"uvicorn is {lacks_packages('http')}") from None
        # what is wrong with a request is told to who has sent it
        logging.getLogger("uvicorn.error").setLevel(logging.CRITICAL)
        self.port = await _free_port(port)
        config = uvicorn.Config(
            self, HERE, self.port, loop="asyncio", http="h11", ws="none", lifespan="off", log_config=None,
            access_log=False, server_header=False, proxy_headers=False, limit_concurrency=MOST_CONNECTIONS,
            timeout_graceful_shutdown=1,
        )  # fmt: skip
        listening = config.bind_socket()
        server = uvicorn.Server(config)
        await self._backend.start()
        serving = asyncio.create_task(server.serve(sockets=[listening]))
        try:
            while not (server.started or serving.done()):
                await asyncio.sleep(LOOK_S)
            ready()
            await asyncio.shield(serving)
        finally:
            server.should_exit = True
            await asyncio.gather(serving, return_exceptions=True)
            listening.close()
            await self._backend.close()

    async def __call__(self, scope: Any, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
        """Answers one request; see ASGI 3."""
        head = _Head.of(scope)
        try:
            answer, streams = await self._answered(head, receive)
        except _Refused as refused:
            status, reason = refused.args
            body = msgspec.json.encode(error_object(status, reason))
            return await _send(send, status, body, "application/json")
        if not streams:
            return await _send(send, HTTPStatus.OK, msgspec.json.encode(answer), "application/json")
        end = b"" if head.path == "/infill" else DONE
        return await _send(send, HTTPStatus.OK, event(answer) + end, "text/event-stream")

    async def _answered(self, head: _Head, receive: ASGIReceiveCallable) -> tuple[Json, bool]:
        self._check(head)
        match head.method, head.path:
            case "GET", "/health" if self._backend.state in ("ready", "resting"):
                return {"status": "ok"}, False
            case "GET", "/health":
                reason = self._backend.reason or "it loads"
                raise _Refused(HTTPStatus.SERVICE_UNAVAILABLE, f"there is no model: {reason}")
            case "GET", "/v1/models":
                return model_list([model_name(self._backend)]), False
            case "POST", "/v1/completions":
                asked, draft = await self._filled(head, receive, read_completion)
                choice = text_choice(before_stops(draft.text, asked.stops), "stop" if draft.finished else "length")
                answer = completion_object(f"cmpl-{next(self._numbers)}", model_name(self._backend), [choice])
                return answer | {"usage": usage(draft)}, asked.streams
            case "POST", "/infill":
                asked, draft = await self._filled(head, receive, read_infill)
                text = before_stops(draft.text, asked.stops)
                name = model_name(self._backend)
                return infill_answer(name, text, draft, not draft.finished, asked.fields), asked.streams
        raise _Refused(
            HTTPStatus.NOT_FOUND, "POST /v1/completions, POST /infill, GET /v1/models, GET /health are answered"
        )

    def _check(self, head: _Head) -> None:
        """Raises _Refused for who is not let in."""
        if reason := objection(self.port, head.all("host"), head.all("origin")):
            raise _Refused(HTTPStatus.FORBIDDEN, reason)
        said = head.all("authorization")
        scheme, _, word = said[0].partition(" ") if len(said) == 1 else ("", "", "")
        if scheme.lower() != "bearer" or not is_token(word.strip(), self._token):
            raise _Refused(HTTPStatus.UNAUTHORIZED, "Authorization must be Bearer and the key that `unmask http` names")

    async def _filled(
        self, head: _Head, receive: ASGIReceiveCallable, read: Callable[[bytes], Asked]
    ) -> tuple[Asked, Draft]:
        """What was asked, and the last draft; raises _Refused."""
        client = " ".join(head.all("user-agent"))[:MOST_NAME]
        try:
            asked = read(await _body(receive))
            # who reads pieces ahead ends no fill
            if not asked.wants_text:
                return asked, _NOTHING
            return asked, await _while_there(self._fill(client, asked), receive)
        except InvalidInput as error:
            raise _Refused(HTTPStatus.BAD_REQUEST, str(error)) from None
        except (BackendUnavailable, TimeoutError) as error:
            raise _Refused(HTTPStatus.SERVICE_UNAVAILABLE, f"there is no model: {str(error) or 'it loads'}") from None
        except (Cancelled, asyncio.CancelledError):
            if (task := asyncio.current_task()) and task.cancelling():
                raise
            raise _Refused(HTTPStatus.CONFLICT, "a newer request of this client has taken its place") from None

    async def _fill(self, client: str, asked: Asked) -> Draft:
        with self._newest.of(client):
            request = asked.request(f"http {client}", self._preset)
            if request is None:
                return _NOTHING
            assert request.deadline_ms
            async with asyncio.timeout(request.deadline_ms / 1000):
                await self._backend.wait_ready()
            last = _NOTHING
            async with aclosing(self._backend.fill(request)) as drafts:
                async for draft in drafts:
                    last = draft
            return last


async def _free_port(port: int) -> int:
    """The port, or one that is free for 0; uvicorn would end the program where it is taken."""
    try:
        tried = await asyncio.start_server(lambda *_: None, HERE, port)
    except OSError as error:
        raise InvalidInput(f"--port must be free on this machine, got {port}: {error.strerror}") from error
    async with tried:
        free: int = tried.sockets[0].getsockname()[1]
    return free


async def _body(receive: ASGIReceiveCallable) -> bytes:
    """All of a body; raises _Refused for one that is too long or too slow."""
    body = b""
    try:
        async with asyncio.timeout(BODY_S):
            while True:
                message = await receive()
                if message["type"] != "http.request":
                    raise _Refused(HTTPStatus.BAD_REQUEST, "the client has gone")
                body += message.get("body", b"")
                if len(body) > MOST_BODY_BYTES:
                    raise _Refused(
                        HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"a body must be at most {MOST_BODY_BYTES} bytes"
                    )
                if not message.get("more_body"):
                    return body
    except TimeoutError:
        raise _Refused(HTTPStatus.REQUEST_TIMEOUT, f"a body must come within {BODY_S:.0f} s") from None


async def _while_there(work: Coroutine[Any, Any, Draft], receive: ASGIReceiveCallable) -> Draft:
    """The result of some work, which ends when the client goes."""
    task = asyncio.create_task(work)

    async def until_gone() -> None:
        while (await receive())["type"] != "http.disconnect":
            pass

    gone = asyncio.create_task(until_gone())
    try:
        await asyncio.wait({task, gone}, return_when=asyncio.FIRST_COMPLETED)
        if not task.done():
            raise _Refused(HTTPStatus.BAD_REQUEST, "the client has gone")
        return await task
    finally:
        gone.cancel()
        task.cancel()
        await asyncio.gather(task, gone, return_exceptions=True)


async def _send(send: ASGISendCallable, status: int, body: bytes, kind: str) -> None:
    fields = {"content-type": kind, "content-length": str(len(body)), "cache-control": "no-store"}
    fields |= {"x-content-type-options": "nosniff"} | ({"www-authenticate": "Bearer"} if status == 401 else {})
    headers = [(name.encode(), value.encode()) for name, value in fields.items()]
    await send({"type": "http.response.start", "status": status, "headers": headers, "trailers": False})
    await send({"type": "http.response.body", "body": body, "more_body": False})
