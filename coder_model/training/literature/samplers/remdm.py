"""ReMDM (Wang et al. 2025, arXiv:2503.00307): an ancestral sampler that takes back some of what it has revealed.

With alpha_t = 1 - t, a step from t to s masks a revealed slot again with probability sigma = min(eta, s / (1 - t)),
the capped schedule, and reveals a masked one with (alpha_s - (1 - sigma) alpha_t) / (1 - alpha_t): the marginals stay
those of the diffusion, so the model needs no other training.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from coder_model.training.literature.interfaces import Predictor
from coder_model.training.literature.mdlm import MaskedDiffusion
from coder_model.training.literature.samplers.canvas import Chance, Filled


@dataclass(frozen=True, slots=True)
class Remasking:
    """Ancestral sampling with remasking."""

    objective: MaskedDiffusion
    cap: float = 0.04
    """eta, the largest chance of a revealed slot to be masked again in a step."""

    def __call__(self, predict: Predictor, canvas: Tensor, steps: int, chance: Chance) -> Filled:
        """Returns the filled canvas after `steps` passes."""
        mask_id = self.objective.mask_id
        filled = Filled(canvas.clone())
        tokens, open_slots = filled.tokens, canvas == mask_id
        for left in range(steps, 0, -1):
            time, earlier = left / steps, (left - 1) / steps
            sigma = self.rate(time, earlier)
            reveal = ((1 - earlier) - (1 - sigma) * (1 - time)) / time
            chosen = chance.choose(self.objective.log_p(predict, tokens))
            masked = tokens == mask_id
            revealed = masked & chance.happens(tokens.shape, reveal)
            taken_back = open_slots & ~masked & chance.happens(tokens.shape, sigma)
            tokens[revealed] = chosen[revealed]
            tokens[taken_back] = mask_id
            filled.note()
        return filled

    def rate(self, time: float, earlier: float) -> float:
        """Returns sigma, at most what lets the marginal at s be reached; 0 in the first step and the last."""
        if time == 1 or earlier == 0:
            return 0.0
        return min(self.cap, earlier / (1 - time))
