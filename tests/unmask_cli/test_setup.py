import errno

import pytest
from commands import exit_code

from unmask_cli import neovim_setup, own_text, vscode_setup


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("CONFIG", "STATE"):
        monkeypatch.setenv(f"XDG_{name}_HOME", str(tmp_path / name))
    monkeypatch.setenv("PATH", "")
    for module in (neovim_setup, vscode_setup):
        monkeypatch.setattr(module, "program", lambda: "/opt/unmask")
    return tmp_path


def files(home):
    return {file.relative_to(home).as_posix() for file in home.rglob("*") if file.is_file()}


@pytest.mark.parametrize(
    ("editor", "folder", "file"),
    [("nvim", "CONFIG/nvim", "init.lua"), ("vscode", "CONFIG/Code/User", "settings.json")],
)
def test_it_is_printed_then_written_and_taken_away(home, capsys, editor, folder, file):
    (home / folder).mkdir(parents=True)
    assert exit_code(["setup", editor]) == 0
    printed = capsys.readouterr().out
    assert str(home / folder / file) in printed
    assert f"`unmask setup {editor} --write` writes it" in printed
    assert files(home) == set()
    assert exit_code(["setup", editor, "--write"]) == 0
    assert "written" in capsys.readouterr().out
    written = (home / folder / file).read_text()
    assert "/opt/unmask" in written
    assert exit_code(["setup", editor, "--write"]) == 0
    assert "as it should be already" in capsys.readouterr().out
    assert (home / folder / file).read_text() == written
    assert exit_code(["setup", editor, "--remove"]) == 0
    assert "removed" in capsys.readouterr().out
    assert files(home) == {"STATE/unmask/setup.json"}
    assert exit_code(["setup", editor, "--remove"]) == 0
    assert "has written is known here" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("editor", "file", "shown"),
    [
        ("nvim", "nvim/init.lua", "require('unmask').setup("),
        ("vscode", "Code/User/settings.json", '"unmask.command": '),
    ],
)
@pytest.mark.parametrize("more", [[], ["--write"]])
def test_an_editor_that_is_not_here_is_one_line_and_what_to_add(home, capsys, editor, file, shown, more):
    assert exit_code(["setup", editor, *more]) == 1
    said = capsys.readouterr()
    assert f"to be added to {home / 'CONFIG' / file}:" in said.out
    assert shown in said.out
    assert "--write` writes it" not in said.out
    assert said.err.startswith("unmask setup: found no ")
    assert said.err.count("\n") == 1
    assert files(home) == set()


def test_a_file_that_cannot_be_changed_safely_stays_and_what_to_add_is_printed(home, capsys):
    for edition in ("Code", "VSCodium"):
        (home / "CONFIG" / edition / "User").mkdir(parents=True)
    (home / "CONFIG/Code/User/settings.json").write_text('{"a": ')
    assert exit_code(["setup", "vscode", "--write"]) == 1
    said = capsys.readouterr()
    assert said.err.startswith(f"unmask setup: {home / 'CONFIG/Code/User/settings.json'} must be JSON with comments: ")
    assert said.err.endswith("; it is left as it is\n")
    assert '    "unmask.command": ["/opt/unmask", "lsp"]' in said.out
    assert (home / "CONFIG/Code/User/settings.json").read_text() == '{"a": '
    assert (home / "CONFIG/VSCodium/User/settings.json").exists()


def test_writing_and_removing_exclude_each_other(home, capsys):
    assert exit_code(["setup", "nvim", "--write", "--remove"]) == 2
    assert capsys.readouterr().err == "unmask setup: --write or --remove may be given, not both\n"


def test_a_folder_that_takes_no_file_is_one_line(home, capsys):
    (home / "CONFIG" / "Code").mkdir(parents=True)
    (home / "CONFIG" / "Code" / "User").write_text("")
    assert exit_code(["setup", "vscode", "--write"]) == 1
    said = capsys.readouterr()
    assert said.err == f"unmask setup: {home}/CONFIG/Code/User/settings.json: Not a directory\n"
    assert "to be added to " in said.out


@pytest.mark.parametrize(("editor", "folder"), [("nvim", "CONFIG/nvim"), ("vscode", "CONFIG/Code/User")])
@pytest.mark.parametrize("blocked", ["CONFIG", "STATE"])
def test_what_cannot_be_written_is_one_line_and_what_to_add(home, capsys, monkeypatch, editor, folder, blocked):
    (home / folder).mkdir(parents=True)

    def full(file, _whole=own_text.written_whole):
        if home / blocked in file.parents:
            raise OSError(errno.EROFS, "Read-only file system", str(file))
        return _whole(file)

    monkeypatch.setattr(own_text, "written_whole", full)
    assert exit_code(["setup", editor, "--write"]) == 1
    said = capsys.readouterr()
    assert said.err.startswith(f"unmask setup: {home / blocked}")
    assert said.err.endswith(": Read-only file system\n")
    assert said.out.count("to be added to ") == 1
    assert "/opt/unmask" in said.out
    assert (home / folder).exists()
