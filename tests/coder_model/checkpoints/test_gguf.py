"""GGUF files: the same model as transformers has, from one file, in every type, and in few seconds for a real one."""

import shutil

import checkpoints
import gguf_files
import llama_greedy
import pytest
import torch
from checkpoints import causal_logits, some_tokens
from gguf_files import FAMILY
from hypothesis import given
from hypothesis import strategies as st

from coder_kernels.ggml_blocks import FORMATS
from coder_kernels.quantise import dequantise
from coder_model.checkpoints.hf_config import is_published, read_published
from coder_model.checkpoints.loading import bytes_of, check, load_weights
from coder_model.checkpoints.open import open_engine
from coder_model.checkpoints.precisions import WEIGHT_PRECISIONS
from coder_model.checkpoints.store import locate
from coder_model.errors import ModelFileError
from coder_model.model import weights
from coder_model.types import FillRequest


def same_logits(independent, path):
    tokens = some_tokens(45)
    with torch.inference_mode():
        expected = independent(torch.tensor([tokens])).logits[0]
        found = causal_logits(load_weights(read_published(path), "float32").model, tokens)
    # scores of up to 100 in float32
    torch.testing.assert_close(found, expected, atol=1e-5 * float(expected.abs().max()), rtol=1e-4)


@pytest.mark.parametrize("tied", [False, True])
@pytest.mark.parametrize("architecture", FAMILY)
def test_logits_equal_those_of_an_independent_model(tmp_path, architecture, tied):
    path = tmp_path / "a model.gguf"
    same_logits(gguf_files.build(architecture, path, tied=tied), path)
    published = read_published(path)
    assert published.family.name == FAMILY[architecture].name
    assert published.config.context_tokens == 512


@pytest.mark.parametrize("architecture", FAMILY)
@torch.inference_mode()
def test_llama_cpp_says_what_we_say(tmp_path, architecture):
    path = tmp_path / "x.gguf"
    gguf_files.build(architecture, path)
    greedy, model = llama_greedy.server(path), load_weights(read_published(path), "float32").model
    n_said = 0
    for seed in range(20):
        for token, chance in greedy(some_tokens(30, seed), 1):
            n_said += 1
            found = causal_logits(model, some_tokens(30, seed))[-1].log_softmax(-1)
            # its keys and values are float16
            assert abs(float(found[token]) - chance) < 0.1
            assert float(found.max() - found[token]) < 0.1
    assert n_said > 10


@pytest.mark.parametrize("kind", FORMATS)
def test_logits_are_equal_in_every_type(tmp_path, kind):
    same_logits(gguf_files.build("qwen2", tmp_path / "x.gguf", kind), tmp_path / "x.gguf")


@pytest.mark.parametrize("architecture", FAMILY)
def test_a_type_of_few_bits_fits_every_architecture(tmp_path, architecture):
    same_logits(gguf_files.build(architecture, tmp_path / "x.gguf", "Q5_0"), tmp_path / "x.gguf")


@pytest.mark.parametrize("alignment", [8, 4096])
def test_tensors_may_be_aligned_otherwise(tmp_path, alignment):
    same_logits(gguf_files.build("qwen2", tmp_path / "x.gguf", alignment=alignment), tmp_path / "x.gguf")


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    path = tmp_path_factory.mktemp("gguf") / "tiny.gguf"
    gguf_files.build("qwen2", path, "Q4_K")
    return path


@pytest.mark.parametrize("precision", WEIGHT_PRECISIONS)
@torch.inference_mode()
def test_every_precision_comes_from_one_file(file, precision):
    published = read_published(file)
    model = load_weights(published, precision).model
    table = 2 * model.config.vocab_size * model.config.d_model if precision in ("int8", "grouped") else 0
    state = model.state_dict()
    offsets = sum(state[name].nbytes for name in state if name.endswith(".offset")) if precision == "grouped" else 0
    assert sum(tensor.nbytes for tensor in state.values()) == bytes_of(model.config, precision) - table + offsets
    exact = causal_logits(load_weights(published, "float32").model, some_tokens(24))
    error = (causal_logits(model, some_tokens(24)).float() - exact).norm() / exact.norm()
    assert error <= {"float32": 0, "bfloat16": 0.05, "int8": 0.06, "grouped": 0.05, "fp8": 0.25, "int4": 0.6}[precision]


@pytest.mark.parametrize("eight", ["int8", "grouped"])
@torch.inference_mode()
def test_the_table_stays_in_the_file_and_the_head_of_a_tied_one_has_eight_bits(tmp_path, eight):
    path = tmp_path / "tied.gguf"
    gguf_files.build("llama", path, "Q8_0", tied=True)
    published = read_published(path)
    exact, model = (load_weights(published, precision).model for precision in ("float32", eight))
    tokens = some_tokens(24)
    rows = torch.tensor([tokens])
    assert torch.equal(model.embed_tokens(rows), exact.embed_tokens(rows).bfloat16())
    assert model.embed_tokens.weight.numel() == 0
    head = model.lm_head.weight()
    error, step = (dequantise(head, torch.float32) - exact.embed_tokens.weight).abs(), head.scale.flatten(1).amax(1)
    assert (error <= 0.5001 * step[:, None]).all() if eight == "int8" else not error.any()
    engine = open_engine(str(path), quantize=eight)
    assert engine.parameters == weights.parameters(published.config)


def test_progress_rises_to_the_end(file):
    shares = []
    load_weights(read_published(file), "bfloat16", progress=shares.append)
    assert shares == sorted(shares)
    assert shares[-1] == 1.0


def test_an_engine_fills_from_a_file_and_from_the_directory_of_one(file):
    for model in (file, file.parent):
        assert is_published(model)
        assert locate(str(model)) == (model, "")
        engine = open_engine(str(model))
        *_, last = engine.fill(FillRequest("s", checkpoints.TEXT, "\n", path="a.py"))
        assert last.final


def test_a_directory_with_a_configuration_is_not_taken_for_the_file_beside_it(file, tmp_path):
    checkpoints.build(checkpoints.BY_NAME["dream"], tmp_path)
    shutil.copy(file, tmp_path / "x.gguf")
    assert read_published(tmp_path).family.name == "dream"


def test_a_directory_with_several_files_asks_for_one(file, tmp_path):
    for name in ("a.gguf", "b.gguf"):
        shutil.copy(file, tmp_path / name)
    with pytest.raises(ModelFileError, match=r"must hold one GGUF file, found a.gguf, b.gguf: name one"):
        open_engine(str(tmp_path))


@pytest.mark.parametrize("name", ["x.gguf", "x.bin"])
def test_a_model_that_is_not_there_is_named(tmp_path, name):
    with pytest.raises(ModelFileError, match=rf"{name} must be a directory, a .gguf file, or a name of .*; found none"):
        open_engine(str(tmp_path / name))


@pytest.mark.parametrize("architecture", FAMILY)
@given(text=st.text(st.sampled_from("ab_ (){}:=.,'\"/\n\r\t0123é中 \u0301"), max_size=40) | st.text(max_size=20))
def test_text_is_cut_as_the_tokenizer_of_the_file_cuts_it(made, architecture, text):
    plain, ours = made[architecture]
    assert ours.encode(text) == plain.encode(text).ids
    assert ours.decode(ours.encode(text)) == text


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Per architecture the tokenizer that a file was written from, and ours of the file."""
    kept = {}
    for architecture in FAMILY:
        path = tmp_path_factory.mktemp("gguf") / f"{architecture}.gguf"
        gguf_files.build(architecture, path)
        plain = gguf_files.plain_tokenizer(architecture)
        kept[architecture] = plain, load_weights(read_published(path), "float32").tokenizer
    return kept


@pytest.mark.parametrize("architecture", FAMILY)
def test_no_text_is_encoded_to_a_mark(made, architecture):
    _, ours = made[architecture]
    for token, number in checkpoints.tokens_of(FAMILY[architecture]).items():
        assert number not in ours.encode(f"x = '{token}'\n")
        assert ours.token_bytes[number] == b""


def test_rotary_positions_may_be_stretched(tmp_path):
    keys = [
        ("add_rope_scaling_type", [gguf_files.gguf.RopeScalingType.YARN]),
        ("add_rope_scaling_factor", [4.0]),
        ("add_rope_scaling_orig_ctx_len", [128]),
    ]
    gguf_files.build("qwen2", tmp_path / "x.gguf", keys=keys)
    config = read_published(tmp_path / "x.gguf").config
    assert (config.yarn.factor, config.yarn.original_context, config.context_tokens) == (4.0, 128, 128)


@pytest.mark.parametrize(
    ("keys", "without", "match"),
    [
        ([("add_expert_count", [8])], [], "qwen2.expert_count must be 0, found 8"),
        ([("add_sliding_window", [64])], [], "sliding_window must be 0"),
        ([("add_value_length", [16])], [], "must have the width 64 of a head"),
        ([("add_rope_dimension_count", [16])], [], "must have the width 64 of a head"),
        ([("add_uint16", ["split.count", 3])], [], "must be a whole model, found one of 3 parts"),
        ([("add_rope_scaling_type", [gguf_files.gguf.RopeScalingType.LINEAR])], [], "must be default or yarn"),
        ([("add_rope_scaling_type", [gguf_files.gguf.RopeScalingType.YARN])], [], "must be the configuration"),
        ([], ["general.architecture"], "general.architecture must be one of qwen2, qwen3, llama, found None"),
        ([], ["qwen2.embedding_length"], "must be the configuration of a qwen2.5-coder model: .*hidden_size"),
        ([], ["tokenizer.ggml.tokens"], "tokenizer.ggml.tokens must be a list of texts"),
        ([], ["tokenizer.ggml.merges"], "tokenizer.ggml.merges must be a list of texts"),
        ([], ["tokenizer.ggml.token_type"], "token_type must be a list of 384 numbers"),
        ([], ["tokenizer.ggml.pre"], "tokenizer.ggml.pre must be one of qwen2, .*found None"),
        ([], ["tokenizer.ggml.model"], "tokenizer.ggml.model must be 'gpt2', .* found None"),
    ],
)
def test_a_model_that_would_compute_something_else_is_refused(tmp_path, keys, without, match):
    path = tmp_path / "x.gguf"
    gguf_files.build("qwen2", path, keys=keys, without=without)
    with pytest.raises(ModelFileError, match=match) as caught:
        check(read_published(path))
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_another_shape_than_the_keys_say_is_refused(tmp_path):
    path = tmp_path / "x.gguf"
    gguf_files.build("qwen2", path, keys=[("add_uint32", ["qwen2.attention.key_length", 32])])
    with pytest.raises(ModelFileError, match="attn_q.weight' must have shape .* found"):
        check(read_published(path))


def test_a_family_without_its_marks_is_refused(tmp_path):
    path = tmp_path / "x.gguf"
    gguf_files.build("qwen2", path)
    path.write_bytes(path.read_bytes().replace(b"<|fim_suffix|>", b"<|fim_notfix|>"))
    with pytest.raises(ModelFileError, match="must have the special token '<.fim_suffix.>', found none"):
        read_published(path)
