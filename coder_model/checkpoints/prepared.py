"""Weights of a GGUF file as the passes of this CPU read them, in the user's cache: made once, mapped afterwards.

Making them takes seconds: blocks become floats, an adapter is added, they are rounded again and put in tiles. What
lies in the cache is whatever the file, the adapter, the processor and this version give; anything else is made again,
as is what does not answer the known text as it did when it was written.
"""

from __future__ import annotations

import json
import logging
import shutil
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import cast

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

from coder_kernels.cpu import processor
from coder_model.checkpoints.hf_config import Published
from coder_model.checkpoints.loading import Loaded, empty_model, load_weights, tokenizer_of_model
from coder_model.checkpoints.precisions import Precision
from coder_model.checkpoints.prepared_files import forget, prepared_file
from coder_model.checkpoints.prompt_formats import generation_config_of
from coder_model.model.adapter_files import StoredAdapter
from coder_model.model.checksum import ON_THE_SAME, network_checksum, same_checksum
from coder_model.model.fused_transformer import fuse, takes_groups
from coder_model.model.merged_weights import MergedLayer, fits, merge_, named, of_named, packed_of
from coder_model.model.quantized_linear import PackedLinear
from coder_model.model.transformer import Transformer
from coder_model.whole_file import written_whole

LOGGER = logging.getLogger(__name__)
VERSION = 2
"""Of the order and the parts of the weights; another one makes all files anew."""
_MADE_FROM, _KNOWN_ANSWER = "made_from", "known_answer"
_NORM, _HEAD = "norm.weight", "lm_head"
_ALIGNED = 64
"""Bytes: a vector of the processor that begins elsewhere is read from two lines of its cache."""
_FREE_SHARE = 2
"""How many times as much as a file takes must be free on the disk, or it is not written."""
_KNOWN_TEXT = 128
"""Tokens of a sequence that the known text fits into."""
_DTYPES = {torch.uint8: "U8", torch.float16: "F16", torch.bfloat16: "BF16", torch.float32: "F32"}


def load(
    published: Published,
    precision: Precision,
    device: torch.device,
    progress: Callable[[float], None] = lambda _: None,
    adapter: StoredAdapter | None = None,
) -> Loaded:
    """Loads a published model, prepared weights where there are some: see `load_weights`."""
    is_ours = published.header and precision == "grouped" and device.type == "cpu" and takes_groups(published.config)
    if not is_ours:
        return load_weights(published, precision, device, progress, adapter)
    made_from = _made_from(published, adapter)
    path = prepared_file(published.path, made_from)
    if model := _read(path, published, made_from):
        progress(1.0)
        return Loaded(model, tokenizer_of_model(published), generation_config_of(published))
    loaded = load_weights(published, precision, device, progress, adapter)
    merge_(loaded.model)
    if not _write(path, loaded.model, made_from):
        return loaded
    forget(published.path, but=path)
    # the same again, but in pages that the system may drop, and that another process shares
    return Loaded(_read(path, published, made_from) or loaded.model, loaded.tokenizer, loaded.generation)


def _made_from(published: Published, adapter: StoredAdapter | None) -> str:
    """All that the weights depend on, as one line."""
    facts, changed = published.path.stat(), 0
    for _, tensor in sorted(adapter.tensors.items()) if adapter else ():
        changed = zlib.crc32(_bytes(tensor), changed)
    file = [str(published.path.resolve()), facts.st_size, facts.st_mtime_ns, facts.st_ino]
    return json.dumps([VERSION, processor.lanes(), *file, changed])


def _read(path: Path, published: Published, made_from: str) -> Transformer | None:
    """The model with the weights of a file; None where it is missing, of something else, or damaged."""
    try:
        with safe_open(path, "pt") as file:
            said = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  it is no mapping
        if said[_MADE_FROM] != made_from:
            return None
        model = _model_of(published, tensors)
        expected = float(said[_KNOWN_ANSWER])
    except FileNotFoundError:
        return None
    except (OSError, SafetensorError, KeyError, ValueError) as error:
        LOGGER.warning("%s must hold prepared weights, and is made again: %s", path.name, error)
        return None
    if same_checksum(found := _answer(model), expected, ON_THE_SAME):
        return model
    LOGGER.warning("%s must answer %.4f to the known text, found %.4f, and is made again", path.name, expected, found)
    return None


def _model_of(published: Published, tensors: Mapping[str, Tensor]) -> Transformer:
    """A model with merged weights.

    Raises:
        KeyError: when one is missing.
        ValueError: when one has another shape: machine code reads what it is told to.
    """
    model, _ = empty_model(published, keeps_embedding=True)
    config, lanes = model.config, processor.lanes()
    for index in range(config.n_layers):
        layer = of_named(tensors, f"layers.{index}.")
        if not fits(layer, config, lanes):
            raise ValueError(f"layer {index} must have the shapes of the model")
        model.layers[index] = MergedLayer(layer)
    head = packed_of(tensors, _HEAD)
    norm = tensors[_NORM]
    if not head.is_of((config.vocab_size, config.d_model), lanes) or norm.shape != (config.d_model,):
        raise ValueError("head and norm must have the shapes of the model")
    model.lm_head = cast(nn.Linear, PackedLinear(head))
    model.norm.weight = nn.Parameter(norm, requires_grad=False)
    return model.eval().requires_grad_(False)


def _answer(model: Transformer) -> float:
    return network_checksum(fuse(model, _KNOWN_TEXT, "grouped"))


def _write(path: Path, model: Transformer, made_from: str) -> bool:
    """Writes merged weights; False where they cannot be, or would fill the disk."""
    tensors = {_NORM: model.norm.weight.data}
    for index, layer in enumerate(model.layers):
        tensors |= named(cast(MergedLayer, layer).weights, f"layers.{index}.")
    tensors |= {f"{_HEAD}.{field}": part for field, part in cast(PackedLinear, model.lm_head).packed._asdict().items()}
    about = {_MADE_FROM: made_from, _KNOWN_ANSWER: repr(_answer(model))}
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        if shutil.disk_usage(path.parent).free < _FREE_SHARE * sum(tensor.nbytes for tensor in tensors.values()):
            LOGGER.warning("prepared weights are not kept: the disk of %s is nearly full", path.parent)
            return False
        with written_whole(path) as part:
            _write_safetensors(part, tensors, about)
    except OSError as error:
        LOGGER.warning("prepared weights are not kept: %s cannot be written: %s", path, error.strerror)
        return False
    return True


def _write_safetensors(path: Path, tensors: Mapping[str, Tensor], about: Mapping[str, str]) -> None:
    """Writes tensors in the format of safetensors, whose own writer copies them all and aligns them by eight bytes.

    Raises:
        OSError: when the file cannot be written.
    """
    # no holes are allowed: what would shift the others comes last
    names = sorted(tensors, key=lambda name: (tensors[name].nbytes % _ALIGNED > 0, -tensors[name].itemsize, name))
    header: dict[str, object] = {"__metadata__": dict(about)}
    end = 0
    for name in names:
        start, end = end, end + tensors[name].nbytes
        shape = list(tensors[name].shape)
        header[name] = {"dtype": _DTYPES[tensors[name].dtype], "shape": shape, "data_offsets": [start, end]}
    text = json.dumps(header).encode()
    text += b" " * (-(len(text) + 8) % _ALIGNED)
    with path.open("wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        for name in names:
            file.write(_bytes(tensors[name]))


def _bytes(tensor: Tensor) -> memoryview:
    return memoryview(tensor.contiguous().view(-1).view(torch.uint8).numpy())  # type: ignore[arg-type]
