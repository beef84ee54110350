import asyncio

import pytest
from shared import FIM, GENEROUS, PATIENT, FakeBackend, body, client_of, pool_of

from coder_model.types import FillRequest
from lsp_server.backends.base import BackendUnavailable
from shared_server import pool as pools
from shared_server.canary import MOST_ERRORS, WithCanary
from shared_server.engines import local_pool
from shared_server.pool import LocalPool
from shared_server.settings import Canary, EngineSettings, ServeSettings


class Closing(FakeBackend):
    closed = False

    async def close(self):
        self.closed = True


@pytest.fixture
def stable():
    return FakeBackend()


@pytest.fixture
def canary():
    return Closing()


@pytest.fixture
def pool(stable, canary):
    return WithCanary(pool_of(stable, max_ongoing=100), LocalPool({"c": lambda: canary}, 100), 0.25)


async def ask(client, number, line="x"):
    response = await client.post(FIM, json=body(line), headers={"x-session-id": f"s{number}"})
    return response.status_code


def client(pool):
    return client_of(ServeSettings(quota=GENEROUS, limits=PATIENT), {"unmask": pool})


async def test_a_canary_gets_its_share_and_a_session_stays_where_it_is(pool, stable, canary):
    async with client(pool) as made:
        for _ in range(2):
            assert {await ask(made, i) for i in range(200)} == {200}
    assert 60 < len(canary.requests) < 140
    assert len(canary.requests) + len(stable.requests) == 400
    sessions = [{request.session for request in backend.requests} for backend in (stable, canary)]
    assert not sessions[0] & sessions[1]


async def test_one_that_errs_is_taken_back_and_nobody_has_noticed(pool, stable, canary, caplog):
    canary.faults = [BackendUnavailable("broken")] * 1000
    async with client(pool) as made:
        assert {await ask(made, i) for i in range(200)} == {200}
        assert len(canary.requests) == MOST_ERRORS + 1
        assert len(stable.requests) == 200
        assert pool.states == {"r0": "ready", "c": "taken back"}
        assert canary.closed
    assert "canary" in caplog.text


async def test_now_and_then_a_fault_is_forgiven(pool, canary):
    async with client(pool) as made:
        for i in range(400):
            if len(canary.requests) % 10 == 0:
                canary.faults = [BackendUnavailable("once")]
            assert await ask(made, i) == 200
    assert len(canary.requests) > 60


async def test_one_that_owes_its_answers_is_taken_back(pool, canary, monkeypatch):
    # between suspicions, in which nobody asks it
    monkeypatch.setattr(pools, "SUSPECT_S", 0.0)
    keys = [f"k{i}" for i in range(200) if pool._takes(f"k{i}")]
    await pool.start()
    for key in keys[: MOST_ERRORS + 1]:
        fill = pool.fill(key, FillRequest(key, "hang", "", deadline_ms=1.0), False, [])
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.35):
                await anext(fill)
        await fill.aclose()
    assert pool.states["c"] == "taken back"
    await pool.close()
    assert canary.closed


async def test_who_hangs_up_says_nothing_of_it(pool):
    await pool.start()
    for i in range(200):
        fill = pool.fill(f"k{i}", FillRequest(f"k{i}", "hang", "", deadline_ms=9000.0), True, [])
        await anext(fill)
        await fill.aclose()
    assert pool.states["c"] == "ready"
    await pool.close()


async def test_what_runs_when_it_is_taken_back_ends_there_and_new_ones_go_elsewhere(pool, stable, canary):
    keys = [f"k{i}" for i in range(200) if pool._takes(f"k{i}")]
    await pool.start()
    canary.seconds = 0.3

    async def said(key, tried):
        async for draft in pool.fill(key, FillRequest(key, key, ""), False, tried):
            last = draft
        return last.text

    running = asyncio.create_task(said(keys[0], []))
    while not canary.now:
        await asyncio.sleep(0)
    canary.faults = [BackendUnavailable("broken")] * (MOST_ERRORS + 1)
    for key in keys[1 : MOST_ERRORS + 2]:
        with pytest.raises(BackendUnavailable):
            await said(key, [])
    tried = []
    assert await said(keys[9], tried) == f"<{keys[9]}>"
    assert tried == ["r0"]
    assert not canary.closed
    assert await running == f"<{keys[0]}>"
    await asyncio.sleep(0.01)
    assert canary.closed
    await pool.close()


async def test_while_it_loads_or_is_down_all_go_to_the_others(pool, stable, canary):
    canary.state = "starting"
    async with client(pool) as made:
        assert {await ask(made, i) for i in range(50)} == {200}
    assert len(stable.requests) == 50


def test_the_settings_name_its_model_and_share():
    made = {}
    engine = EngineSettings(replicas=2, canary=Canary("new", 0.2))
    pool = local_pool(engine, lambda one, name: made.setdefault(name, (one.model, FakeBackend()))[1])
    assert {name: model for name, (model, _) in made.items()} == {
        "unmask-0": "embedded",
        "unmask-1": "embedded",
        "unmask-canary-0": "new",
    }
    assert isinstance(pool, WithCanary)
    assert list(pool.states) == list(made)
    assert pool.size == 2
