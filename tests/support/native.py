"""The kernels on a GPU, for tests whose tensors are on the CPU."""

from typing import Any

import torch

from coder_kernels.gpu import kernels


class Native:
    """Has the functions of `coder_kernels.gpu.kernels`; tensors are moved to a device and back."""

    def __init__(self, device: torch.device) -> None:
        self._device = device

    def __getattr__(self, name: str) -> Any:
        kernel = getattr(kernels, name)

        def moved(*arguments: Any) -> Any:
            there = _mapped(arguments, self._device)
            found = kernel(*there)
            if name.endswith("_"):
                for tensor, changed in zip(_tensors(arguments), _tensors(there), strict=True):
                    tensor.copy_(changed)
            return _mapped(found, torch.device("cpu"))

        return moved


def _mapped(x: Any, device: torch.device) -> Any:
    if isinstance(x, torch.Tensor):
        return x.to(device)
    if isinstance(x, tuple):
        parts = [_mapped(part, device) for part in x]
        return type(x)(*parts) if hasattr(x, "_fields") else tuple(parts)
    return x


def _tensors(x: Any) -> list[torch.Tensor]:
    if isinstance(x, torch.Tensor):
        return [x]
    return [tensor for part in x for tensor in _tensors(part)] if isinstance(x, tuple) else []
