"""Ancestral sampling of masked diffusion, with predictions kept while nothing changes (MDLM, arXiv:2406.07524)."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from coder_model.training.literature.interfaces import Predictor
from coder_model.training.literature.mdlm import MaskedDiffusion
from coder_model.training.literature.samplers.canvas import Chance, Filled


@dataclass(frozen=True, slots=True)
class Ancestral:
    """Each masked slot is revealed with probability (t - s) / t, whatever the model thinks of it."""

    objective: MaskedDiffusion
    keeps_predictions: bool = True
    """Without a time, the network says the same of the same canvas: no pass where no slot was revealed."""

    def __call__(self, predict: Predictor, canvas: Tensor, steps: int, chance: Chance) -> Filled:
        """Returns the filled canvas after at most `steps` passes: one for all rows where any has changed."""
        filled = Filled(canvas.clone())
        tokens, log_p, is_old = filled.tokens, None, True
        for left in range(steps, 0, -1):
            passes = 0
            if log_p is None or is_old or not self.keeps_predictions:
                log_p, passes = self.objective.log_p(predict, tokens), 1
            masked = tokens == self.objective.mask_id
            revealed = masked & chance.happens(tokens.shape, 1 / left)
            tokens[revealed] = chance.choose(log_p)[revealed]
            is_old = bool(revealed.any())
            filled.note(passes)
        return filled
