"""Who sees whom, scheme by scheme, each as one predicate that both kinds of mask are made of.

A predicate takes indices of rows, heads, queries and keys that broadcast, and says where a query may attend to a key.
It is what torch calls a `mask_mod` (flex attention, arXiv:2412.05496), so `block_mask` hands it on as it is; `dense`
evaluates it everywhere. Our own scheme is `noised_seen` of `coder_model.training.masks`.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn.attention.flex_attention import BlockMask, create_block_mask

Seen = Callable[[Tensor, Tensor, Tensor, Tensor], Tensor]
"""(row, head, query, key), int64 indices that broadcast -> bool, True where the query may attend to the key."""


def causal() -> Seen:
    """Each sees itself and what is before it: autoregression, and Eso-LM B over its sorted order (arXiv:2506.01928)."""
    return lambda _row, _head, query, key: key <= query


def bidirectional() -> Seen:
    """All see all: MDLM (arXiv:2406.07524), SEDD, D3PM, LLaDA, MaskGIT."""
    return lambda _row, _head, query, key: (key >= 0) & (query >= 0)


def block_causal(block_length: int) -> Seen:
    """Each sees its own block and those before it: what block diffusion samples with (arXiv:2503.09573)."""
    return lambda _row, _head, query, key: key // block_length <= query // block_length


def block_diffusion(length: int, block_length: int) -> Seen:
    """Training of BD3-LM in one pass over [noised | clean] (arXiv:2503.09573, appendix B).

    A noised token sees its own noised block and the clean blocks before it; a clean token its own clean block and those
    before it. With blocks of one token it is the sequential phase of Eso-LM B over a sorted order (arXiv:2506.01928).

    Args:
        length: of each half.
        block_length: tokens per block; the last one may be shorter.
    """

    def seen(_row: Tensor, _head: Tensor, query: Tensor, key: Tensor) -> Tensor:
        query_clean, key_clean = query >= length, key >= length
        query_block, key_block = query % length // block_length, key % length // block_length
        own = ~query_clean & ~key_clean & (query_block == key_block)
        before = ~query_clean & key_clean & (key_block < query_block)
        among_clean = query_clean & key_clean & (key_block <= query_block)
        return own | before | among_clean

    return seen


def prefix_causal(cut: Tensor) -> Seen:
    """The first `cut` tokens see each other, the others what is before them: the diffusion phase of Eso-LM A.

    Args:
        cut: [B] int64, clean tokens of each row; they come first in the order.
    """
    return lambda row, _head, query, key: (key <= query) | (key < cut[row])


def eso_a_sequential(length: int, cut: Tensor) -> Seen:
    """The sequential phase of Eso-LM A: as that of B, and the `cut` clean tokens of the clean half see each other.

    Args:
        length: of each half, [noised | clean], both in the sorted order.
        cut: [B] int64, tokens of each row that the noised half shows.
    """
    ordered = block_diffusion(length, 1)

    def seen(row: Tensor, head: Tensor, query: Tensor, key: Tensor) -> Tensor:
        is_shown = (query >= length) & (key >= length) & (key - length < cut[row]) & (query - length < cut[row])
        return ordered(row, head, query, key) | is_shown

    return seen


def dense(seen: Seen, rows: int, queries: int, keys: int, device: torch.device | None = None) -> Tensor:
    """Returns a predicate as [rows, queries, keys] bool; the queries are the last ones of the keys."""
    row = torch.arange(rows, device=device)[:, None, None]
    key = torch.arange(keys, device=device)
    query = torch.arange(keys - queries, keys, device=device)[:, None]
    return seen(row, torch.zeros_like(row), query, key).expand(rows, queries, keys)


def block_mask(seen: Seen, rows: int, length: int, device: torch.device | None = None) -> BlockMask:
    """Returns a predicate over `length` queries and keys as flex attention takes it."""
    return create_block_mask(seen, rows, None, length, length, device=device or torch.device("cpu"))
