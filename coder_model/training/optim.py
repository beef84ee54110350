"""Muon for the matrices, AdamW for embeddings and norms, and the warm-up-stable-decay schedule."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import torch
from torch import Tensor, nn
from torch.optim.lr_scheduler import LambdaLR

from coder_model.training.arithmetic import training_dtype


class Muon(torch.optim.Muon):
    """`torch.optim.Muon` in whatever the device multiplies fastest: torch's own takes bfloat16 on every CPU.

    Keller Jordan, https://kellerjordan.github.io/posts/muon/ (2024).
    """

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]  # noqa: ARG002  nobody gives one
        """Moves every matrix that has a gradient."""
        for group in self.param_groups:
            for matrix in (p for p in group["params"] if p.grad is not None):
                average = self.state[matrix].setdefault("momentum_buffer", torch.zeros_like(matrix.grad))
                average.lerp_(matrix.grad, 1 - group["momentum"])
                ahead = matrix.grad.lerp(average, group["momentum"])
                step = _near_orthogonal(ahead, group["ns_coefficients"], group["ns_steps"], group["eps"])
                matrix.mul_(1 - group["lr"] * group["weight_decay"])
                matrix.add_(step, alpha=-group["lr"] * max(1.0, matrix.shape[0] / matrix.shape[1]) ** 0.5)


def _near_orthogonal(matrix: Tensor, coefficients: tuple[float, float, float], steps: int, eps: float) -> Tensor:
    """Moves the singular values of a matrix [N, K] to about 1, by Newton-Schulz steps of the fifth degree."""
    a, b, c = coefficients
    wide = matrix if matrix.shape[0] <= matrix.shape[1] else matrix.T
    x = wide.to(training_dtype(matrix.device))
    x = x / x.norm().clamp(min=eps)
    for _ in range(steps):
        square = x @ x.T
        x = torch.addmm(x, torch.addmm(square, square, square, beta=b, alpha=c), x, beta=a)
    return x if wide is matrix else x.T


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
        Muon(matrices, matrix_lr, weight_decay=0.0),
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
