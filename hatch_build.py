"""What is put into a wheel beside the packages: the plugin for Neovim, and VS Code's extension if it has been built."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

PACKED = "unmask_cli/clients"
"""Where `unmask_cli/client_files.py` looks for them."""


class ClientFiles(BuildHookInterface[Any]):
    """Adds them to a wheel; an installation of the checkout itself has them where they are."""

    PLUGIN_NAME = "custom"

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Called before a wheel is made."""
        if version == "editable":
            return
        clients = Path(self.root) / "editor_clients"
        build_data["force_include"][str(clients / "neovim")] = f"{PACKED}/neovim"
        for extension in clients.glob("vscode/*.vsix"):
            build_data["force_include"][str(extension)] = f"{PACKED}/vscode/{extension.name}"
