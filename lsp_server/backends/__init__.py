"""Where completions come from: anything that turns a fill request into drafts."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Literal, Protocol

from coder_model.types import Draft, FillRequest

State = Literal["starting", "ready", "resting", "down"]
"""`resting`: it has freed its memory, and starts when somebody asks."""


class BackendUnavailable(Exception):
    """There is no model to answer now: it loads, it restarts, or it is down."""


class Backend(Protocol):
    """A local worker, later also a remote one."""

    @property
    def state(self) -> State:
        """Whether a fill would be answered now."""

    async def start(self) -> None:
        """Begins to make the model available; returns at once."""

    def fill(self, request: FillRequest, watch: bool = False) -> AsyncIterator[Draft]:
        """Yields drafts, the last one final; a newer request of the same session ends it.

        Raises:
            Cancelled: when superseded.
            BackendUnavailable: when there is no model, or it goes away.
        """

    async def wait_ready(self) -> None:
        """Returns once a fill would be answered.

        Raises:
            BackendUnavailable: when none will be.
        """

    async def close(self) -> None:
        """Lets go of the model."""
