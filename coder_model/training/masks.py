"""Attention masks of training as boolean tensors, True where a query may attend to a key.

Block diffusion (BD3-LM, arXiv:2503.09573, section 3.1) with blocks that may start anywhere in the clean sequence. The
masks of serving are in `coder_kernels.ops.block_attention`.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor


def noised_mask(starts: Tensor, block_length: int, n_clean: int) -> Tensor:
    """In training a slot sees the clean tokens before its block and the whole of its own noised block.

    Args:
        starts: [B, K] int64, index of each block's first slot in the clean sequence.
        block_length: slots per block.
        n_clean: length of the clean sequence; the keys are the clean tokens, then the K noised blocks.

    Returns:
        [B, K * block_length, n_clean + K * block_length] bool.
    """
    n_blocks = starts.shape[1]
    start = starts.repeat_interleave(block_length, dim=1)  # [B, N]
    clean = torch.arange(n_clean, device=starts.device) < start[:, :, None]
    block = torch.arange(n_blocks, device=starts.device).repeat_interleave(block_length)
    own = (block[:, None] == block).expand(starts.shape[0], -1, -1)
    return torch.cat([clean, own], dim=2)


def noised_seen(starts: Tensor, block_length: int, n_clean: int) -> Callable[[Tensor, Tensor, Tensor, Tensor], Tensor]:
    """Returns the whole training pass as a predicate of (row, head, query, key), which flex attention takes.

    The arguments are those of `noised_mask`, whose keys these are; the queries are the same tokens, and a clean one
    sees itself and what is before it.
    """

    def seen(row: Tensor, _: Tensor, query: Tensor, key: Tensor) -> Tensor:
        block = (query - n_clean) // block_length
        is_slot = query >= n_clean
        last_clean = torch.where(is_slot, starts[row, block.clamp(min=0)] - 1, query)
        own_slot = is_slot & ((key - n_clean) // block_length == block)
        return torch.where(key < n_clean, key <= last_clean, own_slot)

    return seen


def additive(seen: Tensor, dtype: torch.dtype) -> Tensor:
    """Returns a mask as a bias on the scores: 0 where `seen` is True, -inf elsewhere; same shape."""
    return torch.zeros(seen.shape, dtype=dtype, device=seen.device).masked_fill_(~seen, float("-inf"))
