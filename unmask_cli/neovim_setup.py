"""What Neovim is told: lines at the end of init.lua, or a file among the specs of lazy.nvim."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

from tree_sitter import Node

from coder_model.text.syntax import errors_in, parse
from coder_model.types import InvalidInput
from unmask_cli.client_files import client_folder, program
from unmask_cli.own_text import Addition, Told

_SIGN = "-- written by `unmask setup nvim --write`, taken away by `unmask setup nvim --remove`"
_SPEC = """{sign}
return {{
  dir = {folder},
  name = 'unmask',
  lazy = false,
  opts = {{ cmd = {{ {program}, 'lsp' }} }},
}}
"""
# plugin/ is read before lazy.nvim, which is set up in init.lua as well, lets another folder in
_LINES = """
{sign}
vim.opt.runtimepath:prepend({folder})
vim.cmd.runtime('plugin/unmask.lua')
require('unmask').setup({{ cmd = {{ {program}, 'lsp' }} }})
"""
_WHY_INIT = "into init.lua: there is no folder that lazy.nvim imports specs from"
_OWN_SETUP = re.compile(r"""require\s*\(?\s*["']unmask["']""")
_SPEC_FOLDERS = re.compile(
    r"""import\s*=\s*["']([\w.-]+)["']|require\s*\(?\s*["']lazy["']\s*\)?\s*\.\s*setup\s*\(?\s*["']([\w.-]+)["']"""
)


def neovim_additions() -> Told:
    """Returns the one file to change, and why it is that one.

    Raises:
        InvalidInput: when there is nothing of ours to show Neovim.
    """
    config = config_folder()
    is_here = config.is_dir() or shutil.which("nvim")
    addition, why = _addition(config)
    return Told((addition,), why, "" if is_here else f"found no Neovim: neither nvim on the PATH nor {config}")


def _addition(config: Path) -> tuple[Addition, str]:
    """What is added to which file, and why it is that one."""
    folder = client_folder("neovim")
    if not folder.is_dir():
        raise InvalidInput(f"this installation must hold the plugin, found no {folder}")
    filled = {"sign": _SIGN, "folder": _quoted(str(folder)), "program": _quoted(program())}
    if specs := spec_folder(config):
        text = _SPEC.format(**filled)
        why = f"lazy.nvim reads every file of {specs}"
        return Addition(specs / "unmask.lua", text, lambda found: _as_whole(found, text)), why
    lines = _LINES.format(**filled)
    file = config / "init.lua"
    if (config / "init.vim").exists():
        shown = f"lua << EOF{lines}EOF\n"
        return Addition(config / "init.vim", shown, _only_by_hand), "Neovim reads init.vim, and no init.lua beside it"
    return Addition(file, lines.lstrip("\n"), lambda found: _at_the_end(found, lines)), _WHY_INIT


def config_folder() -> Path:
    """Returns the folder of Neovim's configuration, whether or not it is there."""
    if os.name == "nt":
        base = Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local")
    else:
        base = Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config")
    return base / (os.environ.get("NVIM_APPNAME") or "nvim")


def spec_folder(config: Path) -> Path | None:
    """Returns the first folder that lazy.nvim is told to import specs from, if it is one of the configuration."""
    for file in [config / "init.lua", *sorted((config / "lua").rglob("*.lua"))]:
        if file.is_file():
            for names in _SPEC_FOLDERS.findall(_without_comments(file.read_text("utf-8", "replace"))):
                folder = config / "lua" / Path(*"".join(names).split("."))
                if folder.is_dir():
                    return folder
    return None


def _as_whole(found: str, text: str) -> tuple[int, str]:
    if found:
        raise InvalidInput("is there already, and is not ours")
    return 0, text


def _only_by_hand(_: str) -> tuple[int, str]:
    raise InvalidInput("is a script that is not changed from outside")


def _at_the_end(found: str, lines: str) -> tuple[int, str]:
    if errors_in(found, "lua"):
        raise InvalidInput("must be Lua without syntax errors")
    if _OWN_SETUP.search(_without_comments(found)):
        raise InvalidInput("sets unmask up already")
    end = "\r\n" if "\r\n" in found else "\n"
    text = ("" if not found or found.endswith("\n") else "\n") + (lines if found else lines.lstrip("\n"))
    text = text.replace("\n", end)
    if _ends_with_return(found) or errors_in(found + text, "lua"):
        raise InvalidInput("ends with a return, behind which nothing may stand")
    return len(found), text


def _ends_with_return(text: str) -> bool:
    tree = parse(text, "lua")
    assert tree
    statements = [node.type for node in tree.root_node.named_children if node.type != "comment"]
    return statements[-1:] == ["return_statement"]


def _without_comments(text: str) -> str:
    """The text with blanks where comments are."""
    tree, data = parse(text, "lua"), bytearray(text.encode("utf-8", "replace"))
    assert tree
    for start, end in _comments(tree.root_node):
        data[start:end] = b" " * (end - start)
    return data.decode("utf-8", "replace")


def _comments(root: Node) -> Iterator[tuple[int, int]]:
    stack = [root]
    while stack:
        node = stack.pop()
        if node.type == "comment":
            yield node.start_byte, node.end_byte
        else:
            stack.extend(node.children)


def _quoted(text: str) -> str:
    """A string of Lua."""
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"
