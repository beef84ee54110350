"""Which documents the model may see: secret files never, ignored files only where one works in them."""

from __future__ import annotations

import stat
from functools import lru_cache
from pathlib import Path

from pathspec import GitIgnoreSpec
from pygls.uris import to_fs_path

# fmt: off
SECRET_FILES = GitIgnoreSpec.from_lines(
    [
        ".env", ".env.*", "!.env.example", "*.pem", "*.key", "*.p12", "*.pfx", "*.jks", "*.keystore", "*.kdbx",
        "*.ovpn", "*.tfstate", "*.tfstate.*", "*.tfvars", "id_rsa*", "id_dsa*", "id_ecdsa*", "id_ed25519*", ".netrc",
        "_netrc", ".npmrc", ".pypirc", ".pgpass", ".htpasswd", ".git-credentials", ".dockercfg", ".aws/", ".azure/",
        ".gnupg/", ".kube/", ".ssh/", "**/.docker/config.json", "credentials.json", "credentials.csv",
        "credentials.ini", "credentials.toml", "credentials.yaml", "credentials.yml", "secrets.json", "secrets.toml",
        "secrets.yaml", "secrets.yml", "**/secrets/**/*.json", "**/secrets/**/*.toml", "**/secrets/**/*.txt",
        "**/secrets/**/*.yaml", "**/secrets/**/*.yml", "service-account*.json",
    ]
)
# fmt: on
"""Patterns of names in the syntax of `.gitignore`; a document that one of them names is neither completed nor shown."""
OWN_IGNORE_FILE, GIT_IGNORE_FILE = ".unmaskignore", ".gitignore"
MAX_IGNORE_BYTES = 256 << 10


class Privacy:
    """Asks the deny list and the ignore files of the workspace."""

    def __init__(self, roots: list[Path]) -> None:
        self._roots = [root.resolve() for root in roots]

    def may_complete(self, uri: str) -> bool:
        """Returns whether the model may work in a document: its name is no secret, and `.unmaskignore` allows it."""
        return not _is_secret(uri, path_of(uri)) and not self._is_ignored(uri, OWN_IGNORE_FILE)

    def may_show(self, uri: str) -> bool:
        """Returns whether pieces of a document may stand beside another one: `.gitignore` has a say too."""
        return self.may_complete(uri) and not self._is_ignored(uri, GIT_IGNORE_FILE)

    def root_of(self, uri: str) -> Path | None:
        """Returns the folder of the workspace that a document is in, links followed."""
        path = path_of(uri)
        return next((root for root in self._roots if path and path.is_relative_to(root)), None)

    def _is_ignored(self, uri: str, ignore_file: str) -> bool:
        path, root = path_of(uri), self.root_of(uri)
        if path is None or root is None:
            return False
        folder = path.parent
        while folder.is_relative_to(root):
            verdict = _spec(folder / ignore_file).check_file(path.relative_to(folder).as_posix()).include
            # the nearest file that says anything decides, as git has it
            if verdict is not None:
                return verdict
            folder = folder.parent
        return False


def path_of(uri: str) -> Path | None:
    """Returns the path that a `file:` URI names, links followed; None for any other URI."""
    try:
        path = to_fs_path(uri) if uri.startswith("file:") else None
        return Path(path).resolve() if path else None
    except (ValueError, RuntimeError):
        # no path can be so, or links go in circles
        return None


def _is_secret(uri: str, path: Path | None) -> bool:
    # a link may hide the name of what it points to, and the other way round
    names = [uri.partition(":")[2].lstrip("/"), path.as_posix().lstrip("/") if path else ""]
    return any(SECRET_FILES.match_file(name) for name in names if name)


def _spec(file: Path) -> GitIgnoreSpec:
    try:
        facts = file.lstat()
    except (OSError, ValueError):
        return _NOTHING
    if not stat.S_ISREG(facts.st_mode) or facts.st_size > MAX_IGNORE_BYTES:
        return _NOTHING
    return _read(file, facts.st_mtime_ns)


@lru_cache(maxsize=256)
def _read(file: Path, _: int) -> GitIgnoreSpec:
    try:
        return GitIgnoreSpec.from_lines(file.read_text("utf-8", "replace").splitlines())
    except (OSError, ValueError):
        return _NOTHING


_NOTHING = GitIgnoreSpec.from_lines([])
