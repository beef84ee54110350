"""What less work costs: the levels of a shared server under load, each on the same infill cases.

    python benchmarks/serve_levels.py DATA [--model embedded] [--limit 120] [--left-ms 800]

Each case is a document of its own and a request that an editor makes by itself, with a block where the case is one.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from records import RESULTS, Figures, show, write

from coder_model.engine.options import EngineOptions
from coder_model.evaluation.cases import Case, read_cases
from coder_model.evaluation.run import by_engine, run, summary
from coder_model.types import Draft, FillRequest
from coder_model.worker.threads import limit_threads
from shared_server.levels import LEVELS, Level, Priority, lowered

if TYPE_CHECKING:
    from coder_model.engine.engine import Engine

KEPT = ("n", "exact", "first_line", "similarity", "empty", "steps", "p50_ms", "p95_ms")


@dataclass(frozen=True)
class AtLevel:
    """An engine that is asked as a gateway asks it at a level."""

    engine: Engine
    level: Level
    left_ms: float

    def fill(self, request: FillRequest) -> Iterator[Draft]:
        """Yields drafts, the last one final."""
        asked = lowered(request, self.level, Priority.TYPING, self.left_ms, self.engine.controls)
        return self.engine.fill(asked)


def main() -> None:
    """Measures and writes the record."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--model", default="")
    parser.add_argument("--limit", type=int, default=120)
    parser.add_argument("--left-ms", type=float, default=800.0, help="until the deadline, when the engine is asked")
    parser.add_argument("--out", type=Path, default=RESULTS / "serve-levels.json")
    arguments = parser.parse_args()
    # before torch is imported
    limit_threads()
    from coder_model.checkpoints.open import open_single

    cases = read_cases(arguments.data, arguments.limit)
    engine = open_single(arguments.model, EngineOptions(reuse=False))
    engine.warm_up()
    levels = {str(i): _measured(AtLevel(engine, level, arguments.left_ms), cases) for i, level in enumerate(LEVELS)}
    show(levels)
    write(arguments.out, {"model": engine.name, "left_ms": arguments.left_ms, "levels": levels})


def _measured(asked: AtLevel, cases: list[Case]) -> Figures:
    found = summary(run(cases, by_engine(asked)))
    return {name: round(found[name], 1) for name in KEPT}


if __name__ == "__main__":
    main()
