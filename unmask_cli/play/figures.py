"""What the second tab of the page draws: the user's own counts, day by day and together. Numbers only."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from lsp_server.usage_stats import FILTER, KEPT_BACK, STEPS_PER_DOUBLING, Record, default_folder, read_days, total

QUANTILES = (50, 95, 99)


def of_folder(folder: Path | None = None) -> dict[str, Any]:
    """Returns the figures of a folder of records, the user's own when none is named; all zero where there are none."""
    days = read_days(folder or default_folder())
    return {
        "total": _of(total(days.values())),
        "days": [{"day": day, **_of(record)} for day, record in days.items()],
    }


def _of(record: Record) -> dict[str, Any]:
    """Counts, what was kept back and why, and latencies: [upper edge in ms, requests] by bucket."""
    has_times = bool(record.milliseconds)
    return {
        "counts": {name: count for name, count in record.counts.items() if not name.startswith(FILTER)},
        "filters": {
            KEPT_BACK.get(name.removeprefix(FILTER), name.removeprefix(FILTER)): count
            for name, count in record.counts.items()
            if name.startswith(FILTER)
        },
        "ms": {f"p{q}": record.percentile(q) for q in QUANTILES} if has_times else {},
        "histogram": [(2 ** (bucket / STEPS_PER_DOUBLING), n) for bucket, n in sorted(record.milliseconds.items())],
    }
