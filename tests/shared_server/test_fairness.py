"""Teams beside one that asks for a hundred times as much, in virtual time: the real gateway, replicas that sleep."""

import asyncio
import random
import time
from collections import Counter

import pytest
from shared import FakeBackend, gateway_of
from virtual_time import run_virtually

from coder_model.evaluation.metrics import percentile
from coder_model.types import FillRequest
from shared_server.gateway import Ask
from shared_server.levels import Priority
from shared_server.problems import Problem
from shared_server.tokens import Caller

FILL_S, DEADLINE_S, SECONDS = 0.5, 5.0, 120.0


class Varied(FakeBackend):
    """Takes now less, now more."""

    def __init__(self, number):
        super().__init__()
        self._rng = random.Random(number)

    async def fill(self, request, watch=False):
        self.seconds = self._rng.expovariate(1 / FILL_S)
        async for draft in super().fill(request, watch):
            yield draft


class Scene:
    """Tenants that ask at random times, and what they are told."""

    def __init__(self, replicas, at_once, urgent=()):
        self.gateway = gateway_of(*map(Varied, range(replicas)), max_ongoing=at_once)
        self.slots = replicas * at_once
        self.capacity = self.slots / FILL_S
        self.urgent = urgent
        """Tenants that call all requests so."""
        self.seconds, self.levels, self.ends = {}, {}, {}

    async def ask(self, tenant, session):
        began = time.monotonic()
        request = FillRequest(f"{tenant} {session}", "x", "", hole="block")
        priority = Priority.MANUAL if tenant in self.urgent else Priority.TYPING
        ask = Ask(Caller(tenant, "ann"), "unmask", request, priority, began + DEADLINE_S)
        try:
            answer = await self.gateway.answer(ask)
        except Problem as problem:
            self.ends.setdefault(tenant, Counter())[problem.status] += 1
        else:
            self.seconds.setdefault(tenant, []).append(time.monotonic() - began)
            self.levels.setdefault(tenant, Counter())[answer.level] += 1

    async def asks(self, tenant, of_capacity):
        rng, end, tasks = random.Random(tenant), time.monotonic() + SECONDS, []
        while time.monotonic() < end:
            await asyncio.sleep(rng.expovariate(of_capacity * self.capacity))
            tasks.append(asyncio.create_task(self.ask(tenant, len(tasks) % 50)))
        await asyncio.gather(*tasks)

    async def run(self, **tenants):
        await self.gateway.start()
        await asyncio.gather(*(self.asks(tenant, share) for tenant, share in tenants.items()))
        await self.gateway.close()
        return self

    def p95(self, tenant):
        return percentile(self.seconds[tenant], 95)


@pytest.mark.parametrize(("replicas", "at_once"), [(1, 1), (2, 1), (1, 4)])
def test_beside_a_flood_of_a_hundred_times_as_much_nobody_waits_half_as_long_again(monkeypatch, replicas, at_once):
    alone = run_virtually(monkeypatch, Scene(replicas, at_once).run(red=0.25))
    beside = run_virtually(monkeypatch, Scene(replicas, at_once).run(red=0.25, greedy=25))
    assert beside.p95("red") < 1.5 * alone.p95("red")
    refused = sum(beside.ends.get("red", Counter()).values())
    assert refused < 0.05 * len(beside.seconds["red"])
    # the flood has what is left, with less asked of the model for each
    assert len(beside.seconds["greedy"]) > 0.3 * SECONDS * beside.capacity
    assert beside.levels["greedy"][0] < 0.02 * len(beside.seconds["greedy"])
    if beside.slots > 1:
        assert beside.levels["red"][0] > 0.85 * len(beside.seconds["red"])


@pytest.mark.parametrize("replicas", [1, 2])
def test_a_flood_that_calls_itself_urgent_takes_nobodys_turns(monkeypatch, replicas):
    beside = run_virtually(monkeypatch, Scene(replicas, 1, urgent=["greedy"]).run(red=0.25, greedy=25))
    refused = sum(beside.ends.get("red", Counter()).values())
    # in its first seconds it has had little
    assert refused < 0.1 * len(beside.seconds["red"])
    assert len(beside.seconds["greedy"]) > 0.3 * SECONDS * beside.capacity


def test_the_flood_alone_has_all_slots(monkeypatch):
    alone = run_virtually(monkeypatch, Scene(2, 1).run(greedy=25))
    assert len(alone.seconds["greedy"]) > 0.9 * SECONDS * alone.capacity


def test_two_who_both_ask_for_too_much_get_the_same(monkeypatch):
    both = run_virtually(monkeypatch, Scene(2, 1).run(red=3, blue=30))
    red, blue = len(both.seconds["red"]), len(both.seconds["blue"])
    assert 0.75 < red / blue < 1.33
    assert red + blue > 0.9 * SECONDS * both.capacity


def test_nobody_waits_at_a_slot_that_is_kept_for_who_has_gone(monkeypatch):
    async def visit(scene):
        await scene.gateway.start()
        await scene.ask("red", 0)
        await asyncio.gather(*(scene.ask("greedy", i) for i in range(8)))
        await scene.gateway.close()
        return scene

    seen = run_virtually(monkeypatch, visit(Scene(2, 1)))
    assert len(seen.seconds["greedy"]) == 8
