"""An embedding whose rows stay in the model's file: a key asks for a few of 150,000, and the head has its own copy."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn


class StoredEmbedding(nn.Module):
    """Tokens to rows of a table that is in no memory."""

    def __init__(self, read: Callable[[list[int]], Tensor], width: int, dtype: torch.dtype) -> None:
        """Takes what reads rows.

        Args:
            read: row numbers to [N, D] float32.
            width: D.
            dtype: of the result.
        """
        super().__init__()
        self._read = read
        self.weight = nn.Parameter(torch.empty(0, width, dtype=dtype), requires_grad=False)
        """[0, D]: nothing but the dtype."""

    def forward(self, tokens: Tensor) -> Tensor:
        """Returns [..., D] for tokens [...] int64."""
        rows = self._read(tokens.flatten().tolist()).to(self.weight.dtype)
        return rows.view(*tokens.shape, -1)
