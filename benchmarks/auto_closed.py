"""How often a shown suggestion adds a syntax error where an editor has closed a bracket or a quote by itself.

    python benchmarks/auto_closed.py FOLDER [--files 200] [--places 10] [--model PATH] [--out FILE]

Every file of FOLDER is text of somebody else's; nothing of it is kept. In each, places are drawn where a pair stands
on one line; what is between is taken away, so that the cursor stands as after typing the opening half. A third of them
lose the rest of the line too, a third the rest of the paragraph: that is how it looks while somebody writes. A
suggestion is accepted as it is shown, and the syntax errors of the document are counted before and after it.
"""

from __future__ import annotations

import argparse
import random
import re
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from records import show, write

from coder_model.checkpoints.open import open_engine
from coder_model.engine.options import EngineOptions
from coder_model.text.fill_mode import hole_at
from coder_model.text.syntax import errors_in, has_grammar, language_of
from coder_model.types import FillRequest
from lsp_server.trigger_policy import PresetName, least_right

PAIRS = re.compile(r"\(([^()\n]*)\)|\[([^\[\]\n]*)\]|\{([^{}\n]*)\}|\"([^\"\\\n]*)\"|'([^'\\\n]{2,})'")
MOST_CHARS = 40_000


@dataclass(frozen=True)
class Spot:
    """A place where something was closed by itself."""

    file: Path
    language: str
    prefix: str
    suffix: str
    errors: int


def language_id(file: Path) -> str:
    """Returns the language of a file, or an empty string where there is no grammar for it."""
    language = language_of(file.name)
    return language if has_grammar(language) else ""


def spots_of(file: Path, count: int, chance: random.Random) -> Iterator[Spot]:
    """Yields up to `count` places of a file."""
    text = file.read_text("utf-8", "replace").replace("\r\n", "\n")
    if not 200 < len(text) < MOST_CHARS:
        return
    language = language_id(file)
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
        yield Spot(file, language, prefix, suffix, errors_in(prefix + suffix, language))


def main() -> None:
    """Prints the table."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("folder", type=Path)
    options.add_argument("--files", type=int, default=200)
    options.add_argument("--places", type=int, default=10)
    options.add_argument("--model", default="")
    options.add_argument("--preset", choices=["balanced", "eager"], default="eager")
    options.add_argument("--verbose", action="store_true", help="print what was wrong")
    options.add_argument("--out", type=Path)
    asked = options.parse_args()
    rows = measured(asked)
    total = {name: sum(row[name] for row in rows.values()) for name in ("places", "shown", "broken")}
    show({**dict(sorted(rows.items())), "all": total})
    if asked.out:
        write(asked.out, {"model": asked.model or "embedded", "rows": rows, "all": total})


def measured(asked: argparse.Namespace) -> dict[str, dict[str, int]]:
    """Fills the places of the files of a folder."""
    chance = random.Random(7)
    files = sorted(file for file in asked.folder.rglob("*") if language_id(file) and file.is_file())
    engine: Any = open_engine(asked.model, EngineOptions())
    rows: dict[str, dict[str, int]] = defaultdict(lambda: {"places": 0, "shown": 0, "broken": 0})
    for file in files[: asked.files]:
        for spot in spots_of(file, asked.places, chance):
            row = rows[spot.language]
            row["places"] += 1
            text = shown_at(engine, spot, asked.preset)
            if not text.strip():
                continue
            row["shown"] += 1
            if errors_in(spot.prefix + text + spot.suffix, spot.language) > spot.errors:
                row["broken"] += 1
                if asked.verbose:
                    print(f"{file.name} {spot.language}: {spot.prefix[-60:]!r} + {text!r} + {spot.suffix[:60]!r}")
    return dict(rows)


def shown_at(engine: Any, spot: Spot, preset: PresetName) -> str:
    """Returns the suggestion at a place; empty when none would be shown."""
    hole = hole_at(spot.prefix, spot.suffix, spot.language)
    least = least_right(preset, spot.suffix.partition("\n")[0], deletions=0)
    if hole is None or least is None:
        return ""
    request = FillRequest(
        session=str(spot.file),
        prefix=spot.prefix,
        suffix=spot.suffix,
        path=spot.file.name,
        language=spot.language,
        hole=hole,
        least_right=least,
        deadline_ms=60_000,
    )
    *_, draft = engine.fill(request)
    return str(draft.text)


if __name__ == "__main__":
    main()
