"""Tokenised text on disk: one flat file of token ids, and where each file starts in it.

`prepare` writes `tokenizer.json`, `{train,valid}.tokens` (uint16, files one after the other, those of a source
together), `{train,valid}.offsets.npy` (int64 [files + 1]), `{train,valid}.names.json`, `sources.json`, and
`manifest.json` with the sha256 of them all. Whole sources are held out for validation.
"""

from __future__ import annotations

import hashlib
import json
import random
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from coder_model.errors import CorpusError, ModelFileError
from coder_model.prompt.tokenizer import CodeTokenizer
from coder_model.training import pool
from coder_model.training.corpus import Report, SourceFile, read_corpus
from coder_model.training.decontamination import KeptOut
from coder_model.training.sources import NAMED, Source
from coder_model.whole_file import written_whole

TOKENIZER_SAMPLE_BYTES = 60_000_000
MANIFEST = "manifest.json"


@dataclass(frozen=True)
class Shard:
    """One split, memory-mapped."""

    tokens: npt.NDArray[np.unsignedinteger]
    """[tokens of all files], uint16, or uint32 for a vocabulary that needs it."""
    offsets: npt.NDArray[np.int64]
    """[files + 1], file i is `tokens[offsets[i]:offsets[i + 1]]`."""
    names: list[str]
    """[files], source and path of each file, `source/folder/file.py`."""

    @classmethod
    def open(cls, directory: Path, split: str) -> Shard:
        """Maps a split into memory.

        Raises:
            CorpusError: when the split is missing or its parts do not fit together.
        """
        try:
            offsets = np.load(directory / f"{split}.offsets.npy")
            path = directory / f"{split}.tokens"
            is_wide = path.stat().st_size == 4 * offsets[-1]
            tokens = np.memmap(path, np.uint32 if is_wide else np.uint16, "r")
            names = json.loads((directory / f"{split}.names.json").read_text("utf-8"))
        except (OSError, ValueError) as error:
            raise CorpusError(f"{directory} must hold a prepared {split} split: {error}") from error
        if len(names) != len(offsets) - 1 or offsets[-1] != len(tokens):
            raise CorpusError(f"{directory}: the parts of the {split} split do not belong together")
        return cls(tokens, offsets, names)

    def __len__(self) -> int:
        return len(self.names)

    def file(self, index: int) -> npt.NDArray[np.unsignedinteger]:
        """Returns the token ids of file `index`."""
        return self.tokens[self.offsets[index] : self.offsets[index + 1]]


def prepare(
    sources: list[Source],
    output: Path,
    vocab_size: int,
    held_out: frozenset[str],
    kept_out: KeptOut | None = None,
    processes: int = 1,
    tokenizer: CodeTokenizer | None = None,
) -> Report:
    """Reads, filters and tokenises sources into `output`, with a progress bar on stderr.

    Args:
        sources: where the text is.
        output: created when missing; an interrupted preparation goes on from what lies there.
        vocab_size: of the tokenizer that is trained when none is given.
        held_out: names of the sources that become the `valid` split.
        kept_out: text that no corpus may hold.
        processes: cleaners and encoders at a time.
        tokenizer: an existing tokenizer, to continue from an existing model.

    Raises:
        CorpusError: when a source cannot be read, or nothing is left after filtering.
        ModelFileError: when the vocabulary does not fit the 16 bits of a shard.
    """
    if vocab_size > 1 << 16:
        raise ModelFileError(f"vocab_size must be at most {1 << 16} to fit a shard, got {vocab_size}")
    report = Report()
    with _progress() as progress:
        task = progress.add_task("cleaning sources", total=len(sources))
        files = list(
            read_corpus(
                sources, kept_out or KeptOut(), output / "cleaned", report, processes, partial(progress.advance, task)
            )
        )
        if not files:
            raise CorpusError(
                f"no usable source text in {', '.join(source.name for source in sources[:NAMED])}: dropped "
                f"{dict(report.dropped)}; a folder given holds one folder per project (is it a project itself? then "
                "give the one above), each with the file of a permissive licence, or named in --licences"
            )
        if tokenizer is None:
            progress.update(progress.add_task("training the tokenizer", total=None))
            learnt = [f.text for f in files if f.source not in held_out]
            random.Random(0).shuffle(learnt)
            tokenizer = CodeTokenizer.train(_sample(learnt), vocab_size)
        tokenizer.save(output / "tokenizer.json")
        for split in ("train", "valid"):
            part = [f for f in files if (f.source in held_out) == (split == "valid")]
            task = progress.add_task(f"tokenising {split}", total=len(part))
            texts = _encoded(part, output / "tokenizer.json", processes, partial(progress.advance, task))
            write_split(output, split, [f"{f.source}/{f.path}" for f in part], texts)
    (output / "sources.json").write_text(json.dumps(vars(report), indent=1, sort_keys=True), "utf-8")
    write_manifest(output)
    return report


def verify(directory: Path) -> None:
    """Checks a prepared corpus against its manifest.

    Raises:
        CorpusError: when the manifest is missing, or a file differs from what was prepared.
    """
    try:
        manifest = json.loads((directory / MANIFEST).read_text("utf-8"))
        broken = [name for name, expected in manifest.items() if _sha256(directory / name) != expected]
    except FileNotFoundError as error:
        missing = Path(error.filename).name
        raise CorpusError(f"{directory} must be what `unmask train prepare` wrote, found no {missing} in it") from error
    except (OSError, ValueError, AttributeError) as error:
        raise CorpusError(f"{directory} must hold a prepared corpus: {error}") from error
    if broken:
        raise CorpusError(f"{directory}: {', '.join(broken)} differ from the manifest; prepare the corpus again")


def _sha256(file: Path) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _progress() -> Progress:
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    return Progress(*columns, console=Console(stderr=True))


def _sample(texts: Iterable[str]) -> Iterator[str]:
    total = 0
    for text in texts:
        yield text
        total += len(text)
        if total > TOKENIZER_SAMPLE_BYTES:
            return


def write_split(output: Path, split: str, names: list[str], texts: Iterable[bytes], width: int = 2) -> None:
    """Writes a split.

    Args:
        output: directory of the corpus.
        split: `train` or `valid`.
        names: `source/path` of each file; read when all texts are written.
        texts: token ids of each file, unsigned.
        width: bytes of an id.
    """
    offsets = [0]
    with written_whole(output / f"{split}.tokens") as part, part.open("wb") as out:
        for ids in texts:
            out.write(ids)
            offsets.append(offsets[-1] + len(ids) // width)
    np.save(output / f"{split}.offsets.npy", np.array(offsets, np.int64))
    (output / f"{split}.names.json").write_text(json.dumps(names), "utf-8")


def write_manifest(corpus: Path) -> None:
    """Writes the sha256 of every file of a corpus."""
    parts = sorted(file for file in corpus.iterdir() if file.is_file() and file.name != MANIFEST)
    manifest = {file.name: _sha256(file) for file in parts}
    (corpus / MANIFEST).write_text(json.dumps(manifest, indent=1), "utf-8")


def _encoded(files: list[SourceFile], tokenizer: Path, processes: int, advance: Callable[[], None]) -> Iterator[bytes]:
    with pool.processes(processes, _load_tokenizer, (str(tokenizer),)) as workers:
        for ids in workers.imap(_encode, (f.text for f in files), chunksize=64):
            yield ids
            advance()


_tokenizer: CodeTokenizer | None = None


def _load_tokenizer(path: str) -> None:
    global _tokenizer
    _tokenizer = CodeTokenizer.load(Path(path))


def _encode(text: str) -> bytes:
    assert _tokenizer is not None
    return np.array(_tokenizer.encode(text), np.uint16).tobytes()
