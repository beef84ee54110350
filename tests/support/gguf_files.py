"""Tiny random models as GGUF files, as llama.cpp's converter would write them, and where real ones may lie."""

import os
from pathlib import Path

import checkpoints
import gguf
import numpy as np
import pytest
import torch
from checkpoints import BY_NAME

REAL = "qwen2.5-coder-0.5b-instruct-q4_k_m.gguf"
FAMILY = {"qwen2": BY_NAME["qwen2.5-coder"], "qwen3": BY_NAME["qwen3"], "llama": BY_NAME["llama"]}
PRE = {"qwen2": "qwen2", "qwen3": "qwen2", "llama": "llama-bpe"}
SIZES = {"hidden_size": 256, "intermediate_size": 512}
"""Rows of whole blocks, whatever the type."""
NORMAL, CONTROL, UNUSED = 1, 3, 5


def real_file():
    """The real 0.5B, or a skip."""
    folder = Path(os.environ["UNMASK_TEST_WEIGHTS"])
    if not (folder / REAL).exists():
        pytest.skip(f"{REAL} is not in {folder}; UNMASK_TEST_WEIGHTS names another folder")
    return folder / REAL


def build(architecture, path, kind="F32", tied=False, keys=(), without=(), alignment=32, **other_sizes):
    """Writes a model, its matrices in a type of ggml; returns transformers' model of the same values.

    Args:
        architecture: a key of `FAMILY`.
        path: of the file.
        kind: type of the matrices.
        tied: leave the head out.
        keys: (name of a method of the writer, its arguments) of more keys.
        without: keys that are left out.
        alignment: of the tensors.
        other_sizes: of transformers' configuration.
    """
    family = FAMILY[architecture]
    model = checkpoints.reference(family, {**checkpoints.SIZES, **SIZES, **other_sizes, "tie_word_embeddings": tied})
    writer = gguf.GGUFWriter(path, architecture)
    if alignment != 32:
        writer.add_custom_alignment(alignment)
    add_shape(writer, model.config, architecture)
    add_tokenizer(writer, architecture)
    for method, arguments in keys:
        getattr(writer, method)(*arguments)
    for key in without:
        for values in writer.kv_data:
            values.pop(key, None)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            add_tensor(writer, name, parameter, kind, model.config, architecture)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return model


def add_shape(writer, config, architecture):
    writer.add_context_length(512)
    writer.add_embedding_length(config.hidden_size)
    writer.add_block_count(config.num_hidden_layers)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(config.num_attention_heads)
    writer.add_head_count_kv(config.num_key_value_heads)
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    writer.add_rope_freq_base(10_000.0)
    if architecture == "qwen3":
        writer.add_key_length(config.head_dim)
        writer.add_value_length(config.head_dim)
    if architecture == "llama":
        writer.add_rope_dimension_count(config.hidden_size // config.num_attention_heads)


def add_tokenizer(writer, architecture):
    plain = plain_tokenizer(architecture)
    tokens = [plain.id_to_token(i) or f"[PAD{i}]" for i in range(checkpoints.VOCAB)]
    kinds = [NORMAL if plain.id_to_token(i) else UNUSED for i in range(checkpoints.VOCAB)]
    for token, i in checkpoints.tokens_of(FAMILY[architecture]).items():
        tokens[i], kinds[i] = token, CONTROL
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre(PRE[architecture])
    writer.add_token_list(tokens)
    writer.add_token_types(kinds)
    writer.add_token_merges(merges_of(plain))
    writer.add_eos_token_id(tokens.index(FAMILY[architecture].end[0]))


def plain_tokenizer(architecture):
    """What the file's tokenizer was made from."""
    from coder_model.checkpoints.hf_tokenizer import LLAMA3_PIECE, QWEN_PIECE

    return checkpoints.plain_tokenizer(LLAMA3_PIECE if architecture == "llama" else QWEN_PIECE)


def merges_of(tokenizer):
    import json

    return [
        pair if isinstance(pair, str) else " ".join(pair) for pair in json.loads(tokenizer.to_str())["model"]["merges"]
    ]


NAMES = {
    "embed_tokens": "token_embd", "norm": "output_norm", "lm_head": "output", "input_layernorm": "attn_norm",
    "post_attention_layernorm": "ffn_norm", "self_attn.q_proj": "attn_q", "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v", "self_attn.o_proj": "attn_output", "self_attn.q_norm": "attn_q_norm",
    "self_attn.k_norm": "attn_k_norm", "mlp.gate_proj": "ffn_gate", "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
}  # fmt: skip
"""transformers' name of a part -> llama.cpp's, written out."""


def add_tensor(writer, name, parameter, kind, config, architecture):
    """Adds a tensor as the converter does, and makes the model hold what the file then says."""
    owner, _, field = name.removeprefix("model.").rpartition(".")
    layer = ""
    if owner.startswith("layers."):
        _, number, owner = owner.split(".", 2)
        layer = f"blk.{number}."
    values = parameter.numpy().copy()
    heads = {"self_attn.q_proj": config.num_attention_heads, "self_attn.k_proj": config.num_key_value_heads}
    if architecture == "llama" and owner in heads:
        # convert_hf_to_gguf.py, LlamaModel.permute
        n_heads = heads[owner]
        values = values.reshape(n_heads, 2, values.shape[0] // n_heads // 2, -1).swapaxes(1, 2).reshape(values.shape)
    dtype = gguf.GGMLQuantizationType[kind if values.ndim == 2 else "F32"]
    stored = quantised(values, dtype)
    writer.add_tensor(f"{layer}{NAMES[owner]}.{field}", stored, raw_dtype=dtype)
    exact = gguf.quants.dequantize(stored, dtype).reshape(values.shape)
    if architecture == "llama" and owner in heads:
        exact = exact.reshape(n_heads, values.shape[0] // n_heads // 2, 2, -1).swapaxes(1, 2).reshape(values.shape)
    parameter.copy_(torch.from_numpy(np.ascontiguousarray(exact)))


def quantised(values, dtype):
    """Blocks of a type; those that the package cannot write have random levels with small scales."""
    try:
        return gguf.quants.quantize(values, dtype)
    except NotImplementedError:
        return random_blocks(values.shape, dtype, np.random.default_rng(values.size))


def random_blocks(shape, dtype, rng):
    """Bytes [rows, bytes of a row] of blocks with random levels; their float16 scales are finite and about 0.001."""
    length, n_bytes = gguf.GGML_QUANT_SIZES[dtype]
    blocks = rng.integers(0, 256, (shape[0] * shape[1] // length, n_bytes), dtype=np.uint8)
    halves = {"Q6_K": [208], "Q4_K": [0, 2], "Q5_K": [0, 2], "Q4_1": [0, 2], "Q5_1": [0, 2]}.get(dtype.name, [0])
    for start in halves:
        scales = (rng.random(len(blocks)) * 0.002 + 1e-4).astype(np.float16)
        blocks[:, start : start + 2] = scales.view(np.uint8).reshape(-1, 2)
    return blocks.reshape(shape[0], -1)
