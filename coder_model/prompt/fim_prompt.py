"""From the text around the cursor to the token sequence that the model was trained on, and back to where it must go on.

The sequence is `<file> name <suf> suffix [<end>] (<snip> name text)* <pre> prefix`, and the middle follows the prefix
without a mark, so that a copied run stays a run. What changes least stands first: typing appends at the end, and the
KV cache of all that stands before stays valid.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

from coder_model.prompt.tokenizer import CodeTokenizer, SpecialTokens
from coder_model.text.normalize import file_name, folder_name, newlines
from coder_model.types import FillRequest, HoleMode

MAX_PREFIX_CHARS = 64_000
"""Nothing further back is looked at, neither by the model nor for copies."""
MAX_SUFFIX_CHARS = 16_000
MAX_HEAL_CHARS = 48
"""Most characters that are healed: the end of a longer word or run of blanks, as the middle must not be spent on it."""
MAX_NAME_TOKENS = 16
ANCHOR = 8
"""The crop of a long prefix moves in steps of 1/ANCHOR of its budget, so that most keystrokes do not move it."""


@dataclass(frozen=True, slots=True)
class Budget:
    """How many tokens each part of the sequence may take."""

    context: int
    """All of the sequence, the middle included."""
    suffix: int
    snippets: int
    middle: int

    @classmethod
    def of(cls, context_tokens: int) -> Budget:
        """The default split of a model's context."""
        return cls(context_tokens, context_tokens // 4, context_tokens // 4, context_tokens // 8)

    def reading(self, tokens: int) -> Budget:
        """The same split of fewer tokens before the middle, which keeps its own."""
        return Budget(tokens + self.middle, tokens // 4, tokens // 4, self.middle)


@dataclass(frozen=True, slots=True)
class Prompt:
    """What the model is given."""

    context: list[int]
    """Token ids of the sequence up to the last whole piece of the prefix."""
    heal: bytes
    """The bytes of the prefix's last piece: the middle's tokens must begin with them, and they are not new text."""
    document: list[int]
    """Token ids of the document before `heal`, not cropped to the budget: where drafts are copied from."""
    after: list[int]
    """Token ids of the suffix, not cropped to the budget: the other place to copy from."""
    others: list[list[int]]
    """Token ids of each snippet's text, those that do not fit the budget too: the third place to copy from."""
    behind: list[int]
    """Token ids that stand behind the middle: empty where the suffix comes first."""
    hole: HoleMode


@dataclass(frozen=True, slots=True)
class PromptParts:
    """Token ids of all that a model can be shown, cropped to its budget."""

    name: list[int]
    suffix: list[int]
    ends: bool
    """True when `suffix` reaches the end of the file."""
    snippets: list[list[int]]
    """Each with its name first."""
    prefix: list[int]
    folder: list[int] = field(default_factory=list)
    """Name of the folder that the file is in, as a line."""
    title: list[int] = field(default_factory=list)
    """Name of the file, as a line."""
    is_empty: bool = False
    """True when the file holds nothing but blanks and the word at the cursor."""


PromptFormat = Callable[[PromptParts], tuple[list[int], list[int]]]
"""Puts the parts in a model's order: what stands before the middle, and what behind it."""


def suffix_first(special_tokens: SpecialTokens) -> PromptFormat:
    """Returns the project's own form, see `layout`."""
    return lambda parts: (layout(special_tokens, parts), [])


def layout(special_tokens: SpecialTokens, parts: PromptParts) -> list[int]:
    """Puts the parts in order, with the special tokens between them."""
    ids = [special_tokens.file, *parts.name, special_tokens.suf, *parts.suffix]
    if parts.ends:
        ids.append(special_tokens.end)
    for snippet in parts.snippets:
        ids += [special_tokens.snip, *snippet]
    return [*ids, special_tokens.pre, *parts.prefix]


def build(request: FillRequest, tokenizer: CodeTokenizer, budget: Budget, form: PromptFormat) -> Prompt:
    """Turns a request into the model's sequence; a token that straddles the cursor is healed.

    The last piece of the prefix is dropped whole, because more text could have merged with it: two thirds of random
    cursors stand inside a token. Its bytes come back as a constraint on the first tokens of the middle.
    """
    prefix = newlines(request.prefix[-MAX_PREFIX_CHARS:])
    suffix = newlines(request.suffix[:MAX_SUFFIX_CHARS])
    piece = tokenizer.last_piece(prefix)[-MAX_HEAL_CHARS:]
    whole = prefix[: len(prefix) - len(piece)]
    lines = list(tokenizer.encode_lines(whole))
    after = tokenizer.encode(suffix)
    near = after[: budget.suffix]
    named = [tokenizer.encode(f"{file_name(s.path)}\n") for s in request.snippets]
    others = [tokenizer.encode(newlines(s.text)) for s in request.snippets]
    snippets = _fit([[*head, *text] for head, text in zip(named, others, strict=True)], budget.snippets)
    name = tokenizer.encode(file_name(request.path))[:MAX_NAME_TOKENS]
    line_end = tokenizer.encode("\n")
    folder = tokenizer.encode(folder_name(request.path))[:MAX_NAME_TOKENS] + line_end
    is_empty = not (whole.strip() or suffix.strip())
    parts = PromptParts(name, near, True, snippets, [], folder, name + line_end, is_empty)
    taken = sum(map(len, form(parts)))
    kept = crop(lines, max(budget.context - budget.middle - taken, ANCHOR))
    ends = len(near) == len(after) and len(request.suffix) <= MAX_SUFFIX_CHARS
    document = [token for line in lines for token in line]
    context, behind = form(replace(parts, ends=ends, prefix=kept))
    return Prompt(context, piece.encode(), document, after, others, behind, request.hole)


def crop(lines: list[list[int]], budget: int) -> list[int]:
    """Returns the last lines' tokens, at most `budget` of them, cut at a place that moves rarely as text is appended.

    The cut falls on the first line that starts at or after a multiple of `budget / ANCHOR` tokens from the start of the
    text; inside a line only when that line alone is over the budget.
    """
    total = sum(map(len, lines))
    if total <= budget:
        return [token for line in lines for token in line]
    step = max(1, budget // ANCHOR)
    cut = -(-(total - budget) // step) * step
    start = 0
    for index, line in enumerate(lines):
        if start >= cut and total - start > 0:
            return [token for kept in lines[index:] for token in kept]
        start += len(line)
    return lines[-1][cut - total :] if lines else []


def _fit(snippets: list[list[int]], budget: int) -> list[list[int]]:
    """The first snippets that fit the budget whole, one token more for each one's mark."""
    fitting: list[list[int]] = []
    for ids in snippets:
        if len(ids) < budget:
            fitting.append(ids)
            budget -= len(ids) + 1
    return fitting
