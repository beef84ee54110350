"""Who is let in, and what the headers of a request say: token, session, priority, deadline.

A browser is turned away whatever it sends: a page of somebody else could reach this machine from there. Without a file
of tokens only this machine is let in, by its own names (no rebound one).
"""

from __future__ import annotations

import hashlib
import secrets
import time
from collections.abc import Collection
from http import HTTPStatus
from typing import TYPE_CHECKING

from shared_server.gateway import Ask, Show
from shared_server.levels import Priority
from shared_server.problems import Problem, invalid, too_late
from shared_server.settings import Limits, ServeSettings
from shared_server.tokens import Caller, TokenFile

if TYPE_CHECKING:
    from starlette.datastructures import Headers

    from shared_server.oidc import ProviderTokens
    from shared_server.shapes import Wanted

SESSION, PRIORITY, DEADLINE = "x-session-id", "x-priority", "x-deadline-ms"
HERE = Caller("local", "local")
"""Who asks where there are no tokens."""
_OWN_NAMES = ("localhost", "127.0.0.1", "[::1]")
_MOST_SESSION = 256


class Doors:
    """Lets requests in by their headers."""

    def __init__(self, tokens: TokenFile | None, operators: str, provider: ProviderTokens | None = None) -> None:
        self._tokens, self._operators, self._provider = tokens, operators, provider

    async def start(self) -> None:
        """Begins to keep the keys of an identity provider."""
        if self._provider:
            await self._provider.keys.start()

    async def close(self) -> None:
        """Ends that."""
        if self._provider:
            await self._provider.keys.close()

    def caller(self, headers: Headers) -> Caller:
        """Returns who asks.

        Raises:
            Problem: 401 without a token that is known, 403 for a browser, or another name of this machine.
        """
        if headers.getlist("origin"):
            raise Problem(HTTPStatus.FORBIDDEN, "no page of a browser may ask here")
        if self._tokens is None and self._provider is None:
            hosts = headers.getlist("host")
            if len(hosts) != 1 or (hosts[0].rpartition(":")[0] not in _OWN_NAMES and hosts[0] not in _OWN_NAMES):
                raise Problem(HTTPStatus.FORBIDDEN, "Host must be a name of this machine's own loopback")
            return HERE
        said = headers.getlist("authorization")
        scheme, _, token = said[0].partition(" ") if len(said) == 1 else ("", "", "")
        # an empty token is looked up, too: every refusal takes the same time
        caller = self._tokens.caller(token.strip()) if self._tokens else None
        if caller is None and self._provider:
            caller = self._provider.caller(token.strip())
        if scheme.lower() != "bearer" or caller is None:
            raise Problem(HTTPStatus.UNAUTHORIZED, "Authorization must be `Bearer` and a token of this server")
        return caller

    def operator(self, headers: Headers) -> None:
        """Lets only the operators' tenant in, and whoever is on this machine where there are no tokens.

        Raises:
            Problem: as `caller` does, and 403 for another tenant.
        """
        caller = self.caller(headers)
        if caller is not HERE and caller.tenant != self._operators:
            raise Problem(HTTPStatus.FORBIDDEN, "these figures are for the operators of this server")


def ask_of(
    wanted: Wanted,
    caller: Caller,
    headers: Headers,
    settings: ServeSettings,
    engines: Collection[str],
    show: Show | None,
) -> Ask:
    """Returns a request as the gateway takes it.

    Raises:
        Problem: 400 for a header that is not what it must be, 404 for a model that is not there, 504 when the deadline
            has passed already.
    """
    engine = wanted.body.model or next(iter(engines))
    if engine not in engines:
        raise Problem(HTTPStatus.NOT_FOUND, f"model must be one of {', '.join(engines)}")
    priority = _priority(headers)
    deadline = time.monotonic() + _left_ms(headers, priority, settings.limits, wanted.most_ms) / 1000
    request = wanted.request(session_key(caller, headers.get(SESSION)))
    return Ask(caller, engine, request, priority, deadline, show)


def session_key(caller: Caller, session: str | None) -> str:
    """Returns what a document is called behind the gateway: another name for every tenant and person.

    Without a session a request stands alone: nothing of it is kept for another one.

    Raises:
        Problem: 400 when the name is too long.
    """
    if session is None:
        return secrets.token_hex(16)
    if not 0 < len(session) <= _MOST_SESSION:
        raise invalid(f"{SESSION} must have 1 to {_MOST_SESSION} characters")
    parts = (caller.tenant, caller.user, session)
    # with lengths, so that no two triples are one text
    return hashlib.sha256("".join(f"{len(part)}:{part}" for part in parts).encode()).hexdigest()[:32]


def _priority(headers: Headers) -> Priority:
    said = headers.get(PRIORITY, "typing").lower()
    try:
        return Priority[said.upper()]
    except KeyError:
        names = ", ".join(one.name.lower() for one in Priority)
        raise invalid(f"{PRIORITY} must be one of {names}") from None


def _left_ms(headers: Headers, priority: Priority, limits: Limits, most_ms: float | None) -> float:
    """Milliseconds until the deadline, by the wall clock now, and by nothing but the monotonic one from here on."""
    usual = limits.manual_ms if priority is Priority.MANUAL else limits.typing_ms
    said = headers.get(DEADLINE)
    if said is None:
        return min(usual, most_ms) if most_ms else usual
    if not (said.isascii() and said.isdigit() and len(said) <= 16):
        raise invalid(f"{DEADLINE} must be a moment in milliseconds since 1970")
    left = int(said) - time.time() * 1000
    if left > limits.farthest_ms:
        raise invalid(f"{DEADLINE} must be at most {limits.farthest_ms:g} ms from now, by this server's clock")
    if left <= 0:
        raise too_late()
    return min(left, most_ms) if most_ms else left
