"""The run of an adapter: by the clock, so that a machine lent for minutes is used to its end."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from coder_model.errors import CorpusError, ModelFileError
from coder_model.training.adapter.low_rank import attach_, factors, fill_
from coder_model.training.adapter.objective import FillOutcome, outcome
from coder_model.training.adapter.options import AdapterOptions
from coder_model.training.adapter.sampler import AdapterBatch, AdapterSampler
from coder_model.training.optim import schedulers_for
from coder_model.training.published.compiled import compile_if_faster
from coder_model.training.published.target import load_cut, read_tokens
from coder_model.training.shards import Shard

LOG, FACTORS = "log.jsonl", "factors.safetensors"
AHEAD = 8
"""Batches that are made while the device works."""
SAVE_EVERY_S = 120


@dataclass(frozen=True, slots=True)
class HolesFilled:
    """Holes of files that were held out, each token asked for behind the text's own ones."""

    holes: int
    """Those whose every token could be said."""
    whole: float
    """Percent of them of which every token and the end are the model's first choices: what greedy decoding fills
    exactly."""
    tokens: float
    """Percent of their tokens."""
    taught_whole: float
    """Percent of the holes by the teacher."""
    loss: float
    """Nats per token, as it is trained on."""


class AdapterRun:
    """A model with an adapter, its teacher, and what is needed to train."""

    def __init__(self, options: AdapterOptions, say: Callable[[str], None] = print) -> None:
        """Reads everything.

        Args:
            options: of the run.
            say: takes a line on how it goes.

        Raises:
            CorpusError: when the corpus is not there, or `rows` is no multiple of `micro_rows`.
            ModelFileError: when a model or the adapter to go on from is broken, or does not fit.
        """
        if options.rows % options.micro_rows:
            raise CorpusError(f"rows must be a multiple of micro_rows, got {options.rows} and {options.micro_rows}")
        self.options, self._say = options, say
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        dtype = torch.bfloat16 if self.device.type == "cuda" else torch.float32
        corpus = Path(options.corpus)
        self.model = load_cut(corpus, self.device, dtype).requires_grad_(False)
        self.teacher = load_cut(Path(options.teacher or options.corpus), self.device, dtype).requires_grad_(False)
        if self.model.lm_head.weight.shape[0] != self.teacher.lm_head.weight.shape[0]:
            raise ModelFileError("teacher must be cut to the vocabulary of the model")
        torch.manual_seed(options.seed)
        self.adapted = attach_(self.model, options.rank, options.scale)
        if options.init:
            fill_(self.adapted, _read(Path(options.init)))
        marks, head_tokens = read_tokens(corpus), len(self.model.lm_head.weight)
        self.sampler = AdapterSampler(Shard.open(corpus, "train"), marks, head_tokens, options, options.seed)
        self.validation = AdapterSampler(Shard.open(corpus, "valid"), marks, head_tokens, options, 0)
        learnt = [parameter for layer in self.adapted.values() for parameter in (layer.down, layer.up)]
        self.optimizer = torch.optim.AdamW(learnt, options.learning_rate, betas=(0.9, 0.95), weight_decay=0.0)
        self.step = 0
        if self.device.type == "cuda":
            first = self.sampler.batch(0, options.micro_rows)
            compile_if_faster([self.model, self.teacher], lambda: self._learn(first), say)
            self.optimizer.zero_grad(set_to_none=True)

    def train(self) -> HolesFilled:
        """Trains until the time is over; writes the log and the factors.

        Returns:
            The last validation.
        """
        options, output, share = self.options, Path(self.options.output), 0.0
        output.mkdir(parents=True, exist_ok=True)
        began = saved = time.monotonic()
        checks = [0.25, 0.5, 0.75]
        schedulers = schedulers_for([self.optimizer], lambda step: _rate(step, share, options))
        with (output / LOG).open("a") as log, ThreadPoolExecutor(2) as pool:

            def note(values: dict[str, Any]) -> None:
                line = json.dumps({"step": self.step, "seconds": round(time.monotonic() - began, 1), **values})
                log.write(line + "\n")
                log.flush()
                self._say(line)

            count = sum(parameter.numel() for parameter in self.optimizer.param_groups[0]["params"])
            note({"options": asdict(options), "parameters": count, "valid": asdict(self.validate())})
            for batches in _ahead(self.sampler, options, pool):
                if share >= 1:
                    break
                loss = torch.stack([self._learn(batch) for batch in batches]).sum()
                self.optimizer.step()
                self.optimizer.zero_grad(set_to_none=True)
                self.step += 1
                share = max((time.monotonic() - began) / (60 * options.minutes), self.step / options.steps)
                schedulers[0].step()
                if self.step % 20 == 0:
                    note({"loss": float(loss), "share": round(share, 3)})
                if checks and share > checks[0]:
                    checks.pop(0)
                    note({"valid": asdict(self.validate())})
                if time.monotonic() - saved > SAVE_EVERY_S:
                    saved = time.monotonic()
                    self.save(output)
            last = self.validate()
            note({"valid": asdict(last)})
        self.save(output)
        return last

    def _learn(self, batch: AdapterBatch) -> Tensor:
        loss = self._outcome(batch).loss / (self.options.rows // self.options.micro_rows)
        loss.backward()  # type: ignore[no-untyped-call]
        return loss.detach()

    def _outcome(self, batch: AdapterBatch) -> FillOutcome:
        here = AdapterBatch(
            *(getattr(batch, name).to(self.device, non_blocking=True) for name in AdapterBatch.__slots__)
        )
        with self._autocast():
            return outcome(self.model, self.teacher, here, self.options.hard)

    def _autocast(self) -> AbstractContextManager[object]:
        return torch.autocast("cuda", torch.bfloat16) if self.device.type == "cuda" else nullcontext()

    @torch.no_grad()
    def validate(self) -> HolesFilled:
        """Returns how holes of the held-out files are filled."""
        losses, rows = [], []
        for number in range(-(-self.options.validation_rows // self.options.micro_rows)):
            batch = self.validation.batch(number, self.options.micro_rows)
            found = self._outcome(batch)
            losses.append(float(found.loss))
            can_be_said = (batch.weights > 0) | ~batch.in_middle
            said, taught = (right.cpu() | ~batch.in_middle for right in (found.said_right, found.taught_right))
            tokens = torch.where(batch.in_middle, said, False).sum(dim=1)
            counts = [can_be_said.all(dim=1), said.all(dim=1), taught.all(dim=1), tokens, batch.in_middle.sum(dim=1)]
            rows.append(torch.stack([count.long() for count in counts], dim=1))
        kept = torch.cat(rows)
        kept = kept[kept[:, 0] == 1].double()
        whole, taught_whole, right, asked = (float(total) for total in kept[:, 1:].sum(dim=0))
        holes = len(kept)
        return HolesFilled(
            holes, 100 * whole / max(1, holes), 100 * right / max(1.0, asked), 100 * taught_whole / max(1, holes),
            sum(losses) / len(losses),
        )  # fmt: skip

    def save(self, output: Path) -> None:
        """Writes the factors in float16, replacing what is there in one move."""
        part = output / f"{FACTORS}.part"
        save_file(factors(self.adapted), part)
        part.replace(output / FACTORS)


def _read(directory: Path) -> dict[str, Tensor]:
    try:
        return load_file(directory / FACTORS)
    except (OSError, SafetensorError) as error:
        raise ModelFileError(f"{directory} must hold an adapter that a run has written: {error}") from error


def _rate(step: int, share: float, options: AdapterOptions) -> float:
    """The factor on the learning rate: linear warm-up, constant, linear decay to zero over the last of the time."""
    return max(0.0, min(1.0, (step + 1) / options.warm_up, (1 - share) / options.decay_share))


def _ahead(sampler: AdapterSampler, options: AdapterOptions, pool: ThreadPoolExecutor) -> Iterator[list[AdapterBatch]]:
    """Yields the batches of each step, some of them made in advance."""
    passes = options.rows // options.micro_rows

    def make(step: int) -> list[AdapterBatch]:
        return [sampler.batch(step * passes + index, options.micro_rows) for index in range(passes)]

    coming = [pool.submit(make, step) for step in range(AHEAD)]
    step = AHEAD
    while True:
        yield coming.pop(0).result()
        coming.append(pool.submit(make, step))
        step += 1
