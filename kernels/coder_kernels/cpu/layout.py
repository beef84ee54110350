"""What the machine code agrees on with its callers: how weights in groups lie, and what jobs are called with."""

from __future__ import annotations

GROUP = 32
"""Columns that share a scale, of weights and activations alike."""
STEPS = GROUP // 4
BITS = (4, 5, 8)
"""In which weights are packed: 0 to 15 with an offset for each group, -16 to 15, -128 to 127."""
SIDE = 16
"""Rows of a register of matrices (AMX)."""
TALL_ROWS = 2 * SIDE
"""Rows that are multiplied at a time there, with two tiles."""
MANY_ROWS = 64
"""From so many rows on a product goes there: no draft is so long."""
WIDE_BYTES = GROUP * SIDE * 2
"""Of a group of a tile's weights in bfloat16."""

STEP = 4
"""Numbers of a step of a chain: address of the job, that of its arguments, items, and items that a thread takes."""
PLACES = "keys values token_bytes head_bytes"
"""Of a cache: where it begins, and bytes from one token of it to the next, and from one head to the next."""
ROUNDED = "values scales offsets"
"""What a job rounds to: int8 [rows, K], float32 and int32 [rows, K / 32]."""
ARGUMENTS = {
    "product": "rows groups height weight scale offset x x_scale x_offset out",
    "widen": "x scales out",
    "tall": "rows groups height weight scale offset x room out",
    "round": f"x {ROUNDED}",
    "gate": f"x groups {ROUNDED}",
    "soften": "scores forbidden width",
    "norm": f"groups x residual weight total epsilon {ROUNDED}",
    "turn": f"heads groups width x bias query_norm key_norm epsilon cosine sine queries {PLACES}",
    "attention": f"groups start count block queries {PLACES} scores room out",
}
"""What each kind of job takes, eight bytes each, in this order; what they are stands where the job is written."""


def group_bytes(bits: int, lanes: int) -> int:
    """Returns the bytes of a tile's group: the low four bits of two steps share a byte, fifth ones follow them."""
    return lanes * STEPS * bits // 2
