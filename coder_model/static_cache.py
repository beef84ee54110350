"""Keys and values of many documents in one tensor of a fixed size: one pass can be over several, and be repeated.

What stands before a row's length is exact, as in `KVCache`, and whoever has the row knows its length. Behind it passes
write what nobody reads: the slots of a block that is being denoised, and padding.
"""

from __future__ import annotations

import threading

import torch

from coder_model.config import ModelConfig


class StaticCache:
    """R rows of C tokens, lent to documents, and one row more for the padding of a batch."""

    def __init__(
        self, config: ModelConfig, rows: int, capacity: int, dtype: torch.dtype, device: torch.device | str = "cpu"
    ) -> None:
        """Takes the rows to lend and the tokens of each."""
        shape = (config.n_layers, rows + 1, config.n_kv_heads, capacity, config.head_dim)
        # zeros, not empty: what is behind a mask is multiplied by 0, and NaN * 0 is NaN
        self.keys = torch.zeros(shape, dtype=dtype, device=device)
        self.values = torch.zeros(shape, dtype=dtype, device=device)
        self.capacity = capacity
        self.padding_row = rows
        self._free = list(range(rows))
        self._changed = threading.Lock()

    def lend(self) -> int:
        """Returns a row that nobody has.

        Raises:
            MemoryError: when there is none.
        """
        with self._changed:
            if not self._free:
                raise MemoryError(f"the cache has {self.padding_row} rows, and all are lent")
            return self._free.pop()

    def take_back(self, row: int) -> None:
        """Takes a row back."""
        with self._changed:
            self._free.append(row)
