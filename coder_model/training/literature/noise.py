"""What the absorbing diffusions share: noise levels, masks, the SUBS parameterisation, and a noising step by step."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Generator, Tensor

from coder_model.training.sampler import Batch

LEAST_TIME = 1e-3
"""Noise levels are drawn from here on, as in the code of MDLM and SEDD: below, a mask is rare and its weight large."""


def positions_of(tokens: Tensor) -> Tensor:
    """Returns [B, T] int64, where each token of [B, T] stands."""
    return torch.arange(tokens.shape[1], device=tokens.device).expand(tokens.shape[:2])


def antithetic_times(n: int, generator: Generator, low: float = LEAST_TIME, high: float = 1.0) -> Tensor:
    """Returns [n] float32 in [low, high), evenly spread with one common offset (VDM, arXiv:2107.00630)."""
    spread = (torch.rand(1, generator=generator) + torch.arange(n) / n) % 1.0
    return low + (high - low) * spread


def drawn(shape: tuple[int, ...] | torch.Size, rate: Tensor | float, generator: Generator) -> Tensor:
    """Returns bool of a shape, each True with a probability that broadcasts to it."""
    return torch.rand(shape, generator=generator) < rate


def masked_tokens(x0: Tensor, masked: Tensor, mask_id: int) -> Tensor:
    """Returns x0 [B, T] with the mask token where `masked`."""
    return x0.masked_fill(masked, mask_id)


def answers_of(batch: Batch) -> Tensor:
    """Returns [B, T] bool, the tokens of middles: `Batch.in_middle` is about the token that follows."""
    return torch.cat([torch.zeros_like(batch.in_middle[:, :1]), batch.in_middle[:, :-1]], dim=1)


def log_probabilities(logits: Tensor, mask_id: int) -> Tensor:
    """Returns log p(x0 | z) [..., V] of logits, zero probability for the mask: half of SUBS (MDLM, arXiv:2406.07524).

    The other half, that what is not masked stays, is in who uses it: costs and samplers look at masked slots alone.
    """
    no_mask = torch.zeros(logits.shape[-1], device=logits.device)
    no_mask[mask_id] = float("-inf")
    return (logits + no_mask).log_softmax(dim=-1)


def costs_of(log_p: Tensor, x0: Tensor) -> Tensor:
    """Returns -log p of each token of x0 [B, T] under [B, T, V]."""
    return -log_p.gather(2, x0[:, :, None]).squeeze(2)


def weight_of_noising(log_p: Callable[[Tensor], Tensor], x0: Tensor, steps: Tensor, first: int, last: int) -> Tensor:
    """Returns log p(what is revealed) of one noising, revealed step by step, [B] nats.

    When each token is revealed does not depend on the model, in what it is trained for and in how it samples: those
    factors cancel, and the tokens' own are left.

    Args:
        log_p: canvas [B, T] bool, True where masked -> [B, T, V], log p of the clean tokens.
        x0: [B, T] int64.
        steps: [B, T] int64, the step at which each token is revealed; those outside of [first, last) are not counted.
        first: the step that begins.
        last: the one after the last.
    """
    total = torch.zeros(x0.shape[0], device=x0.device)
    for step in range(first, last):
        revealed = steps == step
        if bool(revealed.any()):
            costs = costs_of(log_p(steps >= step), x0)
            total = total - costs.masked_fill(~revealed, 0.0).sum(1)
    return total
