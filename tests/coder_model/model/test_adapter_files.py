import json

import pytest
import tiny_adapter
import tiny_drafter
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file

from coder_model.errors import ModelFileError
from coder_model.model.adapter_files import StoredAdapter, adapter_for, read_adapter, write_adapter
from coder_model.model.companions import package_folder
from coder_model.model.transformer import Transformer

LAYER = "layers.0.self_attn.q_proj"


@pytest.fixture(scope="module")
def model():
    return tiny_drafter.target()


@pytest.fixture
def folder(model, tmp_path):
    write_adapter(tmp_path / "tiny", tiny_adapter.adapter(model))
    return tmp_path / "tiny"


@given(rank=st.integers(1, 48), seed=st.integers(0, 99), loudest=st.floats(0, 4))
def test_an_adapter_comes_back_from_its_files(model, tmp_path_factory, rank, seed, loudest):
    stored = tiny_adapter.adapter(model, rank=rank, seed=seed)
    # outputs whose changes are unlike in size
    loud = {name: tensor * torch.logspace(0, loudest, len(tensor))[:, None] for name, tensor in stored.tensors.items()}
    stored = StoredAdapter(
        {**stored.tensors, **{n: t for n, t in loud.items() if n.endswith("up")}}, stored.target_norm
    )
    folder = tmp_path_factory.mktemp("adapter")
    write_adapter(folder, stored)
    found = read_adapter(folder)
    assert found.config == stored.config
    assert found.modules == stored.modules == sorted(tiny_adapter.linear_layers(model))
    for name in stored.modules:
        exact, delta = stored.delta(name), found.delta(name)
        assert delta.shape == model.get_submodule(name).weight.shape
        assert (delta - exact).norm() < 0.02 * exact.norm()
    assert found.delta("layers.9.mlp.up_proj") is None


def test_what_training_has_written_can_be_read_as_it_is(model, folder):
    raw = tiny_adapter.adapter(model)
    save_file({**raw.tensors, "target_norm": raw.target_norm}, folder / "adapter.safetensors")
    found = read_adapter(folder)
    assert all(torch.equal(found.delta(name), raw.delta(name)) for name in raw.modules)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_it_belongs_to_its_model_in_any_precision(model, folder, dtype):
    found = adapter_for(model, model.norm.weight.to(dtype), folder.parent)
    assert found is not None
    with torch.device("meta"):
        empty = Transformer(model.config)
    assert found.belongs_to(empty, model.norm.weight)


def test_a_model_whose_norm_has_moved_a_little_is_another_one(model, folder):
    norm = model.norm.weight.clone()
    norm[3] *= 1.01
    assert adapter_for(model, norm, folder.parent) is None
    assert adapter_for(model, norm[:-1], folder.parent) is None


def test_a_model_that_is_not_causal_has_none(model, folder):
    with torch.device("meta"):
        other = Transformer(model.config.__class__(**{**vars(model.config), "attention": "bidirectional"}))
    assert adapter_for(other, model.norm.weight, folder.parent) is None


def test_the_first_folder_is_preferred_and_one_without_adapters_is_passed(model, folder, tmp_path):
    write_adapter(tmp_path / "other" / "tiny", tiny_adapter.adapter(model, rank=2))
    ranks = [
        adapter_for(model, model.norm.weight, *folders).config.rank
        for folders in ([tmp_path, tmp_path / "other"], [tmp_path / "other", tmp_path], [tmp_path / "no", tmp_path])
    ]
    assert ranks == [4, 2, 4]


def without(name):
    def change(tensors):
        del tensors[name]

    return change


def other(name, make):
    def change(tensors):
        tensors[name] = make(tensors[name]).contiguous()

    return change


def spoilt(tensor):
    tensor = tensor.clone()
    tensor.view(-1)[0] = torch.nan
    return tensor


@pytest.mark.parametrize(
    ("change", "match"),
    [
        (without(f"{LAYER}.up"), "every layer must have .down and .up"),
        (without(f"{LAYER}.down"), "every layer must have .down and .up"),
        (without(f"{LAYER}.down.scale"), "q_proj.down.scale"),
        (without("target_norm"), "target_norm"),
        (dict.clear, "target_norm"),
        (other(f"{LAYER}.up.scale", spoilt), "up.scale must hold numbers, found NaN"),
        (other("target_norm", lambda norm: norm / 0), "target_norm must hold numbers"),
        (other("target_norm", lambda norm: norm[1:]), "target_norm must have shape .32,., found .31,."),
        (other(f"{LAYER}.up", lambda up: up[:, 1:]), "must be a matrix of rank 4, found shape .32, 3."),
        (other(f"{LAYER}.down", lambda down: down[0]), "must be a matrix of rank 4, found shape .32,."),
        (other(f"{LAYER}.down.scale", lambda scale: scale[0]), "down.scale must have shape .4, 1."),
    ],
)
def test_tensors_that_are_no_adapter_are_one_clear_line(folder, change, match):
    tensors = load_file(folder / "adapter.safetensors")
    change(tensors)
    save_file(tensors, folder / "adapter.safetensors")
    with pytest.raises(ModelFileError, match=f"tiny must hold an adapter: .*{match}") as caught:
        read_adapter(folder)
    assert "\n" not in str(caught.value)


SIZES = ["", "[]", "{}", '{"d_model": 32}', '{"d_model": 32, "rank": 0}', '{"d_model": 32, "rank": true}']


@pytest.mark.parametrize("text", [*SIZES, '{"d_model": 32, "rank": 4, "alpha": 8}'])
def test_a_configuration_that_is_none_is_one_clear_line(folder, text):
    (folder / "adapter.json").write_text(text)
    with pytest.raises(ModelFileError, match="adapter.json must be an adapter's configuration"):
        read_adapter(folder)


@pytest.mark.parametrize(
    ("module", "shape", "match"),
    [
        ("layers.9.mlp.up_proj", (64, 32), "must change linear layers of its model, found 'layers.9.mlp.up_proj'"),
        ("embed_tokens", (64, 32), "must change linear layers"),
        (LAYER, (31, 32), "'layers.0.self_attn.q_proj' must have shape .32, 32., found .31, 32."),
    ],
)
def test_an_adapter_of_other_layers_is_left_out_with_a_warning(model, tmp_path, caplog, module, shape, match):
    tensors = {f"{module}.up": torch.ones(shape[0], 4), f"{module}.down": torch.ones(4, shape[1])}
    stored = StoredAdapter(tensors, model.norm.weight)
    with pytest.raises(ModelFileError, match=match):
        stored.belongs_to(model, model.norm.weight)
    write_adapter(tmp_path / "a", stored)
    write_adapter(tmp_path / "b", tiny_adapter.adapter(model))
    found = adapter_for(model, model.norm.weight, tmp_path)
    assert found is not None
    assert found.modules == sorted(tiny_adapter.linear_layers(model))
    assert f"one of the adapters is left out: {tmp_path / 'a'}: an adapter" in caplog.text


def test_the_adapters_that_are_shipped_can_be_read():
    for config in package_folder("adapters").glob("*/adapter.json"):
        assert read_adapter(config.parent).config.rank == json.loads(config.read_text("utf-8"))["rank"]
        assert (config.parent / "MODEL_CARD.md").exists()
        assert (config.parent / "adapter.safetensors").stat().st_size < 32 << 20
