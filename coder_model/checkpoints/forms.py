"""How a hole is put to a published model: the order of its parts, with the tokens that the model knows between them."""

from __future__ import annotations

from collections.abc import Mapping

from coder_model.checkpoints.families import Family
from coder_model.prompt import Form, Parts


def form_of(family: Family, ids: Mapping[str, int]) -> Form:
    """Returns the order of a family.

    Args:
        family: names its tokens.
        ids: token -> id, of the tokenizer's added tokens; holds all that the family needs.
    """
    start = [ids[family.start]] if family.start in ids else []
    end = ids[family.end[0]]

    def others(parts: Parts) -> list[int]:
        return [token for snippet in parts.snippets for token in (ids[family.file], *snippet)] if family.file else []

    def between(parts: Parts) -> tuple[list[int], list[int]]:
        # something must stand before the first slot: its state speaks of it in the shifted form
        before = [*start, *parts.prefix] or [end]
        return before, [*parts.suffix, *([end] if parts.ends else [])]

    def left_to_right(parts: Parts) -> tuple[list[int], list[int]]:
        return [*start, *parts.prefix] or [end], []

    def prefix_first(parts: Parts) -> tuple[list[int], list[int]]:
        prefix, suffix, middle = (ids[token] for token in family.fim)
        return [*start, *others(parts), prefix, *parts.prefix, suffix, *parts.suffix, middle], []

    def suffix_first(parts: Parts) -> tuple[list[int], list[int]]:
        prefix, suffix, middle = (ids[token] for token in family.fim)
        return [*start, *others(parts), suffix, *parts.suffix, prefix, *parts.prefix, middle], []

    forms: dict[str, Form] = {
        "between": between,
        "left_to_right": left_to_right,
        "prefix_first": prefix_first,
        "suffix_first": suffix_first,
    }
    return forms[family.form]
