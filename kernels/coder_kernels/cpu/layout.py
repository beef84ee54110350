"""In what pieces weights in groups lie, and rows are taken: what packing and the machine code agree on."""

from __future__ import annotations

GROUP = 32
"""Columns that share a scale, of weights and activations alike."""
STEPS = GROUP // 4
SIDE = 16
"""Rows of a register of matrices (AMX)."""
TALL_ROWS = 2 * SIDE
"""Rows that are multiplied at a time there, with two tiles."""
MANY_ROWS = 64
"""From so many rows on a product goes there: no draft is so long."""
WIDE_BYTES = GROUP * SIDE * 2
"""Of a group of a tile's weights in bfloat16."""


def group_bytes(bits: int, lanes: int) -> int:
    """Returns the bytes of a tile's group: of 5 bits the low four of two steps share a byte, the fifth ones follow."""
    return 4 * lanes * STEPS if bits == 8 else (2 * lanes + lanes // 2) * STEPS
