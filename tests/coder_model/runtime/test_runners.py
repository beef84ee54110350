"""Every kind of attention, run eagerly and in batches, against the plain transformer without a cache."""

import copy
import itertools
from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F  # noqa: N812  the name everyone uses
from hypothesis import given
from hypothesis import strategies as st

from coder_kernels import dispatch, reference, row_limits
from coder_kernels.policies import POLICIES, PolicyOptions, Schedule
from coder_kernels.tensor_types import Blocks, Selection
from coder_model.engine.engine import Engine
from coder_model.engine.options import EngineOptions
from coder_model.model.fused_transformer import FusedTransformer
from coder_model.model.kv_cache import KVCache
from coder_model.model.transformer import Transformer
from coder_model.runtime.batcher import MOST_BIDIRECTIONAL, PREDICT_LENGTHS, SLACK, Batcher, cache_rows, widest_batch
from coder_model.runtime.bidirectional_sequence import BidirectionalSequence
from coder_model.runtime.canvas import Canvas
from coder_model.runtime.eager_runner import EagerRunner
from coder_model.runtime.sequence import Sequence
from coder_model.types import FillRequest

# both sides of a `where` are computed; numpy speaks of the side that is not taken
pytestmark = pytest.mark.filterwarnings("ignore:.*encountered:RuntimeWarning")
CLOSE = {"atol": 1e-4, "rtol": 1e-4}
CAPACITY, MASK, BLOCK = 256 + SLACK, 1, 8
RUNNERS = ["eager", "batched", "batched on the kernels"]


def cases(*values):
    """All combinations, of which the interpreter, which is slow, takes the first."""
    return [*itertools.product(RUNNERS[:2], *values), (RUNNERS[2], *(some[0] for some in values))]


@pytest.fixture
def runner_of(request, monkeypatch):
    """Makes what runs the passes of a model."""
    if request.param == RUNNERS[2]:
        gpu = request.getfixturevalue("gpu")
        monkeypatch.setattr(
            dispatch, "gpu_kernels", lambda tensor, few=0, most=row_limits.FEW_ROWS: gpu if few <= most else None
        )

    def make(model, sync_interval=1):
        nothing = torch.zeros(model.config.vocab_size, dtype=torch.bool)
        network = FusedTransformer(copy.deepcopy(model), torch.float32, CAPACITY)
        if request.param == RUNNERS[0]:
            return EagerRunner(network, nothing)
        cache = KVCache(model.config, 4, CAPACITY, torch.float32)
        return Batcher(network, cache, nothing, nothing[None], 2, sync_interval)

    return make


@pytest.fixture
def model_with(model):
    """Another random model, with heads as wide as the kernels need."""

    def make(**changes):
        config = replace(model.config, head_dim=16, n_heads=2, n_kv_heads=1, n_layers=2, d_ff=64, **changes)
        made = Transformer(config)
        generator = torch.Generator().manual_seed(5)
        with torch.no_grad():
            for parameter in made.parameters():
                parameter.copy_(torch.randn(parameter.shape, generator=generator) * 0.3 + (parameter.dim() == 1))
        return made.eval().requires_grad_(False)

    return make


def plain(model, tokens, seen):
    """[T, V] scores of the whole sequence at once; [T, T] bool says which keys a query attends to."""

    def attend(_, q, k, v):
        return F.scaled_dot_product_attention(q, k, v, attn_mask=seen, enable_gqa=True)

    return model.logits(model(torch.tensor([tokens]), torch.arange(len(tokens))[None], attend))[0]


def some_tokens(n, seed):
    return torch.randint(10, 600, (n,), generator=torch.Generator().manual_seed(seed)).tolist()


def opened(given):
    return Canvas.opening(given, BLOCK, MASK)


@pytest.mark.parametrize(("runner_of", "shifted"), cases([True, False]), indirect=["runner_of"])
@torch.inference_mode()
def test_a_causal_context_and_a_block_behind_it(runner_of, model_with, shifted):
    model = model_with(shifted=shifted)
    sequence = Sequence(runner_of(model))
    context = some_tokens(12, 1)
    seen = torch.ones(12, 12, dtype=torch.bool).tril()
    p = sequence.read(context, lambda: None)
    torch.testing.assert_close(p, plain(model, context, seen)[-1].softmax(0), **CLOSE)
    canvas = opened([5])
    both = context + canvas.tokens.tolist()
    seen = F.pad(seen, (0, BLOCK, 0, BLOCK), value=True)
    seen[:12, 12:] = False
    scores = plain(model, both, seen)[13 - shifted : 20 - shifted].softmax(1)
    sequence.denoise_(canvas, Schedule(POLICIES["top_k"], PolicyOptions(k=1), 4), 0, 0)
    torch.testing.assert_close(canvas.confidence[1:], scores.amax(1), **CLOSE)
    assert canvas.masked.sum() == BLOCK - 2


@pytest.mark.parametrize(("runner_of", "shifted", "n_given"), cases([True, False], [3, 0]), indirect=["runner_of"])
@torch.inference_mode()
def test_whole_blocks_and_the_block_behind_them(runner_of, model_with, shifted, n_given):
    model = model_with(shifted=shifted, attention="block_causal")
    sequence = Sequence(runner_of(model))
    context = some_tokens(2 * BLOCK + n_given, 2)
    sequence.read(some_tokens(3 * BLOCK, 3), lambda: None)
    following = sequence.read(context, lambda: None)
    assert sequence.tokens == context[: 2 * BLOCK]
    canvas = opened(context[2 * BLOCK :])
    p = sequence.predict_(canvas, following)
    both = context[: 2 * BLOCK] + canvas.tokens.tolist()
    places = torch.arange(3 * BLOCK) // BLOCK
    scores = plain(model, both, places[:, None] >= places)[2 * BLOCK - shifted :][:BLOCK].softmax(1)
    torch.testing.assert_close(p, scores[n_given], **CLOSE)
    torch.testing.assert_close(canvas.confidence[n_given:], scores.amax(1)[n_given:], **CLOSE)
    block = [*canvas.tokens.tolist()[:n_given], *some_tokens(BLOCK - n_given, 4)]
    found = sequence.commit(block, 1)[0]
    expected = plain(model, context[: 2 * BLOCK] + block, places[:, None] >= places)[-1]
    torch.testing.assert_close(found, expected.softmax(0), **CLOSE)


def refreshed(model, before, behind, canvases, every):
    """Yields the scores of canvases in passes of which one in `every` is exact, on the plain transformer.

    In the others prefix and suffix keep the keys and values that they had in the last exact one.
    """
    written = []
    for number, canvas in enumerate(canvases):
        tokens = torch.tensor([[*before, *canvas, *behind]])
        positions = torch.arange(tokens.shape[1])[None]
        window = slice(len(before) - model.config.shifted, len(before) + len(canvas))
        is_exact = number % every == 0
        if is_exact:
            written.clear()

        def attend(layer, q, k, v, is_exact=is_exact, window=window):
            if is_exact:
                written.append((k.clone(), v.clone()))
            else:
                written[layer][0][:, :, window], written[layer][1][:, :, window] = k, v
            return F.scaled_dot_product_attention(q, *written[layer], enable_gqa=True)

        part = slice(None) if is_exact else window
        scores = model.logits(model(tokens[:, part], positions[:, part], attend))[0]
        yield (scores[window] if is_exact else scores)[: len(canvas)]


@pytest.mark.parametrize(
    ("runner_of", "shifted", "lengths"),
    cases([True, False], [(15, 4), (1, 0), (120, 90)]),
    indirect=["runner_of"],
)
@torch.inference_mode()
def test_a_canvas_between_two_sides_in_exact_and_in_refreshed_passes(runner_of, model_with, shifted, lengths):
    model = model_with(shifted=shifted, attention="bidirectional")
    before, behind = some_tokens(lengths[0], 6), some_tokens(lengths[1], 7)
    sequence = BidirectionalSequence(runner_of(model), before, behind, 3)
    canvas = Canvas.opening([], 10, MASK)
    revealed = some_tokens(10, 8)
    canvases = [[*revealed[:n], *[MASK] * (10 - n)] for n in range(5)]
    for number, scores in enumerate(refreshed(model, before, behind, canvases, 3)):
        p = sequence.predict_(canvas)
        torch.testing.assert_close(p, scores[number].softmax(0), **CLOSE)
        torch.testing.assert_close(canvas.confidence[number:], scores[number:].softmax(1).amax(1), **CLOSE)
        canvas.candidates = torch.tensor(revealed)
        canvas.reveal_(torch.arange(10) == number)


@torch.inference_mode()
def test_canvases_of_any_length_and_of_many_holes_share_a_batch(model_with):
    """Predictions of several holes in one pass are those of each alone, and no slot holds what is barred."""
    model = model_with(attention="bidirectional")
    nothing = torch.zeros(model.config.vocab_size, dtype=torch.bool)
    network = FusedTransformer(copy.deepcopy(model), torch.float32, CAPACITY)
    cache = KVCache(model.config, 5, CAPACITY, torch.float32)
    batcher, eager = Batcher(network, cache, nothing, nothing[None], 4), EagerRunner(network, nothing)
    works, expected = [], []
    for seed, n_slots in enumerate((9, 14, 12, 15)):
        sides = some_tokens(20 + seed, seed), some_tokens(9, seed + 9)
        for runner in (eager, batcher):
            sequence = BidirectionalSequence(runner, *sides, 4, expand=77)
            canvas = Canvas.opening([], n_slots, MASK)
            sequence.predict_(canvas)
            if runner is eager:
                expected.append((sequence.predict_(canvas), canvas))
            else:
                run = batcher.run
                batcher.run = works.append
                with pytest.raises(AttributeError):
                    sequence.predict_(canvas)
                batcher.run = run
    assert batcher._batch(list(works)) == works
    batcher._do(works)
    for work, (p, canvas) in zip(works, expected, strict=True):
        torch.testing.assert_close(work.probabilities, p, **CLOSE)
        assert torch.equal(work.selection.token, canvas.candidates)
        torch.testing.assert_close(work.selection.confidence, canvas.confidence, **CLOSE)
        assert work.probabilities[77] == 0


@pytest.mark.parametrize("attention", ["block_causal", "bidirectional"])
def test_models_that_cannot_verify_fill_in_batches_what_they_fill_alone(model, tokenizer, attention):
    made = copy.deepcopy(model)
    made.config = replace(made.config, attention=attention)
    options = {"precision": "float32", "alternatives": 0}
    engines = [
        Engine(copy.deepcopy(made), tokenizer, options=EngineOptions(**options, max_concurrent=n)) for n in (1, 4)
    ]
    engines[1].warm_up()
    assert [engine.max_concurrent for engine in engines] == [1, 4]
    for hole in ("line", "block"):
        for prefix in ("def total(items):\n    ", "x = total(", "\n" * 90 + "a = b"):
            request = FillRequest("s", prefix, "\nprint(total)\n", path="a.py", hole=hole)
            texts = [list(engine.fill(request))[-1].text for engine in engines]
            assert texts[0] == texts[1]
    # a hole's row is given back with it
    if attention == "bidirectional":
        assert len(engines[1]._runner.cache._free) == 4


def test_a_bidirectional_model_has_a_row_for_each_fill_under_way():
    assert widest_batch("bidirectional", 32) == MOST_BIDIRECTIONAL
    assert cache_rows("bidirectional", 8, 4) == 4
    assert cache_rows("causal", 8, 4) == 12
    assert PREDICT_LENGTHS[-1] > 64


@given(st.integers(0, 2**31), st.sampled_from(sorted(POLICIES)), st.booleans(), st.integers(1, 4))
def test_a_canvas_on_the_host_takes_the_steps_of_a_block_on_the_device(seed, policy, shifted, total):
    generator = torch.Generator().manual_seed(seed)
    schedule = Schedule(POLICIES[policy], PolicyOptions(k=2), total)
    canvas = Canvas.opening([5], BLOCK, MASK, 0.5)
    numbers = torch.zeros(1, dtype=torch.int32)
    parts = canvas.tokens, canvas.candidates, canvas.masked, canvas.confidence, canvas.entropy
    block = Blocks(*(part.clone()[None] for part in parts), numbers, torch.ones(1, dtype=torch.bool), numbers.clone())
    never = torch.zeros(1, 600, dtype=torch.bool)
    for index in range(total):
        scores = torch.randn(BLOCK, 600, generator=generator) * 3
        found = reference.select(scores)
        reference.unmask_(block, found, shifted, schedule, never)
        rows = slice(0, BLOCK - 1) if shifted else slice(1, BLOCK)
        canvas.note_(Selection(*(part[rows] for part in found)), first=1)
        canvas.step_(schedule, index)
        for kept, expected in zip(
            (canvas.tokens, canvas.candidates, canvas.masked, canvas.confidence, canvas.entropy), block[:5], strict=True
        ):
            assert torch.equal(kept, expected[0])
