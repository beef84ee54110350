"""One request on HTTP, from its head to its end: read, asked, answered whole or as a stream, and noted.

Its text is in the bodies alone: no log line, no metric, no span and no line of the audit has any.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from http import HTTPStatus
from typing import TYPE_CHECKING

import msgspec

from coder_model.types import Draft
from lsp_server.backends.served_apis import DONE, error_object, event
from shared_server.answers import Dialect, texts_of
from shared_server.audit import AuditLine
from shared_server.doors import Doors, ask_of
from shared_server.gateway import Answered, Ask, Gateway, Show
from shared_server.problems import Problem
from shared_server.settings import ServeSettings
from shared_server.shapes import Wanted
from shared_server.tokens import Caller

if TYPE_CHECKING:
    from starlette.datastructures import Headers
    from starlette.types import Receive, Send

logger = logging.getLogger(__name__)
CLIENT_GONE = 499
"""In counts and the audit only: nobody is there to be told."""
_JSON = "application/json"


@dataclass(frozen=True, slots=True)
class House:
    """What all requests share."""

    settings: ServeSettings
    gateway: Gateway
    doors: Doors
    note: Callable[[AuditLine, Mapping[str, str], int, int], None]
    """Called when a request is over; see `Trace`."""


class Call:
    """One request."""

    def __init__(
        self, house: House, route: str, dialect: Dialect, headers: Headers, receive: Receive, send: Send
    ) -> None:
        self._house, self._route, self._dialect, self._headers = house, route, dialect, headers
        self._receive, self._send = receive, send
        self._id = secrets.token_hex(12)
        self._began, self._began_ns = time.monotonic(), time.time_ns()
        self._caller = Caller("", "")
        self._ask: Ask | None = None
        self._bytes_in = self._chars_out = 0
        self._is_begun = False
        """Whether the head of the answer is sent."""

    async def run(self) -> None:
        """Answers, and has it noted."""
        answer: Answered | None = None
        # of who cancels this: the server ends, or the client has gone
        status = CLIENT_GONE
        try:
            answer = await self._answered()
            status = HTTPStatus.OK.value
        except Problem as problem:
            status = problem.status
            if status != CLIENT_GONE:
                await self._tell(problem)
        except Exception as error:
            status = HTTPStatus.INTERNAL_SERVER_ERROR.value
            # the message of an error may quote a text
            logger.error("request %s failed: %s", self._id, type(error).__name__)
            await self._tell(Problem(status, f"the server has failed; its log has the request {self._id}"))
        finally:
            self._house.note(self._line(answer, status), self._headers, self._began_ns, time.time_ns())

    async def _answered(self) -> Answered:
        house = self._house
        self._caller = house.doors.caller(self._headers)
        house.gateway.count(self._caller)
        wanted = self._dialect.read(await self._body())
        show = self._show(wanted) if wanted.shows_drafts else None
        ask = ask_of(wanted, self._caller, self._headers, house.settings, house.gateway.engines, show)
        self._ask = ask
        work = asyncio.create_task(house.gateway.answer(ask))
        gone = asyncio.create_task(self._until_gone())
        try:
            await asyncio.wait({work, gone}, return_when=asyncio.FIRST_COMPLETED)
            if not work.done():
                raise Problem(CLIENT_GONE, "the client has gone")
            answer = work.result()
        finally:
            gone.cancel()
            work.cancel()
        try:
            async with asyncio.timeout(house.settings.limits.answer_s):
                await self._finish(wanted, ask, answer)
        except TimeoutError:
            raise Problem(CLIENT_GONE, "the client does not read") from None
        return answer

    async def _body(self) -> bytes:
        limits = self._house.settings.limits
        most = limits.body_kb << 10
        too_large = Problem(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"a body must have at most {most} bytes")
        if self._headers.get("content-type", "").partition(";")[0].strip().lower() != _JSON:
            raise Problem(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, f"Content-Type must be {_JSON}")
        said = self._headers.get("content-length", "0")
        if said.isdigit() and (len(said) > 12 or int(said) > most):
            raise too_large
        data = bytearray()
        try:
            async with asyncio.timeout(limits.body_s):
                while True:
                    message = await self._receive()
                    if message["type"] == "http.disconnect":
                        raise Problem(CLIENT_GONE, "the client has gone")
                    data += message.get("body", b"")
                    self._bytes_in = len(data)
                    if len(data) > most:
                        raise too_large
                    if not message.get("more_body"):
                        return bytes(data)
        except TimeoutError:
            reason = f"a body must have arrived within {limits.body_s:g} s"
            raise Problem(HTTPStatus.REQUEST_TIMEOUT, reason) from None

    async def _until_gone(self) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass

    def _show(self, wanted: Wanted) -> Show:
        last = ""

        async def show(draft: Draft) -> None:
            nonlocal last
            if draft.text != last:
                assert self._ask
                assert self._dialect.draft
                last = draft.text
                await self._begin_stream({})
                await self._part(event(self._dialect.draft(self._id, self._ask.engine, wanted, draft)))

        return show

    async def _finish(self, wanted: Wanted, ask: Ask, answer: Answered) -> None:
        self._chars_out = sum(map(len, texts_of(wanted, answer)))
        headers = {"X-Unmask-Level": str(answer.level), "X-Unmask-Model": answer.model}
        if wanted.body.stream:
            await self._begin_stream(headers)
            await self._part(event(self._dialect.last(self._id, ask.engine, wanted, answer)))
            await self._part(DONE if self._dialect.ends_with_done else b"", more=False)
            return
        await self._send_json(HTTPStatus.OK, self._dialect.whole(self._id, ask.engine, wanted, answer), headers)

    async def _tell(self, problem: Problem) -> None:
        if not self._is_begun:
            await self._send_json(problem.status, error_object(problem.status, problem.reason), problem.headers)
            return
        # too late for a status: the stream ends with the reason
        await self._part(event(error_object(problem.status, problem.reason)), more=False)

    async def _begin_stream(self, headers: Mapping[str, str]) -> None:
        if not self._is_begun:
            await self._head(HTTPStatus.OK, {"Content-Type": "text/event-stream; charset=utf-8", **headers})

    async def _send_json(self, status: int, data: object, headers: Mapping[str, str]) -> None:
        encoded = msgspec.json.encode(data)
        await self._head(status, {"Content-Type": _JSON, "Content-Length": str(len(encoded)), **headers})
        await self._part(encoded, more=False)

    async def _head(self, status: int, headers: Mapping[str, str]) -> None:
        self._is_begun = True
        pairs = {"Cache-Control": "no-store", "X-Request-Id": self._id, **headers}
        encoded = [(name.lower().encode(), value.encode("latin-1", "replace")) for name, value in pairs.items()]
        await self._send({"type": "http.response.start", "status": int(status), "headers": encoded})

    async def _part(self, data: bytes, more: bool = True) -> None:
        await self._send({"type": "http.response.body", "body": data, "more_body": more})

    def _line(self, answer: Answered | None, status: int) -> AuditLine:
        ask, draft = self._ask, answer.draft if answer else None
        return AuditLine(
            datetime.now(UTC).isoformat(timespec="milliseconds"),
            self._id,
            self._caller.tenant,
            self._caller.user,
            self._route,
            status,
            ask.engine if ask else "",
            answer.model if answer else "",
            ask.priority.name.lower() if ask else "",
            answer.level if answer else 0,
            len(answer.tried) if answer else 0,
            self._bytes_in,
            self._chars_out,
            draft.tokens if draft else 0,
            draft.steps if draft else 0,
            round(answer.waited_ms, 1) if answer else 0.0,
            round((time.monotonic() - self._began) * 1000, 1),
        )
