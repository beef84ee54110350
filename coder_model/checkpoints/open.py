"""From what a user calls a model to an engine: the embedded one, a directory, or an installed published one."""

from __future__ import annotations

import contextlib
import ctypes
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import torch

from coder_kernels.quantise import few_bits
from coder_model.checkpoints import prepared
from coder_model.checkpoints.hf_config import is_published, read_published
from coder_model.checkpoints.loading import adapter_of, in_words
from coder_model.checkpoints.memory_plan import free_bytes, plan
from coder_model.checkpoints.precisions import check_precision
from coder_model.checkpoints.store import EMBEDDED, locate
from coder_model.engine.engine import Engine
from coder_model.engine.options import EngineOptions
from coder_model.engine.speculative_engine import SpeculativeEngine
from coder_model.errors import ModelFileError
from coder_model.model import weights
from coder_model.model.drafter_files import drafter_for
from coder_model.model.embedded import DEFAULT_MODEL
from coder_model.model.quantized_linear import pack_
from coder_model.runtime.batcher import cache_rows, widest_batch


def open_engine(
    model: str = "",
    options: EngineOptions | None = None,
    quantize: str = "auto",
    progress: Callable[[float], None] = lambda _: None,
    verifier: str = "",
) -> Engine | SpeculativeEngine:
    """Loads a model, and another one that verifies what it drafts, on the best device there is.

    Args:
        model: a directory or the name of an installed model; the embedded one when empty or `embedded`.
        options: how they fill.
        quantize: precision of the weights; `auto` for the best that fits, and float32 in our own small models.
        progress: called with the share of the model's weights that is there.
        verifier: as `model`, an autoregressive one; none when empty.

    Raises:
        ModelFileError: when one is missing, broken, or does not fit into the memory; one line that says what to do.
    """
    drafter = open_single(model, options, quantize, progress)
    if not verifier:
        return drafter
    second = open_single(verifier, options, quantize)
    if not second.can_verify:
        raise ModelFileError(f"verifier must be an autoregressive model, such as qwen2.5-coder-0.5b; got {verifier}")
    return SpeculativeEngine(drafter, second)


def open_single(
    model: str = "",
    options: EngineOptions | None = None,
    quantize: str = "auto",
    progress: Callable[[float], None] = lambda _: None,
) -> Engine:
    """Loads one model; see `open_engine`.

    Args:
        model: a directory or the name of an installed model; the embedded one when empty or `embedded`.
        options: how it fills.
        quantize: precision of the weights; `auto` for the best that fits, and float32 in our own small models.
        progress: called with the share of the weights that is there.

    Raises:
        ModelFileError: when it is missing, broken, or does not fit into the memory; one line that says what to do.
    """
    check_precision(quantize)
    directory, family = (DEFAULT_MODEL, "") if model in ("", EMBEDDED) else locate(model)
    if not is_published(directory):
        return _own(directory, options, quantize)
    options = options or EngineOptions()
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    published = read_published(directory, family)
    attention = published.config.attention
    widest = widest_batch(attention, options.concurrent_on(device.type))
    documents = cache_rows(attention, options.sessions, widest)
    # those of a CPU grow, under a limit
    most = options.cache_mb << 20 if device.type == "cpu" and widest == 1 else None
    chosen = plan(model, published.config, free_bytes(device), device, quantize, documents, most)
    published = replace(published, config=replace(published.config, context_tokens=chosen.context_tokens))
    with _returning_memory():
        adapter = adapter_of(published) if options.adapter else None
        loaded = prepared.load(published, chosen.precision, device, progress, adapter)
        engine = Engine(
            loaded.model,
            loaded.tokenizer,
            f"{Path(model).name} ({in_words(chosen.precision)})",
            options,
            loaded.generation,
            drafter_for(loaded.model),
        )
        del loaded
    # of the model as it is published: a head that is there twice counts once
    engine.parameters = weights.parameters(published.config)
    return engine


_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3
"""Parameters of glibc's `mallopt`."""
_SMALL, _LARGE = 1 << 18, 1 << 25
"""Bytes from which on a block is a mapping of its own, which goes back to the system when it is freed."""


@contextlib.contextmanager
def _returning_memory() -> Iterator[None]:
    """Gives the system back what is freed meanwhile, where the allocator can (glibc).

    Loading frees as much as it keeps. Afterwards passes get the same blocks again and again: those stay.
    """
    try:
        libc = ctypes.CDLL(None)
        libc.mallopt(_MMAP_THRESHOLD, _SMALL)
    except (AttributeError, OSError, TypeError):
        yield
        return
    try:
        yield
    finally:
        libc.mallopt(_MMAP_THRESHOLD, _LARGE)
        libc.mallopt(_TRIM_THRESHOLD, 2 * _LARGE)
        libc.malloc_trim(0)


def _own(directory: Path, options: EngineOptions | None, quantize: str) -> Engine:
    """An engine of the project's own layout."""
    model, tokenizer = weights.load(directory)
    packed = few_bits(quantize)
    if packed or quantize == "bfloat16":
        model.bfloat16()
    if packed:
        pack_(model, packed)
    return Engine(model, tokenizer, EMBEDDED if directory == DEFAULT_MODEL else directory.name, options)
