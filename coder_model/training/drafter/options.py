"""What a run of a drafter can be told."""

from __future__ import annotations

from dataclasses import dataclass

from coder_model.training.published.options import RunOptions


@dataclass(frozen=True)
class DrafterOptions(RunOptions):
    """A run of a drafter; `hard` is the share of the larger model's first choice."""

    n_layers: int = 3
    d_ff: int = 1280
    taps: int = 5
    matrix_lr: float = 0.02
    other_lr: float = 0.004
