"""Every family, on a tiny checkpoint in its exact layout, against the models of transformers."""

import copy

import checkpoints
import pytest
import torch
from checkpoints import BY_NAME, some_tokens
from safetensors import safe_open

from coder_kernels.policies import POLICIES
from coder_model.checkpoints.families import FAMILIES
from coder_model.checkpoints.hf_config import read_published
from coder_model.checkpoints.loading import load_weights
from coder_model.decoding.completion import Completion
from coder_model.decoding.draft_and_verify import ALL_AT_ONCE
from coder_model.decoding.strategies import strategy_of
from coder_model.decoding.token_selector import TokenSelector
from coder_model.engine.engine import Engine
from coder_model.engine.options import EngineOptions
from coder_model.model.fused_transformer import fuse
from coder_model.prompt import fim_prompt
from coder_model.runtime.bidirectional_sequence import BidirectionalSequence
from coder_model.runtime.canvas import Canvas
from coder_model.runtime.eager_runner import EagerRunner
from coder_model.runtime.sequence import Sequence
from coder_model.text.stop_rules import StopRules
from coder_model.training.masks import additive
from coder_model.types import FillRequest

CLOSE = {"atol": 1e-4, "rtol": 1e-4}
NAMES = [family.name for family in FAMILIES]
WITHOUT_LIMIT = torch.zeros(checkpoints.VOCAB, dtype=torch.bool)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Directory, independent model and ours of a family, made once."""
    kept = {}

    def make(name):
        if name not in kept:
            directory = tmp_path_factory.mktemp(name)
            independent = checkpoints.build(BY_NAME[name], directory, seed=NAMES.index(name))
            published = read_published(directory, name)
            kept[name] = directory, independent, published, load_weights(published, "float32")
        return kept[name]

    return make


def seen_by(attention, length, block):
    """[T, T] bool: who sees whom, written out."""
    rows, columns = torch.arange(length)[:, None], torch.arange(length)[None]
    if attention == "bidirectional":
        return torch.ones(length, length, dtype=torch.bool)
    if attention == "block_causal":
        return columns // block <= rows // block
    return columns <= rows


def runner_of(model):
    return EagerRunner(fuse(copy.deepcopy(model), 256, "float32"), WITHOUT_LIMIT)


def independent_logits(model, tokens, seen):
    mask = additive(seen, torch.float32)[None, None].clamp(min=torch.finfo(torch.float32).min)
    with torch.inference_mode():
        return model(torch.tensor([tokens]), attention_mask=mask).logits[0]


LAYER = {
    "self_attn.q_proj": "q_proj", "self_attn.k_proj": "k_proj", "self_attn.v_proj": "v_proj",
    "self_attn.o_proj": "attn_out", "mlp.gate_proj": "ff_proj", "mlp.up_proj": "up_proj", "mlp.down_proj": "ff_out",
    "input_layernorm": "attn_norm", "post_attention_layernorm": "ff_norm",
}  # fmt: skip
"""What LLaDA calls the parts of a layer, as its files and `modeling_llada.py` have them."""


@pytest.mark.parametrize("name", NAMES)
def test_the_files_have_the_names_that_were_published(made, name):
    directory, *_ = made(name)
    with safe_open(directory / "model.safetensors", "pt") as file:
        found = set(file.keys())
    if name == "llada":
        layers = {f"model.transformer.blocks.{i}.{part}.weight" for i in range(2) for part in LAYER.values()}
        rest = {f"model.transformer.{part}.weight" for part in ("wte", "ln_f", "ff_out")}
    else:
        top = "encoder" if name.startswith("nemotron") else "model"
        layers = {f"{top}.layers.{i}.{part}.weight" for i in range(2) for part in LAYER}
        letters = "qkv" if BY_NAME[name].qkv_bias else ""
        layers |= {f"{top}.layers.{i}.self_attn.{letter}_proj.bias" for i in range(2) for letter in letters}
        if BY_NAME[name].qk_norm:
            layers |= {f"{top}.layers.{i}.self_attn.{letter}_norm.weight" for i in range(2) for letter in "qk"}
        head = "diffusion_head" if name.startswith("nemotron") else "lm_head"
        rest = {f"{top}.embed_tokens.weight", f"{top}.norm.weight", f"{head}.weight"}
    assert found == layers | rest


@pytest.mark.parametrize("name", NAMES)
@torch.inference_mode()
def test_logits_equal_those_of_an_independent_model(made, name):
    _, independent, published, ours = made(name)
    tokens = some_tokens(45)
    seen = seen_by(published.config.attention, len(tokens), published.config.block_length)
    expected = independent_logits(independent, tokens, seen)

    def attend(_, q, k, v):
        return torch.nn.functional.scaled_dot_product_attention(q, k, v, attn_mask=seen, enable_gqa=True)

    hidden = ours.model(torch.tensor([tokens]), torch.arange(len(tokens))[None], attend)
    torch.testing.assert_close(ours.model.logits(hidden)[0], expected, **CLOSE)


@pytest.mark.parametrize("name", [n for n in NAMES if BY_NAME[n].attention in ("causal", "causal_context")])
@torch.inference_mode()
def test_a_causal_cache_equals_an_independent_model_without_one(made, name):
    _, independent, _, ours = made(name)
    tokens = some_tokens(60)
    sequence = Sequence(runner_of(ours.model))
    sequence.read(tokens[:30], lambda: None)
    sequence.read([*tokens[:20], *tokens[40:50]], lambda: None)
    p = sequence.read(tokens, lambda: None)
    expected = independent_logits(independent, tokens, seen_by("causal", len(tokens), 1))[-1]
    torch.testing.assert_close(p, expected.softmax(0), **CLOSE)


@pytest.mark.parametrize("name", [n for n in NAMES if BY_NAME[n].attention == "block_causal"])
@pytest.mark.parametrize("n_given", [0, 1, 3])
@torch.inference_mode()
def test_a_cache_of_blocks_equals_an_independent_model_without_one(made, name, n_given):
    _, independent, published, ours = made(name)
    size, mask = published.config.block_length, published.special_tokens.mask
    context = some_tokens(2 * size + n_given, seed=5)
    sequence = Sequence(runner_of(ours.model))
    sequence.read(some_tokens(3 * size, seed=6), lambda: None)
    following = sequence.read(context, lambda: None)
    assert sequence.tokens == context[: 2 * size]
    canvas = Canvas.opening(context[2 * size :], size, mask)
    p = sequence.predict_(canvas, following)
    whole = [*context[: 2 * size], *canvas.tokens.tolist()]
    logits = independent_logits(independent, whole, seen_by("block_causal", len(whole), size))
    first = 2 * size - published.config.shifted
    expected = logits[first : first + size].softmax(1)
    torch.testing.assert_close(p, expected[n_given], **CLOSE)
    torch.testing.assert_close(canvas.confidence[n_given:], expected.amax(1)[n_given:], **CLOSE)


@pytest.mark.parametrize("name", [n for n in NAMES if BY_NAME[n].attention == "bidirectional"])
@torch.inference_mode()
def test_a_canvas_equals_an_independent_model_on_the_whole_sequence(made, name):
    _, independent, published, ours = made(name)
    before, behind, mask = some_tokens(21, seed=1), some_tokens(13, seed=2), published.special_tokens.mask
    exact, cached = (BidirectionalSequence(runner_of(ours.model), before, behind, every) for every in (1, 3))
    canvas = Canvas.opening([], 8, mask)
    differences = []
    for step in range(6):
        p, near = exact.predict_(canvas), cached.predict_(canvas)
        whole = [*before, *canvas.tokens.tolist(), *behind]
        logits = independent_logits(independent, whole, seen_by("bidirectional", len(whole), 1))
        slot = int(canvas.masked.int().argmax())
        expected = logits[len(before) + slot - published.config.shifted].softmax(0)
        torch.testing.assert_close(p, expected, **CLOSE)
        differences.append(float((near - expected).abs().max()))
        canvas.reveal_(torch.arange(8) == step)
    # every third pass is exact, the two between are not
    assert max(differences[0], differences[3]) < 1e-4 < min(differences[1], differences[4])


@pytest.mark.parametrize("name", [n for n in NAMES if BY_NAME[n].has_mask])
@torch.inference_mode()
def test_the_shift_is_proven_by_a_model_that_copies(made, name):
    """Without layers a state speaks of the token it came from, and the mask is made to look like an `x`."""
    _, _, published, ours = made(name)
    config, mask, letter = published.config, published.special_tokens.mask, 7
    model = ours.model
    kept = {n: p.clone() for n, p in model.state_dict().items()}
    try:
        for n, parameter in model.named_parameters():
            if n.endswith(("o_proj.weight", "down_proj.weight")):
                parameter.zero_()
            elif n == "norm.weight":
                parameter.fill_(1.0)
        table = torch.nn.functional.normalize(torch.randn(config.vocab_size, config.d_model), dim=1)
        table[mask] = table[letter]
        model.embed_tokens.weight.copy_(table)
        model.lm_head.weight.copy_(table)
        model.lm_head.weight[mask] = 0.0
        size = config.block_length if config.attention == "block_causal" else 8
        context = some_tokens(2 * size, seed=3)
        if config.attention == "bidirectional":
            canvas = Canvas.opening([], size, mask)
            BidirectionalSequence(runner_of(model), context, some_tokens(5), 1).predict_(canvas)
        elif config.attention == "block_causal":
            sequence = Sequence(runner_of(model))
            following = sequence.read(context, lambda: None)
            canvas = Canvas.opening([], size, mask)
            sequence.predict_(canvas, following)
        else:
            sequence = Sequence(runner_of(model))
            sequence.read(context, lambda: None)
            canvas = Canvas.opening(context[-1:], size, mask)
            sequence.denoise_(canvas, ALL_AT_ONCE, 0, 0)
            # slot 0 is decided already: what speaks of slot 1 is slot 1, or slot 0
            assert int(canvas.candidates[1]) == (context[-1] if config.shifted else letter)
            return
        assert int(canvas.candidates[0]) == (context[-1] if config.shifted else letter)
        assert canvas.candidates[1:].tolist() == [letter] * (size - 1)
    finally:
        model.load_state_dict(kept)


@pytest.mark.parametrize("policy", [*POLICIES, "one_token"])
@pytest.mark.parametrize("name", NAMES)
def test_every_policy_fills_a_hole_of_unknown_length(made, name, policy):
    _, _, _, ours = made(name)
    engine = Engine(copy.deepcopy(ours.model), ours.tokenizer, name, EngineOptions(policy=policy), ours.generation)
    for hole, cursor in (("line", "result = sta"), ("block", "result += value\n")):
        prefix, _, suffix = checkpoints.TEXT.partition(cursor)
        request = FillRequest("s", prefix + cursor, suffix, path="a.py", hole=hole)
        *_, last = engine.fill(request)
        assert last.final
        assert last.steps > 0
        assert "<|" not in last.text
        assert hole == "block" or "\n" not in last.text


@pytest.mark.parametrize("name", NAMES)
def test_tokens_under_the_cursor_are_healed(made, name):
    """Whatever the model says begins with the piece that stands before the cursor."""
    _, _, _, ours = made(name)
    engine = Engine(copy.deepcopy(ours.model), ours.tokenizer, name, None, ours.generation)
    request = FillRequest("s", "def total(values):\n    resu", "\n    return result\n", path="a.py")
    built = fim_prompt.build(request, ours.tokenizer, fim_prompt.Budget.of(256), ours.generation.form)
    assert built.heal == b" resu"
    selector = TokenSelector(engine._context.vocabulary, built.heal, StopRules.of("", "", "block"), None)
    middle = Completion(16)
    list(strategy_of(engine._context).fill(built, selector, middle, engine._context, lambda: None))
    said = b"".join(ours.tokenizer.token_bytes[token] for token in middle.tokens)
    assert said.startswith(built.heal)


def test_a_second_request_reads_only_what_changed_where_the_cache_is_exact(made, monkeypatch):
    read = []
    through = EagerRunner._commit
    monkeypatch.setattr(
        EagerRunner, "_commit", lambda self, works, length: (read.append(length), through(self, works, length))[1]
    )
    for name in ("stable-diffcoder", "sdar", "nemotron-labs-diffusion"):
        _, _, published, ours = made(name)
        engine = Engine(copy.deepcopy(ours.model), ours.tokenizer, name, None, ours.generation)
        costs = []
        for typed in ("    x = 1", "    x = 1 "):
            read.clear()
            list(engine.fill(FillRequest("s", checkpoints.TEXT + typed, "\n", path="a.py")))
            costs.append(read[0])
        assert costs[0] > 50
        assert costs[1] <= 2 * published.config.block_length
