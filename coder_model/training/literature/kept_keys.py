"""Keys and values of earlier passes, so that what is final is computed once."""

from __future__ import annotations

import torch
from torch import Tensor


class KeptKeys:
    """The KV cache of one sampler: grows by the first tokens of a pass, those that are final."""

    def __init__(self) -> None:
        self._keys: dict[int, tuple[Tensor, Tensor]] = {}
        self._length = 0
        self._keep = 0

    def __len__(self) -> int:
        return self._length

    def begin(self, keep: int) -> KeptKeys:
        """Announces a pass whose first `keep` tokens stay; returns self, to be passed on."""
        self._length += self._keep
        self._keep = keep
        return self

    def extended(self, layer_idx: int, k: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
        """Returns the kept keys and values of a layer with those of this pass, [B, H, kept + T, K] each."""
        if layer_idx in self._keys:
            before_k, before_v = self._keys[layer_idx]
            k, v = torch.cat([before_k, k], dim=2), torch.cat([before_v, v], dim=2)
        end = self._length + self._keep
        self._keys[layer_idx] = (k[:, :, :end], v[:, :, :end])
        return k, v
