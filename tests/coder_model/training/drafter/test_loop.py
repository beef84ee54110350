import json
from dataclasses import asdict
from pathlib import Path

import checkpoints
import gguf_files
import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from tiny_drafter import LINE_END, OPTIONS, corpus

from coder_model.checkpoints.hf_config import read_published
from coder_model.errors import ModelFileError
from coder_model.model.drafter import Drafter, DrafterConfig
from coder_model.training.drafter.initial import load_drafter
from coder_model.training.drafter.loop import DrafterRun
from coder_model.training.drafter.options import DrafterOptions
from coder_model.training.published import timed_run
from coder_model.training.published.holes import HoleTokens
from coder_model.training.published.target import write_cut
from coder_model.training.published.vocabulary import cut_of


@pytest.mark.slow
def test_a_drafter_learns_what_a_small_model_says(tmp_path: Path):
    run = small_run(tmp_path, steps=60)
    before = run.validate()
    after = run.train()
    assert after.loss < 0.9 * before.loss
    assert after.middle.accepted > before.middle.accepted
    written = load_drafter(tmp_path / "out")
    for name, parameter in run.drafter.state_dict().items():
        torch.testing.assert_close(written.state_dict()[name], parameter, rtol=1e-3, atol=1e-3)
    lines = [json.loads(line) for line in (tmp_path / "out/log.jsonl").read_text().splitlines()]
    assert lines[-1]["valid"] == asdict(after)


def test_a_run_goes_on_from_a_drafter(tmp_path: Path):
    small_run(tmp_path, steps=3).train()
    again = small_run(tmp_path, steps=1, init=str(tmp_path / "out"))
    kept = load_drafter(tmp_path / "out")
    assert torch.equal(again.drafter.masks, kept.masks)


def test_an_interrupted_run_is_gone_on_with(tmp_path: Path, monkeypatch):
    monkeypatch.setattr(timed_run, "SAVE_EVERY_S", 0)
    first = small_run(tmp_path, steps=8)

    def stop(share):
        if share >= 0.5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        first.train(stop)
    # killed in the step after the one that was saved last
    again = small_run(tmp_path, steps=8)
    assert (again.step, again.share) == (3, pytest.approx(3 / 8, abs=0.01))
    torch.testing.assert_close(again.drafter.masks, load_drafter(tmp_path / "out").masks)
    shares: list[float] = []
    again.train(shares.append)
    assert again.step == 8
    assert len(shares) == 5
    assert small_run(tmp_path, steps=8).step == 0


def test_a_drafter_of_another_shape_is_not_gone_on_from(tmp_path: Path):
    small_run(tmp_path, steps=1).train()
    written = json.loads((tmp_path / "out/drafter.json").read_text())
    changes = {"taps": ([2], "layers below 2"), "block_length": (9, "blocks of 5"), "n_kv_heads": (1, "the n_kv_heads")}
    for name, (value, match) in changes.items():
        config = DrafterConfig(**{**written, "taps": (1,), name: tuple(value) if name == "taps" else value})
        (tmp_path / name).mkdir()
        config.save(tmp_path / name / "drafter.json")
        save_file(Drafter(config).state_dict(), tmp_path / name / "drafter.safetensors")
        with pytest.raises(ModelFileError, match=match):
            small_run(tmp_path, steps=1, init=str(tmp_path / name))


def small_run(folder: Path, steps: int, init: str = "") -> DrafterRun:
    """On a tiny model in a GGUF file, cut to the few tokens of a text that comes over and over."""
    work = folder / "work"
    if not work.exists():
        work.mkdir()
        gguf_files.build("qwen2", folder / "tiny.gguf", "Q8_0")
        text = np.array([5, 6, 7, 8, LINE_END, 20, 21, 22, 23, 24, LINE_END] * 40)
        cut = cut_of(np.bincount(text, minlength=checkpoints.VOCAB), [1, 2, 3, 4], 63, 24, 20)
        new = {int(old): index for index, old in enumerate(cut.ids)}
        breaks = np.full((len(cut.ids), 2), -1)
        breaks[new[LINE_END]] = -1, new[LINE_END]
        write_cut(
            read_published(folder / "tiny.gguf"),
            cut,
            HoleTokens(new[1], new[2], new[3], new[4], new[63], breaks),
            work,
        )
        texts = [cut.renumbered(part, checkpoints.VOCAB).tolist() for part in (text, text[3:])]
        corpus(work, texts)
    options = DrafterOptions(
        str(work), str(folder / "out"), 5.0, OPTIONS, n_layers=1, d_ff=32, taps=1, rows=2, micro_rows=1, steps=steps,
        warm_up=5, validation_rows=4, init=init,
    )  # fmt: skip
    return DrafterRun(options)
