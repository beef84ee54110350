"""A chain of jobs says, bit by bit, what the same layers say as one operation after the other."""

import threading
from dataclasses import replace

import pytest
import torch
from batches import CAPACITY, random_transformer
from hypothesis import given, settings
from hypothesis import strategies as st

from coder_kernels.cpu import grouped
from coder_model.model.fused_transformer import fuse
from coder_model.model.kv_cache import KVCache
from coder_model.model.quantized_linear import pack_
from coder_model.runtime.passes import spans_of

pytestmark = pytest.mark.skipif(not grouped.is_there(), reason="this processor multiplies no weights in groups")
SIZES = {"d_model": 128, "d_ff": 352, "n_heads": 4, "n_kv_heads": 2, "head_dim": 32, "vocab_size": 640}


@pytest.fixture(scope="module", params=[{}, {"qkv_bias": True, "qk_norm": False}], ids=["norms", "bias"])
def network(request, model):
    made = random_transformer(replace(model.config, **SIZES, **request.param))
    pack_(made, "grouped")
    return fuse(made, CAPACITY, "int8")


def caches(network, rows, capacity):
    found = [KVCache(network.config, rows, capacity, torch.bfloat16) for _ in range(2)]
    generator = torch.Generator().manual_seed(7)
    for part in ("keys", "values"):
        numbers = torch.randn(getattr(found[0], part).shape, generator=generator).bfloat16()
        for cache in found:
            getattr(cache, part).copy_(numbers)
    return found


def given_to(network, n_tokens, *starts, seed=0):
    places = torch.cat([torch.arange(start, start + n_tokens) for start in starts])
    tables = tuple(table[places] for table in network._tables)
    return torch.randn(1, len(places), 128, generator=torch.Generator().manual_seed(seed)), tables


def assert_alike(found, expected):
    for name, one, other in zip(found._fields, found, expected, strict=True):
        for part, wanted in zip([*one], [*other], strict=True):
            assert torch.equal(part, wanted), name


@given(
    n_tokens=st.integers(1, grouped.MOST_QUERIES),
    starts=st.lists(st.integers(0, 90), min_size=1, max_size=3),
    rows=st.permutations(range(3)),
    padding=st.lists(st.integers(0, 8), min_size=3, max_size=3),
    block_length=st.sampled_from([0, 1, 4]),
    taps=st.sampled_from([(), (1,)]),
    room=st.integers(0, 5),
)
@settings(max_examples=40, deadline=None)
def test_a_chain_says_what_operations_say(network, n_tokens, starts, rows, padding, block_length, taps, room):
    length = max(1, n_tokens // len(starts))
    one, other = caches(network, 3, max(starts) + length + room)
    parts, tables = given_to(network, length, *starts)
    counts = [max(0, length - missing) for missing in padding]
    places, stack = [*zip(rows, starts, counts, strict=False)], network._stack
    spans = spans_of(places, "cpu")
    found = stack.run(parts, one, spans, block_length, tables, taps)
    assert (len(starts), length * len(starts), taps) in stack._chains
    assert_alike(found, stack._in_operations(parts, other, spans, block_length, tables, taps))
    assert torch.equal(one.keys, other.keys)
    assert torch.equal(one.values, other.values)


def test_what_a_pass_returned_stays_when_the_next_one_runs(network):
    cache, stack = caches(network, 1, 40)[0], network._stack
    (first, tables), (second, _) = given_to(network, 3, 9, seed=1), given_to(network, 3, 9, seed=2)
    spans = spans_of([(0, 9, 3)], "cpu")
    found = stack.run(first, cache, spans, 1, tables, (1,))
    kept = [found.parts.clone(), found.stream.clone(), found.tapped[0].clone()]
    stack.run(second, cache, spans, 1, tables, (1,))
    assert all(torch.equal(a, b) for a, b in zip(kept, [found.parts, found.stream, *found.tapped], strict=True))


def test_passes_of_several_threads_do_not_mix(network):
    stack, spans = network._stack, spans_of([(0, 9, 5)], "cpu")
    inputs = [given_to(network, 5, 9, seed=seed) for seed in range(4)]
    own = [caches(network, 1, 20)[0] for _ in inputs]
    expected = [stack.run(parts, cache, spans, 1, tables) for (parts, tables), cache in zip(inputs, own, strict=True)]
    wrong = []

    def run(index):
        parts, tables = inputs[index]
        for _ in range(60):
            if not torch.equal(stack.run(parts, own[index], spans, 1, tables).parts, expected[index].parts):
                wrong.append(index)

    callers = [threading.Thread(target=run, args=(index,)) for index in range(4)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    assert not wrong


def test_a_pass_that_does_not_fit_into_the_cache_is_refused_and_the_next_one_is_right(network):
    one, other = caches(network, 1, 20)
    parts, tables = given_to(network, 5, 9)
    stack, fits = network._stack, spans_of([(0, 9, 5)], "cpu")
    with pytest.raises(ValueError, match="tokens must be in a cache of 1 rows of 20, got 17 to 22 of row 0"):
        stack.run(parts, one, spans_of([(0, 17, 5)], "cpu"), 1, tables)
    assert torch.equal(one.keys, other.keys)
    assert_alike(stack.run(parts, one, fits, 1, tables), stack._in_operations(parts, other, fits, 1, tables, ()))


@pytest.mark.parametrize("rows", [1, 3])
def test_passes_over_many_tokens_run_in_operations(network, rows):
    cache = caches(network, rows, 60)[0]
    count = grouped.MOST_QUERIES // rows + 1
    parts, tables = given_to(network, count, *[3] * rows)
    before, spans = dict(network._stack._chains), spans_of([(row, 3, count) for row in range(rows)], "cpu")
    assert network._stack.run(parts, cache, spans, 1, tables).parts.shape == (1, rows * count, 128)
    assert network._stack._chains == before


def test_no_sequence_depends_on_those_beside_it(network):
    cache, own = caches(network, 2, 60)
    parts, tables = given_to(network, 4, 3, 17)
    together = network._stack.run(parts, cache, spans_of([(1, 3, 4), (0, 17, 4)], "cpu"), 1, tables)
    for index, place in enumerate([(1, 3, 4), (0, 17, 4)]):
        rows = slice(4 * index, 4 * index + 4)
        alone = network._stack.run(
            parts[:, rows].contiguous(), own, spans_of([place], "cpu"), 1, tuple(table[rows] for table in tables)
        )
        assert torch.equal(alone.parts, together.parts[:, rows])
    assert torch.equal(cache.keys, own.keys)
