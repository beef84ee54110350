"""The network with merged weights says what the plain transformer says."""

import copy
from dataclasses import replace

import pytest
import torch
from batches import CAPACITY, assert_near, random_transformer, tokens_of

from coder_kernels import cpu_int8
from coder_kernels.cpu import grouped
from coder_kernels.policies import POLICIES, PolicyOptions, Schedule
from coder_kernels.quantise import PRECISIONS
from coder_model.model.fused_transformer import FusedTransformer, fuse
from coder_model.model.kv_cache import KVCache
from coder_model.model.quantized_linear import pack_
from coder_model.runtime.batcher import Batcher
from coder_model.runtime.canvas import Canvas
from coder_model.runtime.eager_runner import EagerRunner
from coder_model.runtime.sequence import Sequence

# both sides of a `where` are computed; numpy speaks of the side that is not taken
pytestmark = pytest.mark.filterwarnings("ignore:.*encountered:RuntimeWarning")


@pytest.mark.parametrize("variant", ["plain", "qwen2", "own head", *PRECISIONS])
def test_the_merged_network_says_what_the_transformer_says(model, tokenizer, variant):
    changes = {"qwen2": {"qkv_bias": True, "qk_norm": False}, "own head": {"tied_head": False}}.get(variant, {})
    made = random_transformer(replace(model.config, **changes))
    if variant in PRECISIONS:
        pack_(made, variant)
    nothing = torch.zeros(made.config.vocab_size, dtype=torch.bool)
    plain = Sequence(EagerRunner(FusedTransformer(copy.deepcopy(made), torch.float32, CAPACITY), nothing))
    network, cache = FusedTransformer(made, torch.float32, CAPACITY), KVCache(made.config, 2, CAPACITY, torch.float32)
    batcher = Batcher(network, cache, nothing, nothing[None], 1)
    shared = Sequence(batcher)
    for count in (1, 40, 7, 16, 20):
        tokens = tokens_of(tokenizer, count, count)
        assert_near(shared.commit(tokens), plain.commit(tokens))
    plain.truncate(50), shared.truncate(50)
    schedule = Schedule(POLICIES["threshold"], PolicyOptions(), 3)
    canvases = [Canvas.opening([5], 8, 1) for _ in range(2)]
    for index in range(3):
        for sequence, canvas in zip((plain, shared), canvases, strict=True):
            assert sequence.denoise_(canvas, schedule, index, 0) == index + 1
        assert torch.equal(canvases[0].tokens, canvases[1].tokens)
        assert_near(canvases[1].confidence, canvases[0].confidence)


@pytest.mark.parametrize("precision", PRECISIONS)
def test_weights_in_few_bits_stay_as_they_are_whatever_the_activations_are(model, precision):
    made = random_transformer(model.config)
    pack_(made, precision)
    before = made.layers[1].mlp.down_proj
    kept = before.values.clone(), before.scale.clone()
    network = FusedTransformer(made, torch.bfloat16, CAPACITY)
    found = network._stack.layers[1].down
    for now, then in zip(found, kept, strict=False):
        assert now.dtype == then.dtype
        assert torch.equal(now.view(torch.uint8), then.view(torch.uint8))


@pytest.mark.parametrize("precision", ["int8", "fp8"])
def test_eight_bits_on_both_sides_stay_near_what_the_weights_say(model, tokenizer, precision):
    if precision == "int8" and not cpu_int8.is_exact():
        pytest.skip("this processor has no exact int8 products")
    made = random_transformer(model.config)
    pack_(made, precision)
    nothing = torch.zeros(made.config.vocab_size, dtype=torch.bool)
    network = FusedTransformer(copy.deepcopy(made), torch.float32, CAPACITY)
    exact = Sequence(EagerRunner(network, nothing))
    eight = network._stack.layers[0].qkv.values.dtype
    short = Sequence(EagerRunner(FusedTransformer(made, torch.float32, CAPACITY, eight), nothing))
    tokens = tokens_of(tokenizer, 40)
    a, b = exact.commit(tokens), short.commit(tokens)
    assert 0 < float((a - b).norm() / a.norm()) < 0.25


def test_merging_leaves_one_copy_of_the_weights(own):
    network = FusedTransformer(own, torch.float32, CAPACITY)
    merged = network._stack.layers[0].qkv
    assert own.layers[0].self_attn.k_proj.weight.untyped_storage().data_ptr() == merged.untyped_storage().data_ptr()


@pytest.mark.skipif(not grouped.is_there(), reason="this processor multiplies no weights in groups")
@pytest.mark.parametrize("changes", [{}, {"qkv_bias": True, "qk_norm": False}, {"tied_head": False}])
def test_weights_in_groups_say_nearly_what_the_transformer_says(model, tokenizer, changes):
    sizes = {"d_model": 128, "d_ff": 352, "n_heads": 4, "n_kv_heads": 2, "head_dim": 32, "vocab_size": 640}
    made = random_transformer(replace(model.config, **sizes, **changes))
    nothing = torch.zeros(made.config.vocab_size, dtype=torch.bool)
    exact = Sequence(EagerRunner(FusedTransformer(copy.deepcopy(made), torch.float32, CAPACITY), nothing))
    pack_(made, "grouped")
    network = fuse(made, CAPACITY, "int8")
    assert network.activation_dtype == "grouped"
    together, alone = (Sequence(EagerRunner(network, nothing)) for _ in range(2))
    tokens = tokens_of(tokenizer, 20)
    a, b = exact.commit(tokens), together.commit(tokens)
    assert 0 < float((a - b).norm() / a.norm()) < 0.25
    # not nearly: a draft is verified by a pass over all of it
    assert torch.equal(torch.cat([alone.commit([token]) for token in tokens]), b)


def test_weights_in_groups_are_unpacked_where_the_processor_does_not_multiply_them(model, tokenizer, monkeypatch):
    sizes = {"d_model": 128, "d_ff": 352, "n_heads": 4, "n_kv_heads": 2, "head_dim": 32, "vocab_size": 640}
    made = random_transformer(replace(model.config, **sizes))
    nothing = torch.zeros(made.config.vocab_size, dtype=torch.bool)
    exact = Sequence(EagerRunner(FusedTransformer(copy.deepcopy(made), torch.float32, CAPACITY), nothing))
    pack_(made, "grouped")
    monkeypatch.setattr(grouped, "is_there", lambda: False)
    network = fuse(made, CAPACITY, "int8")
    assert network.activation_dtype is None
    tokens = tokens_of(tokenizer, 20)
    a, b = exact.commit(tokens), Sequence(EagerRunner(network, nothing)).commit(tokens)
    assert 0 < float((a - b).norm() / a.norm()) < 0.25
