"""Whether the editor that started the server is still there."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from pathlib import Path

CHECK_S = 2.0


async def orphanhood(process_id: Callable[[], int | None]) -> None:
    """Returns when the client's process is gone although its end of the pipe is still held open.

    Args:
        process_id: of the client, None until it has said so.
    """
    while True:
        await asyncio.sleep(CHECK_S)
        if (number := process_id()) is not None and not is_alive(number):
            return


def is_alive(process_id: int) -> bool:
    """Returns whether a process runs."""
    try:
        os.kill(process_id, 0)
        # a process that nobody has waited for is dead all the same (proc(5), state Z)
        return Path(f"/proc/{process_id}/stat").read_text("utf-8").rpartition(")")[2].split()[0] != "Z"
    except ProcessLookupError:
        return False
    except (OSError, IndexError):
        # it is another user's, or there is no /proc
        return True
