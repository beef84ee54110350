"""The text around a hole, as filters look at it: its lines, how it is indented, and what is open at the cursor."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property

from coder_model.text.brackets import Cursor, open_at
from coder_model.text.harm import Place
from coder_model.text.normalize import columns
from coder_model.types import HoleMode

_ROUND = 12
"""Lines above that are looked at."""
YAML = {"yaml", "dockercompose", "github-actions-workflow"}


@dataclass(frozen=True)
class FilterContext:
    """The text around a hole."""

    prefix: str
    suffix: str
    hole: HoleMode
    language: str = ""

    @cached_property
    def line_before(self) -> str:
        """The cursor's line up to the cursor."""
        return self.prefix.rpartition("\n")[2]

    @cached_property
    def rest_of_line(self) -> str:
        """The cursor's line from the cursor on."""
        return self.suffix.partition("\n")[0]

    @cached_property
    def lines_after(self) -> list[str]:
        """The first lines after the cursor's that are not blank, without blanks around them."""
        found = (line.strip() for line in self.suffix.partition("\n")[2][:4_000].split("\n"))
        return [line for line in found if line][:3]

    @cached_property
    def lines_above(self) -> list[str]:
        """The last lines before the cursor's that are not blank, with their indentation."""
        return [line.rstrip() for line in self.prefix.rpartition("\n")[0][-4_000:].split("\n") if line.strip()][
            -_ROUND:
        ]

    @cached_property
    def open(self) -> Cursor:
        """Brackets and quotes that are open at the cursor."""
        return open_at(self.prefix, self.suffix, self.language)

    @property
    def in_text(self) -> bool:
        """True where the cursor stands in a string or a comment."""
        return self.open.in_text

    @cached_property
    def place(self) -> Place:
        """The hole, as a fault of a text in it is looked for."""
        return Place(self.prefix, self.suffix, self.language)

    @cached_property
    def unit(self) -> int:
        """Columns of one step of indentation, by the steps that the document has, or else the cursor's line; or 4."""
        near = self.prefix[-8_000:] + self.suffix[:4_000]
        widths = [len(blanks) for blanks in re.findall(r"^( {1,8})(?=\S)", near, re.M)]
        own = columns(self.line_before) if not self.line_before.strip() else 0
        return min((width for width in widths if width > 1), default=own or 4)

    @cached_property
    def tabs(self) -> bool | None:
        """True where the document indents by tabs, False by spaces, None where it does not say."""
        if self.language in YAML:
            return False
        near = self.prefix[-8_000:] + self.suffix[:4_000]
        tabs, spaces = len(re.findall(r"^\t+\S", near, re.M)), len(re.findall(r"^ {2,}\S", near, re.M))
        return None if tabs == spaces else tabs > spaces
