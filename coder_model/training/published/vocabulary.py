"""The vocabulary of a training: which tokens of the published model stay, and which of them may be said.

Tokens are counted over a corpus and numbered anew, the most frequent first, so that the rows of the head are the first
ones of the table, and the ids of any model's corpus fit 16 bits.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from coder_model.errors import CorpusError, ModelFileError
from coder_model.prompt.tokenizer import CodeTokenizer
from coder_model.training.published.holes import HoleTokens

if TYPE_CHECKING:
    # a lent machine trains on what was cut elsewhere, without the libraries that read published models
    from coder_model.checkpoints.hf_config import Published

KEPT, HEAD_TOKENS = 49_152, 32_768
"""Tokens of the table and of the head, where the larger model has as many."""
LEAST_CONTEXT = 256
"""Tokens that a larger model must be able to see for a sequence to hold a suffix, a prefix and some blocks."""


@dataclass(frozen=True, slots=True)
class Cut:
    """A vocabulary with fewer tokens."""

    ids: npt.NDArray[np.int32]
    """[kept] the larger model's id of each token, the most frequent first; the last one stands for all others."""
    head_tokens: int
    """Tokens that may be said: the first ones."""

    def renumbered(self, tokens: npt.NDArray[np.unsignedinteger], vocab_size: int) -> npt.NDArray[np.uint16]:
        """Returns tokens of the larger model in the new numbers."""
        new = np.full(vocab_size, len(self.ids) - 1, np.uint16)
        new[self.ids] = np.arange(len(self.ids), dtype=np.uint16)
        renumbered: npt.NDArray[np.uint16] = new[tokens]
        return renumbered


def cut_of(counts: npt.NDArray[np.int64], always: list[int], unknown: int, kept: int, head_tokens: int) -> Cut:
    """Chooses the tokens that stay.

    Args:
        counts: [V] how often each token is in the corpus.
        always: ids that the head must have: marks, and single bytes, without which not every text could be said.
        unknown: id that stands for what is cut; in no text.
        kept: tokens of the table, at most V and at most 65,536.
        head_tokens: tokens of the head, less than `kept`.
    """
    ranked = counts.copy()
    ranked[always] = counts.max() + 1
    ranked[unknown] = -1
    ids = np.argsort(-ranked, kind="stable")[: kept - 1]
    return Cut(np.append(ids, unknown).astype(np.int32), head_tokens)


def check_is_trainable(published: Published, role: str = "target") -> None:
    """Refuses a model that nothing can be trained for, before anything of it is read.

    Args:
        published: the model.
        role: what it is called to the user.

    Raises:
        ModelFileError: when it is not autoregressive, has no fill-in-the-middle tokens, or is too small.
    """
    family, config = published.family, published.config
    if family.attention != "causal" or not all(family.fim):
        raise ModelFileError(
            f"{role} must be an autoregressive model with fill-in-the-middle tokens, such as qwen2.5-coder-0.5b; "
            f"{published.path} is a {family.name} model"
        )
    if config.n_layers < 2 or config.context_tokens < LEAST_CONTEXT:
        raise ModelFileError(
            f"{role} must have at least 2 layers and see {LEAST_CONTEXT} tokens, "
            f"found {config.n_layers} and {config.context_tokens}"
        )


def check_same_vocabulary(
    published: Published, tokenizer: CodeTokenizer, teacher: Published, theirs: CodeTokenizer
) -> None:
    """Refuses a teacher that has other tokens than its pupil; ids that no text and no prompt has do not matter.

    Raises:
        ModelFileError: when a token of the pupil is another one of the teacher.
    """
    family = published.family
    marks = [name for name in (*family.fim, *family.end, family.file, family.repository) if name]
    pairs = zip(tokenizer.token_bytes, theirs.token_bytes, strict=False)
    few = min(len(tokenizer.token_bytes), len(theirs.token_bytes))
    is_same = all(mine == other for mine, other in pairs) and not any(tokenizer.token_bytes[few:])
    if not is_same or any(published.tokens[name] != teacher.tokens.get(name) for name in marks):
        raise ModelFileError(f"teacher must have the vocabulary of the target, {teacher.path} has another")


def head_size(published: Published, tokenizer: CodeTokenizer, wanted: int | None = None, kept: int = KEPT) -> int:
    """Returns how many tokens may be said.

    Args:
        published: the larger model.
        tokenizer: of it.
        wanted: by the user; `HEAD_TOKENS`, or as many as there are, when absent.
        kept: most tokens of the table.

    Raises:
        CorpusError: when that is less than what every text needs, or more than the table has.
    """
    least, most = len(_always(published, tokenizer)), min(kept, published.config.vocab_size) - 1
    found = min(HEAD_TOKENS, most) if wanted is None else wanted
    if not least <= found <= most:
        raise CorpusError(f"head-tokens must be from {least} to {most}, got {found}")
    return found


def choose_vocabulary(
    published: Published, tokenizer: CodeTokenizer, counts: npt.NDArray[np.int64], head_tokens: int, kept: int = KEPT
) -> tuple[Cut, HoleTokens]:
    """Returns the tokens that stay, and what the sampler must know of them, in the new numbers.

    Args:
        published: the larger model, see `check_is_trainable`.
        tokenizer: of it.
        counts: [V] how often each token is in the corpus.
        head_tokens: see `head_size`.
        kept: most tokens of the table, at most 65,536.

    Raises:
        ModelFileError: when no id of the model is free to stand for what is cut.
    """
    tokens, kept = published.tokens, min(kept, published.config.vocab_size)
    always = _always(published, tokenizer)
    cut = cut_of(counts, always, _free_id(published, tokenizer, always), kept, head_tokens)
    new = {int(old): index for index, old in enumerate(cut.ids)}
    number = {data: index for old, index in new.items() if (data := tokenizer.token_bytes[old])}
    breaks = np.array([_parts(tokenizer.token_bytes[old], number) for old in cut.ids], np.int64)
    prefix, suffix, middle = (new[tokens[name]] for name in published.family.fim)
    end = new[published.special_tokens.end]
    is_appended = published.family.form_of(published.config.d_model) == "appended"
    return cut, HoleTokens(prefix, suffix, middle, end, kept - 1, breaks, is_appended)


def _always(published: Published, tokenizer: CodeTokenizer) -> list[int]:
    """Ids that every head has: marks of prompts, ends, and single bytes, without which not every text could be said."""
    family = published.family
    marks = [published.tokens[name] for name in (*family.fim, *family.end, family.file, family.repository) if name]
    return marks + [i for i, data in enumerate(tokenizer.token_bytes) if len(data) == 1]


def _free_id(published: Published, tokenizer: CodeTokenizer, used: list[int]) -> int:
    """An added token that no prompt has, else a row that no token has."""
    for number in [*sorted(published.tokens.values()), *range(published.config.vocab_size)]:
        if number not in used and not tokenizer.token_bytes[number]:
            return int(number)
    raise ModelFileError(f"{published.path} must have an id that no text and no prompt has, found none")


def _parts(text: bytes, number: Mapping[bytes, int]) -> tuple[int, int]:
    """The tokens before and from the first line end of a token; see `HoleTokens.breaks`."""
    before, end, after = text.partition(b"\n")
    parts = number.get(before, -1) if before else -1, number.get(end + after, -1)
    return parts if end and (not before or parts[0] >= 0) else (-1, -1)
