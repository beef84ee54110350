"""Published weights into our transformer: tensor by tensor, straight to the device and the precision.

Nothing is read before every header has been checked against the shape that the configuration implies. A tensor of
safetensors that is kept as it is stays a view of the file, whose pages the system may drop; of any other one only the
converted copy stays.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor, nn

from coder_kernels import quantise
from coder_kernels.ggml_blocks import FORMATS
from coder_kernels.quantise import Quantised
from coder_model.checkpoints.gguf_model import tokenizer_of
from coder_model.checkpoints.hf_config import Published
from coder_model.checkpoints.hf_tokenizer import checked, load_vocabulary
from coder_model.checkpoints.precisions import Precision
from coder_model.checkpoints.prompt_formats import generation_config_of
from coder_model.checkpoints.tensors import BlockRows, Stored, in_directory, in_gguf, read, read_quantised
from coder_model.decoding.strategies import GenerationConfig
from coder_model.errors import ModelFileError
from coder_model.model.adapter_files import StoredAdapter, adapter_for
from coder_model.model.config import ModelConfig
from coder_model.model.quantized_linear import QuantizedLinear
from coder_model.model.stored_embedding import StoredEmbedding
from coder_model.model.transformer import Transformer
from coder_model.prompt.tokenizer import CodeTokenizer

_IN_WORDS: dict[Precision, str] = {"grouped": "5 to 8 bits a weight"}
_FLOATS, _GGUF_KINDS = ("F32", "F16", "BF16"), tuple(FORMATS)
_TABLE, _HEAD, _NORM = "embed_tokens.weight", "lm_head.weight", "norm.weight"
_LEFT_OUT = ("rotary_emb.inv_freq", "rotary_emb.cos_cached", "rotary_emb.sin_cached")
"""Ends of names of tensors that follow from the configuration."""


@dataclass(frozen=True, slots=True)
class Loaded:
    """A published model, ready for inference."""

    model: Transformer
    tokenizer: CodeTokenizer
    generation: GenerationConfig


def load_weights(
    published: Published,
    precision: Precision,
    device: torch.device | str = "cpu",
    progress: Callable[[float], None] = lambda _: None,
    adapter: StoredAdapter | None = None,
) -> Loaded:
    """Loads a published model.

    Args:
        published: what its files say of it.
        precision: of the weights; with few bits the matrices of the layers and of a head of its own have them, and the
            rest is bfloat16.
        device: where they go.
        progress: called with the share that is there, in [0, 1].
        adapter: what is added to the weights before they are rounded, one that `adapter_of` has found; none: they are
            what the files say.

    Raises:
        ModelFileError: when a file is missing or broken, or its tensors are not those of the configuration.
    """
    theirs = published.names.theirs
    device = torch.device(device)
    keeps = published.header is not None and precision in ("int8", "grouped") and device.type == "cpu"
    model, found = empty_model(published, keeps_embedding=keeps)
    # the largest first: converting one takes memory, and so little else is there yet
    names = sorted(_empty_names(model), key=lambda name: -model.get_parameter(name).numel())
    tokenizer = tokenizer_of_model(published)
    total, done = sum(found[theirs(name)].n_bytes for name in names), 0
    few = quantise.few_bits(precision)
    dtype = torch.float32 if precision == "float32" else torch.bfloat16

    def value(name: str) -> Tensor | Quantised:
        stored = found[theirs(name)]
        change = adapter.change(name.removesuffix(".weight")) if adapter else None
        if few and name in matrices:
            return read_quantised(stored, few, device, change)
        return read(stored, dtype, change).to(device, dtype)

    # before any is placed: a layer whose weight is packed is no linear one afterwards
    matrices = {name for name in names if _is_matrix(model, name)}
    # each has its own tensor: for short operations on one torch's threads would wait for each other
    with ThreadPoolExecutor(torch.get_num_threads()) as pool:
        for name, tensor in zip(names, pool.map(value, names), strict=True):
            _place_(model, name, tensor)
            done += found[theirs(name)].n_bytes
            progress(min(1.0, done / total))
    return Loaded(model.eval().requires_grad_(False), tokenizer, generation_config_of(published))


def adapter_of(published: Published, *folders: Path) -> StoredAdapter | None:
    """Returns the adapter that was trained on a model; None where there is none. Weights are not read but a norm's.

    Args:
        published: what the model's files say of it.
        folders: where adapters lie, see `adapter_for`.

    Raises:
        ModelFileError: as `load_weights`, for the model.
    """
    return adapter_for(*known_by(published), *folders)


def known_by(published: Published) -> tuple[Transformer, Tensor]:
    """Returns what companions know a model by: itself without values, and its last norm's weights, [D] float32.

    Raises:
        ModelFileError: as `load_weights`.
    """
    model, found = empty_model(published)
    return model, read(found[published.names.theirs(_NORM)], torch.float32)


def check(published: Published) -> None:
    """Looks whether a model could be loaded, without reading its weights.

    Raises:
        ModelFileError: when a file is missing or broken, or the tensors are not those of the configuration.
    """
    empty_model(published)
    tokenizer_of_model(published)


def tensors_of(published: Published) -> dict[str, Stored]:
    """Returns where the tensors of a model are, by the names of its files, all of them and no others.

    Raises:
        ModelFileError: when a file is missing or broken, or the tensors are not those of the configuration.
    """
    return empty_model(published)[1]


def empty_model(published: Published, keeps_embedding: bool = False) -> tuple[Transformer, dict[str, Stored]]:
    """Returns a model without values, and where its tensors are, all of them and no others.

    Args:
        published: what its files say of it.
        keeps_embedding: its embedding stays in its GGUF file, and its head is one of its own.

    Raises:
        ModelFileError: when a file is missing or broken, or its tensors are not those of the configuration.
    """
    found = in_gguf(published.header) if published.header else in_directory(published.path)
    theirs, config = published.names.theirs, published.config
    if theirs(_HEAD) in found:
        # a head that is there is used, though the configuration may call it tied: it is the same then
        config = replace(config, tied_head=False)
    with torch.device("meta"):
        model = Transformer(config)
    expected = {theirs(name): tuple(tensor.shape) for name, tensor in model.state_dict().items()}
    _check(published.path, _GGUF_KINDS if published.header else _FLOATS, expected, found)
    return _with_stored_embedding(model, found, theirs) if keeps_embedding else (model, found)


def _check(path: Path, kinds: Collection[str], expected: dict[str, tuple[int, ...]], found: dict[str, Stored]) -> None:
    for name, shape in expected.items():
        if name not in found:
            raise ModelFileError(f"{path}: tensor {name!r} must have shape {shape}, found nothing")
    for name, stored in found.items():
        if name.endswith(_LEFT_OUT):
            continue
        if name not in expected:
            raise ModelFileError(
                f"{stored.path}: tensor {name!r} has no place in this model: another family, or renamed"
            )
        if stored.shape != expected[name]:
            raise ModelFileError(
                f"{stored.path}: tensor {name!r} must have shape {expected[name]}, found {stored.shape}"
            )
        if stored.kind not in kinds:
            raise ModelFileError(
                f"{stored.path}: tensor {name!r} must be one of {', '.join(kinds)}, found {stored.kind}"
            )


def tokenizer_of_model(published: Published) -> CodeTokenizer:
    """Returns the tokenizer of a model; its weights are not looked at.

    Raises:
        ModelFileError: when it is missing, broken, or has more tokens than the model has rows.
    """
    special_tokens, tokens, vocab_size = published.special_tokens, published.tokens, published.config.vocab_size
    header = published.header
    if header is None:
        return load_vocabulary(published.path, special_tokens, tokens, vocab_size)
    return checked(published.path, lambda: tokenizer_of(header), special_tokens, tokens, vocab_size)


def _with_stored_embedding(
    model: Transformer, found: dict[str, Stored], theirs: Callable[[str], str]
) -> tuple[Transformer, dict[str, Stored]]:
    """The same empty model with a table that stays in its file, and a head of its own in few bits like a layer."""
    table = found[theirs(_TABLE)]
    config = replace(model.config, tied_head=False)
    with torch.device("meta"):
        model = Transformer(config)
    model.embed_tokens = StoredEmbedding(BlockRows(table).of, config.d_model, torch.bfloat16)
    return model, {theirs(_HEAD): table, **found}


def _empty_names(model: Transformer) -> list[str]:
    """The tensors that are to be filled."""
    return [name for name, tensor in model.state_dict().items() if tensor.is_meta]


def _is_matrix(model: Transformer, name: str) -> bool:
    """True for the weight of a linear layer."""
    owner, _, field = name.rpartition(".")
    return field == "weight" and isinstance(model.get_submodule(owner), nn.Linear)


def _place_(model: Transformer, name: str, value: Tensor | Quantised) -> None:
    """Puts a tensor into the model, dense or in few bits."""
    owner_name, _, field = name.rpartition(".")
    parent_name, _, child = owner_name.rpartition(".")
    owner = model.get_submodule(owner_name)
    if isinstance(value, Quantised):
        setattr(model.get_submodule(parent_name), child, QuantizedLinear(value, None))
    elif isinstance(owner, QuantizedLinear):
        owner.bias = value
    else:
        setattr(owner, field, nn.Parameter(value, requires_grad=False))


def in_words(precision: Precision) -> str:
    """Returns what people are told of a precision: its name, or what that means where it does not say so."""
    return _IN_WORDS.get(precision, precision)


def bytes_of(config: ModelConfig, precision: Precision) -> int:
    """Returns how many bytes the weights of a model take."""
    with torch.device("meta"):
        model = Transformer(config)
    packed = quantise.few_bits(precision)
    total = 0
    for name, parameter in model.named_parameters():
        if packed and parameter.dim() == 2 and not name.startswith("embed_tokens"):
            total += quantise.bytes_of(parameter.shape[0], parameter.shape[1], packed)
        else:
            total += parameter.numel() * (4 if precision == "float32" else 2)
    return total
