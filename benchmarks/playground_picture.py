"""The README's picture of `unmask play`: an example filled by a real model, in a real browser."""

from __future__ import annotations

import argparse
import asyncio
import json
import shutil
import tempfile
from pathlib import Path

from lsp_server.user_settings import UserSettings
from unmask_cli.play.models import Shelf
from unmask_cli.play.server import PageServer
from unmask_cli.play.visit import Opened

ROOT = Path(__file__).parents[1]
DRIVER = ROOT / "tests" / "editor_clients" / "web" / "driver.mjs"
MODULES = ROOT / "editor_clients" / "web"


async def photographed(model: str, out: Path) -> None:
    """Writes the picture.

    Args:
        model: as `unmask play --model` has it.
        out: a PNG file.

    Raises:
        SystemExit: where the browser or its driver is missing, or shows no masks.
    """
    chromium = shutil.which("chromium")
    if not chromium or not (MODULES / "node_modules").is_dir():
        raise SystemExit(f"needs chromium on the PATH, and `npm ci` in {MODULES}")
    server = PageServer(Shelf(UserSettings(model=model)), Opened())
    ready = asyncio.Event()
    running = asyncio.create_task(server.run(0, ready.set))
    await ready.wait()
    with tempfile.TemporaryDirectory() as folder:
        page = Path(folder) / "page.png"
        driver = await asyncio.create_subprocess_exec(
            "node", str(DRIVER), "picture", server.address, str(MODULES), chromium, str(page),
            stdout=asyncio.subprocess.PIPE,
        )  # fmt: skip
        said, _ = await driver.communicate()
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        seen = json.loads(said.splitlines()[-1])
        if "error" in seen or not seen["masks"]:
            raise SystemExit(f"the page shows no masks: {seen}")
        shutil.copyfile(page, out)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="qwen2.5-coder-0.5b")
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    asyncio.run(photographed(arguments.model, arguments.out))
