"""The command line: `unmask` with lsp, fill, rewrite, play, http, serve, models, key, doctor, setup, log, train etc.

Nothing imports torch before it must.
"""

from __future__ import annotations

import asyncio
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any, Optional

import msgspec
import typer

from coder_model.checkpoints.precisions import WEIGHT_PRECISIONS, check_precision
from coder_model.checkpoints.store import EMBEDDED, locate
from coder_model.engine.options import EngineOptions, PolicyName
from coder_model.errors import ModelFileError
from coder_model.types import InvalidInput
from lsp_server.backends.remote_apis import SHAPES
from lsp_server.rewriting import Strength
from lsp_server.settings import engine_options
from lsp_server.trigger_policy import PresetName
from lsp_server.user_settings import AUTO, UserSettings, read_user_settings, read_what_is_right
from unmask_cli import models, serve, train, train_compare, train_weights
from unmask_cli.command_group import Commands
from unmask_cli.log import log
from unmask_cli.setup import setup
from unmask_cli.stats import stats
from unmask_cli.terminal import exit_codes, fail, fail_of_the_system, json_object, show_what_can_be_shown

app = typer.Typer(cls=Commands, no_args_is_help=True, pretty_exceptions_enable=False, epilog=exit_codes())

_Model = Annotated[
    str,
    typer.Option(help="auto, embedded, an installed one, ./directory or ./file.gguf; else the user's settings decide"),
]
_Verifier = Annotated[str, typer.Option(help="autoregressive model that has the last word on what the model drafts")]
_Quantize = Annotated[str, typer.Option(help=f"{', '.join(WEIGHT_PRECISIONS)}, or auto: the best that fits")]
app.add_typer(models.app, name="models")
for training in (train_compare.compare, train_weights.quantise, train_weights.average):
    train.app.command()(training)
app.add_typer(train.app, name="train")
app.add_typer(serve.app, name="serve")


def main() -> None:
    """Runs the command line; a file or a terminal that takes nothing more ends it with one line."""
    show_what_can_be_shown()
    try:
        app()
    except OSError as error:
        fail_of_the_system(error)


def _print_version(is_wanted: bool) -> None:
    if is_wanted:
        print(f"unmask {version('unmask')}")
        raise typer.Exit


@app.callback()
def unmask(
    _: Annotated[bool, typer.Option("--version", callback=_print_version, is_eager=True, help="print it")] = False,
) -> None:
    """Completes code with a masked-diffusion model, on this machine."""


@app.command()
def lsp(
    model: _Model = "",
    verifier: _Verifier = "",
    quantize: _Quantize = "",
    _: Annotated[bool, typer.Option("--stdio", hidden=True, help="what many clients add, and the only way")] = True,
) -> None:
    """Start the language server on stdin and stdout; editors call this."""
    from lsp_server.backends.base import Backend
    from lsp_server.backends.factory import backend_in_any_case
    from lsp_server.server import run
    from lsp_server.settings import Settings

    # what is wrong with them is told as a status
    user, complaint = read_what_is_right()
    user = _with_options(user, model, verifier, quantize)

    def chosen(settings: Settings) -> Backend:
        return backend_in_any_case(user, engine_options(settings), settings.target_ms, complaint)

    if sys.stdin.isatty():
        print("unmask lsp: waits for what an editor writes to it; Ctrl-D ends it", file=sys.stderr)
    run(chosen, user)


@app.command(name="fill")
def fill_at(
    file: Path,
    at: Annotated[str, typer.Option("--at", metavar="LINE:COL", help="cursor, both from 1, COL in characters")] = "",
    all_holes: Annotated[
        bool, typer.Option("--all-holes", help="every stub and TODO instead of one place; prints a diff")
    ] = False,
    write: Annotated[bool, typer.Option("--write", help="with --all-holes: change the file")] = False,
    watch: Annotated[
        bool, typer.Option("--watch", help="show the denoising step by step, also where it does not pay")
    ] = False,
    policy: Annotated[PolicyName, typer.Option(help="which slots a denoise step reveals")] = "threshold",
    steps: Annotated[int, typer.Option(min=0, help="denoise steps per block; 0: what suits the model")] = 0,
    deadline_ms: Annotated[
        Optional[float],  # noqa: UP045  typer reads it
        typer.Option(min=1, max=600_000, help="then the run that parses is the answer"),
    ] = None,
    hole: Annotated[str, typer.Option(help="line, block, or auto: by syntax")] = "auto",
    verify: Annotated[bool, typer.Option(help="have the model verify drafts token by token")] = True,
    copy: Annotated[bool, typer.Option(help="take drafts from the text itself")] = True,
    model: _Model = "",
    verifier: _Verifier = "",
    quantize: _Quantize = "",
    json: Annotated[bool, typer.Option("--json", help="print one JSON object")] = False,
) -> None:
    """Print the suggestion at a place of a file, or fill all its holes."""
    from lsp_server.backends.base import BackendUnavailable
    from unmask_cli.fill import fill_file
    from unmask_cli.fill_holes import fill_holes

    try:
        options = EngineOptions.of({"policy": policy, "max_steps": steps, "verify": verify, "copy": copy})
        if watch:
            options = msgspec.structs.replace(options, min_accepted=0.0)
        user = _user(model, verifier, quantize)
        if bool(at) == all_holes or (write and not all_holes):
            raise InvalidInput("either --at LINE:COL or --all-holes must be given, and --write with --all-holes only")
        if all_holes:
            asyncio.run(fill_holes(file, options, user, deadline_ms, write=write))
            return
        asyncio.run(fill_file(file, at, hole, options, user, deadline_ms, watch=watch, as_json=json))
    except (InvalidInput, BackendUnavailable) as error:
        fail("fill", error)


@app.command()
def rewrite(
    file: Path,
    lines: Annotated[str, typer.Argument(metavar="FROM:TO", help="first and last line, from 1")],
    strength: Annotated[
        Strength, typer.Option(help="only clear slips; also the weakest third of the statements; or all of it")
    ] = "light",
    instruction: Annotated[str, typer.Option(help="shown to the model as a comment; it is not written")] = "",
    write: Annotated[bool, typer.Option("--write", help="change the file")] = False,
    model: _Model = "",
    verifier: _Verifier = "",
    quantize: _Quantize = "",
) -> None:
    """Rewrite lines of a file where the model finds them unlikely; prints a diff."""
    from lsp_server.backends.base import BackendUnavailable
    from unmask_cli.rewrite import rewrite_lines

    try:
        user = _user(model, verifier, quantize)
        asyncio.run(rewrite_lines(file, lines, strength, instruction, user, write=write))
    except (InvalidInput, BackendUnavailable) as error:
        fail("rewrite", error)


@app.command()
def play(
    file: Annotated[
        Optional[Path],  # noqa: UP045  typer reads it
        typer.Argument(help="whose text the page begins with; an example when absent. It is not written"),
    ] = None,
    port: Annotated[int, typer.Option(min=0, max=65535, help="0: any that is free")] = 0,
    browser: Annotated[bool, typer.Option(help="open it; else the address is printed only")] = True,
    model: _Model = "",
    verifier: _Verifier = "",
    quantize: _Quantize = "",
) -> None:
    """Open a page on this machine that shows how a hole is filled, pass by pass."""
    from unmask_cli.play.command import play as run

    try:
        asyncio.run(run(file, _user(model, verifier, quantize), port, opens=browser))
    except InvalidInput as error:
        fail("play", error)


@app.command()
def http(
    port: Annotated[int, typer.Option(min=0, max=65535, help="0: any that is free")] = 8012,
    preset: Annotated[
        PresetName, typer.Option(help="how sure the model must be of an answer, as in editors")
    ] = "balanced",
    model: _Model = "",
    verifier: _Verifier = "",
    quantize: _Quantize = "",
) -> None:
    """Answer completions over HTTP on this machine, for editors that speak nothing else."""
    from unmask_cli.endpoint.command import serve_http

    try:
        asyncio.run(serve_http(_user(model, verifier, quantize), port, preset))
    except InvalidInput as error:
        fail("http", error)


@app.command()
def doctor(
    model: _Model = "",
    verifier: _Verifier = "",
    quantize: _Quantize = "",
) -> None:
    """Check this installation, and say what is wrong with it."""
    from unmask_cli.doctor import examine

    sys.exit(0 if asyncio.run(examine(lambda: _user(model, verifier, quantize))) else 1)


@app.command()
def key(
    kind: Annotated[str, typer.Argument(help=f"which service: {', '.join(SHAPES)}")],
) -> None:
    """Keep the key of a remote service in the system's keyring; an empty one removes it."""
    from lsp_server.backends.remote import keep_key

    try:
        keep_key(kind, lambda: typer.prompt(f"key of {kind}", hide_input=True, default="", show_default=False))
    except InvalidInput as error:
        fail("key", error)


@app.command(name="eval")
def evaluate_cases(
    data: Annotated[
        Optional[Path],  # noqa: UP045  typer reads it
        typer.Option(help="file or directory of cases; the own cases when absent"),
    ] = None,
    model: Annotated[str, typer.Option(help="directory or name of a model; the embedded one when absent")] = "",
    quantize: _Quantize = "auto",
    limit: Annotated[Optional[int], typer.Option(min=1, help="only so many cases, evenly spread")] = None,  # noqa: UP045
    by: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option(help="fields and tags to split by; of copyable, mode, lang and kind those that there are"),
    ] = None,
    options: Annotated[Any, typer.Option(parser=json_object, metavar="JSON", help="of EngineOptions")] = "{}",
    only_model: Annotated[
        bool, typer.Option("--only-model", help="leave out the copy baseline and one token at a time")
    ] = False,
    concurrent: Annotated[int, typer.Option(min=1, help="cases filled at a time, up to 32 on a GPU")] = 1,
    output: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option(help="JSON file to write: the figures and every case's text; none when absent"),
    ] = None,
) -> None:
    """Score a model on infill cases."""
    from unmask_cli.evaluate import evaluate

    try:
        _check_model(model, "--model ")
        check_precision(quantize, "--quantize")
        split_by = None if by is None else [name for name in by.split(",") if name]
        evaluate(data, model, quantize, limit, split_by, options, output, only_model=only_model, concurrent=concurrent)
    except (InvalidInput, ModelFileError) as error:
        fail("eval", error)


for command in (setup, stats, log):
    app.command()(command)


def _user(model: str, verifier: str, quantize: str) -> UserSettings:
    """The user's settings, with what the command line says instead.

    Raises:
        InvalidInput: when they cannot be read, or a model that they name is not here: said before anything is loaded.
    """
    user = _with_options(read_user_settings(), model, verifier, quantize)
    if not user.remote:
        _check_model(user.model, "--model " if model else "")
        _check_model(user.verifier, "--verifier " if verifier else "")
    try:
        check_precision(user.quantize, "--quantize" if quantize else "quantize")
    except ModelFileError as error:
        raise InvalidInput(str(error)) from error
    return user


def _check_model(name: str, option: str) -> None:
    """Refuses a model that is not here; `option` is what stands before its name."""
    if name not in ("", AUTO, EMBEDDED):
        try:
            locate(name)
        except ModelFileError as error:
            raise InvalidInput(f"{option}{error}") from error


def _with_options(user: UserSettings, model: str, verifier: str, quantize: str) -> UserSettings:
    if model:
        # who names a model here wants that one, and no server
        user = msgspec.structs.replace(user, model=model, remote=None)
    return msgspec.structs.replace(user, verifier=verifier or user.verifier, quantize=quantize or user.quantize)
