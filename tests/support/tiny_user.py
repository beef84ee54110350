"""A user with folders of their own: environment of the commands that tests start."""

import os
import subprocess
import sys
from copy import copy
from pathlib import Path

UNMASK = [sys.executable, "-P", "-c", "from unmask_cli.cli import main; main()"]

WITH_CATALOGUE = """
from pathlib import Path
from coder_model.checkpoints import catalogue
catalogue.FILE = Path({!r})
from unmask_cli.cli import main
main()
"""
LIMITED = """
import os, resource, signal, sys
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[1]), resource.RLIM_INFINITY))
os.execv(sys.argv[2], sys.argv[2:])
"""
FOREIGN = ("HF_ENDPOINT", "HF_HUB_OFFLINE", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "HF_HUB_CACHE", "XDG_CACHE_HOME")
FOREIGN += ("HUGGINGFACE_HUB_CACHE", "LLAMA_CACHE", "OLLAMA_MODELS")


class TinyUser:
    """Runs `unmask` as somebody whose home is a folder of the test."""

    def __init__(self, home, hub_url="", index_url="", catalogue=None):
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
        for name in (*FOREIGN, *(name for name in os.environ if name.startswith("PIP_"))):
            self.environment.pop(name, None)
            self.environment.pop(name.lower(), None)
        self.environment |= {"PIP_CONFIG_FILE": os.devnull, "PIP_INDEX_URL": index_url or "http://127.0.0.1:9/simple"}
        self.catalogue = catalogue
        self.before = []
        if hub_url:
            self.environment["HF_ENDPOINT"] = hub_url

    def limited_to(self, file_bytes):
        """The same user, whose files may not become larger."""
        limited = copy(self)
        limited.before = [sys.executable, "-c", LIMITED, str(file_bytes)]
        return limited

    def start(self, *arguments, cwd=None, **more):
        unmask = [*UNMASK[:-1], WITH_CATALOGUE.format(str(self.catalogue))] if self.catalogue else UNMASK
        return subprocess.Popen(
            [*self.before, *unmask, *map(str, arguments)],
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
