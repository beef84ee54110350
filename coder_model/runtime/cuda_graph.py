"""A step on fixed tensors, made once and repeated: a CUDA graph on a GPU, a plain call elsewhere."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

WARM_UPS = 2
"""Runs before a capture: what torch and Triton make at a first call must not be made inside."""


class CudaGraph:
    """Repeats a function that reads and writes tensors at fixed addresses."""

    def __init__(self, run: Callable[[], None], device: torch.device, pool: Any = None) -> None:
        """Runs it, and on a GPU captures it; the tensors hold what the runs have left.

        Args:
            run: what is repeated; it leaves its results in tensors that were made before.
            device: where.
            pool: memory that graphs share which are never repeated at the same time.
        """
        self._run = run
        if device.type != "cuda":
            run()
            return
        stream = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]
        stream.wait_stream(torch.cuda.current_stream(device))
        with torch.cuda.stream(stream):
            for _ in range(WARM_UPS):
                run()
        torch.cuda.current_stream(device).wait_stream(stream)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph, pool=pool):
            run()
        self._run = graph.replay

    def __call__(self) -> None:
        """One more time."""
        self._run()
