"""How many threads the model may use: few, so that the editor and the user's build keep theirs."""

from __future__ import annotations

import os
import statistics
import time

MAX_THREADS = 2
TRIES = 5
"""Times that each count of threads is measured; the median counts."""
WIDTH, TOKENS = 512, 2048
"""Of the products that are measured: as large as those of a training step, milliseconds each."""


def limit_threads() -> None:
    """Sets the threads of torch and the tokenizer, and what oneDNN does and keeps; to run before torch is imported."""
    threads = min(MAX_THREADS, _available())
    # a waiting thread spins for microseconds: asleep at once, it doubles a small pass's time; for ever, it eats a core
    os.environ.setdefault("GOMP_SPINCOUNT", "10000")
    os.environ.setdefault("KMP_BLOCKTIME", "1")
    os.environ.setdefault("OMP_NUM_THREADS", str(threads))
    # oneDNN keeps what it made for each length of a context, a thousand of them, two megabytes each
    os.environ.setdefault("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "16")
    os.environ.setdefault("LRU_CACHE_CAPACITY", "16")
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    import torch

    from coder_kernels.cpu import processor

    torch.set_num_threads(threads)
    # its products are code that it makes, too: where none may be made they fail, and torch's own do not
    if not processor.may_execute():
        torch.backends.mkldnn.enabled = False  # type: ignore[assignment]


def choose_threads() -> None:
    """Does what `limit_threads` does, and gives torch as many threads as a training step is fastest with now.

    Threads wait for each other: on a machine whose cores are busy, one may be many times as fast as two.
    """
    limit_threads()
    import torch

    counts = [1 << power for power in range(_available().bit_length())]
    torch.set_num_threads(min(counts, key=_products_s))


def _products_s(threads: int) -> float:
    """Seconds that products there and back take with so many threads."""
    import torch

    torch.set_num_threads(threads)
    x, w = torch.ones(TOKENS, WIDTH), torch.ones(WIDTH, WIDTH, requires_grad=True)
    seconds = []
    for _ in range(TRIES):
        began = time.perf_counter()
        (x @ w).sum().backward()  # type: ignore[no-untyped-call]
        seconds.append(time.perf_counter() - began)
    return statistics.median(seconds)


def _available() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
