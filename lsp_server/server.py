"""The language server: each handler unpacks, makes one call, and packs. Protocol units stop here."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import sys
import time
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any, cast

from lsprotocol import types
from pygls.exceptions import JsonRpcException
from pygls.lsp.server import LanguageServer

from coder_model.errors import place_of
from coder_model.text.file_names import path_of
from coder_model.text.normalize import newlines
from coder_model.text.privacy import Privacy
from coder_model.types import InvalidInput
from lsp_server import release
from lsp_server.alternatives import FIND_ALTERNATIVES, Alternatives
from lsp_server.backends.base import AbsentBackend, Backend
from lsp_server.completion import Completer
from lsp_server.context import Context
from lsp_server.copilot_dialect import serve_copilot_dialect
from lsp_server.documents import Documents, Encoding, Position
from lsp_server.edit_command import KIND
from lsp_server.hole_actions import FILL_HOLES, HoleActions
from lsp_server.log_file import begin_log
from lsp_server.packing import ACCEPTED, cursor_behind, to_position, to_reply, to_selected
from lsp_server.parent import orphanhood
from lsp_server.protocol import CURSOR_MOVED, Protocol, lenient_converter, serve_stdio
from lsp_server.rewrite_actions import REWRITE, RewriteActions
from lsp_server.settings import Complaints, Settings, read_settings
from lsp_server.status import Announcer
from lsp_server.suggestions import Answer
from lsp_server.usage_stats import UsageStats
from lsp_server.warming import Warming
from lsp_server.watching import WATCH, Watching

logger = logging.getLogger(__name__)

SNOOZE = "unmask.snooze"
"""Command: quiet for so many minutes."""
SNOOZE_MINUTES, MAX_SNOOZE_MINUTES = 10, 7 * 24 * 60
SECTION = "unmask"
SAVE_S = 60.0
END = 2**31 - 1
"""Beyond the end of any line: its end."""
MakeBackend = Callable[[Settings], Backend]


class UnmaskServer(LanguageServer):
    """The server's state: documents, first settings, and the backend once the client has said hello."""

    def __init__(self, make_backend: MakeBackend, settings: Settings) -> None:
        super().__init__("unmask", release(), protocol_cls=Protocol, converter_factory=lenient_converter)
        self.documents = Documents()
        self.statistics = UsageStats()
        self.initial_settings = settings
        """The user's own; once the client has said hello, what `initializationOptions` made of them."""
        self.roots: list[Path] = []
        """The folders of the workspace; where the client has named none, its root."""
        self.privacy = Privacy([])
        self.complaints = Complaints()
        self.backend: Backend | None = None
        self.make_backend = make_backend

    def report_server_error(self, error: Exception, source: object) -> None:
        """Logs, instead of the popup that pygls shows: an error of ours must not stop the user typing."""
        if isinstance(error, JsonRpcException) and error.code == types.LSPErrorCodes.ContentModified.value:
            # whoever types on has made the answer one for another text: nothing is wrong
            return
        # pygls hands on an error of its own, which has no place, while it handles the one that was raised
        logger.error("%s: %s", getattr(source, "__name__", source), place_of(sys.exc_info()[1] or error))

    def read_settings(self, value: object, base: Settings) -> Settings:
        """Returns `base` with what a client has set, and takes note of what is wrong."""
        read, wrong = read_settings(value, base)
        # who says nothing now is not taken to have mended what was said at the start
        if value:
            self.complaints.take(wrong)
        return read

    async def close(self) -> None:
        """Ends the worker."""
        self.statistics.save()
        if self.backend:
            await self.backend.close()


def make_server(make_backend: MakeBackend, settings: Settings | None = None) -> UnmaskServer:
    """Returns a server with its handlers registered; what a client sets goes before `settings`."""
    server = UnmaskServer(make_backend, settings or Settings())
    completers: list[Completer] = []
    warming = Warming(lambda uri, position: completers[0].warm(uri, position))
    announcer = Announcer(server)
    holes = HoleActions(server, server.documents, announcer)
    rewrites = RewriteActions(server, server.documents, announcer)
    watching = Watching(server, server.documents, announcer)
    alternatives = Alternatives(server.documents, announcer)
    edits = serve_copilot_dialect(server, server.documents, server.statistics, lambda: completers[0])

    @server.feature(types.INITIALIZE)
    def initialize(params: types.InitializeParams) -> None:
        server.initial_settings = server.read_settings(params.initialization_options, server.initial_settings)
        server.documents.encoding = cast(Encoding, server.workspace.position_encoding)
        try:
            server.backend = server.make_backend(server.initial_settings)
        except InvalidInput as error:
            logger.error("no model: %s", error)
            server.backend = AbsentBackend(str(error))
        if server.backend.remark:
            logger.warning("%s", server.backend.remark)
        server.roots = _paths([folder.uri for folder in params.workspace_folders or ()] or [server.workspace.root_uri])
        server.privacy = Privacy(server.roots)
        context = Context(server.documents, server.privacy)
        settings, statistics = server.initial_settings, server.statistics
        completers.append(Completer(server.documents, server.backend, context, settings, statistics))
        completers[0].lateness.on_change = tell
        for command in (holes, rewrites, watching, alternatives, edits):
            command.serve_with(completers[0], context, server.backend)

    @server.feature(types.INITIALIZED)
    async def initialized(_: types.InitializedParams) -> None:
        if server.backend:
            server.backend.on_change = changed
            await server.backend.start()
            tell()
        await pull_configuration()

    def changed() -> None:
        if server.backend:
            warming.served_by(server.backend.serving)
        tell()

    def tell() -> None:
        left = completers[0].quiet_until - time.monotonic()
        until = datetime.now() + timedelta(seconds=left) if left > 0 else None
        if server.backend:
            too_late = completers[0].lateness.too_late(server.backend.serving)
            announcer.tell(server.backend, until, server.complaints.in_short, too_late=too_late)

    @server.command(SNOOZE)
    def snooze(*arguments: Any) -> None:
        """Offers nothing unasked for some minutes; 0 ends that."""
        minutes = arguments[0] if arguments else SNOOZE_MINUTES
        if isinstance(minutes, (int, float)) and 0 <= minutes <= MAX_SNOOZE_MINUTES:
            completers[0].quiet_until = time.monotonic() + 60 * minutes
            tell()
            asyncio.get_running_loop().call_later(60 * minutes + 0.1, tell)

    @server.feature(types.WORKSPACE_DID_CHANGE_WORKSPACE_FOLDERS)
    def did_change_workspace_folders(params: types.DidChangeWorkspaceFoldersParams) -> None:
        removed = _paths(folder.uri for folder in params.event.removed or ())
        added = _paths(folder.uri for folder in params.event.added or ())
        server.roots = [*(root for root in server.roots if root not in removed), *added]
        server.privacy.roots = [root.resolve() for root in server.roots]

    async def pull_configuration() -> None:
        workspace = server.client_capabilities.workspace
        if workspace and workspace.configuration:
            wanted = types.ConfigurationParams([types.ConfigurationItem(section=SECTION)])
            (value, *_) = await server.workspace_configuration_async(wanted)
            configure(value)

    def configure(value: object) -> None:
        completers[0].settings = server.read_settings(value, server.initial_settings)
        tell()

    @server.feature(types.WORKSPACE_DID_CHANGE_CONFIGURATION)
    async def did_change_configuration(params: types.DidChangeConfigurationParams) -> None:
        value: Any = params.settings
        if isinstance(value, dict) and SECTION in value:
            configure(value[SECTION])
        else:
            await pull_configuration()

    @server.feature(types.TEXT_DOCUMENT_DID_OPEN)
    def did_open(params: types.DidOpenTextDocumentParams) -> None:
        document = params.text_document
        server.documents.open(document.uri, document.language_id, document.version, document.text)
        warming.opened(document.uri, Position(newlines(document.text).count("\n"), END))

    @server.feature(CURSOR_MOVED)
    def did_move_cursor(params: types.TextDocumentPositionParams) -> None:
        if document := server.documents.get(params.text_document.uri):
            server.documents.touch(document.uri)
            warming.moved(document.uri, to_position(params.position))

    @server.feature(types.TEXT_DOCUMENT_DID_CHANGE)
    def did_change(params: types.DidChangeTextDocumentParams) -> None:
        document = server.documents.get(params.text_document.uri)
        if document is None:
            logger.warning("a change of a document that is not open")
            return
        for change in params.content_changes:
            if isinstance(change, types.TextDocumentContentChangePartial):
                document.replace(to_position(change.range.start), to_position(change.range.end), change.text)
                warming.typed(document.uri, cursor_behind(change))
            else:
                document.replace_all(change.text)
        document.version = params.text_document.version
        server.documents.touch(document.uri)

    @server.feature(types.TEXT_DOCUMENT_DID_SAVE, types.SaveOptions(include_text=True))
    def did_save(params: types.DidSaveTextDocumentParams) -> None:
        document = server.documents.get(params.text_document.uri)
        if document and params.text is not None and not document.holds(params.text):
            # the editor is right; what was lost would shift every later edit
            logger.error("the copy of a document differed from the editor's")
            server.statistics.counts["desynchronised"] += 1
            document.replace_all(params.text)

    @server.feature(types.TEXT_DOCUMENT_DID_CLOSE)
    def did_close(params: types.DidCloseTextDocumentParams) -> None:
        completers[0].forget(params.text_document.uri)
        warming.closed(params.text_document.uri)
        server.documents.close(params.text_document.uri)

    @server.feature(types.TEXT_DOCUMENT_INLINE_COMPLETION, types.InlineCompletionOptions())
    async def inline_completion(params: types.InlineCompletionParams) -> Callable[[], types.InlineCompletionList]:
        invoked = params.context.trigger_kind == types.InlineCompletionTriggerKind.Invoked
        completer = completers[0]
        warming.typed(params.text_document.uri, to_position(params.position))
        began = time.perf_counter()
        try:
            answer = await completer.complete(
                params.text_document.uri,
                to_position(params.position),
                invoked=invoked,
                selected=to_selected(params.context.selected_completion_info),
            )
        except Exception as error:
            logger.error("inline completion failed: %s", place_of(error))
            answer = Answer([])

        server.statistics.took((time.perf_counter() - began) * 1000)
        return to_reply(answer, completer.is_current)

    @server.command(ACCEPTED)
    def accepted(*arguments: Any) -> None:
        """Runs in the client's name after it accepted an item."""
        match arguments:
            case ({"id": int(made)}, *_):
                completers[0].accepted(made)

    @server.feature(types.TEXT_DOCUMENT_CODE_ACTION, types.CodeActionOptions([KIND]))
    def code_action(params: types.CodeActionParams) -> list[types.CodeAction]:
        return [*holes.offered(params), *rewrites.offered(params)]

    async def carried_out(command: HoleActions | RewriteActions | Watching | Alternatives, *arguments: Any) -> object:
        return await command.execute(arguments)

    server.command(FILL_HOLES)(partial(carried_out, holes))
    server.command(REWRITE)(partial(carried_out, rewrites))
    server.command(WATCH)(partial(carried_out, watching))
    server.command(FIND_ALTERNATIVES)(partial(carried_out, alternatives))

    return server


def _paths(uris: Iterable[str | None]) -> list[Path]:
    """The paths of those that have one."""
    return [path for uri in uris if uri and (path := path_of(uri))]


def run(make_backend: MakeBackend, settings: Settings | None = None) -> int:
    """Serves on stdin and stdout until the client goes away, see `make_server`; returns the exit code."""
    begin_log()
    server = make_server(make_backend, settings)
    with contextlib.suppress(BrokenPipeError, KeyboardInterrupt):
        asyncio.run(_serve(server))
    # the reader thread may hang in a read that never returns
    sys.stderr.flush()
    os._exit(cast(Protocol, server.protocol).exit_code)


async def _serve(server: UnmaskServer) -> None:
    stdin, stdout = sys.stdin.buffer, sys.stdout.buffer
    serving = asyncio.create_task(serve_stdio(server.protocol, stdin, stdout))  # type: ignore[arg-type]
    orphaned = asyncio.create_task(orphanhood(lambda: server.process_id))
    saving = asyncio.create_task(_save_now_and_then(server))
    try:
        await asyncio.wait([serving, orphaned], return_when=asyncio.FIRST_COMPLETED)
    finally:
        saving.cancel()
        await server.close()


async def _save_now_and_then(server: UnmaskServer) -> None:
    while True:
        await asyncio.sleep(SAVE_S)
        server.statistics.save()
