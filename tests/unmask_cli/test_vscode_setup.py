import json
import re
import shlex
import sys

import pytest

from unmask_cli import client_files, vscode_setup


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / ".config"))
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    monkeypatch.setattr(vscode_setup, "program", lambda: "/opt/unmask")
    return tmp_path


def files():
    told = vscode_setup.vscode_additions()
    return [addition.file for addition in told.additions], told.remark


def test_every_edition_that_is_here_is_told(home):
    for folder in ("Code", "VSCodium", "Code - Insiders"):
        (home / ".config" / folder).mkdir(parents=True)
    found, remark = files()
    expected = ("Code", "Code - Insiders", "VSCodium")
    assert found == [home / ".config" / name / "User" / "settings.json" for name in expected]
    for program in ("code", "code-insiders", "codium"):
        assert f"  {program} --install-extension '" in remark


def test_one_that_was_never_started_is_known_by_its_program(home):
    (home / "bin").mkdir()
    (home / "bin" / "codium").write_text("")
    (home / "bin" / "codium").chmod(0o755)
    assert files()[0] == [home / ".config" / "VSCodium" / "User" / "settings.json"]


def test_on_a_machine_that_is_reached_by_ssh_its_own_settings_count(home):
    (home / ".vscode-server" / "data" / "Machine").mkdir(parents=True)
    assert files()[0] == [home / ".vscode-server" / "data" / "Machine" / "settings.json"]


@pytest.mark.parametrize(
    ("platform", "folder"), [("darwin", "Library/Application Support"), ("linux", ".config")], ids=["macOS", "Linux"]
)
def test_settings_are_where_the_platform_has_them(home, monkeypatch, platform, folder):
    monkeypatch.setattr(sys, "platform", platform)
    assert vscode_setup.settings_folder() == home / folder


def test_without_any_it_is_said(home):
    missing = vscode_setup.vscode_additions().missing
    assert re.match("found no VS Code: neither code, code-insiders, .* on the PATH nor", missing)


def test_the_newest_extension_that_was_built_is_named(home, tmp_path, monkeypatch):
    (home / ".config" / "Code").mkdir(parents=True)
    monkeypatch.setattr(vscode_setup, "client_folder", lambda _: tmp_path / "vscode")
    assert "editor_clients/vscode of a checkout by\n  npm ci && npm run package" in files()[1]
    (tmp_path / "vscode").mkdir()
    assert f"in {tmp_path / 'vscode'} by\n  npm ci" in files()[1]
    assert "*" not in files()[1]
    (tmp_path / "vscode" / "unmask-0.1.0.vsix").write_text("")
    assert files()[1] == (
        f"the extension is installed by\n  code --install-extension '{tmp_path / 'vscode' / 'unmask-0.1.0.vsix'}'"
    )


def test_the_extension_that_is_to_be_built_is_called_as_packing_calls_it(home, monkeypatch):
    folder = client_files.client_folder("vscode")
    manifest = json.loads((folder / "package.json").read_text())
    monkeypatch.setattr(vscode_setup, "client_folder", lambda _: home / "no extension in it")
    assert shlex.split(files()[1].splitlines()[-1]) == [
        "code",
        "--install-extension",
        f"{manifest['name']}-{manifest['version']}.vsix",
    ]


def test_what_is_set_is_what_the_extension_reads(home):
    (home / ".config" / "Code").mkdir(parents=True)
    (addition,) = vscode_setup.vscode_additions().additions
    at, text = addition.insertion("{}")
    found = json.loads("{}"[:at] + text + "{}"[at:])
    properties = json.loads((vscode_setup.client_folder("vscode") / "package.json").read_text())
    assert found.keys() <= properties["contributes"]["configuration"]["properties"].keys()
    assert found == {"unmask.command": ["/opt/unmask", "lsp"]}
    assert json.loads(f"{{{addition.shown}}}") == found
