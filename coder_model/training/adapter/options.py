"""Sizes and rates of an adapter's training."""

from __future__ import annotations

from dataclasses import dataclass, field

from coder_model.training.published.holes import HoleOptions


@dataclass(frozen=True)
class AdapterOptions:
    """A run."""

    corpus: str
    """Directory with the model's cut vocabulary, its weights, and the shards in its numbers."""
    output: str
    """Directory of the adapter."""
    minutes: float
    """Length of the run, with reading, compiling and validating."""
    teacher: str = ""
    """Directory of a larger model, cut to the same vocabulary; the model itself, without the adapter, when empty."""
    holes: HoleOptions = field(default_factory=lambda: HoleOptions(line_share=0.25))
    rank: int = 16
    scale: float = 2.0
    """What the product of the factors is multiplied by; alpha / R in the paper's terms."""
    rows: int = 32
    """Sequences per step."""
    micro_rows: int = 16
    """Sequences per pass."""
    learning_rate: float = 5e-4
    warm_up: int = 20
    decay_share: float = 0.8
    """Share of the time, in (0, 1], in which the learning rate falls to zero."""
    hard: float = 0.5
    """Share of the text's own token in what is learnt; the rest is what the teacher says."""
    prefix_tokens: int = 64
    """Places of the prefix that count in a sequence, beside all of its middle."""
    prefix_weight: float = 0.2
    """How much each of them counts, where a place of the middle counts one."""
    steps: int = 1 << 30
    seed: int = 1
    validation_rows: int = 512
    init: str = ""
    """Directory of an adapter to go on from, as a run writes it."""
