"""What `unmask train` makes of trained models, and what it says to bad input."""

import json
import re
import shutil
from pathlib import Path

import pytest
import torch
from commands import exit_code
from tiny_training import options
from users_training import write_code

from coder_model.model import weights
from coder_model.training import progress
from coder_model.training.loop import train
from coder_model.training.sources import PERMISSIVE

ROOT = Path(__file__).parents[3]
README = ROOT / "README.md"
TINY = {"d_model": 16, "n_layers": 1, "n_heads": 2, "n_kv_heads": 1, "head_dim": 8, "d_ff": 16}


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


def test_the_commands_of_the_readme_make_a_model(tmp_path, capsys, monkeypatch):
    """Its two lines as they stand there, on two small projects, with the options of a tiny run."""
    monkeypatch.setattr(progress, "EVERY_S", 0.0)
    lines = re.findall(r"^    unmask (train (?:prepare|run) .*?)(?:  +#.*)?$", README.read_text("utf-8"), re.MULTILINE)
    assert len(lines) == 2
    for name in ("one", "two"):
        write_code(tmp_path / "projects" / name)
        (tmp_path / "projects" / name / "LICENSE").write_text("MIT License")
        for file in (tmp_path / "projects" / name).glob("*.py"):
            file.write_text(file.read_text().replace("total", f"total_{name}"))
    places = {"PROJECTS": tmp_path / "projects", "NAME": "two", "CORPUS": tmp_path / "corpus", "RUN": tmp_path / "run"}
    small = {"steps": 2, "rows": 1, "micro_rows": 1, "length": 64, "final_length": 64, "model": TINY}
    more = {"prepare": ["--vocab-size", "400", "--processes", "1"], "run": ["--options", json.dumps(small)]}
    for line in lines:
        words = [str(places.get(word, word)) for word in line.split()]
        assert exit_code([*words, *more[words[1]]]) == 0, capsys.readouterr().err
    weights.load(tmp_path / "run" / "model")
    said = capsys.readouterr()
    assert re.search(r"step 1 of 2, loss \d+\.\d\d, [\d,]+ tokens/s, \d+ s left, checkpoint in \d+ min", said.err)
    assert re.search(r"step 2 of 2, loss \d+\.\d\d, [\d,]+ tokens/s$", said.err, re.MULTILINE)
    assert said.out.splitlines()[-1] == f"written to {tmp_path / 'run' / 'model'}"


def test_the_pages_say_that_a_project_needs_a_licence_and_which():
    page = (ROOT / "docs" / "training.md").read_text("utf-8")
    assert "permissive licence" in README.read_text("utf-8")
    assert all("`--licences" in text for text in (page, README.read_text("utf-8")))
    assert all(name in page for name in PERMISSIVE)


def test_a_run_says_where_its_model_is_also_when_it_was_done_before(corpus, tmp_path, capsys):
    def run(**more):
        small = {"steps": 3, "rows": 1, "micro_rows": 1, "length": 64, "final_length": 64, "model": TINY, **more}
        run = str(tmp_path / "run")
        arguments = ["--corpus", str(corpus), "--output", run, "--options", json.dumps(small)]
        assert exit_code(["train", "run", *arguments]) == 0
        return capsys.readouterr().out

    model = tmp_path / "run" / "model"
    assert run(minutes=1e-6) == f"written to {model} after 1 of 3 steps; the same command goes on\n"
    assert run() == f"written to {model}\n"
    shutil.rmtree(model)
    assert run() == f"{tmp_path / 'run'} is done already (3 steps): {model}\n"
    weights.load(model)


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
        ["prepare", str(ROOT / "tests"), "--output", "/tmp/never"],
        ["prepare", str(ROOT / "tests"), "--output", "/tmp/never", "--hold-out", "nosuch"],
        ["prepare", str(Path(__file__).parents[3] / "docs/figures"), "--output", "/tmp/never"],
        ["prepare", "--licences", __file__, "--output", "/tmp/never"],
    ],
)
def test_bad_input_is_one_line_and_exit_code_two(arguments, capsys):
    assert exit_code(["train", *arguments]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert error.startswith(f"unmask train {arguments[0]}: ")
