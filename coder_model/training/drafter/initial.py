"""The drafter that a run begins with, fresh in the shape of the larger model or one that is there, and ends with."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file

from coder_model.errors import ModelFileError
from coder_model.model.config import ModelConfig
from coder_model.model.drafter import Drafter, DrafterConfig
from coder_model.model.drafter_files import CONFIG, IDS, WEIGHTS, StoredDrafter, read_drafter
from coder_model.model.transformer import Transformer
from coder_model.training.drafter.options import DrafterOptions
from coder_model.training.published.target import TOKENS

SHARED = ("d_model", "n_heads", "n_kv_heads", "head_dim", "rope_theta")
"""What a drafter has of the larger model's shape."""


def initial_drafter(options: DrafterOptions, target: ModelConfig) -> Drafter:
    """Returns a run's drafter on the CPU, in float32.

    Raises:
        ModelFileError: when the one to go on from is broken, or does not fit the target.
    """
    if options.init:
        drafter = load_drafter(Path(options.init))
        check_fits(drafter.config, target, options.holes.block_length)
        return drafter
    drafter = Drafter(
        DrafterConfig(
            **{name: getattr(target, name) for name in SHARED},
            norm_eps=target.norm_eps,
            taps=_even_taps(target.n_layers, options.taps),
            n_layers=options.n_layers,
            d_ff=options.d_ff,
            block_length=options.holes.block_length,
        )
    )
    drafter.initialise_(options.seed)
    return drafter


def _even_taps(n_layers: int, count: int) -> tuple[int, ...]:
    """Layers spread evenly, from near the bottom to the last but one; fewer where there are fewer."""
    first, last = max(1, n_layers // 12), n_layers - 1
    return tuple(sorted({round(first + (last - first) * index / max(1, count - 1)) for index in range(count)}))


def load_drafter(directory: Path) -> Drafter:
    """Returns a drafter that a run has written, or one as it is shipped, in float32.

    Raises:
        ModelFileError: when it is missing or broken.
    """
    drafter = Drafter(DrafterConfig.load(directory / CONFIG))
    try:
        tensors = load_file(directory / WEIGHTS)
        if IDS in tensors:
            return read_drafter(directory).drafter.requires_grad_(True)
        drafter.load_state_dict({name: tensor.float() for name, tensor in tensors.items()})
    except (OSError, SafetensorError, RuntimeError, ValueError) as error:
        raise ModelFileError(f"{directory} must hold a drafter: {error}") from error
    return drafter


def check_fits(drafter: DrafterConfig, target: ModelConfig, block_length: int) -> None:
    """Refuses a drafter that cannot be trained on a model.

    Raises:
        ModelFileError: when its shape is not the model's, or its block has another length.
    """
    if drafter.taps[-1] >= target.n_layers:
        raise ModelFileError(f"init must read layers below {target.n_layers}, found {drafter.taps[-1]}")
    if drafter.block_length != block_length:
        raise ModelFileError(f"init must have blocks of {block_length}, found {drafter.block_length}")
    for name in SHARED:
        if getattr(drafter, name) != getattr(target, name):
            found, expected = getattr(drafter, name), getattr(target, name)
            raise ModelFileError(f"init must have the {name} of the target, {expected}, found {found}")


def stored_beside(drafter: Drafter, target: Transformer, directory: Path) -> StoredDrafter:
    """Returns a drafter as it is written for use, with what it must know of its larger model.

    Args:
        drafter: trained on the target.
        target: what `load_cut` returned.
        directory: what it was read from.
    """
    ids = np.load(directory / TOKENS)[: len(target.lm_head.weight)].astype(np.int64)
    norm = target.norm.weight.detach().float().cpu()
    return StoredDrafter(drafter.float().cpu(), torch.from_numpy(ids), norm)
