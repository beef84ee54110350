"""Shapes of models that are measured: the embedded one, and those of Qwen2.5-Coder (arXiv:2409.12186, table 1)."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from coder_model.model.config import ModelConfig
from coder_model.model.transformer import Transformer

CONTEXT = 2048
"""Tokens before the block."""


@dataclass(frozen=True, slots=True)
class Shape:
    """What of a model matters for its speed."""

    name: str
    n_layers: int
    d_model: int
    n_heads: int
    n_kv_heads: int
    head_dim: int
    d_ff: int
    vocab_size: int
    tied_head: bool = True
    qk_norm: bool = False

    def config(self, context: int, block_length: int) -> ModelConfig:
        """Returns the configuration of a model with room for so many tokens."""
        return ModelConfig(
            vocab_size=self.vocab_size,
            d_model=self.d_model,
            n_layers=self.n_layers,
            n_heads=self.n_heads,
            n_kv_heads=self.n_kv_heads,
            head_dim=self.head_dim,
            d_ff=self.d_ff,
            context_tokens=context,
            block_length=block_length,
            qkv_bias=not self.qk_norm,
            qk_norm=self.qk_norm,
            tied_head=self.tied_head,
        )

    def drawn(self, context: int, block_length: int, device: torch.device, dtype: torch.dtype) -> Transformer:
        """Returns a model with random weights, made on the device."""
        with torch.device("meta"):
            model = Transformer(self.config(context, block_length))
        model = model.to(dtype).to_empty(device=device).eval().requires_grad_(False)
        generator = torch.Generator(device).manual_seed(0)
        for parameter in model.parameters():
            if parameter.dim() == 1:
                parameter.fill_(1.0)
            else:
                parameter.normal_(0.0, 0.5 * parameter.shape[1] ** -0.5, generator=generator)
        return model

    def weight_bytes(self, bits: float) -> float:
        """Returns what a pass reads of the weights, in bytes: linear layers and head once."""
        n_all = (self.n_heads + 2 * self.n_kv_heads) * self.head_dim
        layer = self.d_model * (n_all + self.n_heads * self.head_dim + 3 * self.d_ff)
        return (self.n_layers * layer + self.vocab_size * self.d_model) * bits / 8

    def cache_bytes(self, tokens: int) -> float:
        """Returns what a pass reads of the cache of one sequence, in bytes."""
        return 4.0 * self.n_layers * self.n_kv_heads * self.head_dim * tokens

    def step_flops(self, rows: int) -> float:
        """Returns the operations of a step over so many rows, attention left out."""
        return 2 * rows * self.weight_bytes(8)


SHAPES = {
    shape.name: shape
    for shape in (
        Shape("tiny", 2, 64, 4, 2, 16, 192, 512, qk_norm=True),
        Shape("embedded", 6, 256, 4, 2, 64, 704, 8192, qk_norm=True),
        Shape("0.5B", 24, 896, 14, 2, 64, 4864, 151936),
        Shape("1.5B", 28, 1536, 12, 2, 128, 8960, 151936),
        Shape("7B", 28, 3584, 28, 4, 128, 18944, 152064, tied_head=False),
    )
}
