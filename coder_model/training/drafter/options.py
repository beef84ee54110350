"""What a run of a drafter can be told."""

from __future__ import annotations

from dataclasses import dataclass, field

from coder_model.training.published.holes import HoleOptions


@dataclass(frozen=True)
class DrafterOptions:
    """A run."""

    corpus: str
    """Directory with the larger model's cut vocabulary, its weights, and the shards in its numbers."""
    output: str
    """Directory; an interrupted run into it is gone on with."""
    minutes: float
    """Length of the run, with reading, compiling and validating."""
    holes: HoleOptions = field(default_factory=HoleOptions)
    n_layers: int = 3
    d_ff: int = 1280
    taps: int = 5
    rows: int = 16
    """Sequences per step."""
    micro_rows: int = 16
    """Sequences per pass."""
    matrix_lr: float = 0.02
    other_lr: float = 0.004
    warm_up: int = 40
    decay_share: float = 0.4
    """Share of the time, in (0, 1], in which the learning rates fall to zero."""
    hard: float = 0.5
    """Share of the larger model's first choice in what is learnt."""
    steps: int = 1 << 30
    seed: int = 1
    validation_rows: int = 128
    init: str = ""
    """Directory of a drafter to go on from, of a run or as it is shipped."""
