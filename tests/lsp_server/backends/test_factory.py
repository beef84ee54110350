"""Which backend a user's settings ask for, by what is installed and what is known of it."""

import asyncio

import pytest

from coder_model.checkpoints.store import File, Manifest
from coder_model.engine.options import EngineOptions
from coder_model.types import FillRequest
from lsp_server.backends import factory
from lsp_server.backends.model_times import ModelTimes
from lsp_server.user_settings import UserSettings
from tests.support.processes import until

ANY = UserSettings(), EngineOptions(), 300.0


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
