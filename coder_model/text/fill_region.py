"""A hole as a model sees it, and what becomes of the text that is to fill it; for local and remote models alike."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace

from coder_model.text.filters import filtered
from coder_model.text.normalize import newlines
from coder_model.text.stop_rules import StopRules
from coder_model.text.surroundings import FilterContext
from coder_model.text.syntax import language_of
from coder_model.types import FillRequest


@dataclass(frozen=True, slots=True)
class FillRegion:
    """A hole, and where a middle has to end in it."""

    request: FillRequest
    """As the model sees it."""
    stop_rules: StopRules
    around: FilterContext
    ending: str
    """Follows a text that is not empty."""

    @classmethod
    def of(cls, request: FillRequest) -> FillRegion:
        """Looks at a request.

        At the very start of a line that holds text, the middle is a new line before it.
        """
        ending = ""
        starts_line = not request.prefix or request.prefix.endswith("\n")
        if starts_line and request.suffix.partition("\n")[0].strip():
            request, ending = replace(request, suffix="\n" + request.suffix), "\n"
        language = request.language or language_of(request.path)
        stop_rules = StopRules.of(request.prefix, request.suffix, request.hole, language)
        around = FilterContext(newlines(request.prefix), newlines(request.suffix), request.hole, language)
        return cls(request, stop_rules, around, ending)

    def trim(self, text: str) -> str:
        """Returns a middle without what is beyond the hole."""
        trimmed = self.stop_rules.trim(text)
        return trimmed and trimmed + self.ending

    def filter(self, text: str, off: Collection[str]) -> tuple[str, tuple[str, ...]]:
        """Returns a finished middle after the filters that are not `off`, and the names of those that changed it."""
        return filtered(text, self.around, off)
