"""A canary: what a model says to a fixed sequence, to tell whole weights from damaged ones."""

from __future__ import annotations

import math

import torch

from coder_model.model.transformer import Transformer, causally

_TOKENS, _STRIDE = 64, 37
ON_ANOTHER_MACHINE, ON_THE_SAME = 0.02, 1e-5
"""Nats by which whole weights may differ from themselves: processors do in the third decimal."""


@torch.inference_mode()
def checksum(model: Transformer) -> float:
    """Returns the mean surprise, in nats, at a fixed sequence of tokens; one commit pass in float32."""
    weight = model.embed_tokens.weight
    tokens = torch.arange(1, _TOKENS + 1, device=weight.device) * _STRIDE % model.config.vocab_size
    hidden = model(tokens[None], torch.arange(_TOKENS, device=weight.device)[None], causally)[0]
    scores = model.logits(hidden[:-1]).float().log_softmax(dim=1)
    return float(-scores.gather(1, tokens[1:, None]).mean())


def same_checksum(found: float, expected: float, tolerance: float) -> bool:
    """Returns whether two answers are those of the same weights; what is no number is like nothing."""
    return math.isfinite(found) and abs(found - expected) <= tolerance
