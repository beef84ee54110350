"""The picture of `unmask play`: an example filled by a real model, in a real browser."""

from __future__ import annotations

import asyncio
import json
import shutil
from pathlib import Path

from records import BENCHMARKS

from lsp_server.user_settings import UserSettings
from unmask_cli.play.models import Shelf
from unmask_cli.play.server import PageServer
from unmask_cli.play.visit import Opened

DRIVER = BENCHMARKS.parent / "tests" / "editor_clients" / "web" / "driver.mjs"
MODULES = BENCHMARKS.parent / "editor_clients" / "web"


def has_page() -> bool:
    """Returns whether there is a browser, and what drives it."""
    return shutil.which("chromium") is not None and (MODULES / "node_modules").is_dir()


async def photographed(model: str, out: Path) -> Path:
    """Writes the picture, and returns where.

    Args:
        model: as `unmask play --model` has it.
        out: a PNG file.

    Raises:
        SystemExit: where the browser shows no masks.
    """
    server = PageServer(Shelf(UserSettings(model=model)), Opened())
    ready = asyncio.Event()
    running = asyncio.create_task(server.run(0, ready.set))
    await ready.wait()
    driver = await asyncio.create_subprocess_exec(
        "node", str(DRIVER), "picture", server.address, str(MODULES), str(shutil.which("chromium")), str(out),
        stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    said, _ = await driver.communicate()
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    seen = json.loads(said.splitlines()[-1])
    if "error" in seen or not seen["masks"]:
        raise SystemExit(f"the page shows no masks: {seen}")
    return out
