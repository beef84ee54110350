"""MaskGIT's sampler (arXiv:2202.04200): after step s of S there are ceil(cos(pi s / 2 S) M) masks left.

The confidence is log p plus noise that cools down; what was kept stays.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from coder_model.training.literature.interfaces import Predictor
from coder_model.training.literature.maskgit import masks_left
from coder_model.training.literature.mdlm import MaskedDiffusion
from coder_model.training.literature.samplers.canvas import Chance, Filled
from coder_model.training.literature.samplers.low_confidence import equal_masks, reveal_surest_


@dataclass(frozen=True, slots=True)
class Cosine:
    """Few slots first, many at the end."""

    objective: MaskedDiffusion
    choice_temperature: float = 0.0
    """Of the Gumbel noise on the confidence in the first step; images use 4.5."""

    def __call__(self, predict: Predictor, canvas: Tensor, steps: int, chance: Chance) -> Filled:
        """Returns the filled canvas after at most `steps` passes: a step that would reveal nothing is left out.

        Raises:
            ValueError: when the rows have different numbers of masks.
        """
        filled = Filled(canvas.clone())
        slots = equal_masks(canvas, self.objective.mask_id)
        left = slots.shape[1]
        for step in range(1, steps + 1):
            after = masks_left(step / steps, slots.shape[1])
            if after == left:
                continue
            log_p = self.objective.log_p(predict, filled.tokens)
            noise = self.choice_temperature * (1 - step / steps)
            reveal_surest_(filled.tokens, log_p, slots, left - after, self.objective.mask_id, chance, noise)
            left = after
            filled.note()
        return filled
