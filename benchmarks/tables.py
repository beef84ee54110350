"""What the reports share: results in, Markdown out."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

RESULTS, DOCS = Path("benchmarks/results"), Path("docs")


def table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Returns a Markdown table."""
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines) + "\n"


def load(name: str) -> dict[str, Any]:
    """Returns a result file."""
    found: dict[str, Any] = json.loads((RESULTS / name).read_text("utf-8"))
    return found


def percent(figures: dict[str, float], *names: str) -> str:
    """Returns figures as `a / b / c`."""
    return " / ".join(f"{figures[name]:.1f}" for name in names)


def between(page: Path, parts: dict[str, str]) -> None:
    """Puts parts of a page between their marks, `<!-- name -->` and `<!-- end of name -->`."""
    text = page.read_text("utf-8")
    for name, lines in parts.items():
        begin, end = f"<!-- {name} -->\n", f"<!-- end of {name} -->"
        assert begin in text, name
        text = re.sub(f"{begin}.*?{end}", (begin + lines + end).replace("\\", r"\\"), text, flags=re.DOTALL)
    page.write_text(text, "utf-8")
