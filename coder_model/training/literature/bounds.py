"""What a model says of held-out text, in bits per byte: the paper's bound, and tighter ones of several noisings."""

from __future__ import annotations

import math

import torch
from torch import Generator, Tensor

from coder_model.training.literature.interfaces import Objective, Predictor


@torch.no_grad()
def mean_bound(
    objective: Objective, predict: Predictor, x0: Tensor, draws: int, generator: Generator
) -> tuple[float, float]:
    """Returns the mean of the paper's bound over draws and rows, and its standard error over the draws, in nats."""
    means = torch.stack([objective.nelbo(predict, x0, generator).mean() for _ in range(draws)])
    error = float(means.std()) / math.sqrt(draws) if draws > 1 else math.nan
    return float(means.mean()), error


@torch.no_grad()
def log_weights(
    objective: Objective, predict: Predictor, x0: Tensor, steps: int, draws: int, generator: Generator
) -> Tensor:
    """Returns [draws, B], the log weights of noisings of x0 [B, T] that are drawn apart."""
    return objective.log_weight(predict, x0.repeat(draws, 1), steps, generator).view(draws, len(x0))


def single_sample(weights: Tensor) -> Tensor:
    """Returns the bound that one noising gives, [B] nats, as the mean over log weights [K, B]."""
    return -weights.mean(0)


def importance_weighted(weights: Tensor) -> Tensor:
    """Returns the bound of K noisings together (IWAE, arXiv:1509.00519, equation 8), [B] nats, of log weights [K, B].

    In the mean it is between -log p(x0) and that of one noising, and falls with K.
    """
    return math.log(len(weights)) - weights.logsumexp(0)


def bits_per_byte(nats: float, n_bytes: int) -> float:
    """Returns nats of a text of so many bytes in bits per byte."""
    return nats / math.log(2) / n_bytes
