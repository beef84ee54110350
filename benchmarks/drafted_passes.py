"""Passes that a model needs for a hole: one token at a time, with copies, with its drafter, with both.

    python benchmarks/drafted_passes.py CASES... --model FILE.gguf [--count 24] [--variants NAME...] [--out FILE]

Contexts are cut to what a pass reads soon. Counts of passes and accepted tokens do not depend on the machine's load;
how much of a draft is verified does, by what passes cost. Where a text is not that of the first variant, the record
names the case and how likely each of the two tokens was that differ: near-ties are alike.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from records import write

from coder_model.checkpoints.open import open_engine
from coder_model.engine.options import EngineOptions
from coder_model.evaluation.cases import Case, read_cases
from coder_model.types import Draft, FillRequest

VARIANTS = {
    "one token at a time": EngineOptions(alternatives=0, copy=False, drafter=False),
    "copies": EngineOptions(alternatives=0, drafter=False),
    "drafter": EngineOptions(alternatives=0, copy=False),
    "copies and drafter": EngineOptions(alternatives=0),
}
PREFIX_CHARS, SUFFIX_CHARS = 1200, 500


def measured(model: str, cases: list[Case], options: EngineOptions) -> tuple[dict[str, Any], list[Draft]]:
    """Returns the passes of all fills together, and the last draft of each.

    The model's own passes are those that verify or heal; a denoise pass is the drafter's.
    """
    engine = open_engine(model, options)
    engine.warm_up()
    passes = {"verify": 0, "denoise": 0}
    tokens, answers = 0, []
    for case in cases:
        prefix, suffix = case.prefix[-PREFIX_CHARS:], case.suffix[:SUFFIX_CHARS]
        request = FillRequest(case.id, prefix, suffix, path=case.file_name, hole=case.hole)
        for draft in engine.fill(request, watch=True):
            if draft.kind in passes:
                passes[draft.kind] += 1
        tokens += draft.tokens
        answers.append(draft)
    return {**passes, "tokens": tokens, "tokens_per_verify": round(tokens / passes["verify"], 3)}, answers


def differences(cases: list[Case], plain: list[Draft], found: list[Draft]) -> dict[str, list[float]]:
    """Returns the cases with another text, and the probability of the first token that differs, in both."""
    differing = {}
    for case, *drafts in zip(cases, plain, found, strict=True):
        if drafts[0].text != drafts[1].text:
            pairs = zip(*(draft.decided for draft in drafts), strict=False)
            first = next(((one, other) for one, other in pairs if one.text != other.text), ())
            differing[case.id] = [round(slot.confidence, 4) for slot in first]
    return differing


def main() -> None:
    """Measures all variants and writes the record."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("cases", type=Path, nargs="+")
    parser.add_argument("--model", required=True)
    parser.add_argument("--count", type=int, default=24)
    parser.add_argument("--variants", nargs="+", choices=VARIANTS, default=list(VARIANTS))
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    everything = [case for file in arguments.cases for case in read_cases(file)]
    count = min(arguments.count, len(everything))
    cases = [everything[index * len(everything) // count] for index in range(count)]
    record: dict[str, Any] = {"holes": len(cases)}
    plain: list[Draft] = []
    for name in arguments.variants:
        record[name], answers = measured(arguments.model, cases, VARIANTS[name])
        plain = plain or answers
        record[name]["same_text"] = sum(a.text == b.text for a, b in zip(answers, plain, strict=True))
        record[name]["differing"] = differences(cases, plain, answers)
        print(name, record[name], flush=True)
    if arguments.out:
        write(arguments.out, record)


if __name__ == "__main__":
    main()
