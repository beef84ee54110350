"""Local counts of what was shown and what became of it: numbers only, in files of the user, sent nowhere."""

from __future__ import annotations

import contextlib
import math
import secrets
from collections import Counter
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
from platformdirs import user_state_path

from coder_model.whole_file import written_whole
from lsp_server.lateness import TOO_LATE

KEPT_AFTER_S = 30.0
"""An accepted suggestion that still stands in the document after so long was worth accepting."""
KEEP_DAYS = 90
STEPS_PER_DOUBLING = 4
"""Buckets of the latency histogram for each doubling: one is 19 % wider than the one before."""

LATE_SHARE = 0.5
"""Of the model's answers; where so many were late, the report says what helps."""
FILTER = "filter:"
"""Before the name of a count of `KEPT_BACK`."""
KEPT_BACK = {
    "said_again": "shown a moment ago, and not taken",
    "special_tokens": "marks of a prompt, fences, control characters",
    "repetition": "went in circles",
    "line_above": "said a line above once more",
    "unreachable": "said what nothing gets to",
    "already_there": "stood behind the cursor already",
    "closing_line": "closing brackets that the next line has already",
    "indentation": "indented otherwise than the place wants",
    "punctuation": "punctuation or words at the cursor twice",
    "whitespace": "blanks at an end",
    "harm": "would have left more faults in the document",
}
"""Why a text was kept back or shortened, for people; all but `said_again` are names of filters (`filtersOff`)."""


class Record(msgspec.Struct):
    """What one server saw; records add up."""

    counts: dict[str, int] = {}
    """`requests`, `shown`, `fills` (by the model), `late` (cut by the deadline), `remembered`, `unlikely`, `accepted`,
    `partly_accepted`, `kept`, `desynchronised`, `filter:NAME` (see `KEPT_BACK`), and of clients that say so `seen`; of
    next edits `edits_offered`, `edits_seen` and `edits_accepted`."""
    milliseconds: dict[int, int] = {}
    """Requests by bucket: bucket b holds those below 2 ** (b / STEPS_PER_DOUBLING) ms."""

    def percentile(self, percent: float) -> float:
        """Returns the upper edge of the bucket that holds a percentile of the latencies, in ms; nan without any."""
        wanted = sum(self.milliseconds.values()) * percent / 100
        for bucket in sorted(self.milliseconds):
            wanted -= self.milliseconds[bucket]
            if wanted <= 0:
                return float(2 ** (bucket / STEPS_PER_DOUBLING))
        return math.nan


class UsageStats:
    """Counts for one server, and writes them down."""

    def __init__(self, folder: Path | None = None) -> None:
        self.counts: Counter[str] = Counter()
        self._milliseconds: Counter[int] = Counter()
        self._folder = folder or default_folder()
        # not by the number of the process: in containers that share a home folder it is the same one each time
        self._file = self._folder / f"{datetime.now(UTC):%Y-%m-%d}-{secrets.token_hex(8)}.json"

    def took(self, milliseconds: float) -> None:
        """Takes note of the time from request to reply."""
        self._milliseconds[max(0, math.ceil(STEPS_PER_DOUBLING * math.log2(max(milliseconds, 1e-3))))] += 1

    def save(self) -> None:
        """Writes the counts, if there are any; a disk that is full or read-only costs the counts and nothing else."""
        if not self.counts and not self._milliseconds:
            return
        record = Record(dict(self.counts), dict(self._milliseconds))
        with contextlib.suppress(OSError):
            self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            with written_whole(self._file) as part:
                part.write_bytes(msgspec.json.encode(record))
            self._forget_old()

    def _forget_old(self) -> None:
        oldest = f"{datetime.now(UTC) - timedelta(days=KEEP_DAYS):%Y-%m-%d}"
        for file in self._folder.glob("*.json"):
            if file.name < oldest:
                file.unlink(missing_ok=True)


def default_folder() -> Path:
    """Returns where the user's records are."""
    return user_state_path("unmask") / "statistics"


def read_records(folder: Path) -> Iterable[Record]:
    """Yields the records of a folder; a file that is none is passed over."""
    return (record for _, record in _dated(folder))


def read_days(folder: Path) -> dict[str, Record]:
    """Returns the sum of each day's records, by the day on which a server was started (UTC), oldest first."""
    days: dict[str, list[Record]] = {}
    for day, record in _dated(folder):
        days.setdefault(day, []).append(record)
    return {day: total(records) for day, records in days.items()}


def _dated(folder: Path) -> Iterable[tuple[str, Record]]:
    for file in sorted(folder.glob("*.json")):
        with contextlib.suppress(OSError, msgspec.MsgspecError):
            yield file.name[: len("2026-01-01")], msgspec.json.decode(file.read_bytes(), type=Record)


def total(records: Iterable[Record]) -> Record:
    """Returns the sum of records."""
    counts: Counter[str] = Counter()
    milliseconds: Counter[int] = Counter()
    for record in records:
        counts.update(record.counts)
        milliseconds.update(record.milliseconds)
    return Record(dict(counts), dict(milliseconds))


def report(record: Record) -> list[str]:
    """Returns the lines that `unmask stats` prints."""
    counts = Counter(record.counts)
    if not counts["requests"]:
        return ["nothing was asked yet"]

    def line(name: str, count: int, of: str) -> str:
        share = f"{100 * count / counts[of]:5.1f} % of {of}" if counts[of] else ""
        return f"{name:<18}{count:>8}  {share}".rstrip()

    lines = [f"{'requests':<18}{counts['requests']:>8}"]
    lines += [line(name, counts[name], "requests") for name in ("shown", "fills", "remembered", "unlikely")]
    lines.append(line("late", counts["late"], "fills"))
    lines += [line(name.replace("_", " "), counts[name], "shown") for name in ("accepted", "partly_accepted")]
    if counts["edits_offered"]:
        lines.append(f"{'next edits':<18}{counts['edits_offered']:>8}")
        lines.append(line("edits accepted", counts["edits_accepted"], "edits_offered"))
    lines.append(line(f"kept after {KEPT_AFTER_S:.0f} s", counts["kept"], "accepted"))
    lines.append("request to reply  " + ", ".join(f"p{q} {record.percentile(q):.0f} ms" for q in (50, 95, 99)))
    if counts["desynchronised"]:
        lines.append(f"{'texts that differed from the editor at save':<44}{counts['desynchronised']:>8}")
    if counts["late"] >= LATE_SHARE * max(1, counts["fills"]):
        lines.append(TOO_LATE)
    return lines + _kept_back(counts)


def _kept_back(counts: Counter[str]) -> list[str]:
    names = sorted(name.removeprefix(FILTER) for name in counts if name.startswith(FILTER) and counts[name])
    lines = [f"{name:<18}{counts[FILTER + name]:>8}  {KEPT_BACK.get(name, '')}".rstrip() for name in names]
    return ["", "kept back, or shortened", *lines] if lines else []
