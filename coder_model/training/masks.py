"""Attention masks of training as boolean tensors, True where a query may attend to a key.

Block diffusion (BD3-LM, arXiv:2503.09573, section 3.1) with blocks that may start anywhere in the clean sequence. The
masks of serving are in `coder_kernels.ops.block_attention`.
"""

from __future__ import annotations

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


def additive(seen: Tensor, dtype: torch.dtype) -> Tensor:
    """Returns a mask as a bias on the scores: 0 where `seen` is True, -inf elsewhere; same shape."""
    return torch.zeros(seen.shape, dtype=dtype, device=seen.device).masked_fill_(~seen, float("-inf"))
