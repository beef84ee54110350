"""The loop for models that cannot verify: slots are revealed until nothing is masked before the end.

What stands to the left of the first mask is decided, one token after the other, so that a deadline finds the leftmost
run and an end of the hole stops the work. No draft is verified.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from coder_kernels.policies import Step
from coder_model.decoding.completion import Completion
from coder_model.decoding.draft_and_verify import DecodingStep, FillOptions
from coder_model.decoding.token_selector import Choice, TokenSelector
from coder_model.prompt.fim_prompt import Prompt
from coder_model.runtime.bidirectional_sequence import BidirectionalSequence
from coder_model.runtime.block_sequence import BlockSequence
from coder_model.runtime.canvas import Canvas
from coder_model.runtime.sequence import Check
from coder_model.types import HoleMode

LENGTHS: dict[HoleMode, tuple[int, ...]] = {"line": (4, 8, 16), "block": (8, 16, 32, 64)}
"""Canvases that are tried where the model cannot change their length."""
FIRST_LENGTH, MAX_LENGTH = 4, 64
"""Of a canvas that the model can make longer, as DreamOn's own generator begins and ends."""
MOST_EXPANDED = MAX_LENGTH - FIRST_LENGTH

Pass = Callable[[Canvas], Tensor]
"""Fills in what a pass says of the masked slots; returns [V] float32, the distribution of the leftmost one."""


def fill_blocks(
    sequence: BlockSequence,
    prompt: Prompt,
    selector: TokenSelector,
    options: FillOptions,
    middle: Completion,
    check: Check,
) -> Iterator[DecodingStep]:
    """Decodes a middle block by block; the first one begins with the context's last tokens."""
    given = sequence.read_blocks(prompt.context, check)
    while True:
        canvas = Canvas.opening(given, options.block_length, selector.mask)
        yield from _reveal(sequence.probabilities_, canvas, selector, options, middle, check)
        if middle.ended:
            return
        check()
        sequence.commit_block(canvas.tokens.tolist())
        given = []


def fill_between(
    sequence: BidirectionalSequence,
    prompt: Prompt,
    selector: TokenSelector,
    options: FillOptions,
    middle: Completion,
    check: Check,
) -> Iterator[DecodingStep]:
    """Decodes a middle between prefix and suffix.

    A model that can expand and delete begins with a few slots. For any other one the length is guessed: the canvas
    of whose slots the model is surest at first sight (the first-step confidence of CAL, without its fitted bias; a fit
    needs the real weights).
    """
    sequence.place(prompt.context, prompt.behind)
    try:
        yield from _fill_placed(sequence, prompt.hole, selector, options, middle, check)
    finally:
        # the next hole reads everything anew, and this is much memory
        sequence.place([], [])
    middle.ended = True


def _fill_placed(
    sequence: BidirectionalSequence,
    hole: HoleMode,
    selector: TokenSelector,
    options: FillOptions,
    middle: Completion,
    check: Check,
) -> Iterator[DecodingStep]:
    length = FIRST_LENGTH
    if not options.operations:
        length = _surest_length(sequence, LENGTHS[hole], selector.mask, middle, check)
    canvas = Canvas.opening([], length, selector.mask)
    yield from _reveal(sequence.probabilities_, canvas, selector, options, middle, check)


def _surest_length(
    sequence: BidirectionalSequence, lengths: tuple[int, ...], mask: int, middle: Completion, check: Check
) -> int:
    """The length whose slots have the highest mean log-probability in their first pass."""
    surest, best = lengths[0], -math.inf
    for length in lengths:
        check()
        canvas = Canvas.opening([], length, mask)
        sequence.probabilities_(canvas)
        middle.steps += 1
        sureness = float(canvas.confidence.log().mean())
        if sureness > best:
            surest, best = length, sureness
    return surest


def _reveal(
    look: Pass, canvas: Canvas, selector: TokenSelector, options: FillOptions, middle: Completion, check: Check
) -> Iterator[DecodingStep]:
    """Reveals slots, the sure ones first, until the middle has ended or no slot is masked."""
    total = options.max_steps or len(canvas.tokens)
    index = 0
    while not middle.ended and bool(canvas.masked.any()):
        check()
        p = look(canvas)
        middle.steps += 1
        if selector.heal:
            # the text under the cursor comes first, and only the selector knows what may go on with it
            choice = selector.choose(p)
            canvas.candidates[canvas.given], canvas.confidence[canvas.given] = choice.token, choice.probability
            slots = torch.arange(len(canvas.tokens)) == canvas.given
        else:
            step = Step(canvas.confidence, canvas.entropy, canvas.masked, min(index, total - 1), total)
            assert options.policy is not None
            slots = options.policy(step, options.policy_options)
        canvas.reveal_(slots)
        if options.operations:
            expand, delete = options.operations
            canvas.operate_(expand, delete, selector.mask, MOST_EXPANDED)
        index += 1
        for token in canvas.leftmost_run():
            if not middle.ended:
                middle.decide_(Choice(token, float(canvas.confidence[canvas.given])), selector)
            canvas.given += 1
        yield DecodingStep("denoise", canvas)
