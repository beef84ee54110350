"""A run by the clock, so that a machine lent for minutes is used to its end; gone on with when it was interrupted."""

from __future__ import annotations

import json
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar

import torch
from torch import Tensor

from coder_model.errors import CorpusError
from coder_model.training.optim import schedulers_for
from coder_model.training.published.options import RunOptions
from coder_model.whole_file import written_whole

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

LOG, PROGRESS = "log.jsonl", "progress.json"
AHEAD = 8
"""Batches that are made while the device works."""
SAVE_EVERY_S = 120
LOG_EVERY = 20
"""Steps."""
_Batch = TypeVar("_Batch", bound="DataclassInstance")
_Drawn = TypeVar("_Drawn", covariant=True)
_Scores = TypeVar("_Scores", bound="DataclassInstance")


class Batches(Protocol[_Drawn]):
    """Where batches come from."""

    def batch(self, number: int, rows: int) -> _Drawn:
        """Returns batch `number`, the same at every call."""


class TimedRun(ABC, Generic[_Batch, _Scores]):
    """What learns, and how far it is. A subclass sets what learns, the sampler and the optimizers."""

    options: RunOptions
    sampler: Batches[_Batch]
    optimizers: list[torch.optim.Optimizer]
    """Of what learns, and of nothing else."""

    def __init__(self, options: RunOptions, say: Callable[[str], None]) -> None:
        """Chooses the device, and reads how far an interrupted run into the same output has come.

        Args:
            options: of the run.
            say: takes a line on how it goes.

        Raises:
            CorpusError: when `rows` is no multiple of `micro_rows`.
        """
        if options.rows % options.micro_rows:
            raise CorpusError(f"rows must be a multiple of micro_rows, got {options.rows} and {options.micro_rows}")
        self.options, self._say = options, say
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self.dtype = torch.bfloat16 if self.device.type == "cuda" or options.bfloat16 else torch.float32
        self.step, self.share = _begun(Path(options.output))
        """Steps that are done, and the share of the time that they took."""

    @abstractmethod
    def loss(self, batch: _Batch) -> Tensor:
        """Returns what a batch that lies on the CPU says, [], differentiable."""

    @abstractmethod
    def validate(self) -> _Scores:
        """Returns what held-out files say, as a dataclass."""

    @abstractmethod
    def save(self, output: Path) -> None:
        """Writes what has been learnt, replacing what is there in one move."""

    def train(self, progress: Callable[[float], None] = lambda _: None) -> _Scores:
        """Trains until the time is over; writes the log and what has been learnt.

        Args:
            progress: called with the share of the time that is over, in (0, 1], after every step.

        Returns:
            The last validation.
        """
        output = Path(self.options.output)
        output.mkdir(parents=True, exist_ok=True)
        with (output / LOG).open("a") as log, ThreadPoolExecutor(2) as pool:
            began = time.monotonic()

            def note(values: dict[str, Any]) -> None:
                line = json.dumps({"step": self.step, "seconds": round(time.monotonic() - began, 1), **values})
                log.write(line + "\n")
                log.flush()
                self._say(line)

            count = sum(p.numel() for optimizer in self.optimizers for p in optimizer.param_groups[0]["params"])
            note({"options": asdict(self.options), "parameters": count})
            self._learn_on(pool, note, progress)
            last = self.validate()
            note({"valid": asdict(last)})
        self.save(output)
        (output / PROGRESS).unlink(missing_ok=True)
        return last

    def _learn_on(
        self, pool: ThreadPoolExecutor, note: Callable[[dict[str, Any]], None], progress: Callable[[float], None]
    ) -> None:
        options, output, before = self.options, Path(self.options.output), self.share
        began = saved = time.monotonic()
        checks = [share for share in options.checks if share > before]
        schedulers = schedulers_for(self.optimizers, lambda step: rate(step, self.share, options))
        for batches in _ahead(self.sampler, options, pool, self.step):
            if self.share >= 1:
                break
            loss = self.stepped(batches)
            time_share = before + (time.monotonic() - began) / (60 * options.minutes)
            self.share = max(time_share, self.step / options.steps)
            for scheduler in schedulers:
                scheduler.step()
            progress(min(1.0, self.share))
            if self.step % LOG_EVERY == 0:
                note({"loss": float(loss), "share": round(self.share, 3)})
            if is_checked := bool(checks) and self.share > checks[0]:
                checks.pop(0)
                note({"valid": asdict(self.validate())})
            if is_checked or time.monotonic() - saved > SAVE_EVERY_S:
                saved = time.monotonic()
                self._checkpoint(output)

    def stepped(self, batches: list[_Batch]) -> Tensor:
        """One step of the optimizers on the batches of its passes; returns the loss [] before it."""
        losses = [self._learn(batch) for batch in batches]
        for optimizer in self.optimizers:
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
        self.step += 1
        return torch.stack(losses).mean()

    def _learn(self, batch: _Batch) -> Tensor:
        loss = self.loss(batch)
        (loss / (self.options.rows // self.options.micro_rows)).backward()  # type: ignore[no-untyped-call]
        return loss.detach()

    def moved(self, batch: _Batch) -> _Batch:
        """Returns a batch, a dataclass of tensors, on the device."""
        return type(batch)(*(getattr(batch, one.name).to(self.device, non_blocking=True) for one in fields(batch)))

    def autocast(self) -> AbstractContextManager[object]:
        """Where passes run."""
        return torch.autocast(self.device.type, self.dtype) if self.dtype is torch.bfloat16 else nullcontext()

    def _checkpoint(self, output: Path) -> None:
        self.save(output)
        with written_whole(output / PROGRESS) as part:
            part.write_text(json.dumps({"step": self.step, "share": self.share}), "utf-8")


def _begun(output: Path) -> tuple[int, float]:
    """Steps and share of the time of a run that was interrupted."""
    try:
        values = json.loads((output / PROGRESS).read_text("utf-8"))
    except FileNotFoundError:
        return 0, 0.0
    return values["step"], values["share"]


def rate(step: int, share: float, options: RunOptions) -> float:
    """The factor on every learning rate: linear warm-up, constant, linear decay to zero over the last of the time."""
    return max(0.0, min(1.0, (step + 1) / options.warm_up, (1 - share) / options.decay_share))


def _ahead(
    sampler: Batches[_Batch], options: RunOptions, pool: ThreadPoolExecutor, first: int
) -> Iterator[list[_Batch]]:
    """Yields the batches of each step from the first one on, some of them made in advance."""
    passes = options.rows // options.micro_rows

    def make(step: int) -> list[_Batch]:
        return [sampler.batch(step * passes + index, options.micro_rows) for index in range(passes)]

    coming = [pool.submit(make, first + step) for step in range(AHEAD)]
    step = first + AHEAD
    while True:
        yield coming.pop(0).result()
        coming.append(pool.submit(make, step))
        step += 1
