"""A model behind HTTP: Mercury, an OpenAI-compatible server, llama.cpp's; only where the user's own settings name it.

Code leaves the machine here, which the status says. What leaves is without secrets; nothing that comes back is logged.
A request that nobody waits for any more is dropped, and its connection with it. Faults are silence and a status; after
one the server is left alone for a while, as long as it asks for or twice as long as the last time.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import time
from collections.abc import AsyncGenerator, Callable, Sequence
from typing import Any, TypeVar

from coder_model.errors import lacks_packages
from coder_model.text.file_names import is_secret
from coder_model.text.fill_region import FillRegion
from coder_model.types import Cancelled, Draft, FillRequest, InvalidInput
from lsp_server.backends.base import BackendUnavailable, Editor, State
from lsp_server.backends.remote_apis import SHAPES, edited_region, next_edit_body
from lsp_server.user_settings import Remote

logger = logging.getLogger(__name__)
T = TypeVar("T")

KEYRING_SERVICE = "unmask"
MAX_ANSWER_BYTES = 1 << 20
DEBOUNCE_S = 0.075
"""How long a request that nobody made by hand waits for a newer one of its document."""
FIRST_REST_S, LONGEST_REST_S = 1.0, 60.0
"""How long a server that failed is left alone."""
_AGAIN = {500, 502, 503, 504}
"""Statuses after which one more try may help."""
_OF_THIS_ONE = {400, 413, 422}  # a text is too long for the model, which says nothing of the next one
_REFUSED = {401, 402, 403, 404, 405, 407, 410}
"""Statuses that no other try will change."""
_LOOPBACK = ("localhost", "127.0.0.1", "::1")


def key_of(remote: Remote) -> str:
    """Returns the key of a service: from the environment variable it names, else from the system's keyring.

    Raises:
        InvalidInput: when there is none and the service wants one.
    """
    key = os.environ.get(remote.key_variable, "") if remote.key_variable else _from_keyring(remote.kind)
    if not key and SHAPES[remote.kind].needs_key:
        where = f"${remote.key_variable}" if remote.key_variable else f"the keyring (`unmask key {remote.kind}`)"
        raise InvalidInput(f"{remote.kind} needs a key, found none in {where}")
    return key


def _from_keyring(kind: str) -> str:
    try:
        import keyring
        from keyring.errors import KeyringError
    except ImportError:
        return ""
    try:
        return keyring.get_password(KEYRING_SERVICE, kind) or ""
    except (KeyringError, RuntimeError):
        return ""


def keep_key(kind: str, ask: Callable[[], str]) -> None:
    """Writes the key of a service to the system's keyring; an empty one removes what is there.

    Args:
        kind: of the service.
        ask: returns the key; called once it is known that there is such a service and a place for it.

    Raises:
        InvalidInput: when there is no such service, or no keyring.
    """
    if kind not in SHAPES:
        raise InvalidInput(f"service must be one of {', '.join(SHAPES)}, got {kind!r}")
    try:
        import keyring
        from keyring.errors import KeyringError, PasswordDeleteError
    except ImportError as error:
        raise InvalidInput(f"the keyring's packages are {lacks_packages('remote')}") from error
    try:
        if key := ask():
            keyring.set_password(KEYRING_SERVICE, kind, key)
        else:
            with contextlib.suppress(PasswordDeleteError):
                keyring.delete_password(KEYRING_SERVICE, kind)
    except (KeyringError, RuntimeError) as error:
        hint = "name a variable as remote.key_variable"
        raise InvalidInput(f"this system has no keyring to write to ({error}); {hint}") from error


class RemoteBackend:
    """Sends the holes of all documents to one server, the newest of each document."""

    def __init__(self, remote: Remote, filters_off: tuple[str, ...] = (), debounce_s: float = DEBOUNCE_S) -> None:
        """Takes the user's settings, the filters that are left out, and how long a request waits for a newer one.

        Raises:
            InvalidInput: when they lack an address, a key or a package, or the address is neither HTTPS nor loopback.
        """
        try:
            import httpx2
        except ImportError as error:
            raise InvalidInput(f"a remote model's packages are {lacks_packages('remote')}") from error
        shape = SHAPES[remote.kind]
        try:
            url = httpx2.URL((remote.url or shape.url).rstrip("/") + shape.path)
        except httpx2.InvalidURL as error:
            raise InvalidInput(f"remote.url must be an address, got {remote.url!r}") from error
        if not url.host or (url.scheme != "https" and url.host not in _LOOPBACK):
            raise InvalidInput(f"remote.url must be HTTPS, or on this machine, got {remote.url!r}")
        self.on_change: Callable[[], None] = lambda: None
        self.reason = ""
        """What went wrong last; empty when nothing did."""
        self.remark = ""
        self.share_loaded = 1.0
        self.description = f"{remote.kind} at {url.host}"
        self.receiver = "" if url.host in _LOOPBACK else url.host
        """The host that code goes to; empty when it stays on this machine."""
        self._http = httpx2
        self._url, self._remote, self._shape = url, remote, shape
        self._filters_off, self._debounce_s = filters_off, debounce_s
        key = key_of(remote)
        self._client = httpx2.AsyncClient(
            headers={"Authorization": f"Bearer {key}"} if key else {},
            timeout=remote.timeout_s,
            # a redirect would send code where the user has not said
            follow_redirects=False,
            verify=_trusted(remote),
        )
        self._running: dict[str, asyncio.Task[Any]] = {}
        self._rest_s, self._resting_until = 0.0, 0.0
        self.editor: Editor | None = self._edited if remote.kind == "mercury-edit" else None

    serving = None
    judges = False

    @property
    def state(self) -> State:
        """`down` while the server is left alone."""
        return "down" if self.reason else "ready"

    async def start(self) -> None:
        """Does nothing: a server is there or not."""

    def warm(self, request: FillRequest) -> None:
        """Does nothing: code leaves the machine when somebody asks, and not before."""

    async def wait_ready(self) -> None:
        """Returns at once.

        Raises:
            BackendUnavailable: while the server is left alone, with what went wrong.
        """
        if time.monotonic() < self._resting_until:
            raise BackendUnavailable(self.reason)

    async def fill(self, request: FillRequest, watch: bool = False) -> AsyncGenerator[Draft, None]:  # noqa: ARG002
        """Yields one draft, the final one; see `Backend.fill`."""
        if request.judged is not None:
            raise BackendUnavailable("a model elsewhere does not say how likely it finds a text")
        if request.speculative:
            # a guess that may be paid for, and somebody else's machine
            raise BackendUnavailable("nobody waits for it")
        if is_secret(request.path):
            raise BackendUnavailable("a file with secrets leaves this machine for nobody")
        await self.wait_ready()
        began = time.perf_counter()
        region = FillRegion.of(request)
        asked, shape = region.request, self._shape
        most = min(asked.max_tokens or self._remote.max_tokens, self._remote.max_tokens)
        body = shape.body(asked, self._remote.model or shape.model, most)
        said = await self._newest(asked, body, shape.read)
        yield said.draft(region, self._filters_off, (time.perf_counter() - began) * 1000)

    async def _edited(self, request: FillRequest, diffs: Sequence[str]) -> tuple[str, str] | None:
        """The lines around a cursor and what the server makes of them; see `Backend.editor`."""
        if is_secret(request.path):
            raise BackendUnavailable("a file with secrets leaves this machine for nobody")
        await self.wait_ready()
        body = next_edit_body(request, diffs, self._remote.model or self._shape.model, self._remote.max_tokens)
        return await self._newest(request, body, edited_region)

    async def _newest(self, request: FillRequest, body: dict[str, Any], read: Callable[[Any, FillRequest], T]) -> T:
        """What the server answers; a newer request of the session ends it.

        Raises:
            Cancelled: when superseded.
            BackendUnavailable: when the server fails.
        """
        if older := self._running.get(request.session):
            older.cancel()
        task = asyncio.create_task(self._ask(request, body, read))
        self._running[request.session] = task
        try:
            return await task
        except asyncio.CancelledError:
            if task.cancelled() and not _is_cancelled():
                raise Cancelled from None
            raise
        finally:
            task.cancel()
            if self._running.get(request.session) is task:
                del self._running[request.session]

    async def close(self) -> None:
        """Ends all connections."""
        for task in self._running.values():
            task.cancel()
        await self._client.aclose()

    async def _ask(self, request: FillRequest, body: dict[str, Any], read: Callable[[Any, FillRequest], T]) -> T:
        """Asks the server, once more if a fault may have passed."""
        if request.count == 1:
            # whoever types on within this time has asked for something else by then
            await asyncio.sleep(self._debounce_s)
        allowed_s = min(self._remote.timeout_s, request.deadline_ms / 1000 if request.deadline_ms else 60.0)
        try:
            async with asyncio.timeout(allowed_s):
                answer = await self._post(body) or await self._post(body)
                if answer is None:
                    self._leave_alone("the server fails")
                said = read(answer, request)
        except TimeoutError:
            if allowed_s == self._remote.timeout_s:
                self._leave_alone(f"no answer in {allowed_s:g} s")
            # whoever asked had no more time, which says nothing of the server
            logger.info("remote model: no answer in the %g s that a request had", allowed_s)
            raise BackendUnavailable(f"no answer in the {allowed_s:g} s of the request") from None
        except (LookupError, TypeError, ValueError, RecursionError):
            self._leave_alone(f"the answer is not one of {self._shape.path}")
        if self.reason:
            self.reason, self._rest_s = "", 0.0
            self.on_change()
        return said

    async def _post(self, body: dict[str, Any]) -> Any:
        """One try; returns the answer, or None when another one may help."""
        http = self._http
        try:
            async with self._client.stream("POST", self._url, json=body) as response:
                if (status := response.status_code) == 429:
                    self._leave_alone("too many requests", _seconds(response.headers.get("Retry-After", "")))
                if status in _AGAIN:
                    return None
                if status in _OF_THIS_ONE:
                    raise BackendUnavailable(f"the server answers {status}")
                if status != 200:
                    self._leave_alone(f"the server answers {status}", LONGEST_REST_S if status in _REFUSED else 0.0)
                data = b""
                async for part in response.aiter_bytes():
                    data += part
                    if len(data) > MAX_ANSWER_BYTES:
                        raise ValueError("the answer is too long")
        except http.TransportError as error:
            if isinstance(error, http.ConnectError) and "CERTIFICATE" in str(error).upper():
                self._leave_alone("the server's certificate is not trusted", LONGEST_REST_S)
            return None
        return json.loads(data)

    def _leave_alone(self, reason: str, seconds: float = 0.0) -> None:
        """Notes what went wrong, and for how long nothing is sent.

        Raises:
            BackendUnavailable: always.
        """
        self._rest_s = min(max(FIRST_REST_S, 2 * self._rest_s), LONGEST_REST_S)
        self._resting_until = time.monotonic() + max(seconds, self._rest_s)
        self.reason = f"{self._url.host}: {reason}"
        logger.warning("remote model: %s", self.reason)
        self.on_change()
        raise BackendUnavailable(self.reason)


def _trusted(remote: Remote) -> Any:
    import ssl

    if not remote.certificates:
        return True
    try:
        return ssl.create_default_context(cafile=remote.certificates)
    except (OSError, ssl.SSLError) as error:
        raise InvalidInput(f"remote.certificates must be a file of authorities, got {remote.certificates!r}") from error


def _seconds(header: str) -> float:
    """Seconds of a `Retry-After`; a date, or nothing, counts as none."""
    return min(float(header), 3600.0) if header.isdigit() else 0.0


def _is_cancelled() -> bool:
    """Whether it is this task that somebody wants to end."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0
