"""A prepared corpus in compressed parts, for a machine that takes only so much at a time.

Each part holds every n-th run of neighbouring files, so that any of them alone is a fair sample and neighbours stay
together. A part is an xz stream: a line of JSON with the files' names and lengths, then their token ids.
"""

from __future__ import annotations

import json
import lzma
import math
from collections.abc import Iterable
from pathlib import Path

from coder_model.errors import CorpusError
from coder_model.training import pool
from coder_model.training.shards import Shard, write_manifest, write_split
from coder_model.whole_file import written_whole

RUN = 16
"""Neighbouring files that stay together."""
TOKENS_PER_PART = 100_000_000
# two bytes a token: positions and literals aligned to pairs
_XZ = [{"id": lzma.FILTER_LZMA2, "preset": 6, "lp": 1, "pb": 1}]


def pack(corpus: Path, output: Path, tokens_per_part: int = TOKENS_PER_PART, processes: int = 1) -> list[Path]:
    """Writes `train-01.xz`, ..., `valid-01.xz` and the tokenizer; returns the parts.

    Raises:
        CorpusError: when the corpus is not prepared.
    """
    output.mkdir(parents=True, exist_ok=True)
    jobs = []
    for split in ("train", "valid"):
        parts = math.ceil(max(1, int(Shard.open(corpus, split).offsets[-1])) / tokens_per_part)
        jobs += [(corpus, split, part, parts, output / f"{split}-{part + 1:02d}.xz") for part in range(parts)]
    with pool.processes(processes) as workers:
        workers.starmap(_pack_part, jobs, chunksize=1)
    (output / "tokenizer.json").write_bytes((corpus / "tokenizer.json").read_bytes())
    return [job[-1] for job in jobs]


def unpack(parts: Path, corpus: Path) -> None:
    """Writes a prepared corpus of the parts that are there.

    Raises:
        CorpusError: when a split has no part, or a part is broken.
    """
    corpus.mkdir(parents=True, exist_ok=True)
    for split in ("train", "valid"):
        files = sorted(parts.glob(f"{split}-*.xz"))
        if not files:
            raise CorpusError(f"{parts} must hold a part {split}-01.xz")
        names: list[str] = []
        write_split(corpus, split, names, _texts(files, names))
    (corpus / "tokenizer.json").write_bytes((parts / "tokenizer.json").read_bytes())
    write_manifest(corpus)


def _pack_part(corpus: Path, split: str, part: int, parts: int, output: Path) -> None:
    shard = Shard.open(corpus, split)
    chosen = [index for index in range(len(shard)) if index // RUN % parts == part]
    head = {"names": [shard.names[index] for index in chosen], "lengths": [len(shard.file(index)) for index in chosen]}
    with written_whole(output) as begun, lzma.open(begun, "wb", filters=_XZ) as stream:
        stream.write(json.dumps(head).encode() + b"\n")
        for index in chosen:
            stream.write(shard.file(index).tobytes())


def _texts(files: Iterable[Path], names: list[str]) -> Iterable[bytes]:
    for file in files:
        try:
            with lzma.open(file) as stream:
                head = json.loads(stream.readline())
                names += head["names"]
                for length in head["lengths"]:
                    ids = stream.read(2 * length)
                    if len(ids) < 2 * length:
                        raise EOFError("it ends too early")
                    yield ids
                # the check at the end of the stream counts, too
                if stream.read(1):
                    raise ValueError("it ends too late")
        except (OSError, EOFError, lzma.LZMAError, ValueError, KeyError) as error:
            raise CorpusError(f"{file} must be a whole part of a corpus: {error}") from error
