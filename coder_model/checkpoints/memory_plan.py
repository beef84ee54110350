"""In which precision, and with how much context, a model fits into the memory that is free."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import psutil
import torch

from coder_kernels.cpu_dtype import fastest, reads_bfloat16
from coder_kernels.quantise import FIRST_FP8_CAPABILITY
from coder_model.checkpoints.catalogue import Entry, catalogue
from coder_model.checkpoints.loading import bytes_of
from coder_model.checkpoints.precisions import WEIGHT_PRECISIONS, Precision
from coder_model.decoding.diffusion import MAX_LENGTH
from coder_model.errors import ModelFileError
from coder_model.model import weights
from coder_model.model.config import ModelConfig
from coder_model.model.fused_transformer import takes_groups

CONTEXTS = (2048, 1024, 512)
USABLE = 0.9
"""Share of the free memory that is planned with."""
MOST_FLOAT32 = 2_000_000_000
"""Parameters above which a CPU is never given float32, however slow its bfloat16."""
_CGROUP = Path("/sys/fs/cgroup")


@dataclass(frozen=True, slots=True)
class Plan:
    """How a model is loaded."""

    precision: Precision
    context_tokens: int
    n_bytes: int
    """Upper bound for weights, caches and work together."""


def free_bytes(device: torch.device) -> int:
    """Returns how much memory may be taken on a device now."""
    if device.type == "cuda":
        free, _ = torch.cuda.mem_get_info(device)
        return int(free)
    available = int(psutil.virtual_memory().available)
    try:
        limit = (_CGROUP / "memory.max").read_text("ascii").strip()
        used = int((_CGROUP / "memory.current").read_text("ascii"))
        return available if limit == "max" else min(available, max(0, int(limit) - used))
    except (OSError, ValueError):
        return available


def needed_bytes(
    config: ModelConfig, precision: Precision, context_tokens: int, documents: int, most_cached: int | None = None
) -> int:
    """Returns what a model takes at most: weights, caches of several documents, and the largest pass.

    Args:
        config: its shape.
        precision: of its weights.
        context_tokens: most tokens of a sequence.
        documents: whose keys and values are in memory at a time, see `batcher.cache_rows`.
        most_cached: bytes that these take together, but for one document; None: there is no limit.
    """
    width = 4 if precision == "float32" else 2
    cache = 2 * config.n_layers * config.n_kv_heads * config.head_dim * width * (context_tokens + MAX_LENGTH)
    caches = documents * cache if most_cached is None else min(documents * cache, max(cache, most_cached) + cache)
    work = context_tokens * (3 * config.d_ff + 6 * config.d_model) * width + MAX_LENGTH * config.vocab_size * 16
    unpacked = 0 if precision in ("float32", "bfloat16") else max(config.d_ff, config.vocab_size) * config.d_model * 2
    return bytes_of(config, precision) + caches + work + unpacked


def plan(
    name: str,
    config: ModelConfig,
    free: int,
    device: torch.device,
    wanted: str = "auto",
    documents: int = 1,
    most_cached: int | None = None,
) -> Plan:
    """Chooses precision and context.

    Args:
        name: of the model, for the message.
        config: its shape.
        free: bytes that may be taken.
        device: where it will run.
        wanted: a precision, or `auto`: the best that fits.
        documents: as in `needed_bytes`.
        most_cached: as in `needed_bytes`.

    Raises:
        ModelFileError: when it does not fit; says what is missing, and the two nearest models that would fit.
    """
    order = [p for p in WEIGHT_PRECISIONS if p == wanted] or _order(config, device)
    contexts = [c for c in CONTEXTS if c < config.context_tokens] or [config.context_tokens]
    for context in sorted({min(CONTEXTS[0], config.context_tokens), *contexts}, reverse=True):
        for precision in order:
            needed = needed_bytes(config, precision, context, documents, most_cached)
            if needed <= USABLE * free:
                return Plan(precision, context, needed)
    least = order[-1]
    needed = needed_bytes(config, least, min(contexts), documents, most_cached)
    raise ModelFileError(
        f"{name} needs {needed / 1e9:.1f} GB in {least} with {min(contexts)} tokens of context, "
        f"{USABLE * free / 1e9:.1f} GB may be taken; what would fit: {' or '.join(_nearest(free))}"
    )


def _order(config: ModelConfig, device: torch.device) -> list[Precision]:
    """Precisions from the best to the smallest."""
    if device.type == "cuda":
        has_fp8 = torch.cuda.get_device_capability(device) >= FIRST_FP8_CAPABILITY
        return ["fp8", "bfloat16", "int4"] if has_fp8 else ["bfloat16", "int8", "int4"]
    if takes_groups(config):
        # not measured: fewer bytes are read than in int8, and what is rounded is rounded finer
        return ["grouped", "int4"]
    if fastest() == "int8":
        return ["int8", "int4"]
    exact = weights.parameters(config) <= MOST_FLOAT32 and not reads_bfloat16()
    return [*(["float32"] if exact else []), "bfloat16", "int8", "int4"]  # type: ignore[list-item]


def _nearest(free: int) -> list[str]:
    """The two largest choices of the catalogue that would fit, those that infill first."""
    room = USABLE * free / 1e9 - 0.5
    choices = [
        (entry.infills, gigabytes, text)
        for entry in catalogue().values()
        for gigabytes, text in _choices(entry)
        if gigabytes <= room and not entry.warning
    ]
    found: dict[str, str] = {}
    for _, _, text in sorted(choices, reverse=True):
        found.setdefault(text.partition(" ")[0], text)
    return [*list(found.values())[:2], "the embedded model"][:2]


def _choices(entry: Entry) -> list[tuple[float, str]]:
    """What an entry can be loaded as, and the gigabytes of its weights then."""
    if entry.file:
        return [(entry.file.bytes / 1e9, entry.name)]
    return [(entry.gigabytes(p), f"{entry.name} in {p}") for p in ("bfloat16", "int8", "int4")]
