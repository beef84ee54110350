from dataclasses import replace

import pytest
from commands import exit_code

from coder_model.errors import CorpusError
from coder_model.model import weights
from coder_model.training import adapt as adapt_module
from coder_model.training.adapt import Gain, adapt

FUNCTION = '''

def {name}_total(values, limit=None):
    """Returns the total of {name} values."""
    result = 0
    for value in values:
        result += value.{name}_amount
    return result if limit is None else min(result, limit)
'''


@pytest.fixture
def corpus(tmp_path):
    folder = tmp_path / "mine"
    folder.mkdir()
    names = [f"{a}{b}" for a in ("red", "blue", "green", "dark", "light") for b in ("box", "tree", "car")]
    for i, name in enumerate(names):
        text = "import math\n" + "".join(FUNCTION.format(name=f"{name}{suffix}") for suffix in ("", "_old", "_new"))
        (folder / f"m{i}.py").write_text(text)
    return folder


def replaced(**values):
    return replace(adapt_module.TUNING, **values)


def files_of(folder):
    return {file.name: file.read_bytes() for file in folder.iterdir()}


@pytest.mark.slow
def test_training_on_a_repository_helps_on_its_held_out_files(model_directory, corpus, tmp_path, monkeypatch):
    monkeypatch.setattr(adapt_module, "MAX_EPOCHS", 40.0)
    before = files_of(model_directory)
    gain = adapt(model_directory, corpus, tmp_path / "out", 10.0, replaced(rows=4, length=128, bf16=False))
    assert gain.loss_after < gain.loss_before - 1
    assert gain.helped
    weights.load(tmp_path / "out")
    assert files_of(model_directory) == before


def test_what_does_not_help_is_not_kept(model_directory, corpus, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(adapt_module, "TUNING", replaced(rows=1, length=64, matrix_lr=0.0, other_lr=0.0))
    output = tmp_path / "out"
    arguments = ["--init", str(model_directory), "--corpus", str(corpus), "--output", str(output), "--minutes", "0.01"]
    assert exit_code(["train", *arguments]) == 1
    assert "not kept, it does not help: exact match on" in capsys.readouterr().err
    assert not output.exists()


def test_a_repository_with_too_little_is_refused(model_directory, tmp_path, capsys):
    (tmp_path / "empty").mkdir()
    assert exit_code(["train", "--init", str(model_directory), "--corpus", str(tmp_path / "empty")]) == 2
    assert "must hold at least 2 source files, found 0\n" in capsys.readouterr().err
    (tmp_path / "empty/short.py").write_text("x = 1\n")
    assert exit_code(["train", "--init", str(model_directory), "--corpus", str(tmp_path / "empty")]) == 2
    assert "found 0; left out: 1 as not 200 to 200,000 bytes long\n" in capsys.readouterr().err
    with pytest.raises(CorpusError, match="corpus directory must exist"):
        adapt(model_directory, tmp_path / "gone", tmp_path / "out", 1.0)


@pytest.mark.parametrize(
    ("minutes", "output", "message"), [(0.0, "out", "minutes must be positive"), (1.0, "", "another")]
)
def test_what_makes_no_sense_is_named(model_directory, corpus, tmp_path, minutes, output, message):
    with pytest.raises(CorpusError, match=message):
        adapt(model_directory, corpus, tmp_path / output if output else model_directory, minutes)


def test_nothing_else_in_the_output_is_touched(model_directory, corpus, tmp_path, monkeypatch):
    monkeypatch.setattr(adapt_module.Gain, "helped", True)
    (tmp_path / "notes.txt").write_text("mine")
    adapt(model_directory, corpus, tmp_path, 0.001, replaced(rows=1, length=64))
    assert (tmp_path / "notes.txt").read_text() == "mine"
    weights.load(tmp_path)


def test_the_gain_is_told_in_one_line():
    gain = Gain(80, 20.0, 25.0, 3.1, 3.0, 2.5, 1_000)
    points = "exact match on 80 held-out holes 20.0 -> 25.0 % (+5.0 ± 3.1 points)"
    assert str(gain) == f"{points}, loss 3.000 -> 2.500 nats, 1,000 tokens"
    assert gain.helped
