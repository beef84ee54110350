"""Fine-tuning on somebody's own code: on from a model, for some minutes, kept only when files it did not see gain.

A tenth of the files is held out. Holes in them are filled before and after, by the engine with its copies, as an editor
would; the difference is what a user would notice.
"""

from __future__ import annotations

import copy
import random
import tempfile
import time
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from rich.progress import Progress

from coder_model.checkpoints.hf_config import is_published, read_published
from coder_model.checkpoints.store import locate
from coder_model.engine.engine import Engine
from coder_model.errors import CorpusError, ModelFileError
from coder_model.evaluation.cases import Case
from coder_model.evaluation.metrics import mean
from coder_model.evaluation.run import Outcome, by_engine, difference, run
from coder_model.model import weights
from coder_model.model.transformer import Transformer
from coder_model.prompt.tokenizer import CodeTokenizer
from coder_model.text.syntax import language_of
from coder_model.training.convert import convert
from coder_model.training.hole_sampling import sample_hole
from coder_model.training.loop import train_step
from coder_model.training.objective import joint_loss
from coder_model.training.optim import optimizers_for, schedulers_for
from coder_model.training.own_code import files_of, held_out_of
from coder_model.training.progress import share_bars
from coder_model.training.run_options import TrainOptions
from coder_model.training.sampler import Sampler
from coder_model.training.shards import Shard, write_split
from coder_model.training.sources import check_minutes

MAX_CASES, HOLES_PER_FILE = 300, 12
SHORTEST_REFERENCE = 3
"""Characters that a held-out hole must hold to say anything."""
MAX_EPOCHS = 8.0
"""Past so many rounds over a small repository the held-out loss rises again."""
LOSS_BATCHES = 16
LEAST_GAIN = 0.01
"""Share of the loss that must go for a model to be kept."""
TUNING = TrainOptions("", "", rows=8, middle_weight=4.0, matrix_lr=0.004, other_lr=0.0008, warm_up=8)
"""Lower rates than in the first training; the clock decides when it ends."""
CONVERSION = replace(TUNING, matrix_lr=0.001, other_lr=0.0001, diffusion_weight=1.0)
"""For a model that is large, and knows nothing of blocks yet."""


@dataclass(frozen=True, slots=True)
class Gain:
    """What the held-out files say, before and after."""

    cases: int
    exact_before: float
    """Percent."""
    exact_after: float
    interval: float
    """Half-width of the 95 % interval of the difference, in points."""
    loss_before: float
    """Nats per token of a middle, without copies."""
    loss_after: float
    tokens: int
    """Clean tokens trained on, repeats counted."""

    @property
    def helped(self) -> bool:
        """True when the loss fell by more than rounding explains, and exact match did not fall."""
        return self.exact_after >= self.exact_before and self.loss_after < (1 - LEAST_GAIN) * self.loss_before

    def __str__(self) -> str:
        return (
            f"exact match on {self.cases} held-out holes {self.exact_before:.1f} -> {self.exact_after:.1f} % "
            f"({self.exact_after - self.exact_before:+.1f} ± {self.interval:.1f} points), "
            f"loss {self.loss_before:.3f} -> {self.loss_after:.3f} nats, {self.tokens:,} tokens"
        )


def adapt(init: str | Path, corpus: Path, output: Path, minutes: float, options: TrainOptions | None = None) -> Gain:
    """Trains on from `init` on the files of `corpus`, and writes `output` if that helped.

    Args:
        init: model directory to start from, or the name of an installed model; stays as it is. A published one is
            converted to the project's own layout first.
        corpus: directory or bare repository of source files, whatever their licence: it is the user's own text.
        output: model directory, int8; the weights of a model that is there go.
        minutes: of training; scoring comes on top.
        options: learning rates, rows and length, `TUNING` when absent; its steps are not used, the clock decides.

    Raises:
        CorpusError: when `corpus` holds too little to hold a part of it out, `output` is `init`, or `minutes` is 0.
        ModelFileError: when `init` is no model.
    """
    if output.resolve() == Path(init).resolve():
        raise CorpusError(f"output must be another directory than init, got {output} for both")
    check_minutes(minutes)
    model, tokenizer, is_converted = _opened(str(init))
    options = options or (CONVERSION if is_converted else TUNING)
    dtype = np.uint16 if tokenizer.vocab_size <= 1 << 16 else np.uint32
    files = files_of(corpus)
    with tempfile.TemporaryDirectory() as folder, share_bars() as progress:
        held_out, kept = held_out_of(files)
        for split, part in (("train", kept), ("valid", held_out)):
            ids = (np.array(tokenizer.encode(text), dtype).tobytes() for _, text in part)
            names = [f"{corpus.name}/{path}" for path, _ in part]
            write_split(Path(folder), split, names, ids, np.dtype(dtype).itemsize)
        cases = _cases(held_out)
        if not cases:
            raise CorpusError(f"{corpus} must hold several source files with something to complete, found too little")
        valid = Sampler(Shard.open(Path(folder), "valid"), tokenizer, options.noise, options.seed)
        before, loss_before = _score(model, tokenizer, cases, progress, "scoring before"), _loss(model, valid, options)
        sampler = Sampler(Shard.open(Path(folder), "train"), tokenizer, options.noise, options.seed)
        tokens = _train(model, sampler, minutes, int(Shard.open(Path(folder), "train").offsets[-1]), options, progress)
        weights.save(model, tokenizer, Path(folder) / "model", int8=True)
        model, _ = weights.load(Path(folder) / "model")
        after, loss_after = _score(model, tokenizer, cases, progress, "scoring after"), _loss(model, valid, options)
        _, interval = difference(after, before)
        gain = Gain(len(cases), _exact(before), _exact(after), interval, loss_before, loss_after, tokens)
    if gain.helped:
        weights.save(model, tokenizer, output, int8=True)
    return gain


def _opened(init: str) -> tuple[Transformer, CodeTokenizer, bool]:
    """A model in the project's own layout, its tokenizer, and whether it was converted to that."""
    directory, family = locate(init)
    packed = directory if directory.suffix == ".gguf" else next(directory.glob("*.gguf"), None)
    if packed:
        raise ModelFileError(
            f"init must be safetensors or the project's own layout, found {packed.name}, whose weights are rounded; "
            "of a model of the catalogue the others are NAME-base, such as qwen2.5-coder-0.5b-base"
        )
    if not is_published(directory):
        return *weights.load(directory), False
    return *convert(read_published(directory, family)), True


def _cases(files: list[tuple[str, str]]) -> list[Case]:
    """Holes of at most one line in the held-out files."""
    cases = []
    for path, text in files:
        rng = random.Random(path)
        language = language_of(path)
        for number in range(HOLES_PER_FILE):
            hole = sample_hole(text, language, rng)
            reference = text[hole.start : hole.end]
            if "\n" not in reference and len(reference.strip()) >= SHORTEST_REFERENCE:
                name = f"{path}:{number}"
                cases.append(Case(name, language, text[: hole.start], text[hole.end :], reference, kind=hole.kind))
    random.Random(0).shuffle(cases)
    return cases[:MAX_CASES]


def _train(
    model: Transformer, sampler: Sampler, minutes: float, corpus_tokens: int, options: TrainOptions, progress: Progress
) -> int:
    """Trains until the time or the rounds are over, the learning rates falling to zero; returns the tokens seen."""
    model.requires_grad_(True).train()
    optimizers = optimizers_for(model, options.matrix_lr, options.other_lr)
    task = progress.add_task("training", total=1.0)
    per_step = options.rows * options.length
    began, step, done = time.monotonic(), 0, 0.0
    schedulers = schedulers_for(optimizers, lambda step: max(0.0, min(1.0 - done, (step + 1) / options.warm_up)))
    while done < 1.0:
        train_step(model, optimizers, sampler.batch(step, range(options.rows), options.length), options)
        step += 1
        done = max((time.monotonic() - began) / (minutes * 60), step * per_step / (MAX_EPOCHS * corpus_tokens))
        for scheduler in schedulers:
            scheduler.step()
        progress.update(task, completed=min(1.0, done))
    model.eval().requires_grad_(False)
    return step * per_step


@torch.no_grad()
def _loss(model: Transformer, sampler: Sampler, options: TrainOptions) -> float:
    batches = (sampler.batch(number, range(options.micro_rows), options.length) for number in range(LOSS_BATCHES))
    return mean([joint_loss(model, batch, 0.0, torch.float32).middle for batch in batches])


def _score(
    model: Transformer, tokenizer: CodeTokenizer, cases: list[Case], progress: Progress, title: str
) -> list[Outcome]:
    task = progress.add_task(title, total=len(cases))
    # an engine rearranges the weights it is given, and may make them short
    return run(cases, by_engine(Engine(copy.deepcopy(model), tokenizer)), lambda: progress.advance(task))


def _exact(outcomes: list[Outcome]) -> float:
    return 100 * mean([outcome.score.exact for outcome in outcomes])
