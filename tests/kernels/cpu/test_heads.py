"""Rotary positions and attention in machine code, held to the plain reference."""

import pytest
import torch

from coder_kernels import ops, reference
from coder_kernels.cpu import grouped
from coder_kernels.tensor_types import AttentionMetadata

pytestmark = pytest.mark.skipif(not grouped.is_there(), reason="this processor multiplies no weights in groups")


def some(*shape, seed=0, spread=1.0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed)) * spread


def spans(start, count):
    return AttentionMetadata(*torch.tensor([[0], [start], [count]], dtype=torch.int32))


@pytest.mark.parametrize("n_tokens", [1, 5, 40])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("has_norms", [False, True])
def test_turning_and_writing_are_the_plain_ones(n_tokens, has_norms, dtype):
    heads, groups, width, start = 6, 2, 64, 9
    parts, bias = some(1, n_tokens, (heads + 2 * groups) * width), some((heads + 2 * groups) * width, seed=1).to(dtype)
    norms = (some(width, seed=2).to(dtype), some(width, seed=3).to(dtype)) if has_norms else None
    angles = some(n_tokens, width // 2, seed=4)
    tables = angles.cos(), angles.sin()
    wanted = [torch.zeros(1, groups, 64, width, dtype=torch.bfloat16) for _ in range(2)]
    caches = [cache.clone() for cache in wanted]
    given = parts.clone(), bias, norms, 1e-6, tables
    expected = reference.rotate_and_write_(*given, *(cache.float() for cache in wanted), spans(start, n_tokens))
    reference.rotate_and_write_(*given, *wanted, spans(start, n_tokens))
    found = ops.rotate_and_write_(*given, *caches, spans(start, n_tokens))
    torch.testing.assert_close(found, expected)
    for cache, part in zip(caches, wanted, strict=True):
        torch.testing.assert_close(cache, part)


@pytest.mark.parametrize(("start", "count"), [(0, 1), (511, 1), (3, 16), (100, 32), (7, 5)])
@pytest.mark.parametrize("block_length", [0, 1, 4])
@pytest.mark.parametrize(("heads", "groups", "width"), [(14, 2, 64), (4, 4, 32), (6, 2, 128)])
def test_attention_is_the_plain_one(start, count, block_length, heads, groups, width):
    q = some(1, count, heads, width, spread=2.0)
    keys, values = (some(1, groups, 600, width, seed=seed).bfloat16() for seed in (1, 2))
    expected = reference.block_attention(q, keys.float(), values.float(), spans(start, count), block_length)
    torch.testing.assert_close(
        ops.block_attention(q, keys, values, spans(start, count), block_length), expected, rtol=1e-4, atol=1e-5
    )


@pytest.mark.parametrize("block_length", [0, 1, 4])
def test_a_row_without_a_sequence_ends_no_process(block_length):
    keys, values = (some(1, 2, 64, 64, seed=seed).bfloat16() for seed in (1, 2))
    found = ops.block_attention(some(1, 8, 4, 64), keys, values, spans(0, 0), block_length)
    assert found.shape == (8, 256)


@pytest.mark.parametrize(("row", "start", "count"), [(1, 0, 4), (-1, 0, 4), (0, 61, 4), (0, -1, 4)])
def test_tokens_outside_the_cache_are_refused(row, start, count):
    keys, values = (torch.zeros(1, 2, 64, 64, dtype=torch.bfloat16) for _ in range(2))
    place = AttentionMetadata(*torch.tensor([[row], [start], [count]], dtype=torch.int32))
    tables = torch.ones(count, 32), torch.zeros(count, 32)
    with pytest.raises(ValueError, match="tokens must be in a cache of 1 rows of 64, got .* of row"):
        ops.rotate_and_write_(some(1, count, 8 * 64), None, None, 1e-6, tables, keys, values, place)
    with pytest.raises(ValueError, match="tokens must be in a cache of 1 rows of 64, got .* of row"):
        ops.block_attention(some(1, count, 4, 64), keys, values, place)
