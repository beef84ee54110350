"""Does a middle leave the document with syntax errors, and which other middle is the likeliest not to.

Greedy decoding cannot take a token back. Where its middle breaks the document, the engine decodes again from the places
where another token was nearly chosen, and takes the first middle that leaves fewer errors.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

from coder_model.decoding.token_selector import Choice
from coder_model.text.idle_loops import leaves_idle_loop
from coder_model.text.syntax import errors_in, language_of
from coder_model.types import FillRequest

CUTS = 6
"""Places tried from the end of an unfinished middle: single tokens, then line ends; each costs a parse."""
NEARLY_CHOSEN = 0.03
"""How likely the start of another middle must be to be tried instead of one that the document has already."""
WINDOW_CHARS = 8_000
"""Text parsed on each side of the hole: milliseconds, however long the document is."""

_OPENS_BLOCK = re.compile(r"\s*(?:async|case|class|def|elif|else|except|finally|for|if|match|try|while|with)\b.*:\s*")


@dataclass(frozen=True)
class SyntaxCheck:
    """Counts the syntax errors of the text around a hole with middles put into it."""

    before: str
    after: str
    language: str

    @classmethod
    def of(cls, request: FillRequest) -> SyntaxCheck:
        """Takes the surroundings of a hole."""
        before, after = request.prefix[-WINDOW_CHARS:], request.suffix[:WINDOW_CHARS]
        if len(before) < len(request.prefix):
            # a window that begins inside a block would be broken from its start
            before = "\n" + before.partition("\n")[2]
        return cls(before, after, request.language or language_of(request.path))

    @cached_property
    def floor(self) -> int:
        """Errors that are there without the cursor's line: not the middle's fault; most middles never ask."""
        without_line = self.before.rpartition("\n")[0] + "\n" + self.after.partition("\n")[2]
        return errors_in(without_line, self.language)

    @property
    def is_empty_line(self) -> bool:
        """Whether the cursor's line holds nothing but blanks, and the file more: in an empty one nothing is missed."""
        line = self.before.rpartition("\n")[2] + self.after.partition("\n")[0]
        return not line.strip() and bool(self.before.strip() or self.after.strip())

    def errors(self, middle: str) -> int:
        """Returns the error and missing nodes above the floor, 0 for a language without a grammar."""
        found = errors_in(self.before + middle + self.after, self.language)
        return max(0, found - self.floor) if found else 0

    def breaks(self, middle: str) -> bool:
        """Returns whether a middle leaves more errors than nothing in its place: that may be unfinished, as code is."""
        found = self.errors(middle)
        return found > 0 and found > self.errors("")

    def opens_block(self, middle: str) -> bool:
        """Returns whether the line that a middle ends in opens a block of Python, and has nothing of it."""
        return self.language == "python" and bool(_OPENS_BLOCK.fullmatch(self._last_line(middle)))

    def leaves_idle_loop(self, middle: str) -> bool:
        """Returns whether a middle leaves the head of a loop whose third part does nothing."""
        return leaves_idle_loop(self.before, middle, self.after, self.language)

    def _last_line(self, middle: str) -> str:
        return (self.before + middle).rpartition("\n")[2] + self.after.partition("\n")[0]

    def leaves_block_empty(self, middle: str) -> bool:
        """Returns whether a middle opens a block of Python that the line after it does not go on with.

        The grammar has nothing against it, and somebody may yet write the block; of finished text it is wrong.
        """
        if not self.opens_block(middle):
            return False
        following = next((line for line in self.after.split("\n")[1:] if line.strip()), "")
        return bool(following) and _indentation(following) <= _indentation(self._last_line(middle))


def _indentation(line: str) -> int:
    return len(line) - len(line.lstrip())


def parsing_run(
    tokens: list[int], text_of: Callable[[list[int]], str], syntax: SyntaxCheck, whole_lines: bool = False
) -> list[int]:
    """Returns the longest start of an unfinished middle that parses and ends no line that opens a block.

    Of several lines the last one goes: nobody can tell a whole one from its begin. It is empty when there is none near
    the middle's end.

    Args:
        tokens: decided so far.
        text_of: their text.
        syntax: of the surroundings.
        whole_lines: the run must end where a line does, also when nothing is left then.
    """
    whole = len(tokens)
    texts = [text_of(tokens[:n]) for n in range(whole + 1)]
    lines = [n for n in range(whole - 1, 0, -1) if texts[n].count("\n") < texts[n + 1].count("\n")]
    last = [] if whole_lines else range(whole, max(0, whole - CUTS), -1)
    for n in [*lines[:CUTS], *last] if any(texts[n].strip() for n in lines[:1]) else last:
        if not (syntax.errors(texts[n]) or syntax.opens_block(texts[n]) or syntax.leaves_idle_loop(texts[n])):
            return tokens[:n]
    return []


def branches(choices: list[Choice], count: int, least: float = 0.0) -> list[list[int]]:
    """Returns the starts of the `count` likeliest other middles: the tokens chosen up to a rival, and that rival.

    A start that is less likely than `least`, in [0, 1), is none of them.
    """
    reached = 0.0
    found = []
    for index, choice in enumerate(choices):
        if choice.rival_probability > 0:
            found.append((reached + math.log(choice.rival_probability), index))
        reached += math.log(max(choice.probability, 1e-9))
    found.sort(reverse=True)
    tokens = [choice.token for choice in choices]
    likely = [index for start, index in found[:count] if not least or start >= math.log(least)]
    return [[*tokens[:index], choices[index].rival] for index in likely]
