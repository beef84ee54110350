"""Which implementation an operation has where a tensor is."""

from __future__ import annotations

from types import ModuleType

from torch import Tensor

from coder_kernels.row_limits import FEW_ROWS


def gpu_kernels(tensor: Tensor, few: int = 0, most: int = FEW_ROWS) -> ModuleType | None:
    """Returns the Triton kernels, where a tensor is on a GPU and `few` rows are not more than `most`."""
    if not tensor.is_cuda or few > most:
        return None
    from coder_kernels.gpu import kernels

    return kernels
