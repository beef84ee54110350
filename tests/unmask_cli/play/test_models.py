import math

import pytest

from coder_model.checkpoints.store import EMBEDDED
from lsp_server.backends import factory
from lsp_server.backends.ladder import Rung
from lsp_server.backends.model_times import ModelTimes
from lsp_server.user_settings import UserSettings
from unmask_cli.play import models
from unmask_cli.play.models import Shelf


@pytest.fixture
def times(tmp_path):
    return ModelTimes(tmp_path / "models.json")


@pytest.fixture
def _two_installed(monkeypatch):
    def rungs(user, options, target_ms):
        if user.model not in ("", "auto") or user.verifier:
            return factory.model_rungs(user, options, target_ms)
        return [Rung(name, name, size, lambda: None, target_ms) for name, size in (("small", 0.5), ("large", 1.5))]

    monkeypatch.setattr(models, "model_rungs", rungs)


def test_without_anything_installed_there_is_the_embedded_model(times):
    shelf = Shelf(UserSettings(), times)
    assert (list(shelf.rungs), shelf.first) == ([EMBEDDED], EMBEDDED)


@pytest.mark.usefixtures("_two_installed")
@pytest.mark.parametrize(
    ("ms", "model", "first"),
    [
        ({}, "auto", "small"),
        ({"small": 50.0, "large": 200.0}, "auto", "large"),
        ({"small": 50.0, "large": 900.0}, "auto", "small"),
        ({}, "embedded", EMBEDDED),
        ({}, "large", "large"),
        ({}, "./mine", "./mine"),
    ],
)
def test_the_first_is_what_the_user_has_named_else_the_best_that_is_fast_enough(times, ms, model, first):
    for name, one in ms.items():
        times.note(name, one)
    shelf = Shelf(UserSettings(model=model), times)
    assert shelf.first == first
    assert {EMBEDDED, "small", "large"} <= shelf.rungs.keys()
    assert {choice.name: choice.suggestion_ms for choice in shelf.choices()}["small"] == ms.get("small")


@pytest.mark.usefixtures("_two_installed")
def test_what_is_named_has_no_limit_of_time(times):
    assert Shelf(UserSettings(model="./mine"), times).rungs["./mine"].limit_ms == math.inf
