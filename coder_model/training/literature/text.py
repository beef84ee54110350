"""The text that all models learn and are asked about: the same rows for each, in the order of the project's own model.

A row is what `training/sampler.py` packs: suffix, prefix, middle, end, one document after the other. So a hole lies
at the end of what is given, and every model is asked in the same way: here is a row, its last slots are open.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from coder_model.errors import CorpusError
from coder_model.evaluation.cases import OWN_CASES, read_cases
from coder_model.prompt.fim_prompt import PromptParts, layout
from coder_model.prompt.tokenizer import TOKENIZER, CodeTokenizer
from coder_model.training import shards
from coder_model.training.literature.names import BLOCK_LENGTH
from coder_model.training.own_code import files_of, held_out_of
from coder_model.training.run_options import NoiseOptions
from coder_model.training.sampler import Sampler

LENGTH, SLOTS = 128, 16
"""Tokens of a row, and those of them that are open where a hole is filled."""
NOISE = NoiseOptions(block_lengths=(BLOCK_LENGTH,), slots=4 * BLOCK_LENGTH)
"""Of our own objective: as many noised slots to a clean token as the embedded model has."""
OWN_VOCABULARY = 1024
"""Tokens of the tokenizer that is made for a folder of source text."""
SEED = 1
SHOWN = ("own-python-10", "own-python-16", "own-go-23")
"""Cases that pictures are made of."""


@dataclass(frozen=True)
class LabText:
    """A corpus as the models see it."""

    tokenizer: CodeTokenizer
    train: Sampler
    held_out: Sampler


@dataclass(frozen=True)
class OpenHoles:
    """Rows whose last slots are open."""

    canvas: Tensor
    """[N, LENGTH] int64, the last SLOTS of each row masked."""
    references: list[list[int]]
    """[N] the tokens that stood there, the end mark last."""

    def middles(self, filled: Tensor) -> list[list[int]]:
        """Returns what fills the holes of [N, LENGTH], up to the end mark and with it; all of it without one."""
        rows = filled[:, -SLOTS:].tolist()
        return [row[: row.index(self.end) + 1] if self.end in row else row for row in rows]

    @property
    def end(self) -> int:
        """The end mark."""
        return self.references[0][-1]


def open_text(corpus: Path, work: Path) -> LabText:
    """Returns a prepared corpus, or a folder of source text, of which a tenth of the files is held out.

    Args:
        corpus: what `unmask train prepare` wrote, or source files, whatever their licence.
        work: where a folder of source files is kept in tokens.

    Raises:
        CorpusError: when there is too little text, or a prepared corpus is not whole.
    """
    if not (corpus / shards.MANIFEST).exists():
        if not (work / shards.MANIFEST).exists():
            _tokenise(corpus, work)
        corpus = work
    shards.verify(corpus)
    tokenizer = CodeTokenizer.load(corpus / TOKENIZER)
    train, valid = (Sampler(shards.Shard.open(corpus, split), tokenizer, NOISE, SEED) for split in ("train", "valid"))
    return LabText(tokenizer, train, valid)


def _tokenise(corpus: Path, work: Path) -> None:
    held_out, kept = held_out_of(files_of(corpus))
    work.mkdir(parents=True, exist_ok=True)
    tokenizer = CodeTokenizer.train((text for _, text in kept), OWN_VOCABULARY)
    tokenizer.save(work / TOKENIZER)
    for split, files in (("train", kept), ("valid", held_out)):
        ids = (np.array(tokenizer.encode(text), np.uint16).tobytes() for _, text in files)
        shards.write_split(work, split, [f"{corpus.name}/{path}" for path, _ in files], ids)
    shards.write_manifest(work)


def held_out_rows(text: LabText, count: int) -> tuple[Tensor, int]:
    """Returns held-out rows [count, LENGTH], and how many bytes of text they hold."""
    x0 = text.held_out.batch(0, range(count), LENGTH).clean
    return x0, sum(len(text.tokenizer.token_bytes[token]) for token in x0.flatten().tolist())


def held_out_holes(text: LabText, count: int) -> OpenHoles:
    """Returns holes as an editor makes them (`hole_sampling.py`), those that fit the open slots and are not empty.

    Raises:
        CorpusError: when the held-out text has too few.
    """
    rng = random.Random(SEED)
    context: list[int] = []
    rows, references = [], []
    for _ in range(100 * count):
        example = text.held_out.example(rng, LENGTH)
        middle = example.tokens[example.hole_start :]
        given = (context + example.tokens[: example.hole_start])[-(LENGTH - SLOTS) :]
        if 1 < len(middle) <= SLOTS and len(given) == LENGTH - SLOTS:
            rows.append(given + [text.tokenizer.special_tokens.mask] * SLOTS)
            references.append(middle)
        context = (context + example.tokens)[-LENGTH:]
        if len(rows) == count:
            return OpenHoles(torch.tensor(rows), references)
    raise CorpusError(f"the held-out text must have {count} holes of at most {SLOTS - 1} tokens, found {len(rows)}")


def shown_holes(text: LabText) -> list[tuple[Tensor, str]]:
    """Returns three holes of the project's own cases, text that may be printed: a row [1, T] and what stood there."""
    special, found = text.tokenizer.special_tokens, []
    for case in read_cases(OWN_CASES):
        if case.id not in SHOWN:
            continue
        piece = text.tokenizer.last_piece(case.prefix)
        prefix = text.tokenizer.encode(case.prefix[: len(case.prefix) - len(piece)])
        parts = PromptParts(text.tokenizer.encode(case.file_name), text.tokenizer.encode(case.suffix), True, [], prefix)
        row = [*layout(special, parts)[-(LENGTH - SLOTS) :], *[special.mask] * SLOTS]
        found.append((torch.tensor([row]), piece + case.reference))
    return found
