"""Muon for the matrices, AdamW for embeddings and norms, and the warm-up-stable-decay schedule.

Muon: Keller Jordan, https://kellerjordan.github.io/posts/muon/ (2024), as `torch.optim.Muon` has it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import torch
from torch import nn
from torch.optim.lr_scheduler import LambdaLR


def make_optimizers(
    matrices: Iterable[nn.Parameter], others: Iterable[nn.Parameter], matrix_lr: float, other_lr: float
) -> list[torch.optim.Optimizer]:
    """Returns Muon over `matrices` and AdamW over `others`, both without weight decay.

    Args:
        matrices: parameters of two dimensions.
        others: parameters of any shape.
        matrix_lr: learning rate of the matrices; Muon multiplies it by sqrt(max(1, rows / columns)).
        other_lr: learning rate of the others.
    """
    return [
        torch.optim.Muon(matrices, matrix_lr, weight_decay=0.0),
        torch.optim.AdamW(others, other_lr, betas=(0.9, 0.95), weight_decay=0.0),
    ]


def optimizers_for(model: nn.Module, matrix_lr: float, other_lr: float) -> list[torch.optim.Optimizer]:
    """Returns Muon over the layers' matrices and AdamW over embeddings, a head of its own, norms and biases."""
    named = dict(model.named_parameters())
    matrices = [p for name, p in named.items() if p.dim() == 2 and "layers." in name]
    others = [p for name, p in named.items() if p.dim() != 2 or "layers." not in name]
    return make_optimizers(matrices, others, matrix_lr, other_lr)


def schedulers_for(
    optimizers: list[torch.optim.Optimizer], factor: Callable[[int], float], start: int = 0
) -> list[LambdaLR]:
    """Returns a scheduler per optimizer and sets the learning rates of the first step.

    Args:
        optimizers: of a run.
        factor: step, from 0 -> what every learning rate is multiplied by; called at the end of the step before.
        start: step that the run goes on with.
    """
    for optimizer in optimizers:
        for group in optimizer.param_groups:
            # LambdaLR asks for it where it does not begin at step 0
            group.setdefault("initial_lr", group["lr"])
    return [LambdaLR(optimizer, factor, last_epoch=start - 1) for optimizer in optimizers]


def schedule(step: int, total: int, warm_up: int, decay_share: float) -> float:
    """The factor on every learning rate: linear warm-up, constant, linear decay to zero over the last share.

    Args:
        step: from 0.
        total: steps of the run.
        warm_up: steps of the rise.
        decay_share: in (0, 1].

    Returns:
        A factor in [0, 1].
    """
    decay = max(1, int(total * decay_share))
    return max(0.0, min(1.0, (step + 1) / max(1, warm_up), (total - step) / decay))
