"""The run of a drafter: by the clock, so that a machine lent for minutes is used to its end."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor

from coder_model.model.drafter import Drafter
from coder_model.model.drafter_files import CONFIG, WEIGHTS
from coder_model.training.drafter.initial import initial_drafter
from coder_model.training.drafter.objective import DraftOutcome, accepted_tokens, outcome, target_states
from coder_model.training.drafter.options import DrafterOptions
from coder_model.training.drafter.sampler import DrafterBatch, DrafterSampler
from coder_model.training.optim import make_optimizers, schedulers_for
from coder_model.training.published.compiled import compile_if_faster
from coder_model.training.published.target import load_cut, read_tokens
from coder_model.training.shards import Shard

LOG, PROGRESS = "log.jsonl", "progress.json"
AHEAD = 8
"""Batches that are made while the device works."""
SAVE_EVERY_S = 120


class DrafterRun:
    """A drafter, the larger model, and what is needed to train the one on the other."""

    def __init__(self, options: DrafterOptions, say: Callable[[str], None] = print) -> None:
        """Reads everything.

        Args:
            options: of the run.
            say: takes a line on how it goes.

        Raises:
            CorpusError: when the corpus is not there.
            ModelFileError: when the larger model is broken, or the drafter to go on from is, or does not fit it.
        """
        self.options, self._say = options, say
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self.dtype = torch.bfloat16 if self.device.type == "cuda" else torch.float32
        corpus = Path(options.corpus)
        self.target = load_cut(corpus, self.device, self.dtype)
        self.head = self.target.lm_head.weight.data
        self.step, self.share = _begun(Path(options.output))
        """Steps that are done, and the share of the time that they took."""
        init = options.output if self.step else options.init
        self.drafter = initial_drafter(replace(options, init=init), self.target.config).to(self.device)
        marks = read_tokens(corpus)
        self.sampler = DrafterSampler(Shard.open(corpus, "train"), marks, options.holes, options.seed)
        self.validation = DrafterSampler(Shard.open(corpus, "valid"), marks, options.holes, 0)
        matrices = [p for name, p in self.drafter.named_parameters() if p.dim() == 2 and name != "masks"]
        others = [p for name, p in self.drafter.named_parameters() if p.dim() != 2 or name == "masks"]
        if self.device.type == "cuda":
            compile_if_faster([self.target], self._states_of_nothing, say)
        self.optimizers = make_optimizers(matrices, others, options.matrix_lr, options.other_lr)

    def _states_of_nothing(self) -> None:
        tokens = torch.zeros(self.options.micro_rows, self.options.holes.length, dtype=torch.int64, device=self.device)
        with self._autocast():
            target_states(self.target, tokens, self.drafter.config.taps)

    def train(self, progress: Callable[[float], None] = lambda _: None) -> dict[str, Any]:
        """Trains until the time is over; writes the log and the weights.

        Args:
            progress: called with the share of the time that is over, in (0, 1], after every step.

        Returns:
            The last validation.
        """
        options, output = self.options, Path(self.options.output)
        output.mkdir(parents=True, exist_ok=True)
        began, saved, before = time.monotonic(), time.monotonic(), self.share
        checks = [share for share in (0.25, 0.5, 0.75) if share > self.share]
        schedulers = schedulers_for(self.optimizers, lambda step: _rate(step, self.share, options))
        with (output / LOG).open("a") as log, ThreadPoolExecutor(2) as pool:

            def note(values: dict[str, Any]) -> None:
                spent = {"step": self.step, "seconds": round(time.monotonic() - began, 1)}
                log.write(json.dumps({**spent, **values}) + "\n")
                log.flush()
                self._say(json.dumps({"step": self.step, **values}))

            note({"options": asdict(options), "parameters": sum(p.numel() for p in self.drafter.parameters())})
            for batches in _ahead(self.sampler, options, pool, self.step):
                if self.share >= 1:
                    break
                loss = self._stepped(batches)
                time_share = before + (time.monotonic() - began) / (60 * options.minutes)
                self.share = max(time_share, self.step / options.steps)
                for scheduler in schedulers:
                    scheduler.step()
                progress(min(1.0, self.share))
                if self.step % 50 == 0:
                    note({"loss": float(loss), "share": round(self.share, 3)})
                if is_checked := bool(checks) and self.share > checks[0]:
                    checks.pop(0)
                    note({"valid": self.validate()})
                if is_checked or time.monotonic() - saved > SAVE_EVERY_S:
                    saved = time.monotonic()
                    self._checkpoint(output)
            last = self.validate()
            note({"valid": last})
        self.save(output)
        (output / PROGRESS).unlink(missing_ok=True)
        return last

    def _stepped(self, batches: list[DrafterBatch]) -> Tensor:
        """One step of the optimizers; the loss [] before it."""
        losses = [self._learn(batch) for batch in batches]
        for optimizer in self.optimizers:
            optimizer.step()
        self.drafter.zero_grad(set_to_none=True)
        self.step += 1
        return torch.stack(losses).mean()

    def _learn(self, batch: DrafterBatch) -> Tensor:
        with self._autocast():
            loss = self._outcome(batch).loss / (self.options.rows // self.options.micro_rows)
        loss.backward()  # type: ignore[no-untyped-call]
        return loss.detach()

    def _outcome(self, batch: DrafterBatch, drafter: Drafter | None = None) -> DraftOutcome:
        here = DrafterBatch(
            *(getattr(batch, name).to(self.device, non_blocking=True) for name in DrafterBatch.__slots__)
        )
        return outcome(drafter or self.drafter, self.target, self.head, here, self.options.hard)

    def _autocast(self) -> AbstractContextManager[object]:
        is_gpu = self.device.type == "cuda"
        return torch.autocast("cuda", torch.bfloat16) if is_gpu else nullcontext()

    @torch.no_grad()
    def validate(self, drafter: Drafter | None = None) -> dict[str, Any]:
        """Returns the loss, and how many tokens are accepted in the middle of holes and in the prefix.

        Args:
            drafter: on the run's device; the one that is trained when absent.
        """
        found = []
        for number in range(-(-self.options.validation_rows // self.options.micro_rows)):
            batch = self.validation.batch(number, self.options.micro_rows)
            with self._autocast():
                result = self._outcome(batch, drafter)
            fresh = ~batch.known[..., 1:].any(dim=2)
            asked = (batch.weights > 0) & fresh[..., None]
            found.append([*(t.cpu() for t in (result.losses, result.agrees, result.on_path)), asked, batch.in_middle])
        losses, agrees, on_path, asked, in_middle = (torch.cat(parts) for parts in zip(*found, strict=True))
        record: dict[str, Any] = {"loss": float(losses[asked].mean())}
        for name, chosen in (("middle", in_middle), ("prefix", ~in_middle)):
            accepted, chances = accepted_tokens(agrees[chosen], on_path[chosen], asked[chosen])
            record[name] = {"accepted": round(accepted, 3), "chances": [round(c, 3) for c in chances.tolist()]}
        return record

    def save(self, output: Path) -> None:
        """Writes configuration and weights (float16), replacing what is there in one move."""
        self.drafter.config.save(output / CONFIG)
        tensors = {name: p.detach().half().cpu().contiguous() for name, p in self.drafter.state_dict().items()}
        part = output / f"{WEIGHTS}.part"
        save_file(tensors, part)
        part.replace(output / WEIGHTS)

    def _checkpoint(self, output: Path) -> None:
        self.save(output)
        part = output / f"{PROGRESS}.part"
        part.write_text(json.dumps({"step": self.step, "share": self.share}), "utf-8")
        part.replace(output / PROGRESS)


def _begun(output: Path) -> tuple[int, float]:
    """Steps and share of the time of a run that was interrupted."""
    try:
        values = json.loads((output / PROGRESS).read_text("utf-8"))
    except FileNotFoundError:
        return 0, 0.0
    return values["step"], values["share"]


def _rate(step: int, share: float, options: DrafterOptions) -> float:
    """The factor on every learning rate: linear warm-up, constant, linear decay to zero over the last of the time."""
    return max(0.0, min(1.0, (step + 1) / options.warm_up, (1 - share) / options.decay_share))


def _ahead(
    sampler: DrafterSampler, options: DrafterOptions, pool: ThreadPoolExecutor, first: int
) -> Iterator[list[DrafterBatch]]:
    """Yields the batches of each step from the first one on, some of them made in advance."""
    passes = options.rows // options.micro_rows

    def make(step: int) -> list[DrafterBatch]:
        return [sampler.batch(step * passes + index, options.micro_rows) for index in range(passes)]

    coming = [pool.submit(make, first + step) for step in range(AHEAD)]
    step = first + AHEAD
    while True:
        yield coming.pop(0).result()
        coming.append(pool.submit(make, step))
        step += 1
