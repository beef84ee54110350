"""Gateways with fake workers: real processes, real sockets, an engine of some lines."""

import asyncio
import contextlib
import json
import sys
from functools import partial
from pathlib import Path

import httpx2

from coder_model.types import Draft
from lsp_server.backends.local import WorkerBackend
from shared_server.gateway import Gateway
from shared_server.listener import listen
from shared_server.local import gateway_app
from shared_server.pool import LocalPool
from shared_server.quotas import Quotas
from shared_server.settings import Limits, Quota, ServeSettings

FAKE = [sys.executable, str(Path(__file__).with_name("fake_worker.py"))]
FIM = "/v1/fim/completions"
GENEROUS = Quota(requests_per_s=1e6, burst=1e6, in_flight_per_user=10_000)
PATIENT = Limits(typing_ms=20_000, manual_ms=20_000)


class FakeBackend:
    """A replica of some lines in this process: echoes the cursor's line, slowly where it says so."""

    receiver = remark = reason = ""
    share_loaded = 1.0
    editor = None
    judges = False

    def __init__(self, serving=None, seconds=0.0):
        self.state = "ready"
        self.serving, self.seconds = serving, seconds
        self.description = "fake"
        self.on_change = lambda: None
        self.requests = []
        self.faults = []
        """Exceptions of the next fills."""
        self.most = self.now = self.stopped = 0

    async def start(self):
        pass

    async def close(self):
        pass

    async def fill(self, request, watch=False):
        self.requests.append(request)
        self.now += 1
        is_over = False
        self.most = max(self.most, self.now)
        try:
            if self.faults:
                raise self.faults.pop(0)
            line = request.prefix.rsplit("\n", 1)[-1]
            drafts = ["a", "ab"] if watch else []
            for step, text in enumerate(drafts):
                yield Draft(text, False, 1.0, step, len(text), 0.0, kind="denoise")
            if "hang" in line:
                await asyncio.sleep(600)
            await asyncio.sleep(self.seconds)
            others = tuple(Draft(f"{line}{i}", True, 0.5, 1, 3, 1.0) for i in range(1, request.count))
            is_over = True
            yield Draft(f"<{line}>", True, 0.9, 2, 3, 1.0, others=others)
        except (asyncio.CancelledError, GeneratorExit):
            self.stopped += not is_over
            raise
        finally:
            self.now -= 1


def pool_of(*backends, max_ongoing=1):
    return LocalPool({f"r{i}": partial(lambda made: made, one) for i, one in enumerate(backends)}, max_ongoing)


def gateway_of(*backends, max_ongoing=1, quota=GENEROUS, limits=PATIENT, **tenants):
    settings = ServeSettings(quota=quota, tenants=tenants, limits=limits)
    return Gateway({"unmask": pool_of(*backends, max_ongoing=max_ongoing)}, Quotas(settings), limits)


def fake_workers(count, max_ongoing=1):
    """Returns a pool of worker processes with the fake engine."""
    makers = {f"r{i}": partial(WorkerBackend, [*FAKE, "--name", f"fake-{i}"]) for i in range(count)}
    return LocalPool(makers, max_ongoing)


@contextlib.asynccontextmanager
async def client_of(settings, pools):
    """A client of an application in this process, without a port."""
    app = gateway_app(settings, pools)
    async with app.router.lifespan_context(app):
        transport = httpx2.ASGITransport(app)
        async with httpx2.AsyncClient(transport=transport, base_url="http://localhost:8011", timeout=30) as client:
            yield client


@contextlib.asynccontextmanager
async def served(settings, pools):
    """A server on a free port of loopback; gives its address."""
    found = asyncio.get_running_loop().create_future()
    app = gateway_app(settings, pools)
    task = asyncio.create_task(listen(app, settings, found.set_result))
    try:
        yield await asyncio.wait_for(asyncio.shield(found), 30)
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


def body(prompt="x", **more):
    return {"prompt": prompt, "suffix": "", **more}


def events(response):
    """The JSON of each event of a stream, and `[DONE]`."""
    lines = [line.removeprefix("data: ") for line in response.text.split("\n\n") if line]
    return [line if line == "[DONE]" else json.loads(line) for line in lines]
