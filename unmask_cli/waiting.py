"""What somebody sees who waits: on a terminal a bar on stderr that goes again, elsewhere nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console

from lsp_server.backends.base import Backend

Advance = Callable[[float, str], None]
"""Shows the share that is done, in [0, 1], and what is done now."""


@contextmanager
def waiting(text: str, console: Console | None = None) -> Iterator[Advance]:
    """Shows that something is done and since when, and how far it is as soon as that is told.

    Args:
        text: what is done.
        console: where it is shown; stderr when absent.
    """
    # slow to import, and most commands have nobody wait
    from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    console = console or Console(stderr=True)
    columns = (SpinnerColumn(), TextColumn("{task.description}", markup=False), BarColumn(), TimeElapsedColumn())
    # what is printed meanwhile goes where it would have gone
    bars = Progress(*columns, console=console, transient=True, redirect_stdout=False, redirect_stderr=False)
    if not console.is_terminal:
        yield lambda _share, _text: None
        return
    with bars:
        task = bars.add_task(text, total=None)
        yield lambda share, now: bars.update(task, completed=share, total=1.0, description=now)


async def until_ready(backend: Backend, console: Console | None = None) -> None:
    """Waits until a backend answers, and shows how much of its model is loaded.

    Raises:
        BackendUnavailable: when it never will; says why.
    """
    with waiting("the model is loading", console) as advance:

        def show() -> None:
            if backend.share_loaded:
                advance(backend.share_loaded, "the model is loading" if backend.share_loaded < 1 else "a first try")

        backend.on_change = show
        try:
            await backend.wait_ready()
        finally:
            backend.on_change = lambda: None
