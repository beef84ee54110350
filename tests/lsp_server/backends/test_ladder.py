"""The best model that is fast enough answers; the embedded one until it is there, and when it goes away."""

import asyncio
import os
import signal
import sys
from pathlib import Path

import pytest

from coder_model.checkpoints.store import File, Manifest
from coder_model.engine.options import EngineOptions
from coder_model.types import FillRequest
from lsp_server.backends import factory
from lsp_server.backends import ladder as ladder_module
from lsp_server.backends.ladder import ModelLadder, Rung
from lsp_server.backends.local import WorkerBackend
from lsp_server.backends.model_times import ModelTimes
from lsp_server.user_settings import UserSettings
from tests.support.processes import until

FAKE = str(Path(__file__).parents[2] / "support" / "fake_worker.py")


def worker(name, ms=1.0, *more):
    return lambda: WorkerBackend([sys.executable, FAKE, "--name", name, "--suggestion-ms", str(ms), *more])


ANY = UserSettings(), EngineOptions(), 300.0


def rung(name, parameters, ms, *more, limit=300.0):
    return Rung(name, name, parameters, worker(name, ms, *more), limit)


@pytest.fixture
def times(tmp_path):
    return ModelTimes(tmp_path / "models.json")


def play(scene, *rungs, times):
    """Runs a scene with a ladder of these rungs over an embedded model."""

    async def run():
        ladder = ModelLadder(worker("embedded"), rungs, times)
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


@pytest.fixture
def store(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))

    def install(name, gigabytes):
        file = File("ab" * 32, int(gigabytes * 1e9), 0, 0)
        factory.Store()._write(Manifest(name, "somewhere", "", "qwen2.5-coder", str(tmp_path), {"model.gguf": file}))

    return install


def test_all_installed_models_that_fill_holes_are_rungs_by_size(store):
    store("qwen2.5-coder-1.5b", 1)
    store("qwen2.5-coder-0.5b", 0.5)
    store("mine", 2)
    names = [rung.name for rung in factory.model_rungs(UserSettings(), EngineOptions(), 300.0)]
    assert names == ["qwen2.5-coder-0.5b", "mine", "qwen2.5-coder-1.5b"]


def test_the_status_tells_whoever_has_only_the_embedded_model_of_a_better_one(store):
    assert "unmask models pull qwen2.5-coder-0.5b" in factory.backend_in_any_case(*ANY).description


def test_nothing_is_offered_to_whoever_has_a_better_one_or_wants_none(store):
    chosen = factory.backend_in_any_case(UserSettings(model="embedded"), *ANY[1:])
    assert "pull" not in chosen.description
    store("qwen2.5-coder-0.5b", 0.5)
    assert "pull" not in factory.backend_in_any_case(*ANY).description


def test_one_answer_comes_from_the_best_that_is_known_to_be_fast_enough(store):
    def chosen():
        backend = factory.chosen_backend(UserSettings(), EngineOptions(), 300.0)
        return next((part for part in backend._command if part.startswith("qwen")), "embedded")

    assert chosen() == "embedded"
    store("qwen2.5-coder-0.5b", 0.5)
    store("qwen2.5-coder-1.5b", 1)
    assert chosen() == "qwen2.5-coder-0.5b"
    rungs = factory.model_rungs(UserSettings(), EngineOptions(), 300.0)
    ModelTimes().note(rungs[1].key, 200.0)
    assert chosen() == "qwen2.5-coder-1.5b"


def test_one_answer_comes_from_the_embedded_model_where_the_others_are_known_to_be_slow(store):
    store("qwen2.5-coder-0.5b", 0.5)
    store("qwen2.5-coder-1.5b", 1)
    for rung in factory.model_rungs(UserSettings(), EngineOptions(), 300.0):
        ModelTimes().note(rung.key, 2000.0)
    backend = factory.chosen_backend(UserSettings(), EngineOptions(), 300.0)
    assert not [part for part in backend._command if part.startswith("qwen")]


def test_the_smallest_real_model_may_be_slower_than_what_is_wanted_and_no_other(store):
    store("qwen2.5-coder-0.5b", 0.5)
    store("qwen2.5-coder-1.5b", 1)
    small, large = factory.model_rungs(UserSettings(), EngineOptions(), 300.0)
    assert (small.limit_ms, large.limit_ms) == (900.0, 300.0)
    for ms, expected in ((901.0, "embedded"), (899.0, "qwen2.5-coder-0.5b")):
        for rung in (small, large):
            ModelTimes().note(rung.key, ms)
        backend = factory.chosen_backend(UserSettings(), EngineOptions(), 300.0)
        assert next((part for part in backend._command if part.startswith("qwen")), "embedded") == expected


@pytest.mark.parametrize("model", ["auto", "", "embedded"])
def test_a_verifier_and_a_precision_reach_the_embedded_model(store, model):
    store("qwen2.5-coder-0.5b", 0.5)
    user = UserSettings(model=model, verifier="qwen2.5-coder-0.5b", quantize="int8")
    one = factory.chosen_backend(user, EngineOptions(), 300.0)
    (rung,) = factory.model_rungs(user, EngineOptions(), 300.0)
    for worker in (one, rung.make()):
        assert worker._command[-4:] == ["--verifier", "qwen2.5-coder-0.5b", "--quantize", "int8"]
        assert "--model" not in worker._command


@pytest.mark.parametrize("model", ["qwen2.5-coder-7b", "./nothing", "/nowhere/model.gguf"])
def test_a_model_that_is_not_there_leaves_nobody_without_one(store, model):
    async def run():
        backend = factory.backend_in_any_case(UserSettings(model=model), EngineOptions(), 300.0)
        await backend.start()
        try:
            async with asyncio.timeout(60):
                await until(lambda: backend.remark)
                request = FillRequest("a", "def add(a, b):\n    return ", "\n")
                await backend.wait_ready()
                assert [draft async for draft in backend.fill(request)][-1].final
        finally:
            await backend.close()

    asyncio.run(run())


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
