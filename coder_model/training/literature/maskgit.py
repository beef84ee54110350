"""MaskGIT (Chang et al. 2022, arXiv:2202.04200), for text: a BERT with every mask rate, decoded in a few steps.

Training masks exactly ceil(cos(pi r / 2) T) tokens, r uniform, and takes the plain mean of their cross-entropies,
smoothed by 0.1. That is no bound; the bound of its conditionals is MDLM's, which is what is reported.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Generator, Tensor

from coder_model.training.literature.interfaces import Predictor
from coder_model.training.literature.mdlm import MaskedDiffusion
from coder_model.training.literature.noise import costs_of, masked_tokens
from coder_model.training.sampler import Batch

SMOOTHING = 0.1


@dataclass(frozen=True)
class CosineMasking(MaskedDiffusion):
    """Cross-entropy of a number of masks that the cosine schedule says."""

    def loss(self, predict: Predictor, batch: Batch, generator: Generator) -> Tensor:
        """Returns the smoothed cross-entropy of a masked token."""
        x0 = batch.clean
        masked = cosine_masks(x0, generator)
        log_p = self.log_p(predict, masked_tokens(x0, masked, self.mask_id))
        everywhere = -log_p.masked_fill(log_p == -torch.inf, 0.0).sum(2) / (log_p.shape[2] - 1)
        smoothed = (1 - SMOOTHING) * costs_of(log_p, x0) + SMOOTHING * everywhere
        return smoothed[masked].mean()


def cosine_masks(x0: Tensor, generator: Generator) -> Tensor:
    """Returns [B, T] bool, in each row the number of masks of a uniform point of the cosine schedule."""
    rows, length = x0.shape
    counts = torch.tensor([masks_left(float(u), length) for u in torch.rand(rows, generator=generator)])
    rank = torch.rand(x0.shape, generator=generator).argsort(1).argsort(1)
    return rank < counts.clamp(min=1)[:, None]


def masks_left(done: float, length: int) -> int:
    """Returns ceil(gamma(done) * length), how many of `length` masks are left when a share of the steps is done."""
    # cos(pi/2) is 6e-17 in floating point
    return math.ceil(round(math.cos(math.pi * done / 2) * length, 9))
