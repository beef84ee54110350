"""Classifier-free guidance (Ho and Salimans 2022, arXiv:2207.12598) for masked models, as LLaDA has it: two passes.

    log p_w proportional to (1 + w) log p(x | context) - w log p(x)

The unconditional half is the same network with the context masked, so it needs no training of its own.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from coder_model.training.literature.interfaces import Predictor
from coder_model.training.literature.kept_keys import KeptKeys
from coder_model.training.literature.samplers.canvas import CanvasSampler, Chance, Filled
from coder_model.training.literature.schemes import Seen


@dataclass(frozen=True, slots=True)
class GuidedPredictor:
    """A network that leans away from what it would say without the context."""

    predict: Predictor
    context: Tensor
    """[B, T] bool, what is given."""
    weight: float
    mask_id: int

    def __call__(
        self, tokens: Tensor, positions: Tensor, seen: Seen, time: Tensor | None = None, kept: KeptKeys | None = None
    ) -> Tensor:
        """Returns guided logits [B, T, V] of whole canvases [B, T]."""
        if kept is not None:
            raise ValueError("guidance needs whole canvases, got a pass over kept keys")
        given = self.predict(tokens, positions, seen, time).log_softmax(dim=-1)
        without = tokens.masked_fill(self.context, self.mask_id)
        return (1 + self.weight) * given - self.weight * self.predict(without, positions, seen, time).log_softmax(-1)


@dataclass(frozen=True, slots=True)
class Guided:
    """Any sampler over whole canvases, guided; each of its passes counts twice."""

    sampler: CanvasSampler
    weight: float
    mask_id: int

    def __call__(self, predict: Predictor, canvas: Tensor, steps: int, chance: Chance) -> Filled:
        """Returns the filled canvas after twice the passes of the sampler, or as many with a weight of 0."""
        if self.weight == 0:
            return self.sampler(predict, canvas, steps, chance)
        guided = GuidedPredictor(predict, canvas != self.mask_id, self.weight, self.mask_id)
        filled = self.sampler(guided, canvas, steps, chance)
        filled.passes *= 2
        return filled
