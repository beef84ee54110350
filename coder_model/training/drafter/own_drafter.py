"""A drafter for a user's own model, trained on a user's own code: from the names of both to files that are used."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from rich.progress import Progress

from coder_model.checkpoints.hf_config import Published, is_published, read_published
from coder_model.checkpoints.loading import tensors_of, tokenizer_of_model
from coder_model.checkpoints.open import locate
from coder_model.errors import CorpusError, ModelFileError
from coder_model.model.drafter_files import CONFIG, WEIGHTS, write_drafter
from coder_model.training.drafter.initial import check_fits, load_drafter, stored_beside
from coder_model.training.drafter.loop import LOG, DrafterRun
from coder_model.training.drafter.options import DrafterOptions
from coder_model.training.own_code import File, files_of, held_out_of
from coder_model.training.progress import share_bars
from coder_model.training.published.holes import HoleOptions
from coder_model.training.published.prepare import prepare_for
from coder_model.training.published.vocabulary import check_is_trainable, head_size

WORK, PLAN, RUN, SHIPPED = "work", "plan.json", "run", "shipped"
"""Folder in the output that an interrupted run goes on from, and what lies in it besides the preparation."""
TRAINING = DrafterOptions("", "", 0.0)
"""Sizes and rates; corpus, output, minutes, holes and what to go on from are filled in."""


@dataclass(frozen=True, slots=True)
class DrafterGain:
    """What a training has brought, on files that were held out."""

    files: int
    """Held out."""
    before: float | None
    """Tokens of a block that the larger model accepts, besides the one that verification brings anyway; None for a
    drafter that began anew."""
    after: float

    @property
    def helped(self) -> bool:
        """Whether the new drafter is better than the one that it went on from."""
        return self.before is None or self.after > self.before

    def __str__(self) -> str:
        before = "" if self.before is None else f"{self.before:.2f} -> "
        return f"accepted tokens of a block on {self.files} held-out files: {before}{self.after:.2f}"


def train_drafter(
    target: str, corpus: Path, output: Path, minutes: float, init: Path | None = None, head_tokens: int | None = None
) -> DrafterGain:
    """Trains a drafter for a published model and writes it, if it is better than the one that it went on from.

    Args:
        target: directory, GGUF file or name of an installed autoregressive model with fill-in-the-middle tokens.
        corpus: directory or bare repository of source files, whatever their licence.
        output: directory of the drafter. While it is made, a folder `work` there holds the corpus in tokens and the
            model cut to them; the same call goes on from what an interrupted one has left in it.
        minutes: of training; the preparation comes on top.
        init: directory of a drafter to go on from.
        head_tokens: tokens that the drafter may say; see `vocabulary.head_size`.

    Raises:
        CorpusError: when the corpus is too small, a number is out of range, or the output cannot be written.
        ModelFileError: when target or init is missing, broken, or cannot have or be a drafter.
    """
    if not minutes > 0:
        raise CorpusError(f"minutes must be positive, got {minutes}")
    published = _published(target)
    holes = _holes(published.config.context_tokens)
    if init:
        check_fits(load_drafter(init).config, published.config, holes.block_length)
    tokenizer = tokenizer_of_model(published)
    head_tokens = head_size(published, tokenizer, head_tokens)
    files, work = files_of(corpus), output / WORK
    with _written(output), share_bars() as bars:
        _begin(work, _plan(published, files, init, head_tokens))
        try:
            cut = prepare_for(published, tokenizer, files, work, head_tokens, _bar(bars, "preparing"))
        except CorpusError:
            shutil.rmtree(work)
            raise
        options = replace(TRAINING, corpus=str(cut), output=str(work / RUN), minutes=minutes, holes=holes)
        run, after = _trained(replace(options, init=str(init or "")), _bar(bars, "training"))
        before = _accepted(run.validate(load_drafter(init).to(run.device))) if init else None
        gain = DrafterGain(len(held_out_of(files)[0]), before, _accepted(after))
        if gain.helped:
            _keep(run, cut, output)
        shutil.rmtree(work)
    return gain


def _keep(run: DrafterRun, cut: Path, output: Path) -> None:
    """Moves what is used into the output, the configuration last: a drafter is looked for by it."""
    work = output / WORK
    write_drafter(work / SHIPPED, stored_beside(run.drafter, run.target, cut))
    for folder, name in ((RUN, LOG), (SHIPPED, WEIGHTS), (SHIPPED, CONFIG)):
        (work / folder / name).replace(output / name)


def _bar(bars: Progress, name: str) -> Callable[[float], None]:
    task = bars.add_task(name, total=1.0)
    return lambda share: bars.update(task, completed=share)


def _published(target: str) -> Published:
    directory, family = locate(target)
    if not is_published(directory):
        raise ModelFileError(f"target must be a published model, GGUF or safetensors; {directory} is none")
    published = read_published(directory, family)
    check_is_trainable(published)
    return published


def _holes(context_tokens: int) -> HoleOptions:
    """How sequences are cut: as they are for the drafters that are shipped, in proportion where less is seen."""
    length = min(HoleOptions.length, context_tokens)
    return HoleOptions(length, longest_middle=length // 8, longest_suffix=length * 7 // 16, anchors=length // 16)


def _plan(published: Published, files: list[File], init: Path | None, head_tokens: int) -> dict[str, Any]:
    """What must be the same for a run to be gone on with."""
    digest = hashlib.sha256()
    for path, text in files:
        digest.update(f"{path}\0{text}\0".encode())
    weights = {path: path.stat() for path in {stored.path for stored in tensors_of(published).values()}}
    return {
        "target": sorted([str(path), facts.st_size, facts.st_mtime_ns] for path, facts in weights.items()),
        "corpus": digest.hexdigest(),
        "init": str(init.resolve()) if init else "",
        "head_tokens": head_tokens,
    }


def _begin(work: Path, plan: dict[str, Any]) -> None:
    """Makes the work directory, unless one of the same plan is there.

    Raises:
        CorpusError: when something else lies there.
    """
    if work.exists():
        try:
            if json.loads((work / PLAN).read_text("utf-8")) == plan:
                return
        except (OSError, ValueError) as error:
            raise CorpusError(f"{work} must be what an earlier run has left; move it away") from error
        shutil.rmtree(work)
    work.mkdir(parents=True)
    (work / PLAN).write_text(json.dumps(plan), "utf-8")


def _trained(options: DrafterOptions, progress: Callable[[float], None]) -> tuple[DrafterRun, dict[str, Any]]:
    """Trains, with fewer sequences in a pass where the device's memory does not hold as many."""
    micro_rows = options.micro_rows
    while True:
        try:
            return _run(replace(options, micro_rows=micro_rows), progress)
        except torch.OutOfMemoryError as error:
            if micro_rows == 1:
                raise ModelFileError(f"target is too large for the memory of this device: {error}") from error
        micro_rows //= 2
        torch.cuda.empty_cache()


def _run(options: DrafterOptions, progress: Callable[[float], None]) -> tuple[DrafterRun, dict[str, Any]]:
    run = DrafterRun(options, say=lambda _: None)
    return run, run.train(progress)


def _accepted(validation: dict[str, Any]) -> float:
    return float(validation["middle"]["accepted"])


@contextmanager
def _written(output: Path) -> Iterator[None]:
    """Turns what the disk says into one line."""
    try:
        yield
    except OSError as error:
        raise CorpusError(f"{output} cannot be written: {error.strerror or type(error).__name__}") from error
