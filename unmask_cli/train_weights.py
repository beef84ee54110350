"""`unmask train quantise` and `average`: other weights made of those of finished runs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from coder_model.errors import ModelFileError
from unmask_cli.train import Output, one_line
from unmask_cli.waiting import waiting


def quantise(model: Annotated[Path, typer.Argument(help="model directory")], output: Output) -> None:
    """Store a model's matrices as int8."""
    from coder_model.model import weights

    with one_line("train quantise"), waiting("the matrices are rounded"):
        weights.save(*weights.load(model), output, int8=True)


def average(models: Annotated[list[Path], typer.Argument(help="model directories")], output: Output) -> None:
    """Write the mean of models that went on from the same weights."""
    from coder_model.model import weights

    with one_line("train average"), waiting("the models are averaged"):
        loaded = [weights.load(path) for path in models]
        model, tokenizer = loaded[0]
        for path, (other, _) in zip(models, loaded, strict=True):
            if other.config != model.config:
                raise ModelFileError(f"{path} must have the shape of {models[0]}, found another")
        states = [other.state_dict() for other, _ in loaded]
        model.load_state_dict({name: sum(state[name] for state in states) / len(states) for name in states[0]})
        weights.save(model, tokenizer, output)
