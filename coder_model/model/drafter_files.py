"""Drafters on disk: a configuration, and int8 weights with the tokens that the drafter may say.

A drafter belongs to one larger model. It is known by the weights of that model's last norm, which a file of any
precision has in full: they lie beside the drafter's own.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from coder_model.errors import ModelFileError
from coder_model.model.companions import SCALE, TARGET_NORM, first_that_fits, packed, unpacked
from coder_model.model.drafter import Drafter, DrafterConfig
from coder_model.model.transformer import Transformer

CONFIG, WEIGHTS = "drafter.json", "drafter.safetensors"
IDS = "ids"
SAME_NORM = 0.02
"""Relative difference up to which two last norms are the same, rounded to other formats."""


@dataclass(frozen=True, slots=True)
class StoredDrafter:
    """A drafter and what it belongs to."""

    drafter: Drafter
    """In float32."""
    ids: Tensor
    """[N] int64, the larger model's tokens that it may say."""
    target_norm: Tensor
    """[D] float32."""

    def belongs_to(self, model: Transformer) -> bool:
        """Returns whether a model is the one whose states it was trained on."""
        norm = model.norm.weight.float().cpu()
        if norm.shape != self.target_norm.shape or model.config.n_layers <= self.drafter.config.taps[-1]:
            return False
        return float((norm - self.target_norm).norm() / self.target_norm.norm()) < SAME_NORM


def write_drafter(directory: Path, stored: StoredDrafter) -> None:
    """Writes a drafter, its matrices in int8 with a scale per row."""
    directory.mkdir(parents=True, exist_ok=True)
    tensors = {IDS: stored.ids.to(torch.int32), TARGET_NORM: stored.target_norm.float()}
    for name, tensor in stored.drafter.state_dict().items():
        tensors |= packed({name: tensor}) if tensor.dim() == 2 and name != "masks" else {name: tensor.half()}
    stored.drafter.config.save(directory / CONFIG)
    save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, directory / WEIGHTS)


def read_drafter(directory: Path) -> StoredDrafter:
    """Reads a drafter.

    Raises:
        ModelFileError: when a file is missing or broken.
    """
    drafter = Drafter(DrafterConfig.load(directory / CONFIG))
    try:
        tensors = load_file(directory / WEIGHTS)
        ids, target_norm = tensors.pop(IDS).long(), tensors.pop(TARGET_NORM)
        names = [name for name in tensors if not name.endswith(SCALE)]
        drafter.load_state_dict({name: unpacked(tensors, name) for name in names})
    except (OSError, SafetensorError, RuntimeError, KeyError) as error:
        raise ModelFileError(f"{directory} must hold a drafter: {error}") from error
    return StoredDrafter(drafter.requires_grad_(False), ids, target_norm)


def drafter_for(model: Transformer, *folders: Path) -> StoredDrafter | None:
    """Returns the drafter that was trained on a model; None where there is none.

    Args:
        model: the larger model.
        folders: see `first_that_fits`.
    """

    def read(directory: Path) -> StoredDrafter | None:
        if DrafterConfig.load(directory / CONFIG).d_model != model.config.d_model:
            return None
        stored = read_drafter(directory)
        return stored if stored.belongs_to(model) else None

    return first_that_fits("drafters", CONFIG, folders, read) if model.config.attention == "causal" else None
