"""An autoregressive model in our layout: the same weights and tokens, and it learns to fill blocks."""

from dataclasses import replace

import checkpoints
import numpy as np
import pytest
import torch
from checkpoints import BY_NAME
from commands import exit_code

from coder_model.checkpoints.hf_config import read_published
from coder_model.checkpoints.open import open_engine
from coder_model.errors import ModelFileError
from coder_model.model import weights
from coder_model.model.transformer import causally
from coder_model.training import adapt as adapt_module
from coder_model.training.adapt import CONVERSION, adapt
from coder_model.training.convert import convert
from coder_model.training.loop import train_step
from coder_model.training.masks import additive
from coder_model.training.objective import joint_loss
from coder_model.training.optim import optimizers_for
from coder_model.training.sampler import Sampler
from coder_model.training.shards import Shard, write_split
from coder_model.types import FillRequest

QUICK = replace(CONVERSION, rows=4, micro_rows=4, length=128, bf16=False, matrix_lr=0.02, other_lr=0.004, warm_up=2)


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    directory = tmp_path_factory.mktemp("qwen")
    return directory, checkpoints.build(BY_NAME["qwen2.5-coder"], directory)


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    folder = tmp_path_factory.mktemp("corpus") / "mine"
    folder.mkdir()
    for i in range(24):
        text = checkpoints.TEXT.replace("total", f"total_{i}").replace("Counter", f"Counter{i}")
        (folder / f"m{i}.py").write_text(text + f"\n\nprint(total_{i}([1, 2, {i}]))\n")
    return folder


@torch.inference_mode()
def test_the_weights_are_those_of_the_checkpoint(checkpoint):
    directory, independent = checkpoint
    model, tokenizer = convert(read_published(directory))
    tokens = torch.arange(3, 40)[None]
    seen = torch.ones(37, 37, dtype=torch.bool).tril()
    mask = additive(seen, torch.float32)[None, None].clamp(min=torch.finfo(torch.float32).min)
    hidden = model(tokens, torch.arange(37)[None], causally)
    expected = independent(tokens, attention_mask=mask).logits
    # rows that no token used are marks now
    mine = [getattr(tokenizer.special_tokens, name) for name in ("mask", "snip", "end")]
    kept = [i for i in range(checkpoints.VOCAB) if i not in mine]
    torch.testing.assert_close(model.logits(hidden)[..., kept], expected[..., kept], atol=1e-4, rtol=1e-4)


def test_a_converted_model_is_one_of_ours(checkpoint, tmp_path):
    directory, _ = checkpoint
    model, tokenizer = convert(read_published(directory))
    assert len({*vars_of(tokenizer.special_tokens)}) == 8
    weights.save(model, tokenizer, tmp_path)
    again, same = weights.load(tmp_path)
    assert again.config == model.config
    assert same.special_tokens == tokenizer.special_tokens
    assert same.encode(checkpoints.TEXT) == tokenizer.encode(checkpoints.TEXT)
    assert same.decode(same.encode(checkpoints.TEXT)) == checkpoints.TEXT
    for token in ("<mask>", "<|fim_suffix|>", "<eom>"):
        assert not set(same.encode(token)) & {*vars_of(same.special_tokens)}
    *_, last = open_engine(str(tmp_path)).fill(FillRequest("s", checkpoints.TEXT, "\n", path="a.py", hole="block"))
    assert last.final


def vars_of(special_tokens):
    return [getattr(special_tokens, name) for name in special_tokens.__slots__]


def test_both_halves_are_learnt(checkpoint, corpus, tmp_path):
    directory, _ = checkpoint
    model, tokenizer = convert(read_published(directory))
    texts = [path.read_text() for path in sorted(corpus.glob("*.py"))]
    ids = (np.array(tokenizer.encode(text), np.uint32).tobytes() for text in texts)
    write_split(tmp_path, "train", [f"mine/m{i}.py" for i in range(len(texts))], ids, width=4)
    shard = Shard.open(tmp_path, "train")
    assert shard.tokens.dtype == np.uint32
    sampler = Sampler(shard, tokenizer, QUICK.noise, 1)
    batch = sampler.batch(10_000, range(4), 128)
    before = joint_loss(model, batch, 1.0, torch.float32)
    model.requires_grad_(True).train()
    optimizers = optimizers_for(model, QUICK.matrix_lr, QUICK.other_lr)
    for step in range(40):
        train_step(model, optimizers, sampler.batch(step, range(4), 128), QUICK)
    after = joint_loss(model, batch, 1.0, torch.float32)
    for half in ("autoregressive", "middle", "full", "partial"):
        assert getattr(after, half) < 0.8 * getattr(before, half), half


@pytest.mark.slow
def test_the_command_converts_trains_and_keeps_what_helps(checkpoint, corpus, tmp_path, monkeypatch, capsys):
    directory, _ = checkpoint
    monkeypatch.setattr(adapt_module, "CONVERSION", QUICK)
    monkeypatch.setattr(adapt_module, "MAX_EPOCHS", 30.0)
    output = tmp_path / "out"
    arguments = ["--init", str(directory), "--corpus", str(corpus), "--output", str(output), "--minutes", "0.2"]
    assert exit_code(["train", *arguments]) == 2
    assert "--objective block converts it" in capsys.readouterr().err
    assert exit_code(["train", *arguments, "--objective", "block"]) == 0
    model, tokenizer = weights.load(output)
    assert model.config.attention == "causal_context"
    assert tokenizer.vocab_size == checkpoints.VOCAB


def test_rounded_weights_are_not_trained_on(tmp_path, corpus):
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "a-q4.gguf").write_bytes(b"GGUF")
    with pytest.raises(ModelFileError, match="found a-q4.gguf, whose weights are rounded; .* qwen2.5-coder-0.5b-base"):
        adapt(tmp_path / "model", corpus, tmp_path / "out", minutes=1)


def test_a_diffusion_model_is_not_converted(tmp_path, corpus):
    checkpoints.build(BY_NAME["dream"], tmp_path / "dream")
    with pytest.raises(ModelFileError, match=r"must be an autoregressive model .* found dream"):
        adapt(tmp_path / "dream", corpus, tmp_path / "out", 0.1)
