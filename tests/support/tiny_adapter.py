"""Random adapters for tiny models."""

import torch
from torch import nn

from coder_model.model.adapter_files import StoredAdapter


def linear_layers(model):
    return {name: layer for name, layer in model.named_modules() if isinstance(layer, nn.Linear)}


def adapter(model, modules=None, rank=4, spread=0.1, seed=0):
    """One of some layers, or of all, as training writes it: factors in float16."""
    generator = torch.Generator().manual_seed(seed)
    tensors = {}
    for name, layer in linear_layers(model).items():
        if modules is None or name in modules:
            n, k = layer.weight.shape
            tensors[f"{name}.up"] = (torch.randn(n, rank, generator=generator) * spread).half()
            tensors[f"{name}.down"] = torch.randn(rank, k, generator=generator).half()
    return StoredAdapter(tensors, model.norm.weight.detach().float().clone())
