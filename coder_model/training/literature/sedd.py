"""SEDD (Lou et al. 2023, arXiv:2310.16834), absorbing: the network says ratios of probabilities, not probabilities.

Noise sigma(t) = -log(1 - (1 - eps) t), so that a token is masked with probability (1 - eps) t. At a mask, the score
of y is s_y = p_t(z with y) / p_t(z), and the denoising score entropy is

    dsigma/dt * [ sum over y of s_y - r log s_{x0} + r (log r - 1) ],  r = 1 / (e^sigma - 1)

The best score is r p(y | what is clean): where scores sum to r, the loss is MDLM's. The network's logits are therefore
taken as log(s_y / r), up to the size of the vocabulary, as in the paper's code.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Generator, Tensor

from coder_model.training.literature.interfaces import Predictor
from coder_model.training.literature.noise import antithetic_times, drawn, masked_tokens, positions_of
from coder_model.training.literature.schemes import bidirectional
from coder_model.training.sampler import Batch


@dataclass(frozen=True, slots=True)
class ScoreEntropy:
    """Absorbing SEDD with log-linear noise."""

    mask_id: int
    vocab_size: int
    eps: float = 1e-3
    """Share of the tokens that is never masked."""

    def sigma(self, time: Tensor) -> Tensor:
        """Returns the total noise at t."""
        return -torch.log1p(-(1 - self.eps) * time)

    def log_score(self, predict: Predictor, canvas: Tensor, time: Tensor) -> Tensor:
        """Returns log s_y at every slot, [B, T, V], -inf for the mask itself; meant for masked slots."""
        logits = predict(canvas, positions_of(canvas), bidirectional(), time)
        log_r = -torch.log(torch.expm1(self.sigma(time)))
        log_s = logits + (log_r - math.log(self.vocab_size - 1))[:, None, None]
        return log_s.index_fill(2, torch.tensor([self.mask_id], device=log_s.device), float("-inf"))

    def cost_at(self, predict: Predictor, x0: Tensor, masked: Tensor, time: Tensor) -> Tensor:
        """Returns the score entropy of one noise at t = time [B], [B] nats."""
        log_s = self.log_score(predict, masked_tokens(x0, masked, self.mask_id), time)
        r = 1 / torch.expm1(self.sigma(time))[:, None]
        entropy = log_s.exp().sum(2) - r * log_s.gather(2, x0[:, :, None]).squeeze(2) + r * (r.log() - 1)
        rate_of_noise = (1 - self.eps) / (1 - (1 - self.eps) * time)
        return entropy.masked_fill(~masked, 0.0).sum(1) * rate_of_noise

    def loss(self, predict: Predictor, batch: Batch, generator: Generator) -> Tensor:
        """Returns the bound per token."""
        return self.nelbo(predict, batch.clean, generator).mean() / batch.clean.shape[1]

    def nelbo(self, predict: Predictor, x0: Tensor, generator: Generator) -> Tensor:
        """Returns one draw of the score entropy, [B]."""
        time = antithetic_times(len(x0), generator)
        masked = drawn(x0.shape, ((1 - self.eps) * time)[:, None], generator)
        return self.cost_at(predict, x0, masked, time)

    def transition(self, predict: Predictor, canvas: Tensor, time: float, earlier: float) -> Tensor:
        """Returns p(z_s | z_t) of masked slots, [B, T, V], the mask among them, by Tweedie tau-leaping (theorem 4.2).

        With d = sigma_t - sigma_s a slot becomes y with (e^d - 1) s_y and stays masked with what is left; at s = 0 it
        may not stay. Scores that are too large together are made to sum to 1.
        """
        t, s = torch.tensor([time]), torch.tensor([earlier])
        log_s = self.log_score(predict, canvas, t.expand(len(canvas)))
        step = torch.expm1(self.sigma(t) - self.sigma(s))
        if earlier == 0:
            return log_s.softmax(dim=2)
        p = (log_s + step.log()).exp()
        p[:, :, self.mask_id] = (1 - p.sum(2)).clamp(min=0)
        return p / p.sum(2, keepdim=True)

    def log_weight(self, predict: Predictor, x0: Tensor, steps: int, generator: Generator) -> Tensor:
        """Returns the weight of a noising in `steps` steps, [B]: here the model also says how much stays masked."""
        revealed_at = torch.randint(steps, x0.shape, generator=generator)
        total = torch.zeros(len(x0))
        for step in range(steps):
            masked, left = revealed_at >= step, steps - step
            canvas = masked_tokens(x0, masked, self.mask_id)
            p = self.transition(predict, canvas, left / steps, (left - 1) / steps)
            becomes = torch.where(revealed_at == step, x0, self.mask_id)
            log_p = p.gather(2, becomes[:, :, None]).squeeze(2).clamp(min=1e-30).log()
            # the noising reveals one in `left` of what is masked
            log_q = torch.where(revealed_at == step, -math.log(left), math.log1p(-1 / left) if left > 1 else 0.0)
            total = total + (log_p - log_q).masked_fill(~masked, 0.0).sum(1)
        return total
