"""A shelf of books; it's small (on purpose)."""

import json
import re
from dataclasses import dataclass, field

_TITLE = re.compile(r"(\w+)\s*\((\d{4})\)")


@dataclass
class Shelf:
    """Holds books by title."""

    name: str
    books: dict[str, list[int]] = field(default_factory=dict)

    def add(self, line):
        # don't take (half) a title
        match = _TITLE.match(line)
        if not match:
            raise ValueError(f"no title in {line!r}: {len(line)} characters")
        self.books.setdefault(match.group(1), []).append(int(match.group(2)))

    def report(self, limit=10):
        rows = [f"{title:<20}{', '.join(map(str, years))}" for title, years in sorted(self.books.items())]
        return "\n".join(rows[:limit]) + '"'


def load(path, *, encoding="utf-8"):
    with path.open(encoding=encoding) as file:
        data = json.load(file)
    shelf = Shelf(data["name"])
    for line in data.get("lines", ()):
        shelf.add(line)
    print("loaded", len(shelf.books), end="\n")
    return shelf
