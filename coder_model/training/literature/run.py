"""The training of one model: a checkpoint by the clock, and on from it as if nothing had happened."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Generator, Tensor

from coder_model.errors import CorpusError
from coder_model.training.arithmetic import training_dtype
from coder_model.training.checkpoint import load_checkpoint, save_checkpoint
from coder_model.training.literature.bounds import bits_per_byte, mean_bound
from coder_model.training.literature.models import LiteratureModel
from coder_model.training.literature.network import ContinuousDenoiser, Denoiser
from coder_model.training.literature.text import LENGTH, SEED, LabText, held_out_rows
from coder_model.training.optim import optimizers_for, schedule, schedulers_for
from coder_model.whole_file import written_whole

CHECKPOINT, LOG = "checkpoint.safetensors", "log.jsonl"
CHECKPOINT_S = 30.0
WATCHED_ROWS, WATCHED_DRAWS, WATCHED = 32, 2, 6
"""Held-out rows and draws of the bound that is watched, and how often it is in a run."""


@dataclass(frozen=True)
class LabOptions:
    """What is the same for all models of a comparison."""

    tokens: int
    """That each model sees, repeats counted."""
    size: str
    rows: int = 16
    """Of `LENGTH` tokens, in a step."""
    matrix_lr: float = 0.02
    other_lr: float = 0.004
    warm_up: int = 5
    decay_share: float = 0.2
    bf16: bool | None = None
    """Whether matrix products are in bfloat16; None: where the processor multiplies faster in it."""

    def distilling(self) -> LabOptions:
        """Returns what a model is distilled with: a quarter of the tokens, a fifth of the rates."""
        tokens, rates = max(1, self.tokens // 4), (self.matrix_lr / 5, self.other_lr / 5)
        return replace(self, tokens=tokens, matrix_lr=rates[0], other_lr=rates[1])

    @property
    def steps(self) -> int:
        """Steps that see as many tokens, rounded up."""
        return math.ceil(self.tokens / (self.rows * LENGTH))


def train_model(
    model: LiteratureModel, text: LabText, options: LabOptions, folder: Path, tell: Callable[[str], None]
) -> list[dict[str, Any]]:
    """Trains a model in `folder`, from its checkpoint where there is one, and returns what was logged.

    Raises:
        CorpusError: when the checkpoint is of another size or other rates.
    """
    network = model.network
    _begin_(model, options)
    optimizers = optimizers_for(network, options.matrix_lr, options.other_lr)
    facts = {"name": model.name, "vocabulary": text.tokenizer.vocab_size, "seed": SEED, "length": LENGTH}
    facts |= {k: v for k, v in vars(options).items() if k != "tokens"}
    checkpoint = folder / CHECKPOINT
    start = load_checkpoint(checkpoint, network, None, optimizers, facts) if checkpoint.exists() else 0
    log = _log_until(folder / LOG, start)
    schedulers = schedulers_for(
        optimizers, lambda step: schedule(step, options.steps, options.warm_up, options.decay_share), start
    )
    spent, saved = _stop_watch(log), time.monotonic()
    for step in range(start, options.steps):
        batch = text.train.batch(step, range(options.rows), LENGTH)
        loss = model.objective.loss(network, batch, Generator().manual_seed(SEED + step))
        _step(loss, network, optimizers)
        for scheduler in schedulers:
            scheduler.step()
        done = step + 1
        row = {"step": done, "tokens": done * options.rows * LENGTH, "loss": round(float(loss.detach()), 4), **spent()}
        if done == options.steps or done % max(1, options.steps // WATCHED) == 0:
            row["bits_per_byte"], row["error"] = watched_bound(model, text)
        log.append(row)
        tell(f"{model.name}: step {done} of {options.steps}, loss {row['loss']:.2f}")
        if done == options.steps or time.monotonic() - saved > CHECKPOINT_S:
            _keep(folder, done, network, optimizers, facts, log)
            saved = time.monotonic()
    return log


def _begin_(model: LiteratureModel, options: LabOptions) -> None:
    """Draws the weights, or takes the teacher's."""
    model.network.initialise_(SEED)
    if model.teacher:
        model.network.load_state_dict(model.teacher.state_dict())
    for each in (model.network, model.teacher):
        if each:
            each.dtype = training_dtype(torch.device("cpu"), options.bf16)


def _stop_watch(log: list[dict[str, Any]]) -> Callable[[], dict[str, float]]:
    """Returns what tells the seconds of a run so far, by the clock and of the processor, on from the end of its log."""
    before = log[-1] if log else {"seconds": 0.0, "cpu_seconds": 0.0}
    clocks = {"seconds": time.monotonic, "cpu_seconds": time.process_time}
    began = {name: clock() for name, clock in clocks.items()}
    return lambda: {name: round(before[name] + clock() - began[name], 2) for name, clock in clocks.items()}


def _step(loss: Tensor, network: torch.nn.Module, optimizers: list[torch.optim.Optimizer]) -> None:
    loss.backward()  # type: ignore[no-untyped-call]
    torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
    for optimizer in optimizers:
        optimizer.step()
        optimizer.zero_grad()


def _keep(
    folder: Path,
    done: int,
    network: torch.nn.Module,
    optimizers: list[torch.optim.Optimizer],
    facts: dict[str, Any],
    log: list[dict[str, Any]],
) -> None:
    """Writes the log first: lines that a checkpoint does not know are dropped when it is read."""
    folder.mkdir(parents=True, exist_ok=True)
    with written_whole(folder / LOG) as part:
        part.write_text("".join(json.dumps(row) + "\n" for row in log), "utf-8")
    save_checkpoint(folder / CHECKPOINT, done, network, None, optimizers, facts)


def load_weights_(network: Denoiser | ContinuousDenoiser, folder: Path) -> None:
    """Reads the weights of a run's checkpoint into a network, which is not trained then.

    Raises:
        CorpusError: when there is none.
    """
    if not (folder / CHECKPOINT).exists():
        raise CorpusError(f"{folder} must hold a trained model to distil from, found none: train {folder.name} first")
    stored = load_file(folder / CHECKPOINT)
    network.load_state_dict({name: stored[f"model.{name}"] for name in network.state_dict()})
    network.requires_grad_(False)


def _log_until(file: Path, step: int) -> list[dict[str, Any]]:
    lines = file.read_text("utf-8").splitlines() if file.exists() and step else []
    return [row for row in map(json.loads, lines) if row["step"] <= step]


def watched_bound(model: LiteratureModel, text: LabText) -> tuple[float, float]:
    """Returns the paper's bound on held-out rows and its standard error, in bits per byte; always the same noise."""
    x0, n_bytes = held_out_rows(text, WATCHED_ROWS)
    generator = Generator().manual_seed(SEED)
    nats, error = mean_bound(model.objective, model.network, x0, WATCHED_DRAWS, generator)
    bound, spread = (round(bits_per_byte(part * WATCHED_ROWS, n_bytes), 4) for part in (nats, error))
    return bound, spread
