"""Where the program begins: from here on Ctrl-C ends it with one line, also while the rest is still being imported.

So does a user without a home folder, as in a container that is run by a number: settings, state and models are in it.
"""

from __future__ import annotations

import sys
from pathlib import Path


def main() -> None:
    """Runs the command line."""
    try:
        from unmask_cli.cli import main as run

        run()
    except KeyboardInterrupt:
        print("unmask: interrupted", file=sys.stderr)
        sys.exit(130)
    except RuntimeError:
        if _has_home():
            raise
        print("unmask: this user has no home folder: HOME must name one", file=sys.stderr)
        sys.exit(1)


def _has_home() -> bool:
    try:
        Path.home()
    except RuntimeError:
        return False
    return True
