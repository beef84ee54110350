import json

import pytest
import torch
from safetensors.torch import load_file, save_file

from coder_model.engine.engine import Engine
from coder_model.errors import ModelFileError
from coder_model.model import weights


def test_saving_and_loading_gives_the_same_numbers(model, model_directory):
    loaded, _ = weights.load(model_directory)
    for name, tensor in model.state_dict().items():
        assert torch.equal(loaded.state_dict()[name], tensor.bfloat16().float())


def test_int8_is_within_half_a_step_of_each_rows_scale(model, tokenizer, tmp_path):
    weights.save(model, tokenizer, tmp_path, int8=True)
    loaded, _ = weights.load(tmp_path)
    for name, tensor in model.state_dict().items():
        found = loaded.state_dict()[name]
        if tensor.dim() == 2:
            step = tensor.abs().amax(dim=1, keepdim=True) / 127
            assert bool(((found - tensor).abs() <= step * 0.501).all()), name
        else:
            assert torch.equal(found, tensor.bfloat16().float())


@pytest.mark.parametrize("int8", [False, True])
def test_parts_are_small_and_give_the_whole(model, tokenizer, tmp_path, monkeypatch, int8):
    weights.save(model, tokenizer, tmp_path / "whole", int8)
    monkeypatch.setattr(weights, "PART_BYTES", 20_000)
    weights.save(model, tokenizer, tmp_path / "parts", int8)
    files = sorted((tmp_path / "parts").glob("model-*.safetensors"))
    largest = max(tensor.nbytes for file in files for tensor in load_file(file).values())
    assert len(files) > 1
    assert all(sum(t.nbytes for t in load_file(file).values()) <= max(20_000, largest) for file in files)
    whole, parts = (weights.load(tmp_path / name)[0].state_dict() for name in ("whole", "parts"))
    assert all(torch.equal(parts[name], tensor) for name, tensor in whole.items())
    files[0].unlink()
    refuse(tmp_path / "parts", "must have shape .*, found nothing")


def test_a_new_model_leaves_nothing_of_the_old_one(model, tokenizer, tmp_path, monkeypatch):
    weights.save(model, tokenizer, tmp_path)
    monkeypatch.setattr(weights, "PART_BYTES", 20_000)
    weights.save(model, tokenizer, tmp_path)
    assert not (tmp_path / "model.safetensors").exists()


@pytest.fixture
def copy(model_directory, tmp_path):
    for file in model_directory.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    return tmp_path


def refuse(directory, match):
    with pytest.raises(ModelFileError, match=match):
        Engine.load(directory)


def test_a_missing_file_is_named(copy):
    (copy / "model.safetensors").unlink()
    refuse(copy, "must hold the model's weights, found no model")


def test_a_truncated_file_is_refused(copy):
    data = (copy / "model.safetensors").read_bytes()
    (copy / "model.safetensors").write_bytes(data[: len(data) // 2])
    refuse(copy, "model.safetensors must be a whole safetensors file")


def test_a_foreign_file_is_refused(copy):
    (copy / "model.safetensors").write_bytes(b"not weights at all")
    refuse(copy, "must be a whole safetensors file")


@pytest.mark.parametrize("int8", [False, True])
def test_a_bit_that_has_flipped_is_found(model, tokenizer, tmp_path, int8):
    weights.save(model, tokenizer, tmp_path, int8)
    data = bytearray((tmp_path / "model.safetensors").read_bytes())
    tensor = load_file(tmp_path / "model.safetensors")["norm.weight"].view(torch.uint8).numpy().tobytes()
    at = data.index(tensor) + 1
    # the highest bit of an exponent
    data[at] ^= 0x40
    (tmp_path / "model.safetensors").write_bytes(data)
    refuse(tmp_path, "the weights must answer .* to the known text, found")


def test_weights_without_a_known_answer_are_taken(copy):
    save_file(load_file(copy / "model.safetensors"), copy / "model.safetensors")
    Engine.load(copy)
    save_file(load_file(copy / "model.safetensors"), copy / "model.safetensors", {"known_answer": "forty-two"})
    refuse(copy, "the known answer must be a number, found 'forty-two'")


def test_a_tensor_too_many_is_named(copy):
    tensors = load_file(copy / "model.safetensors")
    save_file({**tensors, "extra.weight": torch.zeros(1)}, copy / "model.safetensors")
    refuse(copy, "tensor extra.weight must have shape none")


def test_a_missing_tensor_is_named(copy):
    tensors = load_file(copy / "model.safetensors")
    del tensors["norm.weight"]
    save_file(tensors, copy / "model.safetensors")
    refuse(copy, r"tensor norm.weight must have shape \(32,\), found nothing")


def test_a_wrong_dtype_is_refused(copy):
    tensors = {name: t.float() for name, t in load_file(copy / "model.safetensors").items()}
    save_file(tensors, copy / "model.safetensors")
    refuse(copy, "must be torch.bfloat16, or torch.int8 with a scale, found torch.float32")


def test_int8_without_its_scale_is_refused(model, tokenizer, tmp_path):
    weights.save(model, tokenizer, tmp_path, int8=True)
    tensors = load_file(tmp_path / "model.safetensors")
    del tensors["embed_tokens.weight.scale"]
    save_file(tensors, tmp_path / "model.safetensors")
    refuse(tmp_path, "embed_tokens.weight must be .* found torch.int8 without a scale")


def test_a_tokenizer_of_another_model_is_refused(copy):
    from coder_model.prompt.tokenizer import CodeTokenizer

    CodeTokenizer.train(["def f():\n    pass\n"], 290).save(copy / "tokenizer.json")
    refuse(copy, "tokenizer.json must have 600 tokens")


def test_a_configuration_with_other_fields_is_refused(copy):
    config = json.loads((copy / "config.json").read_text())
    (copy / "config.json").write_text(json.dumps({**config, "auto_map": "evil.Model"}))
    refuse(copy, "config.json must be a JSON object of")
