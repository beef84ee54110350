"""A diffusion model drafts, an autoregressive one has the last word: its text, sooner."""

import checkpoints
import pytest
from checkpoints import BY_NAME

from coder_model.checkpoints.open import open_engine, open_single
from coder_model.engine.options import EngineOptions
from coder_model.errors import ModelFileError
from coder_model.text.filters import FILTERS
from coder_model.types import Cancelled, FillRequest


@pytest.fixture(scope="module")
def directories(tmp_path_factory):
    made = {}
    for seed, name in enumerate(("dreamon", "qwen2.5-coder")):
        made[name] = tmp_path_factory.mktemp(name)
        checkpoints.build(BY_NAME[name], made[name], seed=seed)
    return made


def request(prefix, **more):
    return FillRequest("s", prefix, "\n    return result\n", path="a.py", **more)


def last(engine, asked):
    *_, final = engine.fill(asked)
    return final


@pytest.mark.parametrize("prefix", ["def total(values):\n    resu", "x = ", checkpoints.TEXT])
def test_the_text_is_the_verifiers_own(directories, prefix):
    both = open_engine(str(directories["dreamon"]), verifier=str(directories["qwen2.5-coder"]))
    alone = open_single(str(directories["qwen2.5-coder"]))
    asked = request(prefix, hole="block")
    assert last(both, asked).text == last(alone, asked).text
    assert last(both, asked).text == last(alone, asked).text
    assert "verified by" in both.name
    assert both.parameters > alone.parameters
    both.warm_up()
    assert both.is_intact()
    assert both.suggestion_ms > 0


def test_nothing_is_suggested_to_measure_what_is_known(directories, monkeypatch):
    both = open_engine(str(directories["dreamon"]), verifier=str(directories["qwen2.5-coder"]))
    monkeypatch.setattr(both._verifier, "fill", None)
    both.warm_up(12.5)
    assert both.suggestion_ms == both._verifier.suggestion_ms == 12.5


def test_a_draft_that_is_right_saves_passes():
    # the embedded model: a random one does not say the tokens of its text
    options = EngineOptions(copy=False, filters_off=tuple(FILTERS))
    prefix = "class Counter:\n    def __init__(self, name):\n        "
    suffix = "\n\n    def add(self, number):\n        self.count += number\n"
    asked = FillRequest("s", prefix, suffix, path="a.py", hole="block")
    alone = last(open_single(options=options), asked)
    told = open_single(options=options)
    told.expect(asked, alone.text)
    drafted = last(told, asked)
    assert drafted.text == alone.text != ""
    assert drafted.steps < alone.steps / 2


def test_a_cancel_stops_either_half(directories):
    both = open_engine(str(directories["dreamon"]), verifier=str(directories["qwen2.5-coder"]))
    for passes in (1, 3, 6):
        wanted = iter([False] * passes + [True] * 100)
        with pytest.raises(Cancelled):
            list(both.fill(request("x = ", hole="block"), lambda wanted=wanted: next(wanted)))


def test_the_deadline_is_shared(directories):
    both = open_engine(str(directories["dreamon"]), verifier=str(directories["qwen2.5-coder"]))
    assert last(both, request("x = ", hole="block", deadline_ms=0.01)).finished is False


def test_a_model_without_an_opinion_cannot_verify(directories):
    with pytest.raises(ModelFileError, match="verifier must be an autoregressive model"):
        open_engine(str(directories["qwen2.5-coder"]), verifier=str(directories["dreamon"]))
