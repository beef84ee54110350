"""The real Neovim, headless, with our client on its runtimepath."""

import contextlib

import pytest
from neovim import CLIENT, SERVER, find_neovim, wait_for_model


@pytest.fixture
def fills(tmp_path, tmp_path_factory, monkeypatch):
    """A file with a line for each fill that the fake model has done, of a worker that no other test uses."""
    file = tmp_path / "fills"
    file.touch()
    monkeypatch.setenv("UNMASK_TEST_FILLS", str(file))
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path_factory.mktemp("run")))
    return file


@pytest.fixture
def editor(request, tmp_path, monkeypatch):
    version = getattr(request, "param", "0.12")
    path = find_neovim(version)
    if not path:
        pytest.skip(f"needs Neovim {version} in tools, in $UNMASK_NVIM or on the PATH")
    pynvim = pytest.importorskip("pynvim")
    for name in ("CONFIG", "DATA", "STATE", "CACHE"):
        monkeypatch.setenv(f"XDG_{name}_HOME", str(tmp_path / name))
    arguments = ["--clean", "--cmd", f"set runtimepath^={CLIENT}", "--embed", "--headless", "-n"]
    made = pynvim.attach("child", argv=[path, *arguments])
    made.exec_lua(
        """
        _G.said = {}
        vim.notify = function(text, level) table.insert(_G.said, { text, level or vim.log.levels.INFO }) end
        """
    )
    yield made
    with contextlib.suppress(EOFError, OSError):
        made.command("qa!")
    made.close()


@pytest.fixture
def set_up(editor, tmp_path):
    """Makes a Python file, empty where no text is given, with the server attached, by the options of `setup`."""

    def make(text=b"", **options):
        options = {"cmd": SERVER, "keys": {"accept_word": "<F2>", "accept_line": "<F3>"}, **options}
        editor.exec_lua(
            """
            local options, root = ...
            require('unmask.lsp').configure({ root_dir = root })
            require('unmask').setup(options)
            """,
            options,
            str(tmp_path),
        )
        file = tmp_path / "a.py"
        file.write_bytes(text)
        editor.command("set fileformats=unix,dos,mac")
        editor.command(f"edit {file}")
        editor.command("setfiletype python")
        editor.command("setlocal noexpandtab noautoindent indentexpr=")
        wait_for_model(editor)
        return editor

    return make


@pytest.fixture
def typing(set_up):
    """The same with the defaults."""
    return set_up()
