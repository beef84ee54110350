import asyncio

import pytest

from shared_server.admission import Admission
from shared_server.levels import Priority
from shared_server.problems import Problem

MANUAL, TYPING, PREFETCH = Priority


class Scene:
    """Requests that hold their turn until they are told to end."""

    def __init__(self, slots=1, waiting=4):
        self.slots = slots
        self.admission = Admission(lambda: self.slots, lambda: waiting)
        self.began, self.levels, self.refused = [], {}, []
        self.ends = []
        self._tasks, self._ends = {}, {}

    async def ask(self, name, tenant="red", priority=TYPING, weight=1.0):
        self._ends[name] = asyncio.Event()

        async def hold():
            try:
                async with self.admission.turn(tenant, priority, weight) as level:
                    self.began.append(name)
                    self.levels[name] = level
                    await self._ends[name].wait()
            except Problem as problem:
                self.refused.append(name)
                self.ends.append((problem.status, problem.retry_after_s >= 1))

        self._tasks[name] = asyncio.create_task(hold())
        await asyncio.sleep(0)
        await asyncio.sleep(0)

    async def end(self, *names):
        for name in names:
            self._ends[name].set()
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            await asyncio.sleep(0)

    async def cancel(self, name):
        self._tasks[name].cancel()
        await asyncio.wait([self._tasks[name]])
        await asyncio.sleep(0)

    async def close(self):
        for task in self._tasks.values():
            task.cancel()
        await asyncio.wait(self._tasks.values())
        assert self.admission.running == self.admission.waiting == 0


@pytest.fixture
async def scene():
    made = Scene()
    yield made
    await made.close()


async def test_by_hand_goes_before_typing_and_the_oldest_first(scene):
    await scene.ask("a")
    await scene.ask("b")
    await scene.ask("c", priority=MANUAL)
    await scene.ask("d")
    await scene.end("a", "c", "b")
    assert scene.began == ["a", "c", "b", "d"]


async def test_the_tenant_with_the_least_running_for_its_weight_goes_first(scene):
    scene.slots = 3
    for name in ("r1", "r2", "r3"):
        await scene.ask(name, "red", weight=2)
    await scene.ask("r4", "red", weight=2)
    await scene.ask("b1", "blue")
    await scene.ask("b2", "blue")
    await scene.end("r1")
    assert scene.began[-1] == "b1"
    # now red has 2 of weight 2 and blue 1 of weight 1: the oldest
    await scene.end("r2")
    assert scene.began[-1] == "r4"


async def test_when_the_room_is_full_whoever_is_spared_most_is_refused(scene):
    await scene.ask("runs")
    for i in range(3):
        await scene.ask(f"red{i}", "red")
    await scene.ask("blue0", "blue")
    assert scene.refused == []
    await scene.ask("blue1", "blue")
    assert scene.refused == ["red2"]
    await scene.ask("hand", "red", MANUAL)
    assert scene.refused == ["red2", "red1"]
    await scene.ask("red9", "red")
    assert scene.refused[-1] == "red9"
    assert set(scene.ends) == {(503, True)}


async def test_nothing_is_fetched_ahead_while_somebody_waits(scene):
    await scene.ask("runs")
    await scene.ask("ahead", priority=PREFETCH)
    await scene.ask("waits")
    await scene.ask("later", priority=PREFETCH)
    assert scene.refused == ["later"]


async def test_who_is_cancelled_was_never_there(scene):
    await scene.ask("a")
    await scene.ask("b")
    await scene.ask("c")
    await scene.cancel("b")
    assert scene.admission.waiting == 1
    await scene.cancel("a")
    assert scene.began == ["a", "c"]
    await scene.end("c")
    assert scene.admission.running == 0


async def test_a_turn_that_comes_with_a_cancel_goes_to_the_next(scene):
    await scene.ask("a")
    await scene.ask("b")
    await scene.ask("c")
    scene._ends["a"].set()
    await asyncio.sleep(0)
    # b has its turn and does not know yet
    scene._tasks["b"].cancel()
    for _ in range(5):
        await asyncio.sleep(0)
    assert scene.began[-1] == "c"
    assert scene.admission.running == 1


async def test_more_slots_let_more_run(scene):
    for name in "abc":
        await scene.ask(name)
    scene.slots = 2
    scene.admission.admit()
    await asyncio.sleep(0)
    assert scene.began == ["a", "b"]


async def test_levels_rise_with_what_waits_and_fall_again(scene):
    for name in "abcd":
        await scene.ask(name)
    assert scene.admission.level == 3
    await scene.end("a", "b", "c", "d")
    assert scene.levels["a"] == 0
    assert scene.levels["d"] > 0
    assert scene.admission.level == 0


async def test_the_level_of_a_tenant_is_of_what_it_has_waiting_itself(scene):
    for i in range(4):
        await scene.ask(f"red{i}", "red")
    await scene.ask("blue", "blue")
    await scene.end("red0")
    assert scene.began[-1] == "blue"
    assert scene.levels["blue"] == 0
    await scene.end("blue", "red1")
    assert scene.levels["red1"] > 0


async def test_who_has_had_its_share_goes_before_nobody_by_calling_itself_urgent(scene):
    await scene.ask("runs")
    scene.admission._shares.charge("red", 100.0)
    for i in range(3):
        await scene.ask(f"red{i}", priority=MANUAL)
    await scene.ask("blue", "blue")
    # the room is full
    await scene.ask("red typing")
    assert scene.refused == ["red typing"]
    await scene.ask("red3", priority=MANUAL)
    assert scene.refused == ["red typing", "red3"]
    await scene.end("runs", "blue")
    assert scene.began == ["runs", "blue", "red0"]
    # among its own it is urgent all the same
    await scene.ask("red late")
    await scene.ask("red4", priority=MANUAL)
    await scene.end("red0", "red1", "red2", "red4")
    assert scene.began[-4:] == ["red1", "red2", "red4", "red late"]
