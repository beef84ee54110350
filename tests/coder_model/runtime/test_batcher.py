"""The passes that documents share: they say what the plain transformer says, whoever comes or goes."""

import copy
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
import torch

from coder_kernels import ops, row_limits
from coder_kernels.policies import POLICIES, PolicyOptions, Schedule
from coder_kernels.quantise import PRECISIONS
from coder_kernels.tensor_types import AttentionMetadata
from coder_model.engine.engine import Engine
from coder_model.engine.options import EngineOptions
from coder_model.errors import BrokenScores
from coder_model.model.fused_transformer import FusedTransformer
from coder_model.model.kv_cache import KVCache
from coder_model.model.quantized_linear import pack_
from coder_model.model.transformer import Transformer
from coder_model.prompt.vocabulary import Vocabulary
from coder_model.runtime.batched_steps import Commit, Denoise
from coder_model.runtime.batcher import SLACK, Batcher
from coder_model.runtime.canvas import Canvas
from coder_model.runtime.sequence import COMMIT_TOKENS, LoneSequence
from coder_model.runtime.shared_sequence import SharedSequence
from coder_model.types import Cancelled, FillRequest

# both sides of a `where` are computed; numpy speaks of the side that is not taken
pytestmark = pytest.mark.filterwarnings("ignore:.*encountered:RuntimeWarning")
CAPACITY = 400 + SLACK
TEXT = "def total(items):\n    value = 0\n    for item in items:\n        value += item\n    return value\n\n\n"
PREFIXES = [
    TEXT + "x = total(",
    TEXT + "def count(items):\n    ",
    "",
    "é = '漢😀",
    TEXT[:60],
    "import os\n",
    "a = b",
    TEXT * 3,
]


@pytest.fixture
def own(model):
    """A model of one's own: merging rearranges where the weights are."""
    return copy.deepcopy(model)


def passes_of(model, tokenizer, rows=4, widest=4):
    vocabulary = Vocabulary(tokenizer)
    network = FusedTransformer(model, torch.float32, CAPACITY)
    cache = KVCache(model.config, rows + 1, CAPACITY, torch.float32)
    return Batcher(network, cache, vocabulary.forbidden, vocabulary.ends, widest)


def tokens_of(tokenizer, n, seed=0):
    return torch.randint(10, tokenizer.vocab_size, (n,), generator=torch.Generator().manual_seed(seed)).tolist()


@pytest.mark.parametrize("variant", ["plain", "qwen2", "own head", *PRECISIONS])
def test_the_merged_network_says_what_the_transformer_says(model, tokenizer, variant):
    changes = {"qwen2": {"qkv_bias": True, "qk_norm": False}, "own head": {"tied_head": False}}.get(variant, {})
    made = drawn(replace(model.config, **changes))
    if variant in PRECISIONS:
        pack_(made, variant)
    nothing = torch.zeros(made.config.vocab_size, dtype=torch.bool)
    plain = LoneSequence(FusedTransformer(copy.deepcopy(made), torch.float32, CAPACITY), nothing)
    network, cache = FusedTransformer(made, torch.float32, CAPACITY), KVCache(made.config, 2, CAPACITY, torch.float32)
    batcher = Batcher(network, cache, nothing, nothing[None], 1)
    shared = SharedSequence(batcher, 1)
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


def drawn(config):
    """A model whose weights are random, and not near zero anywhere."""
    model = Transformer(config)
    generator = torch.Generator().manual_seed(5)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator) * 0.3 + (parameter.dim() == 1))
    return model.eval().requires_grad_(False)


def assert_near(found, expected):
    assert float((found - expected).abs().max()) < 1e-4


@pytest.mark.parametrize("precision", PRECISIONS)
def test_weights_in_few_bits_stay_as_they_are_whatever_the_activations_are(model, precision):
    made = drawn(model.config)
    pack_(made, precision)
    before = made.layers[1].mlp.down_proj
    kept = before.values.clone(), before.scale.clone()
    network = FusedTransformer(made, torch.bfloat16, CAPACITY)
    found = network._layers[1].down
    for now, then in zip(found, kept, strict=False):
        assert now.dtype == then.dtype
        assert torch.equal(now.view(torch.uint8), then.view(torch.uint8))


@pytest.mark.parametrize("precision", ["int8", "fp8"])
def test_eight_bits_on_both_sides_stay_near_what_the_weights_say(model, tokenizer, precision):
    made = drawn(model.config)
    pack_(made, precision)
    nothing = torch.zeros(made.config.vocab_size, dtype=torch.bool)
    exact = LoneSequence(FusedTransformer(copy.deepcopy(made), torch.float32, CAPACITY), nothing)
    short = LoneSequence(
        FusedTransformer(made, torch.float32, CAPACITY, exact._network._layers[0].qkv.values.dtype), nothing
    )
    tokens = tokens_of(tokenizer, 40)
    a, b = exact.commit(tokens), short.commit(tokens)
    assert 0 < float((a - b).norm() / a.norm()) < 0.25


def test_merging_leaves_one_copy_of_the_weights(own):
    network = FusedTransformer(own, torch.float32, CAPACITY)
    merged = network._layers[0].qkv
    assert own.layers[0].self_attn.k_proj.weight.untyped_storage().data_ptr() == merged.untyped_storage().data_ptr()


def filled(made, prefix, session="s", hole="block", cancelled=lambda: False):
    request = FillRequest(session, prefix, "\nprint(total)\n", path="a.py", hole=hole)
    *_, draft = made.fill(request, cancelled)
    return draft.text, draft.tokens


@pytest.mark.parametrize("verify", [True, False])
@pytest.mark.parametrize("policy", [*POLICIES, "one_token"])
def test_shared_passes_fill_what_passes_of_ones_own_fill(own, model, tokenizer, policy, verify):
    options = {"policy": policy, "verify": verify, "precision": "float32", "max_steps": 3, "remask_below": 0.0}
    alone = Engine(model, tokenizer, options=EngineOptions(**options))
    shared = Engine(own, tokenizer, options=EngineOptions(**options, max_concurrent=4))
    for prefix in PREFIXES[:5]:
        for hole in ("line", "block"):
            assert filled(shared, prefix, hole=hole) == filled(alone, prefix, hole=hole)


def test_fills_that_come_and_go_at_any_moment_are_what_they_are_alone(own, model, tokenizer):
    options = {"precision": "float32", "alternatives": 1, "copy": False}
    alone = Engine(model, tokenizer, options=EngineOptions(**options))
    expected = [filled(alone, prefix, "alone") for prefix in PREFIXES]
    shared = Engine(own, tokenizer, options=EngineOptions(**options, max_concurrent=8, sessions=3))
    shared.warm_up()
    sizes = note_batches(shared._context.batcher)

    def one(index):
        left = iter(range(index % 5))
        if index % 3 == 0:
            # some leave between two steps
            with pytest.raises(Cancelled):
                filled(shared, PREFIXES[index % 8], f"gone {index}", cancelled=lambda: next(left, None) is None)
            return None
        return filled(shared, PREFIXES[index % 8], f"session {index % 7}")

    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(one, range(40)))
    assert [text for text in found if text] == [expected[i % 8] for i, text in enumerate(found) if text]
    assert max(sizes) > 1
    assert len(shared._sessions) <= 3


def note_batches(batcher):
    """The sizes of all batches from now on."""
    sizes = []
    do = batcher._do
    batcher._do = lambda works: (sizes.append(len(works)), do(works))
    return sizes


def test_what_waits_for_the_device_becomes_one_batch(own, tokenizer):
    batcher = passes_of(own, tokenizer)
    sizes = note_batches(batcher)
    tokens = [tokens_of(tokenizer, 5, seed) for seed in range(4)]
    alone = [batcher.cache.allocate() for _ in tokens]
    works = [Commit(row, 0, text, 1) for row, text in zip(alone, tokens, strict=True)]
    batcher._device.acquire()
    threads = [threading.Thread(target=batcher.run, args=(work,)) for work in works]
    for thread in threads:
        thread.start()
    while len(batcher._waiting) < 4:
        pass
    batcher._device.release()
    for thread in threads:
        thread.join()
    assert sizes == [4]
    for work in works:
        again = Commit(work.row, 0, work.tokens, 1)
        batcher.run(again)
        assert_near(work.probabilities, again.probabilities)


def test_a_long_context_is_read_in_portions_and_others_go_between(own, tokenizer):
    batcher = passes_of(own, tokenizer)
    order = []
    do = batcher._do
    batcher._do = lambda works: (order.append(len(works[0].tokens)), do(works))
    sequence, other = SharedSequence(batcher, 1), SharedSequence(batcher, 1)
    portions = iter(range(99))

    def check():
        # at the second portion somebody else asks
        if next(portions) == 1:
            other.commit([5, 6])

    sequence.read(tokens_of(tokenizer, COMMIT_TOKENS + 40), check)
    assert order == [COMMIT_TOKENS, 2, 40]


@pytest.mark.parametrize("count", [40, 64, 100, 256, 300, 390])
def test_portions_of_a_fixed_length_read_what_portions_of_any_length_read(own, model, tokenizer, count):
    """As on a GPU, where a portion is captured: what is missing to its length is padding."""
    batcher = passes_of(own, tokenizer)
    batcher._captures = True
    plain = LoneSequence(
        FusedTransformer(copy.deepcopy(model), torch.float32, CAPACITY), Vocabulary(tokenizer).forbidden
    )
    shared = SharedSequence(batcher, 1)
    tokens = tokens_of(tokenizer, count)
    for context in (tokens, tokens[:35], tokens[:30] + tokens[: count - 30]):
        assert_near(shared.read(context, lambda: None), plain.read(context, lambda: None))


@pytest.mark.parametrize("shift", [True, False])
def test_how_often_the_host_looks_changes_neither_tokens_nor_cache(own, tokenizer, shift):
    """After the last step one commit pass writes the block anew, whatever the denoise passes have left there."""
    own.config = replace(own.config, shifted=shift)
    schedule = Schedule(POLICIES["top_k"], PolicyOptions(k=1), 8)
    found = []
    for sync_interval in (1, 2, 4, 8):
        batcher = passes_of(copy.deepcopy(own), tokenizer)
        sequence = SharedSequence(batcher, sync_interval)
        sequence.read(tokens_of(tokenizer, 30), lambda: None)
        canvas = Canvas.opening([7], 8, 1)
        index = 0
        while index < schedule.total and bool(canvas.masked.any()):
            index = sequence.denoise_(canvas, schedule, index, 0)
        sequence.commit(canvas.tokens.tolist())
        row, end = sequence._row, len(sequence.tokens)
        found.append(
            (
                canvas.tokens,
                index,
                *(part[:, row, :, :end].clone() for part in (batcher.cache.keys, batcher.cache.values)),
            )
        )
    for tokens, index, keys, values in found[1:]:
        assert torch.equal(tokens, found[0][0])
        assert index == found[0][1]
        assert torch.equal(keys, found[0][2])
        assert torch.equal(values, found[0][3])


def test_a_row_is_given_back_with_its_document(own, tokenizer):
    batcher = passes_of(own, tokenizer, rows=2)
    decoders = [SharedSequence(batcher, 1), SharedSequence(batcher, 1)]
    with pytest.raises(MemoryError, match="the cache has 3 rows, and all are lent"):
        SharedSequence(batcher, 1)
    del decoders[0]
    SharedSequence(batcher, 1)


def test_a_context_that_does_not_fit_is_an_error_of_its_request_alone(own, tokenizer):
    batcher = passes_of(own, tokenizer)
    sequence = SharedSequence(batcher, 1)
    with pytest.raises(MemoryError, match=f"the cache holds {CAPACITY} tokens of a document"):
        sequence.read([5] * (CAPACITY + 1), lambda: None)
    assert sequence.read([5] * 20, lambda: None).shape == (tokenizer.vocab_size,)
    schedule = Schedule(POLICIES["threshold"], PolicyOptions(), 2)
    with pytest.raises(MemoryError, match=f"the cache holds {CAPACITY} tokens of a document"):
        sequence.denoise_(Canvas.opening([7], CAPACITY, 1), schedule, 0, 0)


def test_scores_that_are_no_numbers_end_one_request_and_not_the_others(own, tokenizer):
    batcher = passes_of(own, tokenizer)
    good, bad = SharedSequence(batcher, 1), SharedSequence(batcher, 1)
    for sequence in (good, bad):
        sequence.read(tokens_of(tokenizer, 20), lambda: None)
    batcher.cache.values[0, bad._row, :, 3] = float("nan")
    schedule = Schedule(POLICIES["threshold"], PolicyOptions(), 2)
    works = [Denoise(sequence._row, 20, Canvas.opening([7], 8, 1), 0, schedule, 0, 1) for sequence in (good, bad)]
    batcher._do(works)
    works[0].canvas.check()
    with pytest.raises(BrokenScores):
        works[1].canvas.check()
    with pytest.raises(BrokenScores):
        bad.denoise_(Canvas.opening([7], 8, 1), schedule, 0, 0)
    assert not good.commit([9]).isnan().any()


def test_an_error_of_the_device_reaches_whoever_asked(own, tokenizer, monkeypatch):
    batcher = passes_of(own, tokenizer)
    sequence = SharedSequence(batcher, 1)
    monkeypatch.setattr(batcher, "_do", lambda works: (_ for _ in ()).throw(torch.OutOfMemoryError("no memory")))
    with pytest.raises(torch.OutOfMemoryError):
        sequence.commit([5])
    monkeypatch.undo()
    assert sequence.commit([5]).shape == (1, tokenizer.vocab_size)


@pytest.mark.parametrize("most", [0, 1, 2, 4])
def test_batches_stay_as_small_as_the_memory_wants(own, tokenizer, monkeypatch, most):
    batcher = passes_of(own, tokenizer, widest=4)
    make = Batcher._commit_step

    def with_little_memory(self, size, length):
        if size > most:
            raise torch.OutOfMemoryError("no memory")
        return make(self, size, length)

    monkeypatch.setattr(Batcher, "_commit_step", with_little_memory)
    if not most:
        with pytest.raises(MemoryError, match="the device must have room for the steps of one fill"):
            batcher.warm_up(8, [])
        return
    batcher.warm_up(8, [])
    assert batcher.most == most


@pytest.fixture
def interpreted(gpu, monkeypatch):
    """The engine on Triton kernels, in the interpreter."""
    monkeypatch.setattr(ops, "_gpu", lambda tensor, few=0, most=row_limits.FEW_ROWS: gpu if few <= most else None)
    return gpu


def test_a_model_on_the_triton_kernels_fills_what_it_fills_without(interpreted, model, tokenizer):
    options = {"precision": "float32", "max_steps": 2, "alternatives": 0, "copy": False}
    shared = Engine(wide(model), tokenizer, options=EngineOptions(**options, max_concurrent=2))
    alone = Engine(wide(model), tokenizer, options=EngineOptions(**options))
    for prefix in PREFIXES[:3]:
        assert filled(shared, prefix, hole="line") == filled(alone, prefix, hole="line")


def test_no_kernel_compiles_after_the_worker_is_ready(interpreted, model, tokenizer):
    from coder_kernels.gpu.launch import seen

    # without verify blocks are also masked again, by another schedule
    options = EngineOptions(precision="float32", max_concurrent=2, alternatives=0, verify=False)
    shared = Engine(wide(model), tokenizer, options=options)
    shared.warm_up()
    ready = set(seen)
    assert ready
    filled(shared, TEXT * 4)
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda index: filled(shared, PREFIXES[index], f"s{index}", hole="line"), range(3)))
    assert seen == ready


def wide(model):
    """Another one, with heads as wide as a matrix instruction needs, and short middles: each pass takes a while."""
    return drawn(replace(model.config, head_dim=16, n_heads=2, n_kv_heads=1, n_layers=1, d_ff=64, context_tokens=64))


def test_padding_changes_no_row_but_its_own(own, tokenizer):
    batcher = passes_of(own, tokenizer, rows=2)
    cache = batcher.cache
    cache.keys.fill_(7.0)
    tokens = torch.tensor([[5, 6, 0, 0], [0, 0, 0, 0]])
    spans = AttentionMetadata(
        *torch.tensor([[1, 3, 2], [batcher._around.padding_row, 0, 0]], dtype=torch.int32).T.contiguous()
    )
    batcher._around.network.hidden(tokens, cache, spans, 1)
    changed = (cache.keys != 7.0).any(dim=-1).any(dim=0).any(dim=1)
    assert changed.nonzero().tolist() == [
        [1, 3],
        [1, 4],
        [1, 5],
        [1, 6],
        *([batcher._around.padding_row, t] for t in range(4)),
    ]
