"""The transformer: pre-RMSNorm, rotary positions, grouped-query attention, SwiGLU.

With QK-norm, biases or a head of its own, where the configuration says so, it is Qwen2, Qwen3 or Llama as well. It
knows neither caches nor masks: whoever calls it passes an `attend` function, and that choice makes the pass a commit, a
denoise, a verify or a training pass over the same weights. Parameter names are Qwen2's.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

import torch
import torch.nn.functional as F  # noqa: N812  the name everyone uses
from torch import Tensor, nn

from coder_model.model.config import ModelConfig
from coder_model.model.rotary import rotary_tables, rotate

Attend = Callable[[int, Tensor, Tensor, Tensor], Tensor]
"""(layer_idx, q [B, H, T, K], k [B, Hkv, T, K], v [B, Hkv, T, K]) -> [B, H, T, K], keys already rotated."""


def causally(_: int, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """The plainest `Attend`: every token sees those before it and itself, and nothing is kept."""
    return F.scaled_dot_product_attention(q, k, v, is_causal=True, enable_gqa=True)


class RMSNorm(nn.Module):
    """Scales the last dimension to unit mean square (arXiv:1910.07467)."""

    def __init__(self, width: int, eps: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))
        self.eps = eps

    def forward(self, x: Tensor) -> Tensor:
        """Returns x [..., width], normalised and scaled in float32, in the dtype of the weights."""
        normal = F.rms_norm(x.float(), self.weight.shape, self.weight.float(), self.eps)
        return normal.to(self.weight.dtype)


class Attention(nn.Module):
    """Grouped-query attention; the mask is the caller's."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        width = config.head_dim
        self.head_dim = width
        self.q_proj = nn.Linear(config.d_model, config.n_heads * width, bias=config.qkv_bias)
        self.k_proj = nn.Linear(config.d_model, config.n_kv_heads * width, bias=config.qkv_bias)
        self.v_proj = nn.Linear(config.d_model, config.n_kv_heads * width, bias=config.qkv_bias)
        self.o_proj = nn.Linear(config.n_heads * width, config.d_model, bias=False)
        self.q_norm = RMSNorm(width, config.norm_eps) if config.qk_norm else nn.Identity()
        self.k_norm = RMSNorm(width, config.norm_eps) if config.qk_norm else nn.Identity()

    def forward(self, x: Tensor, cos: Tensor, sin: Tensor, layer_idx: int, attend: Attend) -> Tensor:
        """Returns [B, T, D] for x [B, T, D]."""
        batch, length, _ = x.shape
        heads = (batch, length, -1, self.head_dim)
        q = rotate(self.q_norm(self.q_proj(x).view(heads)).transpose(1, 2), cos, sin)
        k = rotate(self.k_norm(self.k_proj(x).view(heads)).transpose(1, 2), cos, sin)
        v = self.v_proj(x).view(heads).transpose(1, 2)
        out = attend(layer_idx, q, k, v)
        return cast(Tensor, self.o_proj(out.transpose(1, 2).reshape(batch, length, -1)))


class Mlp(nn.Module):
    """SwiGLU (arXiv:2002.05202)."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.gate_proj = nn.Linear(config.d_model, config.d_ff, bias=False)
        self.up_proj = nn.Linear(config.d_model, config.d_ff, bias=False)
        self.down_proj = nn.Linear(config.d_ff, config.d_model, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Returns [B, T, D] for x [B, T, D]."""
        return cast(Tensor, self.down_proj(F.silu(self.gate_proj(x)) * self.up_proj(x)))


class Layer(nn.Module):
    """One residual block: attention, then the gated MLP."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.input_layernorm = RMSNorm(config.d_model, config.norm_eps)
        self.self_attn = Attention(config)
        self.post_attention_layernorm = RMSNorm(config.d_model, config.norm_eps)
        self.mlp = Mlp(config)

    def forward(self, x: Tensor, cos: Tensor, sin: Tensor, layer_idx: int, attend: Attend) -> Tensor:
        """Returns [B, T, D] for x [B, T, D]."""
        x = x + self.self_attn(self.input_layernorm(x), cos, sin, layer_idx, attend)
        return x + cast(Tensor, self.mlp(self.post_attention_layernorm(x)))


class Transformer(nn.Module):
    """Tokens to hidden states; `logits` turns the states one cares for into scores over the vocabulary."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.config = config
        # made from a tensor: drawing initial values on the meta device would import torch's compiler, a second's work
        table = torch.empty(config.vocab_size, config.d_model)
        self.embed_tokens = nn.Embedding.from_pretrained(table, freeze=False)  # type: ignore[no-untyped-call]
        self.layers = nn.ModuleList(Layer(config) for _ in range(config.n_layers))
        self.norm = RMSNorm(config.d_model, config.norm_eps)
        if not config.tied_head:
            self.lm_head = nn.Linear(config.d_model, config.vocab_size, bias=False)

    def forward(self, tokens: Tensor, positions: Tensor, attend: Attend) -> Tensor:
        """One pass.

        Args:
            tokens: [B, T] int64.
            positions: [B, T] int64, what the rotary embedding sees.
            attend: applies the attention mask, see `Attend`.

        Returns:
            [B, T, D] final normalised hidden states.
        """
        return self.states(self.embed_tokens(tokens), positions, attend)

    def states(self, x: Tensor, positions: Tensor, attend: Attend) -> Tensor:
        """Returns the hidden states of a pass over embeddings x [B, T, D]: see `forward`."""
        cos, sin = rotary_tables(self.config, positions)
        for layer_idx, layer in enumerate(self.layers):
            x = layer(x, cos, sin, layer_idx, attend)
        return cast(Tensor, self.norm(x))

    @property
    def head(self) -> Tensor:
        """[V, D] the weights of the head, for training; in few bits it has none."""
        return self.embed_tokens.weight if self.config.tied_head else self.lm_head.weight

    def logits(self, hidden: Tensor) -> Tensor:
        """Returns [..., V] scores of each hidden state [..., D]: of the token that follows it, or of its own."""
        if self.config.tied_head:
            return F.linear(hidden, self.embed_tokens.weight)
        return cast(Tensor, self.lm_head(hidden))

    @torch.no_grad()
    def initialise_(self, seed: int) -> None:
        """Draws fresh weights: embeddings N(0, 0.02), matrices N(0, 1/sqrt(fan-in)), outputs of blocks zero."""
        generator = torch.Generator().manual_seed(seed)
        for name, parameter in self.named_parameters():
            if parameter.dim() < 2:
                parameter.fill_(0.0 if name.endswith("bias") else 1.0)
            elif name.endswith(("o_proj.weight", "down_proj.weight")):
                parameter.zero_()
            else:
                std = 0.02 if "embed" in name else parameter.shape[1] ** -0.5
                parameter.normal_(0.0, std, generator=generator)
