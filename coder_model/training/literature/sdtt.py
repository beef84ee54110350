"""Self-distillation through time (Deschenaux and Gulcehre 2024, arXiv:2410.21035): two steps of a sampler in one pass.

The teacher, the same network as it was, goes on from a noised text for `ahead` of its steps. At each slot the student
learns what the teacher said in the step in which it revealed that slot, or in its last one.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Generator, Tensor

from coder_model.training.literature.interfaces import Predictor
from coder_model.training.literature.mdlm import MaskedDiffusion
from coder_model.training.literature.noise import drawn, masked_tokens
from coder_model.training.literature.samplers.canvas import Chance
from coder_model.training.sampler import Batch


@dataclass(frozen=True, slots=True)
class SelfDistillation:
    """A masked diffusion model taught by one that takes smaller steps."""

    objective: MaskedDiffusion
    teacher: Predictor
    steps: int = 16
    """Of the teacher, from all masked to none."""
    ahead: int = 2
    """Steps of the teacher that are one of the student."""

    def loss(self, predict: Predictor, batch: Batch, generator: Generator) -> Tensor:
        """Returns the divergence of the student from the teacher, per masked token."""
        left = torch.randint(1, self.steps + 1, (len(batch.clean), 1), generator=generator)
        masked = drawn(batch.clean.shape, left / self.steps, generator)
        canvas = masked_tokens(batch.clean, masked, self.objective.mask_id)
        return divergence(self.targets(canvas, left, generator), self.objective.log_p(predict, canvas), masked)

    @torch.no_grad()
    def targets(self, canvas: Tensor, left: Tensor, generator: Generator) -> Tensor:
        """Returns log p [B, T, V] of the teacher's next steps from a canvas with `left` [B, 1] steps to go."""
        chance, canvas = Chance(generator, 1.0), canvas.clone()
        said = self.objective.log_p(self.teacher, canvas)
        for step in range(1, self.ahead):
            masked = canvas == self.objective.mask_id
            revealed = masked & drawn(canvas.shape, 1 / (left - step + 1).clamp(min=1), generator)
            canvas[revealed] = chance.choose(said)[revealed]
            now = self.objective.log_p(self.teacher, canvas)
            said = torch.where((canvas == self.objective.mask_id)[:, :, None], now, said)
        return said

    def nelbo(self, predict: Predictor, x0: Tensor, generator: Generator) -> Tensor:
        """Returns one draw of the bound of MDLM, [B]."""
        return self.objective.nelbo(predict, x0, generator)

    def log_weight(self, predict: Predictor, x0: Tensor, steps: int, generator: Generator) -> Tensor:
        """Returns the weight of a noising as MDLM has it, [B]."""
        return self.objective.log_weight(predict, x0, steps, generator)


def divergence(target: Tensor, log_p: Tensor, masked: Tensor) -> Tensor:
    """Returns KL(target | p), the mean over masked slots [], of log-probabilities [B, T, V]; 0 log 0 is 0."""
    possible = target > -torch.inf
    difference = target.masked_fill(~possible, 0.0) - log_p.masked_fill(~possible, 0.0)
    each = (target.exp() * difference).sum(2)
    return each.masked_fill(~masked, 0.0).sum() / masked.sum().clamp(min=1)
