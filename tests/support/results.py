"""What a long run of the tests has measured, for `benchmarks/results`."""

import json
import os
from pathlib import Path


def record(name, **figures):
    """Writes figures under a name into the file that $UNMASK_RESULTS names; without one it does nothing."""
    path = os.environ.get("UNMASK_RESULTS")
    if path:
        file = Path(path)
        found = json.loads(file.read_text("utf-8")) if file.exists() else {}
        file.write_text(json.dumps({**found, name: figures}, indent=1) + "\n", "utf-8")
