"""An adapter for a user's own model, trained on a user's own code: from the names of both to files that are used."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from safetensors.torch import save

from coder_kernels.cpu_dtype import learns_in_bfloat16
from coder_model.checkpoints.hf_config import Published
from coder_model.checkpoints.loading import known_by, tokenizer_of_model
from coder_model.model.adapter_files import (
    CONFIG,
    WEIGHTS,
    StoredAdapter,
    adapter_for,
    read_adapter,
    write_adapter,
    write_unpacked,
)
from coder_model.training.adapter.loop import AdapterRun, HolesFilled, adapted_
from coder_model.training.adapter.options import AdapterOptions
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
from coder_model.training.published.prepare import prepare_for, prepare_teacher
from coder_model.training.published.timed_run import LOG
from coder_model.training.published.vocabulary import check_same_vocabulary, head_size
from coder_model.training.sources import check_minutes

INIT = "init"
"""Folder of the work directory with the adapter that is gone on from."""
TRAINING = AdapterOptions("", "", 0.0, checks=())
"""Sizes and rates on a GPU; corpus, output, minutes, holes, layers, rank and what to go on from are filled in."""
ON_CPU = replace(
    TRAINING, rows=4, micro_rows=1, warm_up=4, validation_rows=32, holes=replace(TRAINING.holes, length=512)
)
"""On a CPU a sequence takes as long as hundreds on a GPU, and what it leaves for the way back is 3 MB per token."""


@dataclass(frozen=True, slots=True)
class AdapterGain:
    """What a training has brought, on files that were held out."""

    files: int
    """Held out."""
    before: HolesFilled
    """By the model as it was, with the adapter that was gone on from."""
    after: HolesFilled

    @property
    def helped(self) -> bool:
        """Whether the loss has fallen, and no fewer holes are filled as they were."""
        return self.after.loss < self.before.loss and self.after.whole >= self.before.whole

    def __str__(self) -> str:
        before, after = self.before, self.after
        return (
            f"of {after.holes} holes in {self.files} held-out files filled as they were: {before.whole:.1f} % -> "
            f"{after.whole:.1f} %; of their tokens {before.tokens:.1f} % -> {after.tokens:.1f} %; "
            f"loss {before.loss:.3f} -> {after.loss:.3f}"
        )


@dataclass(frozen=True, slots=True)
class AdapterChoice:
    """What a user may say of an adapter; what is not said is as in the one to go on from, else as usual."""

    init: Path | None = None
    """Directory of an adapter to go on from; else it is the one that the model uses, where it uses one."""
    rank: int | None = None
    layers: tuple[str, ...] | None = None
    """See `AdapterOptions.layers`."""


def train_adapter(
    target: str, corpus: Path, output: Path, minutes: float, teacher: str = "", choice: AdapterChoice | None = None
) -> AdapterGain:
    """Trains an adapter for a published model and writes it, if holes are filled better than before.

    Args:
        target: directory, GGUF file or name of an installed autoregressive model with fill-in-the-middle tokens.
        corpus: directory or bare repository of source files, whatever their licence.
        output: directory of the adapter. While it is made, a folder `work` there holds the corpus in tokens and the
            models cut to them; the same call goes on from what an interrupted one has left in it.
        minutes: of training; preparation and validation come on top.
        teacher: as target, a larger model of the same vocabulary to learn from as well; the target as it is when empty.
        choice: see there.

    Raises:
        CorpusError: when the corpus is too small, a number is out of range, or the output cannot be written.
        ModelFileError: when a model or the adapter to go on from is missing, broken, or does not fit.
    """
    check_minutes(minutes)
    published = read_own(target, "target")
    tokenizer = tokenizer_of_model(published)
    taught_by = read_own(teacher, "teacher") if teacher else None
    if taught_by:
        check_same_vocabulary(published, tokenizer, taught_by, tokenizer_of_model(taught_by))
    options, init = _options(published, taught_by, minutes, choice or AdapterChoice())
    files, work = files_of(corpus), output / WORK
    plan = {
        "target": weights_of(published),
        "teacher": weights_of(taught_by) if taught_by else [],
        "corpus": digest_of(files),
        "init": hashlib.sha256(save({**init.tensors, "": init.target_norm})).hexdigest() if init else "",
        "rank": options.rank,
        "layers": list(options.layers),
    }
    with written(output), share_bars() as bars:
        begin(work, plan)
        cut = prepare_for(published, tokenizer, files, work, head_size(published, tokenizer), bar(bars, "preparing"))
        options = replace(options, corpus=str(cut), output=str(work / RUN))
        if taught_by:
            options = replace(options, teacher=str(prepare_teacher(taught_by, cut, work)))
        if init:
            write_unpacked(work / INIT, init)
            options = replace(options, init=str(work / INIT))

        def say(line: str) -> None:
            bars.console.print(line, soft_wrap=True, highlight=False)

        filled, progress = bar(bars, "filling held-out holes"), bar(bars, "training")
        run, before, after = with_memory(options, lambda fitting: _run(fitting, say, filled, progress))
        gain = AdapterGain(len(held_out_of(files)[0]), before, after)
        if gain.helped:
            write_adapter(work / SHIPPED, run.stored())
            # the configuration last: an adapter is looked for by it
            keep(work, [(RUN, LOG), (SHIPPED, WEIGHTS), (SHIPPED, CONFIG)])
        shutil.rmtree(work)
    return gain


def _options(
    published: Published, teacher: Published | None, minutes: float, choice: AdapterChoice
) -> tuple[AdapterOptions, StoredAdapter | None]:
    """Sizes and rates, and the adapter to go on from, checked before anything is prepared."""
    empty, norm = known_by(published)
    init = read_adapter(choice.init) if choice.init else adapter_for(empty, norm)
    usual = TRAINING if torch.cuda.is_available() else ON_CPU
    rank, layers = usual.rank, usual.layers
    if init:
        rank, layers = init.config.rank, tuple(sorted({name.rpartition(".")[2] for name in init.modules}))
    seen = min(model.config.context_tokens for model in (published, teacher) if model)
    options = replace(
        usual,
        minutes=minutes,
        holes=holes_within(usual.holes, seen),
        rank=rank if choice.rank is None else choice.rank,
        layers=choice.layers or layers,
        bfloat16=learns_in_bfloat16(),
    )
    adapted_(empty, norm, options, init)
    return options, init


def _run(
    options: AdapterOptions,
    say: Callable[[str], None],
    filled: Callable[[float], None],
    progress: Callable[[float], None],
) -> tuple[AdapterRun, HolesFilled, HolesFilled]:
    run = AdapterRun(options, lambda _: None, filled)
    seconds = run.seconds_to_learn()
    began = "an adapter that is there" if options.init else "the plain model"
    say(
        f"from {began}; {seconds:.2g} s for a sequence on this device: {options.minutes:g} minutes are about "
        f"{max(1, round(60 * options.minutes / seconds)):,}, and {options.validation_rows} are filled before and after"
    )
    before = run.before()
    return run, before, run.train(progress)
