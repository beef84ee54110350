"""What a GGUF file may hold by accident or malice: one clear line, soon, and in little memory."""

import os
import resource
import struct
import time

import gguf_files
import pytest
import torch
from scale import SCALE, seeded

from coder_model.checkpoints.gguf_header import MAX_ITEMS, read_gguf
from coder_model.checkpoints.hf_config import read_published
from coder_model.checkpoints.loading import check, load_weights
from coder_model.checkpoints.open import open_engine
from coder_model.errors import ModelFileError
from coder_model.types import FillRequest

ABSURD = [0, 1, 2, 255, 1 << 16, (1 << 20) + 1, 1 << 31, (1 << 32) - 1, 1 << 48, 1 << 62, (1 << 64) - 1]


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    path = tmp_path_factory.mktemp("gguf") / "whole.gguf"
    gguf_files.build("qwen2", path, "Q4_K", num_hidden_layers=1)
    return path.read_bytes()


@pytest.fixture
def path(tmp_path, whole):
    path = tmp_path / "x.gguf"
    path.write_bytes(whole)
    return path


def refuse(path, match):
    with pytest.raises(ModelFileError, match=match) as caught:
        check(read_published(path))
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("size", [0, 3, 23, 24, 40, 500, 5000, -1, -4000])
def test_a_truncated_file_is_named(path, whole, size):
    path.write_bytes(whole[:size])
    refuse(path, "must be a (whole )?GGUF file")


def test_a_file_that_is_none_is_named(path):
    path.write_bytes(b"PK\x03\x04" + bytes(100))
    refuse(path, r"must be a GGUF file, found one that begins with b'PK.x03.x04'")


def test_a_pipe_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "x.gguf")
    refuse(tmp_path / "x.gguf", "must be a GGUF file, found something else")


def test_a_file_that_may_not_be_read_is_named(path):
    path.unlink()
    path.symlink_to(path.with_name("nowhere.gguf"))
    refuse(path, "must be a GGUF file, found nothing")


@pytest.mark.parametrize(
    ("at", "value", "match"),
    [
        (4, struct.pack("<I", 1), "version must be 2 or 3, little-endian, found 1"),
        (4, struct.pack(">I", 3), "version must be 2 or 3, little-endian, found 50331648"),
        (8, struct.pack("<Q", 0), "must have 1 to 65536 tensors"),
        (8, struct.pack("<Q", 1 << 60), "must have 1 to 65536 tensors"),
        (16, struct.pack("<Q", 1 << 60), "at most 16384 keys"),
        (24, struct.pack("<Q", 1 << 60), "header must go on for 1152921504606846976 bytes"),
    ],
)
def test_absurd_counts_are_named(path, whole, at, value, match):
    path.write_bytes(whole[:at] + value + whole[at + len(value) :])
    refuse(path, match)


def replaced(whole, key, kind, old_length, value):
    """The file with another value of a key, which begins with its type."""
    at = whole.index(key) + len(key)
    assert struct.unpack_from("<I", whole, at) == (kind,)
    return whole[: at + 4] + value + whole[at + 4 + old_length :]


@pytest.mark.parametrize(
    ("count", "match"),
    [
        (MAX_ITEMS + 1, "must have at most 1048576 items"),
        (1 << 60, "must have at most 1048576 items"),
        (MAX_ITEMS, "must fit into what is left"),
    ],
)
def test_a_list_longer_than_the_file_is_not_begun(path, whole, count, match):
    texts = replaced(whole, b"tokenizer.ggml.tokens", 9, 12, struct.pack("<IQ", 8, count))
    path.write_bytes(texts)
    refuse(path, match)


@pytest.mark.parametrize("count", [MAX_ITEMS, 1 << 60])
def test_numbers_beyond_the_file_are_not_made(path, whole, count):
    path.write_bytes(replaced(whole, b"tokenizer.ggml.token_type", 9, 12, struct.pack("<IQ", 5, count)))
    refuse(path, "must go on for|at most 1048576 items")


@pytest.mark.parametrize("kind", [9, 13, 1 << 31])
def test_lists_of_lists_and_unknown_types_are_refused(path, whole, kind):
    path.write_bytes(replaced(whole, b"tokenizer.ggml.token_type", 9, 4, struct.pack("<I", kind)))
    refuse(path, "must be of a type of GGUF, found type")


@pytest.mark.parametrize("alignment", [0, 3, 1 << 20])
def test_another_alignment_is_refused(tmp_path, alignment):
    gguf_files.build("qwen2", tmp_path / "x.gguf", keys=[("add_uint32", ["general.alignment", alignment])])
    refuse(tmp_path / "x.gguf", "general.alignment must be a power of two up to 65536")


@pytest.mark.parametrize(
    ("field", "value", "match"),
    [
        ("dimensions", 0, "must have 1 to 4 dimensions, found 0"),
        ("dimensions", 1 << 31, "must have 1 to 4 dimensions"),
        ("columns", 1 << 60, "must have lengths from 1 to"),
        ("columns", 0, "must have lengths from 1 to"),
        ("columns", 1 << 48, "cut off, or damaged"),
        ("columns", 257, "must have rows of a multiple of 256 in Q4_K"),
        ("type", 10, "must be one of F32, .*, found Q2_K"),
        ("type", 99, "must be one of F32, .*, found type 99"),
        ("offset", 32, "cut off, or damaged"),
        ("offset", 1 << 63, "cut off, or damaged"),
    ],
)
def test_a_tensor_that_lies_is_named(path, whole, field, value, match):
    name = b"blk.0.ffn_up.weight"
    at = whole.index(name) + len(name)
    place, form = {"dimensions": (0, "<I"), "columns": (4, "<Q"), "type": (20, "<I"), "offset": (24, "<Q")}[field]
    data = bytearray(whole)
    struct.pack_into(form, data, at + place, value)
    path.write_bytes(data)
    refuse(path, match)


def test_a_tensor_or_key_that_is_there_twice_is_named(path, whole):
    path.write_bytes(whole.replace(b"blk.0.attn_k.weight", b"blk.0.attn_q.weight"))
    refuse(path, "tensor 'blk.0.attn_q.weight' must be there once")
    path.write_bytes(whole.replace(b"qwen2.block_count", b"qwen2.block_cound").replace(b"qwen2.block_cound", b"x" * 17))
    refuse(path, "must be the configuration")
    path.write_bytes(
        whole.replace(b"tokenizer.ggml.pre", b"tokenizer.ggml.prf").replace(b"general.file_type", b"y" * 17)
    )
    refuse(path, "tokenizer.ggml.pre must be one of")


def test_a_name_that_is_no_text_is_named(path, whole):
    path.write_bytes(whole.replace(b"blk.0.attn_k.weight", b"blk.0.attn_\xff.weight"))
    refuse(path, "must be a whole GGUF file: 'utf-8'")


def test_a_tensor_of_another_family_is_named(path, whole):
    path.write_bytes(whole.replace(b"blk.0.attn_k.weight", b"blk.0.attn_z.weight"))
    refuse(path, "'blk.0.attn_k.weight' must have shape .* found nothing")


def test_a_merge_that_makes_no_token_is_named(path, whole):
    path.write_bytes(whole.replace(b"r e", b"r r"))
    refuse(path, "a merge must make a token of two tokens, found .*r' and 'r")


@pytest.mark.parametrize("kind", [6, 7])
def test_a_number_of_another_type_is_named(path, whole, kind):
    path.write_bytes(replaced(whole, b"qwen2.embedding_length", 4, 4, struct.pack("<If", kind, float("nan"))[:4]))
    refuse(path, "must be the configuration of a qwen2.5-coder model|GGUF file")


def test_a_file_that_shrinks_after_its_header_was_read_is_named(path, whole):
    published = read_published(path)
    path.write_bytes(whole[:-5000])
    with pytest.raises(ModelFileError, match="must be as it was when its header was read"):
        load_weights(published, "float32")
    path.unlink()
    with pytest.raises(ModelFileError, match="must be a readable GGUF file"):
        load_weights(published, "float32")


@pytest.mark.parametrize("precision", ["bfloat16", "int8"])
def test_a_file_that_is_deleted_while_it_is_loaded_is_loaded_all_the_same(path, precision):
    model = load_weights(read_published(path), precision, progress=lambda _: path.unlink(missing_ok=True)).model
    assert not path.exists()
    assert model.embed_tokens(torch.tensor([5])).isfinite().all()


def test_a_file_that_is_cut_while_it_is_used_is_named(path):
    """Not a signal that ends the process, as from a mapped file."""
    engine = open_engine(str(path), quantize="int8")
    os.truncate(path, 100)
    with pytest.raises(ModelFileError, match="it is shorter now"):
        list(engine.fill(FillRequest("s", "def f(", ")", path="a.py")))


def test_a_file_that_is_deleted_while_it_is_used_is_used_on(path):
    engine = open_engine(str(path), quantize="int8")
    path.unlink()
    assert list(engine.fill(FillRequest("s", "def f(", ")", path="a.py")))[-1].final


def test_mutated_headers_are_refused_soon_and_without_much_memory(path, whole):
    """10,000 with `UNMASK_SCALE=25`."""
    expected = read_gguf(path)
    header = min(block.start for block in expected.tensors.values())
    rng = seeded(0)
    read_published(path)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    slowest, refused = 0.0, []
    for _ in range(int(400 * SCALE)):
        path.write_bytes(mutated(whole, header, rng))
        began = time.process_time()
        try:
            check(read_published(path))
        except ModelFileError as error:
            refused.append(str(error))
        slowest = max(slowest, time.process_time() - began)
    # a flipped letter of a token is another vocabulary, as good as the first
    assert len(refused) > 200 * SCALE
    assert not any("\n" in message for message in refused)
    assert slowest < 5
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 50_000


def mutated(whole, header, rng):
    data = bytearray(whole)
    kind = rng.randrange(6)
    if kind == 0:
        for _ in range(rng.randint(1, 8)):
            data[rng.randrange(header)] = rng.randrange(256)
    elif kind == 1:
        struct.pack_into("<Q", data, rng.randrange(4, header - 8), rng.choice(ABSURD))
    elif kind == 2:
        del data[rng.randrange(len(data)) :]
    elif kind == 3:
        key = rng.choice([b"qwen2.", b"tokenizer.ggml.", b"blk.0.", b"general."])
        places = [at for at in range(header) if data.startswith(key, at)]
        at = rng.choice(places) + rng.randint(0, 40)
        data[at : at + rng.choice([1, 2, 4, 8])] = rng.randbytes(rng.choice([1, 2, 4, 8]))
    elif kind == 4:
        start, end = sorted(rng.randrange(24, header) for _ in range(2))
        data[start:end] = rng.choice([b"", bytes(end - start), b"\xff" * (end - start), data[24 : 24 + end - start]])
    else:
        struct.pack_into("<I", data, rng.randrange(4, header - 4), rng.choice(ABSURD) & 0xFFFFFFFF)
    return bytes(data)
