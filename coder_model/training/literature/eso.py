"""Eso-LM A and B (Sahoo et al. 2025, arXiv:2506.01928): diffusion fills some tokens, autoregression the others.

With alpha_t = alpha0 (1 - t), z_0 keeps each token with probability alpha0, and

    -log p(x) <= E_{z_0} [ sum over masked l of -log p(x_l | z_0, x_<l) ]
                 + integral over t of -alpha'_t / (1 - alpha_t) * E sum over masked l of -log p(x_l | z_t)

alpha0 = 1 is MDLM, alpha0 = 0 autoregression. Tokens are sorted, clean ones first, and attention goes by that order.
In B it is causal, so that what is clean is final and can be kept; in A the clean ones see each other.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Generator, Tensor

from coder_model.training.literature.interfaces import Predictor
from coder_model.training.literature.noise import (
    antithetic_times,
    costs_of,
    drawn,
    log_probabilities,
    masked_tokens,
    weight_of_noising,
)
from coder_model.training.literature.schemes import block_diffusion, causal, eso_a_sequential, prefix_causal
from coder_model.training.sampler import Batch


@dataclass(frozen=True, slots=True)
class EsotericDiffusion:
    """Both phases, of either variant."""

    mask_id: int
    alpha0: float
    """Share of the tokens that diffusion fills, in [0, 1]."""
    variant: Literal["a", "b"] = "b"

    def diffusion_costs(self, predict: Predictor, x0: Tensor, masked: Tensor, generator: Generator) -> Tensor:
        """Returns -log p(x_l | z_t) where masked, 0 elsewhere, [B, T] nats."""
        log_p = self._diffusion_log_p(predict, masked_tokens(x0, masked, self.mask_id), masked, generator)
        return costs_of(log_p, x0).masked_fill(~masked, 0.0)

    def _diffusion_log_p(self, predict: Predictor, canvas: Tensor, masked: Tensor, generator: Generator) -> Tensor:
        order = sorted_order(masked, self.variant == "b", True, generator)
        scheme = causal() if self.variant == "b" else prefix_causal((~masked).sum(1))
        logits = predict(canvas.gather(1, order), order, scheme)
        return log_probabilities(logits.gather(1, order.argsort(1)[:, :, None].expand_as(logits)), self.mask_id)

    def sequential_costs(self, predict: Predictor, x0: Tensor, masked: Tensor, generator: Generator) -> Tensor:
        """Returns -log p(x_l | z_0, x_<l) where masked, 0 elsewhere, [B, T] nats; one pass over [z_0 | x]."""
        length = x0.shape[1]
        order = sorted_order(masked, self.variant == "b", False, generator)
        canvas = masked_tokens(x0, masked, self.mask_id).gather(1, order)
        tokens = torch.cat([canvas, x0.gather(1, order)], dim=1)
        cut = (~masked).sum(1)
        scheme = block_diffusion(length, 1) if self.variant == "b" else eso_a_sequential(length, cut)
        logits = predict(tokens, order.repeat(1, 2), scheme)[:, :length]
        costs = costs_of(log_probabilities(logits, self.mask_id), x0.gather(1, order))
        return costs.gather(1, order.argsort(1)).masked_fill(~masked, 0.0)

    def diffusion_at(
        self, predict: Predictor, x0: Tensor, masked: Tensor, time: Tensor, generator: Generator
    ) -> Tensor:
        """Returns the integrand of the diffusion term for one noise at t = time [B], [B] nats."""
        weight = self.alpha0 / self.rate(time)
        return self.diffusion_costs(predict, x0, masked, generator).sum(1) * weight

    def rate(self, time: Tensor) -> Tensor:
        """Returns 1 - alpha_t, the chance of a token to be masked at t."""
        return 1 - self.alpha0 * (1 - time)

    def loss(self, predict: Predictor, batch: Batch, generator: Generator) -> Tensor:
        """Returns the bound per token: half of the rows train the diffusion, half the sequential phase.

        With alpha0 = 1 there is no second phase, and the weight of every masked token is 1, as in the paper's code: it
        varies less.
        """
        x0 = batch.clean
        if self.alpha0 == 1:
            masked = drawn(x0.shape, antithetic_times(len(x0), generator)[:, None], generator)
            return self.diffusion_costs(predict, x0, masked, generator).sum() / x0.numel()
        half = len(x0) // 2 if self.alpha0 > 0 else 0
        rest = self._sequential(predict, x0[half:], generator)
        total = rest.mean()
        if half:
            total = total + self._diffusion(predict, x0[:half], generator).mean()
        return total / x0.shape[1]

    def nelbo(self, predict: Predictor, x0: Tensor, generator: Generator) -> Tensor:
        """Returns one draw of both terms, [B]."""
        return self._diffusion(predict, x0, generator) + self._sequential(predict, x0, generator)

    def _diffusion(self, predict: Predictor, x0: Tensor, generator: Generator) -> Tensor:
        if self.alpha0 == 0:
            return torch.zeros(len(x0))
        time = antithetic_times(len(x0), generator)
        masked = drawn(x0.shape, self.rate(time)[:, None], generator)
        return self.diffusion_at(predict, x0, masked, time, generator)

    def _sequential(self, predict: Predictor, x0: Tensor, generator: Generator) -> Tensor:
        if self.alpha0 == 1:
            return torch.zeros(len(x0))
        masked = drawn(x0.shape, 1 - self.alpha0, generator)
        return self.sequential_costs(predict, x0, masked, generator).sum(1)

    def log_weight(self, predict: Predictor, x0: Tensor, steps: int, generator: Generator) -> Tensor:
        """Returns the weight of a noising with `steps` steps of diffusion, [B]."""
        by_diffusion = drawn(x0.shape, self.alpha0, generator)
        revealed_at = torch.randint(steps, x0.shape, generator=generator).masked_fill(~by_diffusion, steps)

        def log_p(masked: Tensor) -> Tensor:
            canvas = masked_tokens(x0, masked, self.mask_id)
            return self._diffusion_log_p(predict, canvas, masked, generator)

        total = weight_of_noising(log_p, x0, revealed_at, 0, steps)
        if self.alpha0 == 1:
            return total
        return total - self.sequential_costs(predict, x0, ~by_diffusion, generator).sum(1)


def sorted_order(masked: Tensor, shuffle_clean: bool, shuffle_masked: bool, generator: Generator) -> Tensor:
    """Returns [B, T] int64, positions with the clean ones first, those of a kind from left to right or shuffled."""
    rows, length = masked.shape
    natural = torch.linspace(0, 0.9, length).expand(rows, length)
    chance = 0.9 * torch.rand(rows, length, generator=generator)
    offset = torch.where(masked, chance if shuffle_masked else natural, chance if shuffle_clean else natural)
    return (masked + offset).argsort(1)
