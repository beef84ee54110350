"""Low-rank adapters (LoRA, arXiv:2106.09685): a change of a linear layer's matrix as the product of two narrow ones."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import cast

import torch
import torch.nn.functional as F  # noqa: N812  the name everyone uses
from torch import Tensor, nn

from coder_model.errors import CorpusError, ModelFileError
from coder_model.model.adapter_files import DOWN, UP, StoredAdapter
from coder_model.model.config import ModelConfig
from coder_model.model.transformer import Transformer


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


def check_rank(rank: int, config: ModelConfig) -> None:
    """Refuses a rank that no change can have.

    Raises:
        CorpusError: when it is not positive, or larger than the narrowest layer.
    """
    most = min(config.d_model, config.d_ff, config.n_kv_heads * config.head_dim)
    if not 1 <= rank <= most:
        raise CorpusError(f"rank must be from 1 to {most}, got {rank}")


def attach_(model: Transformer, rank: int, scale: float, layers: Collection[str]) -> dict[str, LowRankLinear]:
    """Puts an adapter on linear layers of a model's blocks.

    Args:
        model: whose layers are replaced.
        rank: see `check_rank`.
        scale: of the changes.
        layers: which ones of every block, by their last names.

    Returns:
        The adapted layers by the names of the plain ones.

    Raises:
        CorpusError: when the rank is out of range, or a layer is none of the model's.
    """
    check_rank(rank, model.config)
    found = {}
    for name, layer in list(model.layers.named_modules(prefix="layers")):
        owner, _, last = name.rpartition(".")
        if isinstance(layer, nn.Linear) and last in layers:
            found[name] = LowRankLinear(layer, rank, scale)
            setattr(model.get_submodule(owner), last, found[name])
    if missing := set(layers) - {name.rpartition(".")[2] for name in found}:
        raise CorpusError(f"layers must be names of linear layers, such as q_proj, got {', '.join(sorted(missing))}")
    return found


def factors(adapted: Mapping[str, LowRankLinear]) -> dict[str, Tensor]:
    """Returns the factors of the changes, in float16 on the CPU, the scale within `up`: W becomes W + up @ down."""
    tensors = {}
    for name, layer in adapted.items():
        tensors[name + DOWN] = layer.down.detach().half().cpu().contiguous()
        tensors[name + UP] = (layer.scale * layer.up.detach()).half().cpu().contiguous()
    return tensors


@torch.no_grad()
def fill_(adapted: Mapping[str, LowRankLinear], stored: StoredAdapter) -> None:
    """Puts an adapter into the layers that `attach_` made, which may be more and of a higher rank than its own.

    Raises:
        ModelFileError: when it changes other layers, or has a higher rank.
    """
    for name in stored.modules:
        change = stored.change(name)
        assert change
        if name not in adapted:
            raise ModelFileError(f"layers must have what the adapter to go on from changes, {name} is missing")
        layer, rank = adapted[name], len(change.down)
        if rank > len(layer.down):
            raise ModelFileError(
                f"rank must be at least that of the adapter to go on from, {rank}, got {len(layer.down)}"
            )
        layer.down[:rank].copy_(change.down)
        layer.up[:, :rank].copy_(change.up / layer.scale)
