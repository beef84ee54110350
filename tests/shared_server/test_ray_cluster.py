"""On a cluster of Ray of this machine, with the embedded model; skipped where Ray is not installed."""

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
import time

import httpx2
import pytest
from processes import wait_until
from results import record

pytestmark = pytest.mark.slow
pytest.importorskip("ray", reason="Ray is not installed: pip install -e '.[ray]'")

CONFIG = """
port = {port}
[quota]
requests_per_s = 1e5
burst = 1e5
in_flight_per_user = 1000
[limits]
typing_ms = 20000
[[engines]]
name = "unmask"
replicas = 2
cpus = 0.1
"""
CODE = "from unmask_cli.cli import main; main()"


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    folder = tmp_path_factory.mktemp("ray")
    port = free_port()
    (folder / "serve.toml").write_text(CONFIG.format(port=port))
    environment = {**os.environ, "RAY_TMPDIR": "/tmp", "RAY_AUTH_TOKEN": "t" * 64}
    errors = (folder / "err").open("w")
    process = subprocess.Popen(
        [sys.executable, "-c", CODE, "serve", "--engine", "ray", "--config", str(folder / "serve.toml")],
        stdout=subprocess.PIPE, stderr=errors, text=True, env=environment,
    )  # fmt: skip
    said = process.stdout.readline()
    assert said.startswith("unmask serve: http"), said + (folder / "err").read_text()[-3000:]
    yield said.split()[-1]
    process.send_signal(signal.SIGTERM)
    assert process.wait(60) == 0, (folder / "err").read_text()[-3000:]
    process.stdout.close()
    errors.close()


def actors(name="ServeReplica:unmask:unmask"):
    listed = subprocess.run(["ps", "-eo", "pid=,args="], capture_output=True, text=True, check=True).stdout
    return [int(line.split()[0]) for line in listed.splitlines() if line.split(None, 1)[1].startswith(f"ray::{name}")]


async def post(client, session, **headers):
    asked = {"prompt": "def add(a, b):\n    return a + ", "suffix": "\n", "stop": "\n"}
    return await client.post("/v1/fim/completions", json=asked, headers={"x-session-id": session, **headers})


async def test_it_answers(server):
    async with httpx2.AsyncClient(base_url=server, timeout=60) as client:
        response = await post(client, "a")
        assert response.status_code == 200, response.text
        # the gateway looks once a second how many replicas there are
        async with asyncio.timeout(30):
            while (await client.get("/healthz")).status_code != 200:
                await asyncio.sleep(0.1)
        assert len(actors()) == 2
        metrics = (await client.get("/metrics")).text
        assert 'unmask_slots{engine="unmask"} 2.0' in metrics


async def test_kill_9_of_a_replica_under_load_fails_nobody(server):
    async with httpx2.AsyncClient(base_url=server, timeout=60) as client:
        await post(client, "warm")
        before = actors()
        statuses, slowest = [], 0.0
        end = time.monotonic() + 15

        async def typist(number):
            nonlocal slowest
            while time.monotonic() < end:
                began = time.monotonic()
                statuses.append((await post(client, f"s{number}")).status_code)
                slowest = max(slowest, time.monotonic() - began)
                await asyncio.sleep(0.2)

        async def kill():
            await asyncio.sleep(3)
            os.kill(before[0], signal.SIGKILL)

        await asyncio.gather(kill(), *(typist(i) for i in range(6)))
        failed = [status for status in statuses if status != 200]
        record("kill -9 of a replica, Ray", requests=len(statuses), failed=len(failed), slowest_s=round(slowest, 2))
        assert not failed
        assert wait_until(lambda: len(actors()) == 2)
        assert before[0] not in actors()


async def test_a_replica_that_hangs_is_replaced(server):
    async with httpx2.AsyncClient(base_url=server, timeout=60) as client:
        await post(client, "warm")
        hung = actors()[0]
        os.kill(hung, signal.SIGSTOP)
        assert wait_until(lambda: hung not in actors(), 60)
        assert wait_until(lambda: len(actors()) == 2, 60)
        assert (await post(client, "a")).status_code == 200


async def test_a_deadline_is_kept_across_processes(server):
    async with httpx2.AsyncClient(base_url=server, timeout=60) as client:
        moment = {"x-deadline-ms": str(int(time.time() * 1000) + 3)}
        statuses = [(await post(client, f"d{i}", **moment)).status_code for i in range(3)]
        assert set(statuses) == {504}
        assert json.loads((await client.get("/healthz")).text) == {"status": "ok"}
