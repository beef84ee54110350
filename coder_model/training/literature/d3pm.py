"""D3PM (Austin et al. 2021, arXiv:2107.03006), absorbing and uniform, in T discrete steps.

    L = sum over t of E KL( q(x_{t-1} | x_t, x0) | p(x_{t-1} | x_t) ) + lambda * cross-entropy of x0

with p(x_{t-1} | x_t) proportional to the sum over x0~ of q(x_{t-1}, x_t | x0~) p(x0~ | x_t). A token is kept up to
step t with probability 1 - t/T (absorbing: the schedule 1 / (T - t + 1) of the paper) or cos(pi t / 2T)^2 (uniform),
so that nothing is left at T and the prior costs nothing.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

import torch
import torch.nn.functional as F  # noqa: N812  the name everyone uses
from torch import Generator, Tensor

from coder_model.training.literature.interfaces import Predictor
from coder_model.training.literature.noise import drawn, log_probabilities, positions_of
from coder_model.training.literature.schemes import bidirectional
from coder_model.training.sampler import Batch


@dataclass(frozen=True, slots=True)
class DiscreteDiffusion:
    """Transitions to a mask, or to any token."""

    kind: Literal["absorbing", "uniform"]
    mask_id: int
    vocab_size: int
    steps: int = 64
    """T; 1,000 in the paper's code for text."""
    cross_entropy_weight: float = 0.01
    """lambda; in training alone. Beside the sum over t, as in the paper's equation; in its code it stands beside one of
    the T terms, where it weighs T times as much."""

    def kept(self, step: int) -> float:
        """Returns the probability that a token has stayed what it was up to a step in [0, T]."""
        if self.kind == "absorbing":
            return 1 - step / self.steps
        return 0.0 if step == self.steps else math.cos(math.pi * step / self.steps / 2) ** 2

    def noised(self, x0: Tensor, kept: Tensor, generator: Generator) -> Tensor:
        """Returns x_t [B, T], each token kept with probability kept [B]."""
        stays = drawn(x0.shape, kept[:, None], generator)
        return torch.where(stays, x0, self.from_noise(x0.shape, generator))

    def from_noise(self, shape: torch.Size, generator: Generator) -> Tensor:
        """Returns tokens that nothing is left of."""
        if self.kind == "absorbing":
            return torch.full(shape, self.mask_id)
        return torch.randint(self.vocab_size, shape, generator=generator)

    def log_p(self, predict: Predictor, canvas: Tensor, time: Tensor) -> Tensor:
        """Returns log p(x0 | x_t), [B, T, V], for t / T = time [B]."""
        logits = predict(canvas, positions_of(canvas), bidirectional(), time)
        return log_probabilities(logits, self.mask_id) if self.kind == "absorbing" else logits.log_softmax(dim=-1)

    def posterior(self, canvas: Tensor, p0: Tensor, kept: Tensor, kept_before: Tensor) -> Tensor:
        """Returns p(x_s | x_t) for s < t, [B, T, V]: of one-hot p0 it is q(x_s | x_t, x0).

        Args:
            canvas: [B, T] int64, x_t.
            p0: [B, T, V], probabilities of x0.
            kept: [B], that a token is kept up to t.
            kept_before: [B], that one is kept up to s.
        """
        between, before = (kept / kept_before)[:, None, None], kept_before[:, None, None]
        here = F.one_hot(canvas, self.vocab_size)
        if self.kind == "uniform":
            onward = between * here + (1 - between) / self.vocab_size
            noised = before * p0 + (1 - before) / self.vocab_size
        else:
            mask = F.one_hot(torch.tensor(self.mask_id), self.vocab_size)
            is_masked = (canvas == self.mask_id)[:, :, None]
            onward = torch.where(is_masked, mask + (1 - between) * (1 - mask), here.float())
            noised = before * p0 + (1 - before) * mask
        joint = onward * noised
        return joint / joint.sum(2, keepdim=True)

    def cost_at(self, predict: Predictor, x0: Tensor, canvas: Tensor, steps: Tensor) -> tuple[Tensor, Tensor]:
        """Returns the divergence of one step and the cross-entropy of x0, [B] nats each, for x_t and t = steps [B]."""
        kept, before = (torch.tensor([self.kept(int(t) - back) for t in steps]) for back in (0, 1))
        log_p0 = self.log_p(predict, canvas, steps / self.steps)
        one_hot = F.one_hot(x0, self.vocab_size).float()
        q = self.posterior(canvas, one_hot, kept, before)
        p = self.posterior(canvas, log_p0.exp(), kept, before).clamp(min=1e-30)
        divergence = (torch.special.xlogy(q, q) - q * p.log()).sum((1, 2))
        cross_entropy = -log_p0.gather(2, x0[:, :, None]).squeeze(2)
        noised = canvas == self.mask_id if self.kind == "absorbing" else torch.ones_like(canvas, dtype=torch.bool)
        return divergence, cross_entropy.masked_fill(~noised, 0.0).sum(1)

    def loss(self, predict: Predictor, batch: Batch, generator: Generator) -> Tensor:
        """Returns the bound and the weighted cross-entropy, per token."""
        divergence, cross_entropy = self._drawn(predict, batch.clean, generator)
        return (divergence + self.cross_entropy_weight * cross_entropy).mean() / batch.clean.shape[1]

    def nelbo(self, predict: Predictor, x0: Tensor, generator: Generator) -> Tensor:
        """Returns one draw of the bound, [B]: one of the T terms for each row, spread over the rows."""
        return self._drawn(predict, x0, generator)[0]

    def _drawn(self, predict: Predictor, x0: Tensor, generator: Generator) -> tuple[Tensor, Tensor]:
        spread = (torch.rand(1, generator=generator) + torch.arange(len(x0)) / len(x0)) % 1.0
        steps = (spread * self.steps).long().clamp(max=self.steps - 1) + 1
        kept = torch.tensor([self.kept(int(t)) for t in steps])
        divergence, cross_entropy = self.cost_at(predict, x0, self.noised(x0, kept, generator), steps)
        return divergence * self.steps, cross_entropy

    def strides(self, steps: int) -> list[tuple[int, int]]:
        """Returns the pairs (t, s) of a walk from T to 0 in at most `steps` strides."""
        at = [round(self.steps * (steps - i) / steps) for i in range(steps + 1)]
        return [(t, s) for t, s in pairwise(at) if s < t]

    def step_back(self, predict: Predictor, canvas: Tensor, step: int, earlier: int) -> Tensor:
        """Returns p(x_s | x_t), [B, T, V], for t = step and s = earlier."""
        rows = len(canvas)
        kept, before = (torch.full((rows,), self.kept(t)) for t in (step, earlier))
        log_p0 = self.log_p(predict, canvas, torch.full((rows,), step / self.steps))
        return self.posterior(canvas, log_p0.exp(), kept, before)

    def log_weight(self, predict: Predictor, x0: Tensor, steps: int, generator: Generator) -> Tensor:
        """Returns the weight of a noising with `steps` of the T steps, [B]."""
        canvas = self.from_noise(x0.shape, generator)
        one_hot = F.one_hot(x0, self.vocab_size).float()
        total = torch.zeros(len(x0))
        for step, earlier in self.strides(steps):
            kept, before = (torch.full((len(x0),), self.kept(t)) for t in (step, earlier))
            q = self.posterior(canvas, one_hot, kept, before)
            p = self.step_back(predict, canvas, step, earlier)
            canvas = torch.multinomial(q.flatten(0, 1), 1, generator=generator).view(x0.shape)
            ratio = p.clamp(min=1e-30).log() - q.clamp(min=1e-30).log()
            total = total + ratio.gather(2, canvas[:, :, None]).squeeze(2).sum(1)
        return total
