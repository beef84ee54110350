"""JSON-RPC over stdio as we want it: lenient in what it takes, silent towards the user, never an unanswered request.

Five things differ from pygls: the documents are ours (its copy breaks lines where the protocol does not), a request
that cannot be read is answered with an error instead of a popup, the reader survives odd headers, nothing is kept of a
notification, and a command that is cancelled stops.
"""

from __future__ import annotations

import asyncio
import inspect
import json
import logging
import threading
from dataclasses import dataclass
from typing import Any, BinaryIO

import cattrs
from lsprotocol import converters, types
from pygls.exceptions import JsonRpcInvalidParams
from pygls.io_ import StdoutWriter
from pygls.protocol import LanguageServerProtocol
from pygls.protocol.language_server import lsp_method

from lsp_server.framing import read_body

logger = logging.getLogger(__name__)

CURSOR_MOVED = "unmask/didMoveCursor"
INLINE_EDIT = "textDocument/copilotInlineEdit"
SHOWN_COMPLETION, SHOWN_EDIT = "textDocument/didShowCompletion", "textDocument/didShowInlineEdit"
PARTLY_ACCEPTED, FOCUSED = "textDocument/didPartiallyAcceptCompletion", "textDocument/didFocus"


class _Futures(dict[Any, Any]):
    """Handlers on their way; pygls cancels them at a shutdown while those that end go away (pygls issue 606)."""

    def items(self) -> Any:
        """Returns a copy of the pairs."""
        return list(self.copy().items())


@dataclass(frozen=True, slots=True)
class CursorMoved:
    """A notification of ours: the cursor of the window is there now. The protocol has none for that."""

    method: str
    params: types.TextDocumentPositionParams
    jsonrpc: str = "2.0"


@dataclass(frozen=True, slots=True)
class PlainRequest:
    """A request that LSP does not have; its parameters are what the JSON holds."""

    id: Any
    method: str
    params: Any = None
    jsonrpc: str = "2.0"


@dataclass(frozen=True, slots=True)
class PlainNotification:
    """A notification that LSP does not have."""

    method: str
    params: Any = None
    jsonrpc: str = "2.0"


_TYPES = {CURSOR_MOVED: CursorMoved, INLINE_EDIT: PlainRequest} | dict.fromkeys(
    (SHOWN_COMPLETION, SHOWN_EDIT, PARTLY_ACCEPTED, FOCUSED), PlainNotification
)


class Protocol(LanguageServerProtocol):
    """pygls' protocol without its document store."""

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._request_futures = _Futures()

    ended = False
    """True once the client has said `exit`."""

    exit_code = 0
    """1 once the client has said `exit` without `shutdown` before it (LSP 3.18, "Exit Notification")."""

    def get_message_type(self, method: str) -> type[Any] | None:  # type: ignore[override]
        """Returns the type that a request or a notification is read into."""
        return _TYPES.get(method) or super().get_message_type(method)

    @lsp_method(types.EXIT)
    def lsp_exit(self, *_: Any) -> Any:
        """Lets `serve_stdio` return; pygls raises SystemExit in the loop, which cancels everything in no order."""
        self.ended = True
        self.exit_code = 0 if self._shutdown else 1

    @lsp_method(types.TEXT_DOCUMENT_DID_OPEN)
    def lsp_text_document__did_open(self, params: types.DidOpenTextDocumentParams) -> Any:
        """Passes the notification on, and keeps no copy."""
        yield self.fm.features[types.TEXT_DOCUMENT_DID_OPEN], (params,), None

    @lsp_method(types.TEXT_DOCUMENT_DID_CHANGE)
    def lsp_text_document__did_change(self, params: types.DidChangeTextDocumentParams) -> Any:
        """Passes the notification on, and keeps no copy."""
        yield self.fm.features[types.TEXT_DOCUMENT_DID_CHANGE], (params,), None

    @lsp_method(types.TEXT_DOCUMENT_DID_CLOSE)
    def lsp_text_document__did_close(self, params: types.DidCloseTextDocumentParams) -> Any:
        """Passes the notification on, and keeps no copy."""
        yield self.fm.features[types.TEXT_DOCUMENT_DID_CLOSE], (params,), None

    @lsp_method(types.WORKSPACE_EXECUTE_COMMAND)
    async def lsp_workspace__execute_command(self, params: types.ExecuteCommandParams) -> Any:  # type: ignore[override]
        """Runs a command; pygls cancels the answer of one and not the command itself.

        Raises:
            JsonRpcInvalidParams: when there is no such command.
        """
        if (command := self.fm.commands.get(params.command)) is None:
            raise JsonRpcInvalidParams(f"there is no command {params.command!r}")
        result = command(*(params.arguments or []))
        return await result if inspect.isawaitable(result) else result

    def _execute_handler(self, msg_id: Any, handler: Any, callback: Any, args: Any = None, kwargs: Any = None) -> None:
        """Forgets the handler's future when it is done; pygls keeps that of every notification, a kilobyte a key."""

        def done(future: Any) -> None:
            self._request_futures.pop(msg_id, None)
            callback(future)

        super()._execute_handler(msg_id, handler, done, args, kwargs)

    def _send_response(self, msg_id: Any, result: Any = None, error: Any = None) -> None:
        """Sends a reply; a result that is a function is asked for only now, and may raise JsonRpcException."""
        super()._send_response(msg_id, result() if callable(result) else result, error)

    def receive(self, body: bytes) -> None:
        """Handles one message; a request that cannot be read is answered with an error."""
        try:
            data = json.loads(body)
        except (ValueError, RecursionError):
            logger.warning("a message of %d bytes is no JSON, or nested too deeply", len(body))
            return
        if not isinstance(data, dict):
            logger.warning("a message must be a JSON object, got %s", type(data).__name__)
            return
        try:
            self.handle_message(self.structure_message(as_now(data)))
        except Exception as error:
            # whatever a message holds, the next one is read; pygls trips over an id that cannot be one
            logger.warning("a message cannot be handled: %s", type(error).__name__)
            if "method" in data and isinstance(data.get("id"), (int, str)):
                self._send_response(data["id"], error=JsonRpcInvalidParams().to_response_error())


def as_now(data: dict[str, Any]) -> dict[str, Any]:
    """Returns a message as LSP 3.18 has it, where older or careless clients leave something out or send null.

    The version of a document may be null until LSP 3.15, and nobody here counts on it; `range: null` means the whole
    document; a completion without a context was asked for by nobody's hand.
    """
    method, parameters = data.get("method"), data.get("params")
    if not isinstance(parameters, dict) or method not in _OLD_FORMS:
        return data
    parameters = dict(parameters)
    document = parameters.get("textDocument")
    if isinstance(document, dict) and method in (types.TEXT_DOCUMENT_DID_OPEN, types.TEXT_DOCUMENT_DID_CHANGE):
        document = {
            "version": 0,
            "languageId": "",
            **{key: value for key, value in document.items() if value is not None},
        }
        if not isinstance(document["version"], int) or not -(2**31) <= document["version"] < 2**31:
            document["version"] = 0
        parameters["textDocument"] = document
    changes = parameters.get("contentChanges")
    if isinstance(changes, list):
        parameters["contentChanges"] = [_without_nulls(change) for change in changes]
    if method == types.TEXT_DOCUMENT_INLINE_COMPLETION and isinstance(parameters.get("context"), dict | None):
        automatic = types.InlineCompletionTriggerKind.Automatic.value
        context = {"triggerKind": automatic, **_without_nulls(parameters.get("context") or {})}
        if not _is_selection(context.get("selectedCompletionInfo")):
            context.pop("selectedCompletionInfo", None)
        parameters["context"] = context
    return {**data, "params": parameters}


def _is_selection(info: Any) -> bool:
    """True for what an editor's menu has selected, as the protocol has it."""
    if not isinstance(info, dict) or not isinstance(info.get("text"), str) or not isinstance(info.get("range"), dict):
        return False
    ends = (info["range"].get(end) for end in ("start", "end"))
    return all(isinstance(end, dict) and all(type(end.get(k)) is int for k in ("line", "character")) for end in ends)


def _without_nulls(change: Any) -> Any:
    return {key: value for key, value in change.items() if value is not None} if isinstance(change, dict) else change


_OLD_FORMS = {
    types.TEXT_DOCUMENT_DID_OPEN,
    types.TEXT_DOCUMENT_DID_CHANGE,
    types.TEXT_DOCUMENT_INLINE_COMPLETION,
}


def lenient_converter() -> cattrs.Converter:
    """Returns lsprotocol's converter, with trigger kinds as old and new clients send them.

    vscode-languageclient 9 counts from 0, LSP 3.18 from 1: 0 can only mean Invoked, and what is unknown is Automatic.
    """
    converter = converters.get_converter()
    kind = types.InlineCompletionTriggerKind

    def trigger_kind(value: Any, _: Any) -> types.InlineCompletionTriggerKind:
        return kind.Invoked if value in (0, 1) else kind.Automatic

    converter.register_structure_hook(kind, trigger_kind)
    return converter


async def serve_stdio(protocol: Protocol, stdin: BinaryIO, stdout: BinaryIO) -> None:
    """Serves one client until its stream ends."""
    protocol.set_writer(StdoutWriter(stdout))
    loop = asyncio.get_running_loop()
    bodies: asyncio.Queue[bytes | None] = asyncio.Queue()

    def read() -> None:
        # a thread of its own: nothing else may keep the reader from the next cancel
        for body in iter(lambda: read_body(stdin), None):
            loop.call_soon_threadsafe(bodies.put_nowait, body)
        loop.call_soon_threadsafe(bodies.put_nowait, None)

    threading.Thread(target=read, daemon=True, name="stdin").start()
    while not protocol.ended and (body := await bodies.get()) is not None:
        protocol.receive(body)
        # a request begins on the text it was sent for, before the next change is read
        await asyncio.sleep(0)
