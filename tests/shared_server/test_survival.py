"""A server of worker processes under load, while they are killed and stopped."""

import asyncio
import os
import signal
import time

from processes import gone
from results import record
from scale import SCALE
from shared import FIM, GENEROUS, PATIENT, body, client_of, fake_workers

from shared_server.settings import ServeSettings

SETTINGS = ServeSettings(limits=PATIENT, quota=GENEROUS)


def workers(pool):
    return [one.backend._process_id for one in pool._replicas.values()]


async def until_ready(pool):
    async with asyncio.timeout(30):
        while set(pool.states.values()) != {"ready"}:
            await asyncio.sleep(0.02)


async def load(client, seconds, statuses):
    """Eight people who ask as fast as they are answered; fills in `statuses`, returns the slowest answer's seconds."""
    end, slowest = time.monotonic() + seconds, 0.0

    async def one(number):
        nonlocal slowest
        while time.monotonic() < end:
            began = time.monotonic()
            response = await client.post(FIM, json=body("x = "), headers={"x-session-id": f"s{number}"})
            statuses.append(response.status_code)
            slowest = max(slowest, time.monotonic() - began)

    await asyncio.gather(*map(one, range(8)))
    return slowest


async def test_kill_9_of_a_worker_under_load_fails_nobody():
    pool = fake_workers(2)
    statuses = []
    async with client_of(SETTINGS, {"unmask": pool}) as client:
        await until_ready(pool)
        loaded = asyncio.create_task(load(client, 3 * max(1.0, SCALE), statuses))
        kills = 0
        while not loaded.done():
            await asyncio.sleep(1.0)
            if kills < max(2, SCALE) and set(pool.states.values()) == {"ready"} and not loaded.done():
                os.kill(workers(pool)[kills % 2], signal.SIGKILL)
                kills += 1
        slowest = await loaded
        await until_ready(pool)
    failed = [status for status in statuses if status != 200]
    assert kills
    assert len(statuses) > 20
    assert not failed
    record("kill -9 of workers", kills=kills, requests=len(statuses), failed=0, slowest_s=round(slowest, 2))


async def test_with_a_single_replica_a_request_waits_for_the_worker_that_comes_back():
    pool = fake_workers(1)
    async with client_of(SETTINGS, {"unmask": pool}) as client:
        await until_ready(pool)
        asked = asyncio.create_task(client.post(FIM, json=body("slow")))
        while not pool._replicas["r0"].ongoing:
            await asyncio.sleep(0.01)
        os.kill(workers(pool)[0], signal.SIGKILL)
        assert (await asked).status_code == 200


async def test_a_worker_that_hangs_costs_its_request_and_is_replaced():
    pool = fake_workers(2)
    async with client_of(SETTINGS, {"unmask": pool}) as client:
        await until_ready(pool)
        hung = workers(pool)[0]
        os.kill(hung, signal.SIGSTOP)
        statuses = []
        await load(client, 8.0, statuses)
        assert set(statuses) <= {200}
        await until_ready(pool)
        assert hung not in workers(pool)


async def test_no_worker_stays_when_the_server_has_ended():
    pool = fake_workers(2)
    async with client_of(SETTINGS, {"unmask": pool}):
        await until_ready(pool)
        there = workers(pool)
    async with asyncio.timeout(10):
        while not all(map(gone, there)):
            await asyncio.sleep(0.05)
