"""A model that is one small file in three parts: its catalogue, where other programs keep it, and checks of a pull."""

import hashlib
import os
import random

SCALE = int(os.environ.get("UNMASK_SCALE", "1"))
NAME, REPOSITORY, FILE = "tiny-coder", "org/tiny-GGUF", "tiny-q4.gguf"
PART_BYTES = 500_000
DATA = random.Random(3).randbytes(2 * PART_BYTES + 123_456)
SHA256 = hashlib.sha256(DATA).hexdigest()
NOWHERE = "http://127.0.0.1:9"
CATALOGUE = """
[[model]]
name = "tiny-coder"
source = "org/tiny-GGUF"
revision = "0123456789abcdef0123456789abcdef01234567"
family = "qwen2.5-coder"
parameters = 0.5
licence = "Apache-2.0"
infills = true
card = "a CPU"
scores = "none"
source_of_scores = ""

[model.file]
name = "tiny-q4.gguf"
bytes = {n_bytes}
sha256 = "{sha256}"

[model.file.parts]
package = "tiny-part{{number}}"
version = "1.0"
member = "tiny_part{{number}}/data/part{{number:02}}.bin"
bytes = {part_bytes}
"""


def write_catalogue(folder, data=DATA, part_bytes=PART_BYTES):
    path = folder / "catalogue.toml"
    sha256 = hashlib.sha256(data).hexdigest()
    path.write_text(CATALOGUE.format(n_bytes=len(data), sha256=sha256, part_bytes=part_bytes))
    return path


def models(user):
    return user.home / "data/unmask/models"


def check_installed(user):
    assert user.installed == [NAME]
    assert [path.name for path in (models(user) / NAME).iterdir()] == [FILE]
    assert (models(user) / NAME / FILE).read_bytes() == DATA
    assert not (models(user) / f"{NAME}.pull").exists()
    assert user.run("models", "verify", NAME).returncode == 0


def check_failure(user, found, match, code=1):
    assert found.returncode == code, found.stdout + found.stderr
    (line,) = found.stderr.strip().splitlines()
    assert line.startswith("unmask models pull: ")
    assert match in line
    assert user.installed == []
    assert not (models(user) / NAME).exists()


CACHES = {
    "hugging face": ({}, f".cache/huggingface/hub/models--a--b/blobs/{SHA256}"),
    "HF_HOME": ({"HF_HOME": "moved"}, f"moved/hub/models--a--b/blobs/{SHA256}"),
    "HF_HUB_CACHE": ({"HF_HUB_CACHE": "moved"}, f"moved/models--a--b/blobs/{SHA256}"),
    "hugging face, without links": ({}, f".cache/huggingface/hub/models--a--b/snapshots/1/{FILE}"),
    "llama.cpp": ({"XDG_CACHE_HOME": ".cache"}, f".cache/llama.cpp/org_tiny_{FILE}"),
    "LLAMA_CACHE": ({"LLAMA_CACHE": "moved"}, f"moved/{FILE}"),
    "LM Studio": ({}, f".lmstudio/models/org/tiny-GGUF/{FILE}"),
    "LM Studio, earlier": ({}, f".cache/lm-studio/models/org/tiny-GGUF/{FILE}"),
    "Ollama": ({}, f".ollama/models/blobs/sha256-{SHA256}"),
    "OLLAMA_MODELS": ({"OLLAMA_MODELS": "moved"}, f"moved/blobs/sha256-{SHA256}"),
}
