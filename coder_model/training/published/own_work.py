"""The work folder of a user's own training for a published model: what an interrupted one goes on from."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import torch
from rich.progress import Progress

from coder_model.checkpoints.hf_config import Published, is_published, read_published
from coder_model.checkpoints.loading import tensors_of
from coder_model.checkpoints.store import EMBEDDED, locate
from coder_model.errors import CorpusError, ModelFileError
from coder_model.training.own_code import File
from coder_model.training.published.holes import HoleOptions
from coder_model.training.published.options import RunOptions
from coder_model.training.published.vocabulary import check_is_trainable

WORK, PLAN, RUN, SHIPPED = "work", "plan.json", "run", "shipped"
"""Folder in the output that an interrupted run goes on from, and what lies in it besides the preparation."""
_Options = TypeVar("_Options", bound=RunOptions)
_Holes = TypeVar("_Holes", bound=HoleOptions)
_Result = TypeVar("_Result")


def read_own(name: str, role: str) -> Published:
    """Returns what the files of a model say.

    Args:
        name: directory, GGUF file or name of an installed model.
        role: `target` or `teacher`, for what is said to the user.

    Raises:
        ModelFileError: when it is missing, broken, or none that something can be trained for.
    """
    if name == EMBEDDED:
        raise ModelFileError(f"{role} must be a published model; `unmask train --corpus` trains the embedded one")
    directory, family = locate(name)
    if not is_published(directory):
        raise ModelFileError(f"{role} must be a published model, GGUF or safetensors; {directory} is none")
    published = read_published(directory, family)
    check_is_trainable(published, role)
    return published


def holes_within(holes: _Holes, context_tokens: int) -> _Holes:
    """How sequences are cut: as they usually are, in proportion where less is seen."""
    length = min(holes.length, context_tokens)
    return replace(holes, length=length, longest_middle=length // 8, longest_suffix=length * 7 // 16)


def digest_of(files: list[File]) -> str:
    """Returns what tells one corpus from another."""
    digest = hashlib.sha256()
    for path, text in files:
        digest.update(f"{path}\0{text}\0".encode())
    return digest.hexdigest()


def weights_of(published: Published) -> list[list[Any]]:
    """Returns what tells the files of one model from those of another: path, bytes and time of each."""
    weights = {path: path.stat() for path in {stored.path for stored in tensors_of(published).values()}}
    return sorted([str(path), facts.st_size, facts.st_mtime_ns] for path, facts in weights.items())


def begin(work: Path, plan: dict[str, Any]) -> None:
    """Makes the work directory, unless one of the same plan is there.

    Args:
        work: the directory.
        plan: what must be the same for a run to be gone on with, as JSON has it.

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


def keep(work: Path, names: list[tuple[str, str]]) -> None:
    """Moves what is used from folders of the work directory into the output, in order."""
    for folder, name in names:
        (work / folder / name).replace(work.parent / name)


def with_memory(options: _Options, run: Callable[[_Options], _Result]) -> _Result:
    """Runs, with fewer sequences in a pass where the device's memory does not hold as many.

    Raises:
        ModelFileError: when it does not hold one.
    """
    while True:
        try:
            return run(options)
        except torch.OutOfMemoryError as error:
            if options.micro_rows == 1:
                raise ModelFileError(f"target is too large for the memory of this device: {error}") from error
        options = replace(options, micro_rows=options.micro_rows // 2)
        torch.cuda.empty_cache()


def bar(bars: Progress, name: str) -> Callable[[float], None]:
    """Adds a bar, and returns what takes the share that is done."""
    task = bars.add_task(name, total=1.0)
    return lambda share: bars.update(task, completed=share)


@contextmanager
def written(output: Path) -> Iterator[None]:
    """Turns what the disk says into one line."""
    try:
        yield
    except OSError as error:
        raise CorpusError(f"{output} cannot be written: {error.strerror or type(error).__name__}") from error
