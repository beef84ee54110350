"""The engine as a process that all editor windows of a user share: frames of `coder_model.worker.protocol` on a socket.

Threads of `connections.py` fill the queue, the main thread serves it. The newest request of a session supersedes its
older ones: those that wait are dropped at once, the running one stops before its next pass.
"""

from __future__ import annotations

import argparse
import os
import socket
import time
import traceback
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Protocol

from coder_model.errors import ModelFileError, place_of
from coder_model.types import Cancelled, Draft, FillRequest
from coder_model.worker.connections import Connections
from coder_model.worker.protocol import Broken, Dropped, Fill, FillProgress, Loading, Ready, Resting
from coder_model.worker.request_queue import Job, RequestQueue
from coder_model.worker.threads import limit_threads

IDLE_S = 300.0
"""Seconds without a request after which the worker frees its memory by ending."""
LOAD_STEP = 0.05
CHECK_S = 600.0
"""How often the weights in memory are checked against their checksum while the worker is in use."""


class FillEngine(Protocol):
    """What the worker needs of an engine."""

    name: str
    parameters: int
    suggestion_ms: float
    """What a usual suggestion takes here, in milliseconds; known after `warm_up`."""
    judges: bool
    """Whether it answers `FillRequest.judged`."""
    controls: tuple[str, ...]
    """Fields of `Decoding` that change what it does."""

    @property
    def max_concurrent(self) -> int:
        """Fills that may run at the same time, each in a thread of its own."""

    def warm_up(self, known_ms: float | None) -> None:
        """Makes the first real fill as quick as the later ones; measures a usual suggestion if that is not known."""

    def is_intact(self) -> bool:
        """Returns whether the weights in memory still give the answer that they gave at first."""

    def reduce_memory(self) -> bool:
        """Makes do with less memory from now on; returns False when that is not possible."""

    def fill(self, request: FillRequest, cancelled: Callable[[], bool], watch: bool) -> Iterator[Draft]:
        """Yields drafts, the last one final; raises Cancelled once `cancelled` says so."""

    def warm(self, request: FillRequest, cancelled: Callable[[], bool]) -> object:
        """Reads what a fill would read; raises Cancelled once `cancelled` says so."""


MakeEngine = Callable[[Callable[[float], None]], FillEngine]
"""Loads the model; calls its argument with the share in [0, 1] that is there."""


def serve(
    make_engine: MakeEngine, listener: socket.socket, idle_s: float = IDLE_S, known_ms: float | None = None
) -> int:
    """Loads the engine and serves until the last client has gone, which ends the process, or nobody asks for long.

    Args:
        make_engine: loads the model.
        listener: a listening Unix-domain socket, bound to a path.
        idle_s: seconds.
        known_ms: what a usual suggestion takes here, in milliseconds; None has it measured, which is a quarter
            of a start.

    Returns:
        The exit code: 1 when the engine cannot be made, or its file is not what it was, and clients have been told why,
            or when it is damaged.
    """
    queue = RequestQueue()
    connections = Connections(listener, queue)
    connections.let_in()
    began = time.perf_counter()
    try:
        engine = make_engine(_in_steps(lambda share: connections.mention(Loading(share))))
        engine.warm_up(known_ms)
        load_ms = (time.perf_counter() - began) * 1000
        about = (engine.name, engine.parameters, load_ms, engine.suggestion_ms, engine.judges, engine.controls)
        connections.tell(Ready(*about, engine.max_concurrent))
        checked = time.monotonic()
        queue.max_concurrent = engine.max_concurrent
        runner = _Runner(engine, queue)
        while job := queue.take(idle_s):
            runner.run(job)
            if time.monotonic() - checked > CHECK_S:
                if not engine.is_intact():
                    # the memory is damaged, not the file: another worker will do better
                    connections.retire()
                    return 1
                checked = time.monotonic()
    except (ValueError, ImportError, MemoryError, RuntimeError) as error:
        if _is_out_of_memory(error):
            reason = "the model must have more memory than there is: a smaller one would fit, or --quantize int4"
        elif isinstance(error, RuntimeError):
            raise
        else:
            reason = str(error)
        connections.tell(Broken(reason))
        connections.retire()
        return 1
    connections.tell(Resting())
    connections.retire()
    return 0


class _Runner:
    """Runs jobs: where there is one at a time here and now, else each in a thread."""

    def __init__(self, engine: FillEngine, queue: RequestQueue) -> None:
        self._engine, self._queue = engine, queue
        self._threads = ThreadPoolExecutor(engine.max_concurrent) if engine.max_concurrent > 1 else None

    def run(self, job: Job) -> None:
        """Runs a job, or has it run."""
        if self._threads:
            self._threads.submit(self._run_there, job)
        else:
            self._run_here(job)

    def _run_here(self, job: Job) -> None:
        try:
            _answer(self._engine, job, self._queue)
        finally:
            self._queue.finish(job)

    def _run_there(self, job: Job) -> None:
        try:
            self._run_here(job)
        except BaseException:
            # what is not of one request ends the worker, as it does where there are no threads
            traceback.print_exc()
            os._exit(1)


def _in_steps(tell: Callable[[float], None]) -> Callable[[float], None]:
    """Returns a listener that passes a share on when it has grown by `LOAD_STEP`."""
    told = 0.0

    def hear(share: float) -> None:
        nonlocal told
        if share >= told + LOAD_STEP:
            told = share
            tell(share)

    return hear


def _answer(engine: FillEngine, job: Job, queue: RequestQueue) -> None:
    """Does what a job wants and sends the end of a fill; with less of the context when memory runs out."""
    work, cancelled = job.work, partial(queue.unwanted, job)
    failure = ""
    while True:
        try:
            if isinstance(work, Fill):
                job.client.send(_filled(engine, job, work, cancelled))
            else:
                engine.warm(work.request, cancelled)
            return
        except Cancelled:
            break
        except ModelFileError:
            # what is left of the file is of no use to anybody: the front says so, and has another model answer
            raise
        except Exception as error:
            # whatever one text brings about, the other windows have their answers
            if not (_is_out_of_memory(error) and engine.reduce_memory()):
                failure = place_of(error)
                break
    if isinstance(work, Fill):
        job.client.send(Dropped(work.id, failure))


def _filled(engine: FillEngine, job: Job, fill: Fill, cancelled: Callable[[], bool]) -> FillProgress:
    """Runs one fill; returns its last message."""
    last: FillProgress | None = None
    for draft in engine.fill(fill.request, cancelled, fill.watch):
        if last and fill.watch:
            job.client.send(last)
        last = FillProgress(fill.id, draft)
    assert last is not None
    assert last.draft.final
    return last


def _is_out_of_memory(error: Exception) -> bool:
    # torch says it with an error of its own on a GPU, and with words on a CPU
    return isinstance(error, MemoryError) or "OutOfMemory" in type(error).__name__ or "allocate memory" in str(error)


def _make_engine(
    model: str, verifier: str, quantize: str, options: str, progress: Callable[[float], None]
) -> FillEngine:
    limit_threads()
    from coder_model.checkpoints.open import open_engine
    from coder_model.engine.options import EngineOptions

    return open_engine(model, EngineOptions.from_json(options), quantize, progress, verifier)


def listener_at(descriptor: int) -> socket.socket:
    """Returns the listening socket that the process has inherited."""
    return socket.socket(fileno=descriptor)


def main() -> int:
    """Runs the worker on a socket that it has inherited."""
    parser = argparse.ArgumentParser("coder_model.worker.main")
    parser.add_argument("--model", default="", help="directory, GGUF file, or name of an installed model")
    parser.add_argument("--verifier", default="", help="an autoregressive model that verifies the drafts of the first")
    parser.add_argument("--quantize", default="auto", help="precision of a published model's weights")
    parser.add_argument("--options", default="{}", help="JSON of `EngineOptions`")
    parser.add_argument("--idle-seconds", type=float, default=IDLE_S)
    parser.add_argument("--known-ms", type=float, help="what a suggestion takes here, where it need not be measured")
    parser.add_argument("--replica", default="", help="tells apart workers that are alike: each has its own socket")
    parser.add_argument("--listener", type=int, required=True, help="file descriptor of a listening socket")
    arguments = parser.parse_args()
    make_engine = partial(_make_engine, arguments.model, arguments.verifier, arguments.quantize, arguments.options)
    return serve(make_engine, listener_at(arguments.listener), arguments.idle_seconds, arguments.known_ms)


if __name__ == "__main__":
    # not sys.exit: threads wait in reads that end with the process
    os._exit(main())
