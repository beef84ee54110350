"""How the engine fills, as a user or a benchmark may set it, and what a model makes of that."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch

from coder_kernels.cpu_dtype import Arithmetic, fastest
from coder_kernels.policies import POLICIES, PolicyOptions, top_k
from coder_model.decoding.draft_and_verify import FillOptions
from coder_model.model.config import ModelConfig
from coder_model.text.filters import FILTERS
from coder_model.types import InvalidInput

ONE_TOKEN = "one_token"
MOST_CONCURRENT = 32
"""Fills that share a GPU."""
DRAFTER_STEPS = 1
"""Denoise steps of a drafter's block."""
VERIFIED_STEPS = 2
"""Denoise steps of a draft that is verified afterwards."""
CPU_PRECISIONS: dict[str, Callable[[], Arithmetic]] = {
    "auto": fastest,
    "float32": lambda: "float32",
    "bfloat16": lambda: "bfloat16",
    "int8": lambda: "int8",
}


@dataclass(frozen=True, slots=True)
class EngineOptions:
    """How the engine fills.

    Raises:
        InvalidInput: names the option, what was expected and what was found.
    """

    policy: str = "threshold"
    """A name of `policies.POLICIES`, or `one_token`: no drafts, the reference of all speed."""
    threshold: float = 0.9
    factor: float = 1.0
    entropy_bound: float = 0.1
    k: int = 2
    block_length: int = 0
    """Slots per block; 0: the model's own."""
    max_steps: int = 0
    """Denoise steps per block; 0: 2 for a draft that is verified, else as many as there are slots."""
    verify: bool = True
    drafter: bool = True
    """Drafts by a small model that was trained on this one, where there is one."""
    copy: bool = True
    """Proposals from the text itself."""
    min_copy: int = 2
    """Tokens that a copied run needs to be a draft."""
    min_accepted: float = 3.0
    """Tokens of a denoised draft that verify must accept on average for denoising to go on. On two cores a block of 16
    takes 5 ms to denoise and 5 ms to verify, one token 3 ms."""
    remask_below: float = 0.3
    alternatives: int = 3
    """Middles tried instead of one that leaves syntax errors."""
    filters_off: tuple[str, ...] = ()
    """Names of `filters.FILTERS` that are left out."""
    precision: str = "auto"
    """How a CPU multiplies where the weights are float32: `float32`; `bfloat16` in passes that read a long context;
    `int8`, weights and activations, in all; or `auto`, the fastest on this processor."""
    refresh_every: int = 4
    """For models in which prefix and suffix see the canvas: so many passes share what those wrote; 1: none, exact."""
    reuse: bool = True
    """Keep the KV cache of a document between requests."""
    sessions: int = 8
    """Documents whose cache is kept."""
    max_concurrent: int = 0
    """Fills that share the passes of the device; 0: 32 on a GPU, and one, by itself, on a CPU."""
    sync_interval: int = 2
    """Denoise steps until the host looks at a block, where passes are shared."""

    def __post_init__(self) -> None:
        if self.policy not in (*POLICIES, ONE_TOKEN):
            raise InvalidInput(f"policy must be one of {', '.join((*POLICIES, ONE_TOKEN))}, got {self.policy!r}")
        if unknown := set(self.filters_off) - FILTERS.keys():
            raise InvalidInput(f"filters_off must be among {', '.join(FILTERS)}, got {', '.join(sorted(unknown))}")
        if self.precision not in CPU_PRECISIONS:
            raise InvalidInput(f"precision must be one of {', '.join(CPU_PRECISIONS)}, got {self.precision!r}")
        if self.block_length and self.block_length < 2:
            raise InvalidInput(f"block_length must be 0 or at least 2, got {self.block_length}")
        for name, least in (
            ("k", 1),
            ("max_steps", 0),
            ("refresh_every", 1),
            ("sessions", 1),
            ("max_concurrent", 0),
            ("sync_interval", 1),
        ):
            if getattr(self, name) < least:
                raise InvalidInput(f"{name} must be at least {least}, got {getattr(self, name)}")


def max_concurrent_fills(options: EngineOptions, device: torch.device) -> int:
    """Returns how many fills may share the passes of a device."""
    return options.max_concurrent or (MOST_CONCURRENT if device.type == "cuda" else 1)


def fill_options(
    options: EngineOptions, config: ModelConfig, operations: tuple[int, int] | None, drafted_slots: int = 0
) -> FillOptions:
    """Returns the options of the loop, as far as a model of this shape allows.

    Args:
        options: what a user set.
        config: of the model.
        operations: tokens that make a slot two, and none; for models that know them.
        drafted_slots: of a block that a drafter denoises, the known first one counted in; 0: there is none.
    """
    one_by_one = options.policy == ONE_TOKEN
    can_verify = config.attention in ("causal", "causal_context")
    denoises = config.attention != "causal" or drafted_slots > 0
    if can_verify:
        policy = POLICIES[options.policy] if denoises and not one_by_one else None
    else:
        policy = top_k if one_by_one else POLICIES[options.policy]
    verify = can_verify and (options.verify or policy is None)
    # blocks that are cut from the start of the sequence have the length of the training
    is_aligned = config.attention == "block_causal"
    block_length = config.block_length if is_aligned else options.block_length or config.block_length
    return FillOptions(
        policy=policy,
        policy_options=PolicyOptions(
            options.threshold, options.factor, options.entropy_bound, 1 if one_by_one else options.k
        ),
        block_length=block_length,
        denoised_slots=drafted_slots or block_length,
        max_steps=options.max_steps
        or (DRAFTER_STEPS if drafted_slots else VERIFIED_STEPS if verify else block_length if can_verify else 0),
        verify=verify,
        copies=not one_by_one,
        min_copy=options.min_copy,
        remask_below=options.remask_below,
        operations=operations,
    )
