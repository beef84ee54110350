"""Statements that nothing gets to: a suggestion is none, and makes none of what stands below it. Torch-free."""

from __future__ import annotations

import re

from coder_model.text.brackets import scan
from coder_model.text.normalize import columns, first_lines
from coder_model.text.surroundings import FilterContext

_LANGUAGES = {
    "python", "javascript", "javascriptreact", "typescript", "typescriptreact", "go", "rust", "lua", "java", "c", "cpp",
    "csharp", "php", "kotlin", "swift", "ruby", "dart", "groovy", "objective-c", "objective-cpp", "zig", "perl",
}  # fmt: skip
"""Where the words below always end a run of statements, unless they name a member."""
_LEAVES = re.compile(r"\s*(?:return|raise|throw|break|continue)\b(?![?(:=])")
_GOES_ON = re.compile(r"[({\[,+\-*/=&|?:\\.<]\s*$|<<<?[~-]?['\"]?[A-Z]")
"""Operators at the end, and texts that begin on the next line."""
_MODIFIER = re.compile(r"\s(?:if|unless|while|until)\b")
_WITH_MODIFIERS = {"ruby", "perl"}
_STATEMENT = re.compile(r"[\w$]")
_BRANCH = re.compile(
    r"(?:case|default|when|else|elif|elsif|except|finally|catch|rescue|ensure|until|end\w*)\b|\w+:(?!:)"
)
_DEFINITION = re.compile(
    r"(?:async|export|local|def|class|struct|enum|interface|record|function|func|fun|fn|sub|public|private|protected"
    r"|internal|static)\b"
    r"|(?!return\b|throw\b|new\b|await\b|echo\b|yield\b|raise\b)(?:[\w<>\[\]?]+\s+)+\w+\s*\("
)
"""What may be called from further up; not in Python."""
_COMMENT = re.compile(r"\s*(?://|/\*|\*|--|# )")


def unreachable(text: str, around: FilterContext) -> str:
    """Ends before a statement behind one that leaves the block, and before one that would leave it too early."""
    if around.language not in _LANGUAGES or around.in_text or not text.strip():
        return text
    lines = (around.line_before + text).split("\n")
    # what somebody has begun is wanted
    first = 1 if around.line_before.strip() else 0
    leaving = ""
    for line in around.lines_above:
        leaving = _leaving(line, leaving, around.language)
    for number, line in enumerate(lines):
        if number >= first and leaving and _is_behind(line, leaving, around.language):
            return first_lines(text, number)
        leaving = _leaving(line, leaving, around.language)
    follows = next((line for line in around.suffix.split("\n")[1:] if line.strip()), "")
    leaves_early = bool(leaving) and leaving == lines[-1] and not around.rest_of_line.strip()
    if leaves_early and len(lines) > first and _is_behind(follows, leaving, around.language):
        return first_lines(text, len(lines) - 1)
    return text


def _leaving(line: str, before: str, language: str) -> str:
    """The statement that has left the block once a line is said; empty when none has."""
    if not line.strip() or _COMMENT.match(line):
        return before
    goes_on = _GOES_ON.search(line) or any(not frame.comment for frame in scan(line, language).frames)
    may_stay = language in _WITH_MODIFIERS and _MODIFIER.search(line)
    return line if _LEAVES.match(line) and not goes_on and not may_stay else ""


def _is_behind(line: str, leaving: str, language: str) -> bool:
    """True for a statement at the same depth."""
    words = line.strip()
    may_stand_there = _BRANCH.match(words) or (language != "python" and _DEFINITION.match(words))
    return bool(_STATEMENT.match(words)) and not may_stand_there and columns(line) == columns(leaving)
