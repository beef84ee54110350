"""What VS Code is told: where the program is, in the settings of each of its editions that is here."""

from __future__ import annotations

import json
import os
import shutil
import sys
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version
from pathlib import Path

from unmask_cli.client_files import client_folder, program
from unmask_cli.jsonc import insertion
from unmask_cli.own_text import Addition, Told

KEY = "unmask.command"


@dataclass(frozen=True, slots=True)
class Edition:
    """An editor that is built of VS Code's sources."""

    name: str
    program: str
    folder: str
    """Of its settings, in the folder where all programs of the user have them."""


EDITIONS = (
    Edition("VS Code", "code", "Code"),
    Edition("VS Code Insiders", "code-insiders", "Code - Insiders"),
    Edition("VSCodium", "codium", "VSCodium"),
    Edition("VSCodium Insiders", "codium-insiders", "VSCodium - Insiders"),
    Edition("Code - OSS", "code-oss", "Code - OSS"),
)


def vscode_additions() -> Told:
    """Returns the settings of the editions that are here, or of the usual one, and how the extension gets into each.

    Raises:
        InvalidInput: when there is no program of ours to start.
    """
    here = [one for one in EDITIONS if shutil.which(one.program) or (settings_folder() / one.folder).is_dir()]
    files = [settings_folder() / one.folder / "User" / "settings.json" for one in here]
    remote = Path.home() / ".vscode-server" / "data" / "Machine"
    if remote.is_dir():
        # of a machine that somebody reaches by SSH: there the extension runs, and its program is
        files.append(remote / "settings.json")
    missing = ""
    if not files:
        programs = ", ".join(one.program for one in EDITIONS)
        missing = f"found no VS Code: neither {programs} on the PATH nor its settings in {settings_folder()}"
        files = [settings_folder() / EDITIONS[0].folder / "User" / "settings.json"]
    command = [program(), "lsp"]
    insert = partial(_inserted, command=command)
    shown = f"{json.dumps(KEY)}: {json.dumps(command, ensure_ascii=False)}\n"
    install = _install([one.program for one in here] or [EDITIONS[0].program])
    return Told(tuple(Addition(file, shown, insert) for file in files), install, missing)


def settings_folder() -> Path:
    """Returns the folder in which programs of this user have theirs, in which VS Code has its own."""
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Application Support"
    if os.name == "nt":
        return Path(os.environ.get("APPDATA") or Path.home() / "AppData" / "Roaming")
    return Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config")


def _inserted(found: str, command: list[str]) -> tuple[int, str]:
    return insertion(found, KEY, command)


def _install(programs: list[str]) -> str:
    """How the extension is installed in each edition."""
    folder = client_folder("vscode")
    packed = sorted(folder.glob("*.vsix"), key=lambda file: file.stat().st_mtime)
    # as `vsce` names it; a pattern would need a shell that expands it
    file = str(packed[-1]) if packed else f"unmask-{version('unmask')}.vsix"
    installs = "\n".join(f"  {each} --install-extension '{file}'" for each in programs)
    if packed:
        return f"the extension is installed by\n{installs}"
    where = folder if folder.is_dir() else "editor_clients/vscode of a checkout"
    return f"the extension is built and installed in {where} by\n  npm ci && npm run package\n{installs}"
