"""What clients of Copilot's language server say besides the protocol; front ends made for it work with this server.

Source: copilot-language-server-release, README. A client tells what it shows (`didShowCompletion`,
`didShowInlineEdit`), what part of it was taken (`didPartiallyAcceptCompletion`) and which document has the focus
(`didFocus`), and asks for the next edit (`copilotInlineEdit`). What cannot be read is passed over: nobody is to see an
error for it.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from pygls.lsp.server import LanguageServer

from lsp_server.completion import Completer
from lsp_server.documents import Documents, Position
from lsp_server.edit_offers import ACCEPTED_EDIT, EditOffers
from lsp_server.protocol import FOCUSED, INLINE_EDIT, PARTLY_ACCEPTED, SHOWN_COMPLETION, SHOWN_EDIT
from lsp_server.usage_stats import UsageStats

logger = logging.getLogger(__name__)


def serve_copilot_dialect(
    server: LanguageServer, documents: Documents, statistics: UsageStats, completer: Callable[[], Completer]
) -> EditOffers:
    """Registers the handlers; returns what answers requests for the next edit.

    Args:
        server: gets the handlers.
        documents: the open ones.
        statistics: takes note of what is shown and taken.
        completer: returns what completes, once the client has said hello.
    """
    offers, counts = EditOffers(documents, statistics.counts), statistics.counts

    @server.feature(INLINE_EDIT)
    async def inline_edit(params: Any) -> Callable[[], dict[str, Any]]:
        match params:
            case {
                "textDocument": {"uri": str(uri), **identifier},
                "position": {"line": int(line), "character": int(character)},
            }:
                version = identifier.get("version")
                known = version if isinstance(version, int) else None
                try:
                    return await offers.offer(uri, known, Position(line, character))
                except Exception as error:
                    # without its message: that may quote the user's text
                    logger.error("next edit failed: %s", type(error).__name__)
        return lambda: {"edits": []}

    @server.command(ACCEPTED_EDIT)
    def accepted_edit(*_: Any) -> None:
        """Runs in the client's name after it accepted an edit."""
        offers.accepted()

    @server.feature(SHOWN_COMPLETION)
    def did_show_completion(_: Any) -> None:
        counts["seen"] += 1

    @server.feature(SHOWN_EDIT)
    def did_show_inline_edit(_: Any) -> None:
        counts["edits_seen"] += 1

    @server.feature(PARTLY_ACCEPTED)
    def did_partially_accept_completion(_: Any) -> None:
        completer().partly_accepted()

    @server.feature(FOCUSED)
    def did_focus(params: Any) -> None:
        match params:
            case {"textDocument": {"uri": str(uri)}}:
                documents.touch(uri)

    return offers
