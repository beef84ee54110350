"""What `unmask train` makes of trained models, and what it says to bad input."""

from pathlib import Path

import pytest
import torch
from commands import exit_code
from tiny_training import options

from coder_model.model import weights
from coder_model.training.loop import train


def test_quantise_writes_a_smaller_model(corpus, tmp_path, model):
    train(options(corpus, tmp_path / "run", model, steps=1))
    assert exit_code(["train", "quantise", str(tmp_path / "run" / "model"), "--output", str(tmp_path / "int8")]) == 0
    before, after = ((tmp_path / name / "model.safetensors").stat().st_size for name in ("run/model", "int8"))
    assert after < 0.8 * before
    weights.load(tmp_path / "int8")


def test_average_writes_the_mean_of_models(corpus, tmp_path, model):
    for seed in (1, 2):
        train(options(corpus, tmp_path / str(seed), model, steps=1, seed=seed))
    models = [str(tmp_path / str(seed) / "model") for seed in (1, 2)]
    assert exit_code(["train", "average", *models, "--output", str(tmp_path / "mean")]) == 0
    one, two, mean = (weights.load(Path(path))[0].state_dict() for path in (*models, str(tmp_path / "mean")))
    for name, tensor in mean.items():
        torch.testing.assert_close(tensor, (one[name] + two[name]) / 2, atol=1e-2, rtol=1e-2)


def test_models_of_different_shapes_have_no_mean(corpus, tmp_path, model, model_directory, capsys):
    train(options(corpus, tmp_path, model, steps=1))
    models = [str(tmp_path / "model"), str(model_directory)]
    assert exit_code(["train", "average", *models, "--output", str(tmp_path / "mean")]) == 2
    assert "must have the shape of" in capsys.readouterr().err


@pytest.mark.parametrize(
    "arguments",
    [
        ["run", "--corpus", "/nowhere", "--output", "/tmp/never"],
        ["run", "--corpus", "/nowhere", "--output", "/tmp/never", "--options", '{"stepz": 1}'],
        ["prepare", "/nowhere", "--output", "/tmp/never"],
        ["prepare", "--output", "/tmp/never"],
        ["prepare", str(Path(__file__).parents[3] / "docs/figures"), "--output", "/tmp/never"],
        ["prepare", "--licences", __file__, "--output", "/tmp/never"],
    ],
)
def test_bad_input_is_one_line_and_exit_code_two(arguments, capsys):
    assert exit_code(["train", *arguments]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert error.startswith("unmask train: ")
