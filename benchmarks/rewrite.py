"""Rewrite selection on named cases: slips mended, right code left alone, by strength.

    python benchmarks/rewrite.py --model FILE.gguf... [--strengths light refresh rewrite] [--names a b] [--out FILE]

Every case is asked twice: with its slip, and as it should be. Thresholds were chosen by every second case, the others
are the ones to read. `otherwise` is a text that is neither the old one nor a right form that the case names: the record
has its diff, for a person to judge.
"""

from __future__ import annotations

import argparse
import asyncio
import difflib
import re
import time
import tomllib
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any, get_args

from records import BENCHMARKS, show, write

from coder_model.checkpoints.open import open_engine
from coder_model.engine.engine import Engine
from coder_model.engine.speculative_engine import SpeculativeEngine
from coder_model.text.syntax import language_of
from coder_model.types import Draft, FillRequest, InvalidInput
from lsp_server.documents import split_lines
from lsp_server.passages import Passage
from lsp_server.rewriting import NotJudged, Rewritten, Strength, rewrite
from lsp_server.trigger_policy import least_probability_of_fill

FIRST, LAST = ">>>\n", "<<<\n"
_SLIP = re.compile(r"\{\{(.*?)\}\}(?!\})", re.DOTALL)


@dataclass(frozen=True)
class RewriteCase:
    """A file with a slip, and the right forms of it."""

    name: str
    file: str
    slip: str
    wrong: str
    right: list[str]
    tuned: bool
    """Whether thresholds were chosen by it."""


def read_rewrite_cases(path: Path) -> list[RewriteCase]:
    """Returns the cases of a file."""
    found = []
    for index, case in enumerate(tomllib.loads(path.read_text("utf-8"))["case"]):
        slip = _SLIP.search(case["text"])
        assert slip, case["name"]
        before, after = case["text"][: slip.start()], case["text"][slip.end() :]
        forms = [form.replace("\\n", "\n").replace("\\t", "\t") for form in slip.group(1).split("||")]
        wrong, *right = (before + form + after for form in forms)
        found.append(RewriteCase(case["name"], case["file"], case["slip"], wrong, right, index % 2 == 0))
    return found


def selected(text: str) -> tuple[list[str], int, int]:
    """Returns the lines of a case's text without its marks, and the first and the last row of the selection."""
    before, _, rest = text.partition(FIRST)
    passage, _, after = rest.partition(LAST)
    first = before.count("\n")
    return split_lines(before + passage + after), first, first + passage.count("\n") - 1


def outcome(text: str, new: str, right: list[str]) -> str:
    """Returns what became of a text."""
    plain = [form.replace(FIRST, "").replace(LAST, "") for form in (text, *right)]
    if new == plain[0]:
        return "left alone" if text in right else "untouched"
    if new in plain[1:]:
        return "as right" if text in right else "mended"
    return "otherwise"


def run(engine: Engine | SpeculativeEngine, case: RewriteCase, text: str, strength: Strength) -> dict[str, Any]:
    """Rewrites one text; returns what became of it."""
    lines, first, last = selected(text)
    language = language_of(case.file)
    passage = Passage.of(lines, first, last, language)
    least = least_probability_of_fill("balanced")
    common = FillRequest(case.name, "", "", path=case.file, language=language, least_probability=least)

    async def ask(request: FillRequest) -> Draft | None:
        try:
            *_, last = engine.fill(request)
        except InvalidInput:
            # too long for a small context
            return None
        return last

    began = time.perf_counter()
    try:
        new = asyncio.run(rewrite(passage, strength, "", common, ask, lambda *_: None))
    except NotJudged:
        new = Rewritten(passage.lines, 0.0, 0)
    seconds = round(time.perf_counter() - began, 2)
    said = passage.applied(lines, first, new.lines)
    found: dict[str, Any] = {"outcome": outcome(text, said, case.right), "nats": round(new.gain, 1), "seconds": seconds}
    if found["outcome"] == "otherwise":
        found["diff"] = list(difflib.unified_diff("".join(lines).splitlines(), said.splitlines(), n=0, lineterm=""))[2:]
    return found


def figures(cases: list[RewriteCase], found: dict[str, dict[str, Any]], *, tuned: bool) -> dict[str, Any]:
    """Returns the counts of one half of the cases."""
    named = [found[case.name] for case in cases if case.tuned == tuned]
    slips, right = (Counter(one[kind]["outcome"] for one in named) for kind in ("slip", "right"))
    times = [one[kind]["seconds"] for one in named for kind in ("slip", "right")]
    return {
        "cases": len(named),
        **{name: slips[name] for name in ("mended", "untouched", "otherwise")},
        "right_left_alone": right["left alone"],
        "right_as_right": right["as right"],
        "right_otherwise": right["otherwise"],
        "seconds": round(median(times), 1) if times else None,
    }


def by_strength(engine: Engine | SpeculativeEngine, cases: list[RewriteCase], strength: Strength) -> dict[str, Any]:
    """Runs all cases; returns what became of each, and the counts of both halves."""
    found: dict[str, dict[str, Any]] = {}
    for case in cases:
        texts = {"slip": case.wrong, "right": case.right[0]}
        found[case.name] = {kind: run(engine, case, text, strength) for kind, text in texts.items()}
        print(strength, case.name, f"({case.slip})", found[case.name], flush=True)
    return {"tuned": figures(cases, found, tuned=True), "held_out": figures(cases, found, tuned=False), "cases": found}


def main() -> None:
    """Runs all cases and writes the record."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", nargs="+", required=True)
    parser.add_argument("--strengths", nargs="+", default=get_args(Strength))
    parser.add_argument("--names", nargs="+")
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    cases = read_rewrite_cases(BENCHMARKS / "rewrite_cases.toml")
    cases = [case for case in cases if not arguments.names or case.name in arguments.names]
    models: dict[str, dict[str, Any]] = {}
    columns: dict[str, dict[str, Any]] = {}
    for model in arguments.model:
        engine = open_engine(model)
        engine.warm_up()
        # those that are too small are measured too
        engine.judges = True
        models[engine.name] = {strength: by_strength(engine, cases, strength) for strength in arguments.strengths}
        for strength, found in models[engine.name].items():
            columns |= {f"{engine.name}, {strength}, {name}": found[name] for name in ("tuned", "held_out")}
    show(columns)
    if arguments.out:
        write(arguments.out, {"models": models})


if __name__ == "__main__":
    main()
