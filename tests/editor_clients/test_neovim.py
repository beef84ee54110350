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


def test_ghost_text_is_shown_and_tab_accepts_it(editor, tmp_path):
    editor.exec_lua(
        """
        local runtime, cmd, root = ...
        vim.opt.runtimepath:append(runtime)
        vim.lsp.config('unmask', { cmd = cmd, root_dir = root })
        vim.lsp.enable('unmask')
        vim.lsp.inline_completion.enable()
        vim.keymap.set('i', '<Tab>', function()
          if not vim.lsp.inline_completion.get() then return '<Tab>' end
        end, { expr = true })
        """,
        str(CLIENT),
        SERVER,
        str(tmp_path),
    )
    file = tmp_path / "a.py"
    file.write_text("")
    editor.command(f"edit {file}")
    editor.command("setfiletype python")
    attached = "local c = vim.lsp.get_clients({ bufnr = 0 })[1] return c ~= nil and c.initialized"
    wait(lambda: editor.exec_lua(attached), "the server to attach")
    editor.input("ix = ")
    assert wait(lambda: ghost(editor), "ghost text") == "<x = |line|~>"
    editor.input("<Tab>")
    wait(lambda: editor.current.buffer[:] == ["x = <x = |line|~>"], "the accepted text")
    wait(lambda: editor.exec_lua("return #vim.lsp.get_clients()") == 1, "the server to live on")
