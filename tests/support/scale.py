"""How much more a long run does than `make test`, and which piece of it this is, so that no piece repeats another."""

import os
import random

SCALE = float(os.environ.get("UNMASK_SCALE", "1"))
PIECE = int(os.environ.get("UNMASK_PIECE", "0"))


def seeded(seed):
    """Random numbers of a seed, and of the piece."""
    return random.Random(f"{seed} of piece {PIECE}")
