"""How many threads the model may use: few, so that the editor and the user's build keep theirs."""

from __future__ import annotations

import os

MAX_THREADS = 2


def limit_threads() -> None:
    """Sets the threads of torch and the tokenizer, and what oneDNN does and keeps; to run before torch is imported."""
    available = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    threads = min(MAX_THREADS, available)
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
