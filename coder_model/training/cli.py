"""`unmask train`: prepare a corpus, pack it for another machine, train on it, resume, average, quantise.

`unmask train --init MODEL --corpus PATH` trains on from a model on somebody's own code.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from dataclasses import fields, replace
from pathlib import Path

from coder_model.errors import CorpusError, ModelFileError
from coder_model.model.config import ModelConfig


def main(argv: list[str]) -> int:
    """Runs one of the commands; returns the exit code, 2 for bad input with one line on stderr."""
    parser = argparse.ArgumentParser("unmask train", description=__doc__)
    parser.add_argument(
        "--init", default="", help="directory or name of the model to go on from; else the embedded one"
    )
    parser.add_argument(
        "--objective", choices=("block",), help="what a published autoregressive model is converted to; needed for one"
    )
    parser.add_argument("--corpus", type=Path, help="your own code: a directory or a bare repository")
    parser.add_argument("--output", type=Path, help="model directory; among the user's models when absent")
    parser.add_argument("--minutes", type=float, default=10.0, help="of training; scoring comes on top")
    commands = parser.add_subparsers(dest="command")
    prepare = commands.add_parser("prepare", help="filter and tokenise directories of projects")
    prepare.add_argument("roots", nargs="*", type=Path, help="directories of projects")
    prepare.add_argument("--list", type=Path, help="JSON lines: name, licence, commit, language of each project")
    prepare.add_argument("--mirror", type=Path, default=Path(), help="directory of the listed projects")
    prepare.add_argument("--output", type=Path, required=True)
    prepare.add_argument("--vocab-size", type=int, default=ModelConfig.vocab_size)
    prepare.add_argument("--tokenizer", type=Path, help="model directory whose tokenizer to use")
    prepare.add_argument("--hold-out", action="append", default=[], help="source kept for validation; repeat")
    prepare.add_argument("--licences", type=Path, help="JSON: project name -> licence, where files do not say")
    prepare.add_argument("--kept-out-hashes", action="append", type=Path, default=[], help="line-pair hashes; repeat")
    prepare.add_argument("--kept-out-texts", action="append", type=Path, default=[], help="JSON lines; repeat")
    prepare.add_argument("--processes", type=int, default=os.cpu_count() or 1)
    pack = commands.add_parser("pack", help="compress a prepared corpus into parts")
    unpack = commands.add_parser("unpack", help="make a prepared corpus of such parts")
    for command, source in ((pack, "corpus"), (unpack, "parts")):
        command.add_argument(source, type=Path)
        command.add_argument("--output", type=Path, required=True)
    quantise = commands.add_parser("quantise", help="store a model's matrices as int8")
    quantise.add_argument("model", type=Path)
    quantise.add_argument("--output", type=Path, required=True)
    average = commands.add_parser("average", help="the mean of models that went on from the same weights")
    average.add_argument("models", nargs="+", type=Path)
    average.add_argument("--output", type=Path, required=True)
    run = commands.add_parser("run", help="train, or go on with a run; under torchrun one process per core")
    run.add_argument("--corpus", required=True, help="directory that `prepare` wrote")
    run.add_argument("--output", required=True)
    run.add_argument(
        "--options", type=json.loads, default={}, help="JSON of TrainOptions; `model` and `noise` of theirs"
    )
    arguments = parser.parse_args(argv)
    if not arguments.command and not arguments.corpus:
        parser.error("a command or --corpus is needed")
    try:
        return _COMMANDS[arguments.command](arguments)
    except (CorpusError, ModelFileError) as error:
        print(f"unmask train: {error}", file=sys.stderr)
        return 2


def _adapt(arguments: argparse.Namespace) -> int:
    from coder_model.worker.threads import limit_threads

    limit_threads()
    from platformdirs import user_data_path

    from coder_model.checkpoints.hf_config import is_published
    from coder_model.checkpoints.open import locate
    from coder_model.engine.engine import DEFAULT_MODEL
    from coder_model.training.adapt import adapt

    corpus = arguments.corpus.resolve()
    output = arguments.output or user_data_path("unmask", appauthor=False) / "models" / corpus.name
    init = arguments.init or str(DEFAULT_MODEL)
    directory, _ = locate(init)
    if is_published(directory) and arguments.objective is None:
        raise CorpusError(f"--init {init} is a published model: --objective block converts it to this project's layout")
    gain = adapt(init, corpus, output, arguments.minutes)
    if not gain.helped:
        print(f"unmask train: not kept, it does not help: {gain}", file=sys.stderr)
        return 1
    print(f"{gain}\nwritten to {output}; use it with: unmask lsp --model {output.resolve()}")
    return 0


def _prepare(arguments: argparse.Namespace) -> int:
    from coder_model.prompt.tokenizer import CodeTokenizer
    from coder_model.training.decontamination import KeptOut
    from coder_model.training.shards import prepare
    from coder_model.training.sources import in_folders, listed

    licences = json.loads(arguments.licences.read_text("utf-8")) if arguments.licences else {}
    sources = in_folders(arguments.roots, licences)
    if arguments.list:
        sources += listed(arguments.list, arguments.mirror)
    report = prepare(
        sources,
        arguments.output,
        arguments.vocab_size,
        frozenset(arguments.hold_out),
        KeptOut.read(arguments.kept_out_hashes, arguments.kept_out_texts),
        arguments.processes,
        CodeTokenizer.load(arguments.tokenizer / "tokenizer.json") if arguments.tokenizer else None,
    )
    kept, files = sum(report.kept_bytes.values()), sum(report.kept_files.values())
    print(
        f"kept {kept / 1e6:.1f} MB in {files} files of {len(report.kept_files)} sources; dropped {dict(report.dropped)}"
    )
    return 0


def _pack(arguments: argparse.Namespace) -> int:
    from coder_model.training.pack import pack

    for part in pack(arguments.corpus, arguments.output, processes=os.cpu_count() or 1):
        print(f"{part} {part.stat().st_size / (1 << 20):.1f} MiB")
    return 0


def _unpack(arguments: argparse.Namespace) -> int:
    from coder_model.training.pack import unpack

    unpack(arguments.parts, arguments.output)
    return 0


def _quantise(arguments: argparse.Namespace) -> int:
    from coder_model.model import weights

    model, tokenizer = weights.load(arguments.model)
    weights.save(model, tokenizer, arguments.output, int8=True)
    return 0


def _average(arguments: argparse.Namespace) -> int:
    from coder_model.model import weights

    loaded = [weights.load(path) for path in arguments.models]
    model, tokenizer = loaded[0]
    for path, (other, _) in zip(arguments.models, loaded, strict=True):
        if other.config != model.config:
            raise ModelFileError(f"{path} must have the shape of {arguments.models[0]}, found another")
    states = [other.state_dict() for other, _ in loaded]
    model.load_state_dict({name: sum(state[name] for state in states) / len(states) for name in states[0]})
    weights.save(model, tokenizer, arguments.output)
    return 0


def _run(arguments: argparse.Namespace) -> int:
    import torch
    import torch.distributed as dist

    from coder_model.training.loop import TrainOptions, device_of, train
    from coder_model.training.sampler import NoiseOptions

    rank, world = int(os.environ.get("RANK", "0")), int(os.environ.get("WORLD_SIZE", "1"))
    values = dict(arguments.options)
    unknown = values.keys() - {f.name for f in fields(TrainOptions)}
    if unknown:
        raise CorpusError(f"--options has no {', '.join(sorted(unknown))}")
    model = replace(ModelConfig(), **values.pop("model", {}))
    noise = replace(NoiseOptions(), **values.pop("noise", {}))
    options = TrainOptions(arguments.corpus, arguments.output, model=model, noise=noise, **values)
    if world > 1:
        on_gpu = device_of(options.device, rank).type == "cuda"
        torch.set_num_threads(1)
        dist.init_process_group("nccl" if on_gpu else "gloo")
    try:
        train(options, rank, world)
        if world > 1:
            # nobody leaves while another still writes
            dist.barrier()
    finally:
        if world > 1:
            dist.destroy_process_group()
    return 0


_COMMANDS = {
    None: _adapt,
    "prepare": _prepare,
    "pack": _pack,
    "unpack": _unpack,
    "quantise": _quantise,
    "average": _average,
    "run": _run,
}

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
