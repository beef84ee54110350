"""Weights spread over the processes, for models that one device cannot hold: torch's `fully_shard` (FSDP2)."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard
from torch.distributed.tensor import DTensor, distribute_tensor

from coder_model.model.transformer import Transformer


def shard_(model: Transformer, device: torch.device, world: int) -> None:
    """Leaves each of `world` processes its part of every parameter; every process must call this."""
    fully_shard(model, mesh=init_device_mesh(device.type, (world,)))


def whole(tensor: Tensor) -> Tensor:
    """Returns a tensor with all its parts; every process must call this."""
    return tensor.full_tensor() if isinstance(tensor, DTensor) else tensor


def placed(tensor: Tensor, like: Tensor) -> Tensor:
    """Returns a whole tensor spread as `like` is, which has its shape; every process must call this."""
    if not isinstance(like, DTensor):
        return tensor
    return distribute_tensor(tensor.to(like.device), like.device_mesh, like.placements)


def whole_model(model: Transformer) -> Transformer:
    """Returns a model whose parameters are all here; every process must call this."""
    if not isinstance(model.norm.weight, DTensor):
        return model
    copy = Transformer(model.config)
    copy.load_state_dict({name: whole(tensor).cpu() for name, tensor in model.state_dict().items()})
    return copy
