"""The real VS Code, in a browser without a screen, with the extension that we ship and a fake model."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
EXTENSION = ROOT / "editor_clients" / "vscode"
DRIVER = Path(__file__).parent / "vscode" / "driver.mjs"
SERVER = [sys.executable, str(ROOT / "tests" / "support" / "fake_server.py")]
VSCODE = Path(os.environ.get("UNMASK_VSCODE", ROOT / "tools" / "vscode"))


def drive(scenario, folder, *command):
    """What the driver saw; a browser on a busy machine may lose a key or a click, so a failure is tried once more."""
    chromium = shutil.which("chromium")
    if not (VSCODE / "vscode" / "out" / "server-main.js").exists() or not chromium:
        pytest.skip("needs VS Code's web server in tools/vscode or $UNMASK_VSCODE, and chromium on the PATH")
    if not (EXTENSION / "dist" / "extension.js").exists():
        pytest.skip("needs the extension built: npm ci && npm run build in editor_clients/vscode")
    seen = {}
    for run in (folder / "first", folder / "second"):
        run.mkdir()
        arguments = [scenario, str(VSCODE), str(EXTENSION), str(run), chromium, *command]
        done = subprocess.run(
            ["node", str(DRIVER), *arguments], capture_output=True, text=True, timeout=400, check=True
        )
        seen = json.loads(done.stdout.splitlines()[-1])
        if "error" not in seen:
            break
    assert "error" not in seen, seen
    return seen


def test_ghost_text_is_accepted_and_the_commands_of_palette_and_menu_do_what_they_say(tmp_path):
    seen = drive("typing", tmp_path, *SERVER)
    assert seen["status"]
    assert seen["ghost"].replace("\xa0", " ") == "<x = |line|>"
    assert seen["file"] == "x = <x = |line|>!"
    assert [line.split("\n")[0] for line in seen["menu"]][:4] == [
        "Suggest here now",
        "Be quiet for some minutes, or speak again",
        "Turn off, or on again",
        "Fill all holes",
    ]
    assert seen["filled"].startswith("def one():\n    return one")
    assert seen["rewritten"] == "x = good"


def test_without_a_program_the_menu_offers_what_helps(tmp_path):
    seen = drive("missing", tmp_path, "/nowhere/unmask", "lsp")
    assert [line.split("\n")[0] for line in seen["menu"]] == [
        "Turn off, or on again",
        "Show statistics",
        "Examine the installation (doctor)",
        "Restart the server",
        "Show the log",
        "Open the settings",
    ]
    assert seen["printed"].replace("\xa0", " ").startswith("spawn /nowhere/unmask ENOENT")


def test_the_lock_names_no_registry_and_every_package_has_its_hash():
    lock = (EXTENSION / "package-lock.json").read_text()
    assert "resolved" not in lock
    packages = json.loads(lock)["packages"]
    wanted = json.loads((EXTENSION / "package.json").read_text())
    assert packages[""]["dependencies"] == wanted["dependencies"]
    assert packages[""]["devDependencies"] == wanted["devDependencies"]
    assert all(one["integrity"].startswith("sha512-") for name, one in packages.items() if name)
