"""What is asked of an engine when more is wanted than it can do: less work for each, before anybody is refused.

`docs/shared-server.md` has what is right at each level.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from enum import IntEnum

from coder_model.types import Decoding, FillRequest

LEAST_MS = 1.0
RESERVE_MS = 20.0
"""Milliseconds before the deadline at which the engine is to be done, for the way back."""


class Priority(IntEnum):
    """Who waits for an answer; the last are refused first."""

    MANUAL = 0
    """Somebody has asked for it by hand."""
    TYPING = 1
    """Somebody types; an editor asks by itself."""
    PREFETCH = 2
    """Nobody waits yet."""


@dataclass(frozen=True, slots=True)
class Level:
    """How much work a request gets."""

    waiting_per_slot: float
    """The level begins where so many wait for each that runs."""
    time: float = 1.0
    """Share of the time until the deadline after which an engine answers with what is decided."""
    blocks: bool = True
    """Whether a request that nobody made by hand gets more than a line."""
    others: bool = True
    """Whether there are second and third suggestions."""
    max_steps: int = 0
    """Denoise steps of a block, for a model that verifies nothing; 0: as the engine's options say."""
    prefetch: bool = True
    """Whether anything is done that nobody waits for."""


LEVELS = (
    Level(0.0),
    Level(0.5, others=False, prefetch=False),
    Level(1.0, others=False, prefetch=False, blocks=False, max_steps=8),
    Level(2.0, others=False, prefetch=False, blocks=False, max_steps=4, time=0.5),
)
"""From all that is asked to the least, after which requests are refused: what was expired first, then prefetches, then
those of typing, then those made by hand."""


def level_of(waiting: int, slots: int) -> int:
    """Returns the index of the level that is due.

    Args:
        waiting: requests.
        slots: requests that run at a time.
    """
    load = waiting / max(1, slots)
    return max(index for index, level in enumerate(LEVELS) if load >= level.waiting_per_slot)


def lowered(
    request: FillRequest, level: Level, priority: Priority, left_ms: float, controls: Collection[str]
) -> FillRequest:
    """Returns a request as an engine gets it at a level.

    Args:
        request: as it was asked.
        level: of `LEVELS`.
        priority: requests by hand keep their blocks.
        left_ms: milliseconds until the deadline.
        controls: fields of `Decoding` that change what the engine does.
    """
    steps = level.max_steps if "max_steps" in controls and "frugal" not in controls else 0
    return replace(
        request,
        count=request.count if level.others else 1,
        hole=request.hole if level.blocks or priority is Priority.MANUAL else "line",
        deadline_ms=max(LEAST_MS, level.time * left_ms - RESERVE_MS),
        decoding=Decoding(max_steps=steps, frugal=True) if steps else request.decoding,
    )
