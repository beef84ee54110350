"""Muon for the matrices, AdamW for embeddings and norms, and the warm-up-stable-decay schedule.

Muon: Keller Jordan, https://kellerjordan.github.io/posts/muon/ (2024): momentum, then the update is made orthogonal
by a quintic Newton-Schulz iteration.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn

from coder_model.training.sharding import placed, whole

_QUINTIC = (3.4445, -4.7750, 2.0315)


class Muon(torch.optim.Optimizer):
    """Nesterov momentum with orthogonalised updates, for 2-D parameters only."""

    def __init__(
        self, params: Iterable[nn.Parameter], lr: float, momentum: float = 0.95, weight_decay: float = 0.0
    ) -> None:
        super().__init__(params, {"lr": lr, "momentum": momentum, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:  # type: ignore[override]
        """Updates every parameter that has a gradient."""
        assert closure is None
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is None:
                    continue
                state = self.state[parameter]
                buffer = state.setdefault("momentum_buffer", torch.zeros_like(parameter))
                buffer.lerp_(parameter.grad, 1 - group["momentum"])
                update = orthogonalise(whole(parameter.grad.lerp(buffer, group["momentum"])))
                scale = max(1.0, parameter.shape[0] / parameter.shape[1]) ** 0.5
                parameter.mul_(1 - group["lr"] * group["weight_decay"])
                parameter.add_(placed(update, parameter), alpha=-group["lr"] * scale)


def orthogonalise(matrix: Tensor, steps: int = 5) -> Tensor:
    """Returns a matrix with the singular vectors of `matrix` [R, C] and singular values near 1."""
    a, b, c = _QUINTIC
    x: Tensor = matrix.to(torch.bfloat16)
    if tall := matrix.shape[0] > matrix.shape[1]:
        x = x.T
    x = x / (x.norm() + 1e-7)
    for _ in range(steps):
        gram = x @ x.T
        x = a * x + (b * gram + c * gram @ gram) @ x
    return (x.T if tall else x).to(matrix.dtype)


def optimizers_for(model: nn.Module, matrix_lr: float, other_lr: float) -> list[torch.optim.Optimizer]:
    """Returns Muon over the layers' matrices and AdamW over embeddings, a head of its own, norms and biases."""
    named = dict(model.named_parameters())
    matrices = [p for name, p in named.items() if p.dim() == 2 and "layers." in name]
    others = [p for name, p in named.items() if p.dim() != 2 or "layers." not in name]
    return [Muon(matrices, matrix_lr), torch.optim.AdamW(others, other_lr, betas=(0.9, 0.95), weight_decay=0.0)]


def scale_rates_(optimizers: list[torch.optim.Optimizer], factor: float) -> None:
    """Sets every learning rate to `factor` times what it was made with."""
    for optimizer in optimizers:
        for group in optimizer.param_groups:
            group["lr"] = group.setdefault("initial_lr", group["lr"]) * factor


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
