"""Adapters on disk: changes of low rank to linear layers of one larger model (LoRA, arXiv:2106.09685).

The change of a layer is `up @ down`, added to its weights while these are loaded (`checkpoints/loading.py`), so that
the model afterwards is one like any other. An adapter belongs to one larger model, known by its last norm.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import NamedTuple

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from coder_model.errors import ModelFileError
from coder_model.model.companions import SCALE, TARGET_NORM, first_that_fits, packed, unpacked
from coder_model.model.transformer import Transformer
from coder_model.whole_file import written_whole

CONFIG, WEIGHTS = "adapter.json", "adapter.safetensors"
DOWN, UP = ".down", ".up"
SAME_VALUE = 2.0**-8
"""Relative difference up to which two values of a norm are the same: what rounding to bfloat16 makes at most."""


class LowRank(NamedTuple):
    """What is added to a matrix [N, K], as two factors in float32."""

    up: Tensor
    """[N, R]."""
    down: Tensor
    """[R, K]."""

    def add_(self, weight: Tensor, rows: slice) -> Tensor:
        """Adds to some rows of the matrix, [n, K] float32, what is theirs; returns them."""
        return weight.addmm_(self.up[rows], self.down)


@dataclass(frozen=True)
class AdapterConfig:
    """Sizes of an adapter.

    Raises:
        ValueError: when one is no positive integer.
    """

    d_model: int
    """Width of the larger model."""
    rank: int
    """R of every layer."""

    def __post_init__(self) -> None:
        for name, value in asdict(self).items():
            if type(value) is not int or value < 1:
                raise ValueError(f"{name} must be a positive integer, got {value!r}")

    @classmethod
    def load(cls, path: Path) -> AdapterConfig:
        """Reads a JSON file.

        Raises:
            ModelFileError: when it is missing, no JSON, or has other fields.
        """
        try:
            return cls(**json.loads(path.read_text("utf-8")))
        except (OSError, TypeError, ValueError) as error:
            raise ModelFileError(f"{path} must be an adapter's configuration: {error}") from error

    def save(self, path: Path) -> None:
        """Writes a JSON file."""
        path.write_text(json.dumps(asdict(self), indent=1) + "\n", "utf-8")


@dataclass(frozen=True, slots=True)
class StoredAdapter:
    """An adapter and what it belongs to."""

    tensors: Mapping[str, Tensor]
    """Of each layer that is changed, by its name in the transformer and `.down` [R, K] or `.up` [N, R]: in a floating
    dtype, or int8 with the scales of rows as the file has them, so that no second copy is made."""
    target_norm: Tensor
    """[D] float32."""

    @property
    def config(self) -> AdapterConfig:
        """The sizes of its tensors."""
        rank = next(len(tensor) for name, tensor in self.tensors.items() if name.endswith(DOWN))
        return AdapterConfig(len(self.target_norm), rank)

    @property
    def modules(self) -> list[str]:
        """Names of the layers that are changed."""
        return sorted(name.removesuffix(DOWN) for name in self.tensors if name.endswith(DOWN))

    def change(self, module: str) -> LowRank | None:
        """Returns what is added to the weights of a layer; None where they stay."""
        if module + DOWN not in self.tensors:
            return None
        return LowRank(unpacked(self.tensors, module + UP), unpacked(self.tensors, module + DOWN))

    def delta(self, module: str) -> Tensor | None:
        """Returns the same as one matrix, [N, K] float32."""
        change = self.change(module)
        return None if change is None else change.up @ change.down

    def belongs_to(self, model: Transformer, norm: Tensor) -> bool:
        """Returns whether a model is the one that it was trained on: one that only drafts may be wrong, this may not.

        Args:
            model: of whatever precision; its values are not looked at.
            norm: [D] float, the weights of its last norm.

        Raises:
            ModelFileError: when it is, but has other layers.
        """
        norm = norm.float().cpu()
        if norm.shape != self.target_norm.shape:
            return False
        largest = torch.maximum(norm.abs(), self.target_norm.abs())
        if not bool(((norm - self.target_norm).abs() <= SAME_VALUE * largest).all()):
            return False
        layers = {name: layer for name, layer in model.named_modules() if isinstance(layer, nn.Linear)}
        for module in self.modules:
            if module not in layers:
                raise ModelFileError(f"an adapter must change linear layers of its model, found {module!r}")
            found = len(self.tensors[module + UP]), self.tensors[module + DOWN].shape[1]
            if found != tuple(layers[module].weight.shape):
                expected = tuple(layers[module].weight.shape)
                raise ModelFileError(f"an adapter's {module!r} must have shape {expected}, found {found}")
        return True


def write_adapter(directory: Path, stored: StoredAdapter) -> None:
    """Writes an adapter, its factors in int8 with a scale per row.

    Of `up` a row has as few numbers as the rank is, so that what a layer says much louder than others does not make
    those coarse.

    Args:
        directory: made when missing.
        stored: its factors in a floating dtype.
    """
    write_unpacked(directory, StoredAdapter(packed(stored.tensors), stored.target_norm))


def write_unpacked(directory: Path, stored: StoredAdapter) -> None:
    """Writes an adapter in the dtypes that its factors have, replacing what is there in one move.

    Args:
        directory: made when missing.
        stored: its factors.
    """
    directory.mkdir(parents=True, exist_ok=True)
    stored.config.save(directory / CONFIG)
    tensors = {**stored.tensors, TARGET_NORM: stored.target_norm.float()}
    with written_whole(directory / WEIGHTS) as part:
        save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, part)


def read_adapter(directory: Path) -> StoredAdapter:
    """Reads an adapter.

    Raises:
        ModelFileError: when a file is missing or broken, or holds other tensors than an adapter has.
    """
    config = AdapterConfig.load(directory / CONFIG)
    try:
        tensors = load_file(directory / WEIGHTS)
        stored = StoredAdapter(tensors, tensors.pop(TARGET_NORM))
        _check(stored, config)
    except (OSError, SafetensorError, KeyError, ValueError) as error:
        raise ModelFileError(f"{directory} must hold an adapter: {error}") from error
    return stored


def _check(stored: StoredAdapter, config: AdapterConfig) -> None:
    """Raises a ValueError or KeyError where tensors are not pairs of factors of the same rank, or no numbers."""
    if stored.target_norm.shape != (config.d_model,):
        raise ValueError(f"{TARGET_NORM} must have shape {(config.d_model,)}, found {tuple(stored.target_norm.shape)}")
    for name, tensor in {**stored.tensors, TARGET_NORM: stored.target_norm}.items():
        if not bool(tensor.isfinite().all()):
            raise ValueError(f"{name} must hold numbers, found NaN or infinity")
    factors = {module + end for module in stored.modules for end in (DOWN, UP)}
    if not factors or factors != {name for name in stored.tensors if not name.endswith(SCALE)}:
        raise ValueError(f"every layer must have {DOWN} and {UP}, and at least one must be there")
    for name in factors:
        tensor = stored.tensors[name]
        rank = tensor.shape[0 if name.endswith(DOWN) else -1]
        if tensor.dim() != 2 or rank != config.rank:
            raise ValueError(f"{name} must be a matrix of rank {config.rank}, found shape {tuple(tensor.shape)}")
        if tensor.dtype == torch.int8 and stored.tensors[name + SCALE].shape != (len(tensor), 1):
            raise ValueError(f"{name + SCALE} must have shape {(len(tensor), 1)}")


def adapter_for(model: Transformer, norm: Tensor, *folders: Path) -> StoredAdapter | None:
    """Returns the adapter that was trained on a model; None where there is none.

    Args:
        model: the larger model, with or without values.
        norm: [D] float, the weights of its last norm.
        folders: see `first_that_fits`.
    """

    def read(directory: Path) -> StoredAdapter | None:
        if AdapterConfig.load(directory / CONFIG).d_model != model.config.d_model:
            return None
        stored = read_adapter(directory)
        try:
            return stored if stored.belongs_to(model, norm) else None
        except ModelFileError as error:
            raise ModelFileError(f"{directory}: {error}") from error

    return first_that_fits("adapters", CONFIG, folders, read) if model.config.attention == "causal" else None
