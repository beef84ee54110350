"""Next edits on named cases and on recordings: what is offered right, wrong, or not at all.

    python benchmarks/next_edit.py --model embedded FILE.gguf [--recordings FOLDER] [--history N...] [--names a b]
        [--out FILE]

The edits of a case are done one after the other, as by hand, and then the next one is asked for, the document new to
the model. Thresholds were chosen by every second case of a kind, the others are the ones to read. The recordings are
those of `test/simulation/fixtures/inlineEdits` of microsoft/vscode-copilot-chat: an offer is right where people have
scored it as the next edit, or where it is a part of one, or of the edit that the person then made. With `--history`,
a number for each model, edits of this repository's past are asked about too (`next_edit_history.py`).
"""

from __future__ import annotations

import argparse
import asyncio
import re
import time
import tomllib
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from statistics import quantiles
from typing import Any

from next_edit_history import past_edits
from next_edit_recordings import position, recordings
from records import BENCHMARKS, show, write

from coder_model.checkpoints.open import open_engine
from coder_model.engine.engine import Engine
from coder_model.engine.speculative_engine import SpeculativeEngine
from coder_model.text.syntax import language_of
from coder_model.text.token_edits import changed
from coder_model.types import Draft, FillRequest, InvalidInput
from lsp_server.documents import Document, Documents
from lsp_server.next_edit import NextEdit, edited_text, next_edit

LANGUAGES = {"html": "html", "css": "css", "yaml": "yaml", "sql": "sql", "sh": "shellscript"}
"""Of extensions that the command line does not know; an editor says what they are."""
RECORDINGS = BENCHMARKS.parents[1] / "shared/eval/data/next_edit_vscode/test/simulation/fixtures/inlineEdits"
_DONE = re.compile(r"\{\{(.*?)\|\|(.*?)\}\}(?!\})", re.DOTALL)
_WANTED = re.compile(r"@@(.*?)\|\|(.*?)@@", re.DOTALL)


@dataclass(frozen=True)
class NextEditCase:
    """A text, the edits that were done in it, and those that may come next."""

    name: str
    file: str
    kind: str
    before: str
    edits: list[tuple[int, int, str]]
    """In order, each in the code points of the text that the ones before it have left."""
    wanted: re.Pattern[str]
    """The text after some of the edits that may come next; a group for each that was done."""
    whole: str
    """The text with all edits that may come next."""
    tuned: bool
    """Whether thresholds were chosen by it."""


def read_next_edit_cases(path: Path) -> list[NextEditCase]:
    """Returns the cases of a file."""
    found, counts = [], Counter[str]()
    for case in tomllib.loads(path.read_text("utf-8"))["case"]:
        counts[case["kind"]] += 1
        found.append(_read(case, tuned=counts[case["kind"]] % 2 == 1))
    return found


def _read(case: dict[str, str], *, tuned: bool) -> NextEditCase:
    text = _WANTED.sub(lambda place: place[1], case["text"])
    edits = []
    for edit in _DONE.finditer(text):
        # those before it are done by then
        start = len(_done(text[: edit.start()]))
        edits.append((start, start + len(edit[1]), edit[2]))
    now, pattern, at = _done(case["text"]), "", 0
    for place in _WANTED.finditer(now):
        new = "|".join(map(re.escape, place[2].split("||")))
        pattern += f"{re.escape(now[at : place.start()])}(?:{re.escape(place[1])}|({new}))"
        at = place.end()
    wanted = re.compile(pattern + re.escape(now[at:]))
    whole = _WANTED.sub(lambda place: place[2].partition("||")[0], now)
    before = _DONE.sub(lambda place: place[1], text)
    return NextEditCase(case["name"], case["file"], case["kind"], before, edits, wanted, whole, tuned)


def _done(text: str) -> str:
    return _DONE.sub(lambda place: place[2], text)


def outcome(case: NextEditCase, new: str | None) -> str:
    """Returns what a text with the offered edit is; None for no offer."""
    if new is None:
        return "silent"
    found = case.wanted.fullmatch(new)
    return "right" if found and any(group is not None for group in found.groups()) else "wrong"


def opened(case: NextEditCase) -> tuple[Documents, Document, int]:
    """Returns a document in which the edits of a case were done, and the row of the last one."""
    documents = Documents()
    language = language_of(case.file) or LANGUAGES[case.file.rpartition(".")[2]]
    documents.open(case.file, language, 1, case.before)
    document = documents.get(case.file)
    assert document
    row = 0
    for start, end, text in case.edits:
        places = [position(document, at) for at in (start, end)]
        document.replace(places[0], places[1], text)
        row = places[0].line
    return documents, document, row


def run(
    engine: Engine | SpeculativeEngine, documents: Documents, document: Document, row: int, name: str
) -> tuple[str | None, dict[str, Any]]:
    """Asks for the next edit; returns the text with it, and what it took."""
    asked = 0
    common = FillRequest(name, "", "", path=document.uri, language=document.language)

    async def ask(request: FillRequest) -> Draft | None:
        nonlocal asked
        asked += 1
        try:
            *_, last = engine.fill(request)
        except InvalidInput:
            # too long for a small context
            return None
        return last

    began = time.perf_counter()
    edited = edited_text(document, documents.edits, row, lambda _: True)
    assert edited
    found = asyncio.run(next_edit(edited, common, ask, judges=engine.judges))
    facts: dict[str, Any] = {"ms": round(1000 * (time.perf_counter() - began), 1), "asked": asked}
    if found is None:
        return None, facts
    return changed(edited.text, [found.change]), facts | _facts(edited.text, found)


def _facts(text: str, found: NextEdit) -> dict[str, Any]:
    old = text[found.change.start : found.change.end]
    row = text.count("\n", 0, found.change.start) + 1
    return {"by": found.kind, "nats": round(found.gain, 1), "edit": [row, old, found.change.text]}


def figures(done: list[dict[str, Any]]) -> dict[str, Any]:
    """Returns the counts of some cases that had something to offer, and of those that had not."""
    to_offer, quiet = (Counter(one["outcome"] for one in done if (one["kind"] == "silent") == q) for q in (False, True))
    times = [one["ms"] for one in done]
    cuts = quantiles(times, n=20, method="inclusive") if len(times) > 1 else [*times * 19]
    return {
        "cases": to_offer.total(),
        **{name: to_offer[name] for name in ("right", "wrong", "silent")},
        "quiet_cases": quiet.total(),
        "stayed_quiet": quiet["silent"],
        "ms_p50": round(cuts[9], 1) if cuts else None,
        "ms_p95": round(cuts[18], 1) if cuts else None,
    }


def by_case(engine: Engine | SpeculativeEngine, cases: list[NextEditCase]) -> dict[str, Any]:
    """Runs all cases; returns what became of each, and the counts of both halves and of each kind."""
    found: dict[str, dict[str, Any]] = {}
    for case in cases:
        new, facts = run(engine, *opened(case), case.name)
        found[case.name] = {"kind": case.kind, "outcome": outcome(case, new), **facts}
        print(case.kind, case.name, found[case.name], flush=True)
    halves = {
        name: [found[one.name] for one in cases if one.tuned == (name == "tuned")] for name in ("tuned", "held_out")
    }
    kinds = {
        kind: Counter(one["outcome"] for one in found.values() if one["kind"] == kind)
        for kind in {c.kind for c in cases}
    }
    return {**{name: figures(done) for name, done in halves.items()}, "kinds": kinds, "cases": found}


def by_recording(engine: Engine | SpeculativeEngine, folder: Path) -> dict[str, Any]:
    """Runs all recordings; returns what became of each."""
    found: dict[str, dict[str, Any]] = {}
    for one in recordings(folder):
        language = language_of(one.file) or LANGUAGES.get(one.file.rpartition(".")[2], "")
        documents, document, row = one.replayed(language)
        new, facts = run(engine, documents, document, row, one.name)
        found[one.name] = {"outcome": one.outcome(new), **facts}
        print("recording", one.name, found[one.name], flush=True)
    return found


def by_history(engine: Engine | SpeculativeEngine, repository: Path, count: int) -> dict[str, Any]:
    """Asks after edits of a repository's past; returns how often what became of it, by what it was offered."""
    found: dict[str, Counter[str]] = {}
    for number, one in enumerate(past_edits(repository, count)):
        new, facts = run(engine, one.documents, one.document, one.row, f"{one.name} {number}")
        outcome = one.outcome(new)
        found.setdefault(facts.get("by", "none"), Counter())[outcome] += 1
        if new is not None:
            print("history", one.name, outcome, facts, flush=True)
    return {"edits": sum(map(Counter.total, found.values())), **{name: dict(counts) for name, counts in found.items()}}


def main() -> None:
    """Runs everything and writes the record."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", nargs="+", required=True)
    parser.add_argument("--recordings", type=Path, default=RECORDINGS)
    parser.add_argument("--history", type=int, nargs="+", default=[])
    parser.add_argument("--names", nargs="+")
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    cases = read_next_edit_cases(BENCHMARKS / "next_edit_cases.toml")
    cases = [case for case in cases if not arguments.names or case.name in arguments.names]
    models: dict[str, dict[str, Any]] = {}
    for number, model in enumerate(arguments.model):
        engine = open_engine(model)
        engine.warm_up()
        models[engine.name] = by_case(engine, cases)
        if arguments.recordings.is_dir() and not arguments.names:
            models[engine.name]["recordings"] = by_recording(engine, arguments.recordings)
        if number < len(arguments.history):
            models[engine.name]["history"] = by_history(engine, BENCHMARKS.parent, arguments.history[number])
    show({f"{name}, {half}": found[half] for name, found in models.items() for half in ("tuned", "held_out")})
    if arguments.out:
        write(arguments.out, {"models": models})


if __name__ == "__main__":
    main()
