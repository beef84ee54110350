"""A drafter beside a model: its fast passes, its files, and that it changes the speed alone."""

from dataclasses import replace
from pathlib import Path

import gguf_files
import pytest
import torch

from coder_kernels import cpu_int8
from coder_kernels.cpu import grouped
from coder_kernels.tensor_types import AttentionMetadata
from coder_model.checkpoints.hf_config import read_published
from coder_model.checkpoints.loading import load_weights
from coder_model.decoding.acceptance import DraftAcceptance
from coder_model.decoding.draft_and_verify import ALL_AT_ONCE
from coder_model.engine.engine import Engine
from coder_model.engine.options import EngineOptions
from coder_model.errors import ModelFileError
from coder_model.model.companions import package_folder, users_folder
from coder_model.model.drafter import Drafter, DrafterConfig, seeing
from coder_model.model.drafter_files import StoredDrafter, drafter_for, read_drafter, write_drafter
from coder_model.model.fused_drafter import FusedDrafter
from coder_model.model.fused_transformer import FusedTransformer
from coder_model.model.kv_cache import KVCache
from coder_model.runtime.canvas import Canvas
from coder_model.runtime.eager_runner import EagerRunner
from coder_model.runtime.pass_costs import PassCosts
from coder_model.runtime.sequence import Sequence
from coder_model.text.filters import FILTERS
from coder_model.training.drafter.objective import target_states
from coder_model.types import FillRequest

CODE = "def total(items):\n    return sum(item.price for item in items)\n\n\nclass Basket:\n    def add(self, item):\n"


@pytest.fixture(scope="module")
def loaded(tmp_path_factory: pytest.TempPathFactory):
    path = tmp_path_factory.mktemp("model") / "tiny.gguf"
    gguf_files.build("qwen2", path, "Q8_0", num_hidden_layers=4)
    return lambda: load_weights(read_published(path), "float32")


def stored(model) -> StoredDrafter:
    """A random drafter, whose blocks are not outputs of zero."""
    shape = model.config
    sizes = shape.d_model, shape.n_heads, shape.n_kv_heads, shape.head_dim, shape.rope_theta, shape.norm_eps
    drafter = Drafter(DrafterConfig(*sizes, (1, 3), 2, 96, 6))
    drafter.initialise_(1)
    torch.manual_seed(0)
    for parameter in drafter.parameters():
        if not parameter.any():
            torch.nn.init.normal_(parameter, 0.0, 0.1)
    generator = torch.Generator().manual_seed(2)
    ids = torch.randperm(shape.vocab_size, generator=generator)[:200]
    return StoredDrafter(drafter.requires_grad_(False), ids, model.norm.weight.float().clone())


def test_the_fast_passes_say_what_the_plain_twin_says(loaded):
    model = loaded().model
    beside = stored(model)
    tokens = torch.randint(0, model.config.vocab_size, (30,), generator=torch.Generator().manual_seed(3))
    states, _ = target_states(model, tokens[None], (1, 3))
    slots, known = tokens[:6], torch.tensor([True, False, True, False, False, False])
    context = beside.drafter.context(beside.drafter.joined(states), torch.arange(30)[None])
    entering = beside.drafter.slots(model.embed_tokens(slots[None]), known[None])
    everything = torch.ones(1, 1, 6, 36, dtype=torch.bool)
    hidden = beside.drafter(entering, torch.arange(30, 36)[None], seeing(context, everything))
    expected = (hidden[0] @ model.head[beside.ids].T).softmax(1).max(1)
    network = FusedTransformer(model, torch.float32, 64)
    drafts = FusedDrafter(beside.drafter, network, beside.ids, 64)
    cache, kept = KVCache(model.config, 1, 64, torch.float32), drafts.new_cache(64)
    for start, end in ((0, 11), (11, 30)):
        spans = AttentionMetadata(*torch.tensor([[0], [start], [end - start]], dtype=torch.int32))
        drafts.read(network.states(tokens[None, start:end], cache, spans, 1, (1, 3))[1], kept, start)
    found = drafts.denoise(slots, known, kept, 30)
    assert torch.equal(found.token, beside.ids[expected.indices])
    torch.testing.assert_close(found.confidence, expected.values, rtol=1e-3, atol=1e-5)


def drafted(network, drafts):
    nothing = torch.zeros(network.config.vocab_size, dtype=torch.bool)
    return Sequence(EagerRunner(network, nothing, drafter=drafts))


@pytest.mark.parametrize("eight", [torch.int8, "grouped"])
def test_in_eight_bits_it_says_nearly_the_same(loaded, eight):
    if eight == "grouped" and not grouped.is_there():
        pytest.skip("this processor multiplies no weights in groups")
    if eight == torch.int8 and not cpu_int8.is_exact():
        pytest.skip("this processor has no exact int8 products")
    said = []
    for activation_dtype in (None, eight):
        model = loaded().model
        network = FusedTransformer(model, torch.float32, 64)
        beside = stored(model)
        drafts = FusedDrafter(beside.drafter, network, beside.ids, 64, activation_dtype)
        sequence = drafted(network, drafts)
        sequence.read(list(range(5, 45)), lambda: None)
        canvas = Canvas.opening([7], 7, 0)
        sequence.denoise_(canvas, ALL_AT_ONCE, 0, 0)
        said.append(canvas.confidence[1:])
    torch.testing.assert_close(*said, rtol=0.15, atol=0.15)


def test_what_was_refused_leaves_nothing_behind(loaded):
    model = loaded().model
    network, beside = FusedTransformer(model, torch.float32, 64), stored(model)
    drafts = FusedDrafter(beside.drafter, network, beside.ids, 64)
    said = []
    for refused in ([], [9, 9, 9, 9]):
        sequence = drafted(network, drafts)
        sequence.read([5, 6, 7, 8], lambda: None)
        sequence.commit(refused or [1])
        sequence.truncate(4)
        sequence.commit([10, 11])
        canvas = Canvas.opening([12], 7, 0)
        sequence.denoise_(canvas, ALL_AT_ONCE, 0, 0)
        said.append((canvas.tokens.tolist(), canvas.confidence))
    assert said[0][0] == said[1][0]
    torch.testing.assert_close(said[0][1], said[1][1])


@pytest.mark.parametrize("costs", [None, PassCosts(18.0, 4.0, 1.8), PassCosts(18.0, 0.0, 1.8)])
@pytest.mark.parametrize("hole", ["line", "block"])
def test_a_drafter_changes_the_passes_and_never_the_text(loaded, hole, costs):
    engines = []
    for has_drafter in (False, True):
        found = loaded()
        beside = stored(found.model) if has_drafter else None
        # what a random model says is not fit to be seen
        options = EngineOptions(precision="float32", alternatives=0, filters_off=tuple(FILTERS))
        engines.append(Engine(found.model, found.tokenizer, "tiny", options, found.generation, beside))
        if costs:
            engines[-1]._context.acceptance.measured(costs)
    said = 0
    for end in range(8, len(CODE), 5):
        request = FillRequest(f"{hole}{end}", CODE[:end], CODE[end:], path="basket.py", hole=hole)
        plain, drafted = (list(engine.fill(request))[-1] for engine in engines)
        assert drafted.text == plain.text
        said += len(plain.text)
    assert said > 100


def test_what_passes_cost_is_measured_before_the_first_request(loaded):
    found = loaded()
    engine = Engine(found.model, found.tokenizer, "tiny", EngineOptions(), found.generation, stored(found.model))
    engine.warm_up()
    costs = engine._context.acceptance.costs
    assert costs.one > 0
    assert costs.draft > 0
    assert costs.more >= 0


def test_copies_alone_are_measured_too_but_not_where_they_take_part_in_choosing(loaded):
    found = loaded()
    for counts in (False, True):
        generation = replace(found.generation, copies_count=counts)
        engine = Engine(loaded().model, found.tokenizer, "tiny", EngineOptions(), generation)
        engine.warm_up()
        costs = engine._context.acceptance.costs
        assert costs is None if counts else costs.one > 0 and costs.draft == 0


def test_a_block_is_verified_where_no_copy_is_preferred(loaded, monkeypatch):
    said, verified = [], []
    for prefers in (True, False):
        lengths: list[int] = []
        monkeypatch.setattr(DraftAcceptance, "prefers", lambda *_, prefers=prefers: prefers)
        monkeypatch.setattr(DraftAcceptance, "note", lambda _, __, length, lengths=lengths: lengths.append(length))
        found = loaded()
        options = EngineOptions(precision="float32", alternatives=0, copy=False, filters_off=tuple(FILTERS))
        engine = Engine(found.model, found.tokenizer, "tiny", options, found.generation, stored(found.model))
        engine._context.acceptance.measured(PassCosts(18.0, 0.0, 0.0))
        said.append(list(engine.fill(FillRequest("x", CODE[:40], CODE[40:], path="basket.py")))[-1].text)
        verified.append(lengths)
    assert said[0] == said[1]
    assert set(verified[0]) == {0}
    assert max(verified[1]) > 0


def test_a_drafter_comes_back_from_its_files(loaded, tmp_path: Path):
    model = loaded().model
    beside = stored(model)
    write_drafter(tmp_path / "tiny", beside)
    read = read_drafter(tmp_path / "tiny")
    assert torch.equal(read.ids, beside.ids)
    assert read.drafter.config == beside.drafter.config
    for name, tensor in beside.drafter.state_dict().items():
        torch.testing.assert_close(
            read.drafter.state_dict()[name], tensor, rtol=0, atol=float(tensor.abs().max()) / 200
        )
    found = drafter_for(model, tmp_path)
    assert found is not None
    assert found.belongs_to(model)


def test_a_drafter_of_another_model_is_left_alone(loaded, tmp_path: Path):
    model = loaded().model
    write_drafter(tmp_path / "tiny", stored(model))
    model.norm.weight.data *= torch.linspace(0.5, 1.5, model.config.d_model)
    assert drafter_for(model, tmp_path) is None


def test_a_users_own_drafter_comes_first_and_a_broken_one_is_left_out(loaded, tmp_path: Path, monkeypatch, caplog):
    model = loaded().model
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    assert drafter_for(model) is None
    write_drafter(users_folder("drafters") / "tiny", stored(model))
    other = stored(model)
    write_drafter(tmp_path / "package" / "tiny", StoredDrafter(other.drafter, other.ids[:50], other.target_norm))
    found = drafter_for(model)
    assert found is not None
    both = drafter_for(model, users_folder("drafters"), tmp_path / "package")
    assert both is not None
    assert len(found.ids) == len(both.ids) == 200
    (users_folder("drafters") / "tiny" / "drafter.safetensors").write_bytes(b"\0" * 100)
    kept = drafter_for(model, users_folder("drafters"), tmp_path / "package")
    assert kept is not None
    assert len(kept.ids) == 50
    assert "one of the drafters is left out" in caplog.text


def test_a_broken_drafter_is_one_clear_line(loaded, tmp_path: Path):
    write_drafter(tmp_path, stored(loaded().model))
    (tmp_path / "drafter.safetensors").write_bytes(b"\0" * 100)
    with pytest.raises(ModelFileError, match="must hold a drafter"):
        read_drafter(tmp_path)


def test_the_drafters_that_are_shipped_can_be_read():
    for config in package_folder("drafters").glob("*/drafter.json"):
        found = read_drafter(config.parent)
        assert all(bool(parameter.isfinite().all()) for parameter in found.drafter.parameters())
        assert (config.parent / "MODEL_CARD.md").exists()
        assert (config.parent / "drafter.safetensors").stat().st_size < 32 << 20
