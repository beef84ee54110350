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
CLIENT = ROOT / "editor_clients" / "neovim"


def find_neovim():
    for path in (os.environ.get("UNMASK_NVIM"), ROOT / "tools" / "nvim" / "bin" / "nvim", shutil.which("nvim")):
        if path and Path(path).exists():
            shown = subprocess.run([path, "--version"], capture_output=True, text=True, check=False).stdout
            if (found := re.match(r"NVIM v0\.(\d+)", shown)) and int(found.group(1)) >= 12:
                return str(path)
    return None


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


def lines(editor):
    return list(editor.current.buffer[:])


def said(editor):
    """What was told the person so far: texts, and levels."""
    return [(text, level) for text, level in editor.exec_lua("return _G.said")]
