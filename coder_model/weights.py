"""Weights on disk: safetensors with exactly the names, shapes and dtypes that the configuration implies.

A model directory holds `config.json`, `tokenizer.json` and `model.safetensors`. No pickle, no code: a checkpoint can
only be numbers. Weights are stored in bfloat16 and computed with in float32.
"""

from __future__ import annotations

from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from coder_model.config import ModelConfig
from coder_model.errors import ModelFileError
from coder_model.model import Transformer
from coder_model.tokenizer import CodeTokenizer

WEIGHTS, CONFIG, TOKENIZER = "model.safetensors", "config.json", "tokenizer.json"
STORED_DTYPE = torch.bfloat16


def load(directory: Path) -> tuple[Transformer, CodeTokenizer]:
    """Returns the model in float32, ready for inference, and its tokenizer.

    Raises:
        ModelFileError: when a file is missing, broken, or of another model; names the file and what was expected.
    """
    config = ModelConfig.load(directory / CONFIG)
    tokenizer = load_tokenizer(directory, config)
    with torch.device("meta"):
        model = Transformer(config)
    tensors = _read(directory / WEIGHTS, {name: tuple(p.shape) for name, p in model.state_dict().items()})
    model.load_state_dict(tensors, assign=True)
    return model.eval().requires_grad_(False), tokenizer


def load_tokenizer(directory: Path, config: ModelConfig) -> CodeTokenizer:
    """Returns the tokenizer of a directory.

    Raises:
        ModelFileError: when it is missing, broken, or not the one of `config`.
    """
    tokenizer = CodeTokenizer.load(directory / TOKENIZER)
    if tokenizer.vocab_size != config.vocab_size:
        raise ModelFileError(
            f"{directory / TOKENIZER} must have {config.vocab_size} tokens as the model, found {tokenizer.vocab_size}"
        )
    return tokenizer


def save(model: Transformer, tokenizer: CodeTokenizer, directory: Path) -> None:
    """Writes a model directory; created when missing."""
    directory.mkdir(parents=True, exist_ok=True)
    tensors = {name: tensor.to(STORED_DTYPE).contiguous() for name, tensor in model.state_dict().items()}
    save_file(tensors, directory / WEIGHTS)
    model.config.save(directory / CONFIG)
    tokenizer.save(directory / TOKENIZER)


def _read(path: Path, schema: dict[str, tuple[int, ...]]) -> dict[str, Tensor]:
    """The tensors of a file that has exactly the schema's names and shapes, as float32."""
    if not path.is_file():
        raise ModelFileError(f"{path} must be the model's weights, found no file")
    try:
        with safe_open(path, "pt") as file:
            found = {name: tuple(file.get_slice(name).get_shape()) for name in file.keys()}  # noqa: SIM118  no mapping
            for name in sorted(schema.keys() | found.keys()):
                if schema.get(name) != found.get(name):
                    raise ModelFileError(
                        f"{path}: tensor {name} must have shape {schema.get(name, 'none (unknown name)')}, "
                        f"found {found.get(name, 'nothing')}"
                    )
            return {name: _stored(path, name, file.get_tensor(name)) for name in schema}
    except (SafetensorError, OSError) as error:
        raise ModelFileError(f"{path} must be a whole safetensors file: {error}") from error


def _stored(path: Path, name: str, tensor: Tensor) -> Tensor:
    if tensor.dtype != STORED_DTYPE:
        raise ModelFileError(f"{path}: tensor {name} must be {STORED_DTYPE}, found {tensor.dtype}")
    return tensor.float()
