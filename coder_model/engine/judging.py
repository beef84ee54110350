"""How likely a model finds a text that stands in a hole, token by token, given what is before and behind it."""

from __future__ import annotations

import codecs
import math
import time
from collections.abc import Callable, Iterator

from torch import Tensor

from coder_model.decoding.strategies import CausalStrategy, DecodingStrategy
from coder_model.prompt.fim_prompt import Prompt
from coder_model.prompt.vocabulary import Vocabulary
from coder_model.text.normalize import newlines
from coder_model.types import Cancelled, Draft, InvalidInput, Slot

LEAST_PARAMETERS = 300_000_000
"""Of a model whose judgement is worth anything: `docs/usage.md` has what a smaller one mends and harms."""
REFUSAL = f"a text must be judged by a causal model of at least {LEAST_PARAMETERS // 10**6} M parameters"
FLOOR = 1e-9
"""Probability of a token that no middle may hold."""


def judged(
    text: str,
    prompt: Prompt,
    strategy: DecodingStrategy,
    vocabulary: Vocabulary,
    most_tokens: int,
    cancelled: Callable[[], bool],
) -> Draft:
    """Returns a final draft of the text, with a slot for each of its tokens and one for its end.

    Args:
        text: what stands in the hole of the prompt.
        prompt: what stands around it.
        strategy: of a causal model.
        vocabulary: of the model.
        most_tokens: of the text.
        cancelled: asked before every pass.

    Raises:
        InvalidInput: when the text has too many tokens.
        Cancelled: within one pass after `cancelled` says so.
    """
    began = time.perf_counter()
    assert isinstance(strategy, CausalStrategy)
    tokens = vocabulary.tokenizer.encode(prompt.heal.decode() + newlines(text))
    if len(tokens) > most_tokens:
        raise InvalidInput(f"a text must have at most {most_tokens} tokens to be judged, got {len(tokens)}")

    def check() -> None:
        if cancelled():
            raise Cancelled

    rows = (row for part in strategy.expectations(prompt, tokens, check) for row in part)
    slots = tuple(_slots(tokens, rows, vocabulary, len(prompt.heal)))
    mean = sum(math.log(slot.confidence) for slot in slots) / len(slots)
    elapsed_ms = (time.perf_counter() - began) * 1000
    return Draft(text, True, math.exp(mean), 1, len(slots), elapsed_ms, slots=slots)


def _slots(tokens: list[int], rows: Iterator[Tensor], vocabulary: Vocabulary, healed: int) -> Iterator[Slot]:
    """The tokens behind the first `healed` bytes, which are old text, and the end of the middle."""
    # a character may be cut into tokens: its last one has it
    decoder = codecs.getincrementaldecoder("utf-8")("ignore")
    for token, row in zip(tokens, rows, strict=False):
        data = vocabulary.bytes[token]
        left, healed = data[healed:], max(0, healed - len(data))
        if left:
            yield _slot(decoder.decode(left), row, [token])
    yield _slot("", next(rows), sorted(vocabulary.all_ends))


def _slot(text: str, expected: Tensor, tokens: list[int]) -> Slot:
    """One of several tokens that mean the same, given the distribution [V] float32 at its place."""
    probability = float(expected[tokens].sum())
    rival = float(expected.index_fill(0, expected.new_tensor(tokens).long(), 0.0).max())
    return Slot(text, max(probability, FLOOR), masked=False, rival=rival)
