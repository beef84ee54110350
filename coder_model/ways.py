"""How a middle is decoded, by who sees whom in the model: one class per way, one object of it per document."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import torch

from coder_model.bidirectional_decoder import BidirectionalDecoder
from coder_model.block_decoder import BlockDecoder
from coder_model.decoder import Check, Decoder, LoneDecoder
from coder_model.denoise import FillOptions, Progress, fill_middle
from coder_model.drafter_network import DrafterNetwork
from coder_model.drafting_decoder import DraftingDecoder
from coder_model.gauge import DraftGauge
from coder_model.infill import MOST_EXPANDED, fill_between, fill_blocks
from coder_model.middle import Middle
from coder_model.model import Transformer
from coder_model.network import Network
from coder_model.opinion import Opinion
from coder_model.passes import Passes
from coder_model.prompt import Form, Prompt
from coder_model.shared_decoder import SharedDecoder
from coder_model.vocabulary import Vocabulary


@dataclass(frozen=True, slots=True)
class Habits:
    """How a model wants to be asked, beyond its shape."""

    form: Form
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
class Kit:
    """What the documents of one model share."""

    model: Transformer
    vocabulary: Vocabulary
    options: FillOptions
    gauge: DraftGauge
    prefill_dtype: torch.dtype
    refresh_every: int
    network: Network | None = None
    """Of models that have a cache: all but the bidirectional ones."""
    passes: Passes | None = None
    """Who runs the passes of all documents together; None where each one runs its own."""
    look_every: int = 1
    """Denoise steps until the host looks at a block."""
    drafter: DrafterNetwork | None = None
    """Of a model that a drafter was trained on."""


class Way(Protocol):
    """One document's state, and how its next middle is decoded."""

    proposes: bool
    """Whether drafts from the text are of use."""

    def fill(self, prompt: Prompt, opinion: Opinion, middle: Middle, check: Check) -> Iterator[Progress]:
        """Reads the prompt and fills the middle; yields after every pass."""


class CausalWay:
    """Drafts that the autoregressive opinion verifies, over an exact cache."""

    proposes = True

    def __init__(self, kit: Kit) -> None:
        self._kit = kit
        self.decoder: Decoder
        if kit.passes:
            self.decoder = SharedDecoder(kit.passes, kit.look_every)
        elif kit.drafter:
            self.decoder = DraftingDecoder(_network(kit), kit.vocabulary.forbidden, kit.drafter, kit.prefill_dtype)
        else:
            self.decoder = LoneDecoder(_network(kit), kit.vocabulary.forbidden, kit.prefill_dtype)

    def fill(self, prompt: Prompt, opinion: Opinion, middle: Middle, check: Check) -> Iterator[Progress]:
        """Reads the prompt and fills the middle; yields after every pass."""
        p = self.decoder.read(prompt.context, check)
        return fill_middle(self.decoder, p, opinion, self._kit.options, self._kit.gauge, middle, check)


class BlockWay:
    """Aligned blocks, one after the other, over an exact cache."""

    proposes = False

    def __init__(self, kit: Kit) -> None:
        self._options = kit.options
        self.decoder = BlockDecoder(_network(kit), kit.vocabulary.forbidden)

    def fill(self, prompt: Prompt, opinion: Opinion, middle: Middle, check: Check) -> Iterator[Progress]:
        """Reads the prompt and fills the middle; yields after every pass."""
        return fill_blocks(self.decoder, prompt, opinion, self._options, middle, check)


class BidirectionalWay:
    """A canvas between prefix and suffix."""

    proposes = False

    def __init__(self, kit: Kit) -> None:
        self._options = kit.options
        expand = kit.options.operations[0] if kit.options.operations else None
        forbidden = kit.vocabulary.forbidden.clone()
        forbidden[list(kit.options.operations or ())] = False
        self.decoder = BidirectionalDecoder(kit.model, forbidden, kit.refresh_every, expand, MOST_EXPANDED)

    def fill(self, prompt: Prompt, opinion: Opinion, middle: Middle, check: Check) -> Iterator[Progress]:
        """Reads the prompt and fills the middle; yields after every pass."""
        return fill_between(self.decoder, prompt, opinion, self._options, middle, check)


def _network(kit: Kit) -> Network:
    assert kit.network is not None
    return kit.network


def way_of(kit: Kit) -> Way:
    """Returns a new document's state."""
    match kit.model.config.attention:
        case "block_causal":
            return BlockWay(kit)
        case "bidirectional":
            return BidirectionalWay(kit)
        case _:
            return CausalWay(kit)
