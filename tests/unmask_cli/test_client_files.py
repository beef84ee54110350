import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from coder_model.types import InvalidInput
from unmask_cli import client_files

ROOT = Path(__file__).parents[2]


def test_a_wheel_holds_the_plugin_and_finds_it(tmp_path):
    wheel = pytest.importorskip("hatchling.builders.wheel", reason="hatchling, which makes the wheel, is not installed")
    (path,) = wheel.WheelBuilder(str(ROOT)).build(directory=str(tmp_path), versions=["standard"])
    site = tmp_path / "site"
    with zipfile.ZipFile(path) as archive:
        archive.extractall(site, [name for name in archive.namelist() if name.startswith("unmask_cli/")])
    code = (
        f"import sys; sys.path[0:0] = [{str(site)!r}, {str(ROOT)!r}]; from unmask_cli.client_files import client_folder"
    )
    found = subprocess.run(
        [sys.executable, "-P", "-c", f"{code}; print(client_folder('neovim'))"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert Path(found.stdout.strip()) == site / "unmask_cli" / "clients" / "neovim"
    there = {file.relative_to(site / "unmask_cli/clients/neovim") for file in site.rglob("*.lua")}
    assert there == {
        file.relative_to(ROOT / "editor_clients/neovim") for file in ROOT.glob("editor_clients/neovim/**/*.lua")
    }


def test_a_checkout_has_the_files_of_both_editors():
    assert (client_files.client_folder("neovim") / "lua" / "unmask.lua").is_file()
    assert (client_files.client_folder("vscode") / "package.json").is_file()


def executable(path):
    path.parent.mkdir(exist_ok=True)
    path.write_text("#!/bin/sh\n")
    path.chmod(0o755)
    return path


def test_the_program_is_the_one_that_runs_by_its_name_on_the_path_if_it_has_one(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "executable", str(tmp_path / "venv" / "python"))
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    with pytest.raises(InvalidInput, match="must be beside .*python or on the PATH, found neither"):
        client_files.program()
    other = executable(tmp_path / "bin" / "unmask")
    assert client_files.program() == str(other)
    here = executable(tmp_path / "venv" / "unmask")
    assert client_files.program() == str(here)
    other.unlink()
    other.symlink_to(here)
    assert client_files.program() == str(other)
