"""The project's transformer under any attention scheme, with a noise level and embeddings where a paper has them."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import cast

import torch
import torch.nn.functional as F  # noqa: N812  the name everyone uses
from torch import Tensor, nn

from coder_kernels.reference import attention
from coder_model.model.config import ModelConfig
from coder_model.model.transformer import Attend, Transformer
from coder_model.training.literature.kept_keys import KeptKeys
from coder_model.training.literature.schemes import Seen, dense
from coder_model.training.masks import additive

TIME_WAVES = 64
"""Sines and cosines of the noise level, together."""
TIME_SCALE = 0.02
"""Of the noise level beside tokens: in D3PM's own code both begin at 1, here embeddings of tokens begin at 0.02."""


class NoiseLevel(nn.Module):
    """A vector of the noise level, added to every embedding, as in D3PM (arXiv:2107.03006)."""

    def __init__(self, d_model: int) -> None:
        super().__init__()
        self.first = nn.Linear(TIME_WAVES, d_model)
        self.last = nn.Linear(d_model, d_model)

    def forward(self, time: Tensor) -> Tensor:
        """Returns [B, 1, D] for levels [B] in [0, 1]."""
        half = TIME_WAVES // 2
        frequencies = torch.exp(-math.log(1e4) * torch.arange(half, device=time.device) / half)
        angles = 1000 * time[:, None].float() * frequencies
        waves = torch.cat([angles.cos(), angles.sin()], dim=1)
        return cast(Tensor, self.last(F.silu(self.first(waves))))[:, None]


class Denoiser(nn.Module):
    """Tokens to logits, for every discrete objective; see `Predictor`."""

    def __init__(self, config: ModelConfig, takes_time: bool = False) -> None:
        """Draws nothing: call `initialise_`."""
        super().__init__()
        self.transformer = Transformer(config)
        self.noise_level = NoiseLevel(config.d_model) if takes_time else None
        self.dtype = torch.float32
        """Of the matrix products of a pass; bfloat16 for training where the processor has it."""

    def initialise_(self, seed: int) -> None:
        """Draws fresh weights; the noise level begins by saying nothing."""
        self.transformer.initialise_(seed)
        if self.noise_level:
            _initialise_(self.noise_level.first, seed)
            nn.init.zeros_(self.noise_level.last.weight)
            nn.init.zeros_(self.noise_level.last.bias)

    def forward(
        self, tokens: Tensor, positions: Tensor, seen: Seen, time: Tensor | None = None, kept: KeptKeys | None = None
    ) -> Tensor:
        """Returns [B, T, V] float32 logits: see `Predictor`."""
        with torch.autocast(tokens.device.type, self.dtype, enabled=self.dtype != torch.float32):
            x = self.transformer.embed_tokens(tokens)
            if self.noise_level:
                assert time is not None
                x = x + TIME_SCALE * self.noise_level(time)
            hidden = self.transformer.states(x, positions, attend_by(seen, tokens, kept, self.dtype))
            return self.transformer.logits(hidden).float()


class ContinuousDenoiser(nn.Module):
    """Noised embeddings to predicted embeddings, and the table of embeddings: the network of Diffusion-LM."""

    def __init__(self, config: ModelConfig, width: int) -> None:
        """Takes the sizes, and the width E of the embeddings that are noised."""
        super().__init__()
        # the transformer's own table is never read
        self.transformer = Transformer(replace(config, vocab_size=1))
        self.table = nn.Embedding(config.vocab_size, width)
        self.into, self.out = nn.Linear(width, config.d_model), nn.Linear(config.d_model, width)
        self.noise_level = NoiseLevel(config.d_model)
        self.dtype = torch.float32

    def initialise_(self, seed: int) -> None:
        """Draws fresh weights; embeddings have about unit variance, as the noise has."""
        self.transformer.initialise_(seed)
        for layer in (self.into, self.out, self.noise_level.first, self.noise_level.last):
            _initialise_(layer, seed)
        with torch.no_grad():
            self.table.weight.normal_(generator=torch.Generator().manual_seed(seed))

    def forward(
        self, tokens: Tensor, positions: Tensor, seen: Seen, time: Tensor | None = None, kept: KeptKeys | None = None
    ) -> Tensor:
        """Returns [B, T, E] float32, the embeddings that `tokens` [B, T, E] were noised from: see `Predictor`."""
        assert time is not None
        with torch.autocast(tokens.device.type, self.dtype, enabled=self.dtype != torch.float32):
            x = self.into(tokens) + self.noise_level(time)
            hidden = self.transformer.states(x, positions, attend_by(seen, tokens, kept, self.dtype))
            return cast(Tensor, self.out(hidden)).float()


def attend_by(seen: Seen, tokens: Tensor, kept: KeptKeys | None, dtype: torch.dtype) -> Attend:
    """Returns the attention of a pass over `tokens` [B, T] under a scheme, as plain matrix products."""
    rows, length = tokens.shape[:2]
    keys = length + (len(kept) if kept is not None else 0)
    bias = additive(dense(seen, rows, length, keys, tokens.device)[:, None], dtype)

    def attend(layer_idx: int, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        if kept is not None:
            k, v = kept.extended(layer_idx, k, v)
        return attention(q.to(dtype), k.to(dtype), v.to(dtype), bias)

    return attend


@torch.no_grad()
def _initialise_(layer: nn.Linear, seed: int) -> None:
    layer.weight.normal_(0.0, layer.in_features**-0.5, generator=torch.Generator().manual_seed(seed))
    layer.bias.zero_()
