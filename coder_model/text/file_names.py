"""Names of files: which paths a URI speaks of, and which names are those of secrets. Reads nothing."""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache
from pathlib import Path

from pathspec import GitIgnoreSpec

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
_PATHS = re.compile(r"[^\s\"'&=?#,;{}()<>|]*[^\s\"'&=?#,;:{}()<>|]")
_QUOTED = re.compile(r"\"([^\"]+)\"")
"""What may be a path in a query or a fragment."""
_COPY = re.compile(
    r"(?:~|\.(?:git|bak|old|orig|save|sw[a-p]|tmp|copy|rej|base|local|remote|\d+)|[;,@:]\w*|\s\([^()]*\)"
    r"|\s-?\s?copy|(?<![\s.])[\s.]+|/)$",
    re.IGNORECASE,
)
"""Endings that tools give to the name of a file when they keep a copy of it; some systems drop blanks and dots. A
run of dots is begun with once: read again from each of its places, a long one takes minutes."""
_COPY_BEFORE = re.compile(r"(?:(?<=/)|^)(?:\._|\.#|#|~\$|\.(?=\.))(?=[^/]+$)")
"""What they put before it."""
_RUNS = re.compile(r"([/\s])\1+")
"""Of one character that says no more than one of it; and looking for an ending of a name takes long in such a run."""
_SWAP = re.compile(r"(?:(?<=/)|^)\.([^/]+)\.sw[a-p]$")
_PARTS = re.compile(r"[\s\"'&=?#,;:!{}()<>|]+")
"""Between the words of a URI."""
MOST_WORDS, MOST_CHARS, MOST_ENDINGS = 64, 1 << 13, 16
"""Of a URI, of all names in it together, of copies of copies: in more than any file has all is hidden, and looking for
it takes seconds."""


@lru_cache(maxsize=512)
def is_secret(uri: str) -> bool:
    """Returns whether a URI, or a path, has the name of a secret in it, whatever stands around it."""
    if len(uri) > MOST_CHARS:
        return True
    whole = _all_decoded(uri).replace("\\", "/")
    # whatever stands around a name: an authority, an archive, a command
    parts = list(_PARTS.finditer(whole))
    if len(parts) > MOST_WORDS:
        return True
    ends = [re.split(r"[?#\"&{}<>|]", whole[part.end() :], maxsplit=1)[0] for part in parts]
    words = [word.lstrip("/") for word in (*_PARTS.split(whole), *ends)]
    names = {one for name in (*names_of(uri), *words) for one in (name, _SWAP.sub(r"\1", name))}
    return sum(map(len, names)) > MOST_CHARS or any(map(_names_secret, names))


def names_of(uri: str) -> list[str]:
    """Returns the paths that a URI speaks of, whatever its scheme, the one that it names itself first.

    A query or a fragment is no part of a name, but a path may stand in it: `git:/a.py?{"path":"/a.py","ref":"HEAD"}`.
    What is encoded twice is decoded twice. A link may hide the name of what it points to, and the other way round.
    """
    found: list[str] = []
    rest = _without_scheme(uri)
    for text in (rest, _decoded(rest)):
        bare = re.split(r"[?#]", text, maxsplit=1)[0]
        query = _decoded(text)[len(_decoded(bare)) :]
        for name in (bare, *_PATHS.findall(query), *_QUOTED.findall(query)):
            found += [_plain(name)]
            if _decoded(name) != name:
                found += [_plain(_decoded(name))]
    if path := path_of(uri):
        found.append(path.as_posix())
    return list(dict.fromkeys([name_of(uri), *filter(None, found)]))


def name_of(uri: str) -> str:
    """Returns the path that a URI names itself, decoded, without query and fragment."""
    return _plain(_decoded(re.split(r"[?#]", _without_scheme(uri), maxsplit=1)[0]))


def path_of(uri: str) -> Path | None:
    """Returns the path that a `file:` URI names, links followed; None for any other URI."""
    if uri[:5].lower() != "file:":
        return None
    path = _decoded(re.split(r"[?#]", uri[5:], maxsplit=1)[0])
    if path.startswith("//"):
        host, slash, below = path[2:].partition("/")
        path = slash + below if not host or not slash else path
    try:
        return Path(path).resolve() if path else None
    except (ValueError, RuntimeError):
        # no path can be so, or links go in circles
        return None


def _without_scheme(uri: str) -> str:
    scheme, colon, rest = uri.partition(":")
    return rest if colon and re.fullmatch(r"[A-Za-z][\w+.-]+", scheme) else uri


def _names_secret(name: str) -> bool:
    name = "".join(char for char in _all_decoded(name) if not unicodedata.category(char).startswith("C"))
    name = _RUNS.sub(r"\1", name)
    for _ in range(MOST_ENDINGS):
        shorter = _COPY_BEFORE.sub("", _COPY.sub("", name))
        if shorter in ("", name):
            break
        name = shorter
    else:
        return True
    # file systems that do not tell capitals apart have the same file under both; no pattern has any
    return bool(SECRET_FILES.match_file(name.strip("/").lower()))


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
