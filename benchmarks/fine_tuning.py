"""Fine-tuning on repositories the model never saw: what `unmask train --corpus` gains on files it did not train on.

.venv/bin/python benchmarks/fine_tuning.py REPOSITORY... [--minutes 10] [--out benchmarks/results/fine-tuning.json]
"""

from __future__ import annotations

import argparse
import json
import tempfile
from dataclasses import asdict
from pathlib import Path

from coder_model.worker.threads import limit_threads


def main() -> None:
    """Trains on each repository and writes the gains."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("repositories", nargs="+", type=Path)
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/fine-tuning.json"))
    arguments = parser.parse_args()
    limit_threads()
    from coder_model.engine.engine import DEFAULT_MODEL
    from coder_model.evaluation.run import facts
    from coder_model.training.adapt import adapt

    rows = []
    for repository in arguments.repositories:
        with tempfile.TemporaryDirectory() as folder:
            gain = adapt(DEFAULT_MODEL, repository, Path(folder) / "model", arguments.minutes)
        points = gain.exact_after - gain.exact_before
        name = repository.name.replace("+", "/")
        rows.append({"repository": name, "minutes": arguments.minutes, "gain": points, **asdict(gain)})
        print(f"{name}: {gain}")
    arguments.out.write_text(json.dumps({**facts(), "rows": rows}, indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    main()
