"""Which documents the model may see: secret files never, ignored files only where one works in them."""

from __future__ import annotations

import contextlib
import re
import stat
import unicodedata
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
        "*.env", ".envrc", "*.ppk", ".my.cnf", ".vault-token", ".s3cfg",
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
_PATHS = re.compile(r"[^\s\"'&=?#,;{}()<>|]*[^\s\"'&=?#,;:{}()<>|]")
_QUOTED = re.compile(r"\"([^\"]+)\"")
"""What may be a path in a query or a fragment."""
_COPY = re.compile(
    r"(?:~|\.(?:git|bak|old|orig|save|sw[a-p]|tmp|copy|rej|base|local|remote|\d+)|[;,@:]\w*|\s+\([^()]*\)"
    r"|\s+-?\s*copy|[\s.]+|/+)$",
    re.IGNORECASE,
)
"""Endings that tools give to the name of a file when they keep a copy of it; some systems drop blanks and dots."""
_COPY_BEFORE = re.compile(r"(?:(?<=/)|^)(?:\._|\.#|#|~\$|\.(?=\.))(?=[^/]+$)")
"""What they put before it."""
_SWAP = re.compile(r"(?:(?<=/)|^)\.([^/]+)\.sw[a-p]$")
_PARTS = re.compile(r"[\s\"'&=?#,;:!{}()<>|]+")
"""Between the words of a URI."""


class Privacy:
    """Asks the deny list and the ignore files of the workspace."""

    def __init__(self, roots: list[Path]) -> None:
        self.roots = [root.resolve() for root in roots]
        """Folders of the workspace; they come and go."""

    def may_complete(self, uri: str) -> bool:
        """Returns whether the model may work in a document: its name is no secret, and `.unmaskignore` allows it."""
        return not _is_secret(uri) and not self._is_ignored(uri, OWN_IGNORE_FILE)

    def may_show(self, uri: str) -> bool:
        """Returns whether pieces of a document may stand beside another one: `.gitignore` has a say too."""
        return self.may_complete(uri) and not self._is_ignored(uri, GIT_IGNORE_FILE)

    def root_of(self, uri: str) -> Path | None:
        """Returns the folder of the workspace that a document is in, links followed."""
        path = path_of(uri)
        return next((root for root in self.roots if path and path.is_relative_to(root)), None)

    def _is_ignored(self, uri: str, ignore_file: str) -> bool:
        return any(self._names(Path(name), ignore_file) for name in names_of(uri) if Path(name).is_absolute())

    def _names(self, path: Path, ignore_file: str) -> bool:
        """True when an ignore file above a path names it; outside of a workspace those up to the root count."""
        with contextlib.suppress(OSError, RuntimeError, ValueError):
            path = path.resolve()
        top = next((root for root in self.roots if path.is_relative_to(root)), None)
        if top is None and ignore_file != OWN_IGNORE_FILE:
            return False
        for folder in path.parents:
            if top is not None and not folder.is_relative_to(top):
                break
            verdict = _spec(folder / ignore_file).check_file(path.relative_to(folder).as_posix()).include
            # the nearest file that says anything decides, as git has it
            if verdict is not None:
                return verdict
        return False


def names_of(uri: str) -> list[str]:
    """Returns the paths that a URI speaks of, whatever its scheme, the one that it names itself first.

    A query or a fragment is no part of a name, but a path may stand in it: `git:/a.py?{"path":"/a.py","ref":"HEAD"}`.
    What is encoded twice is decoded twice. A link may hide the name of what it points to, and the other way round.
    """
    found: list[str] = []
    scheme, colon, rest = uri.partition(":")
    if not colon or not re.fullmatch(r"[A-Za-z][\w+.-]+", scheme):
        rest = uri
    for text in (rest, _decoded(rest)):
        bare = re.split(r"[?#]", text, maxsplit=1)[0]
        query = _decoded(text)[len(_decoded(bare)) :]
        for name in (bare, *_PATHS.findall(query), *_QUOTED.findall(query)):
            found += [_plain(name)]
            if _decoded(name) != name:
                found += [_plain(_decoded(name))]
    if path := path_of(uri):
        found.append(path.as_posix())
    first = _plain(_decoded(re.split(r"[?#]", rest, maxsplit=1)[0]))
    return list(dict.fromkeys([first, *filter(None, found)]))


def _decoded(text: str) -> str:
    """Text with what is percent-encoded in it decoded, once."""
    return re.sub(
        "(?:%[0-9A-Fa-f]{2})+",
        lambda found: bytes.fromhex(found.group().replace("%", "")).decode("utf-8", "replace"),
        text,
    )


def _all_decoded(text: str) -> str:
    return _decoded(_decoded(_decoded(text)))


def _plain(name: str) -> str:
    """A path without an authority, with slashes, and without the drive of another system."""
    name = name.replace("\\", "/").replace("::", "/")
    if name.startswith("//"):
        name = "/" + name[2:].partition("/")[2] if "/" in name[2:] else name[2:]
    return re.sub(r"^/*[A-Za-z]:(?=/)", "", name)


def path_of(uri: str) -> Path | None:
    """Returns the path that a `file:` URI names, links followed; None for any other URI."""
    try:
        path = to_fs_path(uri) if uri[:5].lower() == "file:" else None
        return Path(path).resolve() if path else None
    except (ValueError, RuntimeError):
        # no path can be so, or links go in circles
        return None


@lru_cache(maxsize=512)
def _is_secret(uri: str) -> bool:
    whole = _all_decoded(uri).replace("\\", "/")
    # whatever stands around a name: an authority, an archive, a command
    ends = [re.split(r"[?#\"&{}<>|]", whole[part.end() :], maxsplit=1)[0] for part in _PARTS.finditer(whole)]
    words = (word.lstrip("/") for word in (*_PARTS.split(whole), *ends))
    return any(_names_secret(one) for name in (*names_of(uri), *words) for one in {name, _SWAP.sub(r"\1", name)})


def _names_secret(name: str) -> bool:
    name = "".join(char for char in _all_decoded(name) if not unicodedata.category(char).startswith("C"))
    while (shorter := _COPY_BEFORE.sub("", _COPY.sub("", name))) and shorter != name:
        name = shorter
    # file systems that do not tell capitals apart have the same file under both
    return any(SECRET_FILES.match_file(one) for one in {name.strip("/"), name.strip("/").lower()} if one)


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
