"""LLaDA (Nie et al. 2025, arXiv:2502.09992): masked diffusion as a large language model is trained.

    pre-training  sum over masked of -log p / p_mask, over the tokens; p_mask = (1 - eps) t + eps
    fine-tuning   the same with the prompt never masked, over the tokens of the answer

Here both in one batch, from the first step on, where the paper has one after the other: the answer is the middle of a
hole. One batch in a hundred is cut to a random length.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Generator, Tensor

from coder_model.training.literature.interfaces import Predictor
from coder_model.training.literature.mdlm import MaskedDiffusion
from coder_model.training.literature.noise import LEAST_TIME, answers_of, drawn
from coder_model.training.sampler import Batch


@dataclass(frozen=True)
class LargeMaskedDiffusion(MaskedDiffusion):
    """MDLM with independent times, and a share of rows in which only the answer is noised."""

    answer_share: float = 0.5
    """Rows in which the prompt stays clean."""
    short_share: float = 0.01
    """Batches that are cut to a random length."""

    def loss(self, predict: Predictor, batch: Batch, generator: Generator) -> Tensor:
        """Returns the two losses, each over its rows, weighted by their rows."""
        x0, is_answer = batch.clean, answers_of(batch)
        if float(torch.rand(1, generator=generator)) < self.short_share:
            length = int(torch.randint(1, x0.shape[1] + 1, (1,), generator=generator))
            x0, is_answer = x0[:, :length], is_answer[:, :length]
        tuned = drawn((len(x0), 1), self.answer_share, generator) & is_answer.any(1, keepdim=True)
        rate = (1 - LEAST_TIME) * torch.rand(len(x0), 1, generator=generator) + LEAST_TIME
        may_mask = is_answer | ~tuned
        masked = drawn(x0.shape, rate, generator) & may_mask
        per_row = (self.costs(predict, x0, masked) / rate).sum(1) / may_mask.sum(1)
        return per_row.mean()
