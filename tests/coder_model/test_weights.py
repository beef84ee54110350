import json

import pytest
import torch
from safetensors.torch import load_file, save_file

from coder_model import weights
from coder_model.engine import Engine
from coder_model.errors import ModelFileError


def test_saving_and_loading_gives_the_same_numbers(model, model_directory):
    loaded, _ = weights.load(model_directory)
    for name, tensor in model.state_dict().items():
        assert torch.equal(loaded.state_dict()[name], tensor.bfloat16().float())


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
    refuse(copy, "model.safetensors must be the model's weights, found no file")


def test_a_truncated_file_is_refused(copy):
    data = (copy / "model.safetensors").read_bytes()
    (copy / "model.safetensors").write_bytes(data[: len(data) // 2])
    refuse(copy, "model.safetensors must be a whole safetensors file")


def test_a_foreign_file_is_refused(copy):
    (copy / "model.safetensors").write_bytes(b"not weights at all")
    refuse(copy, "must be a whole safetensors file")


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
    refuse(copy, "must be torch.bfloat16, found torch.float32")


def test_a_tokenizer_of_another_model_is_refused(copy):
    from coder_model.tokenizer import CodeTokenizer

    CodeTokenizer.train(["def f():\n    pass\n"], 290).save(copy / "tokenizer.json")
    refuse(copy, "tokenizer.json must have 600 tokens")


def test_a_configuration_with_other_fields_is_refused(copy):
    config = json.loads((copy / "config.json").read_text())
    (copy / "config.json").write_text(json.dumps({**config, "auto_map": "evil.Model"}))
    refuse(copy, "config.json must be a JSON object with exactly")
