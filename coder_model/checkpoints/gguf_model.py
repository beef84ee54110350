"""What a GGUF file is as a published model: the configuration and the tokenizer that its keys amount to."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer

from coder_model.checkpoints.gguf_header import Header
from coder_model.checkpoints.hf_tokenizer import LLAMA3_PIECE, QWEN_PIECE, byte_level_bpe
from coder_model.checkpoints.store import GGUF_SUFFIX
from coder_model.errors import ModelFileError

ARCHITECTURES = ("qwen2", "qwen3", "llama")
PIECES: Mapping[str, str] = {
    "qwen2": QWEN_PIECE, "deepseek-r1-qwen": QWEN_PIECE, "llama-bpe": LLAMA3_PIECE, "llama3": LLAMA3_PIECE,
    "llama-v3": LLAMA3_PIECE,
}  # fmt: skip
"""`tokenizer.ggml.pre` -> what it cuts (`src/llama-vocab.cpp`)."""
_SIZES = {
    "max_position_embeddings": "context_length",
    "hidden_size": "embedding_length",
    "num_hidden_layers": "block_count",
    "intermediate_size": "feed_forward_length",
    "num_attention_heads": "attention.head_count",
    "num_key_value_heads": "attention.head_count_kv",
    "head_dim": "attention.key_length",
    "rms_norm_eps": "attention.layer_norm_rms_epsilon",
    "rope_theta": "rope.freq_base",
}
"""Field of a published `config.json` -> key of a GGUF file, behind the architecture's name."""
_NORMAL = 1
"""Type of a token that text has; all others are marks or fill up the table."""


def in_folder(path: Path) -> Path | None:
    """Returns the GGUF file that a path means: itself, or the only one of a directory that holds no `config.json`.

    Raises:
        ModelFileError: when there are several.
    """
    if path.suffix == GGUF_SUFFIX and not path.is_dir():
        return path
    if (path / "config.json").exists():
        return None
    found = sorted(path.glob(f"*{GGUF_SUFFIX}"))
    if len(found) > 1:
        raise ModelFileError(
            f"{path} must hold one GGUF file, found {', '.join(file.name for file in found)}: name one"
        )
    return found[0] if found else None


def configuration(header: Header) -> dict[str, Any]:
    """Returns a GGUF file's shape in the fields of a published `config.json`.

    Raises:
        ModelFileError: when it is of an architecture that we do not compute, or one part of several.
    """
    path, values = header.path, header.values
    architecture = values.get("general.architecture")
    if architecture not in ARCHITECTURES:
        known = ", ".join(ARCHITECTURES)
        raise ModelFileError(f"{path}: general.architecture must be one of {known}, found {architecture!r}")
    if values.get("split.count", 1) not in (0, 1):
        raise ModelFileError(f"{path} must be a whole model, found one of {values['split.count']} parts")
    shape = {key.removeprefix(f"{architecture}."): value for key, value in values.items()}
    for key in ("expert_count", "attention.sliding_window"):
        if shape.get(key, 0):
            raise ModelFileError(f"{path}: {architecture}.{key} must be 0, found {shape[key]!r}")
    found = {field: shape[key] for field, key in _SIZES.items() if key in shape}
    _check_width(path, shape)
    found |= {"model_type": architecture, "vocab_size": len(_texts(header, "tokens"))}
    found |= {"tie_word_embeddings": "output.weight" not in header.tensors}
    if shape.get("rope.scaling.type", "none") != "none":
        found["rope_scaling"] = {
            "type": shape["rope.scaling.type"],
            "factor": shape.get("rope.scaling.factor"),
            "original_max_position_embeddings": shape.get("rope.scaling.original_context_length"),
        }
    if "tokenizer.ggml.mask_token_id" in values:
        found["mask_token_id"] = values["tokenizer.ggml.mask_token_id"]
    return found


def _check_width(path: Path, shape: Mapping[str, Any]) -> None:
    """A head has one width, of keys, values and rotary positions alike."""
    width, n_heads = shape.get("embedding_length"), shape.get("attention.head_count")
    whole = width // n_heads if isinstance(width, int) and isinstance(n_heads, int) and n_heads else None
    head = shape.get("attention.key_length", whole)
    others = [shape.get(key, head) for key in ("attention.value_length", "rope.dimension_count")]
    if others != [head, head]:
        raise ModelFileError(f"{path}: keys, values and rotary positions must have the width {head} of a head")


def added_tokens(header: Header) -> dict[str, int]:
    """Returns token -> id of all tokens that no text has.

    Raises:
        ModelFileError: when the file does not say which ones these are.
    """
    tokens, kinds = _texts(header, "tokens"), header.values.get("tokenizer.ggml.token_type")
    if not isinstance(kinds, tuple) or len(kinds) != len(tokens):
        raise ModelFileError(f"{header.path}: tokenizer.ggml.token_type must be a list of {len(tokens)} numbers")
    return {token: i for i, (token, kind) in enumerate(zip(tokens, kinds, strict=True)) if kind != _NORMAL}


def tokenizer_of(header: Header) -> Tokenizer:
    """Returns the byte-level BPE of a GGUF file, without its added tokens.

    Raises:
        ModelFileError: when it has another tokenizer, or cuts text in a way that we do not know.
    """
    values = header.values
    if values.get("tokenizer.ggml.model") != "gpt2":
        found = values.get("tokenizer.ggml.model")
        raise ModelFileError(f"{header.path}: tokenizer.ggml.model must be 'gpt2', a byte-level BPE, found {found!r}")
    piece = PIECES.get(str(values.get("tokenizer.ggml.pre")))
    if piece is None:
        raise ModelFileError(
            f"{header.path}: tokenizer.ggml.pre must be one of {', '.join(PIECES)}, "
            f"found {values.get('tokenizer.ggml.pre')!r}"
        )
    added = added_tokens(header)
    vocabulary = {token: i for i, token in enumerate(_texts(header, "tokens")) if token not in added}
    pairs = [(left, right) for left, _, right in (merge.partition(" ") for merge in _texts(header, "merges"))]
    return byte_level_bpe(vocabulary, pairs, piece, ignore_merges=piece is LLAMA3_PIECE)


def _texts(header: Header, kind: str) -> list[str]:
    key = f"tokenizer.ggml.{kind}"
    texts = header.values.get(key)
    if not isinstance(texts, list) or not texts:
        raise ModelFileError(f"{header.path}: {key} must be a list of texts")
    return texts
