"""Cached equals uncached, batched equals single, training pass equals serving passes."""

import pytest
import torch

from coder_model.cache import KVCache
from coder_model.masks import noised_mask
from coder_model.tokenizer import MASK

CLOSE = {"atol": 1e-4, "rtol": 1e-4}


def tokens_of(n, seed=0):
    return torch.randint(20, 600, (1, n), generator=torch.Generator().manual_seed(seed))


def positions(start, n):
    return torch.arange(start, start + n)[None]


def commit(model, cache, tokens):
    return model(tokens, positions(cache.lengths[0], tokens.shape[1]), cache.commit_attention([tokens.shape[1]]))


def plain(model, tokens, seen):
    """Every pair of tokens at once, without a cache: the slow, obvious twin."""

    def attend(_, q, k, v):
        groups = q.shape[1] // k.shape[1]
        k, v = k.repeat_interleave(groups, 1), v.repeat_interleave(groups, 1)
        scores = (q @ k.transpose(-1, -2)) * q.shape[-1] ** -0.5
        return scores.masked_fill(~seen, float("-inf")).softmax(-1) @ v

    return attend


@pytest.mark.parametrize("parts", [[12], [1] * 12, [5, 1, 6], [11, 1]])
def test_cached_equals_uncached(model, parts):
    tokens = tokens_of(12)
    whole = model(tokens, positions(0, 12), plain(model, tokens, torch.ones(12, 12, dtype=torch.bool).tril()))
    cache = KVCache(model.config)
    pieces = [commit(model, cache, part) for part in tokens.split(parts, dim=1)]
    torch.testing.assert_close(torch.cat(pieces, 1), whole, **CLOSE)


@pytest.mark.parametrize("parts", [[12], [5, 7]])
def test_a_pass_in_bfloat16_is_near_the_one_in_float32(model, parts):
    tokens = tokens_of(12)
    exact = commit(model, KVCache(model.config), tokens)
    cache = KVCache(model.config)
    pieces = []
    for part in tokens.split(parts, dim=1):
        at = positions(cache.lengths[0], part.shape[1])
        with torch.autocast("cpu", torch.bfloat16):
            pieces.append(model(part, at, cache.commit_attention([part.shape[1]], torch.bfloat16)))
    found = torch.cat(pieces, 1)
    assert float((found - exact).norm() / exact.norm()) < 0.03


def test_a_truncated_cache_equals_one_that_never_held_more(model):
    tokens = tokens_of(300)
    cache = KVCache(model.config)
    commit(model, cache, tokens)
    cache.truncate(7)
    again = commit(model, cache, tokens[:, 7:20])
    fresh = KVCache(model.config)
    commit(model, fresh, tokens[:, :7])
    torch.testing.assert_close(again, commit(model, fresh, tokens[:, 7:20]), **CLOSE)


def test_a_denoise_pass_leaves_the_cache_as_it_was(model):
    cache = KVCache(model.config)
    commit(model, cache, tokens_of(9))
    before = cache.keys.clone()
    model(torch.full((1, 8), MASK), positions(9, 8), cache.denoise_attention(8))
    assert torch.equal(cache.keys, before)
    assert cache.lengths == [9]


def test_a_denoise_pass_equals_the_uncached_one(model):
    context, block = tokens_of(9), tokens_of(8, seed=1)
    cache = KVCache(model.config)
    commit(model, cache, context)
    cached = model(block, positions(9, 8), cache.denoise_attention(8))
    seen = torch.ones(17, 17, dtype=torch.bool).tril()
    seen[9:, 9:] = True
    both = torch.cat([context, block], 1)
    whole = model(both, positions(0, 17), plain(model, both, seen))
    torch.testing.assert_close(cached, whole[:, 9:], **CLOSE)


def test_batched_equals_single(model):
    lengths, block = [5, 11, 2], 4
    rows = [tokens_of(n, seed=n) for n in lengths]
    singles = []
    for row in rows:
        cache = KVCache(model.config)
        hidden = commit(model, cache, row)
        slots = model(row[:, :1].expand(1, block), positions(row.shape[1], block), cache.denoise_attention(block))
        singles.append((hidden, slots))
    padded = torch.zeros(3, max(lengths), dtype=torch.int64)
    for b, row in enumerate(rows):
        padded[b, : row.shape[1]] = row
    cache = KVCache(model.config, batch=3)
    hidden = model(padded, torch.arange(max(lengths)).expand(3, -1), cache.commit_attention(lengths))
    at = torch.tensor(lengths)[:, None] + torch.arange(block)
    slots = model(padded[:, :1].expand(3, block), at, cache.denoise_attention(block))
    for b, n in enumerate(lengths):
        torch.testing.assert_close(hidden[b, :n], singles[b][0][0], **CLOSE)
        torch.testing.assert_close(slots[b], singles[b][1][0], **CLOSE)


def test_the_training_pass_equals_commit_and_denoise(model):
    """What training optimises is what serving computes."""
    clean, block, start = tokens_of(20), 4, 6
    noised = torch.tensor([[int(clean[0, start]), MASK, int(clean[0, start + 2]), MASK]])
    seen = torch.zeros(24, 24, dtype=torch.bool)
    seen[:20, :20] = torch.ones(20, 20, dtype=torch.bool).tril()
    seen[20:] = noised_mask(torch.tensor([[start]]), block, 20)[0]
    both = torch.cat([clean, noised], 1)
    at = torch.cat([positions(0, 20), positions(start, block)], 1)
    trained = model(both, at, plain(model, both, seen))
    cache = KVCache(model.config)
    committed = commit(model, cache, clean[:, :start])
    torch.testing.assert_close(trained[:, :start], committed, **CLOSE)
    served = model(noised, positions(start, block), cache.denoise_attention(block))
    torch.testing.assert_close(trained[:, 20:], served, **CLOSE)
