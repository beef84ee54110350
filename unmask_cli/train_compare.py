"""`unmask train compare`: every diffusion language model of the literature on one corpus, beside each other."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import typer

from coder_model.training.literature.names import check_tokens, named, shape_of
from coder_model.training.sources import existing
from unmask_cli.terminal import print_columns
from unmask_cli.train import one_line

_HEADS = ("model", "bits per byte", "steps", "exact, %", "in place, %", "passes per token", "ms")
_REMARK = "steps: of its sampler (ours: slots of a draft); in place: tokens of the hole; ms: of the processor, one hole"


def compare(
    corpus: Annotated[Path, typer.Option(help="directory that `prepare` wrote, or one of source files")],
    output: Annotated[
        Path, typer.Option(help="directory of the checkpoints and the record; goes on from what is there")
    ],
    tokens: Annotated[int, typer.Option(help="that each model sees")] = 1_000_000,
    size: Annotated[str, typer.Option(help="tiny, small or medium")] = "small",
    only: Annotated[str, typer.Option(help="models, separated by commas, such as mdlm,ar,eso_b; else all")] = "",
) -> None:
    """Train the diffusion language models of the literature at equal tokens and size, and compare them."""
    with one_line("train compare"):
        # before torch is imported, which takes seconds
        existing(corpus)
        check_tokens(tokens)
        shape_of(size)
        names = named(only)
    from coder_model.worker.threads import choose_threads

    choose_threads()
    from coder_model.training.literature.compare import compare as compare_models

    with one_line("train compare", output):
        record = compare_models(corpus.resolve(), tokens, size, output.resolve(), names)
    print_columns(_HEADS, _rows(json.loads(record.read_text("utf-8"))["models"]), _REMARK)
    print(f"written to {record}")


def _rows(models: dict[str, dict[str, Any]]) -> Iterator[tuple[str, ...]]:
    """A row for each number of steps that a model was tried with."""
    for name, model in models.items():
        for point, ms in zip(model["curve"], model["times"]["steps_ms"], strict=True):
            figures = (f"{point[key]:.1f}" for key in ("exact", "tokens_right"))
            yield (
                name,
                f"{model['bound']:.2f}",
                str(point["steps"]),
                *figures,
                f"{point['passes_per_token']:.2f}",
                f"{ms:.1f}",
            )
