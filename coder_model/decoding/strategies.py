"""How a middle is decoded, by the attention mask of the model: one class each, one object of it per document."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import torch

from coder_model.decoding.acceptance import DraftAcceptance
from coder_model.decoding.completion import Completion
from coder_model.decoding.diffusion import MOST_EXPANDED, fill_between, fill_blocks
from coder_model.decoding.draft_and_verify import DecodingStep, FillOptions, fill_middle
from coder_model.decoding.token_selector import TokenSelector
from coder_model.model.fused_drafter import FusedDrafter
from coder_model.model.fused_transformer import FusedTransformer
from coder_model.model.transformer import Transformer
from coder_model.prompt.fim_prompt import Prompt, PromptFormat
from coder_model.prompt.vocabulary import Vocabulary
from coder_model.runtime.batcher import Batcher
from coder_model.runtime.bidirectional_sequence import BidirectionalSequence
from coder_model.runtime.block_sequence import BlockSequence
from coder_model.runtime.drafted_sequence import DraftedSequence
from coder_model.runtime.sequence import Check, LoneSequence, Sequence
from coder_model.runtime.shared_sequence import SharedSequence


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


@dataclass(frozen=True, slots=True)
class EngineContext:
    """What the documents of one model share."""

    model: Transformer
    vocabulary: Vocabulary
    options: FillOptions
    acceptance: DraftAcceptance
    prefill_dtype: torch.dtype
    refresh_every: int
    network: FusedTransformer | None = None
    """Of models that have a cache: all but the bidirectional ones."""
    batcher: Batcher | None = None
    """Who runs the passes of all documents together; None where each one runs its own."""
    sync_interval: int = 1
    """Denoise steps until the host looks at a block."""
    drafter: FusedDrafter | None = None
    """Of a model that a drafter was trained on."""


class DecodingStrategy(Protocol):
    """One document's state, and how its next middle is decoded."""

    proposes: bool
    """Whether drafts from the text are of use."""

    def fill(self, prompt: Prompt, selector: TokenSelector, middle: Completion, check: Check) -> Iterator[DecodingStep]:
        """Reads the prompt and fills the middle; yields after every pass."""


class CausalStrategy:
    """Drafts that the model verifies token by token, over an exact cache."""

    proposes = True

    def __init__(self, context: EngineContext) -> None:
        self._context = context
        self.sequence: Sequence
        if context.batcher:
            self.sequence = SharedSequence(context.batcher, context.sync_interval)
        elif context.drafter:
            self.sequence = DraftedSequence(
                _network(context), context.vocabulary.forbidden, context.drafter, context.prefill_dtype
            )
        else:
            self.sequence = LoneSequence(_network(context), context.vocabulary.forbidden, context.prefill_dtype)

    def fill(self, prompt: Prompt, selector: TokenSelector, middle: Completion, check: Check) -> Iterator[DecodingStep]:
        """Reads the prompt and fills the middle; yields after every pass."""
        p = self.sequence.read(prompt.context, check)
        return fill_middle(self.sequence, p, selector, self._context.options, self._context.acceptance, middle, check)


class BlockStrategy:
    """Aligned blocks, one after the other, over an exact cache."""

    proposes = False

    def __init__(self, context: EngineContext) -> None:
        self._options = context.options
        self.sequence = BlockSequence(_network(context), context.vocabulary.forbidden)

    def fill(self, prompt: Prompt, selector: TokenSelector, middle: Completion, check: Check) -> Iterator[DecodingStep]:
        """Reads the prompt and fills the middle; yields after every pass."""
        return fill_blocks(self.sequence, prompt, selector, self._options, middle, check)


class BidirectionalStrategy:
    """A canvas between prefix and suffix."""

    proposes = False

    def __init__(self, context: EngineContext) -> None:
        self._options = context.options
        expand = context.options.operations[0] if context.options.operations else None
        forbidden = context.vocabulary.forbidden.clone()
        forbidden[list(context.options.operations or ())] = False
        self.sequence = BidirectionalSequence(context.model, forbidden, context.refresh_every, expand, MOST_EXPANDED)

    def fill(self, prompt: Prompt, selector: TokenSelector, middle: Completion, check: Check) -> Iterator[DecodingStep]:
        """Reads the prompt and fills the middle; yields after every pass."""
        return fill_between(self.sequence, prompt, selector, self._options, middle, check)


def _network(context: EngineContext) -> FusedTransformer:
    assert context.network is not None
    return context.network


def strategy_of(context: EngineContext) -> DecodingStrategy:
    """Returns a new document's state."""
    match context.model.config.attention:
        case "block_causal":
            return BlockStrategy(context)
        case "bidirectional":
            return BidirectionalStrategy(context)
        case _:
            return CausalStrategy(context)
