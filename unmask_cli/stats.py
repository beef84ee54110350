"""`unmask stats`: what was shown and what became of it, as lines, as bars, or as JSON."""

from __future__ import annotations

import math
import sys
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from coder_model.types import InvalidInput
from unmask_cli.terminal import fail, to_json

if TYPE_CHECKING:
    from rich.text import Text

    from lsp_server.usage_stats import Record

DAYS = 30
"""The last of those on which there was something; so many lines are seen at once."""
PERCENTILES = (50, 95, 99)
_BLOCKS, _PLAIN_BLOCKS = "█▓░", "#=-"
_COLOURS = ("green", "cyan", "grey50")
_WIDEST, _NARROWEST = 60, 10
"""Characters of the longest bar."""


def stats(
    plot: Annotated[bool, typer.Option("--plot", help="draw the latencies and the last days as bars")] = False,
    json: Annotated[bool, typer.Option("--json", help="print one JSON object")] = False,
) -> None:
    """Print what was shown, accepted and kept in the last 90 days; the figures never leave this machine."""
    from lsp_server.usage_stats import default_folder, read_days, report, total

    if plot and json:
        fail("stats", InvalidInput("--plot or --json may be given, not both"))
    days = read_days(default_folder())
    record = total(days.values())
    if json:
        print(to_json(as_object(record, days)))
        return
    print("\n".join(report(record)))
    if plot:
        from rich.console import Console

        console = Console(highlight=False)
        for line in plotted(record, days, console.width, _blocks(sys.stdout.encoding)):
            console.print(line, soft_wrap=True)


def as_object(record: Record, days: dict[str, Record]) -> dict[str, Any]:
    """Returns all figures under names that stay.

    Args:
        record: of all days together.
        days: each day's, by its date.
    """
    known = {f"p{percent}": record.percentile(percent) for percent in PERCENTILES}
    return {
        "counts": record.counts,
        "milliseconds": {name: None if math.isnan(ms) else round(ms, 1) for name, ms in known.items()},
        "latencies": [
            {"below_ms": _edge(of), "requests": record.milliseconds[of]} for of in sorted(record.milliseconds)
        ],
        "days": {day: of_day.counts for day, of_day in days.items()},
    }


def plotted(record: Record, days: dict[str, Record], width: int, blocks: str) -> list[Text]:
    """Returns the lines of two plots: requests by their latency, and what became of them day by day.

    Args:
        record: of all days together.
        days: each day's, by its date.
        width: of the terminal, in characters.
        blocks: what bars are drawn with: of what was accepted, of what was shown, and of all requests.
    """
    from rich.text import Text

    lines: list[Text] = []
    doublings = _by_doubling(record)
    longest = min(_WIDEST, max(_NARROWEST, width - 28))
    if doublings:
        lines += [Text("\nrequest to reply", "bold")]
        most = max(doublings.values())
        for doubling in range(min(doublings), max(doublings) + 1):
            count = doublings[doubling]
            head = f"below {2**doubling:>7,} ms {count:>8}  "
            lines.append(Text(head).append_text(_bar([count], most, longest, blocks[:1])))
    shown = [(day, Counter(of_day.counts)) for day, of_day in days.items() if of_day.counts.get("requests")][-DAYS:]
    if shown:
        names = ", ".join(f"{block} {what}" for block, what in zip(blocks, ("accepted", "shown", "asked"), strict=True))
        lines.append(Text(f"\nday by day: {names}", "bold"))
        most = max(counts["requests"] for _, counts in shown)
        for day, counts in shown:
            amounts = [counts["accepted"], counts["shown"], counts["requests"]]
            lines.append(Text(f"{day} {counts['requests']:>8}  ").append_text(_bar(amounts, most, longest, blocks)))
    return lines


def _bar(amounts: Sequence[int], most: int, longest: int, blocks: str) -> Text:
    """One bar of parts that hold each other, the smallest first; what is there at all is seen."""
    from rich.text import Text

    bar = Text()
    for amount, block, colour in zip(amounts, blocks, _COLOURS, strict=False):
        bar.append(block * (math.ceil(longest * amount / most) - len(bar)), colour)
    return bar


def _by_doubling(record: Record) -> Counter[int]:
    """Requests by the power of two of milliseconds that they are below, the finer buckets together."""
    from lsp_server.usage_stats import STEPS_PER_DOUBLING

    found: Counter[int] = Counter()
    for bucket, count in record.milliseconds.items():
        found[math.ceil(bucket / STEPS_PER_DOUBLING)] += count
    return found


def _edge(bucket: int) -> float:
    from lsp_server.usage_stats import STEPS_PER_DOUBLING

    return round(float(2 ** (bucket / STEPS_PER_DOUBLING)), 1)


def _blocks(encoding: str | None) -> str:
    """What bars are drawn with where this encoding is written."""
    try:
        _BLOCKS.encode(encoding or "ascii")
    except (UnicodeEncodeError, LookupError):
        return _PLAIN_BLOCKS
    return _BLOCKS
