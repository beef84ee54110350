"""Weights with an adapter: what is loaded is the file's and the change, rounded once, and the rest as before."""

import checkpoints
import gguf_files
import pytest
import tiny_adapter
import torch
from gguf_files import FAMILY
from hypothesis import given, settings
from hypothesis import strategies as st

from coder_kernels.quantise import dequantise
from coder_model.checkpoints.hf_config import read_published
from coder_model.checkpoints.loading import adapter_of, load_weights
from coder_model.checkpoints.open import open_engine
from coder_model.checkpoints.precisions import WEIGHT_PRECISIONS
from coder_model.engine.options import EngineOptions
from coder_model.model.adapter_files import StoredAdapter, write_adapter
from coder_model.model.companions import users_folder
from coder_model.model.transformer import causally
from coder_model.text.filters import FILTERS
from coder_model.types import FillRequest

FEW = [precision for precision in WEIGHT_PRECISIONS if precision not in ("float32", "bfloat16")]
STEPS = {"grouped": 0.51, "int8": 0.5001, "int4": 0.6}
"""Distance to what is rounded in steps of a scale; those of int4 begin at a value that is rounded too."""
FARTHEST = 1.01
"""The same in five bits, which are -16 to 15: a number as far from 0 as the farthest, and opposite."""
CHANGED = ["layers.0.self_attn.q_proj", "layers.0.self_attn.k_proj", "layers.1.mlp.down_proj"]


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Per architecture and type a model, made when it is asked for."""
    made = {}

    def published(architecture, kind):
        if (architecture, kind) not in made:
            path = tmp_path_factory.mktemp(architecture) / f"{kind}.gguf"
            gguf_files.build(architecture, path, kind)
            made[architecture, kind] = read_published(path)
        return made[architecture, kind]

    return published


def weight_of(layer):
    return dequantise(layer.weight(), torch.float32) if callable(layer.weight) else layer.weight.float()


def same(weight, other):
    return all(torch.equal(part, its) for part, its in zip(weight, other, strict=True))


@pytest.mark.parametrize("architecture", FAMILY)
@settings(max_examples=8)
@given(kind=st.sampled_from(["F32", "Q5_0", "Q4_1"]), rank=st.integers(1, 40), seed=st.integers(0, 99), data=st.data())
def test_dense_weights_are_those_of_the_file_and_the_change(files, architecture, kind, rank, seed, data):
    published = files(architecture, kind)
    plain = load_weights(published, "float32").model
    modules = data.draw(st.sets(st.sampled_from(sorted(tiny_adapter.linear_layers(plain))), min_size=1))
    adapter = tiny_adapter.adapter(plain, modules, rank, seed=seed)
    found = load_weights(published, "float32", adapter=adapter).model.state_dict()
    for name, tensor in plain.state_dict().items():
        delta = adapter.delta(name.removesuffix(".weight"))
        if delta is None:
            assert torch.equal(found[name], tensor)
        else:
            torch.testing.assert_close(found[name], tensor + delta, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("architecture", FAMILY)
@torch.inference_mode()
def test_logits_equal_those_of_an_independent_model_with_the_change(tmp_path, architecture):
    independent = gguf_files.build(architecture, tmp_path / "x.gguf")
    published = read_published(tmp_path / "x.gguf")
    adapter = tiny_adapter.adapter(load_weights(published, "float32").model)
    for module in adapter.modules:
        owner = independent if module == "lm_head" else independent.model
        owner.get_submodule(module).weight += adapter.delta(module)
    tokens = torch.randint(0, checkpoints.N_PLAIN, (1, 45), generator=torch.Generator().manual_seed(0))
    model = load_weights(published, "float32", adapter=adapter).model
    found, expected = model.logits(model(tokens, torch.arange(45)[None], causally)), independent(tokens).logits
    torch.testing.assert_close(found, expected, atol=1e-5 * float(expected.abs().max()), rtol=1e-4)


@pytest.mark.parametrize("precision", FEW)
@pytest.mark.parametrize(("architecture", "kind"), [("qwen2", "Q5_0"), ("llama", "Q8_0"), ("llama", "Q4_K")])
def test_in_few_bits_the_sum_is_rounded_once(files, architecture, kind, precision):
    published = files(architecture, kind)
    exact, plain = (load_weights(published, few).model for few in ("float32", precision))
    adapter = tiny_adapter.adapter(exact, CHANGED)
    found = load_weights(published, precision, adapter=adapter).model
    for name, layer in tiny_adapter.linear_layers(exact).items():
        weight, delta = found.get_submodule(name).weight(), adapter.delta(name)
        if delta is None:
            assert same(weight, plain.get_submodule(name).weight())
            continue
        wanted = layer.weight + delta
        error = (dequantise(weight, torch.float32) - wanted).abs()
        if precision == "fp8":
            assert error.norm() < 0.04 * wanted.norm()
        else:
            groups = error.view(len(error), weight.scale.shape[1], -1)
            steps = groups / weight.scale.float().abs().view(*groups.shape[:2], 1)
            is_five = precision == "grouped" and kind == "Q5_0"
            assert steps.max() <= (FARTHEST if is_five else STEPS[precision])
            assert weight.values.min() >= -16 or not is_five
            assert not is_five or (weight.values.max() <= 15 and steps.median() < 0.3)


def test_what_has_five_bits_stays_as_it_is_where_an_adapter_adds_nothing(files):
    published = files("qwen2", "Q5_0")
    plain = load_weights(published, "grouped").model
    adapter = tiny_adapter.adapter(load_weights(published, "float32").model, CHANGED)
    nothing = StoredAdapter({name: 0 * part for name, part in adapter.tensors.items()}, adapter.target_norm)
    found = load_weights(published, "grouped", adapter=nothing).model
    for name in CHANGED:
        for model in (found, plain):
            assert model.get_submodule(name).weight().values.abs().max() <= 16
        torch.testing.assert_close(
            dequantise(found.get_submodule(name).weight(), torch.float32),
            dequantise(plain.get_submodule(name).weight(), torch.float32), rtol=1e-3, atol=0,
        )  # fmt: skip


@pytest.mark.parametrize("eight", ["int8", "grouped"])
def test_a_tied_head_stays_where_layers_change(tmp_path, eight):
    gguf_files.build("qwen2", tmp_path / "tied.gguf", "Q8_0", tied=True)
    published = read_published(tmp_path / "tied.gguf")
    exact, plain = (load_weights(published, few).model for few in ("float32", eight))
    found = load_weights(published, eight, adapter=tiny_adapter.adapter(exact, CHANGED)).model
    assert same(found.lm_head.weight(), plain.lm_head.weight())


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("precision", WEIGHT_PRECISIONS)
def test_safetensors_are_changed_in_memory_and_never_in_their_file(tmp_path, dtype, precision):
    checkpoints.build(checkpoints.BY_NAME["qwen2.5-coder"], tmp_path, dtype=dtype)
    published = read_published(tmp_path)
    exact = load_weights(published, "float32").model
    before = {name: tensor.clone() for name, tensor in exact.state_dict().items()}
    adapter = tiny_adapter.adapter(exact, spread=0.03)
    found = load_weights(published, precision, adapter=adapter).model
    for name in adapter.modules:
        wanted = before[f"{name}.weight"] + adapter.delta(name)
        limit = {"float32": 1e-6, "bfloat16": 0.004, "int8": 0.012, "grouped": 0.012, "fp8": 0.04, "int4": 0.12}
        assert (weight_of(found.get_submodule(name)) - wanted).norm() <= limit[precision] * wanted.norm()
    assert all(torch.equal(before[name], tensor) for name, tensor in exact.state_dict().items())


def text_of(path, **options):
    """What an engine says in some places, with filters and repairs off: a random model's text is not fit to be seen."""
    chosen = EngineOptions(precision="float32", alternatives=0, filters_off=tuple(FILTERS), **options)
    engine = open_engine(str(path), chosen, "float32")
    requests = [FillRequest(str(end), checkpoints.TEXT[:end], "\n", path="a.py") for end in range(20, 200, 30)]
    return [list(engine.fill(request))[-1].text for request in requests]


@pytest.fixture
def own(tmp_path, monkeypatch):
    """A file, an adapter that changes what it says, and where a user's adapters lie."""
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    path = tmp_path / "tiny.gguf"
    gguf_files.build("qwen2", path, "Q8_0")
    model = load_weights(read_published(path), "float32").model
    return path, tiny_adapter.adapter(model), users_folder("adapters") / "tiny"


def test_a_users_adapter_is_found_and_can_be_left_out(own):
    path, adapter, folder = own
    plain = text_of(path)
    assert "".join(plain)
    write_adapter(folder, adapter)
    assert text_of(path) != plain
    assert text_of(path, adapter=False) == plain
    assert adapter_of(read_published(path)) is not None
    assert adapter_of(read_published(path), folder) is None


def test_an_adapter_of_zeros_leaves_the_text(own):
    path, adapter, folder = own
    plain = text_of(path)
    write_adapter(
        folder, StoredAdapter({name: 0 * part for name, part in adapter.tensors.items()}, adapter.target_norm)
    )
    assert adapter_of(read_published(path)) is not None
    assert text_of(path) == plain


def test_a_broken_adapter_leaves_the_plain_model_and_a_warning(own, caplog):
    path, adapter, folder = own
    plain = text_of(path)
    write_adapter(folder, adapter)
    (folder / "adapter.safetensors").write_bytes(b"\0" * 100)
    assert text_of(path) == plain
    assert f"one of the adapters is left out: {folder} must hold an adapter" in caplog.text
