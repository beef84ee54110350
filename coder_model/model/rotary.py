"""Rotary position embedding, plain and stretched."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from coder_model.model.config import ModelConfig, Yarn


def rotary_tables(config: ModelConfig, positions: Tensor) -> tuple[Tensor, Tensor]:
    """The cosines and sines of rotary position embedding (RoFormer, arXiv:2104.09864, half-split layout).

    Args:
        config: gives head_dim, rope_theta and yarn.
        positions: [B, T] int64.

    Returns:
        Two [B, 1, T, head_dim] float32 tensors.
    """
    half = torch.arange(0, config.head_dim, 2, device=positions.device, dtype=torch.float32)
    frequencies = config.rope_theta ** (-half / config.head_dim)
    scale = 1.0
    if config.yarn:
        frequencies, scale = _stretched(frequencies, config.rope_theta, config.yarn), _temperature(config.yarn)
    angles = positions[..., None].float() * frequencies
    angles = torch.cat([angles, angles], dim=-1)[:, None]
    return angles.cos() * scale, angles.sin() * scale


def rotate(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Returns x [B, H, T, K] turned by its position; the dtype of x is kept."""
    left, right = x.chunk(2, dim=-1)
    return (x * cos + torch.cat([-right, left], dim=-1) * sin).to(x.dtype)


def _stretched(frequencies: Tensor, theta: float, yarn: Yarn) -> Tensor:
    """Frequencies by parts: fast ones stay, slow ones are divided by the factor (arXiv:2309.00071, equation 23)."""
    width = 2 * len(frequencies)

    def dimension(turns: float) -> float:
        return width * math.log(yarn.original_context / (turns * 2 * math.pi)) / (2 * math.log(theta))

    low = max(math.floor(dimension(yarn.beta_fast)), 0)
    high = min(math.ceil(dimension(yarn.beta_slow)), width - 1)
    index = torch.arange(len(frequencies), device=frequencies.device, dtype=torch.float32)
    slow = ((index - low) / max(high - low, 0.001)).clamp(0, 1)
    return frequencies / yarn.factor * slow + frequencies * (1 - slow)


def _temperature(yarn: Yarn) -> float:
    """What queries and keys are each multiplied by (arXiv:2309.00071, equation 25)."""

    def scale(weight: float) -> float:
        return 0.1 * weight * math.log(yarn.factor) + 1.0 if yarn.factor > 1 else 1.0

    if yarn.mscale and yarn.mscale_all:
        return scale(yarn.mscale) / scale(yarn.mscale_all)
    return scale(1.0)
