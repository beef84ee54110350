"""Passes that a model needs for a hole: one token at a time, with copies, with its drafter, with both.

    python benchmarks/drafted_passes.py DEV.jsonl --model FILE.gguf [--count 24] [--out FILE]

Contexts are cut to what a pass reads soon. Counts of passes and accepted tokens do not depend on the machine's load;
how much of a draft is verified does, by what passes cost.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from records import write

from coder_model.checkpoints.open import open_engine
from coder_model.engine.options import EngineOptions
from coder_model.evaluation.cases import Case, read_cases
from coder_model.types import FillRequest

VARIANTS = {
    "one token at a time": EngineOptions(alternatives=0, copy=False, drafter=False),
    "copies": EngineOptions(alternatives=0, drafter=False),
    "drafter": EngineOptions(alternatives=0, copy=False),
    "copies and drafter": EngineOptions(alternatives=0),
}
PREFIX_CHARS, SUFFIX_CHARS = 1200, 500


def measured(model: str, cases: list[Case], options: EngineOptions) -> tuple[dict[str, Any], list[str]]:
    """Returns the passes of all fills together, and their texts.

    The model's own passes are those that verify or heal; a denoise pass is the drafter's.
    """
    engine = open_engine(model, options)
    engine.warm_up()
    passes = {"verify": 0, "denoise": 0}
    tokens, texts = 0, []
    for case in cases:
        prefix, suffix = case.prefix[-PREFIX_CHARS:], case.suffix[:SUFFIX_CHARS]
        request = FillRequest(case.id, prefix, suffix, path=case.file_name, hole=case.hole)
        for draft in engine.fill(request):
            if draft.kind in passes:
                passes[draft.kind] += 1
        tokens += draft.tokens
        texts.append(draft.text)
    return {**passes, "tokens": tokens, "tokens_per_verify": round(tokens / passes["verify"], 3)}, texts


def main() -> None:
    """Measures all variants and writes the record."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("cases", type=Path)
    parser.add_argument("--model", required=True)
    parser.add_argument("--count", type=int, default=24)
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    cases = read_cases(arguments.cases, arguments.count)
    record: dict[str, Any] = {"holes": len(cases)}
    plain: list[str] = []
    for name, options in VARIANTS.items():
        record[name], texts = measured(arguments.model, cases, options)
        plain = plain or texts
        record[name]["same_text"] = sum(a == b for a, b in zip(texts, plain, strict=True))
        print(name, record[name], flush=True)
    if arguments.out:
        write(arguments.out, record)


if __name__ == "__main__":
    main()
