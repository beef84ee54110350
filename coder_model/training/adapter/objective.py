"""What an adapter learns: to fill holes with the text that stood there, as a larger model would."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from coder_model.model.transformer import Transformer
from coder_model.training.adapter.sampler import AdapterBatch
from coder_model.training.published.compiled import causal_states
from coder_model.training.published.distillation import distillation


@dataclass(frozen=True, slots=True)
class FillOutcome:
    """What a batch showed."""

    loss: Tensor
    """[], mean over the weights; differentiable."""
    said_right: Tensor
    """[R, T] bool, the model's first choice is the text's token; False where nothing is asked."""
    taught_right: Tensor
    """[R, T] bool, the teacher's is."""


def outcome(model: Transformer, teacher: Transformer, batch: AdapterBatch, hard: float) -> FillOutcome:
    """One pass of both over a batch.

    Args:
        model: learns.
        teacher: with the same vocabulary.
        batch: on the device of both.
        hard: see `AdapterOptions`.
    """
    with torch.no_grad():
        _, taught = causal_states(teacher, batch.tokens)
    _, states = causal_states(model, batch.tokens)
    asked = batch.weights.flatten().nonzero().squeeze(1)
    following = batch.tokens.roll(-1, dims=1).flatten()[asked]
    weights = batch.weights.flatten()[asked]
    loss, _, chosen = distillation(
        states.flatten(0, 1)[asked], model.lm_head.weight, taught.flatten(0, 1)[asked], teacher.lm_head.weight,
        weights, hard, following,
    )  # fmt: skip

    def spread(values: Tensor) -> Tensor:
        whole = values.new_zeros(batch.weights.numel())
        return whole.index_copy(0, asked, values).view_as(batch.weights)

    return FillOutcome(loss / weights.sum(), spread(chosen[0] == following), spread(chosen[1] == following))
