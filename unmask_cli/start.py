"""Where the program begins: from here on Ctrl-C ends it with one line, also while the rest is still being imported."""

from __future__ import annotations

import sys


def main() -> None:
    """Runs the command line."""
    try:
        from unmask_cli.cli import main as run

        run()
    except KeyboardInterrupt:
        print("unmask: interrupted", file=sys.stderr)
        sys.exit(130)
