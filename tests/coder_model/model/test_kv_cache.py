"""Cached equals uncached, batched equals single, training pass equals serving passes."""

import copy

import pytest
import torch

from coder_kernels.tensor_types import AttentionMetadata
from coder_model.model.fused_transformer import FusedTransformer
from coder_model.model.kv_cache import KVCache
from coder_model.prompt.tokenizer import MASK
from coder_model.training.masks import noised_mask

CLOSE = {"atol": 1e-4, "rtol": 1e-4}
COMMIT, DENOISE = 1, 0


@pytest.fixture(scope="module")
def network(model):
    return FusedTransformer(copy.deepcopy(model), torch.float32, 512)


class Sequences:
    """A cache and how much of each row is committed."""

    def __init__(self, network, rows=1):
        self.network = network
        self.cache = KVCache(network.config, rows, 512, torch.float32)
        self.lengths = [0] * rows

    def run(self, tokens, counts, block_length):
        """One pass over all rows; [B, T, D]."""
        spans = AttentionMetadata(*torch.tensor([range(len(tokens)), self.lengths, counts], dtype=torch.int32))
        return self.network.hidden(tokens, self.cache, spans, block_length).view(*tokens.shape, -1)

    def commit(self, tokens, counts=None):
        counts = counts or [tokens.shape[1]] * len(tokens)
        hidden = self.run(tokens, counts, COMMIT)
        self.lengths = [length + count for length, count in zip(self.lengths, counts, strict=True)]
        return hidden

    def denoise(self, slots):
        return self.run(slots, [slots.shape[1]] * len(slots), DENOISE)


def tokens_of(n, seed=0):
    return torch.randint(20, 600, (1, n), generator=torch.Generator().manual_seed(seed))


def positions(start, n):
    return torch.arange(start, start + n)[None]


def plain(model, tokens, seen):
    """Every pair of tokens at once, without a cache: the slow, obvious twin."""

    def attend(_, q, k, v):
        groups = q.shape[1] // k.shape[1]
        k, v = k.repeat_interleave(groups, 1), v.repeat_interleave(groups, 1)
        scores = (q @ k.transpose(-1, -2)) * q.shape[-1] ** -0.5
        return scores.masked_fill(~seen, float("-inf")).softmax(-1) @ v

    return attend


@pytest.mark.parametrize("parts", [[12], [1] * 12, [5, 1, 6], [11, 1]])
def test_cached_equals_uncached(model, network, parts):
    tokens = tokens_of(12)
    whole = model(tokens, positions(0, 12), plain(model, tokens, torch.ones(12, 12, dtype=torch.bool).tril()))
    sequence = Sequences(network)
    pieces = [sequence.commit(part) for part in tokens.split(parts, dim=1)]
    torch.testing.assert_close(torch.cat(pieces, 1), whole, **CLOSE)


def test_a_pass_in_bfloat16_is_near_the_one_in_float32(network):
    tokens = tokens_of(12)
    exact = Sequences(network).commit(tokens)
    with torch.autocast("cpu", torch.bfloat16):
        found = Sequences(network).commit(tokens)
    assert 0 < float((found - exact).norm() / exact.norm()) < 0.03


def test_a_truncated_cache_equals_one_that_never_held_more(network):
    tokens = tokens_of(300)
    sequence = Sequences(network)
    sequence.commit(tokens)
    sequence.lengths = [7]
    again = sequence.commit(tokens[:, 7:20])
    fresh = Sequences(network)
    fresh.commit(tokens[:, :7])
    torch.testing.assert_close(again, fresh.commit(tokens[:, 7:20]), **CLOSE)


def test_a_cache_that_grows_keeps_what_it_holds(network):
    sequence = Sequences(network)
    sequence.commit(tokens_of(30))
    before = sequence.cache.keys.clone()
    sequence.cache.grow_(600)
    assert sequence.cache.capacity >= 600
    assert torch.equal(sequence.cache.keys[:, :, :, :512], before)


def test_a_denoise_pass_leaves_what_is_committed_as_it_was(network):
    sequence = Sequences(network)
    sequence.commit(tokens_of(9))
    before = sequence.cache.keys[:, :, :, :9].clone()
    sequence.denoise(torch.full((1, 8), MASK))
    assert torch.equal(sequence.cache.keys[:, :, :, :9], before)


def test_a_denoise_pass_equals_the_uncached_one(model, network):
    context, block = tokens_of(9), tokens_of(8, seed=1)
    sequence = Sequences(network)
    sequence.commit(context)
    seen = torch.ones(17, 17, dtype=torch.bool).tril()
    seen[9:, 9:] = True
    both = torch.cat([context, block], 1)
    whole = model(both, positions(0, 17), plain(model, both, seen))
    torch.testing.assert_close(sequence.denoise(block), whole[:, 9:], **CLOSE)


def test_batched_equals_single(network):
    lengths, block = [5, 11, 2], 4
    rows = [tokens_of(n, seed=n) for n in lengths]
    singles = []
    for row in rows:
        sequence = Sequences(network)
        singles.append((sequence.commit(row), sequence.denoise(row[:, :1].expand(1, block))))
    padded = torch.zeros(3, max(lengths), dtype=torch.int64)
    for b, row in enumerate(rows):
        padded[b, : row.shape[1]] = row
    batch = Sequences(network, 3)
    hidden = batch.commit(padded, lengths)
    slots = batch.denoise(padded[:, :1].expand(3, block))
    for b, n in enumerate(lengths):
        torch.testing.assert_close(hidden[b, :n], singles[b][0][0], **CLOSE)
        torch.testing.assert_close(slots[b], singles[b][1][0], **CLOSE)


def test_the_training_pass_equals_commit_and_denoise(model, network):
    """What training optimises is what serving computes."""
    clean, block, start = tokens_of(20), 4, 6
    noised = torch.tensor([[int(clean[0, start]), MASK, int(clean[0, start + 2]), MASK]])
    seen = torch.zeros(24, 24, dtype=torch.bool)
    seen[:20, :20] = torch.ones(20, 20, dtype=torch.bool).tril()
    seen[20:] = noised_mask(torch.tensor([[start]]), block, 20)[0]
    both = torch.cat([clean, noised], 1)
    at = torch.cat([positions(0, 20), positions(start, block)], 1)
    trained = model(both, at, plain(model, both, seen))
    sequence = Sequences(network)
    torch.testing.assert_close(trained[:, :start], sequence.commit(clean[:, :start]), **CLOSE)
    torch.testing.assert_close(trained[:, 20:], sequence.denoise(noised), **CLOSE)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_cache_that_grows_or_is_copied_keeps_what_it_holds_and_is_zero_behind_it(network, dtype):
    cache = KVCache(network.config, 2, 8, dtype)
    for part in (cache.keys, cache.values):
        part.copy_(torch.randn(part.shape, generator=torch.Generator().manual_seed(0)))
    held = cache.keys.clone(), cache.values.clone()
    copied = cache.copied(4)
    cache.grow_(21)
    assert cache.capacity >= 21
    for part, other, before in zip((cache.keys, cache.values), (copied.keys, copied.values), held, strict=True):
        assert torch.equal(part[:, :, :, :8], before)
        assert not part[:, :, :, 8:].any()
        assert torch.equal(other[:, :, :, :4], before[:, :, :, :4])
    copied.keys.zero_()
    assert torch.equal(cache.keys[:, :, :, :8], held[0])
    rows = KVCache(network.config, 1, 8, dtype)
    rows.keys.copy_(held[0][:, :1])
    several = rows.copied(5, 3)
    assert sorted(several.allocate() for _ in range(3)) == [0, 1, 2]
    assert all(torch.equal(several.keys[:, row, :, :5], held[0][:, 0, :, :5]) for row in range(3))
    assert not several.keys[:, :, :, 5:].any()
    nothing = cache.copied(0)
    assert nothing.capacity == 0
    nothing.grow_(5)
    assert nothing.capacity >= 5
    assert not nothing.keys.any()
