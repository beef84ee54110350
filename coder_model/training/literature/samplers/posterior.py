"""D3PM's sampler (arXiv:2107.03006): x_s from p(x_s | x_t) at every slot; fewer steps are longer strides."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from coder_model.training.literature.d3pm import DiscreteDiffusion
from coder_model.training.literature.interfaces import Predictor
from coder_model.training.literature.samplers.canvas import Chance, Filled


@dataclass(frozen=True, slots=True)
class Posterior:
    """Holes begin as noise; of uniform noise every open slot may change in every step."""

    objective: DiscreteDiffusion
    mask_id: int
    """What is open in a canvas, also where the noise has no mask."""

    def __call__(self, predict: Predictor, canvas: Tensor, steps: int, chance: Chance) -> Filled:
        """Returns the filled canvas after at most `steps` passes; the last one takes tokens by the temperature."""
        filled = Filled(canvas.clone())
        tokens, open_slots = filled.tokens, canvas == self.mask_id
        noise = self.objective.from_noise(canvas.shape, chance.generator)
        tokens[open_slots] = noise[open_slots]
        for step, earlier in self.objective.strides(steps):
            p = self.objective.step_back(predict, tokens, step, earlier)
            if earlier == 0:
                chosen = chance.choose(p.log())
            else:
                chosen = torch.multinomial(p.flatten(0, 1), 1, generator=chance.generator).view(tokens.shape)
            tokens[open_slots] = chosen[open_slots]
            filled.note()
        return filled
