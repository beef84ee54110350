"""A small block-diffusion drafter: it reads a larger model's states and denoises the block behind the last sure token.

The design is DFlash's (arXiv:2602.06036, section 3): a few layers in the larger model's style, whose keys and values
of the context come from some of its residual streams, and whose embedding and head are the larger model's own. Ours
differs in that the context holds the suffix as well as the prefix, and in that a slot speaks of the token after its
own, so that slot j is compared with what the larger model says at the same place. This is the plain twin: it is
trained, and tests hold the fast passes to it.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import cast

import torch
import torch.nn.functional as F  # noqa: N812  the name everyone uses
from torch import Tensor, nn

from coder_model.errors import ModelFileError
from coder_model.model.config import ModelConfig
from coder_model.model.rotary import rotary_tables, rotate
from coder_model.model.transformer import Attend, Attention, Layer, RMSNorm

Context = list[tuple[Tensor, Tensor]]
"""Per layer the keys and values of a context, each [B, Hkv, T, K], keys rotated."""


@dataclass(frozen=True)
class DrafterConfig:
    """Sizes of a drafter; width and heads are the larger model's, so that embedding and head fit.

    Raises:
        ValueError: when the sizes contradict each other.
    """

    d_model: int
    n_heads: int
    n_kv_heads: int
    head_dim: int
    rope_theta: float
    norm_eps: float
    taps: tuple[int, ...]
    """Layers of the larger model behind which its residual stream is read, counted from 1."""
    n_layers: int = 3
    d_ff: int = 1280
    block_length: int = 12
    """Slots that are denoised together, the known first one counted in."""

    def __post_init__(self) -> None:
        if not self.taps or min(self.taps) < 1 or list(self.taps) != sorted(set(self.taps)):
            raise ValueError(f"taps must be layers in rising order, counted from 1, got {self.taps}")
        self.layers()

    def layers(self) -> ModelConfig:
        """Returns the configuration of its layers."""
        return ModelConfig(
            vocab_size=1,
            d_model=self.d_model,
            n_layers=self.n_layers,
            n_heads=self.n_heads,
            n_kv_heads=self.n_kv_heads,
            head_dim=self.head_dim,
            d_ff=self.d_ff,
            rope_theta=self.rope_theta,
            norm_eps=self.norm_eps,
            block_length=self.block_length,
            qk_norm=True,
        )

    @classmethod
    def load(cls, path: Path) -> DrafterConfig:
        """Reads a JSON file.

        Raises:
            ModelFileError: when it is missing, no JSON, or has other fields.
        """
        try:
            values = json.loads(path.read_text("utf-8"))
            return cls(**{**values, "taps": tuple(values["taps"])})
        except (OSError, TypeError, ValueError, KeyError) as error:
            raise ModelFileError(f"{path} must be a drafter's configuration: {error}") from error

    def save(self, path: Path) -> None:
        """Writes a JSON file."""
        path.write_text(json.dumps(asdict(self), indent=1) + "\n", "utf-8")


class Drafter(nn.Module):
    """States of a larger model and a block of slots to hidden states, which the larger model's head reads."""

    def __init__(self, config: DrafterConfig) -> None:
        super().__init__()
        self.config = config
        shape, width = config.layers(), config.d_model
        self.tap_norms = nn.ModuleList(RMSNorm(width, config.norm_eps) for _ in config.taps)
        self.join = nn.Linear(len(config.taps) * width, width, bias=False)
        self.join_norm = RMSNorm(width, config.norm_eps)
        self.masks = nn.Parameter(torch.zeros(config.block_length, width))
        self.layers = nn.ModuleList(Layer(shape) for _ in range(config.n_layers))
        self.norm = RMSNorm(width, config.norm_eps)

    def joined(self, states: Tensor) -> Tensor:
        """Returns [B, T, D], what the layers see of a context.

        Args:
            states: [B, T, taps, D], the larger model's residual streams behind the taps.
        """
        normal = [norm(states[:, :, index]) for index, norm in enumerate(self.tap_norms)]
        return cast(Tensor, self.join_norm(self.join(torch.cat(normal, dim=-1))))

    def context(self, joined: Tensor, positions: Tensor) -> Context:
        """Returns the keys and values of a context [B, T, D] at positions [B, T]."""
        cos, sin = rotary_tables(self.config.layers(), positions)
        return [self._keys_values(cast(Layer, layer).self_attn, joined, cos, sin) for layer in self.layers]

    def _keys_values(self, attention: Attention, x: Tensor, cos: Tensor, sin: Tensor) -> tuple[Tensor, Tensor]:
        heads = (x.shape[0], x.shape[1], -1, attention.head_dim)
        keys = rotate(attention.k_norm(attention.k_proj(x).view(heads)).transpose(1, 2), cos, sin)
        return keys, attention.v_proj(x).view(heads).transpose(1, 2)

    def slots(self, embeddings: Tensor, known: Tensor) -> Tensor:
        """Returns [..., M, D], what enters the first layer.

        Args:
            embeddings: [..., M, D] of the tokens, by the larger model's table; unknown ones are not looked at.
            known: [..., M] bool, slots whose token is decided; the others hold the mask.
        """
        normal = F.rms_norm(embeddings.float(), embeddings.shape[-1:], None, self.config.norm_eps)
        masks = self.masks[: embeddings.shape[-2]].to(normal.dtype)
        return torch.where(known[..., None], normal, masks)

    def forward(self, slots: Tensor, positions: Tensor, attend: Attend) -> Tensor:
        """One pass.

        Args:
            slots: [B, M, D], see `slots`.
            positions: [B, M] int64.
            attend: lets slots see the context and their own block.

        Returns:
            [B, M, D] final normalised hidden states; the one of slot j speaks of the token at slot j + 1.
        """
        cos, sin = rotary_tables(self.config.layers(), positions)
        x = slots
        for layer_idx, layer in enumerate(self.layers):
            x = layer(x, cos, sin, layer_idx, attend)
        return cast(Tensor, self.norm(x))

    @torch.no_grad()
    def initialise_(self, seed: int) -> None:
        """Draws fresh weights: matrices N(0, 1/sqrt(fan-in)), masks N(0, 1/4), outputs of blocks zero."""
        generator = torch.Generator().manual_seed(seed)
        for name, parameter in self.named_parameters():
            if parameter.dim() < 2:
                parameter.fill_(1.0)
            elif name.endswith(("o_proj.weight", "down_proj.weight")):
                parameter.zero_()
            else:
                std = 0.5 if name == "masks" else parameter.shape[1] ** -0.5
                parameter.normal_(0.0, std, generator=generator)


def seeing(context: Context, allowed: Tensor) -> Callable[[int, Tensor, Tensor, Tensor], Tensor]:
    """Returns an `Attend` by which slots see a context and each other.

    Args:
        context: of each layer.
        allowed: [B, 1, M, T + M] bool, which keys, those of the context first, each slot sees.
    """

    def attend(layer_idx: int, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        keys, values = (torch.cat(pair, dim=2) for pair in zip(context[layer_idx], (k, v), strict=True))
        groups = q.shape[1] // keys.shape[1]
        # spread here: with grouped heads and a mask torch falls back to plain matrix products
        keys, values = (part.repeat_interleave(groups, dim=1).to(q.dtype) for part in (keys, values))
        return F.scaled_dot_product_attention(q, keys, values, attn_mask=allowed)

    return attend
