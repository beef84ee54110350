"""How often a shown suggestion adds a syntax error where an editor has closed a bracket or a quote by itself.

    python benchmarks/auto_closed.py FOLDER [--files 200] [--places 10] [--model PATH] [--out FILE]

Every file of FOLDER is text of somebody else's; nothing of it is kept. In each, places are drawn where a pair stands
on one line; what is between is taken away, so that the cursor stands as after typing the opening half. A third of them
lose the rest of the line too, a third the rest of the paragraph: that is how it looks while somebody writes. A
suggestion is accepted as it is shown, and the syntax errors of the document are counted before and after it.
"""

from __future__ import annotations

import argparse
import importlib
import json
import random
import re
import time
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tree_sitter import Language, Parser

from coder_model.checkpoints.open import open_engine
from coder_model.engine.options import EngineOptions
from coder_model.text.fill_mode import hole_at
from coder_model.types import FillRequest

GRAMMARS = {
    "py": ("python", "tree_sitter_python", "language"),
    "js": ("javascript", "tree_sitter_javascript", "language"),
    "jsx": ("javascriptreact", "tree_sitter_javascript", "language"),
    "ts": ("typescript", "tree_sitter_typescript", "language_typescript"),
    "tsx": ("typescriptreact", "tree_sitter_typescript", "language_tsx"),
    "go": ("go", "tree_sitter_go", "language"),
    "rs": ("rust", "tree_sitter_rust", "language"),
    "lua": ("lua", "tree_sitter_lua", "language"),
    "java": ("java", "tree_sitter_java", "language"),
    "c": ("c", "tree_sitter_c", "language"),
    "h": ("c", "tree_sitter_c", "language"),
    "cpp": ("cpp", "tree_sitter_cpp", "language"),
}
PAIRS = re.compile(r"\(([^()\n]*)\)|\[([^\[\]\n]*)\]|\{([^{}\n]*)\}|\"([^\"\\\n]*)\"|'([^'\\\n]{2,})'")
MOST_CHARS = 40_000
LEAST_PROBABILITY = {"balanced": (0.002, 0.1), "eager": (0.0, 0.0)}
"""Where only closers follow on the line, and where more does; as the presets have it."""
_ONLY_CLOSERS = re.compile(r"\s*[)>}\]\"'`]*\s*[:{;,]?\s*$")


@dataclass(frozen=True)
class Spot:
    """A place where something was closed by itself."""

    file: Path
    language: str
    prefix: str
    suffix: str
    errors: int


def parser_of(file: Path) -> tuple[str, Parser]:
    """Returns the language id of a file, and its parser."""
    language, module, function = GRAMMARS[file.suffix[1:]]
    return language, Parser(Language(getattr(importlib.import_module(module), function)()))


def errors(parser: Parser, text: str) -> int:
    """Returns how many error and missing nodes the tree of a text has."""
    count, stack = 0, [parser.parse(text.encode("utf-8", "replace")).root_node]
    while stack:
        node = stack.pop()
        count += node.is_error or node.is_missing
        if node.has_error:
            stack.extend(node.children)
    return count


def spots_of(file: Path, count: int, chance: random.Random) -> Iterator[Spot]:
    """Yields up to `count` places of a file."""
    text = file.read_text("utf-8", "replace").replace("\r\n", "\n")
    if not 200 < len(text) < MOST_CHARS:
        return
    language, parser = parser_of(file)
    pairs = list(PAIRS.finditer(text))
    for pair in chance.sample(pairs, min(count, len(pairs))):
        prefix, suffix = text[: pair.start() + 1], text[pair.end() - 1 :]
        way = chance.randrange(3)
        if way == 1:
            # only what the editor has closed stands there
            suffix = suffix[0] + "\n" + suffix.partition("\n")[2]
        elif way == 2:
            # and the lines below are not written yet, up to the next blank one
            suffix = suffix[0] + "\n" + suffix.partition("\n\n")[2]
        yield Spot(file, language, prefix, suffix, errors(parser, prefix + suffix))


def main() -> None:
    """Prints the table."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("folder", type=Path)
    options.add_argument("--files", type=int, default=200)
    options.add_argument("--places", type=int, default=10)
    options.add_argument("--model", default="")
    options.add_argument("--preset", choices=sorted(LEAST_PROBABILITY), default="eager")
    options.add_argument("--verbose", action="store_true", help="print what was wrong")
    options.add_argument("--out", type=Path)
    asked = options.parse_args()
    rows = measured(asked)
    total = {name: sum(row[name] for row in rows.values()) for name in ("places", "shown", "broken")}
    print(f"{'language':18s} places  shown  adds an error")
    for name, row in [*sorted(rows.items()), ("all", total)]:
        print(f"{name:18s} {row['places']:6d} {row['shown']:6d} {row['broken']:6d}")
    if asked.out:
        asked.out.write_text(
            json.dumps({"model": asked.model or "embedded", "rows": rows, "all": total}, indent=1) + "\n"
        )


def measured(asked: argparse.Namespace) -> dict[str, dict[str, int]]:
    """Fills the places of the files of a folder."""
    chance = random.Random(7)
    files = sorted(file for file in asked.folder.rglob("*") if file.suffix[1:] in GRAMMARS and file.is_file())
    engine: Any = open_engine(asked.model, EngineOptions())
    rows: dict[str, dict[str, int]] = defaultdict(lambda: {"places": 0, "shown": 0, "broken": 0})
    began = time.perf_counter()
    for file in files[: asked.files]:
        _, parser = parser_of(file)
        for spot in spots_of(file, asked.places, chance):
            row = rows[spot.language]
            row["places"] += 1
            text = shown_at(engine, spot, asked.preset)
            if not text.strip():
                continue
            row["shown"] += 1
            if errors(parser, spot.prefix + text + spot.suffix) > spot.errors:
                row["broken"] += 1
                if asked.verbose:
                    print(f"{file.name} {spot.language}: {spot.prefix[-60:]!r} + {text!r} + {spot.suffix[:60]!r}")
    print(f"{time.perf_counter() - began:.0f} s")
    return dict(rows)


def shown_at(engine: Any, spot: Spot, preset: str) -> str:
    """Returns the suggestion at a place; empty when none would be shown."""
    hole = hole_at(spot.prefix, spot.suffix, spot.language)
    if hole is None:
        return ""
    ends = _ONLY_CLOSERS.match(spot.suffix.partition("\n")[0])
    request = FillRequest(
        session=str(spot.file),
        prefix=spot.prefix,
        suffix=spot.suffix,
        path=spot.file.name,
        language=spot.language,
        hole=hole,
        least_probability=LEAST_PROBABILITY[preset][0 if ends else 1],
        deadline_ms=5000,
    )
    *_, draft = engine.fill(request)
    return str(draft.text)


if __name__ == "__main__":
    main()
