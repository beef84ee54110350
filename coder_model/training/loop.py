"""The training run: one process per core, gradients averaged, checkpoints by the clock, exact resume."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, cast

import torch
import torch.distributed as dist
from torch import Tensor
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from torch.utils.data import DataLoader, Dataset

from coder_model.errors import CorpusError
from coder_model.model import weights
from coder_model.model.transformer import Transformer
from coder_model.prompt.tokenizer import CodeTokenizer
from coder_model.training.arithmetic import compile_, device_of, training_dtype
from coder_model.training.checkpoint import load_checkpoint, save_checkpoint
from coder_model.training.objective import Losses, joint_loss
from coder_model.training.optim import optimizers_for, schedule, schedulers_for
from coder_model.training.run_options import TrainOptions
from coder_model.training.sampler import Batch, Sampler
from coder_model.training.sharding import shard_, whole, whole_model
from coder_model.training.shards import Shard, verify
from coder_model.whole_file import naming

Tell = Callable[[dict[str, Any], float], None]
MODEL = "model"
"""Folder of what is exported, in that of the run."""
VALIDATION_ROWS = 4
"""Sequences per validation batch: the same for every run, so that curves compare."""


def train(options: TrainOptions, rank: int = 0, world: int = 1, tell: Tell = lambda *_: None) -> tuple[int, int]:
    """Trains, resuming from `output/checkpoint.safetensors` when it is there, and exports `output/model`.

    Returns the steps that were done before, and those that are done now.

    With `world` > 1 the caller has set up torch.distributed; every rank calls this function. `tell` gets what is
    logged of a step, and the seconds until the next checkpoint.

    Raises:
        CorpusError: when the corpus is not prepared, the checkpoint is of another run, or options exclude each other.
        ModelFileError: when the corpus' tokenizer is broken or has another vocabulary.
    """
    corpus, output = Path(options.corpus), Path(options.output)
    verify(corpus)
    tokenizer = weights.load_tokenizer(corpus, options.model)
    device = device_of(options.device, rank)
    model = Transformer(options.model)
    model.initialise_(options.seed)
    model.to(device)
    if options.shard:
        if options.average:
            raise CorpusError("options shard and average exclude each other: a mean needs whole weights")
        shard_(model, device, world)
    optimizers = optimizers_for(model, options.matrix_lr, options.other_lr)
    average = None
    if options.average:
        average = AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(options.average))  # type: ignore[no-untyped-call]
    exported = cast(Transformer, average.module) if average else model
    if options.compiler:
        compile_(model, options.compiler)
    facts = options.facts(world)
    checkpoint = output / "checkpoint.safetensors"
    start = load_checkpoint(checkpoint, model, average, optimizers, facts) if checkpoint.exists() else 0
    schedulers = schedulers_for(
        optimizers, lambda step: schedule(step, options.steps, options.warm_up, options.decay_share), start
    )
    held_out = Sampler(Shard.open(corpus, "valid"), tokenizer, options.noise, options.seed)
    saved = started = time.monotonic()
    for step, made in _batches(options, start, rank):
        batch = made.to(device)
        began = time.monotonic()
        factor = schedule(step, options.steps, options.warm_up, options.decay_share)
        losses = train_step(model, optimizers, batch, options, world)
        for scheduler in schedulers:
            scheduler.step()
        if average:
            average.update_parameters(model)
        done = step + 1
        now = time.monotonic()
        last = done == options.steps or _agreed(now >= started + options.minutes * 60, device, world)
        record = {"step": done, "tokens": done * options.rows * options.length * world, "lr": factor, **losses}
        record["tokens_per_second"] = round(batch.clean.numel() * world / (now - began))
        if done % options.validate_every == 0 or last:
            record |= _validate(exported, held_out, options)
        if rank == 0:
            _log(output, record)
            tell(record, saved + options.checkpoint_minutes * 60 - now)
        if last or _agreed(now - saved > options.checkpoint_minutes * 60, device, world):
            save_checkpoint(checkpoint, done, model, average, optimizers, facts, write=rank == 0)
            _export(exported, tokenizer, output / MODEL, rank)
            saved = now
        if last:
            return start, done
    # where a run was killed between its last checkpoint and its model
    if not (output / MODEL).is_dir():
        _export(exported, tokenizer, output / MODEL, rank)
    return start, start


def _export(model: Transformer, tokenizer: CodeTokenizer, directory: Path, rank: int) -> None:
    finished = whole_model(model)
    if rank == 0:
        with naming(directory):
            weights.save(finished, tokenizer, directory)


def _agreed(wish: bool, device: torch.device, world: int) -> bool:
    """True in every process when it is in one: their clocks differ, what they do must not."""
    if world == 1:
        return wish
    wishes = torch.tensor(float(wish), device=device)
    dist.all_reduce(wishes)
    return bool(wishes > 0)


class _Batches(Dataset[Batch]):
    """Batch by step, for a loader: each of its processes opens the shard itself."""

    def __init__(self, options: TrainOptions, rank: int) -> None:
        self._options, self._rank = options, rank
        self._sampler: Sampler | None = None

    def __getitem__(self, step: int) -> Batch:
        options = self._options
        if self._sampler is None:
            corpus = Path(options.corpus)
            tokenizer = weights.load_tokenizer(corpus, options.model)
            shard = Shard.open(corpus, "train")
            self._sampler = Sampler(shard, tokenizer, options.noise, options.seed, options.language_weights)
        decay_start = options.steps - int(options.steps * options.decay_share)
        length = options.length if step < decay_start else options.final_length
        n = options.rows * options.length // length
        return self._sampler.batch(step, range(self._rank * n, (self._rank + 1) * n), length)


def _batches(options: TrainOptions, start: int, rank: int) -> Iterator[tuple[int, Batch]]:
    """Steps from `start` on with their batches."""
    steps = range(start, options.steps)
    loader = DataLoader(
        _Batches(options, rank),
        batch_size=None,
        sampler=steps,
        num_workers=options.workers,
        multiprocessing_context="spawn" if options.workers else None,
    )
    yield from zip(steps, loader, strict=True)


def train_step(
    model: Transformer, optimizers: list[torch.optim.Optimizer], batch: Batch, options: TrainOptions, world: int = 1
) -> dict[str, float]:
    """One optimizer step over the batch in micro-batches; returns the mean losses of this process."""
    micro = max(1, options.micro_rows * options.length // batch.clean.shape[1])
    parts = batch.split(micro)
    dtype = training_dtype(model.embed_tokens.weight.device, options.bf16)
    seen: list[Losses] = []
    for part in parts:
        losses = joint_loss(model, part, options.diffusion_weight, dtype, options.middle_weight)
        (losses.total / len(parts)).backward()  # type: ignore[no-untyped-call]
        seen.append(losses)
    gradients = [p.grad for p in model.parameters() if p.grad is not None]
    if world > 1 and not options.shard:
        _average_(gradients, world)
    norm = torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    for optimizer in optimizers:
        optimizer.step()
        optimizer.zero_grad(set_to_none=False)
    return {**_means(seen), "gradient_norm": round(float(whole(norm)), 4)}


def _average_(gradients: list[Tensor], world: int) -> None:
    """Replaces each gradient by its mean over the processes, in one message."""
    flat = torch.cat([g.flatten() for g in gradients])
    dist.all_reduce(flat)
    flat /= world
    for gradient, part in zip(gradients, torch.split(flat, [g.numel() for g in gradients]), strict=True):
        gradient.copy_(part.view_as(gradient))


@torch.no_grad()
def _validate(model: Transformer, sampler: Sampler, options: TrainOptions) -> dict[str, float]:
    device = model.embed_tokens.weight.device
    dtype = training_dtype(device, options.bf16)
    batches = (
        sampler.batch(number, range(VALIDATION_ROWS), options.length) for number in range(options.validation_batches)
    )
    seen = [joint_loss(model, batch.to(device), options.diffusion_weight, dtype) for batch in batches]
    return {f"valid_{name}": value for name, value in _means(seen).items()}


def _means(seen: list[Losses]) -> dict[str, float]:
    """The mean of each loss over the parts where it occurs."""
    means = {}
    for name in ("autoregressive", "middle", "full", "partial"):
        values = [value for part in seen if not math.isnan(value := getattr(part, name))]
        means[name] = round(sum(values) / max(1, len(values)), 4)
    return means


def _log(output: Path, record: dict[str, Any]) -> None:
    output.mkdir(parents=True, exist_ok=True)
    with (output / "log.jsonl").open("a", encoding="utf-8") as file:
        file.write(json.dumps(record) + "\n")
