"""What the person is told of the model: one status, and progress while it loads. Never a popup.

The status is a notification `didChangeStatus` with `busy`, `message` and `kind`, as the clients of Copilot's language
server read it (copilot-language-server-release, README, "Status"); others pass it over. What a command says of itself
is such a message too, for a moment; `state` is what the status says without it.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from datetime import datetime
from typing import Any

from lsprotocol import types
from pygls.exceptions import JsonRpcException
from pygls.lsp.server import LanguageServer

from lsp_server.backends.base import Backend, State
from lsp_server.lateness import TOO_LATE

STATUS = "didChangeStatus"
SAID_S = 10.0
"""Seconds for which the message of a command stands where the status does."""


def status_of(
    state: State,
    reason: str,
    quiet_until: datetime | None,
    share_loaded: float = 0.0,
    receiver: str = "",
    remark: str = "",
    description: str = "",
    too_late: bool = False,
) -> dict[str, Any]:
    """Returns the parameters of the notification.

    Args:
        state: of the model.
        reason: why it is down.
        quiet_until: local time until which nothing is offered unasked, if that was wanted.
        share_loaded: of the model, in [0, 1].
        receiver: host that code goes to; empty when it stays on this machine.
        remark: what is wrong with the user's settings although there is a model; empty when nothing is.
        description: of the model, where it is on this machine.
        too_late: whether the deadline cuts answer after answer.
    """
    if state == "down":
        return {"kind": "Error", "busy": False, "message": f"no model: {reason}; `unmask doctor` examines it"}
    if quiet_until:
        return {"kind": "Inactive", "busy": False, "message": f"quiet until {quiet_until:%H:%M}"}
    if state == "starting":
        share = f" ({share_loaded:.0%})" if share_loaded else ""
        return {"kind": "Normal", "busy": True, "message": f"the model is loading{share}"}
    message = f"on, code goes to {receiver}" if receiver else f"on: {description}" if description else "on"
    parts = [message, TOO_LATE if too_late else "", remark]
    return {"kind": "Warning" if too_late else "Normal", "busy": False, "message": "; ".join(filter(None, parts))}


class Announcer:
    """Tells the client what has changed."""

    def __init__(self, server: LanguageServer) -> None:
        self._server = server
        self._status: dict[str, Any] = {"kind": "Normal", "busy": True, "message": "not started"}
        self._said: asyncio.TimerHandle | None = None
        self._tokens = itertools.count(1)
        self._progress: asyncio.Task[None] | None = None
        self._loaded = asyncio.Event()

    def tell(
        self, backend: Backend, quiet_until: datetime | None, complaint: str = "", *, too_late: bool = False
    ) -> None:
        """Sends the status when it differs from the last one, and shows progress while the model loads.

        Args:
            backend: whose model it is.
            quiet_until: local time until which nothing is offered unasked.
            complaint: what is wrong with the client's settings; empty when nothing is.
            too_late: whether the deadline cuts answer after answer.
        """
        state, remark = backend.state, "; ".join(filter(None, [backend.remark, complaint]))
        facts = backend.share_loaded, backend.receiver, remark, backend.description
        status = status_of(state, backend.reason, quiet_until, *facts, too_late)
        if status != self._status:
            self._status = status
            self._tell_again()
        if state == "starting" and self._progress is None:
            self._loaded.clear()
            self._progress = asyncio.create_task(self._show_progress())
        elif state != "starting":
            self._loaded.set()

    def say(self, message: str, *, busy: bool) -> None:
        """Sends a message of the moment: what a command does, or for `SAID_S` what became of it."""
        self._send(busy=busy, message=message)
        if not busy:
            self._said = asyncio.get_running_loop().call_later(SAID_S, self._tell_again)

    def _tell_again(self) -> None:
        self._send(**self._status)

    def _send(self, **news: Any) -> None:
        if self._said:
            self._said.cancel()
            self._said = None
        self._server.protocol.notify(STATUS, {**self._status, **news, "state": self._status["message"]})

    async def _show_progress(self) -> None:
        window = self._server.client_capabilities.window
        if window and window.work_done_progress:
            progress, token = self._server.work_done_progress, f"unmask-{next(self._tokens)}"
            with contextlib.suppress(JsonRpcException):
                await progress.create_async(token)
                progress.begin(token, types.WorkDoneProgressBegin(title="unmask", message="loading the model"))
                await self._loaded.wait()
                progress.end(token, types.WorkDoneProgressEnd())
                progress.tokens.pop(token, None)
        self._progress = None
