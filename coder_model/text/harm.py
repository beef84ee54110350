"""Would a text, once accepted, leave a document with more faults than it has now; torch-free.

A fault is an error of the syntax tree; in a language without a grammar it is a bracket or a quote without a partner.
What a person would only have to type on (a bracket or a block that the text opens at its end) is none, unless something
that stands behind the cursor on its line says that the bracket is closed already.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

from coder_model.text.brackets import Frame, faults, open_at, open_strings, outside_text, scan
from coder_model.text.lexis import lexis_of
from coder_model.text.syntax import errors_in, has_grammar

WINDOW_CHARS = 8_000
"""Text that is looked at on either side of the hole."""
_TOP = re.compile(r"(?m)^(?![)\]}#/*])\S")
_TOPS_TRIED = 3
_FENCED = {"markdown", "mdx", "quarto", "rmd"}
FENCE = re.compile(r"(?m)^[ \t]*(?:```|~~~)")
_STAND_INS = ("x", "x()", "x;", "x: 1")
"""What a hole is filled with to see what else is wrong."""
_CONTINUATIONS = {
    "python": (
        "\n{indent}    pass",
        "\n{indent}    pass\n{indent}except E:\n{indent}    pass",
        "\n{indent}def f(): pass",
    ),
    "lua": ("\nend", " end", "\nuntil x", " then end", "()"),
    "rust": ("\nfn f() {{}}", ";", " {{}}"),
    "javascript": (" finally {{}}", " {{}}"),
    "typescript": (" finally {{}}", " {{}}", ": string;"),
    "java": (" finally {{}}", ";", " {{}}", "\nvoid f() {{}}"),
    "go": (" {{}}",),
    "c": (";", " {{}}"),
    "cpp": (";", " {{}}"),
}
"""What may follow on the next lines, where a text alone would be an error."""


@dataclass(frozen=True)
class Place:
    """A hole and the text around it."""

    prefix: str
    suffix: str
    language: str

    def bears(self, text: str) -> bool:
        """Returns whether the document has no more faults with `text` in the hole than it has without."""
        if self._in_angles and not _angles_match(text):
            return False
        if self._in_fence and _leaves_fence_open(self.prefix + text + self.suffix):
            return False
        if lexis_of(self.language).loose and self._line_faults(text) > self._line_faults(""):
            return False
        return any(self._faults(one) <= self._now for one in self._readings(text))

    @cached_property
    def _in_angles(self) -> bool:
        """True among the arguments of a type."""
        frames = open_at(self.prefix, self.suffix, self.language).frames
        return bool(frames) and frames[-1].closer == ">"

    @cached_property
    def _in_fence(self) -> bool:
        """True in a fence that is closed below the cursor."""
        is_in_one = self.language in _FENCED and _leaves_fence_open(self.prefix)
        return is_in_one and not _leaves_fence_open(self.prefix + self.suffix)

    def _line_faults(self, text: str) -> int:
        """Faults of the cursor's line, where something that stands behind the cursor may belong to it."""
        rest = self.suffix.partition("\n")[0]
        return faults(self.prefix.rpartition("\n")[2] + text + rest, self.language) if rest.strip() else 0

    @cached_property
    def _window(self) -> tuple[str, str]:
        before, after = self.prefix[self._start :], self.suffix[:WINDOW_CHARS]
        if len(after) < len(self.suffix) and "\n" in after:
            after = after.rpartition("\n")[0] + "\n"
        return before, after

    @property
    def _start(self) -> int:
        """Where the window begins: best at a line of the outermost level, never inside a string."""
        if len(self.prefix) <= 2 * WINDOW_CHARS:
            return 0
        first = len(self.prefix) - 2 * WINDOW_CHARS
        tops = [match.start() for match in _TOP.finditer(self.prefix, first, len(self.prefix) - WINDOW_CHARS // 2)]
        for at in reversed(tops[-_TOPS_TRIED:]):
            if outside_text(self.prefix, at, self.language) == at:
                return at
        return outside_text(self.prefix, len(self.prefix) - WINDOW_CHARS, self.language)

    @cached_property
    def _now(self) -> int:
        """The fewest faults that the document can have: a hole that must be filled is none of them."""
        now = self._faults("")
        stand_ins = _STAND_INS if now and has_grammar(self.language) else ()
        return min([now, *(self._faults(text) for text in stand_ins)])

    def _faults(self, text: str) -> int:
        before, after = self._window
        document = before + text + after
        if has_grammar(self.language):
            return errors_in(document, self.language)
        lexis = lexis_of(self.language)
        if lexis.quoted:
            return open_strings(document, self.language)
        return 0 if lexis.loose else faults(document, self.language)

    def _readings(self, text: str) -> Iterator[str]:
        """The text, and where nothing follows on its line what it may be the beginning of."""
        yield text
        if self.suffix.partition("\n")[0].strip():
            return
        body = text.rstrip("\n")
        line = (self.prefix.rpartition("\n")[2] + body).rpartition("\n")[2]
        indent = line[: len(line) - len(line.lstrip())]
        closers = "".join(frame.closer for frame in reversed(self._opened(body)))
        if closers:
            yield body + closers
        family = re.sub("react$", "", self.language)
        for continuation in _CONTINUATIONS.get(family, ()):
            yield f"{body}{closers}{continuation.format(indent=indent)}"

    def _opened(self, text: str) -> list[Frame]:
        """The brackets that a text opens and leaves open."""
        tail = self.prefix[-3:]
        found = scan(tail + text, self.language, [], len(tail))
        return [frame for frame in found.frames[found.kept :] if not frame.text]


def _leaves_fence_open(text: str) -> bool:
    return len(FENCE.findall(text)) % 2 == 1


def _angles_match(text: str) -> bool:
    """True when a text closes as many `<` as it opens, none before it is open; arrows are none."""
    depth = 0
    for said in re.findall(r"[-=]>|<=|[<>]", text):
        depth += (said == "<") - (said == ">")
        if depth < 0:
            return False
    return not depth
