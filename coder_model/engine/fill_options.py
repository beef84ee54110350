"""What a model makes of the engine's options: how its loop decodes, and in which precision a CPU multiplies."""

from __future__ import annotations

from collections.abc import Callable

from coder_kernels.cpu_dtype import LARGE, Arithmetic, fastest
from coder_kernels.policies import POLICIES, PolicyOptions, top_k
from coder_model.decoding.draft_and_verify import FillOptions
from coder_model.engine.options import ONE_TOKEN, CpuPrecision, EngineOptions
from coder_model.model.config import ModelConfig

DRAFTER_STEPS = 1
"""Denoise steps of a drafter's block."""
VERIFIED_STEPS = 2
"""Denoise steps of a draft that is verified afterwards."""
CPU_PRECISIONS: dict[CpuPrecision, Callable[[ModelConfig], Arithmetic]] = {
    "auto": lambda config: fastest((min(config.d_ff, LARGE[0]), min(config.d_model, LARGE[1]))),
    "float32": lambda _: "float32",
    "bfloat16": lambda _: "bfloat16",
    "int8": lambda _: "int8",
}


def controls(config: ModelConfig, drafted_slots: int = 0) -> tuple[str, ...]:
    """Returns the fields of `Decoding` that change what a model of this shape does.

    Args:
        config: of the model.
        drafted_slots: see `fill_options`.
    """
    verified = ("block_length", "copy") if config.can_verify else ()
    if config.attention == "causal" and not drafted_slots:
        # it denoises nothing: what it verifies is copied from the text
        return verified
    return ("policy", "threshold", "max_steps", *verified, *(("frugal",) if verified else ()))


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
    denoises = config.attention != "causal" or drafted_slots > 0
    if config.can_verify:
        policy = POLICIES[options.policy] if denoises and not one_by_one else None
    else:
        policy = top_k if one_by_one else POLICIES[options.policy]
    verify = config.can_verify and (options.verify or policy is None)
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
        or (DRAFTER_STEPS if drafted_slots else VERIFIED_STEPS if verify else block_length if config.can_verify else 0),
        verify=verify,
        copies=not one_by_one,
        min_copy=options.min_copy,
        remask_below=options.remask_below,
        operations=operations,
    )
