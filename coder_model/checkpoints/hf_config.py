"""What published weights are: family, shape and special tokens, from a directory's JSON files or a GGUF file's keys."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import msgspec

from coder_model.checkpoints import gguf_model
from coder_model.checkpoints.families import FAMILIES, UNSUPPORTED, Family
from coder_model.checkpoints.gguf_header import Header, read_gguf
from coder_model.checkpoints.hf_tokenizer import added_tokens, mask_token, read_json
from coder_model.checkpoints.weight_names import GGUF, Names
from coder_model.errors import ModelFileError
from coder_model.model.config import ModelConfig, Yarn
from coder_model.prompt.tokenizer import SpecialTokens


class _Sizes(msgspec.Struct, frozen=True):
    """The fields of a published `config.json` that change what the transformer computes; all others are ignored."""

    vocab_size: int
    hidden_size: int
    num_hidden_layers: int
    num_attention_heads: int
    intermediate_size: int
    num_key_value_heads: int | None = None
    head_dim: int | None = None
    rms_norm_eps: float = 1e-6
    rope_theta: float | None = None
    rope_scaling: dict[str, Any] | None = None
    rope_parameters: dict[str, Any] | None = None
    tie_word_embeddings: bool | None = None
    attention_bias: bool | None = None
    hidden_act: str = "silu"
    mask_token_id: int | None = None
    max_position_embeddings: int = 1 << 20
    block_size: int | None = None
    bd_size: int | None = None


MAX_WIDTH, MAX_LAYERS = 1 << 20, 512
"""No dense model has a quarter of it."""
_NEVER_OTHERWISE: Mapping[str, Any] = {
    "use_sliding_window": False, "quantization_config": None, "scale_logits": False, "input_emb_norm": False,
    "attention_layer_norm": False, "alibi": False, "clip_qkv": None, "include_qkv_bias": False, "mlp_bias": False,
    "layer_norm_type": "rms", "block_type": "llama",
}  # fmt: skip
"""Fields of one family or another that would make it another transformer; what is not there is as it must be."""


@dataclass(frozen=True, slots=True)
class Published:
    """A checkpoint as its files describe it; the weights are not read."""

    path: Path
    """A directory, or a GGUF file."""
    family: Family
    config: ModelConfig
    special_tokens: SpecialTokens
    tokens: Mapping[str, int]
    """Added token -> id."""
    names: Names
    """What its files call its tensors."""
    header: Header | None = None
    """Header of the GGUF file that holds the whole model; None for a directory."""


def is_published(path: Path) -> bool:
    """Returns whether a GGUF file or a model directory is published weights, not the project's own.

    Raises:
        ModelFileError: when a directory holds several GGUF files.
    """
    return gguf_model.in_folder(path) is not None or _has_configuration(path)


def _has_configuration(directory: Path) -> bool:
    values = read_json(directory / "config.json", {})
    return isinstance(values, dict) and "model_type" in values


def read_published(path: Path, family_name: str = "") -> Published:
    """Reads what published weights say of themselves.

    Args:
        path: a GGUF file, a directory that holds one, or one that holds `config.json` and the tokenizer.
        family_name: a name of `FAMILIES`, where the files leave it open; else it is found by them.

    Raises:
        ModelFileError: when a file is missing or broken, or the model cannot be used: says what was found, what was
            expected, and for a known kind why.
    """
    file = gguf_model.in_folder(path)
    if file is None:
        where, values = path / "config.json", read_json(path / "config.json")
        if not isinstance(values, dict):
            raise ModelFileError(f"{where} must be a JSON object, found {type(values).__name__}")
        return _described(path, where, values, added_tokens(path), mask_token(path), family_name)
    header = read_gguf(file)
    values, tokens = gguf_model.configuration(header), gguf_model.added_tokens(header)
    found = _described(file, file, values, tokens, "", family_name)
    return replace(found, names=GGUF, header=header)


def _described(
    path: Path, where: Path, values: dict[str, Any], tokens: Mapping[str, int], said_mask: str, family_name: str
) -> Published:
    """What configuration and added tokens say; `where` the configuration stands, for messages."""
    family = _family(where, values, tokens, said_mask, family_name)
    for name, expected in _NEVER_OTHERWISE.items():
        if values.get(name, expected) != expected:
            raise ModelFileError(f"{where}: {name} must be {expected!r}, found {values[name]!r}")
    renamed = {ours: values[theirs] for ours, theirs in family.sizes.items() if theirs in values}
    try:
        sizes = msgspec.convert({**values, **renamed}, _Sizes)
        config = _config(where, sizes, family)
    except (msgspec.ValidationError, ValueError, LookupError, ArithmeticError, TypeError) as error:
        if isinstance(error, ModelFileError):
            raise
        raise ModelFileError(f"{where} must be the configuration of a {family.name} model: {error}") from error
    special_tokens = _special_tokens(path, family, sizes, tokens, said_mask)
    family = replace(family, end=tuple(token for token in family.end if token in tokens))
    return Published(path, family, config, special_tokens, tokens, family.names)


def _family(path: Path, values: dict[str, Any], tokens: Mapping[str, int], said_mask: str, name: str) -> Family:
    model_type = str(values.get("model_type", ""))
    if reason := UNSUPPORTED.get(model_type):
        raise ModelFileError(f"{path}: models of type {model_type} cannot be used: {reason}")
    kin = [f for f in FAMILIES if model_type in f.model_types]
    if not kin:
        known = sorted({kind for f in FAMILIES for kind in f.model_types})
        raise ModelFileError(f"{path}: model_type must be one of {', '.join(known)}, found {model_type!r}")
    if name:
        named = [f for f in kin if f.name == name]
        if not named:
            raise ModelFileError(f"{path}: a {name} model must have another model_type, found {model_type!r}")
        return named[0]
    has_mask = "mask_token_id" in values or bool(said_mask) or any(token in tokens for f in kin for token in f.mask)
    for family in kin:
        if family.expand in ("", *tokens) and (not family.has_mask or has_mask):
            return family
    raise ModelFileError(
        f"{path.parent}: the tokenizer must have a mask token, such as {kin[0].mask[0]!r}; found none: "
        "a diffusion model cannot work without"
    )


def _config(path: Path, sizes: _Sizes, family: Family) -> ModelConfig:
    if sizes.hidden_act != "silu":
        raise ModelFileError(f"{path}: hidden_act must be 'silu', found {sizes.hidden_act!r}")
    if sizes.attention_bias and not family.qkv_bias:
        raise ModelFileError(f"{path}: attention_bias must be false in a {family.name} model, found true")
    _check_sizes(path, sizes)
    rope = sizes.rope_parameters or {}
    yarn = _yarn(path, sizes.rope_scaling or rope)
    context = min(family.context_tokens, sizes.max_position_embeddings, yarn.original_context if yarn else 1 << 20)
    return ModelConfig(
        vocab_size=sizes.vocab_size,
        d_model=sizes.hidden_size,
        n_layers=sizes.num_hidden_layers,
        n_heads=sizes.num_attention_heads,
        n_kv_heads=sizes.num_key_value_heads or sizes.num_attention_heads,
        head_dim=sizes.head_dim or sizes.hidden_size // sizes.num_attention_heads,
        d_ff=sizes.intermediate_size,
        rope_theta=float(rope.get("rope_theta", sizes.rope_theta or 10_000.0)),
        norm_eps=sizes.rms_norm_eps,
        context_tokens=context,
        block_length=sizes.block_size or sizes.bd_size or family.block_length,
        attention=family.attention,
        shifted=family.shifted,
        qkv_bias=family.qkv_bias,
        qk_norm=family.qk_norm,
        tied_head=bool(sizes.tie_word_embeddings),
        yarn=yarn,
    )


def _check_sizes(path: Path, sizes: _Sizes) -> None:
    """A model without values is made of these before its tensors are looked at: it must not take long."""
    head_width = sizes.head_dim or sizes.hidden_size // max(1, sizes.num_attention_heads)
    widths = (
        sizes.hidden_size, sizes.num_attention_heads, sizes.vocab_size, sizes.intermediate_size,
        1 if sizes.num_key_value_heads is None else sizes.num_key_value_heads, head_width,
    )  # fmt: skip
    if min(*widths, sizes.num_hidden_layers) < 1:
        raise ModelFileError(f"{path}: sizes must be positive")
    if max(widths) > MAX_WIDTH or sizes.num_hidden_layers > MAX_LAYERS:
        raise ModelFileError(
            f"{path} must have widths up to {MAX_WIDTH} and up to {MAX_LAYERS} layers, "
            f"found {max(widths)} and {sizes.num_hidden_layers}"
        )
    if not 0 < sizes.rms_norm_eps < 1:
        raise ModelFileError(f"{path}: rms_norm_eps must be between 0 and 1, found {sizes.rms_norm_eps}")


def _yarn(path: Path, scaling: Mapping[str, Any]) -> Yarn | None:
    kind = scaling.get("rope_type", scaling.get("type", "default"))
    if kind == "default":
        return None
    if kind != "yarn":
        raise ModelFileError(f"{path}: rope_type must be default or yarn, found {kind!r}")
    return Yarn(
        factor=float(scaling["factor"]),
        original_context=int(scaling["original_max_position_embeddings"]),
        beta_fast=float(scaling.get("beta_fast") or 32.0),
        beta_slow=float(scaling.get("beta_slow") or 1.0),
        mscale=float(scaling.get("mscale") or 0.0),
        mscale_all=float(scaling.get("mscale_all_dim") or 0.0),
    )


def _special_tokens(
    path: Path, family: Family, sizes: _Sizes, tokens: Mapping[str, int], said_mask: str
) -> SpecialTokens:
    """The ids of mask and end; what the project's own sequence has besides does not occur."""

    def wanted(kind: str, *names: str) -> int:
        for name in names:
            if name in tokens:
                return tokens[name]
        raise ModelFileError(f"{path}: the tokenizer must have the {kind} token {names[0]!r}, found none")

    for token in (*family.fim, family.file, family.repository, family.expand):
        if token:
            wanted("special", token)
    mask = -1
    if family.has_mask:
        mask = sizes.mask_token_id if sizes.mask_token_id is not None else -1
        mask = mask if mask >= 0 else wanted("mask", *([said_mask] if said_mask else []), *family.mask)
        if mask >= sizes.vocab_size:
            raise ModelFileError(f"{path}: the mask token {mask} must be one of {sizes.vocab_size} rows")
    end = wanted("end", *family.end)
    return SpecialTokens(pad=end, mask=mask, eom=end, suf=-1, pre=-1, file=-1, snip=-1, end=end)
