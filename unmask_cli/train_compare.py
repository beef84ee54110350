"""`unmask train compare`: every diffusion language model of the literature on one corpus, beside each other."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from unmask_cli.train import one_line


def compare(
    corpus: Annotated[Path, typer.Option(help="directory that `prepare` wrote, or one of source files")],
    out: Annotated[Path, typer.Option(help="directory of the checkpoints and the record; goes on from what is there")],
    tokens: Annotated[int, typer.Option(help="that each model sees")] = 1_000_000,
    size: Annotated[str, typer.Option(help="tiny, small or medium")] = "small",
    only: Annotated[str, typer.Option(help="models, separated by commas, such as mdlm,ar,eso_b; else all")] = "",
) -> None:
    """Train the diffusion language models of the literature at equal tokens and size, and compare them."""
    from coder_model.worker.threads import choose_threads

    choose_threads()
    from coder_model.training.literature.compare import compare as compare_models
    from coder_model.training.literature.models import named

    with one_line(out):
        record = compare_models(corpus.resolve(), tokens, size, out.resolve(), named(only))
    print(f"written to {record}")
