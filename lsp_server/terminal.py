"""What the commands of the terminal share."""

from __future__ import annotations

import sys
from typing import NoReturn

BAD_INPUT = 2


def fail(command: str, error: Exception) -> NoReturn:
    """Ends the program with one line on stderr that says which command failed and why."""
    print(f"unmask {command}: {error}", file=sys.stderr)
    sys.exit(BAD_INPUT)
