"""What we train for a larger model, a drafter or an adapter: where it lies, and how its files keep matrices."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Literal, TypeVar

import torch
from torch import Tensor

from coder_kernels.quantise import Quantised, dequantise, quantise
from coder_model.errors import ModelFileError

LOGGER = logging.getLogger(__name__)
Kind = Literal["drafters", "adapters"]
"""What the folders are called."""
TARGET_NORM = "target_norm"
"""[D] float32 in every companion's file: the larger model's last norm, which a file of any precision has in full."""
SCALE = ".scale"
"""End of the name of an int8 matrix's scales."""
_Stored = TypeVar("_Stored")


def packed(matrices: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Returns matrices [N, K] in int8, each with the scales of its rows beside it, [N, 1] float32."""
    tensors: dict[str, Tensor] = {}
    for name, matrix in matrices.items():
        tensors[name], tensors[name + SCALE], _ = quantise(matrix, "int8")
    return tensors


def unpacked(tensors: Mapping[str, Tensor], name: str) -> Tensor:
    """Returns a tensor in float32, that of int8 by its scales.

    Raises:
        KeyError: when it or its scales are not there.
    """
    tensor = tensors[name]
    if tensor.dtype != torch.int8:
        return tensor.float()
    return dequantise(Quantised(tensor, tensors[name + SCALE], torch.empty(0)), torch.float32)


def package_folder(kind: Kind) -> Path:
    """Returns where those lie that come with the package, one folder each."""
    return Path(__file__).parents[1] / "pretrained" / kind


def users_folder(kind: Kind) -> Path:
    """Returns where a user's own lie, one folder each."""
    # not where one is only trained: a lent machine has few libraries
    from platformdirs import user_data_path

    return user_data_path("unmask", appauthor=False) / kind


def first_that_fits(
    kind: Kind, config: str, folders: Sequence[Path], read: Callable[[Path], _Stored | None]
) -> _Stored | None:
    """Returns the first companion that belongs to a model; None where there is none.

    Args:
        kind: of companion.
        config: name of the file that each folder of one has.
        folders: where they lie, the first ones preferred; the user's own and those of the package when empty. One that
            is broken is left out, with a warning: the model works without.
        read: from the folder of one to what is in it, or None where that belongs to another model.
    """
    for folder in folders or (users_folder(kind), package_folder(kind)):
        for path in sorted(folder.glob(f"*/{config}")):
            try:
                found = read(path.parent)
            except ModelFileError as error:
                LOGGER.warning("one of the %s is left out: %s", kind, error)
                continue
            if found is not None:
                return found
    return None
