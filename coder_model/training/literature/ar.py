"""Autoregression, the yard-stick: log p(x) = sum over i of log p(x_i | x_<i), exact."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Generator, Tensor

from coder_model.training.literature.interfaces import Predictor
from coder_model.training.literature.noise import costs_of, positions_of
from coder_model.training.literature.schemes import causal
from coder_model.training.sampler import Batch


@dataclass(frozen=True, slots=True)
class Autoregressive:
    """Every token from those before it."""

    start_id: int
    """Token that stands before the first one."""

    def costs(self, predict: Predictor, x0: Tensor) -> Tensor:
        """Returns -log p(x_i | x_<i), [B, T] nats."""
        start = torch.full_like(x0[:, :1], self.start_id)
        before = torch.cat([start, x0[:, :-1]], dim=1)
        return costs_of(predict(before, positions_of(x0), causal()).log_softmax(dim=-1), x0)

    def loss(self, predict: Predictor, batch: Batch, generator: Generator) -> Tensor:  # noqa: ARG002  as every objective
        """Returns the mean cost of a token."""
        return self.costs(predict, batch.clean).mean()

    def nelbo(self, predict: Predictor, x0: Tensor, generator: Generator) -> Tensor:  # noqa: ARG002  as every objective
        """Returns -log p(x0), [B]: no bound, the likelihood itself."""
        return self.costs(predict, x0).sum(1)

    def log_weight(self, predict: Predictor, x0: Tensor, steps: int, generator: Generator) -> Tensor:  # noqa: ARG002  as every objective
        """Returns log p(x0), [B]; there is nothing to draw."""
        return -self.nelbo(predict, x0, generator)
