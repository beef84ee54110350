"""The operations on scores: what is chosen, how likely, and which slots of a block are revealed; see `ops.py`."""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor

from coder_kernels import dispatch, reference
from coder_kernels.checks import check_pair, checked
from coder_kernels.cpu import grouped
from coder_kernels.policies import Schedule
from coder_kernels.row_limits import FEW_ROWS, first_rows
from coder_kernels.tensor_types import ActivationDtype, Activations, Blocks, Selection, Weight, height_of, rows_of


def head_select(hidden: Activations, weight: Weight, forbidden: Tensor | None = None) -> Selection:
    """Returns the likeliest token of each row, its confidence and entropy, without its scores ever being in memory.

    Args:
        hidden: [M, D] float, or in eight bits.
        weight: [V, D], as in `linear`.
        forbidden: [V] bool, tokens that are not to be chosen and have no probability; never all of them.

    Returns:
        Token, confidence and entropy; of equal scores the first token. A row whose scores are no numbers has a
        confidence of NaN. Reads the weight once per `FEW_ROWS` rows.

    Raises:
        ValueError: when a shape, dtype, device or stride does not fit; names the tensor.
    """
    check_pair(hidden, weight)
    rows, vocabulary = rows_of(hidden), height_of(weight)
    if forbidden is not None:
        checked(forbidden, "forbidden", (vocabulary,), (torch.bool,), rows.device)
    gpu = dispatch.gpu_kernels(rows)
    run = (gpu or reference).head_select
    if not gpu or len(rows) <= FEW_ROWS:
        return cast(Selection, run(hidden, weight, forbidden))
    # more rows read the weight more than once, but their scores would fill the memory
    parts = [run(first_rows(hidden, start), weight, forbidden) for start in range(0, len(rows), FEW_ROWS)]
    return Selection(*(torch.cat(part) for part in zip(*parts, strict=True)))


def probabilities_(scores: Tensor, forbidden: Tensor, activation_dtype: ActivationDtype | None = None) -> Tensor:
    """Returns the softmax of each row of scores that are there already; they may be changed.

    Args:
        scores: [M, V] float32, contiguous.
        forbidden: [V] bool, tokens that have no probability; never all of them.
        activation_dtype: of the products before; with `grouped` the machine code is there, and does this too.

    Returns:
        [M, V] float32. A row whose scores are no numbers is NaN.

    Raises:
        ValueError: when a shape, dtype, device or stride does not fit; names the tensor.
    """
    width = checked(scores, "scores", (None, None), (torch.float32,)).shape[1]
    checked(forbidden, "forbidden", (width,), (torch.bool,), scores.device)
    if activation_dtype == "grouped" and grouped.softens(scores):
        grouped.soften_(scores, forbidden)
        return scores
    return scores.masked_fill_(forbidden, float("-inf")).softmax(dim=1)


def select(logits: Tensor) -> Selection:
    """Returns token, confidence and entropy of each row of scores that are there already.

    Args:
        logits: [M, V] float with V > 0; forbidden tokens hold -inf, never a whole row.

    Raises:
        ValueError: when `logits` is not [M, V] with V > 0.
    """
    if logits.dim() != 2 or logits.shape[1] < 1:
        raise ValueError(f"logits must be [M, V] with V > 0, got shape {tuple(logits.shape)}")
    return reference.select(logits)


def unmask_(blocks: Blocks, found: Selection, shifted: bool, schedule: Schedule, ends: Tensor) -> None:
    """Notes the selections of a pass for the masked slots of active blocks, and reveals those that the policy picks.

    Args:
        blocks: B blocks of T slots, changed in place.
        found: of B T rows. With `shifted` row t speaks of slot t + 1, and the first slot must not be masked.
        shifted: see `found`.
        schedule: which slots, and in how many steps at most.
        ends: [E, V] bool, tokens that end a block, by its kind: nothing behind the first revealed one is waited for.

    Raises:
        ValueError: when a shape, dtype, device or stride does not fit; names the tensor.
    """
    shape = checked(blocks.tokens, "blocks.tokens", (None, None), (torch.int64,)).shape
    for name, part in zip(found._fields, found, strict=True):
        checked(part, f"found.{name}", (shape[0] * shape[1],), (torch.int64, torch.float32), blocks.tokens.device)
    (dispatch.gpu_kernels(blocks.tokens) or reference).unmask_(blocks, found, shifted, schedule, ends)
