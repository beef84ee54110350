"""Prompts that hold the text before and after the cursor between a model's own marks, as some editors send them.

Sources: zed `crates/edit_prediction/src/fim.rs`, continue `core/autocomplete/templating/AutocompleteTemplate.ts`,
minuet-ai.nvim `recipes.md`; Qwen2.5-Coder's README for `<|file_sep|>`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

MARKS = (
    ("<|fim_prefix|>", "<|fim_suffix|>", "<|fim_middle|>"),
    ("<fim_prefix>", "<fim_suffix>", "<fim_middle>"),
    ("<|code_prefix|>", "<|code_suffix|>", "<|code_middle|>"),
    ("<｜fim▁begin｜>", "<｜fim▁hole｜>", "<｜fim▁end｜>"),  # noqa: RUF001  DeepSeek's marks have these characters
    ("<PRE> ", " <SUF>", " <MID>"),
)
"""Before the prefix, before the suffix, and at the end: Qwen and CodeGemma, StarCoder, GLM, DeepSeek, Code Llama."""
SUFFIX_FIRST = "[SUFFIX]", "[PREFIX]"
"""Codestral's."""
_FILE = re.compile(r"<\|?file_sep\|?>")


@dataclass(frozen=True, slots=True)
class AskedText:
    """What stands around the cursor, and what was sent beside it."""

    prefix: str
    suffix: str
    path: str = ""
    """Of the file, where the prompt names it."""
    others: tuple[tuple[str, str], ...] = ()
    """Paths and texts of other files."""


def read_prompt(prompt: str) -> AskedText:
    """Returns the parts of a prompt; without marks all of it stands before the cursor."""
    for before, between, end in MARKS:
        head, mark, rest = prompt.partition(before)
        prefix, second, suffix = rest.partition(between)
        if mark and second and suffix.endswith(end):
            path, others = _files(head)
            return AskedText(prefix, suffix.removesuffix(end), path, others)
    first, second = SUFFIX_FIRST
    if prompt.startswith(first) and second in prompt:
        suffix, _, prefix = prompt.removeprefix(first).partition(second)
        return AskedText(prefix, suffix)
    return AskedText(prompt, "")


def _files(head: str) -> tuple[str, tuple[tuple[str, str], ...]]:
    """The path of the file itself, which stands last, and the others: each begins with its path in a line."""
    sections = [section.partition("\n") for section in _FILE.split(head)[1:]]
    pairs = [(path.strip(), text) for path, _, text in sections]
    path = pairs.pop()[0] if pairs and not pairs[-1][1].strip() else ""
    return path, tuple(pairs)
