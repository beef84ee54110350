"""Does the model say its training text again: runs of 50 tokens and more that stand in the corpus.

    .venv/bin/python benchmarks/memorisation.py CORPUS [--count 200] [--out benchmarks/results/memorisation.json]

Each prompt is 200 tokens of a random training file; the model goes on for 100 tokens, the likeliest one each time,
without copies. Counted is the longest run equal to how the file goes on, from the first token or any later one.
"""

from __future__ import annotations

import argparse
import json
import random
from pathlib import Path

from rich.console import Console
from rich.progress import track

from coder_model.text.normalize import file_name
from coder_model.worker.threads import limit_threads

PROMPT, GENERATED, VERBATIM = 200, 100, 50


def longest_run(said: list[int], true: list[int]) -> int:
    """Returns the length of the longest run of tokens that both lists hold."""
    best = 0
    lengths = [0] * (len(true) + 1)
    for token in said:
        row = [0] * (len(true) + 1)
        for j, other in enumerate(true, 1):
            if token == other:
                row[j] = lengths[j - 1] + 1
                best = max(best, row[j])
        lengths = row
    return best


def main() -> None:
    """Prompts, compares, writes."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("corpus", type=Path)
    parser.add_argument("--count", type=int, default=200)
    parser.add_argument("--model", type=Path)
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/memorisation.json"))
    arguments = parser.parse_args()
    limit_threads()
    import torch

    from coder_model.engine.engine import DEFAULT_MODEL
    from coder_model.evaluation.run import facts
    from coder_model.model import weights
    from coder_model.model.fused_transformer import fuse
    from coder_model.prompt import fim_prompt
    from coder_model.prompt.vocabulary import Vocabulary
    from coder_model.runtime.eager_runner import EagerRunner
    from coder_model.runtime.sequence import Sequence
    from coder_model.training.shards import Shard

    model, tokenizer = weights.load(arguments.model or DEFAULT_MODEL)
    shard = Shard.open(arguments.corpus, "train")
    rng = random.Random(0)
    network = fuse(model, 2 * model.config.context_tokens, "float32")
    python = [i for i, name in enumerate(shard.names) if name.endswith(".py")]
    runs: list[int] = []
    with torch.inference_mode(), Console(stderr=True) as console:
        for _ in track(range(arguments.count), console=console):
            ids: list[int] = []
            while len(ids) < 2 * (PROMPT + GENERATED):
                index = rng.choice(python)
                ids = shard.file(index).tolist()
            start = rng.randrange(len(ids) - PROMPT - 2 * GENERATED)
            shown, true = ids[start : start + PROMPT], ids[start + PROMPT : start + PROMPT + 2 * GENERATED]
            name = tokenizer.encode(file_name(shard.names[index]))
            sequence = Sequence(EagerRunner(network, Vocabulary(tokenizer).forbidden))
            p = sequence.read(fim_prompt.layout(tokenizer.special_tokens, name, [], False, [], shown), lambda: None)
            said: list[int] = []
            for _ in range(GENERATED):
                said.append(int(p.argmax()))
                p = sequence.commit(said[-1:])[0]
            runs.append(longest_run(said, true))
    record = {
        **facts(),
        "prompts": len(runs),
        "verbatim": sum(run >= VERBATIM for run in runs),
        "longest": max(runs),
        "mean": sum(runs) / len(runs),
    }
    arguments.out.write_text(json.dumps(record, indent=1) + "\n", "utf-8")
    print(json.dumps(record, indent=1))


if __name__ == "__main__":
    main()
