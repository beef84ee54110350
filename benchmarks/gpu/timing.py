"""How long things take on a device: of a GPU the device's own time, launches left out."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

import torch

REPEATS = 5
TOO_LARGE_TO_STAY = 128 << 20
"""Bytes that no cache of a GPU holds: what is read in turns from so much comes from memory."""


def milliseconds(calls: Sequence[Callable[[], object]], device: torch.device, per_capture: int = 12) -> float:
    """Returns the shortest mean time of one call; on a GPU all calls are captured into one graph, in turns."""
    if device.type != "cuda":
        times = []
        for index in range(REPEATS):
            began = time.perf_counter()
            calls[index % len(calls)]()
            times.append(time.perf_counter() - began)
        return min(times) * 1e3
    for call in calls[:2]:
        call()
    torch.cuda.synchronize()
    graph = torch.cuda.CUDAGraph()
    # fewer than all would leave their data in the cache from one run to the next
    per_capture = max(per_capture, len(calls))
    with torch.cuda.graph(graph):
        for index in range(per_capture):
            calls[index % len(calls)]()
    return elapsed(graph.replay) / per_capture


def elapsed(run: Callable[[], object]) -> float:
    """Returns the shortest of some runs on a GPU, in milliseconds of the device."""
    run()
    times = []
    for _ in range(REPEATS):
        begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))  # type: ignore[no-untyped-call]
        begin.record()
        run()
        end.record()
        torch.cuda.synchronize()
        times.append(begin.elapsed_time(end))
    return float(min(times))


def wall(run: Callable[[], object], device: torch.device, repeats: int = 3) -> float:
    """Returns the shortest of some runs as whoever waits sees it, in milliseconds."""
    run()
    times = []
    for _ in range(repeats):
        if device.type == "cuda":
            torch.cuda.synchronize()
        began = time.perf_counter()
        run()
        if device.type == "cuda":
            torch.cuda.synchronize()
        times.append(time.perf_counter() - began)
    return min(times) * 1e3


def copies(n_bytes: float, device: torch.device) -> int:
    """Returns how many copies of so many bytes are needed for none to stay in a cache."""
    return max(1, int(TOO_LARGE_TO_STAY // n_bytes) + 1) if device.type == "cuda" else 1
