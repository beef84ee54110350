"""What every run for a published model can be told."""

from __future__ import annotations

from dataclasses import dataclass, field

from coder_model.training.published.holes import HoleOptions


@dataclass(frozen=True)
class RunOptions:
    """A run by the clock."""

    corpus: str
    """Directory with the model's cut vocabulary, its weights, and the shards in its numbers."""
    output: str
    """Directory; an interrupted run into it is gone on with."""
    minutes: float
    """Length of the run; reading and compiling, and the validations before and after, come on top."""
    holes: HoleOptions = field(default_factory=HoleOptions)
    rows: int = 16
    """Sequences per step."""
    micro_rows: int = 16
    """Sequences per pass."""
    warm_up: int = 40
    """Steps in which the learning rates rise."""
    decay_share: float = 0.4
    """Share of the time, in (0, 1], in which the learning rates fall to zero."""
    hard: float = 0.5
    """How much of what is learnt is one token; the rest is the distribution of the larger model or teacher."""
    bfloat16: bool = False
    """Whether a CPU computes in bfloat16, as a GPU always does."""
    steps: int = 1 << 30
    seed: int = 1
    validation_rows: int = 128
    checks: tuple[float, ...] = (0.25, 0.5, 0.75)
    """Shares of the time at which it is validated, besides before and after."""
    init: str = ""
    """Directory of what to go on from, of a run or as it is shipped."""
