"""Trains a drafter on a GPU that is lent for minutes: parts of at most so many bytes in, a drafter out.

    python benchmarks/gpu/drafter.py pack --target MODEL --corpus DIR --output PARTS   # here
    python benchmarks/gpu/drafter.py train --parts PARTS --work DIR --out DIR --minutes 6  # there, when all are there
    python benchmarks/gpu/drafter.py join --parts DIR --packed PARTS/whole --output DRAFTER  # here, of what came back

`--corpus` is a corpus in the target's own tokens: `{train,valid}.tokens`, `.offsets.npy`, `.names.json`. Going on
from an earlier result: `--init DIR` with a drafter that was carried as well.
"""

from __future__ import annotations

import argparse
import json
import lzma
import sys
import time
from collections.abc import Iterable
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np
import torch

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "kernels")]

from coder_model.model.drafter_files import CONFIG, WEIGHTS, write_drafter
from coder_model.training.drafter.initial import load_drafter, stored_beside
from coder_model.training.drafter.loop import DrafterRun
from coder_model.training.drafter.options import DrafterHoles, DrafterOptions
from coder_model.training.published.target import BYTES, INDEX, TOKENS, VOCABULARY, load_cut
from coder_model.training.published.vocabulary import KEPT

PART_BYTES = 51 << 20
"""Of what is carried in one call, beside the checkout."""
BACK_BYTES = 15 << 20
"""Of a file that comes back."""
SLICE_TOKENS = 1 << 22
"""Tokens that are compressed together: each slice is unpacked by a process of its own."""


def pack(arguments: argparse.Namespace) -> None:
    """Cuts the target to the corpus, renumbers and compresses the corpus, and divides all of it into parts."""
    # not on the lent machine, which lacks the libraries that read published models
    from coder_model.checkpoints.hf_config import read_published
    from coder_model.checkpoints.loading import tokenizer_of_model
    from coder_model.training.published.prepare import cut_for
    from coder_model.training.published.vocabulary import check_is_trainable, head_size

    work, output = arguments.output / "whole", arguments.output
    work.mkdir(parents=True, exist_ok=True)
    published = read_published(arguments.target)
    check_is_trainable(published)
    tokenizer = tokenizer_of_model(published)
    head_tokens = head_size(published, tokenizer, arguments.head_tokens, arguments.kept)
    share = cut_for(published, tokenizer, arguments.corpus, work, head_tokens, arguments.kept)
    print(f"{share:.4%} of the tokens in the head")
    small = [INDEX, TOKENS, VOCABULARY, "train.offsets.npy", "valid.offsets.npy"]
    slices = _compressed(work)
    _divided([work / name for name in small] + slices + [work / BYTES], output)


def _compressed(work: Path) -> list[Path]:
    jobs = []
    for split in ("train", "valid"):
        count = (work / f"{split}.tokens").stat().st_size // 2
        jobs += [(work, split, start) for start in range(0, count, SLICE_TOKENS)]
    with ProcessPoolExecutor() as pool:
        return list(pool.map(_compress, jobs))


def _compress(job: tuple[Path, str, int]) -> Path:
    work, split, start = job
    output = work / f"{split}-{start:012d}.xz"
    tokens = np.fromfile(work / f"{split}.tokens", np.uint16, SLICE_TOKENS, offset=2 * start)
    # high and low bytes apart: the high ones alone are well predicted
    planes = (tokens >> 8).astype(np.uint8).tobytes() + (tokens & 255).astype(np.uint8).tobytes()
    output.write_bytes(lzma.compress(planes, preset=4))
    return output


def _divided(files: Iterable[Path], output: Path) -> None:
    """Writes folders `part-N` of at most `PART_BYTES`: whole small files, and pieces `NAME.at-START` of large ones."""
    number, room = 1, PART_BYTES
    for file in files:
        at, size = 0, file.stat().st_size
        while at < size:
            if room < min(size - at, 1 << 20):
                number, room = number + 1, PART_BYTES
            folder = output / f"part-{number}"
            folder.mkdir(exist_ok=True)
            count = min(room, size - at)
            with file.open("rb") as source:
                source.seek(at)
                (folder / f"{file.name}.at-{at}").write_bytes(source.read(count))
            at, room = at + count, room - count


def train(arguments: argparse.Namespace) -> None:
    """Puts the parts together, trains, and leaves what is to come back in files that are small enough."""
    began = time.monotonic()
    arguments.work.mkdir(parents=True, exist_ok=True)
    joined(arguments.parts, arguments.work)
    unpacked(arguments.work)
    print(f"unpacked after {time.monotonic() - began:.1f} s", flush=True)
    holes = DrafterHoles(**json.loads(arguments.holes))
    options = DrafterOptions(
        corpus=str(arguments.work), output=str(arguments.out), minutes=arguments.minutes, holes=holes,
        init=str(arguments.init or ""), **json.loads(arguments.options),
    )  # fmt: skip
    DrafterRun(options, partial(print, flush=True)).train()
    split_back(arguments.out / WEIGHTS)


def joined(parts: Path, work: Path) -> None:
    """Puts pieces `NAME.at-START` together."""
    for piece in sorted(parts.glob("**/*.at-*")):
        name, _, at = piece.name.rpartition(".at-")
        with (work / name).open("r+b" if (work / name).exists() else "wb") as out:
            out.seek(int(at))
            out.write(piece.read_bytes())


def unpacked(work: Path) -> None:
    """Unpacks the slices of a corpus."""
    slices = sorted(work.glob("*-*.xz"))
    for split in ("train", "valid"):
        mine = [file for file in slices if file.name.startswith(split)]
        with ProcessPoolExecutor() as pool, (work / f"{split}.tokens").open("wb") as out:
            for tokens in pool.map(_decompress, mine):
                out.write(tokens)
        n_files = len(np.load(work / f"{split}.offsets.npy")) - 1
        (work / f"{split}.names.json").write_text(json.dumps([""] * n_files), "utf-8")


def _decompress(file: Path) -> bytes:
    planes = np.frombuffer(lzma.decompress(file.read_bytes()), np.uint8)
    high, low = planes.reshape(2, -1).astype(np.uint16)
    return (high << 8 | low).tobytes()


def split_back(file: Path) -> None:
    """Leaves a file in pieces that are small enough to come back."""
    data = file.read_bytes()
    file.unlink()
    for at in range(0, len(data), BACK_BYTES):
        file.with_name(f"{file.name}.at-{at}").write_bytes(data[at : at + BACK_BYTES])


def join(arguments: argparse.Namespace) -> None:
    """Puts a drafter together that came back, and writes it as it is shipped, in int8, into a folder `shipped`."""
    arguments.output.mkdir(parents=True, exist_ok=True)
    joined(arguments.parts, arguments.output)
    (arguments.output / CONFIG).write_bytes((arguments.parts / CONFIG).read_bytes())
    target = load_cut(arguments.packed, torch.device("cpu"), torch.float32)
    stored = stored_beside(load_drafter(arguments.output), target, arguments.packed)
    write_drafter(arguments.output / "shipped", stored)


def main() -> int:
    """Runs one of the commands."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    here = commands.add_parser("pack")
    here.add_argument("--target", type=Path, required=True, help="GGUF file, or directory of safetensors")
    here.add_argument("--corpus", type=Path, required=True)
    here.add_argument("--output", type=Path, required=True)
    here.add_argument("--kept", type=int, default=KEPT)
    here.add_argument("--head-tokens", type=int)
    there = commands.add_parser("train")
    there.add_argument("--parts", type=Path, required=True)
    there.add_argument("--work", type=Path, required=True)
    there.add_argument("--out", type=Path, required=True)
    there.add_argument("--minutes", type=float, required=True)
    there.add_argument("--holes", default="{}", help="JSON of DrafterHoles")
    there.add_argument("--options", default="{}", help="JSON of DrafterOptions")
    there.add_argument("--init", type=Path)
    back = commands.add_parser("join")
    back.add_argument("--parts", type=Path, required=True)
    back.add_argument("--packed", type=Path, required=True, help="folder `whole` that `pack` has written")
    back.add_argument("--output", type=Path, required=True)
    arguments = parser.parse_args()
    {"pack": pack, "train": train, "join": join}[arguments.command](arguments)
    return 0


if __name__ == "__main__":
    sys.exit(main())
