"""A whole run on a corpus of a few files: what is learnt, and that a stop changes nothing."""

import json
from dataclasses import replace

import pytest
import torch
from tiny_training import options

from coder_model.errors import CorpusError, ModelFileError
from coder_model.model import weights
from coder_model.training.loop import train


def test_batches_made_elsewhere_are_the_same(corpus, tmp_path, model):
    train(options(corpus, tmp_path / "here", model, steps=3))
    train(options(corpus, tmp_path / "there", model, steps=3, workers=1))
    here, there = (
        json.loads((tmp_path / name / "log.jsonl").read_text().splitlines()[-1]) for name in ("here", "there")
    )
    assert here["autoregressive"] == there["autoregressive"]
    assert here["full"] == there["full"]


def test_a_run_learns(corpus, tmp_path, model):
    train(options(corpus, tmp_path, model, steps=30, rows=4))
    log = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert log[-1]["autoregressive"] < log[0]["autoregressive"] - 1
    assert log[-1]["full"] < log[0]["full"] - 0.3
    assert log[-1]["valid_autoregressive"] < log[0]["autoregressive"]


@pytest.mark.parametrize("average", [0.0, 0.5])
def test_a_stopped_run_goes_on_exactly(corpus, tmp_path, model, average):
    more = {"decay_share": 0.01, "average": average}
    train(options(corpus, tmp_path / "whole", model, steps=6, **more))
    train(options(corpus, tmp_path / "parts", model, steps=3, **more))
    train(options(corpus, tmp_path / "parts", model, steps=6, **more))
    logs = [(tmp_path / name / "log.jsonl").read_text().splitlines() for name in ("whole", "parts")]
    losses = [[json.loads(line)["autoregressive"] for line in log] for log in logs]
    assert losses[0] == losses[1]
    whole, _ = weights.load(tmp_path / "whole" / "model")
    parts, _ = weights.load(tmp_path / "parts" / "model")
    for name, tensor in whole.state_dict().items():
        assert torch.equal(parts.state_dict()[name], tensor), name


def test_a_compiled_run_equals_a_plain_one(corpus, tmp_path, model):
    """With a backend that traces and differentiates as on a GPU but makes no machine code: that takes a compiler."""
    for name, compiler in (("plain", ""), ("compiled", "aot_eager")):
        train(options(corpus, tmp_path / name, model, steps=4, compiler=compiler))
    logs = [(tmp_path / name / "log.jsonl").read_text().splitlines() for name in ("plain", "compiled")]
    plain, compiled = ([json.loads(line)["autoregressive"] for line in log] for log in logs)
    assert compiled == pytest.approx(plain, abs=1e-3)


def test_an_unknown_compiler_is_refused(corpus, tmp_path, model):
    with pytest.raises(CorpusError, match=r"compiler must be one of .*inductor.*, got 'gcc'"):
        train(options(corpus, tmp_path, model, compiler="gcc"))


def test_the_running_mean_is_that_of_the_weights(corpus, tmp_path, model):
    kept = []
    for steps in (1, 2):
        train(options(corpus, tmp_path / str(steps), model, steps=steps, decay_share=0.01))
        kept.append(weights.load(tmp_path / str(steps) / "model")[0].state_dict())
    train(options(corpus, tmp_path / "mean", model, steps=2, decay_share=0.01, average=0.25))
    mean, _ = weights.load(tmp_path / "mean" / "model")
    for name, tensor in mean.state_dict().items():
        expected = 0.25 * kept[0][name] + 0.75 * kept[1][name]
        torch.testing.assert_close(tensor, expected, atol=1e-2, rtol=1e-2)


def test_a_mean_may_begin_in_a_run_that_had_none(corpus, tmp_path, model):
    train(options(corpus, tmp_path, model, steps=2))
    train(options(corpus, tmp_path, model, steps=4, average=0.9))
    assert len((tmp_path / "log.jsonl").read_text().splitlines()) == 4


def test_a_run_stops_when_its_time_is_up_and_goes_on(corpus, tmp_path, model):
    train(options(corpus, tmp_path, model, steps=4, minutes=0.0))
    assert len((tmp_path / "log.jsonl").read_text().splitlines()) == 1
    train(options(corpus, tmp_path, model, steps=4))
    assert len((tmp_path / "log.jsonl").read_text().splitlines()) == 4


def test_a_checkpoint_of_another_run_is_refused(corpus, tmp_path, model):
    train(options(corpus, tmp_path, model, steps=1))
    with pytest.raises(CorpusError, match="other settings: seed"):
        train(options(corpus, tmp_path, model, steps=2, seed=9))


def test_a_vocabulary_that_is_not_the_models_is_refused(corpus, tmp_path, model):
    with pytest.raises(ModelFileError, match="tokenizer.json must have 999 tokens"):
        train(replace(options(corpus, tmp_path, model), model=replace(model.config, vocab_size=999)))
