"""What a copied proposal should count, by its match's length: the weights in `coder_model/decoding/prompt_lookup.py`.

    .venv/bin/python benchmarks/calibrate_copies.py CASES [--model DIR]

Walks the references of cases from held-out projects token by token. For every match length it prints how often the
proposal was right, and the weight w that makes the references likeliest under (1 - w) p_model + w [proposed].
"""

from __future__ import annotations

import argparse
import math
from bisect import bisect_right
from collections import defaultdict
from pathlib import Path

import torch
from rich.console import Console
from rich.table import Table

from coder_model.decoding.prompt_lookup import MATCH_LENGTHS, PromptLookup
from coder_model.engine.engine import DEFAULT_MODEL
from coder_model.evaluation.cases import Case, read_cases
from coder_model.model import weights
from coder_model.model.fused_transformer import fuse
from coder_model.prompt import fim_prompt
from coder_model.prompt.tokenizer import CodeTokenizer
from coder_model.prompt.vocabulary import Vocabulary
from coder_model.runtime.eager_runner import EagerRunner
from coder_model.runtime.sequence import Sequence
from coder_model.types import FillRequest

Trial = tuple[float, float]
"""Probability that the model gave the right token, and 1.0 where the copy proposed it."""


@torch.inference_mode()
def trials(
    case: Case, sequence: Sequence, tokenizer: CodeTokenizer, budget: fim_prompt.Budget
) -> list[tuple[tuple[bool, int], Trial]]:
    """Returns origin, match length and trial of every token of a reference that a copy had a proposal for."""
    request = FillRequest("s", case.prefix, case.suffix, path=case.file_name, snippets=case.snippets)
    built = fim_prompt.build(request, tokenizer, budget, fim_prompt.suffix_first(tokenizer.special_tokens))
    middle = tokenizer.encode(built.heal.decode() + case.reference)[: budget.middle]
    first = sequence.read(built.context, lambda: None)
    rows = torch.cat([first[None], sequence.commit(middle)])
    copies = PromptLookup(built.document, built.after, built.others)
    found = []
    for token, p in zip(middle, rows, strict=False):
        if proposal := copies.proposals(1):
            found.append(((copies.from_snippet, copies.match), (float(p[token]), float(proposal[0] == token))))
        copies.advance(token)
    return found


def best_weight(seen: list[Trial]) -> float:
    """Returns the weight in [0, 0.99] with the highest likelihood."""
    return max(
        (w / 100 for w in range(100)),
        key=lambda w: sum(math.log(max((1 - w) * p + w * right, 1e-9)) for p, right in seen),
    )


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("cases", type=Path)
    parser.add_argument("--model", type=Path, default=DEFAULT_MODEL)
    arguments = parser.parse_args()
    model, tokenizer = weights.load(arguments.model)
    network = fuse(model, model.config.context_tokens, "float32")
    sequence = Sequence(EagerRunner(network, Vocabulary(tokenizer).forbidden))
    budget = fim_prompt.Budget.of(model.config.context_tokens)
    by_place: dict[tuple[bool, int], list[Trial]] = defaultdict(list)
    for case in read_cases(arguments.cases):
        for (from_snippet, length), trial in trials(case, sequence, tokenizer, budget):
            by_place[from_snippet, bisect_right(MATCH_LENGTHS, length) - 1].append(trial)
    table = Table("place", "match from", "tokens", "proposal right", "weight")
    for (from_snippet, index), seen in sorted(by_place.items()):
        right = sum(r for _, r in seen) / len(seen)
        place = "snippet" if from_snippet else "document"
        table.add_row(place, str(MATCH_LENGTHS[index]), str(len(seen)), f"{right:.2f}", f"{best_weight(seen):.2f}")
    Console().print(table)


if __name__ == "__main__":
    main()
