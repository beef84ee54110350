"""A server of this machine that runs while a test speaks to it."""

import asyncio
import contextlib


@contextlib.asynccontextmanager
async def running(server):
    """The server, on a port of its own."""
    ready = asyncio.Event()
    task = asyncio.create_task(server.run(0, ready.set))
    try:
        await ready.wait()
        yield server
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
