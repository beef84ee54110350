"""The best model that is fast enough answers; the embedded one until it is there, and when it goes away."""

import asyncio
import os
import signal
import sys
from pathlib import Path

import pytest

from coder_model.types import FillRequest
from lsp_server.backends import ladder as ladder_module
from lsp_server.backends.ladder import ModelLadder, Rung
from lsp_server.backends.local import WorkerBackend
from lsp_server.backends.model_times import ModelTimes
from tests.support.processes import until

FAKE = str(Path(__file__).parents[2] / "support" / "fake_worker.py")


def worker(name, ms=1.0, *more):
    return lambda: WorkerBackend([sys.executable, FAKE, "--name", name, "--suggestion-ms", str(ms), *more])


def rung(name, parameters, ms, *more, limit=300.0):
    return Rung(name, name, parameters, worker(name, ms, *more), limit)


@pytest.fixture
def times(tmp_path):
    return ModelTimes(tmp_path / "models.json")


def play(scene, *rungs, times, idle_s=300):
    """Runs a scene with a ladder of these rungs over an embedded model, which rests after so many idle seconds."""

    async def run():
        ladder = ModelLadder(worker("embedded", 1.0, f"--idle-seconds={idle_s}"), rungs, times)
        await ladder.start()
        try:
            async with asyncio.timeout(30):
                await scene(ladder)
        finally:
            await ladder.close()

    asyncio.run(run())


async def texts(ladder, line="x = "):
    await ladder.wait_ready()
    return [draft.text async for draft in ladder.fill(FillRequest("a", line, "\n")) if draft.final]


def settled(ladder):
    return not ladder._tried and not ladder._running


def test_the_embedded_model_answers_until_a_better_one_is_there(times):
    async def scene(ladder):
        assert await texts(ladder)
        assert "embedded" in ladder.description
        assert "small is loading" in ladder.description
        await until(lambda: ladder.description.startswith("small"))
        assert await texts(ladder)
        await until(lambda: settled(ladder))
        assert ladder.state == "ready"

    play(scene, rung("small", 0.5, 100, "--slow-start"), times=times)


def test_a_fill_that_runs_ends_where_it_began(times):
    async def scene(ladder):
        await ladder.wait_ready()
        running = asyncio.create_task(texts(ladder, "slow = "))
        await until(lambda: ladder.description.startswith("small"))
        assert not running.done()
        assert await running
        await until(lambda: settled(ladder))

    play(scene, rung("small", 0.5, 100, "--slow-start"), times=times)


def test_the_largest_model_in_time_is_taken(times):
    async def scene(ladder):
        await until(lambda: ladder.description.startswith("middle") and settled(ladder))
        assert await texts(ladder)

    play(scene, rung("small", 0.5, 50), rung("middle", 1.5, 150), rung("large", 3.0, 400), times=times)
    assert times.of("middle") == 150
    assert times.of("large") == 400


def test_a_model_that_would_take_too_long_is_not_even_loaded(times):
    async def scene(ladder):
        await until(lambda: ladder.description.startswith("small") and settled(ladder))
        await asyncio.sleep(0.3)

    play(scene, rung("small", 0.5, 200), rung("large", 3.0, 1), times=times)
    assert times.of("large") is None


def test_the_time_that_is_expected_goes_by_the_model_that_answers(times):
    async def scene(ladder):
        await until(lambda: ladder.description.startswith("small") and settled(ladder))
        await asyncio.sleep(0.3)

    # the large one is hardly larger than the broken one, and six times as large as the small one
    play(scene, rung("small", 0.5, 100), rung("middle", 2.9, 1, "--broken"), rung("large", 3.0, 1), times=times)
    assert times.of("large") is None


def test_known_times_spare_the_smaller_and_the_slow_ones(times):
    times.note("small", 50)
    times.note("middle", 150)
    times.note("large", 400)

    async def scene(ladder):
        await until(lambda: ladder.description.startswith("middle") and settled(ladder))

    broken = rung("small", 0.5, 50, "--broken"), rung("large", 3.0, 1, "--broken")
    play(scene, broken[0], rung("middle", 1.5, 150), broken[1], times=times)


def test_a_model_that_was_fast_today_is_taken_though_the_machine_is_busy_now(times):
    async def scene(ladder):
        await until(lambda: ladder.description.startswith("today") and settled(ladder))

    times.note("today", 200.0)
    play(scene, rung("today", 0.5, 900), times=times)


def test_where_none_was_fast_enough_the_smallest_is_tried_again(times, monkeypatch):
    monkeypatch.setattr(ladder_module, "RETRIED_AFTER_S", 0.2)

    async def scene(ladder):
        await until(lambda: times.of("small") == 900.0 and ladder.description.startswith("embedded"))
        times.note("small", 200.0)
        await until(lambda: ladder.description.startswith("small") and settled(ladder))

    play(scene, rung("small", 0.5, 900), times=times)


def test_a_model_that_is_broken_leaves_the_embedded_one_and_a_remark(times):
    async def scene(ladder):
        await until(lambda: "weights.bin must be weights" in ladder.remark and settled(ladder))
        assert await texts(ladder)
        assert ladder.description.startswith("embedded")

    play(scene, rung("mine", 0.5, 1, "--broken", limit=float("inf")), times=times)


def test_the_model_that_the_user_names_may_be_slow(times):
    async def scene(ladder):
        await until(lambda: ladder.description.startswith("mine"))

    play(scene, rung("mine", 7.0, 5000, limit=float("inf")), times=times)


def test_the_embedded_model_answers_while_a_better_one_starts_again(times):
    async def scene(ladder):
        await until(lambda: ladder.description.startswith("small") and settled(ladder))
        os.kill(ladder._best._process_id, signal.SIGKILL)
        await until(lambda: ladder._best.state != "ready")
        assert await texts(ladder)
        await until(lambda: ladder.description.startswith("small") and settled(ladder))
        assert await texts(ladder)

    play(scene, rung("small", 0.5, 100, "--slow-start"), times=times)


def test_a_better_model_that_stays_down_is_given_up(times):
    async def scene(ladder):
        await until(lambda: ladder.description.startswith("small") and settled(ladder))
        ladder._best.reason = "no memory"
        ladder._best._set_state("down")
        assert await texts(ladder)
        assert ladder.description.startswith("embedded")
        assert "no memory" in ladder.remark

    play(scene, rung("small", 0.5, 100), times=times)


def test_the_embedded_model_that_rests_wakes_when_somebody_asks(times):
    async def scene(ladder):
        assert await texts(ladder)
        await until(lambda: ladder.state == "resting")
        assert await texts(ladder)

    play(scene, times=times, idle_s=0.2)


def test_the_embedded_model_that_rests_wakes_when_a_better_one_stays_down(times):
    async def scene(ladder):
        await until(lambda: ladder._stand_in.state == "resting")
        ladder._best, ladder._best_parameters = ladder._watched(worker("small")()), 0.5
        ladder._best.reason = "no memory"
        ladder._best._set_state("down")
        assert await texts(ladder)
        assert ladder.description.startswith("embedded")

    play(scene, times=times, idle_s=0.2)


def test_whether_a_text_can_be_judged_is_what_the_model_that_answers_says(times):
    async def scene(ladder):
        assert not ladder.judges
        await until(lambda: ladder.description.startswith("able"))
        assert ladder.judges

    async def small(ladder):
        await until(lambda: ladder.description.startswith("unable"))
        assert not ladder.judges

    play(scene, rung("able", 0.5, 10), times=times)
    play(small, rung("unable", 0.5, 10, "--small"), times=times)
