"""In which precisions the weights of a published model may be kept. Imports nothing slow."""

from __future__ import annotations

from typing import Literal, get_args

from coder_model.errors import ModelFileError

Precision = Literal["float32", "bfloat16", "int8", "int4", "fp8", "grouped"]
WEIGHT_PRECISIONS: tuple[Precision, ...] = get_args(Precision)
AUTO = "auto"
"""The best one that fits."""


def check_precision(wanted: str, called: str = "quantize") -> None:
    """Refuses what is none of `WEIGHT_PRECISIONS`, nor `auto`.

    Args:
        wanted: what somebody has written.
        called: what he has written it for, an option say.

    Raises:
        ModelFileError: says what there is.
    """
    if wanted not in (AUTO, *WEIGHT_PRECISIONS):
        raise ModelFileError(f"{called} must be one of {AUTO}, {', '.join(WEIGHT_PRECISIONS)}, got {wanted!r}")
