"""Unmask policies: which masked slots a denoise step reveals.

Each is a pure function of a step's arrays, of one block or of a batch of blocks; it returns a subset of `masked`, never
empty in a block while anything is masked there. `gpu/unmask.py` is the same on a GPU.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

ROUNDING = 1e-4
"""Slots that a schedule in float32 may be off by."""


@dataclass(frozen=True, slots=True)
class Step:
    """What a policy may look at."""

    confidence: Tensor
    """[..., T] float32 in (0, 1], probability of each slot's likeliest token."""
    entropy: Tensor
    """[..., T] float32 >= 0, in nats."""
    masked: Tensor
    """[..., T] bool, True where the canvas still holds the mask token."""
    index: int | Tensor
    """Denoise steps done on this block, from 0; [...] int32 when each block has its own."""
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
        [..., T] bool, a subset of `masked`; non-empty whenever `masked` is.
    """
    surest, rank = _surest_first(step)
    nth = torch.arange(surest.shape[-1], device=surest.device) + 2
    n = _leading(nth * (1 - surest) < options.factor)
    return step.masked & ((step.confidence > options.threshold) | (rank < n.clamp(min=1)))


def by_entropy_bound(step: Step, options: PolicyOptions) -> Tensor:
    """Reveals the most certain slots while their joint uncertainty is bounded (EB-sampler, arXiv:2505.24857).

    Takes slots by rising entropy, the largest k with sum of the first k entropies minus the largest of them <= bound.

    Returns:
        [..., T] bool, a subset of `masked`; non-empty whenever `masked` is.
    """
    ascending, rank = _sorted(step.entropy.masked_fill(~step.masked, math.inf))
    n = _leading(ascending.cumsum(-1) - ascending <= options.entropy_bound)
    return step.masked & (rank < n.clamp(min=1))


def top_k(step: Step, options: PolicyOptions) -> Tensor:
    """Reveals the k surest slots (LLaDA's low-confidence remasking, arXiv:2502.09992).

    Returns:
        [..., T] bool, a subset of `masked`; min(k, masked) slots.
    """
    return step.masked & (_surest_first(step)[1] < options.k)


def cosine(step: Step, _: PolicyOptions) -> Tensor:
    """Leaves ceil(cos(pi/2 * (index + 1) / total) * T) slots masked after the step (MaskGIT, arXiv:2202.04200).

    Returns:
        [..., T] bool, a subset of `masked`; non-empty whenever `masked` is, all of it in the last step.
    """
    n_slots = step.masked.shape[-1]
    done = ((torch.as_tensor(step.index, device=step.masked.device)[..., None] + 1) / step.total).clamp(max=1)
    # less a little first: the cosine of pi/2 in floating point is a little above zero
    left = (torch.cos(math.pi / 2 * done) * n_slots - ROUNDING).ceil().clamp(min=0)
    reveals = (step.masked.sum(-1, keepdim=True) - left).clamp(min=1)
    return step.masked & (_surest_first(step)[1] < reveals)


Policy = Callable[[Step, PolicyOptions], Tensor]
POLICIES: dict[str, Policy] = {
    "threshold": by_threshold,
    "entropy_bound": by_entropy_bound,
    "top_k": top_k,
    "cosine": cosine,
}


@dataclass(frozen=True, slots=True)
class Schedule:
    """How the slots of a block are revealed."""

    policy: Policy
    options: PolicyOptions
    total: int
    """Denoise steps a block may take; the last one reveals what is left."""


def _surest_first(step: Step) -> tuple[Tensor, Tensor]:
    """Confidences in falling order, those of masked slots first, and each slot's rank in that order; ties go left."""
    falling, rank = _sorted(-step.confidence.masked_fill(~step.masked, -1.0))
    return -falling, rank


def _sorted(values: Tensor) -> tuple[Tensor, Tensor]:
    """Values in rising order, and each slot's rank in it; ties go left."""
    rising, order = values.sort(dim=-1, stable=True)
    places = torch.arange(values.shape[-1], device=values.device).expand_as(order)
    return rising, torch.empty_like(order).scatter_(-1, order, places)


def _leading(holds: Tensor) -> Tensor:
    """[..., 1] how many slots from the first on hold without a break."""
    return holds.cumprod(-1).sum(-1, keepdim=True)
