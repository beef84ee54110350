"""Block Gibbs as a corrector (Wang and Cho 2019, arXiv:1902.04094): filled slots are masked and filled again."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from coder_model.training.literature.interfaces import Predictor
from coder_model.training.literature.mdlm import MaskedDiffusion
from coder_model.training.literature.samplers.canvas import CanvasSampler, Chance, Filled


@dataclass(frozen=True, slots=True)
class Gibbs:
    """Another sampler's fill, corrected."""

    objective: MaskedDiffusion
    first: CanvasSampler
    rounds: int = 4
    """Passes of the corrector."""
    size: int = 4
    """Slots that are drawn again in a pass, given all others; with 1 it is Gibbs sampling."""

    def __call__(self, predict: Predictor, canvas: Tensor, steps: int, chance: Chance) -> Filled:
        """Returns the canvas filled in `steps` steps of the first sampler and corrected in `rounds` passes."""
        open_slots = canvas == self.objective.mask_id
        filled = self.first(predict, canvas, steps, chance)
        for _ in range(self.rounds):
            rank = (
                torch.rand(canvas.shape, generator=chance.generator).masked_fill(~open_slots, 2.0).argsort(1).argsort(1)
            )
            again = open_slots & (rank < self.size)
            log_p = self.objective.log_p(predict, filled.tokens.masked_fill(again, self.objective.mask_id))
            filled.tokens[again] = chance.choose(log_p)[again]
            filled.note()
        return filled
