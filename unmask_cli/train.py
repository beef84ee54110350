"""`unmask train`: prepare a corpus, pack it, train on it, resume, average, quantise; drafters, adapters.

Under torchrun it is `-m unmask_cli.train`. Imports torch only in the commands that need it.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, Literal, Optional

import typer

from coder_model.checkpoints.store import EMBEDDED, locate
from coder_model.errors import CorpusError, ModelFileError
from coder_model.model.config import ModelConfig
from coder_model.model.embedded import DEFAULT_MODEL
from coder_model.training.sources import check_held_out, check_minutes, existing
from unmask_cli.terminal import INTERRUPTED, NOT_NOW, fail, json_object
from unmask_cli.waiting import waiting

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
MOST_RANK = 1024
"""Of an adapter of any model; one of few heads takes less."""
Output = Annotated[Path, typer.Option(help="directory to write")]
_Corpus = Annotated[Path, typer.Argument(help="directory that `prepare` wrote")]


@contextmanager
def one_line(command: str, work: Path | None = None) -> Iterator[None]:
    """Ends the program with one line on stderr where the input is bad, or where `work` is left to go on from."""
    try:
        yield
    except KeyboardInterrupt:
        if work and work.exists():
            print(f"unmask {command}: interrupted; the same command goes on from {work}", file=sys.stderr)
            raise typer.Exit(INTERRUPTED) from None
        raise
    except (CorpusError, ModelFileError) as error:
        fail(command, error)


def _check(corpus: Path, minutes: float, **models: str) -> None:
    """Refuses what can be refused before torch is imported, which takes seconds; `models` by the names of options."""
    existing(corpus)
    check_minutes(minutes)
    for option, model in models.items():
        if model not in ("", EMBEDDED):
            try:
                locate(model)
            except ModelFileError as error:
                raise ModelFileError(f"--{option} {error}") from error


@app.callback(invoke_without_command=True)
def adapt(
    context: typer.Context,
    init: Annotated[str, typer.Option(help="directory or name of the model to go on from; else the embedded one")] = "",
    objective: Annotated[
        Optional[Literal["block"]],  # noqa: UP045  typer reads it
        typer.Option(help="what a published autoregressive model is converted to; needed for one"),
    ] = None,
    corpus: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option(help="your own code: a directory or a bare repository"),
    ] = None,
    output: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option(help="model directory; among the user's models when absent"),
    ] = None,
    minutes: Annotated[float, typer.Option(help="of training; scoring comes on top")] = 10.0,
) -> None:
    """Train on from a model on your own code (`--init MODEL --corpus PATH`), or run one of the commands."""
    if context.invoked_subcommand:
        return
    with one_line("train"):
        if corpus is None:
            raise CorpusError("a command or --corpus is needed; see unmask train --help")
        _check(corpus, minutes, init=init)
        _adapt(init, objective is not None, corpus.resolve(), output, minutes)


def _adapt(init: str, converts: bool, corpus: Path, output: Path | None, minutes: float) -> None:
    from coder_model.worker.threads import choose_threads

    choose_threads()
    from platformdirs import user_data_path

    from coder_model.checkpoints.hf_config import is_published
    from coder_model.training.adapt import adapt as train_on

    output = output or user_data_path("unmask", appauthor=False) / "models" / corpus.name
    init = init or str(DEFAULT_MODEL)
    directory, _ = locate(init)
    if is_published(directory) and not converts:
        raise CorpusError(f"--init {init} is a published model: --objective block converts it to this project's layout")
    gain = train_on(init, corpus, output, minutes)
    if not gain.helped:
        print(f"unmask train: not kept, it does not help: {gain}", file=sys.stderr)
        sys.exit(NOT_NOW)
    print(f"{gain}\nwritten to {output}; use it with: unmask lsp --model {output.resolve()}")


@app.command()
def drafter(
    target: Annotated[str, typer.Option(help="the model it drafts for: an installed one, ./directory or ./file.gguf")],
    corpus: Annotated[Path, typer.Option(help="your own code: a directory or a bare repository")],
    output: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option(help="directory of the drafter; among the user's drafters when absent"),
    ] = None,
    minutes: Annotated[float, typer.Option(help="of training; the preparation comes on top")] = 10.0,
    init: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option(help="directory of a drafter to go on from"),
    ] = None,
    head_tokens: Annotated[
        Optional[int],  # noqa: UP045
        typer.Option(help="tokens that it may say; 32768 when absent, where the model has as many"),
    ] = None,
) -> None:
    """Train a drafter for an autoregressive model, which makes it faster and never changes its text."""
    with one_line("train drafter"):
        _check(corpus, minutes, target=target)
    from coder_model.worker.threads import choose_threads

    choose_threads()
    from coder_model.training.drafter.own_drafter import train_drafter
    from coder_model.training.published.own_work import WORK

    name, folder, output = _own("drafters", target, output)
    with one_line("train drafter", output / WORK):
        gain = train_drafter(target, corpus.resolve(), output, minutes, init, head_tokens)
    if not gain.helped:
        print(f"unmask train drafter: not kept, it is no better than {init}: {gain}", file=sys.stderr)
        sys.exit(NOT_NOW)
    _tell(gain, name, folder, output)


@app.command()
def adapter(
    target: Annotated[str, typer.Option(help="the model it changes: an installed one, ./directory or ./file.gguf")],
    corpus: Annotated[Path, typer.Option(help="your own code: a directory or a bare repository")],
    teacher: Annotated[str, typer.Option(help="a larger model of the same vocabulary, to learn from it as well")] = "",
    output: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option(help="directory of the adapter; among the user's adapters when absent"),
    ] = None,
    minutes: Annotated[float, typer.Option(help="of training; preparation and validation come on top")] = 10.0,
    init: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option(help="directory of an adapter to go on from; the one in use when absent"),
    ] = None,
    rank: Annotated[
        Optional[int],  # noqa: UP045
        typer.Option(min=1, max=MOST_RANK, help="of the changes; 16 when absent, or that of the adapter to go on from"),
    ] = None,
    layers: Annotated[
        Optional[Literal["all", "attention+down"]],  # noqa: UP045
        typer.Option(help="that change; all when absent, or those of the adapter to go on from"),
    ] = None,
) -> None:
    """Train an adapter for an autoregressive model, so that it fills holes as your code does."""
    with one_line("train adapter"):
        _check(corpus, minutes, target=target, teacher=teacher)
    from coder_model.worker.threads import choose_threads

    choose_threads()
    from coder_model.training.adapter.options import ALL_LAYERS, FEW_LAYERS
    from coder_model.training.adapter.own_adapter import AdapterChoice, train_adapter
    from coder_model.training.published.own_work import WORK

    name, folder, output = _own("adapters", target, output)
    chosen = {None: None, "attention+down": FEW_LAYERS, "all": ALL_LAYERS}[layers]
    with one_line("train adapter", output / WORK):
        gain = train_adapter(target, corpus.resolve(), output, minutes, teacher, AdapterChoice(init, rank, chosen))
    if not gain.helped:
        print(f"unmask train adapter: not kept, it does not help: {gain}", file=sys.stderr)
        sys.exit(NOT_NOW)
    _tell(gain, name, folder, output)


def _own(kind: Literal["drafters", "adapters"], target: str, output: Path | None) -> tuple[str, Path, Path]:
    """Name of a model, folder of the user's own of a kind, and the directory to write."""
    from coder_model.model.companions import users_folder

    name, folder = Path(target).name.removesuffix(".gguf"), users_folder(kind)
    return name, folder, (output or folder / name).resolve()


def _tell(gain: object, name: str, folder: Path, output: Path) -> None:
    is_found = output.parent == folder.resolve()
    use = f"{name} uses it from its next start on" if is_found else f"{name} uses it once it lies in {folder}"
    print(f"{gain}\nwritten to {output}; {use}")


@app.command()
def prepare(
    output: Output,
    roots: Annotated[Optional[list[Path]], typer.Argument(help="directories of projects")] = None,  # noqa: UP045
    projects: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option("--list", help="JSON lines: name, licence, commit, language of each project"),
    ] = None,
    mirror: Annotated[Path, typer.Option(help="directory of the listed projects")] = Path(),
    vocab_size: Annotated[
        int, typer.Option(min=1, help="tokens of the tokenizer that is trained")
    ] = ModelConfig.vocab_size,
    tokenizer: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option(help="model directory whose tokenizer to use"),
    ] = None,
    hold_out: Annotated[list[str], typer.Option(help="project kept for validation, at least one; repeat")] = [],  # noqa: B006  read only
    licences: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option(exists=True, dir_okay=False, help="JSON: project name -> licence, where files do not say"),
    ] = None,
    kept_out_hashes: Annotated[list[Path], typer.Option(help="line-pair hashes; repeat")] = [],  # noqa: B006
    kept_out_texts: Annotated[list[Path], typer.Option(help="JSON lines; repeat")] = [],  # noqa: B006
    processes: Annotated[int, typer.Option(min=1, help="that read projects at a time")] = os.cpu_count() or 1,
) -> None:
    """Filter and tokenise directories of projects."""
    from coder_model.prompt.tokenizer import CodeTokenizer
    from coder_model.training import shards
    from coder_model.training.decontamination import KeptOut
    from coder_model.training.sources import in_folders, listed

    with one_line("train prepare"):
        sources = in_folders(roots or [], _licences(licences) if licences else {})
        if projects:
            sources += listed(projects, mirror)
        if not sources:
            named = ", ".join(map(str, roots or [])) or "none"
            raise CorpusError(f"each directory given must hold one folder per project, found none in: {named}")
        check_held_out(sources, hold_out)
        kept_out = KeptOut.read(kept_out_hashes, kept_out_texts)
        given = CodeTokenizer.load(tokenizer / "tokenizer.json") if tokenizer else None
        report = shards.prepare(sources, output, vocab_size, frozenset(hold_out), kept_out, processes, given)
    kept, files = sum(report.kept_bytes.values()), sum(report.kept_files.values())
    print(
        f"kept {kept / 1e6:.1f} MB in {files} files of {len(report.kept_files)} sources; dropped {dict(report.dropped)}"
    )


def _licences(file: Path) -> dict[str, str]:
    try:
        return json_object(file.read_text("utf-8"))
    except ValueError as error:
        raise CorpusError(f"--licences {file} {error}") from error


@app.command()
def pack(corpus: _Corpus, output: Output) -> None:
    """Compress a prepared corpus into parts."""
    from coder_model.training import pack as packing

    with one_line("train pack"), waiting("the corpus is compressed"):
        for part in packing.pack(corpus, output, processes=os.cpu_count() or 1):
            print(f"{part} {part.stat().st_size / (1 << 20):.1f} MiB")


@app.command()
def unpack(parts: Annotated[Path, typer.Argument(help="directory that `pack` wrote")], output: Output) -> None:
    """Make a prepared corpus of such parts."""
    from coder_model.training import pack as packing

    with one_line("train unpack"), waiting("the corpus is unpacked"):
        packing.unpack(parts, output)


@app.command()
def run(
    corpus: Annotated[str, typer.Option(help="directory that `prepare` wrote")],
    output: Annotated[str, typer.Option(help="directory of the checkpoint, the log and the model")],
    options: Annotated[
        Any, typer.Option(parser=json_object, metavar="JSON", help="of TrainOptions; `model` and `noise` of theirs")
    ] = "{}",
) -> None:
    """Train, or go on with a run; under torchrun one process per core."""
    from coder_model.training.run_options import read_options

    with one_line("train run"):
        chosen = read_options(corpus, output, options)
        existing(Path(corpus))
    from coder_model.training.launch import launch

    with one_line("train run"):
        if said := launch(chosen):
            print(said)


if __name__ == "__main__":
    app(prog_name="unmask train")
