"""One token a pass, from left to right, keys kept: how an autoregressive model samples."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from coder_model.training.literature.interfaces import Predictor
from coder_model.training.literature.kept_keys import KeptKeys
from coder_model.training.literature.noise import positions_of
from coder_model.training.literature.samplers.canvas import Chance, Filled
from coder_model.training.literature.samplers.low_confidence import equal_masks
from coder_model.training.literature.schemes import causal


@dataclass(frozen=True, slots=True)
class LeftToRight:
    """Fills the masks at the end of a canvas; steps are as many as there are."""

    start_id: int
    mask_id: int

    def __call__(self, predict: Predictor, canvas: Tensor, steps: int, chance: Chance) -> Filled:  # noqa: ARG002  as every sampler
        """Returns the filled canvas after a pass per mask.

        Raises:
            ValueError: when the masks are not the last tokens of every row.
        """
        filled = Filled(canvas.clone())
        place = equal_masks(canvas, self.mask_id)
        begin, end = canvas.shape[1] - place.shape[1], canvas.shape[1]
        if not bool((place == torch.arange(begin, end)).all()):
            raise ValueError("the masks must be the last tokens of every row")
        before = torch.cat([torch.full_like(canvas[:, :1], self.start_id), filled.tokens], dim=1)
        positions, kept, done = positions_of(before), KeptKeys(), 0
        for at in range(begin, end):
            new = slice(done, at + 1)
            logits = predict(before[:, new], positions[:, new], causal(), kept=kept.begin(at + 1 - done))
            filled.tokens[:, at] = before[:, at + 1] = chance.choose(logits[:, -1].log_softmax(dim=-1))
            done = at + 1
            filled.note()
        return filled
