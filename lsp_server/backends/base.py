"""Where completions come from: anything that turns a fill request into drafts."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from typing import Literal, Protocol

from coder_model.types import Draft, FillRequest

State = Literal["starting", "ready", "resting", "down"]
"""`resting`: it has freed its memory, and starts when somebody asks."""


Editor = Callable[[FillRequest, Sequence[str]], Awaitable[tuple[str, str] | None]]
"""(the text around a cursor, the last edits as unified diffs with the newest last) -> the lines around the cursor and
what takes their place, or None; raises as `Backend.fill` does."""


class BackendUnavailable(Exception):
    """There is no model to answer now: it loads, it restarts, or it is down."""


class Backend(Protocol):
    """A local worker, or a server elsewhere."""

    receiver: str
    """The host that code goes to; empty when it stays on this machine."""
    remark: str
    """What is wrong with the user's settings although there is a model; empty when nothing is."""
    on_change: Callable[[], None]
    """Called after the state has changed."""

    @property
    def editor(self) -> Editor | None:
        """What rewrites the lines around a cursor; None where the model only fills holes."""

    @property
    def description(self) -> str:
        """Which model this is, for people."""

    @property
    def reason(self) -> str:
        """Why the state is `down`."""

    @property
    def share_loaded(self) -> float:
        """Share of the model that is loaded, in [0, 1], as far as it is known."""

    @property
    def state(self) -> State:
        """Whether a fill would be answered now."""

    @property
    def serving(self) -> object | None:
        """The object that would answer now and may read ahead, another one after each change; None: nothing answers."""

    @property
    def judges(self) -> bool:
        """Whether what would answer now tells how likely it finds a text (`FillRequest.judged`)."""

    async def start(self) -> None:
        """Begins to make the model available; returns at once."""

    def fill(self, request: FillRequest, watch: bool = False) -> AsyncGenerator[Draft, None]:
        """Yields drafts, the last one final; a newer request of the same session ends it.

        Raises:
            Cancelled: when superseded.
            BackendUnavailable: when there is no model, or it goes away.
        """

    def warm(self, request: FillRequest) -> None:
        """Has the text around a hole read before somebody asks, where that costs nobody anything; returns at once."""

    async def wait_ready(self) -> None:
        """Returns once a fill would be answered.

        Raises:
            BackendUnavailable: when none will be.
        """

    async def close(self) -> None:
        """Lets go of the model."""


class AbsentBackend:
    """Stands in for one that cannot be made: the reason is told as a status, and nothing is offered."""

    description = "none"
    share_loaded = 0.0
    receiver = ""
    remark = ""
    serving = None
    judges = False
    editor = None

    def __init__(self, reason: str) -> None:
        self.reason = reason
        self.on_change: Callable[[], None] = lambda: None

    @property
    def state(self) -> State:
        """`down`."""
        return "down"

    async def start(self) -> None:
        """Does nothing."""

    async def fill(self, request: FillRequest, watch: bool = False) -> AsyncGenerator[Draft, None]:  # noqa: ARG002
        """Raises BackendUnavailable."""
        await self.wait_ready()
        yield Draft("", True, 1.0, 0, 0, 0.0)

    def warm(self, request: FillRequest) -> None:
        """Does nothing."""

    async def wait_ready(self) -> None:
        """Raises BackendUnavailable."""
        raise BackendUnavailable(self.reason)

    async def close(self) -> None:
        """Does nothing."""
