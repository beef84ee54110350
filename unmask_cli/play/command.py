"""`unmask play`: starts the page's server and opens the page."""

from __future__ import annotations

import asyncio
import webbrowser
from pathlib import Path

from lsp_server.user_settings import UserSettings
from unmask_cli.play.models import Shelf
from unmask_cli.play.server import PageServer
from unmask_cli.play.visit import Opened


async def play(file: Path | None, user: UserSettings, port: int, *, opens: bool) -> None:
    """Serves the page until the program is interrupted.

    Args:
        file: whose text the editor begins with; an example where there is none. It is never written.
        user: which model is taken first.
        port: 0 for any that is free.
        opens: whether the browser is asked to open the page.

    Raises:
        InvalidInput: when the file is none that a model may see, or the port is taken.
    """
    server = PageServer(Shelf(user), Opened.of(file))
    tasks = set()

    def ready() -> None:
        print(
            f"{server.address}\nthe page is open to this machine's user as long as this runs; Ctrl-C ends it",
            flush=True,
        )
        if opens:
            tasks.add(asyncio.create_task(_open(server.address)))

    await server.run(port, ready)


async def _open(address: str) -> None:
    """Asks for a browser, which may take its time to start."""
    try:
        is_there = await asyncio.to_thread(webbrowser.open, address)
    except webbrowser.Error:
        is_there = False
    if not is_there:
        print("no browser was found: open the address above in one on this machine", flush=True)
