"""The run of a drafter: by the clock, so that a machine lent for minutes is used to its end."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from coder_model.errors import CorpusError, ModelFileError
from coder_model.model.drafter import Drafter, DrafterConfig
from coder_model.model.transformer import Transformer
from coder_model.training.drafter.objective import DraftOutcome, accepted_tokens, outcome, target_states
from coder_model.training.drafter.sampler import DrafterBatch, DrafterSampler, HoleOptions
from coder_model.training.drafter.target import load_cut, read_tokens
from coder_model.training.optim import make_optimizers, schedulers_for
from coder_model.training.shards import Shard

CONFIG, WEIGHTS, LOG = "drafter.json", "drafter.safetensors", "log.jsonl"
AHEAD = 8
"""Batches that are made while the device works."""


@dataclass(frozen=True)
class DrafterOptions:
    """A run."""

    corpus: str
    """Directory with the larger model's cut vocabulary, its weights, and the shards in its numbers."""
    output: str
    minutes: float
    """Length of the run, with reading, compiling and validating."""
    holes: HoleOptions = field(default_factory=HoleOptions)
    n_layers: int = 3
    d_ff: int = 1280
    taps: int = 5
    rows: int = 16
    """Sequences per step."""
    micro_rows: int = 16
    """Sequences per pass."""
    matrix_lr: float = 0.02
    other_lr: float = 0.004
    warm_up: int = 40
    decay_share: float = 0.4
    """Share of the time, in (0, 1], in which the learning rates fall to zero."""
    hard: float = 0.5
    """Share of the larger model's first choice in what is learnt."""
    steps: int = 1 << 30
    seed: int = 1
    validation_rows: int = 128
    init: str = ""
    """Directory of a drafter to go on from."""


class DrafterRun:
    """A drafter, the larger model, and what is needed to train the one on the other."""

    def __init__(self, options: DrafterOptions) -> None:
        """Reads everything.

        Raises:
            CorpusError: when the corpus is not there.
            ModelFileError: when the larger model or the drafter to go on from is broken.
        """
        self.options = options
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self.dtype = torch.bfloat16 if self.device.type == "cuda" else torch.float32
        corpus = Path(options.corpus)
        self.target = load_cut(corpus, self.device, self.dtype)
        self.head = self.target.lm_head.weight.data
        self.drafter = _drafter(options, self.target).to(self.device)
        marks = read_tokens(corpus)
        self.sampler = DrafterSampler(Shard.open(corpus, "train"), marks, options.holes, options.seed)
        self.validation = DrafterSampler(Shard.open(corpus, "valid"), marks, options.holes, 0)
        matrices = [p for name, p in self.drafter.named_parameters() if p.dim() == 2 and name != "masks"]
        others = [p for name, p in self.drafter.named_parameters() if p.dim() != 2 or name == "masks"]
        if self.device.type == "cuda":
            self._compile_if_faster()
        self.optimizers = make_optimizers(matrices, others, options.matrix_lr, options.other_lr)

    def _compile_if_faster(self) -> None:
        """Compiles the larger model's layers, unless that fails here or brings nothing."""
        tokens = torch.zeros(self.options.micro_rows, self.options.holes.length, dtype=torch.int64, device=self.device)

        def seconds() -> float:
            with self._autocast():
                target_states(self.target, tokens, self.drafter.config.taps)
                torch.cuda.synchronize()
                began = time.perf_counter()
                target_states(self.target, tokens, self.drafter.config.taps)
                torch.cuda.synchronize()
            return time.perf_counter() - began

        plain, compiled = seconds(), float("inf")
        began = time.perf_counter()
        try:
            for layer in self.target.layers:
                layer.compile(dynamic=False)
            compiled = seconds()
        except Exception as error:  # no compiler, or one that does not know this device
            print(f"the larger model is not compiled: {type(error).__name__}: {error}"[:300], flush=True)
        took = time.perf_counter() - began
        print(f"larger model: {plain:.4f} s, compiled {compiled:.4f} s, compiling {took:.1f} s", flush=True)
        if compiled >= plain:
            for layer in self.target.layers:
                layer._compiled_call_impl = None

    def train(self) -> dict[str, Any]:
        """Trains until the time is over; returns the last validation. Writes the log and the weights."""
        options, output = self.options, Path(self.options.output)
        output.mkdir(parents=True, exist_ok=True)
        began = time.monotonic()
        seconds = 60 * options.minutes
        step, share, checks = 0, 0.0, [0.25, 0.5, 0.75]
        schedulers = schedulers_for(self.optimizers, lambda step: _rate(step, share, options))
        with (output / LOG).open("a") as log, ThreadPoolExecutor(2) as pool:

            def note(values: dict[str, Any]) -> None:
                log.write(json.dumps({"step": step, "seconds": round(time.monotonic() - began, 1), **values}) + "\n")
                log.flush()
                print(json.dumps({"step": step, **values}), flush=True)

            note({"options": asdict(options), "parameters": sum(p.numel() for p in self.drafter.parameters())})
            for batches in _ahead(self.sampler, options, pool):
                if share >= 1:
                    break
                losses = [self._learn(batch) for batch in batches]
                for optimizer in self.optimizers:
                    optimizer.step()
                self.drafter.zero_grad(set_to_none=True)
                step += 1
                share = max((time.monotonic() - began) / seconds, step / options.steps)
                for scheduler in schedulers:
                    scheduler.step()
                if step % 50 == 0:
                    note({"loss": float(torch.stack(losses).mean()), "share": round(share, 3)})
                if checks and share > checks[0]:
                    checks.pop(0)
                    note({"valid": self.validate()})
                    self.save(output)
            last = self.validate()
            note({"valid": last})
        self.save(output)
        return last

    def _learn(self, batch: DrafterBatch) -> Tensor:
        with self._autocast():
            loss = self._outcome(batch).loss / (self.options.rows // self.options.micro_rows)
        loss.backward()  # type: ignore[no-untyped-call]
        return loss.detach()

    def _outcome(self, batch: DrafterBatch) -> DraftOutcome:
        here = DrafterBatch(
            *(getattr(batch, name).to(self.device, non_blocking=True) for name in DrafterBatch.__slots__)
        )
        return outcome(self.drafter, self.target, self.head, here, self.options.hard)

    def _autocast(self) -> AbstractContextManager[object]:
        is_gpu = self.device.type == "cuda"
        return torch.autocast("cuda", torch.bfloat16) if is_gpu else nullcontext()

    @torch.no_grad()
    def validate(self) -> dict[str, Any]:
        """Returns the loss, and how many tokens are accepted in the middle of holes and in the prefix."""
        found = []
        for number in range(-(-self.options.validation_rows // self.options.micro_rows)):
            batch = self.validation.batch(number, self.options.micro_rows)
            with self._autocast():
                result = self._outcome(batch)
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


def load_drafter(directory: Path) -> Drafter:
    """Returns a drafter that a run has written, in float32.

    Raises:
        ModelFileError: when it is missing or broken.
    """
    drafter = Drafter(DrafterConfig.load(directory / CONFIG))
    try:
        tensors = load_file(directory / WEIGHTS)
        drafter.load_state_dict({name: tensor.float() for name, tensor in tensors.items()})
    except (OSError, RuntimeError, ValueError) as error:
        raise ModelFileError(f"{directory} must hold a drafter: {error}") from error
    return drafter


def _drafter(options: DrafterOptions, target: Transformer) -> Drafter:
    if options.init:
        return load_drafter(Path(options.init))
    shape = target.config
    if options.rows % options.micro_rows:
        raise CorpusError(f"rows must be a multiple of micro_rows, got {options.rows} and {options.micro_rows}")
    drafter = Drafter(
        DrafterConfig(
            d_model=shape.d_model,
            n_heads=shape.n_heads,
            n_kv_heads=shape.n_kv_heads,
            head_dim=shape.head_dim,
            rope_theta=shape.rope_theta,
            norm_eps=shape.norm_eps,
            taps=_even_taps(shape.n_layers, options.taps),
            n_layers=options.n_layers,
            d_ff=options.d_ff,
            block_length=options.holes.block_length,
        )
    )
    drafter.initialise_(options.seed)
    return drafter


def _even_taps(n_layers: int, count: int) -> tuple[int, ...]:
    """Layers spread evenly, from near the bottom to the last but one."""
    first, last = max(1, n_layers // 12), n_layers - 1
    return tuple(round(first + (last - first) * index / max(1, count - 1)) for index in range(count))


def _rate(step: int, share: float, options: DrafterOptions) -> float:
    """The factor on every learning rate: linear warm-up, constant, linear decay to zero over the last of the time."""
    return max(0.0, min(1.0, (step + 1) / options.warm_up, (1 - share) / options.decay_share))


def _ahead(sampler: DrafterSampler, options: DrafterOptions, pool: ThreadPoolExecutor) -> Iterator[list[DrafterBatch]]:
    """Yields the batches of each step, some of them made in advance."""
    passes = options.rows // options.micro_rows

    def make(step: int) -> list[DrafterBatch]:
        return [sampler.batch(step * passes + index, options.micro_rows) for index in range(passes)]

    coming = [pool.submit(make, step) for step in range(AHEAD)]
    step = AHEAD
    while True:
        yield coming.pop(0).result()
        coming.append(pool.submit(make, step))
        step += 1
