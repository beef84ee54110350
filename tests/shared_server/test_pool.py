import asyncio

import pytest
from shared import FakeBackend, fake_workers, pool_of

from coder_model.types import FillRequest
from lsp_server.backends.base import BackendUnavailable
from shared_server import pool as pools


def request(session="s", line="x", deadline_ms=2000.0):
    return FillRequest(session, line, "", deadline_ms=deadline_ms)


async def said(pool, key="s", line="x", tried=None, **more):
    tried = [] if tried is None else tried
    async for draft in pool.fill(key, request(key, line, **more), False, tried):
        last = draft
    return last.text, tried[-1]


async def test_a_session_stays_with_its_replica():
    pool = pool_of(*(FakeBackend() for _ in range(3)))
    firsts = {key: (await said(pool, key))[1] for key in "abcdefghijklmnop"}
    assert len(set(firsts.values())) == 3
    assert firsts == {key: (await said(pool, key))[1] for key in firsts}


async def test_a_session_goes_to_the_next_while_its_replica_is_not_there_and_back():
    backends = [FakeBackend() for _ in range(3)]
    pool = pool_of(*backends)
    await pool.start()
    first, second, _ = pool._ring.order("s")
    backends[int(first[1])].state = "starting"
    assert (await said(pool))[1] == second
    backends[int(first[1])].state = "ready"
    assert (await said(pool))[1] == first
    await pool.close()


async def test_a_request_waits_until_a_replica_is_ready():
    backend = FakeBackend()
    backend.state = "starting"
    pool = pool_of(backend)
    await pool.start()
    waiting = asyncio.create_task(said(pool))
    await asyncio.sleep(0.02)
    assert not waiting.done()
    backend.state = "ready"
    backend.on_change()
    assert (await waiting)[0] == "<x>"
    await pool.close()


async def test_when_all_are_down_somebody_says_why():
    backend = FakeBackend()
    backend.state = "down"
    backend.faults = [BackendUnavailable("no weights")]
    with pytest.raises(BackendUnavailable, match="no weights"):
        await said(pool_of(backend))


async def test_a_replica_never_has_more_than_its_most():
    backends = FakeBackend(seconds=0.01), FakeBackend(seconds=0.01)
    pool = pool_of(*backends, max_ongoing=2)
    assert pool.slots == 4
    await asyncio.gather(*(said(pool, f"s{i}") for i in range(20)))
    assert [backend.most for backend in backends] == [2, 2]
    assert [backend.now for backend in backends] == [0, 0]


async def test_a_replica_that_hangs_is_left_alone(monkeypatch):
    monkeypatch.setattr(pools, "OWED_MS", 20.0)
    backends = FakeBackend(), FakeBackend()
    pool = pool_of(*backends)
    first, second = pool._ring.order("s")
    for _ in range(pools.SUSPECT_AFTER):
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await said(pool, line="hang", deadline_ms=20.0)
    assert pool.states[first] == "suspect"
    assert (await said(pool))[1] == second
    # where there is no other one it is asked all the same, and what it answers clears it
    backends[int(second[1])].state = "starting"
    assert (await said(pool))[1] == first
    assert pool.states[first] == "ready"


async def test_a_short_deadline_of_somebody_says_nothing_of_a_replica():
    pool = pool_of(FakeBackend())
    for _ in range(5):
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.01):
                await said(pool, line="hang", deadline_ms=1.0)
    assert pool.states == {"r0": "ready"}


def down_first(kind, made):
    """Makes backends of a kind, the first of which is down, and keeps them in a list."""

    def make():
        made.append(kind())
        made[-1].state = "down" if len(made) == 1 else "ready"
        return made[-1]

    return make


async def test_a_replica_that_stays_down_is_made_anew(monkeypatch):
    monkeypatch.setattr(pools, "REVIVE_S", 0.0)
    made = []
    pool = pools.LocalPool({"r0": down_first(FakeBackend, made)}, 1)
    await pool.start()
    async with asyncio.timeout(10):
        while len(made) < 2:
            await asyncio.sleep(0.02)
    assert (await said(pool))[0] == "<x>"
    await pool.close()


async def test_workers_of_one_model_are_processes_of_their_own():
    pool = fake_workers(2)
    await pool.start()
    try:
        async with asyncio.timeout(30):
            while list(pool.states.values()) != ["ready", "ready"]:
                await asyncio.sleep(0.02)
        assert pool.slots == 2
        assert len({one.backend._process_id for one in pool._replicas.values()}) == 2
        assert (await said(pool))[0] == "<x|line|>"
    finally:
        await pool.close()


async def test_what_is_let_go_of_is_asked_for_nothing(monkeypatch):
    monkeypatch.setattr(pools, "REVIVE_S", 0.0)
    is_closing, made = asyncio.Event(), []

    class Closing(FakeBackend):
        async def close(self):
            is_closing.set()
            await asyncio.sleep(0.1)

    pool = pools.LocalPool({"r0": down_first(Closing, made)}, 1)
    await pool.start()
    async with asyncio.timeout(10):
        await is_closing.wait()
        await said(pool)
    await pool.close()
    assert [len(one.requests) for one in made] == [0, 1]
