"""What a user may set: in `initializationOptions`, and later under `unmask` in the client's configuration."""

from __future__ import annotations

import logging
import math
from typing import Any, get_args

import msgspec

from coder_model.engine.options import EngineOptions, PolicyName
from coder_model.ranges import Milliseconds, ShareAsked
from coder_model.text.filters import FilterName
from coder_model.types import Reach
from lsp_server.trigger_policy import PresetName

logger = logging.getLogger(__name__)


class Settings(msgspec.Struct, frozen=True, rename="camel", forbid_unknown_fields=True):
    """The server's settings; clients write the names in camel case.

    Nothing here can name a program, a file or an address: settings can come from a workspace. The user's own file has
    them too, and more (`UserSettings`).
    """

    deadline_ms: Milliseconds = 2000.0
    """Milliseconds after which the leftmost run that parses is the answer to an automatic request."""
    deadline_invoked_ms: Milliseconds = 5000.0
    """The same for a request that the user made by hand."""
    target_ms: Milliseconds = 300.0
    """Most milliseconds of a usual suggestion: the best installed model within it is taken; read at the start."""
    preset: PresetName = "balanced"
    """How much is offered without being asked for: `eager`, `balanced`, `quiet` or `manual`."""
    least_right: ShareAsked | None = None
    """Share of suggestions as sure as a shown one that must have been right, in place of what the preset asks for."""
    reach: Reach = "auto"
    """How far a suggestion may go: `single` lines, `multi` wherever it fits, or `auto`."""
    languages: dict[str, bool] = {}
    """Language ids that are switched off (false); all others are on."""
    filters_off: tuple[FilterName, ...] = ()
    """Names of filters that are left out, see `coder_model/text/filters.py`."""
    policy: PolicyName = "threshold"
    """Unmask policy: `threshold`, `entropy_bound`, `top_k`, `cosine`, or `one_token`."""
    reuse: bool = True
    """Keep a document's KV cache between requests; off only to measure what it saves."""


def engine_options(settings: Settings) -> EngineOptions:
    """Returns what of the settings is the engine's."""
    return EngineOptions(policy=settings.policy, reuse=settings.reuse, filters_off=settings.filters_off)


def read_settings(value: Any, base: Settings) -> tuple[Settings, list[str]]:
    """Returns `base` with what a client has set, and what is wrong with it: that keeps its value in `base`.

    Args:
        value: any JSON value; None changes nothing.
        base: settings to change.
    """
    # an empty table of Lua comes as an empty list
    if value is None or value == []:
        return base, []
    if not isinstance(value, dict):
        return base, [f"settings must be an object, got {type(value).__name__}"]
    known = {field.encode_name: field for field in msgspec.structs.fields(Settings)}
    good: dict[str, Any] = {}
    wrong: list[str] = []
    for name, new in value.items():
        if name not in known:
            wrong.append(f"unknown setting {name!r}")
            continue
        try:
            # JSON has no such numbers, some clients do
            if isinstance(new, float) and not math.isfinite(new):
                raise msgspec.ValidationError(f"expected a number, got {new}")
            is_empty_table = new == [] and known[name].type == dict[str, bool]
            good[known[name].name] = msgspec.convert({} if is_empty_table else new, known[name].type)
        except msgspec.ValidationError as error:
            choices = [choice for choice in get_args(known[name].type) if isinstance(choice, str)]
            said = f"must be one of {', '.join(choices)}, got {new!r:.60}" if choices else str(error)
            wrong.append(f"setting {name}: {said}")
    return msgspec.structs.replace(base, **good), wrong


class Complaints:
    """What is wrong with a client's settings: named in the log once, and in the status until it is right."""

    def __init__(self) -> None:
        self._wrong: list[str] = []
        self._named: set[str] = set()

    def take(self, wrong: list[str]) -> None:
        """Takes what is wrong now, instead of what was wrong before."""
        self._wrong = list(dict.fromkeys(wrong))
        for complaint in self._wrong:
            if complaint not in self._named:
                self._named.add(complaint)
                logger.warning(complaint)

    @property
    def in_short(self) -> str:
        """The first of them, and how many more there are; empty when there are none."""
        if len(self._wrong) < 2:
            return "".join(self._wrong)
        return f"{self._wrong[0]} (and {len(self._wrong) - 1} more, see the log)"
