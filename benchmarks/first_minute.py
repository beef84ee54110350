"""From a fresh HOME to ghost text in each editor: the commands of the README, run, with the seconds that they take.

    python benchmarks/first_minute.py [--out benchmarks/results/first-minute.json]

They run in a copy of the committed checkout, with a HOME of their own; of the user's only what pip and npm are set to
is kept. Neovim and VS Code's web server are those of the tests: `nvim` and `code` stand for them on the PATH. Ghost
text is the first that is drawn, of whichever model answers then. 1.5 GB are written to a temporary folder.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from drawn import VSCODE, editors
from neovim_screen import Grid, Screen
from records import BENCHMARKS, write

ROOT = BENCHMARKS.parent
DRIVER = ROOT / "tests" / "editor_clients" / "vscode" / "first_minute.mjs"
FILE, TYPED = "shapes.py", "return "
TEXT = "def area(width, height):\n    return width * height\n\n\ndef volume(width, height, depth):\n    "
INSTALL = (
    "python3 -m venv .venv",
    ".venv/bin/pip install -c constraints.txt -e '.[model]'",
)
WITH_NEOVIM = ("unmask setup nvim --write",)
WITH_VSCODE = (
    "cd editor_clients/vscode && npm ci && npm run package",
    "code --install-extension editor_clients/vscode/unmask-0.1.0.vsix",
    "unmask setup vscode --write",
)
COLUMNS, ROWS, LONGEST_S, ASKED_S = 100, 30, 120.0, 8.0
BETTER = ("unmask models pull qwen2.5-coder-0.5b --yes",)


@dataclass(frozen=True, slots=True)
class Step:
    """A command that was run."""

    command: str
    seconds: float


class Newcomer:
    """Somebody with an empty HOME and a checkout."""

    def __init__(self, folder: Path) -> None:
        self.home, self.checkout = folder / "home", folder / "unmask"
        self.home.mkdir()
        subprocess.run(["git", "clone", "-q", "--depth", "1", f"file://{ROOT}", str(self.checkout)], check=True)
        real = Path.home()
        kept = {"PIP_CONFIG_FILE": real / ".config" / "pip" / "pip.conf", "NPM_CONFIG_USERCONFIG": real / ".npmrc"}
        bare = {name: value for name, value in os.environ.items() if not name.startswith(("XDG_", "VIRTUAL_ENV"))}
        programs = self.home / "programs"
        programs.mkdir()
        self.environment = bare | {name: str(file) for name, file in kept.items() if file.exists()}
        self.environment |= {"HOME": str(self.home), "PATH": f"{self.checkout}/.venv/bin:{programs}:{bare['PATH']}"}

    def program(self, name: str, *words: str) -> None:
        """Puts a program onto the PATH: the words that start it."""
        file = self.home / "programs" / name
        file.write_text("#!/bin/sh\nexec " + " ".join(f"'{word}'" for word in words) + ' "$@"\n')
        file.chmod(0o755)

    def run(self, commands: Sequence[str]) -> list[Step]:
        """Runs commands in the checkout; returns what each took.

        Raises:
            SystemExit: with what a command said that failed.
        """
        return [self._run(command) for command in commands]

    def _run(self, command: str) -> Step:
        began = time.perf_counter()
        done = subprocess.run(
            command, shell=True, cwd=self.checkout, env=self.environment, capture_output=True, text=True, check=False,
            stdin=subprocess.DEVNULL,
        )  # fmt: skip
        if done.returncode:
            raise SystemExit(f"{command}:\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
        print(f"{time.perf_counter() - began:6.1f} s  {command}", flush=True)
        return Step(command, round(time.perf_counter() - began, 1))

    def open(self) -> Path:
        """Returns a file to begin with, in a folder of its own."""
        file = self.home / "work" / "workspace" / FILE
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(TEXT, "utf-8")
        return file


def in_neovim(newcomer: Newcomer, program: str) -> list[Step]:
    """Sets Neovim up, opens a file and asks.

    Raises:
        SystemExit: when no ghost text is drawn.
    """
    newcomer.program("nvim", program)
    steps = newcomer.run(WITH_NEOVIM)
    pairs = [f"{name}={value}" for name, value in newcomer.environment.items()]
    began = time.perf_counter()
    screen = Screen(["env", "-i", *pairs, "nvim", "--embed", str(newcomer.open())], COLUMNS, ROWS)
    screen.nvim.command("normal! G")
    # asked again until the model is there: a request waits for it for a few seconds only
    end = time.monotonic() + LONGEST_S
    keys = f"A{TYPED}<M-\\>"
    while screen.until(_is_suggested, keys, ASKED_S) is None:
        if time.monotonic() > end:
            raise SystemExit("Neovim: no ghost text; the screen is\n" + "\n".join(screen.grid.lines()))
        keys = "<M-\\>"
    took = time.perf_counter() - began
    screen.close()
    return [*steps, _opened("nvim", took)]


def _is_suggested(grid: Grid) -> bool:
    row, column = grid.cursor
    return grid.lines()[row][:column].endswith(TYPED) and bool(grid.behind_cursor())


def in_vscode(newcomer: Newcomer) -> list[Step]:
    """Sets VS Code up, opens a file and asks.

    Raises:
        SystemExit: when no ghost text is drawn.
    """
    data = newcomer.home / ".vscode-server"
    # the folder that is there once somebody has been connected
    (data / "data" / "Machine").mkdir(parents=True)
    node, main = VSCODE / "node" / "node", VSCODE / "vscode" / "out" / "server-main.js"
    newcomer.program("code", str(node), str(main), "--accept-server-license-terms", "--server-data-dir", str(data))
    steps = newcomer.run(WITH_VSCODE)
    place = {
        "vscode": str(VSCODE), "extension": str(newcomer.checkout / "editor_clients" / "vscode"),
        "run": str(newcomer.open().parents[1]), "data": str(data), "executablePath": shutil.which("chromium"),
    }  # fmt: skip
    done = subprocess.run(
        ["node", str(DRIVER), json.dumps(place), FILE, TYPED],
        env=newcomer.environment, capture_output=True, text=True, check=True,
    )  # fmt: skip
    seen = json.loads(done.stdout.splitlines()[-1])
    if "error" in seen:
        raise SystemExit(f"VS Code: {seen['error']}")
    return [*steps, _opened("code", seen["seconds"])]


def _opened(program: str, seconds: float) -> Step:
    step = Step(f"{program} {FILE}, then `{TYPED.strip()}` and Alt+\\", round(seconds, 1))
    print(f"{step.seconds:6.1f} s  {step.command}", flush=True)
    return step


def main() -> None:
    """Runs them for each editor that is there."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path)
    out, found = parser.parse_args().out, editors()
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        newcomer = Newcomer(Path(folder))
        steps = {"both": newcomer.run(INSTALL)}
        if neovim := next((program for program in found.values() if program), None):
            steps["Neovim"] = in_neovim(newcomer, neovim)
        if "VS Code" in found:
            steps["VS Code"] = in_vscode(newcomer)
        steps["then, for better suggestions"] = newcomer.run(BETTER)
    record = {editor: [asdict(step) for step in some] for editor, some in steps.items()}
    print(json.dumps(record, indent=1))
    if out:
        write(out, {"steps": record})


if __name__ == "__main__":
    main()
