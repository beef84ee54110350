"""The loop for models that cannot verify: slots are revealed until nothing is masked before the end.

What stands to the left of the first mask is decided, one token after the other, so that a deadline finds the leftmost
run and an end of the hole stops the work. No draft is verified.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from functools import partial

import torch
from torch import Tensor

from coder_kernels.policies import Schedule
from coder_model.decoding.completion import Completion
from coder_model.decoding.draft_and_verify import DecodingStep, FillOptions
from coder_model.decoding.token_selector import Choice, TokenSelector
from coder_model.prompt.fim_prompt import Prompt
from coder_model.runtime.bidirectional_sequence import BidirectionalSequence
from coder_model.runtime.canvas import Canvas
from coder_model.runtime.sequence import Check, Sequence
from coder_model.types import HoleMode

LENGTHS: dict[HoleMode, tuple[int, ...]] = {"line": (4, 8, 16), "block": (8, 16, 32, 64)}
"""Canvases that are tried where the model cannot change their length."""
FIRST_LENGTH, MAX_LENGTH = 4, 64
"""Slots of a canvas that the model can make longer, at first and at most, as in DreamOn's own generator."""
MOST_EXPANDED = MAX_LENGTH - FIRST_LENGTH

Pass = Callable[[Canvas], Tensor]
"""Predicts the masked slots of a canvas; returns [V] float32, the distribution of the leftmost one."""


def fill_blocks(
    sequence: Sequence,
    prompt: Prompt,
    selector: TokenSelector,
    options: FillOptions,
    middle: Completion,
    check: Check,
) -> Iterator[DecodingStep]:
    """Decodes a middle block by block; the first one begins with the context's last tokens.

    Args:
        sequence: of a model that attends by blocks.
        prompt: what stands before the middle.
        selector: decides each token.
        options: how.
        middle: filled in.
        check: called before every pass.

    Yields:
        After every pass.
    """
    following = sequence.read(prompt.context, check)
    given = prompt.context[len(sequence.tokens) :]
    while True:
        canvas = Canvas.opening(given, options.block_length, selector.mask)
        predict_ = partial(sequence.predict_, following=following)
        yield from _reveal(predict_, canvas, selector, options, middle, check)
        if middle.ended:
            return
        check()
        following = sequence.commit(canvas.tokens.tolist(), 1)[0]
        given = []


def fill_between(
    sequence: BidirectionalSequence,
    hole: HoleMode,
    selector: TokenSelector,
    options: FillOptions,
    middle: Completion,
    check: Check,
) -> Iterator[DecodingStep]:
    """Decodes a middle between prefix and suffix.

    A model that can expand and delete begins with a few slots. Of any other one the length of the canvas is guessed:
    the one whose slots have the highest mean log-probability in their first pass (the first-step confidence of CAL,
    without its fitted bias; a fit needs the real weights).

    Args:
        sequence: prefix and suffix.
        hole: which lengths are tried.
        selector: decides each token.
        options: how.
        middle: filled in.
        check: called before every pass.

    Yields:
        After every pass.
    """
    length = FIRST_LENGTH
    if not options.operations:
        length = _surest_length(sequence, LENGTHS[hole], selector.mask, middle, check)
    canvas = Canvas.opening([], length, selector.mask)
    yield from _reveal(sequence.predict_, canvas, selector, options, middle, check)
    middle.ended = True


def _surest_length(
    sequence: BidirectionalSequence, lengths: tuple[int, ...], mask: int, middle: Completion, check: Check
) -> int:
    surest, best = lengths[0], -math.inf
    for length in lengths:
        check()
        canvas = Canvas.opening([], length, mask)
        sequence.predict_(canvas)
        middle.steps += 1
        sureness = float(canvas.confidence.log().mean())
        if sureness > best:
            surest, best = length, sureness
    return surest


def _reveal(
    predict_: Pass, canvas: Canvas, selector: TokenSelector, options: FillOptions, middle: Completion, check: Check
) -> Iterator[DecodingStep]:
    """Reveals slots, the most confident first, until the middle has ended or no slot is masked."""
    assert options.policy is not None
    schedule = Schedule(options.policy, options.policy_options, options.max_steps or len(canvas.tokens))
    index = 0
    while not middle.ended and bool(canvas.masked.any()):
        check()
        p = predict_(canvas)
        middle.steps += 1
        if selector.heal:
            # the text under the cursor comes first, and only the selector knows what may go on with it
            choice = selector.choose(p)
            canvas.candidates[canvas.given], canvas.confidence[canvas.given] = choice.token, choice.probability
            slots = torch.arange(len(canvas.tokens)) == canvas.given
        else:
            slots = canvas.chosen(schedule, min(index, schedule.total - 1))
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
