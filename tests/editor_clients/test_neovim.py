"""The real Neovim, headless, with the client file that we ship and a fake model."""

import contextlib
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SERVER = [sys.executable, str(ROOT / "tests" / "support" / "fake_server.py")]
CLIENT = ROOT / "editor_clients" / "neovim"


def neovim():
    for path in (os.environ.get("UNMASK_NVIM"), ROOT / "tools" / "nvim" / "bin" / "nvim", shutil.which("nvim")):
        if path and Path(path).exists():
            shown = subprocess.run([path, "--version"], capture_output=True, text=True, check=False).stdout
            if (found := re.match(r"NVIM v0\.(\d+)", shown)) and int(found.group(1)) >= 12:
                return str(path)
    return None


@pytest.fixture
def editor(tmp_path, monkeypatch):
    path = neovim()
    if not path:
        pytest.skip("needs Neovim 0.12 or newer in tools/nvim, in $UNMASK_NVIM or on the PATH")
    pynvim = pytest.importorskip("pynvim")
    for name in ("CONFIG", "DATA", "STATE", "CACHE"):
        monkeypatch.setenv(f"XDG_{name}_HOME", str(tmp_path / name))
    made = pynvim.attach("child", argv=[path, "--clean", "--embed", "--headless", "-n"])
    yield made
    with contextlib.suppress(EOFError, OSError):
        made.command("qa!")
    made.close()


def wait(condition, what, seconds=20.0):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if value := condition():
            return value
        time.sleep(0.02)
    raise AssertionError(f"timed out: {what}")


def ghost(editor):
    return editor.exec_lua(
        """
        local namespace = vim.api.nvim_get_namespaces()['nvim.lsp.inline_completion']
        local text = {}
        for _, mark in ipairs(vim.api.nvim_buf_get_extmarks(0, namespace, 0, -1, { details = true })) do
          for _, chunk in ipairs(mark[4].virt_text or {}) do table.insert(text, chunk[1]) end
        end
        return table.concat(text)
        """
    )


@pytest.fixture
def typing(editor, tmp_path):
    """A Python file in insert mode, the server attached, our keys mapped."""
    editor.exec_lua(
        """
        local runtime, cmd, root = ...
        vim.opt.runtimepath:append(runtime)
        vim.lsp.config('unmask', { cmd = cmd, root_dir = root })
        vim.lsp.enable('unmask')
        vim.lsp.inline_completion.enable()
        for key, name in pairs({ ['<Tab>'] = 'accept', ['<F2>'] = 'accept_word', ['<F3>'] = 'accept_line' }) do
          vim.keymap.set('i', key, function()
            if not require('unmask')[name]() then return key end
          end, { expr = true })
        end
        """,
        str(CLIENT),
        SERVER,
        str(tmp_path),
    )
    file = tmp_path / "a.py"
    file.write_text("")
    editor.command(f"edit {file}")
    editor.command("setfiletype python")
    editor.command("setlocal noexpandtab noautoindent indentexpr=")
    attached = "local c = vim.lsp.get_clients({ bufnr = 0 })[1] return c ~= nil and c.initialized"
    wait(lambda: editor.exec_lua(attached), "the server to attach")
    return editor


def lines(editor):
    return list(editor.current.buffer[:])


def test_ghost_text_is_shown_and_tab_accepts_it(typing):
    typing.input("ix = ")
    assert wait(lambda: ghost(typing), "ghost text") == "<x = |line|~>"
    typing.input("<Tab>")
    wait(lambda: lines(typing) == ["x = <x = |line|~>"], "the accepted text")
    wait(lambda: typing.exec_lua("return #vim.lsp.get_clients()") == 1, "the server to live on")
    typing.input("!<Esc>:w<CR>")
    wait(lambda: Path(typing.current.buffer.name).read_text() == "x = <x = |line|~>!\n", "the file on disk")


def test_a_word_and_then_the_rest_of_the_line(typing):
    typing.input("ix = ")
    wait(lambda: ghost(typing), "ghost text")
    typing.input("<F2>")
    wait(lambda: lines(typing) == ["x = <"], "the first word")
    assert wait(lambda: ghost(typing), "the rest") == "x = |line|~>"
    typing.input("<F2>")
    wait(lambda: lines(typing) == ["x = <x"], "the second word")
    wait(lambda: ghost(typing), "the rest")
    typing.input("<F3>")
    wait(lambda: lines(typing) == ["x = <x = |line|~>"], "the line")


def test_what_was_typed_since_the_ghost_text_came_is_not_inserted_twice(typing):
    typing.input("ix = ")
    wait(lambda: ghost(typing), "ghost text")
    typing.input("<lt>x<Tab>")
    wait(lambda: lines(typing) == ["x = <x = |line|~>"], "the accepted text")


def test_a_block_is_taken_line_by_line(typing):
    typing.input("idef f():<CR>    ")
    wait(lambda: ghost(typing), "ghost text")
    typing.input("<F3>")
    wait(lambda: lines(typing) == ["def f():", "    <    |block|~>"], "the first line")
    wait(lambda: typing.exec_lua("return vim.lsp.inline_completion.get({ on_accept = function() end })"), "the rest")


def test_without_ghost_text_the_key_is_itself(typing):
    typing.input("i<Tab>x")
    wait(lambda: lines(typing) == ["\tx"], "a tab")


def notes(editor, folder, cmd):
    """What is said to the user while two files are opened; `cmd` is the client's own where it is empty."""
    editor.exec_lua(
        """
        local runtime, cmd = ...
        vim.opt.runtimepath:append(runtime)
        _G.said = {}
        vim.notify = function(text, level) table.insert(_G.said, { text, level }) end
        if #cmd > 0 then vim.lsp.config('unmask', { cmd = cmd }) end
        vim.lsp.enable('unmask')
        """,
        str(CLIENT),
        cmd,
    )
    for name in ("a.py", "b.py"):
        (folder / name).write_text("")
        editor.command(f"edit {folder / name}")
        editor.command("setfiletype python")
    # what was scheduled before has run then
    editor.exec_lua("vim.wait(50)")
    return [(text, level) for text, level in editor.exec_lua("return _G.said")]


@pytest.mark.parametrize(("cmd", "named"), [([], "'unmask'"), (["/nowhere/unmask", "lsp"], "'/nowhere/unmask'")])
def test_a_program_that_is_not_there_is_said_once(editor, tmp_path, cmd, named):
    editor.exec_lua("vim.env.PATH = '/usr/bin'")
    ((text, level),) = notes(editor, tmp_path, cmd)
    assert f"unmask: {named} is not on the PATH" in text
    assert level == editor.exec_lua("return vim.log.levels.WARN")


def test_with_a_program_nothing_is_said_and_the_folder_of_the_project_is_found(editor, tmp_path):
    (tmp_path / ".git").mkdir()
    (tmp_path / "src").mkdir()
    assert notes(editor, tmp_path / "src", SERVER) == []
    root = "local c = vim.lsp.get_clients({ bufnr = 0 })[1] return c and c.root_dir"
    assert wait(lambda: editor.exec_lua(root), "the server to attach") == str(tmp_path)
