"""Learning what a larger model says, a few rows of logits at a time."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

CHUNK_ROWS = {"cpu": 256, "cuda": 4096}


class _Distillation(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        student: Tensor,
        student_head: Tensor,
        teacher: Tensor,
        teacher_head: Tensor,
        row_weights: Tensor,
        hard: float,
        labels: Tensor | None,
    ) -> tuple[Tensor, Tensor, Tensor]:
        grad = torch.empty_like(student)
        losses = torch.empty(len(student), device=student.device)
        chosen = torch.empty(2, len(student), dtype=torch.int64, device=student.device)
        chunk_rows = CHUNK_ROWS[student.device.type]
        for start in range(0, len(student), chunk_rows):
            rows = slice(start, start + chunk_rows)
            wanted = (teacher[rows].to(teacher_head.dtype) @ teacher_head.T).float()
            chosen[1, rows] = wanted.argmax(dim=1)
            wanted = wanted.softmax(dim=1).mul_(1 - hard)
            label = (chosen[1] if labels is None else labels)[rows, None]
            wanted.scatter_add_(1, label, wanted.new_full((len(wanted), 1), hard))
            said = (student[rows].to(student_head.dtype) @ student_head.T).float()
            chosen[0, rows] = said.argmax(dim=1)
            said = said.log_softmax(dim=1)
            losses[rows] = -(wanted * said).sum(dim=1)
            slope = said.exp_().sub_(wanted).mul_(row_weights[rows, None])
            grad[rows] = (slope.to(student_head.dtype) @ student_head).to(student.dtype)
        ctx.save_for_backward(grad)
        ctx.mark_non_differentiable(losses, chosen)
        return (losses * row_weights).sum(), losses, chosen

    @staticmethod
    def backward(ctx: Any, grad: Tensor, *_: Tensor) -> tuple[Tensor | None, ...]:
        (kept,) = ctx.saved_tensors
        return kept * grad, None, None, None, None, None, None


def distillation(
    student: Tensor,
    student_head: Tensor,
    teacher: Tensor,
    teacher_head: Tensor,
    row_weights: Tensor,
    hard: float,
    labels: Tensor | None = None,
) -> tuple[Tensor, Tensor, Tensor]:
    """Weighted sum of the cross-entropies of what a model says against what a larger one says.

    The logits of a few rows are held at a time, as in Cut Cross-Entropy (arXiv:2411.09009).

    Args:
        student: [M, D] the model's hidden states.
        student_head: [V, D] its head, which does not learn.
        teacher: [M, E] the larger model's hidden states.
        teacher_head: [V, E] the larger model's head.
        row_weights: [M] float32.
        hard: share of the labels in what is wanted, in [0, 1]; the rest is the larger model's distribution.
        labels: [M] int64, tokens below V; the larger model's first choices when absent.

    Returns:
        The loss [] (differentiable in student), the unweighted losses [M] in nats, and the first choices of both
        [2, M], the student's first.
    """
    loss, losses, chosen = _Distillation.apply(  # type: ignore[no-untyped-call]
        student, student_head, teacher, teacher_head, row_weights, hard, labels
    )
    return loss, losses, chosen
