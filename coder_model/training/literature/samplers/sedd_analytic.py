"""SEDD's analytic sampler, Tweedie tau-leaping (arXiv:2310.16834), for absorbing noise: every slot by itself."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from coder_model.training.literature.interfaces import Predictor
from coder_model.training.literature.samplers.canvas import Chance, Filled
from coder_model.training.literature.sedd import ScoreEntropy


@dataclass(frozen=True, slots=True)
class Analytic:
    """Whether a slot stays masked is drawn from the scores; which token it becomes, by the temperature."""

    objective: ScoreEntropy

    def __call__(self, predict: Predictor, canvas: Tensor, steps: int, chance: Chance) -> Filled:
        """Returns the filled canvas after `steps` passes."""
        filled = Filled(canvas.clone())
        mask_id, tokens = self.objective.mask_id, filled.tokens
        for left in range(steps, 0, -1):
            p = self.objective.transition(predict, tokens, left / steps, (left - 1) / steps)
            stays = torch.rand(tokens.shape, generator=chance.generator) < p[:, :, mask_id]
            log_p = p.index_fill(2, torch.tensor([mask_id]), 0.0).log()
            revealed = (tokens == mask_id) & ~stays
            tokens[revealed] = chance.choose(log_p)[revealed]
            filled.note()
        return filled
