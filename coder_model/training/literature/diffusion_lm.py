"""Diffusion-LM (Li et al. 2022, arXiv:2205.14217): Gaussian diffusion of word embeddings that are learnt with it.

z_t = sqrt(a_t) E(x) + sqrt(1 - a_t) noise with a_t = 1 - sqrt(t / T + s). The network predicts E(x) from z_t; a token
is read off z_0 by softmax(E z_0). The loss of the paper is the squared error of the prediction plus the rounding's
cross-entropy; the bound is that of the same chain,

    KL(q(z_T | x) | N(0, 1)) + sum over t of (SNR(t-1) - SNR(t)) / 2 * |E(x) - prediction|^2 + E -log p(x | z_0)

with SNR(t) = a_t / (1 - a_t) (as in VDM, arXiv:2107.00630).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise

import torch
import torch.nn.functional as F  # noqa: N812  the name everyone uses
from torch import Generator, Tensor

from coder_model.training.literature.interfaces import Predictor
from coder_model.training.literature.noise import positions_of
from coder_model.training.literature.schemes import bidirectional
from coder_model.training.sampler import Batch

SMALLEST = 1e-4
"""s of the square-root schedule: the noise that a word begins with."""


@dataclass(frozen=True, slots=True)
class GaussianDiffusion:
    """Continuous diffusion over a table of embeddings."""

    table: Tensor
    """[V, E] the embeddings, a parameter of the network."""
    steps: int = 200
    """T."""

    def signal(self, step: Tensor | float) -> Tensor:
        """Returns a_t of steps in [0, T]."""
        share = torch.as_tensor(step, dtype=torch.float32) / self.steps
        return (1 - (share + SMALLEST).sqrt()).clamp(min=1e-5)

    def noised(self, x0: Tensor, step: Tensor, generator: Generator) -> Tensor:
        """Returns z_t [B, T, E] of tokens [B, T] for t = step [B]."""
        clean = self.embedded(x0)
        signal = self.signal(step)[:, None, None]
        return signal.sqrt() * clean + (1 - signal).sqrt() * torch.randn(clean.shape, generator=generator)

    def embedded(self, tokens: Tensor) -> Tensor:
        """Returns E(x), [B, T, E]."""
        return F.embedding(tokens, self.table)

    def predicted(self, predict: Predictor, z: Tensor, step: Tensor) -> Tensor:
        """Returns the predicted embeddings [B, T, E]."""
        return predict(z, positions_of(z), bidirectional(), step.float() / self.steps)

    def rounding(self, z0: Tensor) -> Tensor:
        """Returns log p(token | z_0), [B, T, V]."""
        return (z0 @ self.table.T).log_softmax(dim=-1)

    def nearest(self, embeddings: Tensor) -> Tensor:
        """Returns the tokens whose embeddings are nearest, [B, T]: what clamping snaps to."""
        distance = self.table.square().sum(1) - 2 * embeddings @ self.table.T
        return distance.argmin(dim=2)

    def loss(self, predict: Predictor, batch: Batch, generator: Generator) -> Tensor:
        """Returns the paper's loss: squared error per coordinate, plus the rounding's cross-entropy, per token."""
        x0 = batch.clean
        step = torch.randint(1, self.steps + 1, (len(x0),), generator=generator)
        found = self.predicted(predict, self.noised(x0, step, generator), step)
        error = (found - self.embedded(x0)).square().mean()
        return error + self._rounding_cost(x0, generator).mean() / x0.shape[1]

    def _rounding_cost(self, x0: Tensor, generator: Generator) -> Tensor:
        z0 = self.noised(x0, torch.zeros(len(x0)), generator)
        return -self.rounding(z0).gather(2, x0[:, :, None]).squeeze(2).sum(1)

    def divergence_at(self, predict: Predictor, x0: Tensor, step: Tensor, generator: Generator) -> Tensor:
        """Returns the divergence of one step for one noise, [B] nats."""
        found = self.predicted(predict, self.noised(x0, step, generator), step)
        ratio = self._snr(step - 1) - self._snr(step)
        return 0.5 * ratio * (found - self.embedded(x0)).square().sum((1, 2))

    def _snr(self, step: Tensor) -> Tensor:
        signal = self.signal(step)
        return signal / (1 - signal)

    def prior(self, x0: Tensor) -> Tensor:
        """Returns KL(q(z_T | x) | N(0, 1)), [B] nats."""
        signal = self.signal(float(self.steps))
        spread = self.table.shape[1] * x0.shape[1] * (1 - signal - 1 - torch.log(1 - signal))
        return 0.5 * (spread + signal * self.embedded(x0).square().sum((1, 2)))

    def nelbo(self, predict: Predictor, x0: Tensor, generator: Generator) -> Tensor:
        """Returns one draw of the bound, [B]: one of the T steps for each row, spread over the rows."""
        spread = (torch.rand(1, generator=generator) + torch.arange(len(x0)) / len(x0)) % 1.0
        step = (spread * self.steps).long().clamp(max=self.steps - 1) + 1
        divergence = self.steps * self.divergence_at(predict, x0, step, generator)
        return self.prior(x0) + divergence + self._rounding_cost(x0, generator)

    def stride(self, z: Tensor, clean: Tensor, step: int, earlier: int) -> tuple[Tensor, float]:
        """Returns mean [B, T, E] and standard deviation of q(z_s | z_t, clean embeddings) for s < t."""
        signal, before = float(self.signal(step)), float(self.signal(earlier))
        between = signal / before
        mean = (before**0.5 * (1 - between) * clean + between**0.5 * (1 - before) * z) / (1 - signal)
        return mean, math.sqrt((1 - between) * (1 - before) / (1 - signal))

    def strides(self, steps: int) -> list[tuple[int, int]]:
        """Returns the pairs (t, s) of a walk from T to 0 in `steps` strides."""
        at = [round(self.steps * (steps - i) / steps) for i in range(steps + 1)]
        return list(pairwise(at))

    def log_weight(self, predict: Predictor, x0: Tensor, steps: int, generator: Generator) -> Tensor:
        """Returns the weight of a walk from z_T to z_0 in `steps` strides, [B]."""
        clean, rows = self.embedded(x0), len(x0)
        z = self.noised(x0, torch.full((rows,), float(self.steps)), generator)
        signal = float(self.signal(self.steps))
        log_q = -(z - signal**0.5 * clean).square().sum((1, 2)) / (2 * (1 - signal))
        log_q = log_q - 0.5 * z[0].numel() * math.log(1 - signal)
        total: Tensor = -z.square().sum((1, 2)) / 2 - log_q
        for step, earlier in self.strides(steps):
            found = self.predicted(predict, z, torch.full((rows,), step))
            model_mean, deviation = self.stride(z, found, step, earlier)
            mean, _ = self.stride(z, clean, step, earlier)
            z = mean + deviation * torch.randn(z.shape, generator=generator)
            distances = (z - mean).square().sum((1, 2)) - (z - model_mean).square().sum((1, 2))
            total = total + distances / (2 * deviation**2)
        return total + self.rounding(z).gather(2, x0[:, :, None]).squeeze(2).sum(1)
