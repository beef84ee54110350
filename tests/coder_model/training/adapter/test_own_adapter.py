import json
from dataclasses import replace
from pathlib import Path

import checkpoints
import pytest
from commands import exit_code
from users_training import gguf, refused, safetensors

from coder_model.checkpoints.hf_config import read_published
from coder_model.checkpoints.loading import adapter_of
from coder_model.model.adapter_files import read_adapter
from coder_model.model.companions import users_folder
from coder_model.training.adapter import own_adapter
from coder_model.training.adapter.loop import AdapterRun, HolesFilled
from coder_model.training.adapter.options import AdapterOptions
from coder_model.training.adapter.own_adapter import AdapterGain, train_adapter
from coder_model.training.published.own_work import WORK

SMALL = AdapterOptions(
    "", "", 0.0, rows=2, micro_rows=2, steps=6, warm_up=1, validation_rows=8, rank=4, learning_rate=0.01, checks=()
)  # fmt: skip
WRITTEN = ["adapter.json", "adapter.safetensors", "log.jsonl"]


@pytest.fixture(autouse=True)
def _small(monkeypatch, tmp_path: Path):
    monkeypatch.setattr(own_adapter, "TRAINING", SMALL)
    monkeypatch.setattr(own_adapter, "ON_CPU", SMALL)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))


@pytest.mark.parametrize("build", [gguf, safetensors])
def test_a_model_uses_the_adapter_that_was_trained_for_it(build, tmp_path: Path, code: Path, capsys):
    target = build(tmp_path)
    assert adapter_of(read_published(target)) is None
    assert exit_code(["train", "adapter", "--target", str(target), "--corpus", str(code)]) == 0
    said = capsys.readouterr()
    found, how = said.out.splitlines()
    assert found.startswith("of 8 holes in 1 held-out files filled as they were: ")
    folder = users_folder("adapters") / "tiny"
    assert how == f"written to {folder}; tiny uses it from its next start on"
    (told,) = [line for line in said.err.splitlines() if "a sequence on this device" in line]
    assert told.startswith("from the plain model; ")
    assert "10 minutes are about " in told
    assert told.endswith(", and 8 are filled before and after")
    assert sorted(path.name for path in folder.iterdir()) == WRITTEN
    used = adapter_of(read_published(target))
    assert used is not None
    assert used.config.rank == 4
    assert {name.rpartition(".")[2] for name in used.modules} == set(SMALL.layers)


def test_a_training_goes_on_from_the_adapter_in_use_and_says_so(tmp_path: Path, code: Path, capsys, monkeypatch):
    target = safetensors(tmp_path)
    arguments = ["train", "adapter", "--target", str(target), "--corpus", str(code)]
    assert exit_code([*arguments, "--rank", "3", "--layers", "attention+down"]) == 0
    used = adapter_of(read_published(target))
    capsys.readouterr()
    # nothing learnt: what is written, if it is, is what was there; and what is not better is not written
    monkeypatch.setattr(own_adapter, "ON_CPU", replace(SMALL, learning_rate=0.0))
    assert exit_code([*arguments, "--output", str(tmp_path / "second")]) == 1
    said = capsys.readouterr().err
    assert "from an adapter that is there; " in said
    assert said.splitlines()[-1].startswith("unmask train adapter: not kept, it does not help: of 8 holes")
    assert list((tmp_path / "second").iterdir()) == []
    monkeypatch.setattr(own_adapter, "ON_CPU", SMALL)
    assert exit_code([*arguments, "--output", str(tmp_path / "second"), "--rank", "5"]) == 0
    assert f"tiny uses it once it lies in {users_folder('adapters')}" in capsys.readouterr().out
    second = read_adapter(tmp_path / "second")
    assert (used.config.rank, second.config.rank) == (3, 5)
    assert second.modules == used.modules
    assert not any(name.endswith("gate_proj") for name in second.modules)
    assert (
        exit_code([*arguments, "--output", str(tmp_path / "second"), "--init", str(tmp_path / "second"), "--rank", "4"])
        == 2
    )
    assert "rank must be at least that of the adapter to go on from, 5, got 4" in capsys.readouterr().err


def test_a_larger_model_teaches(tmp_path: Path, code: Path, monkeypatch):
    target, taught = safetensors(tmp_path), []
    checkpoints.build(checkpoints.BY_NAME["qwen2.5-coder"], tmp_path / "larger", hidden_size=64, vocab_size=416)
    validate = AdapterRun.validate
    monkeypatch.setattr(AdapterRun, "validate", lambda run: taught.append(run.teacher.config) or validate(run))
    train_adapter(str(target), code, tmp_path / "out", 1.0, str(tmp_path / "larger"))
    assert {config.d_model for config in taught} == {64}


def test_an_interrupted_training_prepares_nothing_again_and_keeps_what_was_before(
    tmp_path: Path, code: Path, monkeypatch
):
    target, output = safetensors(tmp_path), tmp_path / "adapter"

    def killed(*_):
        raise KeyboardInterrupt

    prepared = []
    with monkeypatch.context() as patched:
        patched.setattr(own_adapter, "_run", killed)
        for _ in range(2):
            with pytest.raises(KeyboardInterrupt):
                train_adapter(str(target), code, output, 1.0)
            prepared.append((output / WORK / "cut/target.bin").stat().st_mtime_ns)
    assert prepared[0] == prepared[1]
    # another corpus is another run
    (code / "m0.py").write_text(checkpoints.TEXT * 3)
    assert train_adapter(str(target), code, output, 1.0).helped
    assert sorted(path.name for path in output.iterdir()) == WRITTEN


@pytest.mark.parametrize(
    ("more", "match"),
    [
        (["--minutes", "0"], "minutes must be positive and end some time, got 0.0"),
        (["--rank", "0"], "'--rank': Input should be greater than or equal to 1"),
        (["--rank", "100000"], "'--rank': Input should be less than or equal to 1024"),
        (["--rank", "99"], "rank must be from 1 to 16, got 99"),
        (["--init", "nowhere"], "must be an adapter's configuration"),
        (["--teacher", "larger-coder"], "larger-coder is not installed"),
        (["--corpus", "nowhere"], "corpus directory must exist"),
    ],
)
def test_what_makes_no_sense_is_named(more, match, tmp_path: Path, code: Path, capsys):
    assert match in refused("adapter", tmp_path, code, capsys, *more)
    assert not (tmp_path / "out").exists()


def test_a_teacher_that_has_other_tokens_or_is_no_such_model_is_named(
    tmp_path: Path, code: Path, capsys, model_directory
):
    other = checkpoints.BY_NAME["qwen2.5-coder"]
    checkpoints.build(other, tmp_path / "other")
    file = tmp_path / "other/tokenizer.json"
    tokenizer = json.loads(file.read_text())
    vocabulary = tokenizer["model"]["vocab"]
    vocabulary["A"], vocabulary["B"] = vocabulary["B"], vocabulary["A"]
    file.write_text(json.dumps(tokenizer))
    own = refused("adapter", tmp_path, code, capsys, "--teacher", str(model_directory))
    assert "teacher must be a published model, GGUF or safetensors" in own
    error = refused(
        "adapter", tmp_path, code, capsys, "--teacher", str(tmp_path / "other"), target=str(tmp_path / "tiny")
    )
    assert f"teacher must have the vocabulary of the target, {tmp_path / 'other'} has another" in error
    assert not (tmp_path / "out").exists()


def test_too_little_text_is_named(tmp_path: Path, capsys):
    few = tmp_path / "few"
    few.mkdir()
    for name in ("a.py", "b.py"):
        (few / name).write_text(checkpoints.TEXT + name)
    assert "corpus must hold at least 8,192 tokens of source text, found" in refused("adapter", tmp_path, few, capsys)
    assert not (tmp_path / "out/work").exists()


def test_the_gain_is_told_in_one_line():
    before = HolesFilled(40, 50.0, 80.0, 50.0, 1.0)
    better = replace(before, whole=52.5, tokens=81.26, loss=0.9)
    assert str(AdapterGain(7, before, better)) == (
        "of 40 holes in 7 held-out files filled as they were: 50.0 % -> 52.5 %; of their tokens 80.0 % -> 81.3 %; "
        "loss 1.000 -> 0.900"
    )
    assert AdapterGain(7, before, better).helped
    assert AdapterGain(7, before, replace(before, loss=0.9)).helped
    assert not AdapterGain(7, before, before).helped
    assert not AdapterGain(7, before, replace(better, loss=1.1)).helped
    assert not AdapterGain(7, before, replace(better, whole=49.0)).helped
