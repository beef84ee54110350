"""Weights that are prepared for this machine: the same model again, and made anew where they are not what they were."""

import json
import shutil
from dataclasses import replace

import gguf_files
import pytest
import torch

from coder_kernels.cpu import processor
from coder_model.checkpoints import prepared, prepared_files
from coder_model.checkpoints.hf_config import read_published
from coder_model.checkpoints.loading import load_weights
from coder_model.model.adapter_files import StoredAdapter
from coder_model.model.checksum import network_checksum
from coder_model.model.fused_transformer import fuse

CPU = torch.device("cpu")

pytestmark = pytest.mark.skipif(not processor.lanes(), reason="this processor multiplies no weights in groups")


@pytest.fixture
def file(tmp_path, monkeypatch):
    """A model's file, and a cache folder of its own."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    gguf_files.build("qwen2", tmp_path / "tiny.gguf", "Q8_0")
    return tmp_path / "tiny.gguf"


def load(file, adapter=None):
    return prepared.load(published(file), "grouped", CPU, adapter=adapter)


def published(file):
    found = read_published(file, "")
    return replace(found, config=replace(found.config, context_tokens=256))


def kept():
    return sorted(prepared_files.folder().glob("*"))


def answer(loaded):
    return network_checksum(fuse(loaded.model, 256, "grouped"))


def plain(file):
    return answer(load_weights(published(file), "grouped", CPU))


def test_what_is_mapped_answers_as_what_was_made(file):
    first, again = load(file), load(file)
    assert len(kept()) == 1
    assert answer(first) == answer(again) == plain(file)


def test_the_second_time_nothing_is_made(file, monkeypatch):
    load(file)
    monkeypatch.setattr(prepared, "load_weights", None)
    shares = []
    again = prepared.load(published(file), "grouped", CPU, shares.append)
    assert shares == [1.0]
    assert again.tokenizer.encode("x = 1")


def test_vectors_of_weights_begin_where_a_line_of_the_cache_does(file):
    load(file)
    model = load(file).model
    for layer in model.layers:
        for weight in (layer.weights.qkv, layer.weights.out, layer.weights.gate_up, layer.weights.down):
            assert weight.values.data_ptr() % 64 == 0
    assert model.lm_head.packed.values.data_ptr() % 64 == 0


def test_another_file_of_the_same_name_is_prepared_anew_and_the_old_one_goes(file):
    load(file)
    before = kept()
    gguf_files.build("qwen2", file, "Q5_0")
    assert answer(load(file)) == plain(file)
    assert len(kept()) == 1
    assert kept() != before


def test_an_adapter_has_weights_of_its_own(file):
    without = answer(load(file))
    change = {
        "layers.0.mlp.down_proj.up": torch.randn(256, 2),
        "layers.0.mlp.down_proj.down": torch.randn(2, 512),
    }
    adapter = StoredAdapter(change, torch.ones(256))
    changed = answer(load(file, adapter))
    assert changed != without
    assert changed == answer(load(file, adapter))
    assert answer(load(file)) == without


@pytest.mark.parametrize("damage", ["empty", "half", "no header", "another norm", "zeros"])
def test_a_damaged_file_is_made_again(file, damage, caplog):
    expected = answer(load(file))
    (path,) = kept()
    content = path.read_bytes()
    start = 8 + int.from_bytes(content[:8], "little")
    changed = {
        "empty": b"",
        "half": content[: len(content) // 2],
        "no header": b"\xff" * 64 + content,
        "another norm": content[:start] + content[start:].replace(content[-512:], b"\x3f" * 512),
        "zeros": content[:start] + bytes(len(content) - start),
    }[damage]
    path.write_bytes(changed)
    assert answer(load(file)) == expected
    assert path.read_bytes() == content
    assert "made again" in caplog.text


@pytest.mark.parametrize(
    "name", ["layers.0.qkv.values", "layers.1.down.scale", "layers.0.first_norm", "lm_head.values"]
)
def test_a_shape_that_is_not_the_models_is_never_multiplied(file, name):
    expected = answer(load(file))
    (path,) = kept()
    content = path.read_bytes()
    length = int.from_bytes(content[:8], "little")
    header = json.loads(content[8 : 8 + length])
    # as many numbers, in another shape: the file is a sound one
    header[name]["shape"] = [1, *header[name]["shape"]]
    text = json.dumps(header).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text + content[8 + length :])
    assert answer(load(file)) == expected


def test_a_disk_without_room_costs_the_file_and_nothing_else(file, monkeypatch, caplog):
    full = shutil.disk_usage(file)._replace(free=1000)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: full)
    assert answer(load(file)) == plain(file)
    assert not kept()
    assert "nearly full" in caplog.text


def test_a_folder_that_cannot_be_written_costs_nothing_else(file, tmp_path, caplog):
    (tmp_path / "cache").write_text("no folder")
    assert answer(load(file)) == plain(file)
    assert "cannot be written" in caplog.text


def test_what_belongs_to_a_file_goes_with_it(file):
    load(file)
    (path,) = kept()
    n_bytes = path.stat().st_size
    assert prepared_files.forget(file) == n_bytes
    assert not kept()
    assert prepared_files.forget(file) == 0
