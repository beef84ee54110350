from dataclasses import replace
from pathlib import Path

import checkpoints
import pytest
from commands import exit_code
from users_training import gguf, refused, safetensors

from coder_model.checkpoints.open import open_engine
from coder_model.engine.options import EngineOptions
from coder_model.model.companions import users_folder
from coder_model.model.drafter_files import read_drafter
from coder_model.text.filters import FILTERS
from coder_model.training.drafter import own_drafter
from coder_model.training.drafter.options import DrafterOptions
from coder_model.training.drafter.own_drafter import DrafterGain, train_drafter
from coder_model.types import FillRequest

SMALL = DrafterOptions(
    "", "", 0.0, n_layers=1, d_ff=32, rows=2, micro_rows=2, steps=3, warm_up=1, validation_rows=2
)  # fmt: skip


@pytest.fixture(autouse=True)
def _small(monkeypatch, tmp_path: Path):
    monkeypatch.setattr(own_drafter, "TRAINING", SMALL)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))


def texts_and_kinds(target: Path, has_drafter: bool) -> tuple[list[str], set[str]]:
    # what a random model says is not fit to be seen
    shown = {"alternatives": 0, "filters_off": tuple(FILTERS)}
    options = EngineOptions(precision="float32", copy=False, drafter=has_drafter, **shown)
    engine = open_engine(str(target), options, "float32")
    kinds, texts = set(), []
    for end in range(60, 240, 30):
        drafts = list(engine.fill(FillRequest(str(end), checkpoints.TEXT[:end], checkpoints.TEXT[end:], path="a.py")))
        kinds |= {draft.kind for draft in drafts}
        texts.append(drafts[-1].text)
    return texts, kinds


@pytest.mark.parametrize("build", [gguf, safetensors])
def test_a_model_uses_the_drafter_that_was_trained_for_it(build, tmp_path: Path, code: Path, capsys):
    target = build(tmp_path)
    plain, kinds = texts_and_kinds(target, True)
    assert "denoise" not in kinds
    assert all(plain)
    assert exit_code(["train", "drafter", "--target", str(target), "--corpus", str(code)]) == 0
    found, how = capsys.readouterr().out.splitlines()
    assert found.startswith("accepted tokens of a block on 1 held-out files: ")
    folder = users_folder("drafters") / "tiny"
    assert how == f"written to {folder}; tiny uses it from its next start on"
    assert sorted(path.name for path in folder.iterdir()) == ["drafter.json", "drafter.safetensors", "log.jsonl"]
    drafted, kinds = texts_and_kinds(target, True)
    assert "denoise" in kinds
    assert drafted == plain == texts_and_kinds(target, False)[0]


def test_a_drafter_is_gone_on_from_and_kept_only_if_it_is_better(tmp_path: Path, code: Path, capsys, monkeypatch):
    target, output = safetensors(tmp_path), tmp_path / "drafter"
    arguments = ["--target", str(target), "--corpus", str(code), "--output", str(output)]
    assert exit_code(["train", "drafter", *arguments, "--head-tokens", "300"]) == 0
    assert f"tiny uses it once it lies in {users_folder('drafters')}" in capsys.readouterr().out
    assert len(read_drafter(output).ids) == 300
    first = (output / "drafter.safetensors").read_bytes()
    # nothing learnt, nothing gained
    monkeypatch.setattr(own_drafter, "TRAINING", replace(SMALL, matrix_lr=0.0, other_lr=0.0))
    assert exit_code(["train", "drafter", *arguments, "--init", str(output)]) == 1
    assert f"not kept, it is no better than {output}: accepted tokens" in capsys.readouterr().err
    assert (output / "drafter.safetensors").read_bytes() == first
    assert not (output / "work").exists()


def test_an_interrupted_run_prepares_nothing_again(tmp_path: Path, code: Path, monkeypatch, capsys):
    target, output = safetensors(tmp_path), tmp_path / "drafter"

    def killed(*_):
        raise KeyboardInterrupt

    prepared = []
    with monkeypatch.context() as patched:
        patched.setattr(own_drafter, "_run", killed)
        for _ in range(2):
            with pytest.raises(KeyboardInterrupt):
                train_drafter(str(target), code, output, 1.0)
            prepared.append((output / "work/cut/target.bin").stat().st_mtime_ns)
        arguments = ["--target", str(target), "--corpus", str(code), "--output", str(output), "--minutes", "1"]
        assert exit_code(["train", "drafter", *arguments]) == 130
        said = f"unmask train drafter: interrupted; the same command goes on from {output / 'work'}"
        assert said in capsys.readouterr().err.splitlines()
    assert prepared[0] == prepared[1]
    # another corpus is another run
    (code / "m0.py").write_text(checkpoints.TEXT * 3)
    train_drafter(str(target), code, output, 1.0)
    assert sorted(path.name for path in output.iterdir()) == ["drafter.json", "drafter.safetensors", "log.jsonl"]


@pytest.mark.parametrize(
    ("more", "match"),
    [
        (["--minutes", "0"], "minutes must be positive and end some time, got 0.0"),
        (["--minutes", "nan"], "minutes must be positive and end some time, got nan"),
        (["--minutes", "inf"], "minutes must be positive and end some time, got inf"),
        (["--head-tokens", "5"], "head-tokens must be from 26"),
        (["--init", "nowhere"], "must be a drafter's configuration"),
    ],
)
def test_what_makes_no_sense_is_named(more, match, tmp_path: Path, code: Path, capsys):
    assert match in refused("drafter", tmp_path, code, capsys, *more)
    assert not (tmp_path / "out").exists()


def test_a_model_that_is_not_there_or_not_published_is_named(tmp_path: Path, code: Path, capsys, model_directory):
    assert "tiny-coder is not installed" in refused("drafter", tmp_path, code, capsys, target="tiny-coder")
    own = refused("drafter", tmp_path, code, capsys, target=str(model_directory))
    assert "target must be a published model, GGUF or safetensors" in own
    embedded = refused("drafter", tmp_path, code, capsys, target="embedded")
    assert "target must be a published model; `unmask train --corpus` trains the embedded one" in embedded


def test_too_little_text_and_a_folder_of_other_things_are_named(tmp_path: Path, code: Path, capsys):
    few = tmp_path / "few"
    few.mkdir()
    for name in ("a.py", "b.py"):
        (few / name).write_text(checkpoints.TEXT + name)
    assert "corpus must hold at least 8,192 tokens of source text, found" in refused("drafter", tmp_path, few, capsys)
    assert not (tmp_path / "out/work").exists()
    (tmp_path / "out/work").mkdir()
    (tmp_path / "out/work/thesis.tex").touch()
    assert "must be what an earlier run has left" in refused(
        "drafter", tmp_path, code, capsys, target=str(tmp_path / "tiny")
    )
    assert (tmp_path / "out/work/thesis.tex").exists()


def test_the_gain_is_told_in_one_line():
    assert str(DrafterGain(7, None, 1.5)) == "accepted tokens of a block on 7 held-out files: 1.50"
    assert str(DrafterGain(7, 1.25, 1.5)) == "accepted tokens of a block on 7 held-out files: 1.25 -> 1.50"
    assert DrafterGain(7, None, 0.0).helped
    assert not DrafterGain(7, 1.5, 1.5).helped
