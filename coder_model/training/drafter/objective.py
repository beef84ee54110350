"""What a drafter learns: to say at each slot what the larger model says at the same place, knowing less."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from coder_model.model.drafter import Drafter, seeing
from coder_model.model.transformer import Transformer
from coder_model.training.drafter.sampler import DrafterBatch
from coder_model.training.published.compiled import causal_states
from coder_model.training.published.distillation import distillation


@torch.no_grad()
def target_states(model: Transformer, tokens: Tensor, taps: tuple[int, ...]) -> tuple[Tensor, Tensor]:
    """One causal pass of the larger model.

    Args:
        model: causal.
        tokens: [R, T] int64.
        taps: layers, counted from 1.

    Returns:
        The residual streams behind the taps [R, T, taps, D], and the final normalised states [R, T, D].
    """
    kept, final = causal_states(model, tokens, taps)
    return torch.stack(kept, dim=2), final


@dataclass(frozen=True, slots=True)
class DraftOutcome:
    """What a batch showed."""

    loss: Tensor
    """[], mean over the weights; differentiable."""
    losses: Tensor
    """[R, N, B] nats, 0 where nothing counts."""
    agrees: Tensor
    """[R, N, B] bool, the drafter's first choice is the larger model's."""
    on_path: Tensor
    """[R, N, B] bool, the larger model's first choice is the text's token: the next slot was asked what it would be
    asked in a fill."""


def outcome(drafter: Drafter, target: Transformer, head: Tensor, batch: DrafterBatch, hard: float) -> DraftOutcome:
    """One pass of both over a batch.

    Args:
        drafter: learns.
        target: the larger model.
        head: [V, D], the rows of its head that the drafter may say.
        batch: on the device of both.
        hard: see `distillation`.
    """
    rows, length = batch.tokens.shape
    blocks, width = batch.known.shape[1:]
    states, final = target_states(target, batch.tokens, drafter.config.taps)
    places = (batch.anchors[..., None] + torch.arange(width, device=final.device)).flatten(1)
    inside = places.clamp(max=length - 1)
    positions = torch.arange(length, device=final.device).expand(rows, length)
    context = drafter.context(drafter.joined(states), positions)
    embeddings = target.embed_tokens(batch.tokens.gather(1, inside)).unflatten(1, (blocks, width))
    slots = drafter.slots(embeddings, batch.known).flatten(1, 2)
    hidden = drafter(slots, places, seeing(context, allowed(batch, length)))
    # rows that count, together: a fixed share of them does not, and the head is half of the work
    counts = batch.weights.flatten().nonzero().squeeze(1)
    teacher = final.gather(1, inside[..., None].expand(-1, -1, final.shape[-1])).flatten(0, 1)[counts]
    weights = batch.weights.flatten()[counts]
    said = hidden.flatten(0, 1)[counts]
    loss, losses, chosen = distillation(said, head, teacher, head, weights, hard)
    following = batch.tokens.gather(1, (places + 1).clamp(max=length - 1)).flatten()[counts]

    def spread(values: Tensor) -> Tensor:
        whole = values.new_zeros(rows * blocks * width)
        return whole.index_copy(0, counts, values).view(rows, blocks, width)

    return DraftOutcome(
        loss / weights.sum(), spread(losses), spread(chosen[0] == chosen[1]), spread(chosen[1] == following)
    )


def allowed(batch: DrafterBatch, length: int) -> Tensor:
    """Returns [R, 1, N B, T + N B] bool: a slot sees what stands before its block's anchor, and its own block."""
    blocks, width = batch.known.shape[1:]
    device = batch.tokens.device
    anchors = batch.anchors.repeat_interleave(width, dim=1)
    before = torch.arange(length, device=device) < anchors[..., None]
    number = torch.arange(blocks, device=device).repeat_interleave(width)
    own = (number[:, None] == number).expand(len(batch.tokens), -1, -1)
    return torch.cat([before, own], dim=2)[:, None]


def accepted_tokens(agrees: Tensor, on_path: Tensor, asked: Tensor) -> tuple[float, Tensor]:
    """Estimates how many tokens of a block the larger model accepts, from texts that it would not always have written.

    Slots behind a token that the larger model would not have chosen say nothing of a fill: they are censored, as in
    the product-limit estimate of Kaplan and Meier (J. Am. Stat. Assoc. 53, 1958).

    Args:
        agrees: [M, B] bool.
        on_path: [M, B] bool.
        asked: [M, B] bool, slots that count; blocks with known slots beyond the first must not be among them.

    Returns:
        The expected number of accepted tokens, and [B] the chance of each slot where all before it were accepted.
    """
    right = torch.cumprod((agrees & on_path).long(), dim=1)
    ahead = torch.cat([torch.ones_like(right[:, :1]), right[:, :-1]], dim=1).bool() & asked
    chances = (ahead & agrees).sum(0) / ahead.sum(0).clamp(min=1)
    return float(chances.cumprod(0).sum()), chances
