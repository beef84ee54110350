"""Finds a file that another program of this machine has already: Hugging Face's, llama.cpp's, LM Studio's, Ollama's.

Looks at sizes alone; who takes a file compares its hash. Nothing is changed there. The places are those of the
programs' own documentation, with the environment variables that move them.
"""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Iterator
from pathlib import Path

from platformdirs import user_cache_path

from coder_model.checkpoints.catalogue import WeightFile

OLLAMA_SERVICE = Path("/usr/share/ollama/.ollama/models")
"""Where its service on Linux keeps them."""


def candidates(file: WeightFile) -> Iterator[Path]:
    """Yields regular files of the right size, each once; those that carry the hash as their name come first."""
    seen: set[tuple[int, int]] = set()
    for path in [*_by_hash(file.sha256), *_by_name()]:
        try:
            facts = path.stat()
            real = path.resolve(strict=True)
        except OSError:
            continue
        if not stat.S_ISREG(facts.st_mode) or facts.st_size != file.bytes or (facts.st_dev, facts.st_ino) in seen:
            continue
        seen.add((facts.st_dev, facts.st_ino))
        yield real


def _by_hash(sha256: str) -> Iterator[Path]:
    """Where files lie under their hash: the hub's cache and Ollama's."""
    yield from _glob(_hugging_face(), f"models--*/blobs/{sha256}")
    for folder in _ollama():
        yield folder / "blobs" / f"sha256-{sha256}"


def _by_name() -> Iterator[Path]:
    """Where they lie under a name, which need not be ours."""
    yield from _glob(_hugging_face(), "models--*/snapshots/*/*.gguf")
    for folder in (_llama_cpp(), *_lm_studio()):
        yield from _glob(folder, "**/*.gguf")


def _glob(folder: Path, pattern: str) -> Iterator[Path]:
    try:
        yield from sorted(folder.glob(pattern))
    except OSError:  # a folder that may not be read holds nothing for us
        return


def _hugging_face() -> Path:
    for name in ("HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE"):
        if value := os.environ.get(name):
            return Path(value).expanduser()
    if home := os.environ.get("HF_HOME"):
        return Path(home).expanduser() / "hub"
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(cache) / "huggingface" / "hub"


def _llama_cpp() -> Path:
    if value := os.environ.get("LLAMA_CACHE"):
        return Path(value).expanduser()
    return user_cache_path("llama.cpp", appauthor=False, opinion=False)


def _lm_studio() -> list[Path]:
    """Its folder of today, the one before, and where it was moved to, which a file in the home says."""
    home = Path.home()
    homes = [home / ".lmstudio", home / ".cache" / "lm-studio"]
    with contextlib.suppress(OSError, ValueError):
        homes.insert(0, Path((home / ".lmstudio-home-pointer").read_text("utf-8").strip()))
    return [folder / "models" for folder in homes]


def _ollama() -> list[Path]:
    if value := os.environ.get("OLLAMA_MODELS"):
        return [Path(value).expanduser()]
    return [Path.home() / ".ollama" / "models", OLLAMA_SERVICE]
