"""Checks in processes of their own, several at a time: kernels compile beside each other, and a crash costs one check.

A kernel that reads where it must not spoils its whole process, and one that hangs never returns. What is compiled here
lies in Triton's cache afterwards, so that whoever measures does not wait for a compiler.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import queue
import time
import traceback
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from multiprocessing.connection import Connection
from typing import Any

import timing
import torch

SECONDS = 75.0
"""Of a check, the start of its process counted; then it is ended."""
Record = dict[str, Any]
Check = Callable[[str], Record]
_PROCESSES = multiprocessing.get_context("spawn")


def attempt(run: Callable[[], Record]) -> Record:
    """Returns what is found, or why it could not be: one failure must not cost the rest of a lent machine's time."""
    try:
        return run()
    except Exception as error:
        traceback.print_exc()
        return {"failed": f"{type(error).__name__}: {error}"[:300]}


def results(names: Iterable[str], check: Check, workers: int, minutes: float) -> dict[str, Record]:
    """Returns what is found for each name for which the time suffices.

    Args:
        names: of checks, in the order in which they are begun.
        check: finds it, in another process, which gets it by the name of its module.
        workers: processes at a time.
        minutes: after which no check is begun.
    """
    end = time.monotonic() + 60 * minutes
    waiting: queue.SimpleQueue[str] = queue.SimpleQueue()
    for name in names:
        waiting.put(name)
    found: dict[str, Record] = {}
    with ThreadPoolExecutor(workers) as pool:
        for done in [pool.submit(_work_off, waiting, check, found, end) for _ in range(workers)]:
            done.result()
    return found


def _work_off(waiting: queue.SimpleQueue[str], check: Check, found: dict[str, Record], end: float) -> None:
    worker: _Worker | None = None
    while time.monotonic() < end:
        try:
            name = waiting.get_nowait()
        except queue.Empty:
            break
        worker = worker if worker and worker.process.is_alive() else _Worker(check)
        found[name] = worker.ask(name)
    if worker:
        worker.close()


class _Worker:
    """A process that does checks."""

    def __init__(self, check: Check) -> None:
        self._connection, theirs = _PROCESSES.Pipe()
        self.process = _PROCESSES.Process(target=_serve, args=(theirs, check), daemon=True)
        self.process.start()
        theirs.close()

    def ask(self, name: str) -> Record:
        try:
            self._connection.send(name)
            if self._connection.poll(SECONDS):
                record: Record = self._connection.recv()
                return record
            self.process.kill()
        except (EOFError, OSError):
            pass
        self.process.join()
        return {"failed": f"the process ended with {self.process.exitcode}"}

    def close(self) -> None:
        self._connection.close()
        self.process.join()


def _serve(connection: Connection, check: Check) -> None:
    # several processes share the memory of a device
    timing.TOO_LARGE_TO_STAY = 0
    with torch.inference_mode(), contextlib.suppress(EOFError):
        while True:
            connection.send(attempt(partial(check, connection.recv())))
            if torch.cuda.is_available():
                # an error that stays raises again, and ends the process
                torch.cuda.synchronize()
                torch.cuda.empty_cache()
