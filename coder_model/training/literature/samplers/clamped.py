"""Diffusion-LM's sampler (arXiv:2205.14217): every prediction is snapped to the nearest embeddings (clamping).

What is given is put back in every step with the noise of that step.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from coder_model.training.literature.diffusion_lm import GaussianDiffusion
from coder_model.training.literature.interfaces import Predictor
from coder_model.training.literature.samplers.canvas import Chance, Filled


@dataclass(frozen=True, slots=True)
class Clamped:
    """Gaussian noise to words."""

    objective: GaussianDiffusion
    mask_id: int
    clamps: bool = True
    """Else the prediction goes on as it is."""

    def __call__(self, predict: Predictor, canvas: Tensor, steps: int, chance: Chance) -> Filled:
        """Returns the filled canvas after `steps` passes."""
        filled = Filled(canvas.clone())
        objective, open_slots = self.objective, canvas == self.mask_id
        given = objective.embedded(canvas)
        z = torch.randn(given.shape, generator=chance.generator)
        for step, earlier in objective.strides(steps):
            signal = objective.signal(step)
            known = signal.sqrt() * given + (1 - signal).sqrt() * torch.randn(z.shape, generator=chance.generator)
            z = torch.where(open_slots[:, :, None], z, known)
            found = objective.predicted(predict, z, torch.full((len(z),), step))
            words = objective.nearest(found)
            filled.tokens[open_slots] = words[open_slots]
            mean, deviation = objective.stride(z, objective.embedded(words) if self.clamps else found, step, earlier)
            z = mean + deviation * torch.randn(z.shape, generator=chance.generator)
            filled.note()
        chosen = chance.choose(objective.rounding(z))
        filled.tokens[open_slots] = chosen[open_slots]
        filled.history[-1] = filled.tokens.clone()
        return filled
