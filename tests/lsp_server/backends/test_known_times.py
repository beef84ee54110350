"""What a suggestion takes is measured once: the next worker of the same model is told."""

import asyncio
import sys
from pathlib import Path

import pytest

from lsp_server.backends import ladder as ladder_module
from lsp_server.backends.ladder import ModelLadder, Rung
from lsp_server.backends.local import WorkerBackend
from lsp_server.backends.model_times import ModelTimes
from tests.support.processes import until

FAKE = str(Path(__file__).parents[2] / "support" / "fake_worker.py")


@pytest.fixture
def times(tmp_path):
    return ModelTimes(tmp_path / "models.json")


def worker(name, ms):
    return WorkerBackend([sys.executable, FAKE, "--name", name, "--suggestion-ms", str(ms)])


def says(ladder, name, ms):
    return ladder.description.startswith(name) and f" {ms} a suggestion" in ladder.description


def climb(times, scene, *rungs, embedded="mine"):
    """Starts a ladder and waits for what the scene waits for."""

    async def run():
        ladder = ModelLadder(lambda: worker(embedded, 7), rungs, times)
        await ladder.start()
        try:
            await scene(ladder)
        finally:
            await ladder.close()

    asyncio.run(run())


def rung(name, ms):
    return Rung(name, name, 0.5, lambda: worker(name, ms), 300.0)


async def test_a_worker_that_is_told_is_the_same_worker_and_says_what_it_was_told():
    told, other = worker("one", 900), worker("one", 900)
    told.known_ms = 200.0
    try:
        for backend in (told, other):
            await backend.start()
            await backend.wait_ready()
            assert backend.ready.suggestion_ms == 200.0
        assert told._process_id == other._process_id
    finally:
        await told.close()
        await other.close()


def test_a_model_whose_time_is_known_is_not_measured(times):
    times.note("known", 200.0)
    climb(times, lambda ladder: until(lambda: says(ladder, "known", "200 ms")), rung("known", 900))


def test_a_model_that_was_too_slow_is_measured_when_it_is_tried_again(times, monkeypatch):
    monkeypatch.setattr(ladder_module, "RETRIED_AFTER_S", 0.2)
    times.note("slow", 900.0)
    climb(times, lambda ladder: until(lambda: says(ladder, "slow", "100 ms")), rung("slow", 100))
    assert times.of("slow") == 100.0


def test_the_embedded_model_is_measured_once_too(times):
    climb(times, lambda _: until(lambda: times.of("embedded") == 7.0), embedded="measured")
    times.note("embedded", 5.0)
    climb(times, lambda ladder: until(lambda: says(ladder, "told", "5 ms")), embedded="told")
