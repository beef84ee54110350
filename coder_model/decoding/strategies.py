"""How a middle is decoded, by the attention mask of the model: one class each, one object of it per document."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Protocol, Self

import torch
from torch import Tensor

from coder_model.decoding.acceptance import DraftAcceptance
from coder_model.decoding.calibration import SMALL, Calibration
from coder_model.decoding.completion import Completion
from coder_model.decoding.diffusion import MOST_EXPANDED, fill_between, fill_blocks
from coder_model.decoding.draft_and_verify import DecodingStep, FillOptions, MiddleLoop, draft_from_text
from coder_model.decoding.loop_passes import run_alone, run_together
from coder_model.decoding.read_ahead import ReadAhead
from coder_model.decoding.token_selector import Choice, TokenSelector
from coder_model.prompt.fim_prompt import Prompt, PromptFormat
from coder_model.prompt.vocabulary import Vocabulary
from coder_model.runtime.bidirectional_sequence import BidirectionalSequence
from coder_model.runtime.passes import PassRunner
from coder_model.runtime.sequence import Check, Sequence

TOGETHER = 32
"""Tokens of a pass over several branches: a longer one is no chain of jobs, see `layer_stack.py`."""
WARM_TOKENS = 128
"""Tokens that are read in one pass while nobody waits: who does wait gets the model after it."""


@dataclass(frozen=True, slots=True)
class GenerationConfig:
    """How a model wants to be asked, beyond its shape."""

    form: PromptFormat
    """Order of the parts of the sequence."""
    operations: tuple[int, int] | None = None
    """Tokens that make a slot two, and none."""
    copies_count: bool = True
    """Whether what the text proposes takes part in choosing a token; else it is only a draft to be verified."""
    shows_empty_line: bool = True
    """Whether a hole at the start of a line that holds text is put as an empty line before that; else as it is, and the
    model has to write the line end, as those do that were trained on the text of whole files."""
    ends: tuple[int, ...] = ()
    """Tokens besides the end of the middle that end one."""
    calibration: Calibration = SMALL
    """How often it is right."""


@dataclass(frozen=True, slots=True)
class EngineContext:
    """What the documents of one model share."""

    runner: PassRunner
    """Runs the passes of all documents."""
    vocabulary: Vocabulary
    options: FillOptions
    acceptance: DraftAcceptance
    refresh_every: int
    """One in so many passes of a bidirectional model is exact, see `BidirectionalSequence`."""


class DecodingStrategy(Protocol):
    """One document's state, and how its next middle is decoded."""

    proposes: bool
    """Whether drafts from the text are of use."""

    @property
    def held(self) -> list[int]:
        """Tokens that need not be read again where a context begins with them."""

    @property
    def n_bytes(self) -> int:
        """Memory that is freed with it."""

    def copied(self, length: int) -> DecodingStrategy | None:
        """Returns another document's state that holds the first `length` tokens; None where there can be none."""

    def read(self, prompt: Prompt, check: Check) -> None:
        """Reads the prompt in small portions, as far as a fill would not have to."""

    def fill(
        self, prompt: Prompt, selector: TokenSelector, middle: Completion, context: EngineContext, check: Check
    ) -> Iterator[DecodingStep]:
        """Reads the prompt and fills the middle; yields after every pass."""

    def fill_branches(
        self, prompt: Prompt, branches: list[Branch], context: EngineContext, check: Check
    ) -> Iterator[None]:
        """Fills other middles of the hole that was filled last; yields after every pass."""


@dataclass(frozen=True, slots=True)
class Branch:
    """Another middle than the one that was decoded, of which the first tokens are given."""

    start: tuple[Choice, ...]
    """How these were chosen: all but the last one are those of the first middle."""
    selector: TokenSelector
    """Decides the others, and says the start again where it is asked for."""
    middle: Completion
    """Filled in."""


def _one_by_one(
    strategy: DecodingStrategy, prompt: Prompt, branches: Iterable[Branch], context: EngineContext, check: Check
) -> Iterator[None]:
    for branch in branches:
        for _ in strategy.fill(prompt, branch.selector, branch.middle, context, check):
            yield


class _OverSequence:
    """What is kept in a cache."""

    sequence: Sequence

    @property
    def held(self) -> list[int]:
        """The committed tokens."""
        return self.sequence.tokens

    @property
    def n_bytes(self) -> int:
        """Bytes of the cache."""
        return self.sequence.n_bytes

    def copied(self, length: int) -> Self | None:
        """Another state, with a part of the cache."""
        if (sequence := self.sequence.copied(length)) is None:
            return None
        other = copy.copy(self)
        other.sequence = sequence
        return other

    def read(self, prompt: Prompt, check: Check) -> None:
        """Reads the context; a fill of it has only the passes left that decide tokens."""
        self.sequence.read(prompt.context, check, WARM_TOKENS)


class CausalStrategy(_OverSequence):
    """Drafts that the model verifies token by token, over an exact cache."""

    proposes = True

    def __init__(self, context: EngineContext) -> None:
        self.sequence = Sequence(context.runner)

    def fill(
        self, prompt: Prompt, selector: TokenSelector, middle: Completion, context: EngineContext, check: Check
    ) -> Iterator[DecodingStep]:
        """Reads the prompt and fills the middle; yields after every pass."""
        options, acceptance = context.options, context.acceptance
        draft = draft_from_text(selector, options, acceptance)
        ahead = ReadAhead(self.sequence, self.sequence.read_with(prompt.context, draft, check), draft)
        return run_alone(MiddleLoop(ahead, selector, options, acceptance, middle, check).run(), context.runner)

    def fill_branches(
        self, prompt: Prompt, branches: list[Branch], context: EngineContext, check: Check
    ) -> Iterator[None]:
        """Fills all of them in the same passes, where the runner has room for that; yields after every pass."""
        decided = [len(prompt.context) + len(branch.start) - 1 for branch in branches]
        if not branches or not (sequences := self.sequence.branched(decided)):
            yield from _one_by_one(self, prompt, branches, context, check)
            return
        # what is denoised is denoised for one of them
        length = max(2, 1 << (TOGETHER // len(branches)).bit_length() - 1)
        options = replace(context.options, policy=None, block_length=min(length, context.options.block_length))
        loops = []
        for branch, sequence in zip(branches, sequences, strict=True):
            ahead = ReadAhead(sequence, torch.empty(1, 0), [])
            loop = MiddleLoop(ahead, branch.selector, options, DraftAcceptance(0.0), branch.middle, check)
            loops.append(loop.run(branch.start))
        yield from run_together(loops, context.runner)

    def expectations(self, prompt: Prompt, tokens: list[int], check: Check) -> Iterator[Tensor]:
        """Yields what the model expects at each of the tokens that stand in the hole, and behind the last."""
        return self.sequence.expectations(prompt.context, tokens, check)


class BlockStrategy(_OverSequence):
    """Aligned blocks, one after the other, over an exact cache."""

    proposes = False

    def __init__(self, context: EngineContext) -> None:
        self.sequence = Sequence(context.runner)

    def fill(
        self, prompt: Prompt, selector: TokenSelector, middle: Completion, context: EngineContext, check: Check
    ) -> Iterator[DecodingStep]:
        """Reads the prompt and fills the middle; yields after every pass."""
        return fill_blocks(self.sequence, prompt, selector, context.options, middle, check)

    def fill_branches(
        self, prompt: Prompt, branches: list[Branch], context: EngineContext, check: Check
    ) -> Iterator[None]:
        """Fills one after the other; yields after every pass."""
        return _one_by_one(self, prompt, branches, context, check)


class BidirectionalStrategy:
    """A canvas between prefix and suffix; nothing is kept from one hole to the next."""

    proposes = False
    n_bytes = 0

    @property
    def held(self) -> list[int]:
        """None."""
        return []

    def copied(self, length: int) -> None:
        """There is nothing to copy."""

    def read(self, prompt: Prompt, check: Check) -> None:
        """Reads nothing: all of it changes with the first token of the canvas."""

    def fill(
        self, prompt: Prompt, selector: TokenSelector, middle: Completion, context: EngineContext, check: Check
    ) -> Iterator[DecodingStep]:
        """Reads the prompt and fills the middle; yields after every pass."""
        options = context.options
        expand = options.operations[0] if options.operations else None
        sequence = BidirectionalSequence(
            context.runner, prompt.context, prompt.behind, context.refresh_every, expand, MOST_EXPANDED
        )
        return fill_between(sequence, prompt.hole, selector, options, middle, check)

    def fill_branches(
        self, prompt: Prompt, branches: list[Branch], context: EngineContext, check: Check
    ) -> Iterator[None]:
        """Fills one after the other; yields after every pass."""
        return _one_by_one(self, prompt, branches, context, check)


def strategy_of(context: EngineContext) -> DecodingStrategy:
    """Returns a new document's state."""
    match context.runner.config.attention:
        case "block_causal":
            return BlockStrategy(context)
        case "bidirectional":
            return BidirectionalStrategy()
        case _:
            return CausalStrategy(context)
