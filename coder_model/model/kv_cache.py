"""Keys and values of one or many documents in one tensor, so that one pass can be over several, and be repeated.

The owner of a row knows its length; what stands before it is exact. Behind it passes write the slots of a block that is
being denoised, and padding, which later passes overwrite and do not attend to.
"""

from __future__ import annotations

import copy
import math
import mmap
import threading

import torch
from torch import Tensor

from coder_model.model.config import ModelConfig

GROWTH = 4
"""A cache that is too small grows by at least this part of itself."""


class KVCache:
    """R rows of C tokens, lent to documents."""

    def __init__(
        self, config: ModelConfig, rows: int, capacity: int, dtype: torch.dtype, device: torch.device | str = "cpu"
    ) -> None:
        """Takes the number of rows and the tokens of each."""
        shape = (config.n_layers, rows, config.n_kv_heads, capacity, config.head_dim)
        self.keys, self.values = (_zeros(shape, dtype, torch.device(device)) for _ in range(2))
        self._rows = rows
        self._free = list(range(rows))
        self._changed = threading.Lock()

    @property
    def capacity(self) -> int:
        """Tokens of a row."""
        return self.keys.shape[3]

    @property
    def n_bytes(self) -> int:
        """Memory of all rows."""
        return self.keys.nbytes + self.values.nbytes

    def copied(self, tokens: int, rows: int = 0) -> KVCache:
        """Returns a cache of its own with the first `tokens` of each row, and room for a few more.

        Args:
            tokens: to be copied.
            rows: of the new one, each a copy of the only row of this one; 0: as many as there are.
        """
        other, rows = copy.copy(self), rows or self._rows
        other._rows, other._free, other._changed = rows, list(range(rows)), threading.Lock()
        room = tokens + tokens // GROWTH
        other.keys, other.values = (_with_room(part[:, :, :, :tokens], room, rows) for part in (self.keys, self.values))
        return other

    def grow_(self, tokens: int) -> None:
        """Makes room for so many tokens per row, and some more; whatever was captured reads the old tensors."""
        if tokens > self.capacity:
            more = max(tokens - self.capacity, self.capacity // GROWTH)
            room = self.capacity + more
            self.keys, self.values = (_with_room(part, room, self._rows) for part in (self.keys, self.values))

    def allocate(self) -> int:
        """Returns a row that nobody has.

        Raises:
            MemoryError: when there is none.
        """
        with self._changed:
            if not self._free:
                raise MemoryError(f"the cache has {self._rows} rows, and all are lent")
            return self._free.pop()

    def release(self, row: int) -> None:
        """Takes a row back."""
        with self._changed:
            self._free.append(row)


def _zeros(shape: tuple[int, ...], dtype: torch.dtype, device: torch.device) -> Tensor:
    """Zeros, as what is behind a mask is multiplied by 0, and NaN * 0 is NaN.

    On a CPU a mapping of their own: caches come and go in all sizes, and would leave the heap full of holes. What no
    token has filled is in no memory.
    """
    n_bytes = math.prod(shape) * dtype.itemsize
    # an empty mapping is refused
    if device.type != "cpu" or not n_bytes:
        return torch.zeros(shape, dtype=dtype, device=device)
    return torch.frombuffer(mmap.mmap(-1, n_bytes), dtype=dtype).view(shape)


def _with_room(part: Tensor, capacity: int, rows: int) -> Tensor:
    """A copy with room for more tokens; one row may become several."""
    shape = (part.shape[0], rows, part.shape[2], capacity, part.shape[4])
    whole = _zeros(shape, part.dtype, part.device)
    whole[:, :, :, : part.shape[3]] = part
    return whole
