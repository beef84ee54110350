"""What a directory of weights may hold by accident or malice: one clear line, and nothing is run."""

import json
import os
import pickle
import resource
import struct

import checkpoints
import pytest
import torch
from checkpoints import BY_NAME
from safetensors.torch import load_file, save_file
from scale import SCALE, seeded

from coder_model.checkpoints.hf_config import read_published
from coder_model.checkpoints.loading import check, load_weights
from coder_model.checkpoints.open import open_engine
from coder_model.checkpoints.safetensors_header import MAX_HEADER_BYTES, read_header
from coder_model.errors import ModelFileError

DREAM = BY_NAME["dream"]


@pytest.fixture
def directory(tmp_path):
    checkpoints.build(DREAM, tmp_path)
    return tmp_path


def refuse(directory, match):
    with pytest.raises(ModelFileError, match=match) as caught:
        load_weights(read_published(directory), "float32")
    assert "\n" not in str(caught.value)


def configure(directory, **values):
    path = directory / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **values}))


def change_tensors(directory, change):
    tensors = load_file(directory / "model.safetensors")
    change(tensors)
    save_file(tensors, directory / "model.safetensors")


def test_a_truncated_file_is_named(directory):
    path = directory / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-100])
    refuse(directory, "model.safetensors must have .* bytes of tensors, found .*cut off")
    path.write_bytes(path.read_bytes()[:5])
    refuse(directory, "model.safetensors must be a whole safetensors file")


def test_a_pickle_is_not_read(directory):
    class Evil:
        def __reduce__(self):
            return os.mkdir, (str(directory / "ran"),)

    for protocol in (2, 4):
        (directory / "model.safetensors").write_bytes(pickle.dumps(Evil(), protocol))
        refuse(directory, "found a pickle: it could run code")
    torch.save({"x": Evil()}, directory / "model.safetensors")
    refuse(directory, "found a pickle")
    (directory / "model.safetensors").rename(directory / "pytorch_model.bin")
    refuse(directory, "must hold model.*safetensors, found none; pytorch_model.bin could run code")
    assert not (directory / "ran").exists()


def test_an_oversized_header_is_not_read(directory):
    path = directory / "model.safetensors"
    path.write_bytes(struct.pack("<Q", MAX_HEADER_BYTES + 1) + b" " * (MAX_HEADER_BYTES + 10))
    refuse(directory, f"header of 2 to {MAX_HEADER_BYTES} bytes")


@pytest.mark.parametrize(
    ("change", "match"),
    [
        (lambda t: t.pop("model.norm.weight"), "'model.norm.weight' must have shape .32,., found nothing"),
        (lambda t: t.update(extra=torch.zeros(2)), "'extra' has no place in this model"),
        (lambda t: t.update({"model.norm.weight": torch.ones(31)}), "must have shape .32,., found .31,."),
        (lambda t: t.update({"model.norm.weight": torch.ones(32, dtype=torch.int8)}), "must be one of F32.*found I8"),
    ],
)
def test_other_tensors_are_named(directory, change, match):
    change_tensors(directory, change)
    refuse(directory, match)


def test_a_tensor_in_two_files_is_named(directory):
    save_file({"model.norm.weight": torch.ones(32)}, directory / "model-2.safetensors")
    refuse(directory, "'model.norm.weight' is in model-2.safetensors already|is in .* already")


def test_another_family_is_named(tmp_path):
    checkpoints.build(BY_NAME["coda"], tmp_path)
    configure(tmp_path, model_type="Dream")
    refuse(tmp_path, "q_norm.weight' has no place|bias' must have shape .* found nothing")


@pytest.mark.parametrize(
    ("values", "match"),
    [
        ({"model_type": "gpt2"}, "model_type must be one of .*Dream.*found 'gpt2'"),
        ({"model_type": "llada2_moe"}, "cannot be used: a mixture of experts"),
        ({"model_type": "wedlm"}, "excludes the European Union"),
        ({"hidden_act": "gelu"}, "hidden_act must be 'silu'"),
        ({"hidden_size": "32"}, "hidden_size|must be the configuration"),
        ({"hidden_size": 0}, "sizes must be positive"),
        ({"num_key_value_heads": 0}, "sizes must be positive"),
        ({"num_attention_heads": 1 << 12, "head_dim": None}, "sizes must be positive"),
        ({"num_hidden_layers": 1 << 40}, "up to 512 layers, found 384 and 1099511627776"),
        ({"intermediate_size": 1 << 40}, "widths up to 1048576 and .*, found 1099511627776 and 2"),
        ({"rms_norm_eps": -1e-6}, "rms_norm_eps must be between 0 and 1"),
        ({"num_key_value_heads": 3}, "n_heads must be a multiple"),
        ({"vocab_size": 12}, "mask token .* must be one of 12 rows"),
        ({"rope_scaling": {"type": "linear", "factor": 2}}, "rope_type must be default or yarn"),
        ({"rope_scaling": {"type": "yarn"}}, "must be the configuration"),
        ({"quantization_config": {"bits": 4}}, "quantization_config must be None"),
        ({"use_sliding_window": True}, "use_sliding_window must be False"),
        ({"attention_layer_norm": True}, "attention_layer_norm must be False"),
        ({"layer_norm_type": "default"}, "layer_norm_type must be 'rms'"),
    ],
)
def test_a_configuration_that_would_compute_something_else_is_refused(directory, values, match):
    configure(directory, **values)
    refuse(directory, match)


@pytest.mark.parametrize("text", ["", "[]", "{", "null", '{"model_type": 3}', "[" * 100_000])
def test_a_configuration_that_is_none_is_named(directory, text):
    (directory / "config.json").write_text(text)
    refuse(directory, "config.json")


def test_a_tokenizer_without_its_mask_is_refused(directory):
    tokens = checkpoints.tokens_of(DREAM)
    del tokens["<|mask|>"]
    checkpoints.write_tokenizer(directory, tokens)
    refuse(directory, "must have a mask token, such as '<.mask.>'; found none")


def test_a_tokenizer_without_its_marks_is_refused(tmp_path):
    family = BY_NAME["stable-diffcoder"]
    checkpoints.build(family, tmp_path)
    tokens = checkpoints.tokens_of(family)
    del tokens["<[fim-suffix]>"]
    checkpoints.write_tokenizer(tmp_path, tokens)
    refuse(tmp_path, "must have the special token '<.fim-suffix.>', found none")


@pytest.mark.parametrize(
    ("change", "match"),
    [
        (lambda v: v["model"].update(type="Unigram"), "must be a byte-level BPE"),
        (lambda v: v.update(pre_tokenizer={"type": "Whitespace"}), "found another pre-tokenizer"),
        (lambda v: v["model"].update(merges=[["x", "never there"]]), "must hold a tokenizer"),
        (lambda v: v["model"]["vocab"].update({"far": 9999}), "has 384 rows, its tokenizer has a token"),
        (lambda v: v["added_tokens"].append({"content": "<far>", "id": 384}), "has a token 384"),
        (lambda v: v.update(added_tokens=[3]), "must be texts with ids"),
    ],
)
def test_another_tokenizer_is_refused(directory, change, match):
    path = directory / "tokenizer.json"
    values = json.loads(path.read_text())
    change(values)
    path.write_text(json.dumps(values))
    refuse(directory, match)


def test_no_tokenizer_at_all_is_named(directory):
    (directory / "tokenizer.json").rename(directory / "tokenizer_config.json")
    refuse(directory, "must have a mask token")


def test_code_beside_the_weights_is_not_run(directory):
    (directory / "modeling.py").write_text("raise SystemExit('ran')")
    configure(directory, auto_map={"AutoModel": "modeling.Evil"}, trust_remote_code=True)
    assert open_engine(str(directory)).parameters > 0


def test_mutated_headers_are_refused_without_much_memory(directory):
    """Flipped bytes, other lengths, cut and swapped parts, numbers that lie."""
    path = directory / "model.safetensors"
    whole = path.read_bytes()
    (length,) = struct.unpack("<Q", whole[:8])
    expected = read_header(path)
    rng = seeded(0)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    published = read_published(directory)
    refused = []
    for _ in range(int(400 * SCALE)):
        path.write_bytes(mutated(whole, length, rng))
        try:
            if read_header(path) != expected:
                check(published)
        except ModelFileError as error:
            refused.append(str(error))
    assert len(refused) > 300 * SCALE
    assert not any("\n" in message for message in refused)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 50_000


def mutated(whole, length, rng):
    data = bytearray(whole)
    kind = rng.randrange(6)
    if kind == 0:
        for _ in range(rng.randint(1, 8)):
            data[rng.randrange(8 + length)] = rng.randrange(256)
    elif kind == 1:
        data[:8] = struct.pack("<Q", rng.choice([0, 1, length - 1, length + 1, 1 << 62, rng.getrandbits(64)]))
    elif kind == 2:
        del data[rng.randrange(len(data)) :]
    elif kind == 3:
        header = bytes(data[8 : 8 + length])
        old = rng.choice([b'"F32"', b"[", b"]", b":", b"data_offsets", b"shape", b"32"])
        new = rng.choice([b'"F64"', b"-1", b"1e99", b"{}", b"[[[[", b"99999999999999999999", b'"I8"', b""])
        header = header.replace(old, new, rng.randint(1, 3))
        data = bytearray(struct.pack("<Q", len(header)) + header + whole[8 + length :])
    elif kind == 4:
        header = (b"[" * rng.randint(1, 50_000)) if rng.random() < 0.5 else b'{"a":' * rng.randint(1, 9_000)
        data = bytearray(struct.pack("<Q", len(header)) + header)
    else:
        data += bytes(rng.randint(1, 64))
    return bytes(data)
