"""LLaDA's sampler (arXiv:2502.09992): the same number of slots in each step, the surest first, block after block."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from coder_model.training.literature.interfaces import Predictor
from coder_model.training.literature.mdlm import MaskedDiffusion
from coder_model.training.literature.samplers.canvas import Chance, Filled, shares


@dataclass(frozen=True, slots=True)
class LowConfidence:
    """Predicts all, keeps the surest, masks the others again."""

    objective: MaskedDiffusion
    blocks: int = 1
    """Parts of the hole that are filled from left to right (semi-autoregressive); the steps are shared among them."""

    def __call__(self, predict: Predictor, canvas: Tensor, steps: int, chance: Chance) -> Filled:
        """Returns the filled canvas after `steps` passes, one a block at least.

        Raises:
            ValueError: when the rows have different numbers of masks.
        """
        filled = Filled(canvas.clone())
        place = equal_masks(canvas, self.objective.mask_id)
        for block in torch.arange(place.shape[1]).tensor_split(self.blocks):
            slots = place[:, block]
            for count in shares(len(block), min(len(block), max(1, steps // self.blocks))):
                log_p = self.objective.log_p(predict, filled.tokens)
                reveal_surest_(filled.tokens, log_p, slots, count, self.objective.mask_id, chance)
                filled.note()
        return filled


def equal_masks(canvas: Tensor, mask_id: int) -> Tensor:
    """Returns [B, M] int64, where the masks of each row are.

    Raises:
        ValueError: when the rows have different numbers of them.
    """
    masked = canvas == mask_id
    counts = masked.sum(1)
    if not bool((counts == counts[0]).all()):
        raise ValueError(f"every row must have as many masks, got {counts.tolist()}")
    return masked.nonzero()[:, 1].view(len(canvas), -1)


def reveal_surest_(
    tokens: Tensor, log_p: Tensor, slots: Tensor, count: int, mask_id: int, chance: Chance, noise: float = 0.0
) -> None:
    """Reveals the `count` likeliest of the masked ones among `slots` [B, M], in each row of tokens [B, T].

    Args:
        tokens: [B, T] int64, changed.
        log_p: [B, T, V], of what stands at each slot.
        slots: [B, M] int64, places in the rows.
        count: at most as many as are masked there.
        mask_id: of the mask token.
        chance: chooses the tokens.
        noise: factor of the Gumbel noise on the logarithm of the confidence.
    """
    chosen = chance.choose(log_p)
    confidence = log_p.gather(2, chosen[:, :, None]).squeeze(2)
    if noise:
        uniform = torch.rand(confidence.shape, generator=chance.generator).clamp(min=1e-30)
        confidence = confidence - noise * (-uniform.log()).log()
    confidence = confidence.masked_fill(tokens != mask_id, float("-inf"))
    best = slots.gather(1, confidence.gather(1, slots).topk(count, dim=1).indices)
    tokens.scatter_(1, best, chosen.gather(1, best))
