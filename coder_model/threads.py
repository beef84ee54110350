"""How many threads the model may use: few, so that the editor and the user's build keep theirs."""

from __future__ import annotations

import os

MAX_THREADS = 2


def limit_threads() -> None:
    """Sets the threads of torch and the tokenizer; must run before torch is imported for the first time."""
    available = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    threads = min(MAX_THREADS, available)
    # a waiting thread spins for microseconds: asleep at once, it doubles a small pass's time; for ever, it eats a core
    os.environ.setdefault("GOMP_SPINCOUNT", "10000")
    os.environ.setdefault("KMP_BLOCKTIME", "1")
    os.environ.setdefault("OMP_NUM_THREADS", str(threads))
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    import torch

    torch.set_num_threads(threads)
