"""Infill cases from the held-out projects of a prepared corpus, with snippets of neighbouring files.

    .venv/bin/python benchmarks/held_out_cases.py CORPUS --count 400 --out held_out.jsonl.gz

Holes are of one line. The snippets are the pieces of up to eight neighbouring files that share most words with the ten
lines before the hole, as an editor could find them.
"""

from __future__ import annotations

import argparse
import gzip
import json
import random
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from coder_model.model import weights
from coder_model.model.config import ModelConfig
from coder_model.text.syntax import language_of
from coder_model.training.hole_sampling import sample_hole
from coder_model.training.shards import Shard
from coder_model.types import Snippet

NEIGHBOURS, PIECE_LINES, SNIPPETS = 8, 16, 3
_WORD = re.compile(r"[A-Za-z_]\w{3,}")


def cases(corpus: Path, count: int, language: str) -> Iterator[dict[str, Any]]:
    """Yields cases of one language, none twice."""
    shard = Shard.open(corpus, "valid")
    tokenizer = weights.load_tokenizer(corpus, ModelConfig())
    texts: dict[int, str] = {}

    def text_of(index: int) -> str:
        if index not in texts:
            texts[index] = tokenizer.decode(shard.file(index).tolist())
        return texts[index]

    rng = random.Random(0)
    files = [i for i, name in enumerate(shard.names) if language_of(name) == language]
    made = 0
    while made < count:
        index = rng.choice(files)
        text = text_of(index)
        hole = sample_hole(text, language, rng)
        reference = text[hole.start : hole.end]
        if "\n" in reference or len(reference.strip()) < 3 or hole.start < 200:
            continue
        prefix, suffix = text[: hole.start], text[hole.end :]
        made += 1
        yield {
            "id": f"{shard.names[index]}:{hole.start}",
            "lang": language,
            "kind": hole.kind,
            "prefix": prefix,
            "suffix": suffix,
            "reference": reference,
            "tags": {"copyable": reference.strip() in prefix + suffix},
            "snippets": [
                {"path": snippet.path, "text": snippet.text} for snippet in _snippets(shard, index, prefix, text_of)
            ],
        }


def _snippets(shard: Shard, index: int, prefix: str, text_of: Any) -> list[Snippet]:
    wanted = set(_WORD.findall("\n".join(prefix.splitlines()[-10:])))
    project = shard.names[index].partition("/")[0]
    found = []
    for near in range(max(0, index - NEIGHBOURS), min(len(shard), index + NEIGHBOURS + 1)):
        name = shard.names[near]
        if near == index or name.partition("/")[0] != project:
            continue
        lines = text_of(near).splitlines(keepends=True)
        for start in range(0, len(lines), PIECE_LINES):
            piece = "".join(lines[start : start + PIECE_LINES])
            words = set(_WORD.findall(piece))
            found.append((len(words & wanted) / (len(words | wanted) or 1), name, piece))
    found.sort(key=lambda row: -row[0])
    return [Snippet(name, piece) for score, name, piece in found[:SNIPPETS] if score > 0]


def main() -> None:
    """Writes the cases."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("corpus", type=Path)
    parser.add_argument("--count", type=int, default=400)
    parser.add_argument("--language", default="python")
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    with gzip.open(arguments.out, "wt", encoding="utf-8") as out:
        for case in cases(arguments.corpus, arguments.count, arguments.language):
            out.write(json.dumps(case) + "\n")


if __name__ == "__main__":
    main()
