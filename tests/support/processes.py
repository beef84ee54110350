"""Processes of a server under test."""

import asyncio
import os
import subprocess
import time
from pathlib import Path


def worker_of(client):
    listed = subprocess.run(
        ["ps", "-o", "pid=", "--ppid", str(client.process.pid)], capture_output=True, text=True, check=True
    )
    return int(listed.stdout.split()[0])


def gone(process_id):
    try:
        os.kill(process_id, 0)
        return Path(f"/proc/{process_id}/stat").read_text().split(")")[1].split()[0] == "Z"
    except (ProcessLookupError, FileNotFoundError):
        return True


def wait_until(condition, seconds=30.0):
    end = time.monotonic() + seconds
    while not (found := condition()) and time.monotonic() < end:
        time.sleep(0.02)
    return found


async def until(condition):
    async with asyncio.timeout(30):
        while not condition():
            await asyncio.sleep(0.01)
