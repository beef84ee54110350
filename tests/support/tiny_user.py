"""A user with folders of their own: environment of the commands that tests start."""

import os
import subprocess
import sys
from pathlib import Path

UNMASK = [sys.executable, "-P", "-c", "from lsp_server.cli import main; main()"]


class TinyUser:
    """Runs `unmask` as somebody whose home is a folder of the test."""

    def __init__(self, home, hub_url=""):
        self.home = Path(home)
        self.environment = {
            **os.environ,
            "HOME": str(home),
            "XDG_DATA_HOME": str(self.home / "data"),
            "XDG_CONFIG_HOME": str(self.home / "config"),
            "HF_HOME": str(self.home / "hf"),
            "NO_COLOR": "1",
            "COLUMNS": "200",
            "PYTHON_KEYRING_BACKEND": "keyring.backends.null.Keyring",
        }
        for name in ("HF_ENDPOINT", "HF_HUB_OFFLINE", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
            self.environment.pop(name, None)
            self.environment.pop(name.lower(), None)
        if hub_url:
            self.environment["HF_ENDPOINT"] = hub_url

    def start(self, *arguments, cwd=None, **more):
        return subprocess.Popen(
            [*UNMASK, *map(str, arguments)],
            env={**self.environment, **more},
            cwd=cwd,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, *arguments, answer="", cwd=None, **more):
        process = self.start(*arguments, cwd=cwd, **more)
        out, err = process.communicate(answer, timeout=120)
        return subprocess.CompletedProcess(arguments, process.returncode, out, err)

    @property
    def installed(self):
        return sorted(path.stem for path in (self.home / "data/unmask/models").glob("*.json"))

    def configure(self, text):
        folder = self.home / "config/unmask"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "settings.toml").write_text(text)
