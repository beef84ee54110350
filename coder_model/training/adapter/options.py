"""What a run of an adapter can be told."""

from __future__ import annotations

from dataclasses import dataclass, field

from coder_model.training.published.holes import HoleOptions
from coder_model.training.published.options import RunOptions

ALL_LAYERS = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")
FEW_LAYERS = ("q_proj", "k_proj", "v_proj", "o_proj", "down_proj")
"""Without the two largest: an adapter of half the size."""


@dataclass(frozen=True)
class AdapterOptions(RunOptions):
    """A run of an adapter; `hard` is the share of the text's own token."""

    holes: HoleOptions = field(default_factory=lambda: HoleOptions(line_share=0.25))
    rows: int = 32
    warm_up: int = 20
    decay_share: float = 0.8
    validation_rows: int = 512
    teacher: str = ""
    """Directory of a larger model, cut to the same vocabulary; the model itself, as the run finds it, when empty."""
    layers: tuple[str, ...] = ALL_LAYERS
    """Names of the linear layers that change, in every block."""
    rank: int = 16
    scale: float = 2.0
    """What the product of the factors is multiplied by; alpha / R in the paper's terms."""
    learning_rate: float = 5e-4
    prefix_tokens: int = 64
    """Places of the prefix that count in a sequence, beside all of its middle."""
    prefix_weight: float = 0.2
    """How much each of them counts, where a place of the middle counts one."""
