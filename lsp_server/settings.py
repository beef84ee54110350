"""What a user may set, through `initializationOptions`."""

from __future__ import annotations

import logging
from typing import Any

import msgspec

from coder_model.types import Reach
from lsp_server.quiet import PresetName

logger = logging.getLogger(__name__)


class Settings(msgspec.Struct, frozen=True, rename="camel", forbid_unknown_fields=True):
    """The server's settings, with the names of `initializationOptions`.

    Nothing here can name a program, a file or an address: settings can come from a workspace.
    """

    deadline_ms: float | None = 2000.0
    """Milliseconds after which the leftmost finished run is the answer to an automatic request."""
    deadline_invoked_ms: float | None = 5000.0
    """The same for a request that the user made by hand."""
    preset: PresetName = "balanced"
    """How much is offered without being asked for: `eager`, `balanced`, `quiet` or `manual`."""
    reach: Reach = "auto"
    """How far a suggestion may go: `single` lines, `multi` wherever it fits, or `auto`."""
    languages: dict[str, bool] = {}
    """Language ids that are switched off (false); all others are on."""
    policy: str = "threshold"
    """Unmask policy: `threshold`, `entropy_bound`, `top_k`, `cosine`, or `one_token`."""
    reuse: bool = True
    """Keep a document's KV cache between requests; off only to measure what it saves."""


def read_settings(options: Any) -> Settings:
    """Returns the settings in `initializationOptions`; what is wrong is named once in the log and left at its default.

    Args:
        options: any JSON value.
    """
    if options is None:
        return Settings()
    if not isinstance(options, dict):
        logger.warning("initializationOptions must be an object, got %s", type(options).__name__)
        return Settings()
    known = {field.encode_name: field for field in msgspec.structs.fields(Settings)}
    good: dict[str, Any] = {}
    for name, value in options.items():
        if name not in known:
            logger.warning("unknown setting %r", name)
            continue
        try:
            good[name] = msgspec.convert(value, known[name].type)
        except msgspec.ValidationError as error:
            logger.warning("setting %s: %s", name, error)
    return msgspec.convert(good, Settings)
