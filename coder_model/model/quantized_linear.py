"""A linear layer whose weights are kept in few bits, for the plain transformer.

Ours and not torchao (0.18): 26 MB and seconds to import, its product of 16 rows with int8 weights and activations takes
1.5 times as long on a CPU (0.72 against 0.49 ms at 896 x 4,864, with the same error).
"""

from __future__ import annotations

import torch.nn.functional as F  # noqa: N812  the name everyone uses
from torch import Tensor, nn

from coder_kernels.quantise import PackedGroups, Precision, Quantised, dequantise, quantise


def pack_(model: nn.Module, precision: Precision) -> None:
    """Replaces every linear layer of a model by a packed one, its biases too."""
    for parent in list(model.modules()):
        for name, child in parent.named_children():
            if isinstance(child, nn.Linear):
                setattr(parent, name, QuantizedLinear(quantise(child.weight.data, precision), child.bias))


class QuantizedLinear(nn.Module):
    """y = x W^T + b with W in int8, int4 or fp8; unpacks the weights for each pass, and computes in the dtype of x."""

    def __init__(self, weight: Quantised, bias: Tensor | None) -> None:
        """Takes W [N, K], and b [N] in a floating dtype."""
        super().__init__()
        self.register_buffer("values", weight.values)
        self.register_buffer("scale", weight.scale)
        self.register_buffer("offset", weight.offset)
        self.register_buffer("bias", bias)

    def weight(self) -> Quantised:
        """Returns W."""
        return Quantised(self.values, self.scale, self.offset)  # type: ignore[arg-type]

    def drop_(self) -> None:
        """Lets go of W, which is kept elsewhere in another order."""
        self.values = self.weight().values.new_empty(0, 0)

    def forward(self, x: Tensor) -> Tensor:
        """Returns [..., N] for x [..., K]."""
        return F.linear(x, dequantise(self.weight(), x.dtype), self.bias)  # type: ignore[arg-type]


class PackedLinear(nn.Module):
    """The weight of a linear layer in the order in which a CPU multiplies it: it has no plain pass."""

    def __init__(self, packed: PackedGroups) -> None:
        """Takes W [N, K]."""
        super().__init__()
        self.packed = packed
