import json
from dataclasses import replace

import pytest
import torch

from coder_model.errors import CorpusError
from coder_model.model import weights
from coder_model.training.literature.models import make
from coder_model.training.literature.names import DISTILLED, NAMES, shape_of
from coder_model.training.literature.run import CHECKPOINT, LOG, LabOptions, train_model
from coder_model.training.literature.text import LENGTH, open_text


@pytest.fixture
def text(corpus, tmp_path):
    return open_text(corpus, tmp_path / "work")


def options(steps, rows=2, **more):
    return LabOptions(steps * rows * LENGTH, "tiny", rows=rows, warm_up=1, bf16=False, **more)


def tiny(text):
    return replace(shape_of("tiny"), vocab_size=text.tokenizer.vocab_size)


def trained(name, text, steps, folder, **more):
    model = make(name, tiny(text), text.tokenizer.special_tokens)
    return model, train_model(model, text, options(steps, **more), folder, lambda _: None)


@pytest.mark.parametrize("name", [name for name in NAMES if name != DISTILLED])
def test_each_model_learns(name, text, tmp_path, monkeypatch):
    monkeypatch.setattr("coder_model.training.literature.run.WATCHED_ROWS", 2)
    monkeypatch.setattr("coder_model.training.literature.run.WATCHED", 1)
    _, log = trained(name, text, 8, tmp_path, rows=4)
    assert log[-1]["step"] == 8
    first, last = (sum(row["loss"] for row in part) for part in (log[:3], log[-3:]))
    assert last < first
    assert log[-1]["bits_per_byte"] > 0


def test_a_run_that_was_stopped_goes_on_as_if_it_had_not_been(text, tmp_path, monkeypatch):
    monkeypatch.setattr("coder_model.training.literature.run.WATCHED_ROWS", 2)
    whole, log = trained("eso_b-0.5", text, 4, tmp_path / "whole")
    monkeypatch.setattr("coder_model.training.literature.run.CHECKPOINT_S", 0.0)
    calls = []

    def stop(_):
        calls.append(1)
        if len(calls) == 4:
            raise KeyboardInterrupt

    model = make("eso_b-0.5", tiny(text), text.tokenizer.special_tokens)
    with pytest.raises(KeyboardInterrupt):
        train_model(model, text, options(4), tmp_path / "parts", stop)
    # what was written behind the checkpoint is dropped
    with (tmp_path / "parts" / LOG).open("a") as file:
        file.write(json.dumps({"step": 4, "seconds": 0, "cpu_seconds": 0}) + "\n")
    parts, resumed = trained("eso_b-0.5", text, 4, tmp_path / "parts")
    for name, tensor in whole.network.state_dict().items():
        torch.testing.assert_close(parts.network.state_dict()[name], tensor)
    assert [row["loss"] for row in resumed] == [row["loss"] for row in log]


def test_more_tokens_go_on_from_fewer_and_other_rates_do_not(text, tmp_path, monkeypatch):
    monkeypatch.setattr("coder_model.training.literature.run.WATCHED_ROWS", 2)
    trained("ar", text, 2, tmp_path)
    _, log = trained("ar", text, 3, tmp_path)
    assert [row["step"] for row in log] == [1, 2, 3]
    with pytest.raises(CorpusError, match="belongs to a run with other settings: matrix_lr"):
        trained("ar", text, 3, tmp_path, matrix_lr=0.5)
    assert (tmp_path / CHECKPOINT).exists()


def test_the_tokenizer_is_that_of_the_corpus(corpus, text):
    assert text.tokenizer.vocab_size == 310
    assert (corpus / weights.TOKENIZER).exists()
