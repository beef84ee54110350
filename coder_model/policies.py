"""Unmask policies: which masked slots a denoise step reveals.

Each is a pure function of a step's arrays; it returns a subset of `masked`, never empty while anything is masked.
A later issue moves them to the device, hence arrays and no loops over slots.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True, slots=True)
class Step:
    """What a policy may look at."""

    confidence: Tensor
    """[B] float32 in (0, 1], probability of each slot's likeliest token."""
    entropy: Tensor
    """[B] float32 >= 0, in nats."""
    masked: Tensor
    """[B] bool, True where the canvas still holds the mask token."""
    index: int
    """Denoise steps done on this block, from 0."""
    total: int
    """Denoise steps the block may take."""


@dataclass(frozen=True, slots=True)
class PolicyOptions:
    """The numbers of the policies; each policy reads its own."""

    threshold: float = 0.9
    factor: float = 1.0
    """`threshold` also reveals the n surest slots while (n + 1) * (1 - confidence) stays below this."""
    entropy_bound: float = 0.1
    k: int = 2
    """Slots per step of `top_k`."""


def by_threshold(step: Step, options: PolicyOptions) -> Tensor:
    """Reveals every slot the model is sure of, and always at least the surest one.

    The rules of Fast-dLLM (arXiv:2505.22618, section 3.3): confidence over the threshold, or, by the factor rule, the n
    surest slots for the largest n with (n + 1)(1 - c_n) < factor.

    Returns:
        [B] bool, a subset of `masked`; non-empty whenever `masked` is.
    """
    order, rank = _surest_first(step)
    surest = step.confidence[order]
    within = (torch.arange(len(order)) + 2) * (1 - surest) < options.factor
    n = int(within.cumprod(0).sum())
    return step.masked & ((step.confidence > options.threshold) | (rank < max(n, 1)))


def by_entropy_bound(step: Step, options: PolicyOptions) -> Tensor:
    """Reveals the most certain slots while their joint uncertainty is bounded (EB-sampler, arXiv:2505.24857).

    Takes slots by rising entropy, the largest k with sum of the first k entropies minus the largest of them <= bound.

    Returns:
        [B] bool, a subset of `masked`; non-empty whenever `masked` is.
    """
    entropy = step.entropy.masked_fill(~step.masked, math.inf)
    order = entropy.argsort(stable=True)
    ascending = entropy[order]
    joint = ascending.cumsum(0) - ascending
    n = int((joint <= options.entropy_bound).cumprod(0).sum())
    revealed = torch.zeros_like(step.masked)
    revealed[order[: max(n, 1)]] = True
    return revealed & step.masked


def top_k(step: Step, options: PolicyOptions) -> Tensor:
    """Reveals the k surest slots (LLaDA's low-confidence remasking, arXiv:2502.09992).

    Returns:
        [B] bool, a subset of `masked`; min(k, masked) slots.
    """
    _, rank = _surest_first(step)
    return step.masked & (rank < options.k)


def cosine(step: Step, _: PolicyOptions) -> Tensor:
    """Leaves ceil(cos(pi/2 * (index + 1) / total) * B) slots masked after the step (MaskGIT, arXiv:2202.04200).

    Returns:
        [B] bool, a subset of `masked`; non-empty whenever `masked` is, all of it in the last step.
    """
    done = min(1.0, (step.index + 1) / step.total)
    # rounded first: the cosine of pi/2 in floating point is a little above zero
    left = math.ceil(round(math.cos(math.pi / 2 * done) * len(step.masked), 6))
    rank = _surest_first(step)[1]
    return step.masked & (rank < max(1, int(step.masked.sum()) - left))


Policy = Callable[[Step, PolicyOptions], Tensor]
POLICIES: dict[str, Policy] = {
    "threshold": by_threshold,
    "entropy_bound": by_entropy_bound,
    "top_k": top_k,
    "cosine": cosine,
}


def _surest_first(step: Step) -> tuple[Tensor, Tensor]:
    """Slots by falling confidence, masked ones first, and each slot's rank in that order; ties go left."""
    order = step.confidence.masked_fill(~step.masked, -1.0).argsort(descending=True, stable=True)
    rank = torch.empty_like(order)
    rank[order] = torch.arange(len(order))
    return order, rank
