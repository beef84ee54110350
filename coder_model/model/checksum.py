"""A canary: what a model says to a fixed sequence, to tell whole weights from damaged ones."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from coder_kernels.tensor_types import AttentionMetadata
from coder_model.model.fused_transformer import FusedTransformer
from coder_model.model.kv_cache import KVCache
from coder_model.model.transformer import Transformer, causally

_TOKENS, _STRIDE = 64, 37
ON_ANOTHER_MACHINE, ON_THE_SAME = 0.02, 1e-5
"""Nats by which whole weights may differ from themselves: processors do in the third decimal."""


@torch.inference_mode()
def checksum(model: Transformer) -> float:
    """Returns the mean surprise, in nats, at a fixed sequence of tokens; one commit pass in float32."""
    weight = model.embed_tokens.weight
    tokens = _tokens(model.config.vocab_size, weight.device)
    hidden = model(tokens[None], torch.arange(_TOKENS, device=weight.device)[None], causally)[0]
    return _surprise(model.logits(hidden[:-1]), tokens)


@torch.inference_mode()
def network_checksum(network: FusedTransformer) -> float:
    """Returns the same of merged weights, as they are multiplied."""
    tokens = _tokens(network.config.vocab_size, network.device)
    cache = KVCache(network.config, 1, _TOKENS, network.cache_dtype, network.device)
    spans = AttentionMetadata(*torch.tensor([[0], [0], [_TOKENS]], dtype=torch.int32, device=network.device))
    hidden = network.hidden(tokens[None], cache, spans, 1)
    return _surprise(network.scores(hidden[:-1]), tokens)


def _tokens(vocab_size: int, device: torch.device) -> Tensor:
    return torch.arange(1, _TOKENS + 1, device=device) * _STRIDE % vocab_size


def _surprise(scores: Tensor, tokens: Tensor) -> float:
    """Mean, in nats, of scores [T - 1, V] at the tokens [T] that follow."""
    return float(-scores.float().log_softmax(dim=1).gather(1, tokens[1:, None]).mean())


def same_checksum(found: float, expected: float, tolerance: float) -> bool:
    """Returns whether two answers are those of the same weights; what is no number is like nothing."""
    return math.isfinite(found) and abs(found - expected) <= tolerance
