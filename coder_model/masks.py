"""Who may see whom: attention masks as boolean tensors, True where a query may attend to a key.

The serving masks follow from cache lengths; the training mask is that of block diffusion (BD3-LM, arXiv:2503.09573,
section 3.1) with blocks that may start anywhere in the clean sequence.
"""

from __future__ import annotations

import torch
from torch import Tensor


def commit_mask(cached: Tensor, n_queries: int, n_keys: int, block_length: int = 1) -> Tensor:
    """A clean token sees everything cached before it and the new tokens up to itself, or up to the end of its block.

    Args:
        cached: [B] int64, tokens in each row's cache before this pass.
        n_queries: new tokens in the pass, the same padded number for every row.
        n_keys: keys in the pass; new token t of row b stands at key `cached[b] + t`.
        block_length: 1 for causal attention; else blocks are counted from the start of the sequence.

    Returns:
        [B, n_queries, n_keys] bool.
    """
    query = cached[:, None] + torch.arange(n_queries, device=cached.device)  # [B, n_queries]
    last = (query // block_length + 1) * block_length - 1
    return torch.arange(n_keys, device=cached.device) <= last[:, :, None]


def denoise_mask(cached: Tensor, n_slots: int, n_keys: int) -> Tensor:
    """A slot sees everything cached and every slot of its block, in both directions.

    Args:
        cached: [B] int64, tokens in each row's cache.
        n_slots: slots of the block; the last `n_slots` keys are the block itself.
        n_keys: keys in the pass, padded cache first.

    Returns:
        [B, n_slots, n_keys] bool.
    """
    key = torch.arange(n_keys, device=cached.device)
    seen = (key < cached[:, None]) | (key >= n_keys - n_slots)
    return seen[:, None, :].expand(-1, n_slots, -1)


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


def additive(seen: Tensor, dtype: torch.dtype) -> Tensor:
    """Returns a mask as a bias on the scores: 0 where `seen` is True, -inf elsewhere; same shape."""
    return torch.zeros(seen.shape, dtype=dtype, device=seen.device).masked_fill_(~seen, float("-inf"))
