"""The keys and values of committed tokens, and the two ways a pass reads them.

The cache is exact: context tokens attend causally, so what a token wrote never changes when more text follows it.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F  # noqa: N812  the name everyone uses
from torch import Tensor

from coder_kernels.reference import attention
from coder_model.config import ModelConfig
from coder_model.masks import additive, commit_mask, denoise_mask
from coder_model.model import Attend


class KVCache:
    """Keys and values of B sequences of different lengths; grows by doubling, shrinks by `truncate`."""

    def __init__(
        self,
        config: ModelConfig,
        batch: int = 1,
        dtype: torch.dtype = torch.float32,
        device: torch.device | str = "cpu",
    ) -> None:
        self.lengths = [0] * batch
        self._block_length = config.block_length if config.attention == "block_causal" else 1
        self._shape = (config.n_layers, batch, config.n_kv_heads)
        self._head_dim = config.head_dim
        self.keys = torch.empty((*self._shape, 0, self._head_dim), dtype=dtype, device=device)
        self.values = torch.empty_like(self.keys)

    def truncate(self, length: int, row: int = 0) -> None:
        """Forgets row `row` from token `length` on."""
        assert 0 <= length <= self.lengths[row]
        self.lengths[row] = length

    def commit_attention(self, counts: list[int], dtype: torch.dtype = torch.float32) -> Attend:
        """Attention of clean tokens over the cache and themselves, causal or by blocks; writes the new keys and values.

        Args:
            counts: new tokens per row; a pass over T tokens has `max(counts) == T`, shorter rows are padded right.
                `lengths` rises by `counts` at once, so a pass must follow.
            dtype: bfloat16 for the products of a long pass, as plain products; the cache keeps its own.

        Returns:
            The `attend` function of the pass.
        """
        start = list(self.lengths)
        length = max(counts)
        end = max(start) + length
        self.reserve(end)
        self.lengths = [s + n for s, n in zip(start, counts, strict=True)]
        mask = bias = None
        causal = self._block_length == 1 and len(start) == 1 and start[0] == 0
        cached = torch.tensor(start, device=self.keys.device)
        if dtype != torch.float32:
            bias = additive(commit_mask(cached, length, end, self._block_length)[:, None], dtype)
        elif not causal and not (len(start) == 1 and length == self._block_length):
            # one token, or one block, sees all that is there
            mask = commit_mask(cached, length, end, self._block_length)[:, None]

        def attend(layer_idx: int, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
            keys, values = self.keys[layer_idx], self.values[layer_idx]
            for row, (s, n) in enumerate(zip(start, counts, strict=True)):
                keys[row, :, s : s + n] = k[row, :, :n]
                values[row, :, s : s + n] = v[row, :, :n]
            if bias is not None:
                return attention(q.to(dtype), keys[:, :, :end].to(dtype), values[:, :, :end].to(dtype), bias)
            return _sdpa(q, keys[:, :, :end], values[:, :, :end], mask, causal)

        return attend

    def denoise_attention(self, n_slots: int) -> Attend:
        """Attention of a block of `n_slots` slots over the cache and over itself in both directions; writes nothing."""
        end = max(self.lengths)
        mask = None
        if len(self.lengths) > 1:
            mask = denoise_mask(torch.tensor(self.lengths, device=self.keys.device), n_slots, end + n_slots)[:, None]

        def attend(layer_idx: int, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
            keys = torch.cat([self.keys[layer_idx, :, :, :end], k], dim=2)
            values = torch.cat([self.values[layer_idx, :, :, :end], v], dim=2)
            return _sdpa(q, keys, values, mask, causal=False)

        return attend

    def reserve(self, tokens: int) -> None:
        """Makes room for so many tokens per row."""
        capacity = self.keys.shape[3]
        if tokens <= capacity:
            return
        # zeros, not empty: rows of a batch are read past their end behind a mask, and NaN * 0 is NaN
        grown = self.keys.new_zeros((2, *self._shape, max(tokens, 2 * capacity, 256), self._head_dim))
        grown[0, :, :, :, :capacity] = self.keys
        grown[1, :, :, :, :capacity] = self.values
        self.keys, self.values = grown[0], grown[1]


def _sdpa(q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None, causal: bool) -> Tensor:
    return F.scaled_dot_product_attention(q, k, v, attn_mask=mask, is_causal=causal, enable_gqa=True)
