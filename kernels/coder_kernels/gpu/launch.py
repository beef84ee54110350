"""The one place where a kernel is launched, and what was launched so far."""

from __future__ import annotations

from typing import Any

import torch

from coder_kernels.configs import Tile

seen: set[tuple[object, ...]] = set()
"""Every specialisation launched in this process: each is compiled once, so a new one means that something compiles."""


def launch(kernel: Any, grid: tuple[int, ...], *arguments: object, tile: Tile, **constants: object) -> None:
    """Launches a kernel on the current stream.

    Args:
        kernel: a function under `triton.jit`; its integers must be marked `do_not_specialize`.
        grid: programs.
        arguments: tensors and numbers.
        tile: warps and stages.
        constants: what is compiled in.
    """
    # the compiler also looks whether an address is a multiple of 16
    kinds = tuple((x.dtype, x.data_ptr() % 16 == 0) if isinstance(x, torch.Tensor) else type(x) for x in arguments)
    seen.add((kernel.__name__, kinds, tuple(sorted(constants.items())), tile.warps, tile.stages))
    kernel[grid](
        *arguments,
        **constants,
        num_warps=tile.warps,
        num_stages=tile.stages,
        enable_fp_fusion=True,
    )


def power_of_two(n: int, least: int = 1) -> int:
    """Returns the smallest power of two that is not below `n` or `least`."""
    return max(1 << (n - 1).bit_length(), least)
