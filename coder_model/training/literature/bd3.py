"""Block diffusion: BD3-LM (Arriola et al. 2025, arXiv:2503.09573).

log p(x) = sum over blocks b of log p(x^b | x^<b), and each term has the bound of MDLM inside its block. One pass over
[noised | clean] trains all blocks at once. With blocks of one token it is autoregression, with one block MDLM.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Generator, Tensor

from coder_model.training.literature.interfaces import Predictor
from coder_model.training.literature.noise import (
    LEAST_TIME,
    antithetic_times,
    costs_of,
    drawn,
    log_probabilities,
    masked_tokens,
    positions_of,
    weight_of_noising,
)
from coder_model.training.literature.schemes import block_diffusion
from coder_model.training.sampler import Batch


@dataclass(frozen=True, slots=True)
class BlockDiffusion:
    """Diffusion inside blocks, autoregression over them."""

    mask_id: int
    block_length: int
    clip: tuple[float, float] = (0.3, 0.8)
    """Noise levels in training: rates near 0 and 1 teach little and vary much (clipped schedules). The paper looks for
    the range on held-out text again and again, draws a block's masks again until their share is in it, and begins with
    all levels; here the range is the one that it found for blocks of 16, and from the first step on."""

    def log_p(self, predict: Predictor, x0: Tensor, canvas: Tensor) -> Tensor:
        """Returns log p(x0^b | canvas^b, x0^<b), [B, T, V]."""
        length = x0.shape[1]
        positions = positions_of(x0).repeat(1, 2)
        scheme = block_diffusion(length, self.block_length)
        logits = predict(torch.cat([canvas, x0], dim=1), positions, scheme)[:, :length]
        return log_probabilities(logits, self.mask_id)

    def cost_at(self, predict: Predictor, x0: Tensor, masked: Tensor, times: Tensor) -> Tensor:
        """Returns the integrand of the bound for one noise, [B] nats, with the level of each token's block [B, T]."""
        log_p = self.log_p(predict, x0, masked_tokens(x0, masked, self.mask_id))
        return (costs_of(log_p, x0).masked_fill(~masked, 0.0) / times).sum(1)

    def times(self, x0: Tensor, clip: tuple[float, float], generator: Generator) -> Tensor:
        """Returns a noise level for each block, as [B, T] float32 in `clip`."""
        rows, length = x0.shape
        n_blocks = -(-length // self.block_length)
        low, high = max(clip[0], LEAST_TIME), clip[1]
        levels = antithetic_times(rows * n_blocks, generator, low, high)
        levels = levels[torch.randperm(rows * n_blocks, generator=generator)].view(rows, n_blocks)
        return levels.repeat_interleave(self.block_length, dim=1)[:, :length]

    def loss(self, predict: Predictor, batch: Batch, generator: Generator) -> Tensor:
        """Returns the bound per token, its noise levels clipped."""
        return self._drawn(predict, batch.clean, self.clip, generator).mean() / batch.clean.shape[1]

    def nelbo(self, predict: Predictor, x0: Tensor, generator: Generator) -> Tensor:
        """Returns one draw of the bound, [B]: all noise levels."""
        return self._drawn(predict, x0, (0.0, 1.0), generator)

    def _drawn(self, predict: Predictor, x0: Tensor, clip: tuple[float, float], generator: Generator) -> Tensor:
        times = self.times(x0, clip, generator)
        return self.cost_at(predict, x0, drawn(x0.shape, times, generator), times)

    def log_weight(self, predict: Predictor, x0: Tensor, steps: int, generator: Generator) -> Tensor:
        """Returns the weight of a noising of every block in `steps` steps, [B]."""
        revealed_at = torch.randint(steps, x0.shape, generator=generator)

        def log_p(masked: Tensor) -> Tensor:
            return self.log_p(predict, x0, masked_tokens(x0, masked, self.mask_id))

        return weight_of_noising(log_p, x0, revealed_at, 0, steps)
