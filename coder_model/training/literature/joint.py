"""Ours: autoregressive on clean tokens and block diffusion on noised blocks, in one pass (`training/objective.py`)."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Generator, Tensor

from coder_model.training.literature.ar import Autoregressive
from coder_model.training.literature.interfaces import Predictor
from coder_model.training.literature.network import Denoiser
from coder_model.training.literature.noise import answers_of
from coder_model.training.objective import joint_loss
from coder_model.training.sampler import Batch


@dataclass(frozen=True, slots=True)
class Joint:
    """The embedded model's loss; the likelihood is that of its autoregressive half, which has the last word."""

    start_id: int
    diffusion_weight: float = 0.5

    def loss(self, predict: Predictor, batch: Batch, generator: Generator) -> Tensor:  # noqa: ARG002  as every objective
        """Returns the joint loss per token, on the same targets as the others have."""
        assert isinstance(predict, Denoiser)
        return joint_loss(predict.transformer, self.begun(batch), self.diffusion_weight, predict.dtype).total

    def begun(self, batch: Batch) -> Batch:
        """Returns a batch with a start before the first token, so that every token is a target, as in `ar.py`."""
        start = torch.full_like(batch.clean[:, :1], self.start_id)
        return replace(
            batch,
            clean=torch.cat([start, batch.clean[:, :-1]], dim=1),
            targets=batch.clean,
            in_middle=answers_of(batch),
            starts=batch.starts + 1,
        )

    def nelbo(self, predict: Predictor, x0: Tensor, generator: Generator) -> Tensor:
        """Returns -log p(x0) of the autoregressive half, [B]."""
        return Autoregressive(self.start_id).nelbo(predict, x0, generator)

    def log_weight(self, predict: Predictor, x0: Tensor, steps: int, generator: Generator) -> Tensor:  # noqa: ARG002  as every objective
        """Returns log p(x0) of the autoregressive half, [B]."""
        return -self.nelbo(predict, x0, generator)
