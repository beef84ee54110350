"""Low-rank adapters (LoRA, arXiv:2106.09685): a change of a linear layer's matrix as the product of two narrow ones."""

from __future__ import annotations

from typing import cast

import torch
import torch.nn.functional as F  # noqa: N812  the name everyone uses
from torch import Tensor, nn

from coder_model.errors import ModelFileError
from coder_model.model.transformer import Transformer

DOWN, UP = ".down", ".up"


class LowRankLinear(nn.Module):
    """y = x W^T + b + s x D^T U^T, where only D [R, in] and U [out, R] learn."""

    def __init__(self, linear: nn.Linear, rank: int, scale: float) -> None:
        """Begins as the plain layer: U is zero (section 4.1)."""
        super().__init__()
        self.linear, self.scale = linear, scale
        device = linear.weight.device
        down = torch.empty(rank, linear.in_features, device=device)
        self.down = nn.Parameter(nn.init.kaiming_uniform_(down, a=5**0.5))
        self.up = nn.Parameter(torch.zeros(linear.out_features, rank, device=device))

    def forward(self, x: Tensor) -> Tensor:
        """Returns [..., out] for x [..., in]."""
        change = F.linear(F.linear(x, self.down), self.up)
        return cast(Tensor, self.linear(x)) + self.scale * change


def attach_(model: Transformer, rank: int, scale: float) -> dict[str, LowRankLinear]:
    """Puts an adapter on every linear layer of a model's blocks.

    Returns:
        The adapted layers by the names of the plain ones.
    """
    found: dict[str, LowRankLinear] = {}
    for index, layer in enumerate(model.layers):
        for owner in list(layer.modules()):
            for name, child in list(owner.named_children()):
                if isinstance(child, nn.Linear) and not isinstance(owner, LowRankLinear):
                    adapted = LowRankLinear(child, rank, scale)
                    setattr(owner, name, adapted)
                    block = "self_attn" if owner is layer.self_attn else "mlp"
                    found[f"layers.{index}.{block}.{name}"] = adapted
    return found


def factors(adapted: dict[str, LowRankLinear]) -> dict[str, Tensor]:
    """Returns the factors of the changes, in float16 on the CPU, the scale within `up`: W becomes W + up @ down."""
    tensors = {}
    for name, layer in adapted.items():
        tensors[name + DOWN] = layer.down.detach().half().cpu().contiguous()
        tensors[name + UP] = (layer.scale * layer.up.detach()).half().cpu().contiguous()
    return tensors


@torch.no_grad()
def fill_(adapted: dict[str, LowRankLinear], tensors: dict[str, Tensor]) -> None:
    """Puts factors back into the layers that `attach_` made.

    Raises:
        ModelFileError: when they are those of other layers, or of another rank.
    """
    wanted = {name + part for name in adapted for part in (DOWN, UP)}
    if wanted != set(tensors):
        raise ModelFileError(f"init must have the factors of all {len(adapted)} layers, found {len(tensors)} tensors")
    for name, layer in adapted.items():
        down, up = tensors[name + DOWN], tensors[name + UP]
        if down.shape != layer.down.shape or up.shape != layer.up.shape:
            raise ModelFileError(f"init: {name} must have rank {len(layer.down)}, found {len(down)}")
        layer.down.copy_(down)
        layer.up.copy_(up / layer.scale)
