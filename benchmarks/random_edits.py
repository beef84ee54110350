"""Random edits against a plain reference text, in the three position encodings: the number of differences must be 0.

    .venv/bin/python benchmarks/random_edits.py [--edits 1000000] [--out benchmarks/results/random-edits.json]

The same check runs as a property test with fewer edits; the reference is `tests/support/plain_text.py`.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
from pathlib import Path

from rich.progress import track

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "support"))

from plain_text import offset, replaced

from coder_model.evaluation.run import facts
from lsp_server.documents import Document, Encoding, Position

ALPHABET = "ab \t\r\n\x0b\x0c\x1c\x85\u2028\u2029é漢😀\ud83d\ude00"
MAX_LENGTH = 300
ENCODINGS: tuple[Encoding, ...] = ("utf-8", "utf-16", "utf-32")


def differences(edits: int, encoding: Encoding) -> int:
    """Returns how often buffer or positions differed from the reference after an edit."""
    rng = random.Random(encoding)
    document, plain = Document("file:///a", "", 0, encoding), ""
    wrong = 0
    for _ in track(range(edits), encoding):
        start = rng.randrange(14), rng.randrange(14)
        end = start if rng.random() < 0.6 else (rng.randrange(14), rng.randrange(14))
        new = "".join(rng.choices(ALPHABET, k=rng.randrange(7)))
        document.replace(Position(*start), Position(*end), new)
        plain = replaced(plain, start, end, new, encoding)  # type: ignore[no-untyped-call]
        row, column = document.place(Position(*end))
        at = sum(map(len, document.lines[:row])) + column
        expected = offset(plain, *end, encoding)  # type: ignore[no-untyped-call]
        if document.text != plain or at != expected:
            wrong += 1
            document.replace_all(plain)
        if len(plain) > MAX_LENGTH:
            document.replace_all("")
            plain = ""
    return wrong


def main() -> int:
    """Runs the edits, a third in each encoding; returns 1 when anything differed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--edits", type=int, default=1_000_000)
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    edits_each = -(-arguments.edits // len(ENCODINGS))
    wrong = {encoding: differences(edits_each, encoding) for encoding in ENCODINGS}
    print(f"{edits_each * len(ENCODINGS)} random edits, differences: {wrong}")
    if arguments.out:
        record = {**facts(), "edits": edits_each * len(ENCODINGS), "differences": wrong}
        arguments.out.write_text(json.dumps(record, indent=1) + "\n", "utf-8")
    return int(any(wrong.values()))


if __name__ == "__main__":
    sys.exit(main())
