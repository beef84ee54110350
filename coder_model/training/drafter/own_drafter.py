"""A drafter for a user's own model, trained on a user's own code: from the names of both to files that are used."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from coder_model.checkpoints.loading import tokenizer_of_model
from coder_model.model.drafter_files import CONFIG, WEIGHTS, write_drafter
from coder_model.training.drafter.initial import check_fits, load_drafter, stored_beside
from coder_model.training.drafter.loop import DrafterRun, DrafterScores
from coder_model.training.drafter.options import DrafterOptions
from coder_model.training.own_code import files_of, held_out_of
from coder_model.training.progress import share_bars
from coder_model.training.published.own_work import (
    RUN,
    SHIPPED,
    WORK,
    bar,
    begin,
    digest_of,
    holes_within,
    keep,
    read_own,
    weights_of,
    with_memory,
    written,
)
from coder_model.training.published.prepare import prepare_for
from coder_model.training.published.timed_run import LOG
from coder_model.training.published.vocabulary import head_size
from coder_model.training.sources import check_minutes

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
    check_minutes(minutes)
    published = read_own(target, "target")
    holes = holes_within(TRAINING.holes, published.config.context_tokens)
    holes = replace(holes, anchors=holes.length // 16)
    if init:
        check_fits(load_drafter(init).config, published.config, holes.block_length)
    tokenizer = tokenizer_of_model(published)
    head_tokens = head_size(published, tokenizer, head_tokens)
    files, work = files_of(corpus), output / WORK
    plan = {
        "target": weights_of(published),
        "corpus": digest_of(files),
        "init": str(init.resolve()) if init else "",
        "head_tokens": head_tokens,
    }
    with written(output), share_bars() as bars:
        begin(work, plan)
        cut = prepare_for(published, tokenizer, files, work, head_tokens, bar(bars, "preparing"))
        options = replace(TRAINING, corpus=str(cut), output=str(work / RUN), minutes=minutes, holes=holes)
        progress = bar(bars, "training")
        run, after = with_memory(replace(options, init=str(init or "")), lambda fitting: _run(fitting, progress))
        before = run.validate(load_drafter(init).to(run.device)).middle.accepted if init else None
        gain = DrafterGain(len(held_out_of(files)[0]), before, after.middle.accepted)
        if gain.helped:
            write_drafter(work / SHIPPED, stored_beside(run.drafter, run.target, cut))
            # the configuration last: a drafter is looked for by it
            keep(work, [(RUN, LOG), (SHIPPED, WEIGHTS), (SHIPPED, CONFIG)])
        shutil.rmtree(work)
    return gain


def _run(options: DrafterOptions, progress: Callable[[float], None]) -> tuple[DrafterRun, DrafterScores]:
    run = DrafterRun(options, say=lambda _: None)
    return run, run.train(progress)
