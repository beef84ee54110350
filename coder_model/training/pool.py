"""Processes that share the preparation of a corpus."""

from __future__ import annotations

import multiprocessing
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing.pool import Pool
from typing import Any


@contextmanager
def processes(number: int, begin: Callable[..., None] | None = None, arguments: tuple[Any, ...] = ()) -> Iterator[Pool]:
    """Yields so many processes; Ctrl-C, which a terminal sends to all of them, is for the one that has started them.

    Args:
        number: of processes.
        begin: called in each of them first.
        arguments: of `begin`.
    """
    # spawn, not fork: libraries of the caller may have started threads
    context = multiprocessing.get_context("spawn")
    if threading.current_thread() is not threading.main_thread():
        with context.Pool(number, begin, arguments) as pool:
            yield pool
        return
    # what a process ignores when it starts another one is ignored there from its first moment
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        pool = context.Pool(number, begin, arguments)
    finally:
        signal.signal(signal.SIGINT, before)
    with pool:
        yield pool
