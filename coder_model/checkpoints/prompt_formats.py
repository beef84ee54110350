"""How a hole is put to a published model: the order of its parts, with the tokens that the model knows between them."""

from __future__ import annotations

from collections.abc import Mapping

from coder_model.checkpoints.families import Family
from coder_model.checkpoints.hf_config import Published
from coder_model.decoding import calibration
from coder_model.decoding.strategies import GenerationConfig
from coder_model.prompt.fim_prompt import PromptFormat, PromptParts


def prompt_format_of(family: Family, ids: Mapping[str, int], hidden_size: int = 0) -> PromptFormat:
    """Returns the order of the parts for a model.

    Args:
        family: names its tokens.
        ids: token -> id, of the tokenizer's added tokens; holds all that the family needs.
        hidden_size: of the model, where another order than its family's may have been measured as better.
    """
    start = [ids[family.start]] if family.start in ids else []
    end = ids[family.end[0]]

    def others(parts: PromptParts) -> list[int]:
        """Other files, and which one this is where they or its own text do not say it; what changes least first."""
        if not family.file or not (parts.snippets or parts.is_empty):
            return []
        folder = [ids[family.repository], *parts.folder] if family.repository else []
        files = [token for text in (*parts.snippets, parts.title) for token in (ids[family.file], *text)]
        return [*folder, *files]

    def between(parts: PromptParts) -> tuple[list[int], list[int]]:
        # something must stand before the first slot: its state speaks of it in the shifted form
        before = [*start, *parts.prefix] or [end]
        return before, [*parts.suffix, *([end] if parts.ends else [])]

    def left_to_right(parts: PromptParts) -> tuple[list[int], list[int]]:
        return [*start, *parts.prefix] or [end], []

    def prefix_first(parts: PromptParts) -> tuple[list[int], list[int]]:
        prefix, suffix, middle = (ids[token] for token in family.fim)
        return [*start, *others(parts), prefix, *parts.prefix, suffix, *parts.suffix, middle], []

    def suffix_first(parts: PromptParts) -> tuple[list[int], list[int]]:
        prefix, suffix, middle = (ids[token] for token in family.fim)
        return [*start, *others(parts), suffix, *parts.suffix, prefix, *parts.prefix, middle], []

    def appended(parts: PromptParts) -> tuple[list[int], list[int]]:
        # the prefix as the beginning of the middle: no mark between them, and typing only appends
        prefix, suffix, middle = (ids[token] for token in family.fim)
        return [*start, *others(parts), prefix, suffix, *parts.suffix, middle, *parts.prefix], []

    forms: dict[str, PromptFormat] = {
        "between": between,
        "left_to_right": left_to_right,
        "prefix_first": prefix_first,
        "suffix_first": suffix_first,
        "appended": appended,
    }
    return forms[family.form_of(hidden_size)]


def generation_config_of(published: Published) -> GenerationConfig:
    """Returns how a published model wants to be asked."""
    family, ids, eom = published.family, published.tokens, published.special_tokens.eom
    operations = (ids[family.expand], eom) if family.expand else None
    ends = tuple(ids[token] for token in family.end if token in ids and ids[token] != eom)
    form = prompt_format_of(family, ids, published.config.d_model)
    return GenerationConfig(
        form,
        operations,
        copies_count=False,
        shows_empty_line=family.attention != "causal",
        ends=ends,
        calibration=calibration.REAL,
    )
