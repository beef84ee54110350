"""The best local model that this machine runs fast enough, and the embedded one until that is there.

The embedded model answers within a second of the start. Meanwhile the installed models are tried from the smallest up,
and each that makes a suggestion in time takes over from the one before it: a fill that runs ends where it began, the
next one goes to the better model. When that one rests, dies or breaks, the embedded one answers again.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
from collections import Counter
from collections.abc import AsyncGenerator, Callable, Coroutine, Sequence
from dataclasses import dataclass
from typing import Any

from coder_model.checkpoints.store import EMBEDDED
from coder_model.types import Draft, FillRequest
from lsp_server.backends.base import BackendUnavailable, State
from lsp_server.backends.local import WorkerBackend
from lsp_server.backends.model_times import ModelTimes

logger = logging.getLogger(__name__)

LEAST_GROWTH = 0.5
"""A model of twice the size takes between once and twice the time: it is tried when the mean of both is in time."""

RETRIED_AFTER_S = 600.0
"""Until the smallest model is tried again where none was fast enough, doubled each time: something else may have kept
the machine busy."""

MakeBackend = Callable[[], WorkerBackend]


@dataclass(frozen=True, slots=True)
class Rung:
    """A model that may be taken."""

    name: str
    key: str
    """Names the model and its precision among the times."""
    parameters: float
    """In billions."""
    make: MakeBackend
    limit_ms: float
    """Most milliseconds of a usual suggestion; infinite for a model that the user has named."""


def expected_ms(ms: float, growth: float) -> float:
    """Returns the time of a suggestion that is expected of a model `growth` times as large as one that takes `ms`."""
    return ms * (1 + LEAST_GROWTH * (growth - 1))


def first_rung(rungs: Sequence[Rung], times: ModelTimes) -> int:
    """Returns the index of the largest model that is known to be fast enough; 0 when none is."""
    known = [(index, times.of(rung.key)) for index, rung in enumerate(rungs)]
    return max((index for index, ms in known if ms is not None and ms <= rungs[index].limit_ms), default=0)


class ModelLadder:
    """A `Backend` of several workers, of which one answers at a time."""

    receiver = ""
    editor = None

    def __init__(self, embedded: MakeBackend, rungs: Sequence[Rung], times: ModelTimes, hint: str = "") -> None:
        """Takes the models.

        Args:
            embedded: how that one is started.
            rungs: the others, from the smallest to the largest.
            times: what they are known to take.
            hint: said beside the name of the embedded model.
        """
        self.remark = ""
        self._hint = hint
        self.on_change: Callable[[], None] = lambda: None
        self._make_embedded, self._rungs, self._times = embedded, rungs, times
        self._stand_in: WorkerBackend | None = None
        self._best: WorkerBackend | None = None
        self._best_parameters = 0.0
        """In billions."""
        self._tried: WorkerBackend | None = None
        """The one that is being loaded, to be taken if it is fast enough."""
        self._tried_name = ""
        self._running: Counter[WorkerBackend] = Counter()
        """Fills on their way, by the worker that does them."""
        self._tasks: set[asyncio.Task[Any]] = set()
        self._changed = asyncio.Event()

    @property
    def reason(self) -> str:
        """Why the state is `down`."""
        return self._stand_in.reason if self._stand_in else ""

    @property
    def share_loaded(self) -> float:
        """Share of the embedded model that is loaded, in [0, 1]."""
        return self._stand_in.share_loaded if self._stand_in else 0.0

    @property
    def description(self) -> str:
        """Which model answers, how fast, and which one is on its way."""
        serving = self._serving()
        text = serving.description if serving else "not loaded"
        if self._hint and serving is self._stand_in:
            text += f"; {self._hint}"
        if self._tried:
            text += f"; {self._tried_name} is loading ({self._tried.share_loaded:.0%})"
        return text

    @property
    def state(self) -> State:
        """That of the best worker there is."""
        states: list[State] = [worker.state for worker in (self._best, self._stand_in) if worker]
        order: tuple[State, ...] = ("ready", "starting", "resting", "down")
        return next((state for state in order if state in states), "starting")

    @property
    def serving(self) -> object | None:
        """The same of the worker that answers."""
        worker = self._serving()
        return worker and worker.serving

    @property
    def judges(self) -> bool:
        """The same of the worker that answers."""
        worker = self._serving()
        return worker is not None and worker.judges

    async def start(self) -> None:
        """Begins to load the embedded model, and the better ones beside it; returns at once."""
        self._begin_stand_in()
        self._do(self._climb_again())

    async def wait_ready(self) -> None:
        """Waits until one of the models answers; wakes the workers that rest.

        Raises:
            BackendUnavailable: when none will, with the reason.
        """
        for worker in (self._best, self._stand_in):
            if worker:
                worker.wake()
        if not self._serving():
            self._begin_stand_in()
        while not self._serving():
            if self.state == "down":
                raise BackendUnavailable(self.reason)
            await self._changed.wait()

    async def fill(self, request: FillRequest, watch: bool = False) -> AsyncGenerator[Draft, None]:
        """Yields drafts, the last one final; see `Backend.fill`."""
        worker = self._serving()
        if worker is None:
            raise BackendUnavailable(self.reason or "the model is loading")
        self._running[worker] += 1
        try:
            async with contextlib.aclosing(worker.fill(request, watch)) as drafts:
                async for draft in drafts:
                    yield draft
        finally:
            self._running[worker] -= 1
            self._note_change()

    def warm(self, request: FillRequest) -> None:
        """Has the text around a hole read by the worker that answers."""
        if worker := self._serving():
            worker.warm(request)

    async def close(self) -> None:
        """Lets go of all workers."""
        self.on_change = lambda: None
        for task in self._tasks.copy():
            task.cancel()
        for worker in {self._stand_in, self._best, self._tried, *self._running} - {None}:
            assert worker
            await worker.close()

    def _serving(self) -> WorkerBackend | None:
        """The worker that a fill goes to now."""
        return next((worker for worker in (self._best, self._stand_in) if worker and worker.state == "ready"), None)

    def _begin_stand_in(self) -> None:
        if self._stand_in is None:
            self._stand_in = self._watched(self._make_embedded())
            self._do(self._load(self._stand_in, EMBEDDED, self._times.of(EMBEDDED)))

    async def _climb_again(self) -> None:
        """Climbs, and once more after a while where that led nowhere."""
        await self._climb()
        rest_s = RETRIED_AFTER_S
        while not self._best and self._rungs and self._times.of(self._rungs[0].key) is not None:
            await asyncio.sleep(rest_s)
            rest_s *= 2
            await self._try(self._rungs[0], None)

    async def _climb(self) -> None:
        """Tries the rungs from the best that is known to be fast enough up, as long as the next one promises to be."""
        for rung in self._rungs[first_rung(self._rungs, self._times) :]:
            known = self._times.of(rung.key)
            if known is not None and known > rung.limit_ms:
                continue
            if self._best and self._expected_ms(rung) > rung.limit_ms:
                return
            await self._try(rung, known)

    def _expected_ms(self, rung: Rung) -> float:
        """What a suggestion of a larger model would take, by what the present one takes."""
        assert self._best
        assert self._best.ready
        return expected_ms(self._best.ready.suggestion_ms, rung.parameters / self._best_parameters)

    async def _load(self, worker: WorkerBackend, key: str, known_ms: float | None) -> str:
        """Loads a model, and keeps what it takes; returns why it does not answer, empty when it does."""
        worker.known_ms = known_ms
        await worker.start()
        try:
            await worker.wait_ready()
        except BackendUnavailable as error:
            return str(error)
        assert worker.ready
        self._times.note(key, worker.ready.suggestion_ms)
        return ""

    async def _try(self, rung: Rung, known_ms: float | None) -> None:
        """Loads a model and takes it if it is fast enough; measures that when it is not known."""
        worker = self._tried = self._watched(rung.make())
        self._tried_name = rung.name
        ms = math.inf
        if reason := await self._load(worker, rung.key, known_ms):
            self.remark = f"{rung.name}: {reason}"
        elif worker.ready:
            ms = self._times.of(rung.key) or worker.ready.suggestion_ms
            logger.info("%s takes %.0f ms a suggestion, at most %.0f are wanted", rung.name, ms, rung.limit_ms)
        self._tried = None
        if ms <= rung.limit_ms and worker.ready:
            older, self._best, self._best_parameters = self._best, worker, rung.parameters
            self._retire(older)
        else:
            self._retire(worker)
        self._note_change()

    def _retire(self, worker: WorkerBackend | None) -> None:
        """Lets go of a worker once its last fill has ended."""
        if worker:
            self._running.setdefault(worker, 0)

    def _note_change(self) -> None:
        """Tells those who wait, and lets go of the workers that nobody needs any more."""
        if self._best and self._best.state == "down":
            self.remark = f"{self._best.description}: {self._best.reason}"
            self._retire(self._best)
            self._best = None
            self._begin_stand_in()
        elif self._stand_in and self._best and self._best.state == "ready":
            self._retire(self._stand_in)
            self._stand_in = None
        for worker in [worker for worker, fills in self._running.items() if not fills]:
            del self._running[worker]
            if worker not in (self._stand_in, self._best, self._tried):
                self._do(worker.close())
        self._changed.set()
        self._changed = asyncio.Event()
        self.on_change()

    def _watched(self, worker: WorkerBackend) -> WorkerBackend:
        worker.on_change = self._note_change
        return worker

    def _do(self, work: Coroutine[Any, Any, object]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
