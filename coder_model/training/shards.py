"""Tokenised text on disk: one flat file of token ids, and where each file starts in it.

`prepare` writes `tokenizer.json`, `{train,valid}.tokens` (uint16, files one after the other),
`{train,valid}.offsets.npy` (int64 [files + 1]), `{train,valid}.names.json` and `sources.json`. Whole sources are held
out for validation.
"""

from __future__ import annotations

import json
import multiprocessing
import random
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
import numpy.typing as npt

from coder_model.errors import CorpusError, ModelFileError
from coder_model.tokenizer import CodeTokenizer
from coder_model.training.corpus import Report, SourceFile, read_sources

TOKENIZER_SAMPLE_BYTES = 60_000_000


@dataclass(frozen=True)
class Shard:
    """One split, memory-mapped."""

    tokens: npt.NDArray[np.uint16]
    """[tokens of all files]."""
    offsets: npt.NDArray[np.int64]
    """[files + 1], file i is `tokens[offsets[i]:offsets[i + 1]]`."""
    names: list[str]
    """[files], the file name of each file, without folders."""

    @classmethod
    def open(cls, directory: Path, split: str) -> Shard:
        """Maps a split into memory.

        Raises:
            CorpusError: when the split is missing or its parts do not fit together.
        """
        try:
            tokens = np.memmap(directory / f"{split}.tokens", np.uint16, "r")
            offsets = np.load(directory / f"{split}.offsets.npy")
            names = json.loads((directory / f"{split}.names.json").read_text("utf-8"))
        except (OSError, ValueError) as error:
            raise CorpusError(f"{directory} must hold a prepared {split} split: {error}") from error
        if len(names) != len(offsets) - 1 or offsets[-1] != len(tokens):
            raise CorpusError(f"{directory}: the parts of the {split} split do not belong together")
        return cls(tokens, offsets, names)

    def __len__(self) -> int:
        return len(self.names)

    def file(self, index: int) -> npt.NDArray[np.uint16]:
        """Returns the token ids of file `index`."""
        return self.tokens[self.offsets[index] : self.offsets[index + 1]]


def prepare(
    roots: list[Path],
    output: Path,
    vocab_size: int,
    held_out: frozenset[str],
    licences: dict[str, str],
    excluded: frozenset[str],
    processes: int = 1,
    tokenizer: CodeTokenizer | None = None,
) -> Report:
    """Reads, filters and tokenises `roots` into `output`.

    Args:
        roots: directories of projects, see `read_sources`.
        output: created when missing.
        vocab_size: of the tokenizer that is trained when none is given.
        held_out: names of the sources that become the `valid` split.
        licences: known licences by source name.
        excluded: resolved paths of files that no corpus may hold.
        processes: encoders at a time.
        tokenizer: an existing tokenizer, to continue from an existing model.

    Raises:
        CorpusError: when nothing is left after filtering.
        ModelFileError: when the vocabulary does not fit the 16 bits of a shard.
    """
    if vocab_size > 1 << 16:
        raise ModelFileError(f"vocab_size must be at most {1 << 16} to fit a shard, got {vocab_size}")
    report = Report()
    files = list(read_sources(roots, licences, excluded, report))
    if not files:
        raise CorpusError(f"no usable source text in {', '.join(map(str, roots))}: dropped {dict(report.dropped)}")
    random.Random(0).shuffle(files)
    output.mkdir(parents=True, exist_ok=True)
    if tokenizer is None:
        tokenizer = CodeTokenizer.train(_sample(f.text for f in files if f.source not in held_out), vocab_size)
    tokenizer.save(output / "tokenizer.json")
    for split in ("train", "valid"):
        part = [f for f in files if (f.source in held_out) == (split == "valid")]
        _write_split(part, output, split, processes)
    (output / "sources.json").write_text(json.dumps(vars(report), indent=1, sort_keys=True), "utf-8")
    return report


def _sample(texts: Iterable[str]) -> Iterator[str]:
    total = 0
    for text in texts:
        yield text
        total += len(text)
        if total > TOKENIZER_SAMPLE_BYTES:
            return


def _write_split(files: list[SourceFile], output: Path, split: str, processes: int) -> None:
    offsets = [0]
    path = str(output / "tokenizer.json")
    # spawn, not fork: the tokenizers library has started threads by now
    context = multiprocessing.get_context("spawn")
    with (
        (output / f"{split}.tokens").open("wb") as out,
        context.Pool(processes, initializer=_load_tokenizer, initargs=(path,)) as pool,
    ):
        for ids in pool.imap(_encode, (f.text for f in files), chunksize=64):
            out.write(ids)
            offsets.append(offsets[-1] + len(ids) // 2)
    np.save(output / f"{split}.offsets.npy", np.array(offsets, np.int64))
    names = [f.path.rsplit("/", 1)[-1] for f in islice(files, len(offsets) - 1)]
    (output / f"{split}.names.json").write_text(json.dumps(names), "utf-8")


_tokenizer: CodeTokenizer | None = None


def _load_tokenizer(path: str) -> None:
    global _tokenizer
    _tokenizer = CodeTokenizer.load(Path(path))


def _encode(text: str) -> bytes:
    assert _tokenizer is not None
    return np.array(_tokenizer.encode(text), np.uint16).tobytes()
