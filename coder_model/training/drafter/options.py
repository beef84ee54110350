"""What a run of a drafter can be told."""

from __future__ import annotations

from dataclasses import dataclass, field

from coder_model.training.published.holes import HoleOptions
from coder_model.training.published.options import RunOptions


@dataclass(frozen=True)
class DrafterHoles(HoleOptions):
    """How sequences are cut, and where blocks begin in them."""

    anchors: int = 64
    """Blocks per sequence; at most half of them in the prefix while the middle has places."""
    block_length: int = 12
    reveal_share: float = 0.3
    """Share of the blocks in which some of the slots are known already, as in a second step."""
    fade: float = 5.0
    """Slot j counts exp(-j / fade), since it is only of use when all slots before it were right."""


@dataclass(frozen=True)
class DrafterOptions(RunOptions):
    """A run of a drafter; `hard` is the share of the larger model's first choice."""

    holes: DrafterHoles = field(default_factory=DrafterHoles)
    n_layers: int = 3
    d_ff: int = 1280
    taps: int = 5
    matrix_lr: float = 0.02
    other_lr: float = 0.004
