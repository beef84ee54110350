"""Trains an adapter on a GPU that is lent for minutes.

python benchmarks/gpu/drafter.py pack --target MODEL --corpus DIR --output PARTS  # here: model and corpus
python benchmarks/gpu/adapter.py teacher --model LARGER --packed PARTS/whole --output DIR  # here
python benchmarks/gpu/adapter.py train --work DIR --teacher DIR --out DIR --minutes 8  # there, unpacked or not
python benchmarks/gpu/adapter.py join --parts DIR --output ADAPTER  # here, of what came back
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from dataclasses import asdict
from functools import partial
from pathlib import Path

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "kernels")]

from drafter import joined, split_back, unpacked

from coder_model.model.adapter_files import CONFIG, WEIGHTS, read_adapter, write_adapter
from coder_model.training.adapter.loop import AdapterRun
from coder_model.training.adapter.options import AdapterOptions
from coder_model.training.published.target import read_cut, read_tokens, write_cut


def teacher(arguments: argparse.Namespace) -> None:
    """Cuts a larger model to the vocabulary that the model was cut to."""
    # not on the lent machine, which lacks the libraries that read published models
    from coder_model.checkpoints.hf_config import read_published

    arguments.output.mkdir(parents=True, exist_ok=True)
    cut, marks = read_cut(arguments.packed), read_tokens(arguments.packed)
    write_cut(read_published(arguments.model), cut, marks, arguments.output)


def train(arguments: argparse.Namespace) -> None:
    """Trains, and leaves what is to come back in files that are small enough."""
    began = time.monotonic()
    if arguments.parts:
        arguments.work.mkdir(parents=True, exist_ok=True)
        joined(arguments.parts, arguments.work)
    if not (arguments.work / "train.tokens").exists():
        unpacked(arguments.work)
    print(f"unpacked after {time.monotonic() - began:.1f} s", flush=True)
    options = AdapterOptions(
        corpus=str(arguments.work), output=str(arguments.out), minutes=arguments.minutes,
        teacher=str(arguments.teacher or ""), **json.loads(arguments.options),
    )  # fmt: skip
    run = AdapterRun(options, partial(print, flush=True))
    print(json.dumps({"before": asdict(run.before())}), flush=True)
    run.train()
    split_back(arguments.out / WEIGHTS)


def join(arguments: argparse.Namespace) -> None:
    """Puts an adapter together that came back, and writes it as it is shipped, in int8, into a folder `shipped`."""
    arguments.output.mkdir(parents=True, exist_ok=True)
    joined(arguments.parts, arguments.output)
    (arguments.output / CONFIG).write_bytes((arguments.parts / CONFIG).read_bytes())
    write_adapter(arguments.output / "shipped", read_adapter(arguments.output))


def main() -> int:
    """Runs one of the commands."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    here = commands.add_parser("teacher")
    here.add_argument("--model", type=Path, required=True, help="GGUF file, or directory of safetensors")
    here.add_argument("--packed", type=Path, required=True, help="folder `whole` that the drafter's `pack` has written")
    here.add_argument("--output", type=Path, required=True)
    there = commands.add_parser("train")
    there.add_argument("--parts", type=Path)
    there.add_argument("--work", type=Path, required=True)
    there.add_argument("--teacher", type=Path)
    there.add_argument("--out", type=Path, required=True)
    there.add_argument("--minutes", type=float, required=True)
    there.add_argument("--options", default="{}", help="JSON of AdapterOptions")
    back = commands.add_parser("join")
    back.add_argument("--parts", type=Path, required=True)
    back.add_argument("--output", type=Path, required=True)
    arguments = parser.parse_args()
    {"teacher": teacher, "train": train, "join": join}[arguments.command](arguments)
    return 0


if __name__ == "__main__":
    sys.exit(main())
