"""What the commands of the terminal share."""

from __future__ import annotations

import sys
from typing import NoReturn

from coder_model.errors import Unreachable

NOT_NOW, BAD_INPUT = 1, 2
"""Exit codes: what may go well another time, and what will not."""


def fail(command: str, error: Exception) -> NoReturn:
    """Ends the program with one line on stderr that says which command failed and why."""
    print(f"unmask {command}: {error}", file=sys.stderr)
    sys.exit(NOT_NOW if isinstance(error, Unreachable) else BAD_INPUT)
