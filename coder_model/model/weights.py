"""Weights on disk: safetensors with exactly the names, shapes and dtypes that the configuration implies.

A model directory holds `config.json`, `tokenizer.json`, and `model.safetensors` or its parts. No pickle, no code: a
checkpoint can only be numbers. Weights are stored in bfloat16, or as int8 with a scale per row (symmetric, absolute
maximum), and computed with in float32. What the weights answer to a known text is stored beside them and checked on
loading, so that a damaged file is found before it speaks.
"""

from __future__ import annotations

import math
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from coder_kernels.quantise import quantise
from coder_model.errors import ModelFileError
from coder_model.model.checksum import ON_ANOTHER_MACHINE, checksum, same_checksum
from coder_model.model.companions import SCALE
from coder_model.model.config import ModelConfig
from coder_model.model.transformer import Transformer
from coder_model.prompt.tokenizer import TOKENIZER, CodeTokenizer

WEIGHTS, CONFIG = "model*.safetensors", "config.json"
STORED_DTYPE = torch.bfloat16
KNOWN_ANSWER = "known_answer"
PART_BYTES = 16 << 20
"""Small enough for whatever carries them."""


def load(directory: Path) -> tuple[Transformer, CodeTokenizer]:
    """Returns the model in float32, ready for inference, and its tokenizer.

    Raises:
        ModelFileError: when a file is missing, broken, or of another model; names the file and what was expected.
    """
    config = ModelConfig.load(directory / CONFIG)
    tokenizer = load_tokenizer(directory, config)
    stored, expected = _read(directory, _schema(config))
    model = _model_of(stored, config, directory)
    if expected is not None and not same_checksum(found := checksum(model), expected, ON_ANOTHER_MACHINE):
        raise ModelFileError(
            f"{directory}: the weights must answer {expected:.4f} to the known text, found {found:.4f}"
        )
    return model, tokenizer


def load_tokenizer(directory: Path, config: ModelConfig) -> CodeTokenizer:
    """Returns the tokenizer of a directory.

    Raises:
        ModelFileError: when it is missing, broken, or not the one of `config`.
    """
    tokenizer = CodeTokenizer.load(directory / TOKENIZER, config.vocab_size)
    if tokenizer.vocab_size != config.vocab_size:
        raise ModelFileError(
            f"{directory / TOKENIZER} must have {config.vocab_size} tokens as the model, found {tokenizer.vocab_size}"
        )
    return tokenizer


def save(model: Transformer, tokenizer: CodeTokenizer, directory: Path, int8: bool = False) -> None:
    """Writes a model directory, created when missing, its weights in parts of at most `PART_BYTES`.

    Args:
        model: the weights.
        tokenizer: what they were trained with.
        directory: where; the weights of a model that was there before go.
        int8: store matrices as int8 with one float32 scale per row, symmetric: a quarter of float32, half of bfloat16.
    """
    directory.mkdir(parents=True, exist_ok=True)
    tensors: dict[str, Tensor] = {}
    for name, tensor in model.state_dict().items():
        if int8 and tensor.dim() == 2:
            tensors[name], scale, _ = quantise(tensor, "int8")
            tensors[name + SCALE] = scale.squeeze(1)
        else:
            tensors[name] = tensor.to(STORED_DTYPE)
    tensors = {name: tensor.cpu().contiguous() for name, tensor in tensors.items()}
    answer = checksum(_model_of(tensors, model.config, directory))
    parts = _parts(tensors)
    for old in directory.glob(WEIGHTS):
        old.unlink()
    for number, part in enumerate(parts, 1):
        file = "model.safetensors" if len(parts) == 1 else f"model-{number:02d}-of-{len(parts):02d}.safetensors"
        save_file(part, directory / file, {KNOWN_ANSWER: f"{answer:.6f}"})
    model.config.save(directory / CONFIG)
    tokenizer.save(directory / TOKENIZER)


def _parts(tensors: dict[str, Tensor]) -> list[dict[str, Tensor]]:
    """The tensors in groups of at most `PART_BYTES`; one that is larger stands alone."""
    parts: list[dict[str, Tensor]] = [{}]
    room = PART_BYTES
    for name, tensor in tensors.items():
        if tensor.nbytes > room and parts[-1]:
            parts.append({})
            room = PART_BYTES
        parts[-1][name] = tensor
        room -= tensor.nbytes
    return parts


def parameters(config: ModelConfig) -> int:
    """Returns how many numbers a model of this shape has."""
    return sum(math.prod(shape) for shape in _schema(config).values())


def _schema(config: ModelConfig) -> dict[str, tuple[int, ...]]:
    """The shape of every tensor of a model."""
    with torch.device("meta"):
        return {name: tuple(tensor.shape) for name, tensor in Transformer(config).state_dict().items()}


def _model_of(stored: dict[str, Tensor], config: ModelConfig, directory: Path) -> Transformer:
    """The model that has stored tensors as its weights, in float32 and ready for inference."""
    with torch.device("meta"):
        model = Transformer(config)
    tensors = {name: _as_float(directory, name, shape, stored) for name, shape in _schema(config).items()}
    model.load_state_dict(tensors, assign=True)
    return model.eval().requires_grad_(False)


def _read(directory: Path, schema: dict[str, tuple[int, ...]]) -> tuple[dict[str, Tensor], float | None]:
    """The tensors of a model that has the schema's names and shapes, and its checksum where one is stored."""
    files = sorted(directory.glob(WEIGHTS))
    if not files:
        raise ModelFileError(f"{directory} must hold the model's weights, found no {WEIGHTS}")
    stored: dict[str, Tensor] = {}
    answer = None
    for path in files:
        try:
            with safe_open(path, "pt") as file:
                answer = (file.metadata() or {}).get(KNOWN_ANSWER, answer)
                for name in file.keys():  # noqa: SIM118  no mapping
                    shape = tuple(file.get_slice(name).get_shape())
                    _check_shape(path, name, shape, schema)
                    stored[name] = file.get_tensor(name)
        except (SafetensorError, OSError) as error:
            raise ModelFileError(f"{path} must be a whole safetensors file: {error}") from error
    try:
        return stored, None if answer is None else float(answer)
    except ValueError as error:
        raise ModelFileError(f"{directory}: the known answer must be a number, found {answer!r}") from error


def _check_shape(path: Path, name: str, shape: tuple[int, ...], schema: dict[str, tuple[int, ...]]) -> None:
    expected = schema.get(name)
    if name.endswith(SCALE) and name.removesuffix(SCALE) in schema:
        expected = schema[name.removesuffix(SCALE)][:1]
    if shape != expected:
        raise ModelFileError(
            f"{path}: tensor {name} must have shape {expected or 'none (unknown name)'}, found {shape}"
        )


def _as_float(directory: Path, name: str, shape: tuple[int, ...], stored: dict[str, Tensor]) -> Tensor:
    tensor, scale = stored.get(name), stored.get(name + SCALE)
    if tensor is None:
        raise ModelFileError(f"{directory}: tensor {name} must have shape {shape}, found nothing")
    if tensor.dtype == STORED_DTYPE and scale is None:
        return tensor.float()
    if tensor.dtype == torch.int8 and scale is not None and scale.dtype == torch.float32:
        return tensor.float() * scale[:, None]
    kind = f"{tensor.dtype}{' with' if scale is not None else ' without'} a scale"
    raise ModelFileError(f"{directory}: tensor {name} must be {STORED_DTYPE}, or torch.int8 with a scale, found {kind}")
