"""What is trained on: a corpus in the larger model's tokens, and that model cut to them.

Each stage is a folder of the work directory that is there whole or not at all, so that an interrupted preparation goes
on from the last whole one.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from coder_model.checkpoints.hf_config import Published
from coder_model.errors import CorpusError
from coder_model.prompt.tokenizer import CodeTokenizer
from coder_model.training.own_code import File, held_out_of
from coder_model.training.published.target import read_cut, read_tokens, write_cut
from coder_model.training.published.vocabulary import KEPT, choose_vocabulary
from coder_model.training.shards import Shard, write_split

ENCODED, CUT, TEACHER = "encoded", "cut", "teacher"
"""Folders of the work directory: the corpus in the model's own tokens, which goes again, and what is trained on."""
LEAST_TOKENS = 8_192
"""Tokens of a corpus, below which there is nothing to learn."""


def prepare_for(
    published: Published,
    tokenizer: CodeTokenizer,
    files: list[File],
    work: Path,
    head_tokens: int,
    progress: Callable[[float], None] = lambda _: None,
) -> Path:
    """Tokenises files, a tenth of them held out, and cuts the model to their tokens.

    Args:
        published: the larger model; see `vocabulary.check_is_trainable`.
        tokenizer: of it.
        files: the corpus.
        work: directory; what an earlier call with the same arguments has left there is used.
        head_tokens: tokens that may be said; see `vocabulary.head_size`.
        progress: called with the share of the files that is tokenised.

    Returns:
        The directory that `RunOptions.corpus` means.

    Raises:
        CorpusError: when the files hold too few tokens; the work directory is gone then.
        ModelFileError: when the model is broken.
    """
    encoded, cut = work / ENCODED, work / CUT
    if not cut.exists():
        if not encoded.exists():
            with _whole(encoded) as part:
                found = _encode(tokenizer, files, part, progress)
                if found < LEAST_TOKENS:
                    shutil.rmtree(work)
                    raise CorpusError(
                        f"corpus must hold at least {LEAST_TOKENS:,} tokens of source text, found {found:,}"
                    )
        with _whole(cut) as part:
            cut_for(published, tokenizer, encoded, part, head_tokens)
    shutil.rmtree(encoded, ignore_errors=True)
    progress(1.0)
    return cut


def prepare_teacher(published: Published, cut: Path, work: Path) -> Path:
    """Cuts a larger model to the vocabulary that another one was cut to.

    Args:
        published: the larger model; see `vocabulary.check_same_vocabulary`.
        cut: what `prepare_for` returned for the other one.
        work: as there.

    Returns:
        The directory that `AdapterOptions.teacher` means.

    Raises:
        ModelFileError: when the larger model is broken.
    """
    teacher = work / TEACHER
    if not teacher.exists():
        with _whole(teacher) as part:
            write_cut(published, read_cut(cut), read_tokens(cut), part)
    return teacher


def cut_for(
    published: Published, tokenizer: CodeTokenizer, corpus: Path, output: Path, head_tokens: int, kept: int = KEPT
) -> float:
    """Cuts a model to the tokens of a corpus and numbers them anew.

    Args:
        published: the larger model.
        tokenizer: of it.
        corpus: directory of the splits `train` and `valid` in its tokens.
        output: directory that exists; gets the model and both splits.
        head_tokens: tokens that may be said; see `vocabulary.head_size`.
        kept: most tokens of the table.

    Returns:
        The share of the corpus that the head can say.

    Raises:
        CorpusError: when the corpus is not there.
        ModelFileError: when the model is broken.
    """
    vocab_size = published.config.vocab_size
    shards = {split: Shard.open(corpus, split) for split in ("train", "valid")}
    counts = np.zeros(vocab_size, np.int64)
    for shard in shards.values():
        counts += np.bincount(shard.tokens, minlength=vocab_size)
    cut, marks = choose_vocabulary(published, tokenizer, counts, head_tokens, kept)
    write_cut(published, cut, marks, output)
    for split, shard in shards.items():
        texts = (cut.renumbered(shard.file(index), vocab_size).tobytes() for index in range(len(shard)))
        write_split(output, split, shard.names, texts)
    return float(counts[cut.ids[: cut.head_tokens]].sum() / counts.sum())


def _encode(tokenizer: CodeTokenizer, files: list[File], output: Path, progress: Callable[[float], None]) -> int:
    """Writes both splits; returns their tokens."""
    done = 0

    def encoded(part: list[File]) -> Iterator[bytes]:
        nonlocal done
        for _, text in part:
            yield np.array(tokenizer.encode(text), np.uint32).tobytes()
            done += 1
            progress(done / len(files))

    held_out, others = held_out_of(files)
    for split, part in (("train", others), ("valid", held_out)):
        write_split(output, split, [path for path, _ in part], encoded(part), 4)
    return sum(len(Shard.open(output, split).tokens) for split in ("train", "valid"))


@contextmanager
def _whole(folder: Path) -> Iterator[Path]:
    """A folder to write to, which gets its name when it is done."""
    part = folder.with_name(f"{folder.name}.part")
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True)
    yield part
    part.rename(folder)
