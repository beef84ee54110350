"""Chooses what runs the passes of an engine's model: the batcher on a GPU, each document by itself on a CPU."""

from __future__ import annotations

import torch

from coder_model.engine.fill_options import CPU_PRECISIONS
from coder_model.engine.options import EngineOptions
from coder_model.model.drafter_files import StoredDrafter
from coder_model.model.fused_drafter import FusedDrafter
from coder_model.model.fused_transformer import fuse
from coder_model.model.kv_cache import KVCache
from coder_model.model.transformer import Transformer
from coder_model.prompt.vocabulary import Vocabulary
from coder_model.runtime.batcher import SLACK, Batcher, cache_rows, widest_batch
from coder_model.runtime.eager_runner import EagerRunner
from coder_model.runtime.passes import PassRunner


def runner_for(
    model: Transformer,
    vocabulary: Vocabulary,
    operations: tuple[int, int] | None,
    options: EngineOptions,
    drafter: StoredDrafter | None,
) -> PassRunner:
    """Returns what runs the passes of a model, in the number formats that are best where it is.

    Args:
        model: taken over: its weights change their place, and some their format.
        vocabulary: which tokens end a block, and which no middle may hold.
        operations: tokens that make a slot two, and none: slots may hold them.
        options: how the engine fills.
        drafter: drafts on a CPU, unless the options say otherwise.
    """
    config = model.config
    precision = CPU_PRECISIONS[options.precision](config)
    # weights that are short already are read with as they are
    reads_short = precision == "bfloat16" and model.embed_tokens.weight.dtype == torch.float32
    network = fuse(model, config.context_tokens + SLACK, precision)
    forbidden = vocabulary.forbidden.clone()
    forbidden[list(operations or ())] = False
    widest = widest_batch(config.attention, options.concurrent_on(network.device.type))
    if widest > 1 or network.device.type == "cuda":
        rows = cache_rows(config.attention, options.sessions, widest) + 1
        cache = KVCache(config, rows, network.capacity, network.cache_dtype, network.device)
        return Batcher(network, cache, forbidden, vocabulary.ends, widest, options.sync_interval)
    fused = None
    if drafter and options.drafter:
        fused = FusedDrafter(drafter.drafter, network, drafter.ids, network.capacity, network.activation_dtype)
    return EagerRunner(network, forbidden, torch.bfloat16 if reads_short else torch.float32, fused)
