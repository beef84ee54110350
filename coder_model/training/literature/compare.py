"""All models at equal tokens and size, trained, sampled and written into one record; goes on where it was stopped."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from coder_model.evaluation.run import facts
from coder_model.model.config import ModelConfig
from coder_model.training.literature.measure import summary, times
from coder_model.training.literature.models import make
from coder_model.training.literature.names import DISTILLED, NAMES, TEACHER, check_tokens, shape_of
from coder_model.training.literature.run import CHECKPOINT, LabOptions, load_weights_, train_model
from coder_model.training.literature.text import (
    LENGTH,
    SLOTS,
    LabText,
    OpenHoles,
    held_out_holes,
    open_text,
    shown_holes,
)
from coder_model.training.progress import Ticker
from coder_model.training.sources import existing
from coder_model.whole_file import written_whole

RECORD, MODEL_RECORD, TOKENISED = "literature.json", "record.json", "corpus"
HOLES = 64


def compare(corpus: Path, tokens: int, size: str, out: Path, names: Iterable[str]) -> Path:
    """Trains and measures models, and returns the record of all that are done in `out`.

    A model that is there with as many tokens and this size is not measured again; one with fewer tokens is trained on.

    Args:
        corpus: see `open_text`.
        tokens: that each model sees.
        size: of `SIZES`.
        out: a folder for each model, and the record.
        names: of `NAMES`, trained in this order.

    Raises:
        CorpusError: when the corpus, the size or what lies in `out` does not fit.
    """
    check_tokens(tokens)
    shape = shape_of(size)
    text = open_text(existing(corpus), out / TOKENISED)
    config, options = replace(shape, vocab_size=text.tokenizer.vocab_size), LabOptions(tokens, size)
    holes, shown = held_out_holes(text, HOLES), shown_holes(text)
    with Ticker() as ticker:
        for name in names:
            own = options.distilling() if name == DISTILLED else options
            asked = {"name": name, "size": size, "steps": own.steps, "vocabulary": config.vocab_size}
            record = out / name / MODEL_RECORD
            if (_read(record) or {}).get("asked") == asked:
                ticker.note(f"{name}: there already")
                continue
            ticker.note(f"{name}: trained for {own.steps:,} steps, then measured")
            model = make(name, config, text.tokenizer.special_tokens)
            if model.teacher:
                load_weights_(model.teacher, out / TEACHER)
                _forget_outdated(out / name, out / TEACHER)
            log = train_model(model, text, own, out / name, ticker.tell)
            ticker.tell(f"{name}: measuring")
            _write(record, {"asked": asked, **summary(model, log, text, holes, [row for row, _ in shown])})
        ticker.tell("measuring times")
        done = _done(out, size, config, text, holes)
    about = {"threads": torch.get_num_threads(), "size": size, "vocabulary": config.vocab_size}
    about |= {"length": LENGTH, "slots": SLOTS, "holes": HOLES, "references": [reference for _, reference in shown]}
    _write(out / RECORD, {**facts(), **about, "models": done})
    return out / RECORD


def _forget_outdated(student: Path, teacher: Path) -> None:
    """Removes a student whose teacher has been trained on since: what it learnt is not what it would learn now."""
    checkpoint = student / CHECKPOINT
    if checkpoint.exists() and checkpoint.stat().st_mtime < (teacher / CHECKPOINT).stat().st_mtime:
        shutil.rmtree(student)


def _done(out: Path, size: str, config: ModelConfig, text: LabText, holes: OpenHoles) -> dict[str, Any]:
    """The records of all models of this size and vocabulary in a folder, by their names, with the times of all."""
    found = {name: _read(out / name / MODEL_RECORD) for name in NAMES}
    same = {"size": size, "vocabulary": config.vocab_size}
    done = {name: record for name, record in found.items() if record and same.items() <= record.pop("asked").items()}
    models = [make(name, config, text.tokenizer.special_tokens) for name in done]
    for model in models:
        load_weights_(model.network, out / model.name)
    for name, taken in times(models, holes, text).items():
        done[name]["times"] = taken
    return done


def _read(file: Path) -> dict[str, Any] | None:
    return json.loads(file.read_text("utf-8")) if file.exists() else None


def _write(file: Path, record: dict[str, Any]) -> None:
    with written_whole(file) as part:
        part.write_text(json.dumps(record, indent=1, ensure_ascii=False) + "\n", "utf-8")
