"""From sources to the files worth learning from: cleaned per source in parallel, then freed of duplicates.

The cleaned files of each source are kept in a work directory, so that an interrupted preparation goes on where it was
and a longer list costs only what is new. A source without a permissive licence is dropped whole.
"""

from __future__ import annotations

import gzip
import hashlib
import json
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from coder_model.training import cleaning, pool
from coder_model.training.decontamination import KeptOut
from coder_model.training.sources import PERMISSIVE, Source
from coder_model.whole_file import written_whole

NEAR_DUPLICATE = 0.6
"""A file is dropped when this share of its line pairs has been seen in files kept before it."""
SHORTEST_LINE, PAIR_BYTES = 9, 6
"""Characters of a line that counts, and bytes of a pair's hash: tens of millions are held."""
RULES = 2
"""Version of the cleaning rules: cleaned sources of another version are cleaned again."""


@dataclass(frozen=True, slots=True)
class SourceFile:
    """One kept file."""

    source: str
    path: str
    """Relative to the source."""
    text: str
    """Line ends are `\\n`."""


@dataclass
class Report:
    """What was kept and dropped; becomes `sources.json` beside the shards."""

    licences: dict[str, str] = field(default_factory=dict)
    commits: dict[str, str] = field(default_factory=dict)
    kept_bytes: Counter[str] = field(default_factory=Counter)
    kept_files: Counter[str] = field(default_factory=Counter)
    kept_types: Counter[str] = field(default_factory=Counter)
    """Bytes by extension."""
    dropped: Counter[str] = field(default_factory=Counter)
    """Files by reason, and sources under `licence`."""


def read_corpus(
    sources: list[Source],
    kept_out: KeptOut,
    work: Path,
    report: Report,
    processes: int = 1,
    advance: Callable[[], None] = lambda: None,
) -> Iterator[SourceFile]:
    """Yields the files worth learning from, in order of source and path.

    Args:
        sources: see `sources.in_folders` and `sources.listed`.
        kept_out: what no corpus may hold.
        work: directory of the cleaned sources; created when missing.
        report: filled in.
        processes: sources cleaned at a time.
        advance: called after each source.

    Raises:
        CorpusError: when a source cannot be read.
    """
    work.mkdir(parents=True, exist_ok=True)
    seen_files: set[bytes] = set()
    seen_pairs: set[bytes] = set()
    jobs = [(source, work) for source in sorted(sources, key=lambda source: source.name)]
    with pool.processes(processes, _keep_out, (kept_out,)) as workers:
        for cleaned in workers.imap(_clean, jobs):
            head, *rows = gzip.decompress(cleaned.read_bytes()).decode("utf-8").split("\n")
            facts = json.loads(head)
            name = facts["name"]
            report.licences[name], report.commits[name] = facts["licence"], facts["commit"]
            report.dropped.update(facts["dropped"])
            for row in rows:
                path, text = json.loads(row)
                if reason := _duplicate(text, seen_files, seen_pairs):
                    report.dropped[reason] += 1
                    continue
                size = len(text.encode("utf-8", "replace"))
                report.kept_bytes[name] += size
                report.kept_files[name] += 1
                report.kept_types[path.rsplit(".", 1)[-1].lower()] += size
                yield SourceFile(name, path, text)
            advance()


_kept_out = KeptOut()


def _keep_out(kept_out: KeptOut) -> None:
    global _kept_out
    _kept_out = kept_out


def _clean(job: tuple[Source, Path]) -> Path:
    """Writes the cleaned files of a source, unless that has been done; returns where."""
    source, work = job
    rules = (RULES, source.commit, source.licence, len(_kept_out.line_pairs), len(_kept_out.grams))
    output = (
        work
        / f"{source.name.replace('/', '+')}.{hashlib.blake2b(repr(rules).encode(), digest_size=6).hexdigest()}.jsonl.gz"
    )
    # without a commit nobody knows whether the files are still the same
    if source.commit and output.exists():
        return output
    licence = source.found_licence()
    dropped: Counter[str] = Counter()
    rows: list[str] = []
    if licence in PERMISSIVE:
        for path, data in source.files(cleaning.wanted):
            text, reason = cleaning.usable(path, data)
            reason = reason or _kept_out.reason(text)
            if reason:
                dropped[reason] += 1
            else:
                rows.append(json.dumps([path, text]))
    else:
        dropped["licence"] += 1
    head = json.dumps({"name": source.name, "licence": licence, "commit": source.commit, "dropped": dropped})
    with written_whole(output) as part:
        part.write_bytes(gzip.compress("\n".join([head, *rows]).encode("utf-8", "replace"), 4))
    return output


def _duplicate(text: str, seen_files: set[bytes], seen_pairs: set[bytes]) -> str:
    """Why the text is a duplicate, or an empty string; then its lines count as seen."""
    lines = cleaning.squeezed_lines(text, SHORTEST_LINE)
    whole = hashlib.blake2b("\n".join(lines).encode("utf-8", "replace"), digest_size=16).digest()
    if whole in seen_files:
        return "duplicate"
    pairs = set(cleaning.pair_hashes(lines, PAIR_BYTES))
    if len(pairs & seen_pairs) > NEAR_DUPLICATE * len(pairs):
        return "near duplicate"
    seen_files.add(whole)
    seen_pairs |= pairs
    return ""
