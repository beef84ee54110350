"""What the loop does beside filling one hole: repairs, calibrated confidence, deadlines, drafts that live on, choices.

    python benchmarks/features.py CASES --model embedded qwen2.5-coder-0.5b [--files FOLDER] [--limit N]
        [--parts syntax confidence anytime restarts duplicates choices] [--out FILE]

CASES are infill cases with references. FOLDER holds files of somebody else's, nothing of which is kept: of each a line
is cut at a random place, as it looks while somebody writes. All in one process, each part on the same cases:

- `syntax`: middles that break what parses without them, as they are decoded and as they are answered.
- `confidence`: how far the probability of a token is from the share of such tokens that is right; a temperature that is
  fitted on every second case, and what it changes on the others.
- `anytime`: what is right at a deadline, behind text that is in the cache.
- `restarts`: passes of a fill after a key that agrees with the last suggestion, with that as a draft and without.
- `duplicates`: answers that say again what follows, without filters.
- `choices`: what three answers cost beside one, and how often one of them is right.
"""

from __future__ import annotations

import argparse
import random
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from auto_closed import language_id
from numpy.typing import NDArray
from records import RESULTS, show, write

from coder_model.checkpoints.open import open_single
from coder_model.engine.engine import Engine
from coder_model.engine.options import EngineOptions
from coder_model.engine.syntax_repair import SyntaxCheck
from coder_model.evaluation.cases import Case, read_cases
from coder_model.evaluation.metrics import mean, percentile
from coder_model.text.fill_mode import hole_at
from coder_model.text.filters import FILTERS
from coder_model.types import Draft, FillRequest
from coder_model.worker.threads import limit_threads

DEADLINES_MS = (20, 40, 80, 160, 320, 640)
BINS = 10
TEMPERATURES = tuple(float(one) for one in np.geomspace(0.2, 5, 161))
CHOICES = 3
Figures = dict[str, Any]
Floats = NDArray[np.float64]


def main() -> None:
    """Measures the parts for each model and writes the record."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("cases", type=Path)
    parser.add_argument("--model", nargs="+", default=["embedded"])
    parser.add_argument("--files", type=Path)
    parser.add_argument("--limit", type=int)
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument("--out", type=Path, default=RESULTS / "features.json")
    asked = parser.parse_args()
    limit_threads()
    sets = {"cases": read_cases(asked.cases, asked.limit)}
    if asked.files:
        sets["files"] = list(_cut(sorted(file for file in asked.files.iterdir() if language_id(file))))
    record: dict[str, Figures] = {}
    for name in asked.model:
        engine = open_single("" if name == "embedded" else name, EngineOptions())
        engine.warm_up()
        record[name] = found = {}
        for part in asked.parts:
            found[part] = {of: PARTS[part](engine, cases) for of, cases in sets.items() if of in OF[part]}
            for of, figures in found[part].items():
                show({f"{name}, {part}, {of}": figures})
    write(asked.out, {"models": record})


def _cut(files: Iterable[Path]) -> Iterator[Case]:
    """Yields a case of each file: a line without its end, from a random place in it."""
    chance = random.Random(7)
    for file in files:
        lines = file.read_text("utf-8", "replace").replace("\r\n", "\n").split("\n")
        row = chance.choice([n for n, line in enumerate(lines) if len(line.strip()) > 4])
        column = chance.randrange(len(lines[row]) - len(lines[row].lstrip()), len(lines[row]))
        prefix = "\n".join([*lines[:row], lines[row][:column]])
        suffix = "\n".join(["", *lines[row + 1 :]])
        language = language_id(file)
        mode = "multi" if hole_at(prefix, suffix, language) == "block" else "single"
        yield Case(file.name, language, prefix, suffix, lines[row][column:], mode)


def request_of(case: Case, **more: Any) -> FillRequest:
    """Returns the request for a case, a document of its own."""
    return FillRequest(case.id, case.prefix, case.suffix, case.file_name, case.lang, case.hole, **more)


def answer(engine: Engine, request: FillRequest, watch: bool = False, **options: Any) -> Draft:
    """Returns the last draft of a fill with some options changed; nothing is left of what was said there before."""
    usual = engine.options
    engine.options = msgspec.structs.replace(usual, **options)
    try:
        *_, draft = engine.fill(request, watch=watch)
    finally:
        engine.options = usual
    return draft


def forgetful(engine: Engine, request: FillRequest) -> FillRequest:
    """Makes the request's document one that has been read, and in which nothing was said."""
    engine.warm(request)
    for session in engine._sessions._kept:
        session.said = ()
    return request


def syntax(engine: Engine, cases: Sequence[Case]) -> Figures:
    """How many middles break the document, and what becomes of those."""
    count = dict.fromkeys(("broken", "repaired", "cut", "silenced", "left"), 0)
    changed = []
    for case in cases:
        request = request_of(case)
        check = SyntaxCheck.of(request)
        raw = answer(engine, forgetful(engine, request), alternatives=0)
        final = answer(engine, forgetful(engine, request))
        if check.breaks(raw.text):
            count["broken"] += 1
            sort = "left" if check.breaks(final.text) else "repaired"
            if sort == "repaired" and raw.text.startswith(final.text):
                sort = "cut" if final.text.strip() else "silenced"
            count[sort] += 1
            changed.append((case, raw.text, final.text))
    right = {
        f"right_{way}": sum(_same(case, one[at]) for case, *one in changed) for at, way in ((0, "before"), (1, "after"))
    }
    sound = {
        f"parses_{way}": 100 - 100 * count[name] / len(cases) for way, name in (("before", "broken"), ("after", "left"))
    }
    return {"cases": len(cases), **sound, **count, **right}


def _same(case: Case, text: str) -> bool:
    return text.strip() == case.reference.strip()


def confidence(engine: Engine, cases: Sequence[Case]) -> Figures:
    """How far stated probabilities of tokens are from how often they are right, before and after a temperature."""
    halves: list[list[tuple[float, bool]]] = [[], []]
    for number, case in enumerate(cases):
        wanted, said = case.reference.strip() + "\n", ""
        draft = answer(engine, request_of(case), watch=True, alternatives=0, copy=False)
        for slot in draft.decided:
            said += slot.text
            is_right = wanted.startswith(said.lstrip())
            if slot.text.strip():
                halves[number % 2].append((slot.confidence, is_right))
            if not is_right:
                break
    fitted, others = (np.array(half, float).T for half in halves)
    temperature = min(TEMPERATURES, key=lambda one: _nats(_tempered(fitted[0], one), fitted[1]))
    tempered = _tempered(others[0], temperature)
    return {
        "tokens": others.shape[1],
        "right": 100 * others[1].mean(),
        "temperature": temperature,
        "error_before": 100 * calibration_error(others[0], others[1]),
        "error_after": 100 * calibration_error(tempered, others[1]),
        "nats_before": _nats(others[0], others[1]),
        "nats_after": _nats(tempered, others[1]),
    }


def calibration_error(probability: Floats, right: Floats) -> float:
    """Returns the expected calibration error (Guo et al. 2017, eq. 3) over bins of equal width.

    Args:
        probability: [N], in [0, 1].
        right: [N], 0 or 1.
    """
    bins = np.minimum((probability * BINS).astype(int), BINS - 1)
    gaps = [abs((probability - right)[bins == n].sum()) for n in range(BINS)]
    return float(sum(gaps) / len(right))


def _tempered(probability: Floats, temperature: float) -> Floats:
    sure = np.clip(probability, 1e-6, 1 - 1e-6)
    tempered: Floats = 1 / (1 + np.exp(-np.log(sure / (1 - sure)) / temperature))
    return tempered


def _nats(probability: Floats, right: Floats) -> float:
    sure = np.clip(probability, 1e-6, 1 - 1e-6)
    return float(-np.mean(np.log(np.where(right > 0, sure, 1 - sure))))


def anytime(engine: Engine, cases: Sequence[Case]) -> Figures:
    """What is right at a deadline."""
    found: dict[float | None, list[tuple[Case, Draft]]] = {deadline: [] for deadline in (*DEADLINES_MS, None)}
    for case in cases:
        for deadline, pairs in found.items():
            pairs.append((case, answer(engine, forgetful(engine, request_of(case, deadline_ms=deadline)))))
    rows = {
        str(deadline or "none"): {
            "exact": 100 * mean([_same(case, draft.text) for case, draft in pairs]),
            "begins_right": 100 * mean([_begins(case, draft.text) for case, draft in pairs]),
            "silent": 100 * mean([not draft.text.strip() for _, draft in pairs]),
            "p50_ms": percentile([draft.elapsed_ms for _, draft in pairs], 50),
            "p95_ms": percentile([draft.elapsed_ms for _, draft in pairs], 95),
        }
        for deadline, pairs in found.items()
    }
    return {"cases": len(cases), "deadlines": rows}


def _begins(case: Case, text: str) -> bool:
    return bool(text.strip()) and case.reference.strip().startswith(text.strip())


def restarts(engine: Engine, cases: Sequence[Case]) -> Figures:
    """Passes after a key that agrees with what was suggested, with and without that as a draft."""
    with_draft, without = [], []
    for case in cases:
        request = request_of(case)
        text = answer(engine, forgetful(engine, request)).text
        if len(text.strip()) < 2:
            continue
        typed = len(text) - len(text.lstrip()) + 1
        behind = replace(request, prefix=request.prefix + text[:typed])
        with_draft.append(answer(engine, behind))
        without.append(answer(engine, forgetful(engine, behind)))
    figures: Figures = {"cases": len(with_draft)}
    for way, found in (("with", with_draft), ("without", without)):
        for name in ("steps", "elapsed_ms"):
            values = [float(getattr(one, name)) for one in found]
            figures |= {f"{name}_{way}": mean(values), f"p50_{name}_{way}": percentile(values, 50)}
    same = [one.text == other.text for one, other in zip(with_draft, without, strict=True)]
    return {**figures, "same_text": 100 * mean(same)}


def duplicates(engine: Engine, cases: Sequence[Case]) -> Figures:
    """Answers that end with what follows the hole, as decoded, and how many are left behind stop rules and filters."""
    raw, final = [], []
    for case in cases:
        request = request_of(case)
        raw.append(answer(engine, forgetful(engine, request), filters_off=tuple(FILTERS), alternatives=0).text)
        final.append(answer(engine, forgetful(engine, request)).text)
    return {
        "cases": len(cases),
        "unfiltered": sum(map(_duplicates, cases, raw)),
        "answered": sum(map(_duplicates, cases, final)),
        "in_references": sum(_duplicates(case, case.reference) for case in cases),
    }


def _duplicates(case: Case, text: str) -> bool:
    """Whether the last line of a text is what follows it anyway."""
    last = text.strip().rpartition("\n")[2].strip()
    following = next((line.strip() for line in case.suffix.split("\n") if line.strip()), "")
    return len(last) > 2 and last == following


def choices(engine: Engine, cases: Sequence[Case]) -> Figures:
    """What several answers cost beside one."""
    one, several = [], []
    for case in cases:
        request = request_of(case)
        one.append(answer(engine, forgetful(engine, request)))
        several.append(answer(engine, forgetful(engine, replace(request, count=CHOICES))))
    texts = [[draft.text, *(other.text for other in draft.others)] for draft in several]
    return {
        "cases": len(cases),
        "right_one": 100 * mean([_same(case, draft.text) for case, draft in zip(cases, one, strict=True)]),
        "right_any": 100
        * mean([any(_same(case, text) for text in said) for case, said in zip(cases, texts, strict=True)]),
        "said": mean([float(sum(bool(text.strip()) for text in said)) for said in texts]),
        "p50_ms_one": percentile([draft.elapsed_ms for draft in one], 50),
        "p50_ms_several": percentile([draft.elapsed_ms for draft in several], 50),
        "times": mean([b.elapsed_ms / a.elapsed_ms for a, b in zip(one, several, strict=True)]),
    }


PARTS: dict[str, Callable[[Engine, Sequence[Case]], Figures]] = {
    part.__name__: part for part in (syntax, confidence, anytime, restarts, duplicates, choices)
}
OF = {part: ("cases", "files") if part == "syntax" else ("cases",) for part in PARTS}
"""The cases that each part is measured on."""

if __name__ == "__main__":
    main()
