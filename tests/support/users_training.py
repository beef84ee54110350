"""A user's code and models, and what `unmask train` says of them."""

from pathlib import Path

import checkpoints
import gguf_files
import torch
from commands import exit_code


def write_code(folder: Path) -> Path:
    folder.mkdir(parents=True)
    for i in range(12):
        text = "".join(checkpoints.TEXT.replace("total", f"total_{i}_{j}") for j in range(9))
        (folder / f"m{i}.py").write_text(text)
    return folder


def gguf(folder: Path) -> Path:
    gguf_files.build("qwen2", folder / "tiny.gguf", "Q8_0")
    return folder / "tiny.gguf"


def safetensors(folder: Path) -> Path:
    checkpoints.build(checkpoints.BY_NAME["qwen2.5-coder"], folder / "tiny", dtype=torch.bfloat16)
    return folder / "tiny"


def refused(kind: str, folder: Path, code: Path, capsys, *more: str, target: str = "") -> str:
    """What the training of a drafter or an adapter says where it refuses to begin."""
    named = ["--target", target or str(safetensors(folder)), "--corpus", str(code), "--output", str(folder / "out")]
    assert exit_code(["train", kind, *named, *more]) == 2
    error = capsys.readouterr().err.splitlines()[-1]
    assert error.startswith("unmask train")
    return error
