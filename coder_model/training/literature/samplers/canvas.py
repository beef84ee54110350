"""What the samplers share: the canvas, what a fill is, and how a token is chosen."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from torch import Generator, Tensor

from coder_model.training.literature.interfaces import Predictor


@dataclass(frozen=True)
class Chance:
    """The only source of chance of a fill."""

    generator: Generator
    temperature: float = 0.0
    """0: the likeliest token; 1: the model's own distribution."""

    def choose(self, log_p: Tensor) -> Tensor:
        """Returns tokens [...] of log-probabilities [..., V], by the Gumbel maximum in float64 (as LLaDA's code)."""
        if self.temperature == 0:
            return log_p.argmax(dim=-1)
        uniform = torch.rand(log_p.shape, generator=self.generator, dtype=torch.float64).clamp(min=1e-300)
        return (log_p.double() / self.temperature - (-uniform.log()).log()).argmax(dim=-1)

    def happens(self, shape: torch.Size, rate: float) -> Tensor:
        """Returns bool of a shape, True with a probability."""
        return torch.rand(shape, generator=self.generator) < rate


@dataclass
class Filled:
    """A canvas on its way, and what it took."""

    tokens: Tensor
    """[B, T] int64."""
    passes: float = 0
    """Passes of the network; a row's own where rows are filled apart, the mean over them."""
    history: list[Tensor] = field(default_factory=list)
    """[B, T] after each pass."""

    def note(self, passes: int = 1) -> None:
        """Counts passes and keeps what is there after them."""
        self.passes += passes
        self.history.append(self.tokens.clone())


CanvasSampler = Callable[[Predictor, Tensor, int, Chance], Filled]
"""(network, canvas [B, T] with mask tokens, steps, chance) -> the canvas without them. Steps mean what the paper says;
a sampler without them takes none into account."""


def shares(count: int, steps: int) -> list[int]:
    """Returns `count` in `steps` whole parts, the larger ones first (LLaDA's `get_num_transfer_tokens`)."""
    return [count // steps + (step < count % steps) for step in range(steps)]


def row_by_row(fill: Callable[[Tensor], Filled], canvas: Tensor) -> Filled:
    """Returns the fills of the rows of a canvas [B, T], each alone; passes are their mean, a short history waits."""
    rows = [fill(row[None]) for row in canvas]
    longest = max(len(row.history) for row in rows)
    history = [torch.cat([row.history[min(i, len(row.history) - 1)] for row in rows]) for i in range(longest)]
    return Filled(torch.cat([row.tokens for row in rows]), sum(row.passes for row in rows) / len(rows), history)
