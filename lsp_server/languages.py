"""What a language is called: by the protocol's ids, whatever an editor says."""

from __future__ import annotations

_ID_OF_FILETYPE = {
    "bash": "shellscript",
    "bzl": "starlark",
    "cs": "csharp",
    "cuda": "cuda-cpp",
    "make": "makefile",
    "objc": "objective-c",
    "objcpp": "objective-cpp",
    "sh": "shellscript",
    "tex": "latex",
    "zsh": "shellscript",
}
"""Vim's names, which Neovim passes on as they are, where they are others."""


def language_id(name: str) -> str:
    """Returns the id of a language, by that or by Vim's name of it."""
    return _ID_OF_FILETYPE.get(name, name)
