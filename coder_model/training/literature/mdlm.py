"""Masked diffusion: MDLM (Sahoo et al. 2024, arXiv:2406.07524), with alpha_t = 1 - t and no time conditioning.

    L = integral over t of E_q [ -alpha'_t / (1 - alpha_t) * sum over masked i of -log p(x_i | z_t) ]

where the factor is 1/t.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Generator, Tensor

from coder_model.training.literature.interfaces import Predictor
from coder_model.training.literature.noise import (
    antithetic_times,
    costs_of,
    drawn,
    log_probabilities,
    masked_tokens,
    positions_of,
    weight_of_noising,
)
from coder_model.training.literature.schemes import bidirectional
from coder_model.training.sampler import Batch


@dataclass(frozen=True)
class MaskedDiffusion:
    """Each token is masked by itself with probability t; the network says what was there."""

    mask_id: int

    def log_p(self, predict: Predictor, canvas: Tensor) -> Tensor:
        """Returns log p(x0 | canvas), [B, T, V]."""
        logits = predict(canvas, positions_of(canvas), bidirectional())
        return log_probabilities(logits, self.mask_id)

    def costs(self, predict: Predictor, x0: Tensor, masked: Tensor) -> Tensor:
        """Returns -log p(x_i | z) where masked, 0 elsewhere, [B, T] nats."""
        log_p = self.log_p(predict, masked_tokens(x0, masked, self.mask_id))
        return costs_of(log_p, x0).masked_fill(~masked, 0.0)

    def cost_at(self, predict: Predictor, x0: Tensor, masked: Tensor, time: Tensor) -> Tensor:
        """Returns the integrand of the bound for one noise, [B] nats: the costs, times 1 / t for t = time [B]."""
        return self.costs(predict, x0, masked).sum(1) / time

    def loss(self, predict: Predictor, batch: Batch, generator: Generator) -> Tensor:
        """Returns the bound per token."""
        return self.nelbo(predict, batch.clean, generator).mean() / batch.clean.shape[1]

    def nelbo(self, predict: Predictor, x0: Tensor, generator: Generator) -> Tensor:
        """Returns one draw of the bound, [B]: a time for each row, spread over the rows."""
        time = antithetic_times(len(x0), generator)
        return self.cost_at(predict, x0, drawn(x0.shape, time[:, None], generator), time)

    def log_weight(self, predict: Predictor, x0: Tensor, steps: int, generator: Generator) -> Tensor:
        """Returns the weight of a noising in which each token is revealed at one of `steps` steps, [B]."""
        revealed_at = torch.randint(steps, x0.shape, generator=generator)

        def log_p(masked: Tensor) -> Tensor:
            return self.log_p(predict, masked_tokens(x0, masked, self.mask_id))

        return weight_of_noising(log_p, x0, revealed_at, 0, steps)
