"""A training run in this process, which may be one of several under torchrun."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist

from coder_model.training.arithmetic import device_of
from coder_model.training.loop import MODEL, Tell, train
from coder_model.training.progress import Ticker, left
from coder_model.training.run_options import TrainOptions


def launch(options: TrainOptions) -> str:
    """Trains; joins the other processes where torchrun has started some.

    Returns one line that says where the model is; an empty one in all processes but the first.

    Raises:
        CorpusError: as `train` does.
        ModelFileError: as `train` does.
    """
    rank, world = int(os.environ.get("RANK", "0")), int(os.environ.get("WORLD_SIZE", "1"))
    if world > 1:
        on_gpu = device_of(options.device, rank).type == "cuda"
        torch.set_num_threads(1)
        dist.init_process_group("nccl" if on_gpu else "gloo")
    try:
        with Ticker() as ticker:
            before, done = train(options, rank, world, teller(options, ticker))
        if world > 1:
            # nobody leaves while another still writes
            dist.barrier()
    finally:
        if world > 1:
            dist.destroy_process_group()
    return "" if rank else _outcome(options, before, done)


def _outcome(options: TrainOptions, before: int, done: int) -> str:
    model = Path(options.output) / MODEL
    if done == before:
        return f"{options.output} is done already ({done:,} steps): {model}"
    rest = f" after {done:,} of {options.steps:,} steps; the same command goes on" if done < options.steps else ""
    return f"written to {model}{rest}"


def teller(options: TrainOptions, ticker: Ticker) -> Tell:
    """Returns what shows each step of a run in one line: loss, speed, and the time until its end and its checkpoint."""
    began, first = time.monotonic(), 0

    def tell(record: dict[str, Any], checkpoint_s: float) -> None:
        nonlocal first
        first = first or record["step"] - 1
        spent = time.monotonic() - began
        rest = (options.steps - record["step"]) * spent / (record["step"] - first)
        rest = min(rest, max(0.0, options.minutes * 60 - spent))
        to_come = f", {left(rest)} left, checkpoint in {left(max(0.0, checkpoint_s))}" if rest else ""
        ticker.tell(
            f"step {record['step']:,} of {options.steps:,}, loss {record['autoregressive']:.2f}, "
            f"{record['tokens_per_second']:,} tokens/s{to_come}"
        )

    return tell
